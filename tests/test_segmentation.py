"""The segments of a run: judged and today's are kept apart, what the user gave is followed, and every customer has a list."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import train_on

import churn_clv.train as train_room
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.batch import Scored, score_file
from churn_clv.delivery.model_folder import read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.delivery.segment_lists import write_segmentation
from churn_clv.errors import InputError
from churn_clv.evaluation.shown import AXES
from churn_clv.fits import Evidence
from churn_clv.score_log import known_to, score
from churn_clv.segmentation import ALL_SCHEMES, BUDGETED, Segmentation, segment
from churn_clv.segments.acceptance import accept
from churn_clv.segments.grid import cell_table
from churn_clv.segments.playbook import default_playbook
from churn_clv.segments.schemes import SCHEMES
from churn_clv.train import Run

# Names that a file system or a spreadsheet would not take as they are, one a cell of the grid.
NAMES = ["A/B", "..", "CON", "größe", "=SUM(1)", "a b", "a-b", "x" * 300, "顧客"]
SAFE = {"a-b", "segment", "segment-con", "gr-e", "sum-1", "a-b-2", "a-b-3", "x" * 60, "segment-2"}
BUDGET = 25.0


# --- one run on everything a user may give


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    """A log with refunds, one of whose customers has a formula for an id."""
    log = simulate_log(customers=300, seed=3, arrival_days=600)
    log["customer_id"] = log["customer_id"].mask(log["customer_id"] == log["customer_id"].iloc[0], "=1+1")
    refunds = log.iloc[::15].assign(amount=lambda f: -1.5 * f["amount"])
    return pd.concat([log, refunds], ignore_index=True)


@pytest.fixture(scope="module")
def given(lines: pd.DataFrame) -> pd.DataFrame:
    """Attributes and accounts of every customer, and of three persons who have never bought."""
    spent = lines.groupby("customer_id")["amount"].sum().clip(lower=0)
    ids = [*spent.index, "p1", "p2", "@p3"]
    k = np.arange(len(ids))
    table = pd.DataFrame({"customer_id": ids, "region": np.where(k % 3, "north", "south"), "nps": k % 11})
    table["service"] = np.where(k % 10 == 0, 1e6, 2.0)
    table["category"] = [*(4 * spent), 10.0, 10.0, 10.0]
    table["cac"] = 30.0 + k % 7
    return table


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory, lines: pd.DataFrame, given: pd.DataFrame) -> Run:
    folder = tmp_path_factory.mktemp("own")
    (folder / "playbook.yaml").write_text(yaml.safe_dump(own_playbook()), encoding="utf-8")
    rates = pd.DataFrame({"customer_id": given["customer_id"], "save_rate": np.linspace(-0.05, 0.4, len(given))})
    rates.sample(frac=1, random_state=1).to_csv(folder / "rates.csv", index=False)
    return train_on(
        folder,
        lines,
        given,
        churn={"method": "lightgbm"},
        value={"method": "tweedie"},
        grid={
            "value_axis": "expected_spend_per_purchase",
            "value_cuts": {"quantiles": [0.25, 0.75]},
            "risk_cuts": [0.4, 0.8],
        },
        segments={
            "cost_to_serve": "service",
            "total_spend": "category",
            "acquisition_cost": "cac",
            "composite_value": {"clv": 0.7, "nps": 0.3},
        },
        actions={
            "playbook": str(folder / "playbook.yaml"),
            "budget": BUDGET,
            "save_rates": str(folder / "rates.csv"),
        },
    )


def own_playbook() -> dict[str, Any]:
    """The default with a margin, names and terms of its own; the last cell has no contact."""
    content = default_playbook().to_dict()
    terms = {"channel": "phone", "contact_cost": 0.5, "incentive": 2.0, "save_rate": 0.1, "take_up": 0.2}
    cells = [
        {"value": cell["value"], "risk": cell["risk"], "segment": name, "action": f"Call {name}", **terms}
        for cell, name in zip(content["grid"], NAMES, strict=True)
    ]
    cells[-1] |= {"channel": "none", "contact_cost": 0.0, "incentive": 0.0, "save_rate": 0.0, "take_up": 0.0}
    return content | {"margin_rate": 0.4, "grid": cells}


@pytest.fixture(scope="module")
def folder(own_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lists and tables of the run on disk."""
    place = tmp_path_factory.mktemp("written")
    write_segmentation(own_run, place)
    return place


