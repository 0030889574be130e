"""What the models' figures show is what the formulas say, and no run is too odd to be drawn."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from math import exp, lgamma, log

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from churn_clv.data.contract import Columns
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.figure_words import words_of
from churn_clv.evaluation import model_drawings, model_figure_data, model_figures
from churn_clv.evaluation.figure_style import style
from churn_clv.evaluation.labels import Unit
from churn_clv.evaluation.model_drawings import MODEL_DRAWINGS, model_figures_of, models_not_drawn
from churn_clv.evaluation.model_figure_data import (
    alive_over_time,
    clv_of_tenths,
    clv_with_intervals,
    lift_by_tenth,
    means_by_silence,
    model_customers,
    parameter_intervals,
    population_densities,
    population_traits,
    spend_density,
)
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.clv import discounted_clv
from churn_clv.models.distinct_rows import Histories
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.train import Run

# Fader, Hardie & Lee (2005), Marketing Science 24(2), section 4, and their Pareto/NBD of the same CDNOW sample, with the
# week as unit; Gamma-Gamma: Fader & Hardie (2013), note 025. Time scales times 7: the figures count in days.
BG = BetaGeoModel.from_params(r=0.243, alpha=7 * 4.414, a=0.793, b=2.426)
PARETO = ParetoNBDModel.from_params(r=0.553, alpha=7 * 10.578, s=0.606, beta=7 * 11.669)
SPEND = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
YEAR = 365.25


def texts(figure: Figure) -> Iterator[Text]:
    figure.draw_without_rendering()
    yield from (t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip())


def drawn(figure: Figure) -> Figure:
    """Render a figure; a warning is an error."""
    with style(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def labelled(panel: Axes, which: str) -> bool:
    siblings = getattr(panel, f"get_shared_{which}_axes")().get_siblings(panel)
    return any(getattr(other, f"get_{which}label")() for other in siblings)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw intervals roughly where only their being drawn is asked for."""
    monkeypatch.setattr(model_figure_data, "DRAWS", 20)


@pytest.fixture(scope="module")
def figures(small_run: Run) -> dict[str, Figure]:
    return {name: drawn(figure) for name, figure in model_figures_of(small_run).items()}


def test_every_figure_is_drawn_with_words_units_and_readable_letters(
    small_run: Run, figures: dict[str, Figure]
) -> None:
    assert set(figures) == set(MODEL_DRAWINGS)
    for name, figure in figures.items():
        assert all(labelled(panel, which) for panel in figure.axes for which in "xy"), name
        assert min(t.get_fontsize() for t in texts(figure)) >= 9, name
        words = words_of(name, small_run)
        assert len(words.alternative) > 60 < len(words.caption), name
        assert "nan" not in words.alternative


@pytest.mark.usefixtures("few_draws")
def test_no_figure_and_no_word_names_a_customer(small_run: Run) -> None:
    canary = {who: f"canary-{who}" for who in small_run.scores.index}
    lines = small_run.log.connection.table("transactions").df()
    marked = lines[["customer_id", "day", "amount"]].replace({"customer_id": canary}).rename(columns={"day": "date"})
    run = replace(small_run, log=read_transactions(marked), scores=small_run.scores.rename(index=canary),
                  judged=small_run.judged.rename(index=canary))  # fmt: skip
    for name, figure in model_figures_of(run).items():
        shown = [t.get_text() for t in texts(figure)] + list(words_of(name, run))
        assert not [text for text in shown if "canary" in text], name
    for table in (model_drawings.ranked(run), *model_drawings.followed(run).values()):
        assert not table.reset_index().astype(str).apply(lambda c: c.str.contains("canary")).any(axis=None)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("purchases", [PARETO, ModifiedBetaGeoModel.from_params(r=0.525, alpha=43.3, a=0.891, b=1.614)])
