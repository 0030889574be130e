"""The command line as a user meets it: files in, files out, one-line errors with exit code 2."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from churn_clv import cli
from churn_clv.delivery.tables import read_table


class Called:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, empty_store: str):
    """Run the program in an empty working directory, with an MLflow store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)

    def run(*arguments: object) -> Called:
        monkeypatch.setattr("sys.argv", ["churn-clv", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return Called(code, out, err)

    return run


@pytest.fixture
def stranger(call, tmp_path: Path) -> Path:
    """A 500-line log of customers never seen, with column names of its own, and its ten-line config."""
    assert call("simulate", "drawn.csv", "--customers", 140, "--seed", 5).code == 0
    drawn = pd.read_csv("drawn.csv", dtype="str").head(500)
    renamed = drawn.rename(columns={"customer_id": "Client", "date": "Bought on", "amount": "Total, EUR"})
    renamed.to_csv("shop.csv", index=False, sep=";")
    last = pd.to_datetime(drawn["date"]).max()
    config = {
        "name": "shop",
        "data": {
            "path": "shop.csv",
            "columns": {"customer_id": "Client", "date": "Bought on", "amount": "Total, EUR"},
        },
        "windows": {"calibration_end": (last - pd.Timedelta(days=120)).date(), "holdout_end": last.date()},
    }
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_strangers_500_line_csv_is_trained_scored_and_handed_over_with_a_ten_line_config(call, stranger: Path):
    assert len(stranger.read_text().splitlines()) <= 10
    done = call("train", stranger, "--set", "evaluation.bootstrap_samples=20")
    assert done.code == 0, done.err
    (folder,) = Path("runs/shop").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert names == {"scores.parquet", "scores.csv", "judged_scores.parquet", "grid.csv", "metrics.json", "report.html",
                     "customers.parquet", "segments.html", "figures", "model", "config.yaml", "lists", "segments"}  # fmt: skip
    scores = read_table(folder / "scores.csv")
    assert scores.shape[0] == pd.read_csv("shop.csv", sep=";")["Client"].nunique()
    assert list(scores.columns) == [
        "customer_id", "as_of", "horizon_days", "frequency", "recency", "T", "monetary_value", "value_to_date",
        "p_alive", "expected_purchases", "expected_spend_per_purchase", "expected_spend", "clv", "value_if_active", "value_at_risk",
        "churn_probability", "value_tier", "risk_tier", "segment", "action", "recency_score", "frequency_score",
        "monetary_score", "rfm_segment", "lifecycle_stage", "value_class", "pareto_tier", "cluster", "map_cluster", "reasons",
    ]  # fmt: skip
    for stage in ("read the log", "judge on the holdout", "log to MLflow"):
        assert stage in done.out
        assert stage in done.err

    # The same model, from its files, gives the same scores for the same log, as CSV and as Parquet.
    assert call("score", folder, "shop.csv", "again.parquet").code == 0
    again = read_table(Path("again.parquet"))
    pd.testing.assert_frame_equal(
        again[scores.columns[3:15]], read_table(folder / "scores.parquet")[scores.columns[3:15]]
    )
    assert call("report", "again.parquet").code == 0
    assert "<html" in Path("again.html").read_text()

    # A log of other customers, with the program's own column names.
    call("simulate", "new.parquet", "--customers", 30, "--seed", 99)
    scored = call(
        "score",
        folder,
        "new.parquet",
        "new.csv",
        "--customer-id",
        "customer_id",
        "--date",
        "date",
        "--amount",
        "amount",
    )
    assert scored.code == 0, scored.err
    assert read_table(Path("new.csv"))["churn_probability"].between(0, 1).all()
    assert call("handover", "runs", "--out", "given").code == 0
    assert call("score", next(Path("given").iterdir()), "shop.csv", "third.csv").code == 0


@pytest.mark.odd
def test_init_writes_a_config_that_trains(call, stranger: Path):
    done = call("init", "shop.csv")
    assert done.code == 0, done.err
    guessed = yaml.safe_load(Path("configs/shop.yaml").read_text())
    assert guessed["data"]["columns"] == {"customer_id": "Client", "date": "Bought on", "amount": "Total, EUR"}
    assert call("init", "shop.csv").code == 2  # nothing already written is overwritten
    assert call("train", "configs/shop.yaml", "--set", "evaluation.bootstrap_samples=20").code == 0


def test_summary_equals_the_published_rows_of_a_three_customer_log(call):
    # lifetimes tests/test_utils.py: (id, x, t_x, T) = (1,1,5,6); (2,0,0,37); (3,2,4,37), observation end 2015-02-07
    Path("log.csv").write_text(
        "id,date,amount\n1,2015-02-01,1\n1,2015-02-06,4\n2,2015-01-01,2\n3,2015-01-01,3\n3,2015-01-02,1\n3,2015-01-05,5\n"
    )
    done = call("summary", "log.csv", "out.csv", "--end", "2015-02-07", "--customer-id", "id")
    assert done.code == 0, done.err
    expected = "customer_id,frequency,recency,T,monetary_value\n1,1,5,6,4.0\n2,0,0,37,0.0\n3,2,4,37,3.0\n"
    assert Path("out.csv").read_text() == expected
    call("summary", "log.csv", "all.parquet", "--end", "2015-02-07", "--customer-id", "id", "--spend", "all")
    assert read_table(Path("all.parquet"))["monetary_value"].tolist() == [2.5, 2.0, 3.0]


BAD_LOGS = {
    "missing_file": (None, "no such file"),
    "missing_column": ("Client;Bought on\n1;2024-01-01\n", "Total, EUR"),
    "empty": ("", "empty"),
    "header_only": ("Client;Bought on;Total, EUR\n", "no "),
    "unparsable_dates": ("Client;Bought on;Total, EUR\n1;yesterday;5\n2;2024-01-01;6\n", "date"),
    "bad_amounts": ("Client;Bought on;Total, EUR\n1;2024-01-01;five\n2;2024-01-01;6\n", "not a number in 1 row"),
}


@pytest.mark.parametrize("name", BAD_LOGS)
def test_a_bad_log_gets_one_line_exit_code_2_and_leaves_nothing_behind(call, stranger: Path, name: str):
    content, word = BAD_LOGS[name]
    Path("shop.csv").unlink()
    if content is not None:
        Path("shop.csv").write_text(content)
    done = call("train", stranger)
    assert (done.code, done.out) == (2, "")
    message = done.err.strip().splitlines()[-1]
    assert message.startswith("churn-clv: ")
    assert "shop.csv" in message
    assert word in message
    assert "Traceback" not in done.err
    assert not Path("runs").exists()


def test_a_log_without_repeat_buyers_is_refused_in_one_line(call, stranger: Path):
    log = pd.read_csv("shop.csv", sep=";", dtype="str")
    log = log.assign(Client=[f"c{k}" for k in range(len(log))])
    log.to_csv("shop.csv", sep=";", index=False)
    done = call("train", stranger)
    assert done.code == 2
    assert "none of the 337 customers" in done.err
    assert "second day" in done.err
    assert not Path("runs").exists()


BAD_CONFIGS = {
    "windows.calibration_ende=2024-01-01": "windows.calibration_ende: unknown key (did you mean 'calibration_end'?)",
    "churn.learning_rate=fast": "shop.yaml: churn.learning_rate",
    "windows.holdout_end=2031-01-01": "shop.yaml: windows.holdout_end: 2031-01-01 is",
    "windows.calibration_end=1990-01-01": "shop.yaml: windows.calibration_end: 1990-01-01 is outside the log",
    "windows.label_cutoffs=[2023-10-01, 2023-06-01]": "shop.yaml: windows.label_cutoffs: 2023-06-01 does not come after",
    "windows.label_cutoffs=[2023-10-01]": "shop.yaml: windows.label_cutoffs: 2023-10-01 with a horizon of 120 days",
    "grid.risk_cuts=[0.6, 0.3]": "shop.yaml: grid.risk_cuts: cut points must be given in increasing order",
    "nonsense": "--set nonsense",
}


@pytest.mark.parametrize("override", BAD_CONFIGS)
def test_an_impossible_config_names_its_key_in_one_line_with_exit_code_2(call, stranger: Path, override: str):
    done = call("train", stranger, "--set", override)
    assert done.code == 2
    (message,) = [line for line in done.err.splitlines() if line.startswith("churn-clv: ")]
    assert BAD_CONFIGS[override] in message
    assert not Path("runs").exists()


@pytest.mark.odd
def test_an_interrupted_write_leaves_no_folder_that_looks_finished(
    call, stranger: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("churn_clv.delivery.run_folder.render_report", interrupt)
    done = call("train", stranger, "--set", "evaluation.bootstrap_samples=20")
    assert done.code == 130
    assert done.err.endswith("churn-clv: stopped; nothing unfinished was left under a final name\n")
    assert list(Path("runs").rglob("*")) == [Path("runs/shop")]


@pytest.mark.parametrize(
    "command", ["train", "backtest", "init", "summary", "simulate", "score", "report", "handover", "experiment", "ui"]
)
def test_every_command_explains_itself(call, command: str):
    done = call(command, "--help")
    assert done.code == 0
    assert "Usage" in done.out


def test_the_version_is_printed(call):
    from churn_clv import __version__

    assert call("--version").out.strip() == f"churn-clv {__version__}"


BACKTEST = ["--set", "backtest.horizon='60 days'", "--set", "backtest.churn=[purchase_model, logistic_rfm]",
            "--set", "backtest.value=[hurdle]", "--set", "backtest.most_origins=3"]  # fmt: skip


def test_a_backtest_writes_its_folder_and_says_who_is_champion_in_whole_words(call, stranger: Path):
    done = call("backtest", stranger, *BACKTEST)
    assert done.code == 0, done.err
    (folder,) = Path("runs/shop-backtest").iterdir()
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "origins.csv", "summary.csv", "backtest.json", "figures"}  # fmt: skip
    assert "3 origins, 3 without overlap" in done.out
    assert "- Churn: champion over 3 origins is" in done.out
    assert "logistic regression on RFM" in done.out  # whole, also where the output is no terminal
    assert "forecast as of" in done.err
    assert "Warning" not in done.out + done.err


@pytest.mark.odd
def test_an_experiment_over_origins_prints_one_comparison(call, stranger: Path):
    Path("q.yaml").write_text("question: Do rich features help?\nbase: shop.yaml\nbacktest: true\n"
                              "runs: {plain: null, rich: {churn: {features: rich}}}\n")  # fmt: skip
    done = call("experiment", "q.yaml", *BACKTEST)
    assert done.code == 0, done.err
    assert "plain: purchase_model" in done.out
    assert "rich: logistic_rfm" in done.out


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("backtest.horizon='9 years'", "no room for a horizon of"),
        ("backtest.churn=[auto]", "backtest.churn"),
        ("backtest.value=[tweedy]", "backtest.value"),
        ("churn.method=lightgmb", "churn.method"),
    ],
)
def test_an_impossible_backtest_is_one_line_with_exit_code_2(call, stranger: Path, override: str, says: str):
    done = call("backtest", stranger, "--set", override)
    assert done.code == 2
    (message,) = [line for line in done.err.splitlines() if line.startswith("churn-clv: ")]
    assert says in message
    assert "Traceback" not in done.err