# --- the metrics


ACCEPTANCE = [
    "monotone_churn", "monotone_spend", "calibration_churn", "calibration_spend", "effective_cells", "rank_correlation",
    "threshold_cv", "same_cell", "identity", "buyers_spend", "rfm_monotone", "rfm_calibration",
]  # fmt: skip
OTHERS = [
    "grid/criteria_failed", "actions/contacted", "actions/expected_profit", "actions/expected_outlay", "actions/win_back",
    "equity/total", "equity/low", "equity/high",
]  # fmt: skip
SEGMENTED = ["segment", "rfm_segment", "lifecycle_stage", "value_class", "pareto_tier", "cluster", "map_cluster"]
FIGURES = ["spend_epsilon2", "churn_epsilon2", "stayed", "kappa"]


def test_the_names_of_the_metrics_are_stable_and_the_figures_finite(small_run: Run, own_run: Run) -> None:
    names = {f"grid/{name}" for name in ACCEPTANCE} | {f"segments/{s}/{f}" for s in SEGMENTED for f in FIGURES}
    assert set(small_run.segmentation.metrics) == names | set(OTHERS)
    # a figure that a log does not give is left out, never another name
    assert set(own_run.segmentation.metrics) <= names | set(OTHERS)
    for run in (small_run, own_run):
        assert np.isfinite(list(run.segmentation.metrics.values())).all()


def test_metrics_are_the_figures_of_the_tables(small_run: Run) -> None:
    found, metrics = small_run.segmentation, small_run.segmentation.metrics
    failed = [passes is False for passes in found.acceptance["passes"]]
    assert metrics["grid/criteria_failed"] == sum(failed)
    assert metrics["grid/same_cell"] == found.acceptance.loc["same_cell", "figure"]
    assert metrics["segments/cluster/kappa"] == found.quality.loc["cluster", "kappa"]
    contacted = found.plan[found.plan["contact"]]
    assert metrics["actions/contacted"] == len(contacted)
    # The budget of the grid adds up cell by cell: another order of the same sum.
    assert metrics["actions/expected_outlay"] == pytest.approx(contacted["expected_outlay"].sum(), rel=1e-12)
    assert metrics["equity/total"] == pytest.approx(small_run.scores["clv"].sum(), rel=1e-12)


# --- judged and today's customers are never mixed


def again(run: Run, judged: pd.DataFrame, scores: pd.DataFrame) -> Segmentation:
    """The segments of the same models with other judged or other production customers."""
    evidence = Evidence(run.config, run.log)
    known = known_to(run.models, run.log, run.windows.score_as_of, None)
    return segment(evidence, run.windows, run.judged_models, judged, run.models, known, scores, [0.1])


def judged_tables(found: Segmentation) -> dict[str, pd.DataFrame]:
    calibration = {"calibration": found.cohorts.calibration, "fit": found.cohorts.fit}
    return {"acceptance": found.acceptance, "quality": found.quality, **found.outcomes, **calibration}


def todays_tables(found: Segmentation) -> dict[str, pd.DataFrame]:
    cohorts = {"cohorts": found.cohorts.table, "activity": found.cohorts.activity}
    lists = {"plan": found.plan, "win-back": found.win_back, "look-alikes": found.look_alikes.customers}
    return {**found.budgets, **found.profiles, **cohorts, **lists, "scores": found.production.scores}