def test_every_purchase_model_is_drawn_also_without_amounts(small_run: Run, purchases: PurchaseModel) -> None:
    lines = small_run.log.connection.table("transactions").df()[["customer_id", "day"]]
    log = read_transactions(lines.rename(columns={"day": "date"}), Columns(amount=None))
    fits = [replace(models, purchases=purchases, spend=None) for models in (small_run.judged_models, small_run.models)]
    run = replace(small_run, log=log, judged_models=fits[0], models=fits[1])
    assert set(models_not_drawn(run)) == {"spend_density"}
    for name, figure in model_figures_of(run).items():
        drawn(figure)
        assert words_of(name, run).caption
        assert not [t for t in texts(figure) if "spend" in t.get_text() or "EUR" in t.get_text()], name


def test_a_run_without_repeat_buyers_or_outcomes_names_what_it_cannot_draw(small_run: Run) -> None:
    judged = small_run.judged.assign(purchases=0.0, spend=0.0, frequency=0.0, recency=0.0)
    run = replace(small_run, judged=judged, scores=small_run.scores.assign(frequency=0.0, clv=0.0))
    assert set(models_not_drawn(run)) == {"lift", "histories", "clv_ranking"}
    assert len(drawn(model_figures_of(run)["holdout_by_recency"]).axes) == 1


def test_means_by_silence_are_those_of_each_group_by_hand() -> None:
    ids = [f"c{k}" for k in range(40)]
    rng = np.random.default_rng(1)
    T = pd.Series(rng.integers(50, 90, 40).astype(float), ids)
    recency = (T * rng.random(40)).where(np.arange(40) >= 12, 0.0).round()
    summary = pd.DataFrame({"frequency": (np.arange(40) >= 12) * 2.0, "recency": recency, "T": T})
    actual = pd.Series(rng.poisson(1.0, 40).astype(float), ids)
    means = means_by_silence(summary, actual[::-1], pd.DataFrame({"run": 2 * actual}).sample(frac=1, random_state=2))
    assert means["customers"].sum() == 40
    assert means.loc[~means["repeat"], "customers"].sum() == 12
    silence = T - recency
    for repeat, part in means.groupby("repeat"):
        members = silence[(summary["frequency"] > 0) == repeat].sort_values()
        begin = 0
        for _, row in part.sort_values("silence").iterrows():
            group = members.index[begin : begin + int(row["customers"])]
            begin += int(row["customers"])
            assert row["silence"] == pytest.approx(silence[group].mean())
            assert row["actual"] == pytest.approx(actual[group].mean())
            assert row["run"] == pytest.approx(2 * actual[group].mean())
            error = 1.96 * actual[group].std(ddof=1) / len(group) ** 0.5
            assert row["high"] - row["actual"] == pytest.approx(error)


def gamma_density(x: float, shape: float, rate: float) -> float:
    return exp(shape * log(rate) + (shape - 1) * log(x) - rate * x - lgamma(shape))


def beta_density(x: float, a: float, b: float) -> float:
    return exp(lgamma(a + b) - lgamma(a) - lgamma(b) + (a - 1) * log(x) + (b - 1) * log(1 - x))


def test_fitted_densities_are_the_papers_gamma_and_beta() -> None:
    curves = {model: population_densities(model, 50).set_index("trait") for model in (BG, PARETO)}
    # Rates a day are Gamma(r, alpha), so rates a year have alpha / 365.25.
    by_hand = (
        (BG, "purchases_a_year", lambda x: gamma_density(x, 0.243, 7 * 4.414 / YEAR)),
        (BG, "dropout_probability", lambda x: beta_density(x, 0.793, 2.426)),
        (PARETO, "purchases_a_year", lambda x: gamma_density(x, 0.553, 7 * 10.578 / YEAR)),
        (PARETO, "dropouts_a_year", lambda x: gamma_density(x, 0.606, 7 * 11.669 / YEAR)),
    )
    for model, trait, density in by_hand:
        curve = curves[model].loc[trait]
        assert curve["density"].tolist() == pytest.approx([density(x) for x in curve["value"]], rel=1e-9)
        assert curve["below"].iloc[-1] == pytest.approx(0.95)


