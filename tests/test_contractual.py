"""Contracts: no model scores a customer whom it saw, the scores are as good as the truth allows, and a run is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from churn_clv import cli
from churn_clv.config import Config
from churn_clv.contractual import ContractualRun, new_model, rival_risks, train_contracts
from churn_clv.contractual_config import ContractualConfig, load_run
from churn_clv.data.contracts import read_contracts
from churn_clv.delivery.contract_folder import write_contract_run
from churn_clv.delivery.model_folder import read_model
from churn_clv.delivery.tables import read_table
from churn_clv.errors import ConfigError, InputError
from churn_clv.evaluation.churn_metrics import auc
from churn_clv.evaluation.cross_fitting import fit_without_each_fold, out_of_fold, stratified_folds
from churn_clv.models.churn import ChurnModel

CONFIGS = Path(__file__).parent.parent / "configs"
N = 2000


def simulated(seed: int = 1, n: int = N) -> tuple[pd.DataFrame, pd.Series]:
    """A table of contracts and the true log-odds of leaving: a step, a slope, an interaction, and noise columns."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({
        "customer_id": [f"c{k:05d}" for k in range(n)],
        "contract": rng.choice(["monthly", "yearly"], n, p=[0.6, 0.4]),
        "tenure": rng.integers(0, 72, n),
        "calls": rng.poisson(1.5, n).astype(float),
        "charge": rng.uniform(10, 110, n).round(2),
        "colour": rng.choice(list("abcdef"), n),
    })  # fmt: skip
    table.loc[rng.random(n) < 0.05, "calls"] = np.nan
    monthly, complains = table["contract"] == "monthly", table["calls"] >= 3
    logit = -2.2 + 1.6 * monthly - 0.03 * table["tenure"] + 1.5 * (complains & monthly) + 0.01 * table["charge"]
    left = rng.random(n) < 1 / (1 + np.exp(-logit))
    return table.assign(churn=np.where(left, "Yes", "No")), pd.Series(logit.to_numpy(), table["customer_id"])


def config_of(path: Path, **sections: object) -> ContractualConfig:
    content = {
        "name": "mine",
        "contract": {"path": str(path), "value": "charge", "currency": "EUR"},
        "churn": {"learning_rate": 0.1, "max_rounds": 80},
        "evaluation": {"bootstrap_samples": 50},
    }
    return ContractualConfig.model_validate(content | sections)


@pytest.fixture(scope="module")
def truth() -> tuple[pd.DataFrame, pd.Series]:
    return simulated()