@pytest.mark.odd
def test_what_is_judged_does_not_depend_on_todays_placement_nor_todays_plan_on_the_outcomes(small_run: Run) -> None:
    clean = again(small_run, small_run.judged, small_run.scores)
    rng = np.random.default_rng(1)
    placements = [*ALL_SCHEMES, "value_tier", "risk_tier"]
    scores = small_run.scores.copy()
    scores[placements] = scores[placements].iloc[rng.permutation(len(scores))].to_numpy()
    judged = small_run.judged.copy()
    judged[["purchases", "spend"]] = judged[["purchases", "spend"]].iloc[rng.permutation(len(judged))].to_numpy()

    other_places = again(small_run, small_run.judged, scores)
    for name, table in judged_tables(clean).items():
        pd.testing.assert_frame_equal(judged_tables(other_places)[name], table, check_exact=True)
    assert not other_places.budgets["segment"].equals(clean.budgets["segment"]), "no placement was changed"

    other_outcomes = again(small_run, judged, small_run.scores)
    for name, table in todays_tables(clean).items():
        pd.testing.assert_frame_equal(todays_tables(other_outcomes)[name], table, check_exact=True)
    assert not other_outcomes.quality.equals(clean.quality), "no outcome was changed"


def test_no_table_of_today_has_a_realised_figure_and_no_score_an_outcome(small_run: Run) -> None:
    for name, table in todays_tables(small_run.segmentation).items():
        told = {str(column) for column in table.columns}
        assert not any("realised" in column for column in told), name
    assert not {"purchases", "spend"} & set(small_run.segmentation.production.scores.columns)
    assert set(small_run.segmentation.production.scores["as_of"]) == {small_run.windows.score_as_of}


def test_outcomes_stand_beside_the_placement_of_calibration_end(small_run: Run) -> None:
    judged: Any = small_run.judged
    assert set(judged["as_of"]) == {small_run.windows.calibration_end}
    for scheme in SCHEMES:
        table = small_run.segmentation.outcomes[scheme]
        means = judged.groupby(scheme)["spend"].mean().reindex(table.index)
        np.testing.assert_allclose(table["realised_spend"], means)


def test_today_is_placed_by_the_cuts_that_were_judged(small_run: Run, own_run: Run) -> None:
    for run in (small_run, own_run):
        assert run.models.schemes.to_dict() == run.judged_models.schemes.to_dict()
        assert run.models.grid == run.judged_models.grid


def test_placements_are_three_days_a_period_apart_and_the_last_is_judged(small_run: Run) -> None:
    placements = small_run.segmentation.placements
    # the period of a config that names none is a month: 365.25 / 12 days, rounded
    assert [(small_run.windows.calibration_end - p.day).days for p in placements] == [60, 30, 0]
    assert placements[-1].scores is small_run.judged or placements[-1].scores.equals(small_run.judged)
    for movement, before, after in zip(small_run.segmentation.movements, placements[:-1], placements[1:], strict=True):
        assert (movement.before.day, movement.after.day) == (before.day, after.day)
    early = placements[0]
    expected = score(small_run.judged_models, small_run.log, early.day)
    pd.testing.assert_frame_equal(early.scores[list(SCHEMES)], expected[list(SCHEMES)])


# --- what the user gave


def test_accounts_are_no_features_of_any_model_or_cluster(own_run: Run) -> None:
    read = {
        *own_run.models.churn.feature_names,
        *own_run.models.value.feature_names,
        *own_run.models.schemes.attributes,
    }
    assert "region" in read, "the attributes that are no accounts are read"
    assert not read & {"service", "category", "cac", "nps"}


def test_value_to_date_is_the_sum_of_the_customers_lines(own_run: Run, lines: pd.DataFrame) -> None:
    for frame, day in (
        (own_run.scores, own_run.windows.score_as_of),
        (own_run.judged, own_run.windows.calibration_end),
    ):
        until = lines[lines["date"] <= pd.Timestamp(day)].groupby("customer_id")["amount"].sum()
        np.testing.assert_allclose(frame["value_to_date"], until.reindex(frame.index), atol=1e-6)


