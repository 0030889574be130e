"""What of a run's groups is shown: nothing from which a group that is left out could be worked out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.delivery.run_folder import metrics_of
from churn_clv.evaluation.shown import (
    SIZES,
    shown_acceptance,
    shown_budgets,
    shown_changes,
    shown_quality,
    withheld_ways,
)
from churn_clv.segment_sections import PrivacySection
from churn_clv.segments.quality import effective_number
from churn_clv.segments.small_groups import CONTACTS
from churn_clv.train import Run

TIERS = ("low", "mid", "high")


def run_of(**about: Any) -> Any:
    privacy = SimpleNamespace(smallest_group=10)
    return SimpleNamespace(config=SimpleNamespace(privacy=privacy), **about)


def budget(customers: np.ndarray, contacted: np.ndarray, names: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"customers": customers, "contacted": contacted}, index=names)
    return table.assign(outlay=2.0 * contacted, outlay_a_customer=1.0, contact_profit=3.0 * contacted, value=1.0)


def budgets_of(customers: np.ndarray, contacted: np.ndarray) -> Any:
    cells = [f"value {v}, risk {r}" for v in TIERS for r in TIERS]
    grid = budget(customers.ravel(), contacted.ravel(), cells)
    sums = {
        axis: budget(customers.sum(axis=k), contacted.sum(axis=k), [*TIERS])
        for axis, k in (("value_tier", 1), ("risk_tier", 0))
    }
    tables = {"segment": grid, **sums, "pareto_tier": sums["risk_tier"]}
    return run_of(segmentation=SimpleNamespace(budgets=tables), production_grid=grid)


def test_contacts_by_tier_are_not_told_where_those_of_a_cell_are_not() -> None:
    customers, contacted = np.full((3, 3), 100), np.full((3, 3), 50)
    contacted[0, 0] = 3
    found = shown_budgets(budgets_of(customers, contacted))
    assert found["segment"]["contacted"].isna().sum() == 2  # its own cell, and the next smallest
    for axis in ("value_tier", "risk_tier"):
        assert found[axis][[n for n in CONTACTS if n in found[axis]]].isna().all(axis=None)
        assert found[axis]["customers"].tolist() == [300, 300, 300]
    assert found["pareto_tier"]["contacted"].notna().all()


def test_budgets_by_tier_are_told_whole_where_every_cell_is_and_not_at_all_where_one_is_left_out() -> None:
    customers = np.full((3, 3), 100)
    whole = shown_budgets(budgets_of(customers, np.full((3, 3), 50)))
    assert all(table["contacted"].notna().all() for table in whole.values())
    customers[1, 1] = 4
    left = shown_budgets(budgets_of(customers, np.minimum(customers, 50)))
    assert set(left) == {"segment", "pareto_tier"}


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"up": 40, "down": 60, "stayed": 300}, {"up", "down"}),
        ({"up": 3, "down": 60, "stayed": 300}, set()),  # 60 go with the 3, or 363 less those who stayed would tell
        ({"up": 3, "down": 0, "stayed": 300}, set()),
        ({"up": 0, "down": 60, "stayed": 300}, {"down"}),
    ],
)
def test_moves_of_few_cannot_be_worked_out_from_the_other_moves(counts: dict[str, int], told: set[str]) -> None:
    rows = [
        {"move": way, "feature": name, "movers": counts[way], "stayers": counts["stayed"], "difference": 0.1}
        for way in ("up", "down") for name in ("a", "b") if counts[way]
    ]  # fmt: skip
    assert set(shown_changes(run_of(), pd.DataFrame(rows))["move"]) == told
    left = withheld_ways(run_of(), pd.Series(counts))
    assert {way for way in ("up", "down") if counts[way] and not left[way]} >= told


def test_no_size_of_a_scheme_with_a_group_that_is_left_out_is_told(small_run: Run) -> None:
    sizes = {scheme: small_run.judged[scheme].value_counts() for scheme in small_run.segmentation.quality.index}
    smallest = int(min(found.min() for found in sizes.values())) + 1
    config = small_run.config.model_copy(update={"privacy": PrivacySection(smallest_group=smallest)})
    shown, whole = shown_quality(replace(small_run, config=config)), shown_quality(small_run)
    hit = [scheme for scheme, found in sizes.items() if found.min() < smallest]
    assert hit and shown.loc[hit, list(SIZES)].isna().all(axis=None)
    rest = [scheme for scheme in shown.index if scheme not in hit]
    pd.testing.assert_frame_equal(shown.loc[rest], whole.loc[rest], check_dtype=False)
    pd.testing.assert_frame_equal(shown.drop(columns=[*SIZES]), whole.drop(columns=[*SIZES]))
    assert "missing_ids" not in shown


def test_how_evenly_a_grid_is_filled_is_not_told_where_a_cell_is_left_out(small_run: Run) -> None:
    """From 17 digits of it, and all cells but two, the two follow."""
    shares = small_run.judged["segment"].value_counts(normalize=True).to_numpy()
    told = metrics_of(small_run)["grid/effective_cells"]
    assert told == pytest.approx(effective_number(shares), rel=1e-12)
    smallest = int(small_run.judged_grid["customers"].min()) + 1
    config = small_run.config.model_copy(update={"privacy": PrivacySection(smallest_group=smallest)})
    hidden = replace(small_run, config=config)
    assert "grid/effective_cells" not in metrics_of(hidden)
    assert np.isnan(shown_acceptance(hidden).loc["effective_cells", "figure"])
