"""What figures promise: right numbers behind them, units on their axes, letters large enough, no ids."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from churn_clv.data.feature_names import BEHAVIOURAL_NAMES
from churn_clv.data.transactions import read_transactions
from churn_clv.evaluation import accuracy_figures, figure_data, grid_figures
from churn_clv.evaluation.figure_style import style
from churn_clv.evaluation.figures import DRAWINGS, figures_of, not_drawn
from churn_clv.evaluation.labels import Unit, feature
from churn_clv.models import BetaGeoModel
from churn_clv.segments.grid import Grid, cell_table, place
from churn_clv.train import Run

# Fader, Hardie & Lee (2005), Marketing Science 24(2), section 4: CDNOW, in weeks.
CDNOW = BetaGeoModel.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)


@pytest.fixture(scope="module")
def figures(small_run: Run) -> dict[str, Figure]:
    return figures_of(small_run)


def saved(figure: Figure, kind: str = "svg") -> bytes:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def texts(figure: Figure) -> Iterator[Text]:
    figure.draw_without_rendering()
    yield from (t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip())


def test_every_figure_is_drawn_or_its_absence_explained(small_run: Run, figures: dict[str, Figure]) -> None:
    assert set(figures) | set(not_drawn(small_run)) == set(DRAWINGS)
    assert not set(figures) & set(not_drawn(small_run))


def test_every_panel_says_what_is_on_its_axes(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        for panel in figure.axes:
            labelled = [bool(panel.get_xlabel() or shared(panel, "x")), bool(panel.get_ylabel() or shared(panel, "y"))]
            is_bar = panel.get_label() == "<colorbar>"
            assert any(labelled) if is_bar else all(labelled), name


def shared(panel: Axes, which: str) -> bool:
    """Whether another panel carries the label of an axis that both share."""
    siblings = getattr(panel, f"get_shared_{which}_axes")().get_siblings(panel)
    return any(getattr(other, f"get_{which}label")() for other in siblings)


def test_no_letter_is_smaller_than_nine_points(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        assert min(t.get_fontsize() for t in texts(figure)) >= 9, name


def test_drawing_twice_gives_the_same_picture_to_the_byte(small_run: Run) -> None:
    once, again = figures_of(small_run), figures_of(small_run)
    assert saved(once["gain"]) == saved(again["gain"])
    assert saved(once["purchase_timing"]) == saved(again["purchase_timing"])


def test_drawing_leaves_matplotlibs_settings_and_pyplots_figures_alone(small_run: Run) -> None:
    import matplotlib
    from matplotlib import pyplot

    before, opened = dict(matplotlib.rcParams), pyplot.get_fignums()
    figures_of(small_run)
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == opened


def test_the_judged_grid_shows_each_cells_customers_and_churn(small_run: Run, figures: dict[str, Figure]) -> None:
    shown = [t.get_text() for t in texts(figures["grid_judged"])]
    for _, cell in small_run.judged_grid.iterrows():
        if cell["customers"]:
            assert any(text.startswith(f"{cell['customers']:,} (") for text in shown)
            assert any(text.startswith(f"churn {100 * cell['realised_churn']:.0f} %") for text in shown)


def test_a_grid_with_one_tier_and_empty_cells_is_drawn() -> None:
    scores = pd.DataFrame({"value_if_active": [1.0, 2.0], "churn_probability": [0.1, 0.2]})
    scores = scores.assign(expected_spend=1.0, value_at_risk=0.1, clv=2.0)
    grid = Grid((), (0.5,))
    placed = scores.join(place(grid, scores))
    table = cell_table(grid, placed, pd.DataFrame({"purchases": [1, 0], "spend": [3.0, 0.0]}))
    figure = grid_figures.judged_grid(table, grid, Unit("EUR"), 30)
    assert any("no customers" in t.get_text() for t in texts(figure))


def test_names_that_look_like_formulas_are_drawn_as_they_are() -> None:
    # Unescaped, matplotlib would stop with a parse error at the unfinished fraction.
    shares = pd.Series({r"$\frac{a$": 0.7, "<script>": 0.3})
    figure = accuracy_figures.importances(shares)
    assert {r"\$\frac{a\$", "<script>"} <= {t.get_text() for t in texts(figure)}
    saved(figure)


def test_calibration_curve_counts_each_customer_once_and_averages_by_hand() -> None:
    risk = pd.Series([0.1, 0.1, 0.1, 0.9])
    curve = figure_data.calibration_curve(pd.Series([0.0, 0.0, 1.0, 1.0]), risk, bins=2)
    assert curve["customers"].sum() == 4
    assert curve["realised"].iloc[-1] * curve["customers"].iloc[-1] + curve["realised"].iloc[:-1].dot(
        curve["customers"].iloc[:-1]
    ) == pytest.approx(2)


def test_equal_probabilities_make_one_bin() -> None:
    curve = figure_data.calibration_curve(pd.Series([0.0, 1.0, 1.0, 1.0]), pd.Series([0.5] * 4))
    assert curve[["predicted", "realised", "customers"]].to_numpy().tolist() == [[0.5, 0.75, 4]]


def test_gain_by_the_outcome_itself_lies_above_gain_by_any_forecast() -> None:
    rng = np.random.default_rng(3)
    actual, predicted = pd.Series(rng.exponential(size=300)), pd.Series(rng.random(300))
    best, curve = figure_data.gain_curve(actual, actual), figure_data.gain_curve(actual, predicted)
    at = np.linspace(0, 1, 41)
    above = np.interp(at, best["customers"], best["total"]) - np.interp(at, curve["customers"], curve["total"])
    assert above.min() >= -1e-12
    assert curve.iloc[-1].tolist() == pytest.approx([1, 1])


def test_a_forecast_without_information_gains_along_the_diagonal() -> None:
    curve = figure_data.gain_curve(pd.Series([4.0, 0.0, 1.0]), pd.Series([2.0, 2.0, 2.0]))
    assert curve.to_numpy().tolist() == [[0, 0], [1, 1]]


def test_deciles_average_to_the_whole() -> None:
    rng = np.random.default_rng(4)
    actual, predicted = pd.Series(rng.exponential(size=237)), pd.Series(rng.random(237).round(1))
    table = figure_data.deciles(actual, predicted)
    assert table["customers"].sum() == 237
    assert np.average(table["actual"], weights=table["customers"]) == pytest.approx(actual.mean())
    assert np.average(table["lift"], weights=table["customers"]) == pytest.approx(1)
    assert table["expected"].is_monotonic_decreasing


def test_tenths_know_no_order_of_rows() -> None:
    rng = np.random.default_rng(5)
    actual, predicted = pd.Series(rng.exponential(size=90)), pd.Series(rng.integers(0, 4, 90).astype(float))
    churned = (actual < 0.3).astype(float)
    order = rng.permutation(90)
    shuffled = figure_data.deciles(*(series.iloc[order] for series in (actual, predicted, churned)))
    pd.testing.assert_frame_equal(shuffled, figure_data.deciles(actual, predicted, churned), rtol=1e-12)


def test_the_interval_of_a_tenth_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(6)
    actual, predicted = pd.Series(rng.exponential(size=200)), pd.Series(np.arange(200.0)[::-1])
    table = figure_data.deciles(actual, predicted)
    first = actual.iloc[:20]  # the twenty highest predictions, none equal
    assert table["actual"].iloc[0] == pytest.approx(first.mean(), rel=1e-12)
    assert table["high"].iloc[0] - first.mean() == pytest.approx(1.96 * first.std(ddof=1) / np.sqrt(20), rel=1e-9)
    assert table["actual_over_expected"].iloc[0] == pytest.approx(first.mean() / predicted.iloc[:20].mean(), rel=1e-12)


def test_fewer_than_ten_customers_are_drawn_with_fewer_bars() -> None:
    actual, predicted = pd.Series([3.0, 0.0, 1.0]), pd.Series([2.0, 1.0, 0.5])
    curve, best = figure_data.gain_curve(actual, predicted), figure_data.gain_curve(actual, actual)
    figure = accuracy_figures.gain(curve, best, figure_data.deciles(actual, predicted), Unit("EUR"), 30)
    assert list(figure.axes[1].get_xticks()) == [1, 2, 3]
    saved(figure)


def test_every_computed_feature_has_plain_words() -> None:
    named = {name: feature(name) for name in BEHAVIOURAL_NAMES}
    assert not [name for name, words in named.items() if words == name or "_" in words.replace("p_alive", "")]


def test_a_margin_is_never_called_spend() -> None:
    assert [Unit("EUR", kind).noun for kind in ("revenue", "margin", "purchases")] == ["spend", "margin", "purchases"]
    assert [Unit("EUR", kind).amount(3.0) for kind in ("revenue", "margin", "purchases")] == [
        "3 EUR",
        "3 EUR",
        "3 purchases",
    ]


def days_of(purchases: dict[str, list[int]], start: date) -> pd.DataFrame:
    rows = [(c, start + timedelta(days=d)) for c, days in purchases.items() for d in days]
    log = read_transactions(pd.DataFrame(rows, columns=["customer_id", "date"]).assign(amount=1.0))
    return figure_data.purchase_days(log, start + timedelta(days=28), start + timedelta(days=42))


def test_weekly_repeats_leave_first_purchases_and_later_customers_out() -> None:
    start = date(2024, 1, 1)
    days = days_of({"a": [0, 3, 10], "b": [20, 35], "late": [30, 36]}, start)
    weeks = figure_data.weekly_repeats(days, CDNOW, start + timedelta(days=28), start + timedelta(days=42))
    # Weeks end on days 7, 14, 21, 28, 35, 42: repeats on days 3 and 10 of a, 35 of b; "late" is not of the cohort.
    assert weeks["actual"].tolist() == [1, 1, 0, 0, 1, 0]
    assert weeks["actual_total"].tolist() == [1, 2, 2, 2, 3, 3]
    assert weeks.index[3].date() == start + timedelta(days=28)


def test_expected_tracking_starts_each_customer_on_her_own_first_day() -> None:
    start = date(2024, 1, 1)
    days = days_of({"a": [0, 3, 10], "b": [20, 35], "c": [20]}, start)
    weeks = figure_data.weekly_repeats(days, CDNOW, start + timedelta(days=28), start + timedelta(days=42))
    # Slow oracle: one customer at a time.
    for end, row in weeks.iterrows():
        ages = [(end.date() - start).days - first for first in (0, 20, 20)]
        oracle = sum(float(CDNOW.expected_purchases_new_customer(float(t))) for t in ages if t > 0)
        assert row["expected_total"] == pytest.approx(oracle, rel=1e-12)


def test_expected_repeat_counts_are_those_of_each_customer_added_up() -> None:
    age = pd.Series([30.0, 30.0, 12.0])
    counts = figure_data.repeat_counts(pd.Series([0.0, 9.0, 2.0]), age, CDNOW, top=3)
    oracle = [sum(CDNOW.purchase_count_pmf(None, n, T) for T in age) for n in range(3)]
    assert counts["expected"].iloc[:3].tolist() == pytest.approx(oracle, rel=1e-12)
    assert counts["expected"].sum() == pytest.approx(3, rel=1e-12)
    assert counts["actual"].tolist() == [1, 0, 1, 1]


def test_holdout_means_by_frequency_are_plain_means() -> None:
    ids = list("abcd")
    frequency, actual = pd.Series([0.0, 0.0, 5.0, 9.0], ids), pd.Series([1.0, 3.0, 4.0, 8.0], ids)
    forecasts = pd.DataFrame({"run": [2.0, 2.0, 6.0, 6.0]}, index=ids[::-1])  # other order: aligned by customer
    means = figure_data.means_by_frequency(frequency, actual, forecasts, top=5)
    assert means.index.tolist() == [0, 5]
    assert means[["actual", "run", "customers"]].to_numpy().tolist() == [[2, 6, 2], [6, 2, 2]]


def test_states_of_the_heat_map_are_possible_customers() -> None:
    states = figure_data.frequency_recency_states(40.0, 6)
    assert (states["frequency"] <= states["recency"]).all()
    assert (states["recency"] <= states["T"]).all()
    assert CDNOW.probability_alive(states).between(0, 1).all()


def test_the_sample_of_purchase_days_holds_rows_instead_of_ids() -> None:
    days = days_of({"canary-1": [0, 3], "canary-2": [1]}, date(2024, 1, 1))
    sample = figure_data.sample_of_days(days, 60, seed=1)
    assert sample.columns.tolist() == ["row", "day", "first"]
    assert sorted(zip(sample["row"], sample["first"], strict=True)) == [(0, False), (0, True), (1, True)]
    assert sample.index.tolist() == [0, 1, 2]