def test_customers_whose_service_costs_more_than_their_margin_are_negative(own_run: Run, given: pd.DataFrame) -> None:
    cost = given.set_index("customer_id")["service"].reindex(own_run.scores.index)
    left_over = 0.4 * own_run.scores["value_to_date"] - cost
    negative = own_run.scores["value_class"] == "negative"
    assert (negative == (left_over < 0)).all()
    assert 0 < negative.sum() < len(negative)
    assert (own_run.scores["value_to_date"][negative] > 0).any(), "some of them by their cost alone"


def test_wallet_and_composite_value_are_those_of_their_formulas(own_run: Run, given: pd.DataFrame) -> None:
    found = own_run.segmentation.other_values
    bought = own_run.scores["value_to_date"] > 0
    # `category` is four times what each customer has spent here
    np.testing.assert_allclose(found["share_of_wallet"][bought], 0.25)
    nps = given.set_index("customer_id")["nps"].reindex(own_run.scores.index)
    standard = [(x - x.mean()) / x.std(ddof=0) for x in (own_run.scores["clv"], nps)]
    np.testing.assert_allclose(found["composite_value"], 0.7 * standard[0] + 0.3 * standard[1], atol=1e-9)


def test_the_payback_of_a_cohort_is_of_the_costs_given(own_run: Run, given: pd.DataFrame) -> None:
    table = own_run.segmentation.cohorts.payback
    assert table is not None
    cost = given.set_index("customer_id")["cac"]
    whole = (table["cost"] * table["customers"]).sum()
    assert whole == pytest.approx(cost.reindex(own_run.scores.index).sum())
    earned = (table["earned"] * table["customers"]).sum()
    assert earned == pytest.approx(0.4 * own_run.scores["value_to_date"].sum())


def test_prospects_are_those_who_have_never_bought(own_run: Run, folder: Path) -> None:
    assert set(own_run.segmentation.prospects) == {"p1", "p2", "@p3"}
    raw = pd.read_parquet(folder / "lists" / "prospects.parquet")
    assert set(raw.index) == {"p1", "p2", "@p3"}
    assert set(pd.read_csv(folder / "lists" / "prospects.csv")["customer_id"]) == {"p1", "p2", "'@p3"}


def test_the_plan_follows_the_own_playbook_the_measured_rates_and_the_budget(own_run: Run, given: pd.DataFrame) -> None:
    plan, scores = own_run.segmentation.plan, own_run.scores
    assert set(plan["segment"]) <= set(NAMES)
    assert (scores["action"] == "Call " + scores["segment"]).all()
    rates = pd.Series(np.linspace(-0.05, 0.4, len(given)), given["customer_id"]).reindex(scores.index)
    R, V = scores["churn_probability"], 0.4 * scores["value_if_active"]
    # Neslin et al. (2006), as in churn_clv.segments.contact_profit, with the terms of `own_playbook`
    profit = R * rates * (V - 2.0) - (1 - R) * 0.2 * 2.0 - 0.5
    called = plan["channel"] == "phone"
    assert 0 < called.sum() < len(plan)
    np.testing.assert_allclose(plan["contact_profit"], profit.where(called, 0.0), rtol=1e-9, atol=1e-9)
    contacted = plan[plan["contact"]]
    assert 0 < contacted["expected_outlay"].sum() <= BUDGET
    assert (contacted["contact_profit"] > 0).all()
    assert (plan["contact_profit"] > 0).sum() > len(contacted), "a budget that pays everybody is none"
    assert own_run.segmentation.budgets["segment"]["outlay"].sum() == pytest.approx(contacted["expected_outlay"].sum())