@pytest.fixture(scope="module")
def path(truth: tuple[pd.DataFrame, pd.Series], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contracts") / "contracts.parquet"
    truth[0].to_parquet(path)
    return path


@pytest.fixture(scope="module")
def run(path: Path) -> ContractualRun:
    return train_contracts(config_of(path))


# --- no customer informs their own prediction


Risks = Callable[[pd.DataFrame, pd.Series, pd.Series], pd.Series]


def by_trees(features: pd.DataFrame, churned: pd.Series, fold_of: pd.Series) -> pd.Series:
    config = config_of(Path("unread"))
    models = fit_without_each_fold(lambda rows, left: new_model(config).fit(rows, left), features, churned, fold_of)
    return out_of_fold(models, ChurnModel.predict_probability, features, fold_of)


def by_regression(features: pd.DataFrame, churned: pd.Series, fold_of: pd.Series) -> pd.Series:
    return rival_risks(features, churned, fold_of)["logistic_attributes"]


@pytest.mark.parametrize("risks", [by_trees, by_regression])
def test_a_folds_labels_move_no_bit_of_its_own_predictions(path: Path, risks: Risks) -> None:
    # the folds are held fixed, as drawing them does look at the labels, to make their churn rates alike
    contracts = read_contracts(path, config_of(path).contract.columns())
    fold_of = stratified_folds(contracts.churned, 5, 1)
    flipped = contracts.churned.where(fold_of != 2, 1 - contracts.churned)
    before, after = (risks(contracts.features, labels, fold_of) for labels in (contracts.churned, flipped))
    pd.testing.assert_series_equal(before[fold_of == 2], after[fold_of == 2], check_exact=True)
    for other in (0, 1, 3, 4):
        assert not before[fold_of == other].equals(after[fold_of == other]), "the check sees what labels do"


def test_the_check_sees_a_model_that_saw_its_own_fold(path: Path) -> None:
    def leaking(features: pd.DataFrame, churned: pd.Series, fold_of: pd.Series) -> pd.Series:
        return new_model(config_of(path)).fit(features, churned).predict_probability(features)

    with pytest.raises(AssertionError):
        test_a_folds_labels_move_no_bit_of_its_own_predictions(path, leaking)


def test_the_runs_scores_are_those_of_the_models_that_never_saw_them(run: ContractualRun) -> None:
    contracts, fold_of = run.contracts, run.judged["fold"]
    expected = by_trees(contracts.features, contracts.churned, fold_of)
    pd.testing.assert_series_equal(run.judged["churn_probability"], expected, check_exact=True)
    current = contracts.churned == 0
    pd.testing.assert_series_equal(run.scores["churn_probability"], expected[current], check_exact=True)


def test_on_permuted_labels_nothing_is_found(truth: tuple[pd.DataFrame, pd.Series], tmp_path: Path) -> None:
    table = truth[0]
    shuffled = np.random.default_rng(5).permutation(table["churn"])
    table.assign(churn=shuffled).to_parquet(tmp_path / "t.parquet")
    run = train_contracts(config_of(tmp_path / "t.parquet"))
    left = (shuffled == "Yes").sum()
    error = np.sqrt((N + 1) / (12 * left * (N - left)))  # of the Mann-Whitney AUC where nothing is to be found
    assert abs(run.judgement.metrics()["churn/auc"] - 0.5) < 3 * error


def test_where_the_columns_tell_nothing_the_run_says_so_and_is_still_written(tmp_path: Path) -> None:
    table, _ = simulated(n=300)
    shuffled = np.random.default_rng(0).permutation(table["churn"])
    table.assign(churn=shuffled).to_parquet(tmp_path / "t.parquet")
    run = train_contracts(config_of(tmp_path / "t.parquet"))
    assert run.model.rounds_ == 0
    assert "the risk is the churn rate for everyone" in run.notes[-1]
    assert run.drivers.empty
    folder = write_contract_run(run, tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    assert {path.stem for path in (folder / "figures").iterdir()} == {"grid_current", "reliability"}


def test_the_order_of_the_rows_changes_no_bit(
    run: ContractualRun, truth: tuple[pd.DataFrame, pd.Series], tmp_path: Path
) -> None:
    truth[0].sample(frac=1, random_state=9).to_parquet(tmp_path / "t.parquet")
    other = train_contracts(config_of(tmp_path / "t.parquet"))
    pd.testing.assert_frame_equal(run.judged, other.judged, check_exact=True)
    pd.testing.assert_frame_equal(run.scores, other.scores, check_exact=True)
    assert run.fingerprint == other.fingerprint
    assert run.model.to_files() == other.model.to_files()


def test_folds_are_alike_in_churn_and_hold_everyone_once(run: ContractualRun) -> None:
    by_fold = run.judgement.by_fold
    assert by_fold["customers"].sum() == N
    assert np.ptp(by_fold["customers"]) <= 1
    assert np.ptp(by_fold["churned"]) <= 1


# --- as good as the truth allows


def test_predictions_come_close_to_the_true_probabilities(
    run: ContractualRun, truth: tuple[pd.DataFrame, pd.Series]
) -> None:
    churned, logit = run.judged["churned"].to_numpy(), truth[1].reindex(run.judged.index).to_numpy()
    best = auc(churned, logit)(np.ones(N))
    metrics = run.judgement.metrics()
    assert best - 0.03 < metrics["churn/auc"] < best + 0.005
    # 2,000 customers: three standard errors of the slope, here .06
    assert abs(metrics["churn/calibration_slope"] - 1) < 3 * metrics["churn/calibration_slope_se"]
    assert set(run.drivers.index[:2]) == {"tenure", "contract"}
    assert run.drivers.loc["contract", "raises"] == "monthly"
    assert run.drivers.loc["tenure", "lowers"].endswith("and more")


def test_an_interaction_is_what_trees_have_over_the_regression(path: Path) -> None:
    table, _ = simulated(seed=4, n=3000)
    both = (table["contract"] == "monthly") != (table["tenure"] >= 36)
    left = np.random.default_rng(8).random(len(table)) < np.where(both, 0.6, 0.1)
    other = path.with_name("interaction.parquet")
    table.assign(churn=np.where(left, "Yes", "No")).to_parquet(other)
    verdicts = train_contracts(config_of(other)).judgement.verdicts()
    assert ("auc", "logistic_attributes", "wins") in verdicts
    assert ("log_loss", "logistic_attributes", "wins") in verdicts


def test_a_column_known_only_afterwards_is_remarked_upon(truth: tuple[pd.DataFrame, pd.Series], tmp_path: Path) -> None:
    table = truth[0]
    table.assign(reason=table["churn"].map({"Yes": "moved"})).to_parquet(tmp_path / "t.parquet")
    run = train_contracts(config_of(tmp_path / "t.parquet"))
    assert "'reason' known only after" in run.notes[-1]


# --- the list to act on


def test_scores_are_of_current_customers_and_value_at_risk_is_risk_times_value(run: ContractualRun) -> None:
    contracts, scores = run.contracts, run.scores
    assert set(scores.index) == set(contracts.churned.index[contracts.churned == 0])
    value = contracts.value.reindex(scores.index)
    np.testing.assert_array_equal(scores["monthly_value"], value)
    np.testing.assert_allclose(scores["value_at_risk"], scores["churn_probability"] * value, rtol=1e-15)
    assert scores["reasons"].str.len().gt(0).all()


def test_the_grids_add_up_and_show_who_left(run: ContractualRun) -> None:
    judged, current = run.judged_grid, run.current_grid
    assert judged["customers"].sum() == N
    assert current["customers"].sum() == len(run.scores)
    left = (judged["realised_churn"] * judged["customers"]).sum()
    assert left == pytest.approx(run.judged["churned"].sum(), rel=1e-12)
    assert current["value_at_risk"].sum() == pytest.approx(run.scores["value_at_risk"].sum(), rel=1e-12)


# --- a whole run from the command line


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, empty_store: str):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["churn-clv", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capfd.readouterr()

    return run


def test_train_writes_a_whole_folder_and_an_mlflow_run_without_customers(call, tmp_path: Path) -> None:
    table, _ = simulated(n=400)
    table.assign(customer_id="canary-" + table["customer_id"], contract=table["contract"] + "<script>").to_csv(
        "t.csv", index=False
    )
    content = {"name": "mine", "contract": {"path": "t.csv", "value": "charge"}, "churn": {"max_rounds": 30}}
    Path("mine.yaml").write_text(yaml.safe_dump(content))
    code, out, err = call("train", "mine.yaml", "--set", "evaluation.bootstrap_samples=20")
    assert code == 0, err
    assert "Table: 400 rows in, 400 out" in out
    (folder,) = Path("runs/mine").iterdir()
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml", "scores.parquet", "scores.csv", "judged_scores.parquet", "grid.csv", "metrics.json", "figures",
        "report.html", "model",
    }  # fmt: skip
    assert load_run(folder / "config.yaml").evaluation.bootstrap_samples == 20
    scores = read_table(folder / "scores.csv")
    assert len(scores) == (table["churn"] == "No").sum()
    page = (folder / "report.html").read_text()
    assert "canary-" not in page
    assert "<script" not in page
    assert len(page) < 500_000  # MLflow's artifact view stays blank for a page much larger
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    (logged,) = mlflow.search_runs(experiment_names=["churn-clv"], output_format="list")
    assert logged.data.metrics["churn/auc"] == pytest.approx(metrics["churn/auc"], rel=1e-12)
    assert logged.data.tags["mlflow.note.content"].startswith("**mine**, contracts, 5-fold cross-fitting: churn AUC")
    client = mlflow.MlflowClient()
    names = {item.path for item in client.list_artifacts(logged.info.run_id)}
    assert names == {"report.html", "config.yaml", "metrics.json", "grid.csv", "figures", "model"}
    for file in (folder / "model").iterdir():
        assert "canary-" not in file.read_text()
    with pytest.raises(InputError, match="a model of contracts"):
        read_model(folder / "model")


def test_a_handed_over_model_scores_a_table_without_a_churn_column(call, run: ContractualRun, path: Path) -> None:
    folder = write_contract_run(run, Path("runs"), datetime(2026, 1, 2, tzinfo=UTC))
    assert call("handover", "runs", "--out", "given")[0] == 0
    (given,) = Path("given").iterdir()
    new = pd.read_parquet(path).drop(columns="churn").rename(columns={"customer_id": "id"}).sample(300, random_state=1)
    new.to_csv("new.csv", index=False)
    code, out, err = call("score", given, "new.csv", "scores.parquet", "--customer-id", "id")
    assert code == 0, err
    assert "wrote scores.parquet: 300 customers" in out
    scores = read_table(Path("scores.parquet")).set_index("customer_id")
    assert list(scores.columns) == list(run.scores.columns)
    expected = run.model.predict_probability(run.contracts.features).reindex(scores.index)
    pd.testing.assert_series_equal(scores["churn_probability"], expected)
    np.testing.assert_allclose(
        scores["value_at_risk"], expected * run.contracts.value.reindex(scores.index), rtol=1e-12
    )
    code, _, err = call("score", folder, "new.csv", "scores.csv", "--as-of", "2024-01-01")
    assert (code, "--as-of: of a log" in err) == (2, True)
    new.assign(tenure="long").to_csv("new.csv", index=False)
    code, _, err = call("score", folder, "new.csv", "scores.csv", "--customer-id", "id")
    assert (code, "'tenure' holds text; in training it held numbers" in err) == (2, True)
    new.drop(columns="colour").to_csv("new.csv", index=False)
    code, _, err = call("score", folder, "new.csv", "scores.csv", "--customer-id", "id")
    assert (code, "no column 'colour'" in err) == (2, True)


def test_the_model_comes_back_from_its_files(run: ContractualRun) -> None:
    again = ChurnModel.from_files(run.model.to_files())
    features = run.contracts.features
    pd.testing.assert_series_equal(again.predict_probability(features), run.model.predict_probability(features))


# --- configs


def written(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


GOOD = "name: mine\ncontract:\n  path: t.csv\n  value: charge\n"


def test_a_section_contract_makes_a_run_on_contracts(tmp_path: Path) -> None:
    assert isinstance(load_run(written(tmp_path, GOOD)), ContractualConfig)
    assert isinstance(load_run(CONFIGS / "cdnow.yaml"), Config)
    config = load_run(written(tmp_path, GOOD), ["contract.ignore=[a, b]", "churn.num_leaves=4"])
    assert (config.contract.ignore, config.churn.num_leaves) == (["a", "b"], 4)
    assert load_run(written(tmp_path, config.to_yaml())) == config


@pytest.mark.parametrize(
    ("text", "override", "says"),
    [
        (GOOD + "data: {source: cdnow}\n", None, "contract: stands beside data: a run has either contracts"),
        (GOOD, "windows.holdout_end=2024-01-01", "contract: stands beside windows"),
        (GOOD, "contract.churnd=x", "contract.churnd: unknown key (did you mean 'churn'?)"),
        (GOOD, "churn.method=stack", "churn.method: unknown key"),
        ("name: mine\ncontract: {path: t.csv}\n", None, "contract.value: missing"),
        (GOOD, "contract.churn=charge", "'charge': named for two roles"),
        (GOOD, "evaluation.folds=1", "evaluation.folds: input should be greater than or equal to 2; got 1"),
    ],
)
def test_a_faulty_config_is_one_line_that_names_file_and_key(
    tmp_path: Path, text: str, override: str | None, says: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_run(path, [override] if override else [])
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_too_few_leavers_for_the_folds_are_refused_by_key(
    truth: tuple[pd.DataFrame, pd.Series], tmp_path: Path
) -> None:
    table = truth[0].assign(churn=["Yes"] * 4 + ["No"] * (N - 4))
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"only 4 of 2,000 customers left; evaluation\.folds: 5 needs at least 5"):
        train_contracts(config_of(tmp_path / "t.parquet"))


def test_an_unquoted_yes_in_yaml_says_what_the_column_holds(path: Path) -> None:
    # YAML reads Yes as true
    content = {"path": str(path), "value": "charge", "churned_value": True}
    with pytest.raises(InputError, match=r"'churn' holds .*, never True: set contract\.churned_value"):
        train_contracts(config_of(path, contract=content))


# --- IBM's table


def test_telco_reaches_the_published_auc_and_is_calibrated() -> None:
    # 7,043 customers, 5-fold; the goals of the project: AUC at least .845, calibration slope within .9 to 1.1
    folder = Path(os.environ.get("CHURN_CLV_DATA", CONFIGS.parent / "data"))
    file = folder / "telco_ibm_churn.parquet"
    if not file.exists():
        pytest.skip("telco_ibm_churn.parquet is not installed: put it into data/ or point CHURN_CLV_DATA at its folder")
    run = train_contracts(load_run(CONFIGS / "telco.yaml", [f"contract.path={file}"]))
    metrics = run.judgement.metrics()
    assert len(run.judged) == 7043
    assert run.contracts.features["TotalCharges"].isna().sum() == 11
    assert metrics["churn/auc"] >= 0.845
    assert metrics["churn/auc_fold_mean"] >= 0.845
    assert 0.9 <= metrics["churn/calibration_slope"] <= 1.1
    assert metrics["churn/calibration_error"] <= max(0.02, metrics["churn/calibration_error_noise_95"])
    assert ("auc", "logistic_attributes", "loses") not in run.judgement.verdicts()