def test_the_population_is_the_one_that_the_model_draws_new_customers_from() -> None:
    n = 40_000
    zeros = np.zeros(n)
    futures = PARETO.draw_futures(Histories(zeros, zeros, zeros, None), np.random.default_rng(8))
    traits = population_traits(PARETO).loc["purchases_a_year"]
    rates = futures.rate * YEAR
    # Standard errors of mean and of the shares below the quantiles at 40,000 draws; four of them.
    assert rates.mean() == pytest.approx(traits["mean"], abs=4 * rates.std() / n**0.5)
    assert (rates < traits["median"]).mean() == pytest.approx(0.5, abs=4 * 0.5 / n**0.5)
    assert (rates < traits["highest_tenth"]).mean() == pytest.approx(0.9, abs=4 * 0.3 / n**0.5)


def test_expected_spend_counts_integrate_the_papers_density() -> None:
    from scipy.integrate import quad

    x, m = np.array([1.0, 3.0, 3.0, 8.0]), np.array([20.0, 35.0, 12.0, 60.0])
    bins = spend_density(pd.DataFrame({"frequency": [*x, 0.0], "monetary_value": [*m, 0.0]}), SPEND, bins=5)

    def density(z: float, days: float) -> float:  # note 025, eq. 1a
        p, q, v = 6.25, 3.74, 15.44
        shape = p * days
        scale = lgamma(shape + q) - lgamma(shape) - lgamma(q)
        return exp(scale + q * log(v) + (shape - 1) * log(z) + shape * log(days) - (shape + q) * log(v + days * z))

    for _, row in bins.iloc[:-1].iterrows():
        oracle = sum(quad(density, max(row["low"], 1e-12), row["high"], args=(days,))[0] for days in x)
        assert row["expected"] == pytest.approx(oracle, rel=1e-7)
    assert bins["expected"].sum() == pytest.approx(4)
    assert bins["actual"].sum() == 4


def test_spend_of_simulated_customers_falls_into_the_bins_as_often_as_expected() -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(1, 6, 20_000).astype(float)
    m = rng.gamma(6.25 * x) / (rng.gamma(3.74, size=x.size) / 15.44) / x
    bins = spend_density(pd.DataFrame({"frequency": x, "monetary_value": m}), SPEND, bins=20)
    # Counts are close to Poisson: chi-squared with about 20 degrees of freedom, whose 99.99 % point is 53.
    assert ((bins["actual"] - bins["expected"]) ** 2 / bins["expected"]).sum() < 53


def test_intervals_are_symmetric_on_the_log_axis_and_missing_where_unknown() -> None:
    fitted = BetaGeoModel().fit(BG.simulate(np.full(800, 270.0), seed=3))
    table = parameter_intervals({"judged": [fitted], "production": [BG, SPEND]}).set_index(["stage", "parameter"])
    own = table.loc["judged"]
    assert (own["lower"] * own["upper"]).tolist() == pytest.approx((own["estimate"] ** 2).tolist())
    half = 1.959964 * fitted.standard_errors_ / own["estimate"]
    assert np.log(own["upper"] / own["estimate"]).tolist() == pytest.approx(half.tolist(), rel=1e-6)
    assert table.loc["production", ["lower", "upper"]].isna().all(axis=None)
    assert len(table.loc["production"]) == 7


def test_model_customers_follow_their_rule() -> None:
    frequency = [0, 1, 2, 2, 3, 3, 4, 40]
    p_alive = [1.0, 0.5, 0.94, 0.51, 0.51, 0.2, 0.06, 0.05]
    scores = pd.DataFrame({"frequency": frequency, "p_alive": p_alive}, index=list("abcdefgh"))
    # Repeat buyers' frequencies have a median of 3 and a 90 % quantile of 18.4: e, f and g are left.
    assert model_customers(scores).to_dict() == {"active": "e", "in doubt": "f", "probably gone": "g"}
    assert model_customers(scores.sample(frac=1, random_state=1)).equals(model_customers(scores))
    assert model_customers(scores.loc[["a", "b"]]).tolist() == ["b"]
    assert model_customers(scores.loc[["a"]]).empty