def test_value_tiers_cut_the_score_that_the_config_names(own_run: Run) -> None:
    grid = own_run.models.grid
    assert (grid.value_axis, grid.risk_cuts) == ("expected_spend_per_purchase", (0.4, 0.8))
    for frame in (own_run.judged, own_run.scores):
        value = frame["expected_spend_per_purchase"]
        tier = np.array(["low", "mid", "high"])[np.searchsorted(grid.value_cuts, value, side="right")]
        assert (frame["value_tier"] == tier).all()
        total = frame["expected_spend"] + frame["value_at_risk"]
        np.testing.assert_allclose(total, frame["value_if_active"], rtol=1e-12)
    shares = own_run.judged["value_tier"].value_counts(normalize=True)
    # a quarter, a half, a quarter; rounding a cut moves at most one customer in fifty
    np.testing.assert_allclose(shares[["low", "mid", "high"]], [0.25, 0.5, 0.25], atol=0.025)
    words = own_run.segmentation.acceptance.loc["effective_cells", "words"]
    assert words.endswith("not gated, as the cuts are not terciles of both axes")


def test_acceptance_is_what_its_function_says_of_the_judged_customers(own_run: Run) -> None:
    outcomes = own_run.judged[["purchases", "spend"]]
    table = accept(own_run.judged_models.grid, own_run.judged, outcomes)
    told = own_run.segmentation.acceptance
    rows = ["monotone_churn", "calibration_churn", "calibration_spend", "buyers_spend", "identity"]
    pd.testing.assert_frame_equal(told.loc[rows], table.loc[rows])
    assert cell_table(own_run.models.grid, own_run.scores)["customers"].sum() == len(own_run.scores)


# --- the lists


def test_every_customer_is_in_exactly_one_list_of_the_grid(own_run: Run, folder: Path) -> None:
    files = sorted((folder / "lists" / "grid").glob("*.parquet"))
    customers = pd.concat([pd.read_parquet(path) for path in files])
    assert sorted(customers.index) == sorted(own_run.scores.index)
    assert len(files) == own_run.scores["segment"].nunique()
    for path in files:
        [segment_name] = pd.read_parquet(path)["segment"].unique()
        assert segment_name in NAMES


def test_hostile_names_of_segments_make_files_inside_the_folder(own_run: Run, folder: Path) -> None:
    place = folder / "lists" / "grid"
    assert {path.suffix for path in place.iterdir()} == {".csv", ".parquet"}
    stems = {path.stem for path in place.iterdir()}
    # numbers go to the names in use, so a cell without customers may leave its number out
    assert {stem.rstrip("-0123456789") for stem in stems} <= {stem.rstrip("-0123456789") for stem in SAFE}
    assert len(list(place.iterdir())) == 2 * own_run.scores["segment"].nunique()
    written = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert written == {"lists", "segments"}


def test_csv_and_parquet_of_a_list_hold_the_same_customers_and_the_csv_runs_no_formula(folder: Path) -> None:
    found = set()
    for path in (folder / "lists").rglob("*.parquet"):
        raw = pd.read_parquet(path).reset_index()
        safe = pd.read_csv(path.with_suffix(".csv"), dtype="str", keep_default_na=False)
        assert safe["customer_id"].str.removeprefix("'").tolist() == raw["customer_id"].tolist()
        assert list(safe.columns) == list(raw.columns)
        texts = safe.drop(columns=raw.select_dtypes("number").columns)
        assert not texts.map(lambda cell: cell.startswith(("=", "+", "-", "@", "\t", "\r"))).any(axis=None)
        found |= set(raw["customer_id"]) | set(raw.get("segment", []))
    assert {"=1+1", "=SUM(1)"} <= found, "without a formula nothing is tested"


def test_the_list_to_contact_is_the_plans(own_run: Run, folder: Path) -> None:
    listed = pd.read_parquet(folder / "lists" / "to-contact.parquet")
    plan = own_run.segmentation.plan
    assert set(listed.index) == set(plan.index[plan["contact"]])
    assert listed["contact"].all()


