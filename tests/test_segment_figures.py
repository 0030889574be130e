"""What the figures of segments promise: the right numbers in the right places, whatever the segments are like."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from churn_clv.delivery import segment_figure_words as words
from churn_clv.delivery.figure_words import words_of
from churn_clv.errors import InputError
from churn_clv.evaluation import movement_figures, segment_figures
from churn_clv.evaluation.figure_style import WIDTH, style
from churn_clv.evaluation.labels import Unit
from churn_clv.evaluation.segment_drawings import SEGMENT_DRAWINGS, cells, stage_flows
from churn_clv.segments import migration, rfm
from churn_clv.segments.cluster_words import describe, differences
from churn_clv.segments.clusters import fit_kmeans
from churn_clv.segments.concentration import concentration_curve, share_bringing
from churn_clv.segments.outcomes import outcomes_by
from churn_clv.train import Run

EUR, COUNTED = Unit("EUR"), Unit(None, "purchases")
BEFORE, AFTER, LATER = date(2024, 1, 31), date(2024, 7, 31), date(2025, 1, 31)
CELLS = [
    "Core",
    "Wavering core",
    "Leaving core",
    "Steady",
    "Drifting",
    "Fading",
    "Small regulars",
    "Occasional",
    "Dormant",
]
ODD = [r"$\frac{a$", "<b>bold</b>", "a name far longer than any column of a figure is wide"]


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    """Scores and outcomes of 400 customers drawn by lot, with RFM scores and a stage."""
    rng = np.random.default_rng(11)
    n = 400
    age = rng.uniform(50, 700, n)
    frame = pd.DataFrame({"T": age, "recency": age * rng.random(n), "frequency": rng.poisson(2, n).astype(float)})
    frame["monetary_value"], frame["expected_spend"] = rng.exponential(30, n), rng.exponential(20, n)
    frame["churn_probability"], frame["purchases"] = rng.random(n), rng.poisson(0.8, n)
    frame["spend"] = frame["purchases"] * rng.exponential(25, n)
    scores = rfm.rfm_scores(frame)
    stage = pd.Series(rng.choice(["new", "loyal", "lost"], n), index=frame.index)
    return frame.join(scores).assign(rfm_segment=rfm.rfm_segments(scores), stage=stage)


def drawn(figure: Figure) -> list[str]:
    """The texts of a figure that draws without a warning; as they stand on the page."""
    with warnings.catch_warnings(), style():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png", dpi=60)
    return [t.get_text().replace(r"\$", "$") for t in texts(figure)]


def texts(figure: Figure) -> Iterator[Text]:
    yield from (t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip())


def placements(names: list[str], n: int = 300, seed: int = 2) -> tuple[pd.Series, pd.Series]:
    """Two placements by lot, of which the later misses some of the earlier customers and has new ones."""
    rng = np.random.default_rng(seed)
    before, after = (pd.Series(rng.choice(names, n), index=range(start, start + n)) for start in (0, 40))
    return before, after


def every_figure(judged: pd.DataFrame) -> dict[str, Callable[[], Figure]]:
    before, after = placements(CELLS)
    stages = placements(["new", "loyal", "lost"])
    clusters, features = small_clusters()
    return {
        "rfm": lambda: segment_figures.rfm_figure(judged, EUR, 180),
        "flow": lambda: movement_figures.lifecycle_flow(
            migration.flows(*stages, ["new", "loyal", "lost"]), ["new", "loyal", "lost"], BEFORE, AFTER
        ),
        "pareto": lambda: segment_figures.pareto_curve({"realised": concentration_curve(judged["spend"])}, EUR),
        "clusters": lambda: segment_figures.cluster_profile(
            differences(clusters, features), describe(clusters, features)
        ),
        "migration": lambda: movement_figures.migration_figure(
            migration.migration_matrix(before, after, CELLS), BEFORE, AFTER, CELLS
        ),
        "outcomes": lambda: segment_figures.segment_outcomes(outcomes_by(judged, "stage"), "stage", EUR),
        "budget": lambda: segment_figures.budget_figure(budget(CELLS), EUR),
    }


def small_clusters() -> tuple:
    rng = np.random.default_rng(3)
    features = pd.DataFrame({"frequency": np.repeat([1.0, 9.0], 30) + rng.random(60), "home": ["a", "b"] * 30})
    return fit_kmeans(features, features["frequency"], numbers=[2]), features


def budget(names: list[str]) -> pd.DataFrame:
    n = np.arange(len(names))
    table = pd.DataFrame({"customers": 100 * n, "contacted": 10 * n, "outlay": 17.0 * n}, index=names)
    return table.assign(contact_profit=20.0 * (n - 3) * (n > 0))


@pytest.mark.parametrize("name", ["rfm", "flow", "pareto", "clusters", "migration", "outcomes", "budget"])
def test_every_figure_draws_quietly_at_report_width_with_readable_letters(name: str, judged: pd.DataFrame) -> None:
    figure = every_figure(judged)[name]()
    drawn(figure)
    assert figure.get_figwidth() == pytest.approx(WIDTH, abs=0.01)
    assert min(t.get_fontsize() for t in texts(figure)) >= 9
    for panel in figure.axes:
        assert panel.get_ylabel() or panel.get_shared_y_axes().get_siblings(panel)
        assert panel.get_xlabel() or panel.get_label() == "<colorbar>"


@pytest.mark.parametrize("name", ["rfm", "flow", "pareto", "clusters", "migration", "outcomes", "budget"])
def test_nothing_leaves_the_page(name: str, judged: pd.DataFrame) -> None:
    figure = every_figure(judged)[name]()
    with style():
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    # In inches; half a point is less than the width of a line.
    assert min(box.x0, box.y0) > -0.5 / 72
    assert box.x1 < figure.get_figwidth() + 0.5 / 72 and box.y1 < figure.get_figheight() + 0.5 / 72


@pytest.mark.parametrize("name", ["rfm", "migration"])
def test_the_numbers_of_a_cell_stay_inside_it(name: str, judged: pd.DataFrame) -> None:
    figure = every_figure(judged)[name]()
    with style():
        figure.draw_without_rendering()
    axes = figure.axes[0]
    wide, high = axes.transData.transform((1, 1)) - axes.transData.transform((0, 0))
    written = [t for t in axes.texts if t.get_text()]
    assert max(t.get_window_extent().width for t in written) < abs(wide)
    assert max(t.get_window_extent().height for t in written) < abs(high)


def test_drawing_the_same_frame_twice_gives_the_same_picture(judged: pd.DataFrame) -> None:
    pictures = []
    for _ in range(2):
        with style():
            segment_figures.rfm_figure(judged, EUR, 180).savefig(picture := io.BytesIO(), format="png", dpi=60)
        pictures.append(picture.getvalue())
    assert pictures[0] == pictures[1]


def test_drawing_changes_neither_its_frames_nor_matplotlibs_settings(judged: pd.DataFrame) -> None:
    import matplotlib

    before, settings = judged.copy(), dict(matplotlib.rcParams)
    for draw in every_figure(judged).values():
        draw()
    pd.testing.assert_frame_equal(judged, before)
    assert dict(matplotlib.rcParams) == settings


def test_numbers_are_written_light_on_dark_and_dark_on_light() -> None:
    two = pd.DataFrame({"recency_score": [1, 5], "frequency_score": [1, 5], "purchases": [0, 1], "spend": [0.0, 7.5]})
    ink = {t.get_text(): t.get_color() for t in segment_figures.rfm_figure(two, EUR, 30).axes[0].texts}
    assert (ink["churn 100 %"], ink["churn 0 %"]) == ("white", "black")


# RFM


def test_rfm_names_each_segment_once_and_counts_every_customer(judged: pd.DataFrame) -> None:
    figure = segment_figures.rfm_figure(judged, EUR, 180)
    shown = drawn(figure)
    for name in rfm.REGIONS:
        bold = [t.get_text() for t in texts(figure) if t.get_fontweight() == "bold"]
        assert sum(" ".join(pair) == name or pair[0] == name for pair in zip(bold, [*bold[1:], ""], strict=True)) == 1
    counts = [int(t.replace(",", "")) for t in shown if t.replace(",", "").isdigit()]
    # The tick labels 2, 3 and 4 of both axes are numbers too.
    assert sum(counts) == len(judged) + 2 * (2 + 3 + 4)


def test_rfm_says_the_churn_of_a_cell_and_what_the_scores_mean(judged: pd.DataFrame) -> None:
    shown = drawn(segment_figures.rfm_figure(judged, EUR, 180))
    best = judged[(judged["recency_score"] == 5) & (judged["frequency_score"] == 5)]
    assert f"churn {100 * (best['purchases'] == 0).mean():.0f} %" in shown
    assert {"5\nmost recent", "1\nlongest ago", "5\nmost", "1\nfewest"} <= set(shown)
    assert any("EUR" in t and "180 days" in t for t in shown)


def test_rfm_puts_the_best_customers_at_the_upper_right() -> None:
    one = pd.DataFrame({"recency_score": [5], "frequency_score": [5], "purchases": [1], "spend": [7.5]})
    figure = segment_figures.rfm_figure(one, EUR, 30)
    shown = drawn(figure)
    assert shown.count("nobody") == 24
    axes = figure.axes[0]
    at = next(t for t in axes.texts if t.get_text() == "spend 7.5")
    assert at.xy == (5, 5)
    assert axes.get_xlim()[0] < axes.get_xlim()[1] and axes.get_ylim()[0] < axes.get_ylim()[1]


def test_rfm_hatches_a_cell_without_customers() -> None:
    one = pd.DataFrame({"recency_score": [1, 1], "frequency_score": [1, 2], "purchases": [0, 0], "spend": 0.0})
    figure = segment_figures.rfm_figure(one, COUNTED, 30)
    hatched = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]
    assert len(hatched) == 23
    assert "purchases 0" in drawn(figure)


# Flows and migration


def test_the_bars_of_a_flow_are_as_high_as_their_stages_are_large() -> None:
    before, after = placements(["new", "loyal", "lost"])
    order = ["new", "loyal", "lost"]
    shown = drawn(movement_figures.lifecycle_flow(migration.flows(before, after, order), order, BEFORE, AFTER))
    for placed in (before, after):
        for name, n in placed.value_counts().items():
            assert f"{name} {n}" in shown
    assert {"to come 40", "gone 40", "31 January 2024", "31 July 2024"} <= set(shown)


def span(values: np.ndarray) -> tuple[float, float]:
    return round(float(values.min()), 9), round(float(values.max()), 9)


def test_the_bands_of_a_flow_fill_their_bars() -> None:
    order = ["x", "y"]
    flows = migration.flows(pd.Series(["x"] * 3 + ["y"]), pd.Series(["x", "y", "y", "y"]), order)
    figure = movement_figures.lifecycle_flow(flows, order, BEFORE, AFTER)
    paths = [path.vertices for band in figure.axes[0].collections for path in band.get_paths()]
    left, right = (sorted(span(path[path[:, 0] == at(path[:, 0]), 1]) for path in paths) for at in (np.min, np.max))
    # By hand: x of three customers sends one to x and two to y; y sends its one to y. The gap is .03 x 4.
    assert left == [(0, 1), (1, 3), (3.12, 4.12)]
    assert right == [(0, 1), (1.12, 3.12), (3.12, 4.12)]


def test_a_flow_over_three_dates_has_three_columns() -> None:
    order = ["new", "loyal", "lost"]
    one, two = placements(order)
    steps = [migration.flows(one, two, order), migration.flows(two, one, order)]
    shown = drawn(movement_figures.lifecycle_flow(steps, order, BEFORE, AFTER, LATER))
    assert {"31 January 2024", "31 July 2024", "31 January 2025"} <= set(shown)
    assert sum(t.startswith("loyal ") for t in shown) == 3


def test_a_flow_with_too_few_dates_is_refused() -> None:
    flows = migration.flows(pd.Series(["x"]), pd.Series(["x"]))
    with pytest.raises(ValueError, match="between 2 days: got 1"):
        movement_figures.lifecycle_flow(flows, ["x"], BEFORE)


@pytest.mark.parametrize("order", [["only"], ODD, [f"stage {k}" for k in range(20)]])
def test_a_flow_of_any_stages_is_drawn(order: list[str]) -> None:
    shown = drawn(movement_figures.lifecycle_flow(migration.flows(*placements(order), order), order, BEFORE, AFTER))
    assert any(t.startswith(order[0][:14]) for t in shown)


def test_a_flow_of_nobody_is_drawn_empty() -> None:
    nobody = pd.Series([], dtype=object)
    figure = movement_figures.lifecycle_flow(migration.flows(nobody, nobody, ["x"]), ["x"], BEFORE, AFTER)
    assert {"31 January 2024", "31 July 2024"} <= set(drawn(figure))
    axes = figure.axes[0]
    assert [*axes.patches, *axes.collections, *axes.texts] == [], "bars, bands or counts of nobody"


def test_migration_shows_the_share_of_the_row_and_the_count_of_each_pair() -> None:
    matrix = migration.migration_matrix(pd.Series(["a"] * 4 + ["b"]), pd.Series(["a", "b", "b", "b", "a"]), ["a", "b"])
    figure = movement_figures.migration_figure(matrix, BEFORE, AFTER, ["a", "b"])
    drawn(figure)
    written = {(*t.xy, t.get_text()) for t in figure.axes[0].texts}
    # (column, row): of the four of a, one stayed and three went to b; the one of b went to a.
    assert {(0, 0, "25 %"), (0, 0, "1"), (1, 0, "75 %"), (1, 0, "3"), (0, 1, "100 %"), (0, 1, "1")} == written


def test_migration_outlines_the_diagonal_and_sets_the_new_and_the_gone_apart() -> None:
    matrix = migration.migration_matrix(*placements(CELLS), CELLS)
    figure = movement_figures.migration_figure(matrix, BEFORE, AFTER, CELLS)
    shown = drawn(figure)
    axes = figure.axes[0]
    outlined = [p.get_xy() for p in axes.patches if not p.get_fill()]
    assert outlined == [(k - 0.5, k - 0.5) for k in range(9)]
    assert axes.get_yticks()[-1] - axes.get_yticks()[-2] > 1.2
    assert {"not yet customers (40)", "no longer placed"} <= set(shown)


def test_migration_leaves_out_the_new_and_the_gone_where_there_are_none() -> None:
    placed = pd.Series(["a", "b"])
    matrix = migration.migration_matrix(placed, placed, ["a", "b", "empty"])
    shown = drawn(movement_figures.migration_figure(matrix, BEFORE, AFTER, ["a", "b", "empty"]))
    assert "empty (0)" in shown
    assert not any("not yet" in t or t == "no longer placed" for t in shown)


@pytest.mark.parametrize("order", [["only"], ODD, [f"cluster {k}" for k in range(1, 21)]])
def test_migration_between_any_segments_is_drawn(order: list[str]) -> None:
    matrix = migration.migration_matrix(*placements(order, 3000), order)
    figure = movement_figures.migration_figure(matrix, BEFORE, AFTER, order)
    assert any(t.startswith(order[0][:20]) for t in drawn(figure))


def test_a_number_of_six_digits_fits_a_small_cell() -> None:
    matrix = pd.DataFrame([[1_234_567]], ["a"], ["a"])
    assert "1,235k" in drawn(movement_figures.migration_figure(matrix, BEFORE, AFTER, ["a"]))


# Concentration


def test_the_crossing_agrees_with_the_count_of_customers_to_one_of_them() -> None:
    value = pd.Series(np.random.default_rng(5).exponential(size=500) ** 2)
    assert segment_figures.crossing(concentration_curve(value)) == pytest.approx(share_bringing(value), abs=1 / 500)


def test_pareto_labels_each_curve_with_its_crossing() -> None:
    curve = pd.DataFrame({"customers_share": [0, 0.18, 1], "value_share": [0, 0.8, 1]})
    shown = drawn(segment_figures.pareto_curve({"CLV": curve, "two $ and $": curve}, EUR))
    assert {"CLV: 18 % of customers bring 80 %", "two $ and $: 18 % of customers bring 80 %"} <= set(shown)


def test_a_curve_of_losses_and_one_without_a_total_are_drawn() -> None:
    curves = {"loss": concentration_curve(pd.Series([9.0, -4, -4])), "none": concentration_curve(pd.Series([0.0, 0]))}
    figure = segment_figures.pareto_curve(curves, EUR)
    assert "none: no positive total, so no shares" in drawn(figure)
    assert figure.axes[0].get_ylim()[1] > 9


def test_no_curve_at_all_leaves_the_diagonal() -> None:
    assert "if all brought the same" in drawn(segment_figures.pareto_curve({}, COUNTED))


# Clusters


def test_the_profile_shows_signed_differences_and_sizes_and_no_code_names() -> None:
    clusters, features = small_clusters()
    told = differences(clusters, features)
    shown = drawn(segment_figures.cluster_profile(told, describe(clusters, features)))
    assert {"+1.0", "\N{MINUS SIGN}1.0", "repeat purchases", "home: a", "cluster 1\n30\n50 %"} <= set(shown)


def test_more_and_less_than_everyone_have_different_colours() -> None:
    clusters, features = small_clusters()
    figure = segment_figures.cluster_profile(differences(clusters, features), describe(clusters, features))
    low, high = (next(p for p in figure.axes[0].patches if p.get_xy() == (x - 0.5, -0.5)) for x in (1, 0))
    assert low.get_facecolor()[2] > low.get_facecolor()[0]  # violet
    assert high.get_facecolor()[0] > high.get_facecolor()[2]  # orange


def test_one_cluster_without_any_difference_is_said_to_have_none() -> None:
    features = pd.DataFrame({"frequency": [1.0, 1.0, 1.0]})
    clusters = fit_kmeans(features, features["frequency"])
    shown = drawn(segment_figures.cluster_profile(differences(clusters, features), describe(clusters, features)))
    assert any(t.startswith("No feature differs") for t in shown)


def test_twenty_clusters_and_an_empty_one_are_drawn_with_the_most_telling_features() -> None:
    rng = np.random.default_rng(6)
    names = [f"cluster {k}" for k in range(1, 21)]
    pairs = [(c, f"$feature_{f}$", "", rng.normal() * (f + 1)) for c in names[:-1] for f in range(25)]
    told = pd.DataFrame(pairs, columns=["cluster", "feature", "level", "difference"])
    sizes = pd.DataFrame({"customers": [50] * 19 + [0], "share": [1 / 19] * 19 + [0.0]}, index=names)
    figure = segment_figures.cluster_profile(told, sizes)
    shown = drawn(figure)
    assert "cluster\n20\n0\n0 %" in shown
    assert "$feature_24$" in shown and "$feature_0$" not in shown
    assert any("9 features that differ less are not shown" in t for t in shown)
    assert len([p for p in figure.axes[0].patches if p.get_hatch()]) == segment_figures.MOST_FEATURES


# Outcomes and budget


def test_outcomes_are_plain_rates_and_means_of_each_segment(judged: pd.DataFrame) -> None:
    table = outcomes_by(judged, "stage", ["lost", "loyal", "new"])
    assert table.index.tolist() == ["lost", "loyal", "new"]
    for name, row in table.iterrows():
        own = judged[judged["stage"] == name]
        assert row["customers"] == len(own)
        assert row["realised_churn"] == pytest.approx((own["purchases"] == 0).mean(), rel=1e-12)
        assert row["realised_spend"] == pytest.approx(own["spend"].mean(), rel=1e-12)
        half = 1.96 * own["spend"].std(ddof=1) / np.sqrt(len(own))
        assert row["realised_spend_high"] - row["realised_spend"] == pytest.approx(half, rel=1e-9)
        assert row["expected_spend"] == pytest.approx(own["expected_spend"].mean(), rel=1e-12)
    assert table["share"].sum() == pytest.approx(1)


def test_the_interval_of_churn_is_wilsons() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 15 of 148 gives 0.0624 to 0.1605.
    judged = pd.DataFrame(
        {"purchases": [0] * 15 + [1] * 133, "spend": 1.0, "churn_probability": 0.1, "expected_spend": 1.0}
    )
    row = outcomes_by(judged.assign(all="x"), "all").loc["x"]
    assert [row["realised_churn_low"], row["realised_churn_high"]] == pytest.approx([0.0624, 0.1605], abs=5e-5)


def test_an_empty_segment_keeps_its_row_and_one_customer_has_no_interval_of_spend(judged: pd.DataFrame) -> None:
    table = outcomes_by(judged.head(1).assign(stage="loyal"), "stage", ["loyal", "lost"])
    assert table["customers"].tolist() == [1, 0]
    assert table.loc["lost"].drop(["customers", "share"]).isna().all()
    assert np.isnan(table.loc["loyal", "realised_spend_low"])
    assert np.isfinite(table.loc["loyal", "realised_churn_low"])


def test_outcomes_know_no_order_of_rows(judged: pd.DataFrame) -> None:
    shuffled = judged.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(outcomes_by(shuffled, "stage"), outcomes_by(judged, "stage"), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "unheard of"}, "400 customers are in .*unheard of"),
        ({"stage": None}, "400 of 400 judged customers have no stage"),
        ({"spend": np.nan}, "400 of 400 judged customers miss one of"),
    ],
)
def test_outcomes_of_unplaced_or_unjudged_customers_are_refused(
    change: dict, message: str, judged: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=message):
        outcomes_by(judged.assign(**change), "stage", ["new", "loyal", "lost"])


def test_outcomes_without_the_scheme_are_refused(judged: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="outcomes by tier need tier"):
        outcomes_by(judged, "tier")


@pytest.mark.parametrize("names", [["only"], ODD, [f"cluster {k}" for k in range(1, 21)]])
def test_outcomes_of_any_segments_are_drawn(names: list[str], judged: pd.DataFrame) -> None:
    placed = judged.assign(stage=[names[k % len(names)] for k in range(len(judged))])
    table = outcomes_by(placed, "stage", [*names, "empty"])
    shown = drawn(segment_figures.segment_outcomes(table, "kind of $", COUNTED))
    assert "empty\n0 customers" in shown
    assert shown.count("nobody") == 2
    assert any(t.startswith(names[0][:20]) for t in shown)
    assert "mean purchases a customer, purchases" in shown


def test_forecast_and_outcome_stand_where_their_numbers_are(judged: pd.DataFrame) -> None:
    table = outcomes_by(judged, "stage")
    left, right = segment_figures.segment_outcomes(table, "stage", EUR).axes
    for axes, realised, forecast in (
        (left, "realised_churn", "churn_probability"),
        (right, "realised_spend", "expected_spend"),
    ):
        by_marker = {line.get_marker(): line.get_xdata() for line in axes.lines}
        assert np.asarray(by_marker["o"]) == pytest.approx(table[realised].to_numpy())
        assert np.asarray(by_marker["D"]) == pytest.approx(table[forecast].to_numpy())


def test_the_budget_names_who_is_contacted_and_what_it_earns() -> None:
    figure = segment_figures.budget_figure(budget(["none at all", *ODD]), EUR)
    shown = drawn(figure)
    assert {"none at all\n0 of 0 contacted", "<b>bold</b>\n20 of 200 contacted", "no customers", "17", "-20"} <= set(
        shown
    )
    assert "total of the segment, EUR" in shown


def test_a_budget_without_amounts_draws_no_bars_and_still_counts() -> None:
    table = budget(["a", "b"]).assign(outlay=np.nan, contact_profit=np.nan)
    assert "b\n10 of 100 contacted" in drawn(segment_figures.budget_figure(table, COUNTED))


def test_a_segment_whose_customers_are_not_contacted_says_so() -> None:
    table = pd.DataFrame({"customers": [5], "contacted": [0], "outlay": [0.0], "contact_profit": [0.0]}, index=["x"])
    assert "nobody contacted" in drawn(segment_figures.budget_figure(table, EUR))


# Words


def test_words_tell_the_numbers_of_the_figure_to_who_cannot_see_it(judged: pd.DataFrame) -> None:
    told = words.rfm_words(judged, 180).alternative
    champions = judged[judged["rfm_segment"] == "champions"]
    assert f"champions {len(champions)} customers, churn {100 * (champions['purchases'] == 0).mean():.0f} %" in told
    curve = pd.DataFrame({"customers_share": [0, 0.18, 1], "value_share": [0, 0.8, 1]})
    assert "CLV: 18 % of the customers bring 80 %" in words.pareto_words({"CLV": curve}).alternative
    table = outcomes_by(judged, "stage", ["new", "loyal", "lost", "empty"])
    outcome = words.outcomes_words(table, "stage", EUR).alternative
    assert f"new, {table.loc['new', 'customers']} customers: churn" in outcome
    assert "empty" not in outcome


def test_words_of_moves_count_stayers_among_those_of_both_days() -> None:
    before, after = pd.Series({1: "x", 2: "x", 3: "y"}), pd.Series({2: "x", 3: "x", 4: "y"})
    flow = words.lifecycle_flow_words(migration.flows(before, after, ["x", "y"]), BEFORE, AFTER).alternative
    assert "1 of the 2 customers of both days stayed" in flow
    assert "not yet customers to y 1" in flow
    moved = words.migration_words(migration.migration_matrix(before, after, ["x", "y"]), BEFORE, AFTER).alternative
    assert (
        "Of 2 customers in both, 50 % stayed in their segment; by segment: x 50 %, y 0 %. New: 1; no longer placed: 1."
        in moved
    )


def test_words_of_clusters_and_budgets_name_them() -> None:
    clusters, features = small_clusters()
    told = words.cluster_profile_words(differences(clusters, features), describe(clusters, features)).alternative
    assert "cluster 1, 30 customers (50 %): repeat purchases +1.0" in told
    spent = words.budget_words(budget(["none", "some"]), EUR)
    assert "some 10 of 100, outlay 17, profit -40" in spent.alternative
    assert "uplift" in spent.caption
    assert "nobody is contacted" in words.budget_words(budget(["none"]), EUR).alternative


def test_words_of_retention_weigh_cohorts_by_their_size_and_leave_unfinished_periods_out() -> None:
    ages = pd.MultiIndex.from_tuples([("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)], names=["cohort", "age"])
    activity = pd.DataFrame({"customers": [30, 30, 30, 10, 10], "active": [30, 6, 3, 10, 4]}, index=ages)
    told = words.retention_words(activity.assign(complete=True), "month").alternative
    # By hand: (6 + 4) of 40 after one month; 3 of 30 after two, which only the older cohort has seen.
    assert "1 month after their first, 25 % of the customers of 2 cohorts bought" in told
    assert "2 months after their first, 10 % of the customers of 1 cohort bought" in told
    cut = words.retention_words(activity.assign(complete=[True, False, False, False, False]), "month").alternative
    assert "2 cohorts with 40 customers by age. No age is over." in cut


def test_words_of_cohort_calibration_name_the_cohort_outside() -> None:
    churn = {"customers": 99, "churn_forecast": 0.5, "churn_realised": 0.7, "churn_low": 0.6, "churn_high": 0.78}
    table = pd.DataFrame([churn | {"churn_verdict": "outside"}], index=["1997-01"])
    assert "outside: 1997-01" in words.cohort_calibration_words(table, EUR).alternative


# Of a run


@pytest.mark.parametrize("name", SEGMENT_DRAWINGS)
def test_a_run_draws_and_describes_each_of_its_segment_figures(name: str, small_run: Run) -> None:
    assert drawn(SEGMENT_DRAWINGS[name](small_run))
    told = words_of(name, small_run)
    assert told.caption != name.replace("_", " ")
    assert "nan" not in told.alternative


def test_the_flow_of_a_run_ends_with_the_judged_customers(small_run: Run) -> None:
    steps, days = stage_flows(small_run)
    assert days[-1] == small_run.windows.calibration_end
    assert steps[-1]["customers"].sum() == len(small_run.judged)


def test_the_cells_of_a_run_are_each_named_once_from_the_best(small_run: Run) -> None:
    named = cells(small_run)
    assert sorted(named) == sorted(small_run.judged_grid["segment"])
    grid = small_run.judged_models.grid
    assert named[0] == small_run.judged_grid.loc[(grid.risk_tiers[0], grid.value_tiers[-1]), "segment"]
