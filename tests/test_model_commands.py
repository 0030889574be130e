"""promote, rollback and compare as a user meets them: what is printed, and the exit code."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner

from churn_clv import cli
from churn_clv.delivery import promotion
from churn_clv.delivery.champions import Candidate
from churn_clv.delivery.promotion import Promotion

OLD, NEW = Candidate("shop", "1", "a"), Candidate("shop", "2", "b")


def called(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.mark.parametrize(
    ("outcome", "champion", "code", "says"),
    [
        ("first", None, 0, "shop/2 is champion now: why"),
        ("rule", OLD, 0, "shop/2 is champion now, until now shop/1: why"),
        ("already", NEW, 0, "shop/2 stays: why"),
        ("forced", OLD, 0, "shop/2 is champion now, until now shop/1, against the rule, because: why"),
        ("refused", OLD, 1, 'shop/2 is not promoted, shop/1 stays champion: why. Against the rule: --force "reason"'),
    ],
)
def test_a_refused_promotion_alone_ends_with_exit_code_1(outcome, champion, code, says, monkeypatch):
    found = Promotion(NEW, champion, outcome, "why", ("Churn: a duel.",))
    monkeypatch.setattr(promotion, "promote", lambda *arguments: found)
    done = called("promote", "shop/2")
    assert done.exit_code == code
    assert done.stdout.splitlines()[-2:] == ["- Churn: a duel.", says]


def test_rollback_says_who_is_champion_again(empty_store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    mlflow.set_tracking_uri(empty_store)
    client = mlflow.MlflowClient()
    client.create_registered_model("shop")
    for _ in range(2):
        with mlflow.start_run() as run:
            version = client.create_model_version("shop", source="file:///nowhere", run_id=run.info.run_id).version
        client.set_registered_model_tag("shop", f"champion.{version}", _event(version))
        client.set_registered_model_alias("shop", "champion", version)
    done = called("rollback", "shop", "--reason", "returns rose")
    assert (done.exit_code, done.stdout) == (0, "shop: version 1 is champion again, 2 no longer\n")
    assert called("rollback", "shop").exit_code == 1  # an InputError, which `main` turns into one line and code 2


def _event(version: str) -> str:
    before = "null" if int(version) == 1 else f'"{int(version) - 1}"'
    return f'{{"version": "{version}", "before": {before}, "how": "rule", "why": "", "at": ""}}'


def test_compare_prints_the_table_and_writes_page_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from churn_clv.delivery import compare

    def one(name: str, loss: float, method: str) -> compare.ComparedRun:
        metrics = {"churn/log_loss": loss, "churn/log_loss_se": 0.001}
        return compare.ComparedRun(name, metrics, {"churn.method": method}, "aa")

    monkeypatch.setattr(compare, "read_runs", lambda names: [one("a", 0.4, "stack"), one("b", 0.5, "auto")])
    done = called("compare", "a", "b", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "0.4000 ± 0.0010 *" in done.stdout
    assert "stack" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.html", "comparison.png"]