@pytest.mark.parametrize("model", [BG, PARETO])
def test_a_history_knows_on_each_day_what_a_summary_of_that_day_knows(model: PurchaseModel) -> None:
    start, bought = date(2024, 1, 1), [0, 4, 30, 31]
    days = pd.Series([start + timedelta(days=k) for k in bought])
    log = read_transactions(pd.DataFrame({"customer_id": "a", "date": days, "amount": 1.0}))
    table = alive_over_time(days, model, start + timedelta(days=80))
    assert table.index[table["bought"]].tolist() == [pd.Timestamp(d) for d in days]
    for k in (0, 3, 4, 5, 30, 31, 80):
        summary = summarize(log, start + timedelta(days=k))
        row = table.loc[pd.Timestamp(start + timedelta(days=k))]
        columns = ["frequency", "recency", "T"]
        assert row[columns].tolist() == summary.loc["a", columns].tolist()
        assert row["p_alive"] == pytest.approx(model.probability_alive(summary)["a"], rel=1e-12)


def test_followed_histories_end_at_the_score_of_their_customers(small_run: Run) -> None:
    chosen = model_customers(small_run.scores)
    for role, table in model_drawings.followed(small_run).items():
        score = small_run.scores.loc[chosen[role]]
        assert table["p_alive"].iloc[-1] == pytest.approx(score["p_alive"], rel=1e-9)
        assert table["bought"].sum() == score["frequency"] + 1


def simulated_customers() -> tuple[pd.DataFrame, pd.Series]:
    """Customers of known parameters, and what they spend in the 365 days after (undiscounted)."""
    rng = np.random.default_rng(11)
    people = BG.simulate(np.full(1000, 400.0), seed=12, horizon=365.0)
    nu = rng.gamma(3.74, size=1000) / 15.44
    x, later = people["frequency"].to_numpy(float), people["holdout_frequency"].to_numpy(float)
    mean = np.where(x > 0, rng.gamma(6.25 * np.maximum(x, 1)) / nu / np.maximum(x, 1), 0.0)
    spent = np.where(later > 0, rng.gamma(6.25 * np.maximum(later, 1)) / nu, 0.0)
    return people.assign(monetary_value=mean), pd.Series(spent, people.index)


def test_clv_intervals_cover_what_simulated_customers_go_on_to_spend() -> None:
    summary, spent = simulated_customers()
    clv = discounted_clv(BG, SPEND, summary, horizon=365.0, annual_discount_rate=0.0, periods_per_year=YEAR)
    terms = {"horizon": 365.0, "annual_discount_rate": 0.0, "seed": 1}
    table = clv_with_intervals(clv.to_frame("clv"), summary, BG, SPEND, **terms)
    assert len(table) == 1000  # as there are fewer than 2,000, all of them
    assert table["rank"].tolist() == list(range(1, 1001))
    assert table["tenth"].value_counts().tolist() == [100] * 10
    actual = spent[clv.sort_values(ascending=False, kind="stable").index].to_numpy()
    # Many spend nothing and 0 is inside, so above 90 %; never below it by more than three standard errors.
    inside = float(((table["lower"] <= actual + 1e-9) & (actual <= table["upper"])).mean())
    assert inside > 0.9 - 3 * (0.09 / 1000) ** 0.5
    assert float((actual > table["upper"]).mean()) == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 1000) ** 0.5)


@pytest.mark.usefixtures("few_draws")
def test_means_of_tenths_are_those_of_all_customers_although_some_stand_for_them() -> None:
    summary = BG.simulate(np.full(6000, 400.0), seed=13)
    clv = BG.expected_purchases(summary, 365.0)
    terms = {"horizon": 365.0, "annual_discount_rate": 0.0, "seed": 1}
    table = clv_with_intervals(clv.to_frame("clv"), summary, BG, None, **terms)
    assert table["spread"].sum() == 2000
    assert table["rank"].head(20).tolist() == list(range(1, 21))
    oracle = np.sort(clv)[::-1].reshape(10, 600).mean(axis=1)
    # The middle one of every three ranks: off by a part of the steps between neighbours, largest among the highest.
    assert clv_of_tenths(table)["clv"].tolist() == pytest.approx(oracle.tolist(), rel=0.01)