def test_every_table_about_the_segments_is_written_without_a_customer(own_run: Run, folder: Path) -> None:
    names = {path.stem for path in (folder / "segments").iterdir()}
    # Cells of its grid have few customers, so the sums of rows and columns are not told.
    budgets = {f"budget_{name}" for name in BUDGETED if name not in AXES}
    outcomes = {f"outcomes_{name}" for name in SCHEMES}
    assert not {f"budget_{name}" for name in AXES} & names
    assert budgets | outcomes | {"acceptance", "quality", "what_changed", "cohorts", "payback"} <= names
    ids = {"=1+1", "'=1+1", "p1"}
    for path in (folder / "segments").iterdir():
        assert not pd.read_csv(path, dtype="str").isin(ids).any(axis=None), path.name
    budget = pd.read_csv(folder / "segments" / "budget_pareto_tier.csv")
    assert budget["customers"].sum() == len(own_run.scores)


# --- the hand-over


def test_a_hand_over_carries_playbook_cuts_and_accounts_and_scores_as_before(
    own_run: Run, given: pd.DataFrame, tmp_path: Path
) -> None:
    write_model(tmp_path, files_of(own_run))
    models = read_model(tmp_path).models
    assert models.schemes == own_run.models.schemes
    assert models.playbook == own_run.models.playbook
    assert models.accounts == own_run.models.accounts
    attributes = given.set_index("customer_id")
    scores = score(models, own_run.log, own_run.windows.score_as_of, attributes)
    pd.testing.assert_frame_equal(scores, own_run.scores, check_exact=True)
    # without the costs to serve only refunds make a customer negative
    without = score(models, own_run.log, own_run.windows.score_as_of, attributes.drop(columns="service"))
    assert (without["value_class"] == "negative").equals(without["value_to_date"] < 0)


def test_scoring_a_file_without_the_costs_to_serve_says_so_and_text_in_their_place_is_refused(
    own_run: Run, lines: pd.DataFrame, given: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", files_of(own_run))
    lines.to_parquet(tmp_path / "log.parquet")

    def scored(attributes: pd.DataFrame) -> Scored:
        attributes.to_parquet(tmp_path / "given.parquet")
        return score_file(tmp_path / "model", tmp_path / "log.parquet", None, {}, {}, tmp_path / "given.parquet")

    assert scored(given).remarks == ()
    pd.testing.assert_frame_equal(scored(given).scores, own_run.scores, check_exact=True)
    [remark] = scored(given.drop(columns="service")).remarks
    assert remark.startswith("The cost to serve, column 'service', is not among the attributes")
    with pytest.raises(InputError, match="'service' holds text; in training it held numbers"):
        scored(given.assign(service="much"))


def test_an_older_hand_over_is_refused_with_what_to_do(own_run: Run, tmp_path: Path) -> None:
    files = files_of(own_run)
    content = json.loads(files["model.json"]) | {"format": 2, "churn_clv": "0.4.0"}
    write_model(tmp_path, files | {"model.json": json.dumps(content)})
    with pytest.raises(InputError, match=r"format 2, .* reads format 4: train again, or use churn-clv 0\.4\.0"):
        read_model(tmp_path)


# --- what is refused, before anything is fitted


@pytest.fixture
def nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fitted(*_: Any) -> None:
        raise AssertionError("models were fitted before the input was refused")

    monkeypatch.setattr(train_room, "choose", fitted)
    monkeypatch.setattr(train_room, "fit_models", fitted)


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"cost_to_serve": "servise"}, r"segments\.cost_to_serve: no column 'servise' .*did you mean 'service'"),
        ({"total_spend": "region"}, r"segments\.total_spend: the column 'region' .* holds text, not numbers"),
        ({"acquisition_cost": "cca"}, r"segments\.acquisition_cost: no column 'cca' .*did you mean 'cac'"),
        ({"composite_value": {"clw": 1.0}}, r"segments\.composite_value: no column 'clw' .*did you mean 'clv'"),
        (
            {"acquisition_cost": "some"},
            r"segments\.acquisition_cost: 8 of 300 customers have none in the column 'some'",
        ),
        (
            {"cost_to_serve": "below"},
            r"segments\.cost_to_serve: the column 'below' .* negative or infinite for 2 of 303",
        ),
    ],
)
@pytest.mark.usefixtures("nothing_is_fitted")
def test_accounts_that_do_not_fit_are_one_error_with_key_and_column(
    lines: pd.DataFrame, given: pd.DataFrame, tmp_path: Path, sections: dict[str, Any], says: str
) -> None:
    faulty = given.assign(
        some=given["cac"].mask(np.arange(len(given)) < 8), below=np.where(np.arange(len(given)) < 2, -1.0, 1.0)
    )
    with pytest.raises(InputError, match=says) as caught:
        train_on(tmp_path, lines, faulty, segments=sections)
    assert "\n" not in str(caught.value)


