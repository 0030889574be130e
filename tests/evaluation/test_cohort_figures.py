"""Cohort figures: the numbers of their tables, hatched where a period is not over, blank where it lies ahead."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from churn_clv.data.cohorts import cohort_activity
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.evaluation.cohort_figures import MARKS, cohort_fits, cohort_forecasts, retention_heatmap
from churn_clv.evaluation.figure_style import style
from churn_clv.evaluation.labels import Unit
from churn_clv.segments.retention import retention


def activity_of(months: int, cohorts: int, complete: bool = False) -> pd.DataFrame:
    rows = {}
    for k in range(cohorts):
        for age in range(months - k):
            over = complete or age < months - k - 1
            rows[(f"2024-{k + 1:02d}", age)] = (100 * (k + 1), 100 * (k + 1) if age == 0 else 20 * k + age, over)
    index = pd.MultiIndex.from_tuples(rows, names=["cohort", "age"])
    return pd.DataFrame(list(rows.values()), index, columns=["customers", "active", "complete"])


def table_of(cohorts: int, names: tuple[str, ...] = ("churn", "purchases", "spend")) -> pd.DataFrame:
    index = [f"2024-{k + 1:02d}" for k in range(cohorts)]
    parts = {"customers": 1000 * (np.arange(cohorts) + 1)}
    for name in names:
        realised = np.linspace(0.3, 0.6, cohorts)
        parts |= {f"{name}_forecast": realised + 0.02, f"{name}_realised": realised, f"{name}_low": realised - 0.05}
        parts |= {f"{name}_high": realised + 0.05, f"{name}_verdict": "inside"}
    return pd.DataFrame(parts, index=index)


def texts(figure: Figure) -> list[Text]:
    figure.draw_without_rendering()
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def written(figure: Figure) -> list[str]:
    return [t.get_text() for t in texts(figure)]


def hatched(figure: Figure) -> list[tuple[float, float]]:
    return [p.get_xy() for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]


def test_cells_show_the_shares_sizes_stand_beside_and_age_zero_is_left_out() -> None:
    activity = activity_of(4, 3)
    figure = retention_heatmap(activity, "month")
    shown = written(figure)
    share = retention(activity)
    for cohort in share.index:
        for age in share.columns[1:]:
            if np.isfinite(share.loc[cohort, age]):
                assert f"{100 * share.loc[cohort, age]:.0f}" in shown
    assert {"2024-01 (100)", "2024-02 (200)", "2024-03 (300)"} <= set(shown)
    # by hand: 1 and 2 of 100, 21 of 200; the third cohort has no complete period but its own
    assert sorted(t.get_text() for t in figure.axes[0].texts) == ["1", "10", "2"]
    image = figure.axes[0].get_images()[0].get_array()
    assert image.shape == (3, 3)
    assert np.nanmax(image) < 1


def test_unfinished_periods_are_hatched_once_and_the_future_is_blank() -> None:
    figure = retention_heatmap(activity_of(5, 4), "month")
    # the last age of cohort k is 4 - k: cells (x - .5, y - .5)
    assert hatched(figure) == [(3.5, -0.5), (2.5, 0.5), (1.5, 1.5), (0.5, 2.5)]
    image = np.ma.filled(figure.axes[0].get_images()[0].get_array().astype(float), np.nan)
    expected = [[k + age < 4 for age in range(1, 5)] for k in range(4)]
    np.testing.assert_array_equal(np.isfinite(image), expected)


def test_a_day_that_ends_a_period_leaves_nothing_hatched() -> None:
    assert hatched(retention_heatmap(activity_of(5, 4, complete=True), "month")) == []


def test_many_ages_are_coloured_without_numbers() -> None:
    log = read_transactions(simulate_log(customers=200, seed=2, arrival_days=60))
    figure = retention_heatmap(cohort_activity(log, log.last_day, "week"), "week")
    assert not figure.axes[0].texts
    assert "week of the first purchase, from Monday\n(customers)" in written(figure)


@pytest.mark.parametrize("activity", [activity_of(1, 1), activity_of(2, 1), activity_of(2, 2), activity_of(1, 1, complete=True)])  # fmt: skip
def test_a_single_cohort_or_age_is_drawn(activity: pd.DataFrame) -> None:
    figure = retention_heatmap(activity, "year")
    assert "2024-01 (100)" in written(figure)
    saved(figure)


def saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_forecasts_and_outcomes_stand_at_their_cohorts_marked_by_verdict() -> None:
    table = table_of(4)
    table.loc["2024-02", "churn_verdict"] = "outside"
    table.loc["2024-03", ["spend_verdict", "spend_low", "spend_high"]] = ["too few", np.nan, np.nan]
    figure = cohort_forecasts(table, "month", Unit("EUR"), 90)
    for axes, name in zip(figure.axes, ("churn", "purchases", "spend"), strict=True):
        drawn = {line.get_label(): line for line in axes.lines}
        seen = {}
        for verdict, (_, _, label) in MARKS.items():
            if label in drawn:
                seen |= {int(y): (x, verdict) for x, y in zip(*drawn[label].get_data(), strict=True)}
        for place, cohort in enumerate(table.index):
            assert seen[place] == (table.loc[cohort, f"{name}_forecast"], table.loc[cohort, f"{name}_verdict"])
    assert {label for _, _, label in MARKS.values()} <= set(written(figure))
    assert "spend a customer, EUR\nin 90 days" in written(figure)
    assert "2024-04 (4,000)" in written(figure)


def test_without_amounts_spend_is_not_drawn_and_margin_is_called_so() -> None:
    assert len(cohort_forecasts(table_of(3), "month", Unit(None, "purchases"), 90).axes) == 2
    assert any("margin a customer" in t for t in written(cohort_forecasts(table_of(3), "month", Unit("EUR", "margin"), 90)))  # fmt: skip


def test_no_letter_is_smaller_than_nine_points_and_every_axis_is_named() -> None:
    fit = table_of(1, ("repeats",))
    figures = [
        retention_heatmap(activity_of(12, 12), "month"),
        cohort_forecasts(table_of(13), "week", Unit("A$"), 90),
        cohort_fits(fit, "year"),
    ]
    for figure in figures:
        assert min(t.get_fontsize() for t in texts(figure)) >= 9
        assert all(axes.get_xlabel() or axes.get_label() == "<colorbar>" for axes in figure.axes)
        assert figure.axes[0].get_ylabel()
        saved(figure)


def test_the_label_of_the_cohorts_stays_inside_the_figure_of_a_single_cohort() -> None:
    figure = cohort_fits(table_of(1, ("repeats",)), "quarter")
    figure.draw_without_rendering()
    box = figure.axes[0].yaxis.label.get_window_extent()
    title = figure._suptitle.get_window_extent()
    assert box.y1 <= title.y0
    assert box.y0 >= 0