def test_a_corrected_clv_takes_its_interval_with_it() -> None:
    summary, _ = simulated_customers()
    summary = summary.head(60)
    clv = discounted_clv(BG, SPEND, summary, horizon=365.0, annual_discount_rate=0.1, periods_per_year=YEAR)
    terms = {"horizon": 365.0, "annual_discount_rate": 0.1, "seed": 1}
    plain, doubled = (clv_with_intervals((k * clv).to_frame("clv"), summary, BG, SPEND, **terms) for k in (1.0, 2.0))
    for column in ("clv", "lower", "upper"):
        assert doubled[column].tolist() == pytest.approx((2 * plain[column]).tolist())


def test_lift_averages_to_one_and_accumulates_to_one() -> None:
    rng = np.random.default_rng(5)
    actual, predicted = pd.Series(rng.exponential(size=237)), pd.Series(rng.random(237))
    table = lift_by_tenth(actual, predicted)
    assert np.average(table["lift"], weights=table["customers"]) == pytest.approx(1)
    assert table["cumulative"].iloc[-1] == pytest.approx(1)
    best = actual[predicted.sort_values(ascending=False).index[: int(table["customers"].iloc[:3].sum())]]
    assert table["cumulative"].iloc[2] == pytest.approx(best.mean() / actual.mean())
    with pytest.raises(ValueError, match="positive mean"):
        lift_by_tenth(0 * actual, predicted)


ODD = {
    "all buy alike": BetaGeoModel.from_params(r=1e6, alpha=1e8, a=0.8, b=2.4),
    "nobody leaves": BetaGeoModel.from_params(r=0.5, alpha=40.0, a=1e-4, b=1e3),
    "everybody leaves": ModifiedBetaGeoModel.from_params(r=0.5, alpha=40.0, a=1e3, b=1e-3),
    "now or never": BetaGeoModel.from_params(r=1e-5, alpha=40.0, a=1e-5, b=1e-5),
    "equal dropout": ParetoNBDModel.from_params(r=0.5, alpha=40.0, s=1e6, beta=1e8),
    "no dropout": ParetoNBDModel.from_params(r=0.5, alpha=40.0, s=0.5, beta=1e9),
}


@pytest.mark.parametrize("model", ODD.values(), ids=ODD)
def test_fits_at_the_boundary_are_drawn(model: PurchaseModel) -> None:
    densities, traits = population_densities(model), population_traits(model)
    assert np.isfinite(traits).all(axis=None)
    figure = drawn(model_figures.heterogeneity(densities, traits, "the model"))
    assert all(np.isfinite(panel.get_ylim()).all() for panel in figure.axes)
    drawn(model_figures.parameters(parameter_intervals({"production": [model]}), Unit(None)))


def test_few_customers_are_drawn() -> None:
    one = pd.DataFrame({"rank": [1], "tenth": [1], "clv": [3.0], "lower": [0.0], "upper": [9.0], "spread": True})
    drawn(model_figures.clv_ranking(one, clv_of_tenths(one), Unit("US$"), 365, 20))
    few = lift_by_tenth(pd.Series([3.0, 0.0, 1.0]), pd.Series([2.0, 1.0, 0.5]))
    assert list(drawn(model_figures.lift({"spend": few}, {"spend": "best"}, 30)).axes[0].get_xticks()) == [1, 2, 3]
    summary = pd.DataFrame({"frequency": [1.0], "recency": [5.0], "T": [9.0], "monetary_value": [7.0]})
    outcome = pd.Series([1.0])
    means = means_by_silence(summary, outcome, pd.DataFrame({"this_run": outcome, "purchase_model": outcome}))
    drawn(model_figures.holdout_by_recency(means, "BG/NBD", 30))
    drawn(model_figures.spend_fit(spend_density(summary, SPEND), Unit(None)))