def test_a_total_below_what_was_spent_here_names_its_key_and_column(own_run: Run) -> None:
    accounts = replace(own_run.models.accounts, weights={})
    little = pd.DataFrame({"category": 0.01}, index=own_run.scores.index)
    from churn_clv.segments.accounts import other_values

    with pytest.raises(
        InputError, match=r"segments\.total_spend: the column 'category': \d+ of 300 customers spend more"
    ):
        other_values(accounts, own_run.scores, little)


def playbook_without_a_plan() -> dict[str, Any]:
    content = own_playbook()
    del content["pareto_tier"]["A"]
    content["grid"][0]["take_up"] = 2
    return content


@pytest.mark.usefixtures("nothing_is_fitted")
def test_a_faulty_playbook_is_one_error_that_names_file_and_every_key(lines: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(playbook_without_a_plan()), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        train_on(tmp_path, lines, actions={"playbook": str(path)})
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert "grid.0.take_up" in message and "pareto_tier: no plan for A" in message
    with pytest.raises(InputError, match=r"mein\.yaml: no such config file \(did you mean .*mine\.yaml"):
        train_on(tmp_path, lines, actions={"playbook": str(tmp_path / "mein.yaml")})


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"customer": ["a"], "save_rate": [0.1]}, "no column customer_id"),
        ({"customer_id": ["a", "a"], "save_rate": [0.1, 0.2]}, "1 rows repeat a customer"),
        ({"customer_id": ["a"], "save_rate": [0.1]}, "300 of 300 scored customers have no save_rate from -1 to 1"),
        ({"customer_id": ["a"], "save_rate": ["many"]}, "the column save_rate holds text, not numbers"),
        (None, "no such file"),
    ],
)
@pytest.mark.usefixtures("nothing_is_fitted")
def test_faulty_save_rates_are_one_error_that_names_the_file(
    lines: pd.DataFrame, tmp_path: Path, table: dict[str, Any] | None, says: str
) -> None:
    path = tmp_path / "rates.csv"
    if table is not None:
        pd.DataFrame(table).to_csv(path, index=False)
    with pytest.raises(InputError, match=says) as caught:
        train_on(tmp_path, lines, actions={"save_rates": str(path)})
    assert str(path) in str(caught.value)


@pytest.mark.usefixtures("nothing_is_fitted")
def test_one_acquisition_cost_serves_for_all_and_a_negative_one_is_refused(lines: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"segments.*acquisition_cost: must not be negative; got -3"):
        train_on(tmp_path, lines, segments={"acquisition_cost": -3.0})
    with pytest.raises(AssertionError, match="models were fitted"):
        train_on(tmp_path, lines, segments={"acquisition_cost": 3})


def test_customers_whose_first_purchase_is_to_come_are_no_prospects(own_run: Run, given: pd.DataFrame) -> None:
    assert own_run.windows.score_as_of > date(2024, 6, 30)
    later = own_run.scores.index.difference(own_run.judged.index)
    assert len(later) > 0
    assert not set(later) & set(own_run.segmentation.prospects)
