"""The decile table: tenths added up by hand, ties shared out, and totals that are those of everyone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.deciles import decile_table

RNG = np.random.default_rng(9)
N = 230
PREDICTED = pd.Series(RNG.gamma(1, 20, N))
ACTUAL = pd.Series(np.where(RNG.random(N) < 0.5, 0.0, RNG.gamma(1, 30, N)))
CHURNED = (ACTUAL == 0).astype(float)


def test_each_tenth_adds_up_the_customers_ranked_there() -> None:
    order = np.argsort(-PREDICTED.to_numpy()).reshape(10, 23)  # no ties, tenths of 23 customers
    table = decile_table(ACTUAL, PREDICTED, CHURNED)
    assert table.index.tolist() == list(range(1, 11))
    assert table["customers"].tolist() == [23] * 10
    for name, values in (("predicted", PREDICTED.to_numpy()), ("actual", ACTUAL.to_numpy())):
        assert table[f"{name}_total"].to_numpy() == pytest.approx(values[order].sum(axis=1))
        assert table[f"{name}_mean"].to_numpy() == pytest.approx(values[order].mean(axis=1))
    ratio = ACTUAL.to_numpy()[order].sum(axis=1) / PREDICTED.to_numpy()[order].sum(axis=1)
    assert table["actual_over_predicted"].to_numpy() == pytest.approx(ratio)
    assert table["realised_churn"].to_numpy() == pytest.approx(CHURNED.to_numpy()[order].mean(axis=1))


@pytest.mark.parametrize("n", [1, 7, 10, 11, 95, 229])
def test_tenths_of_any_number_of_customers_add_up_to_everyone(n: int) -> None:
    table = decile_table(ACTUAL[:n], PREDICTED[:n], CHURNED[:n])
    assert table["customers"].sum() == n
    assert table["customers"].max() - table["customers"].min() <= 1
    assert len(table) == min(n, 10)
    assert table["actual_total"].sum() == pytest.approx(ACTUAL[:n].sum())
    assert table["predicted_total"].sum() == pytest.approx(PREDICTED[:n].sum())
    assert (table["realised_churn"] * table["customers"]).sum() == pytest.approx(CHURNED[:n].sum())


def test_rows_in_another_order_give_the_same_table_with_ties_too() -> None:
    tied = PREDICTED.round(-1)
    order = np.random.default_rng(1).permutation(N)
    once, again = (decile_table(ACTUAL.iloc[o], tied.iloc[o], CHURNED.iloc[o]) for o in (np.arange(N), order))
    pd.testing.assert_frame_equal(once, again, rtol=1e-12)


def test_customers_whom_the_model_cannot_tell_apart_share_their_total_evenly() -> None:
    table = decile_table(ACTUAL, pd.Series(2.0, ACTUAL.index), CHURNED)
    assert table["actual_mean"].to_numpy() == pytest.approx(np.full(10, ACTUAL.mean()))
    assert table["realised_churn"].to_numpy() == pytest.approx(np.full(10, CHURNED.mean()))


def test_a_cut_among_equals_gives_each_side_its_part_of_their_mean() -> None:
    # Twenty customers: one alone at the top, nineteen alike who spend 19 in total.
    actual = pd.Series([100.0, 19.0, *[0.0] * 18])
    table = decile_table(actual, pd.Series([9.0, *[1.0] * 19]))
    assert table["actual_total"].to_numpy() == pytest.approx([101.0, *[2.0] * 9])
    assert table["predicted_total"].to_numpy() == pytest.approx([10.0, *[2.0] * 9])


def test_where_nothing_was_predicted_there_is_no_ratio() -> None:
    table = decile_table(ACTUAL, PREDICTED * 0)
    assert table["actual_over_predicted"].isna().all()
    assert "realised_churn" not in table


def test_series_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="not indexed like"):
        decile_table(ACTUAL, PREDICTED.iloc[::-1])
    with pytest.raises(ValueError, match="missing for 1 of 230"):
        decile_table(ACTUAL.where(ACTUAL.index > 0), PREDICTED)
    with pytest.raises(ValueError, match="empty"):
        decile_table(ACTUAL[:0], PREDICTED[:0])
