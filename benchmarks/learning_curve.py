"""What it costs to let the trees learn from a panel of n customers: the learning curve of churn and value.

    python benchmarks/learning_curve.py --data FOLDER          # the real logs and 700,000 simulated customers
    python benchmarks/learning_curve.py --quick                # seconds: does it run?

Purchase and spend models are fitted on everyone, whatever n; only the trees learn from n customers. All are judged on the
same customers, of whom no trees saw a label: the left-out half of a real log, 200,000 others of the simulated one. Its
buyers are what BG/NBD does not know: some buy regularly, all follow a season, dropout hangs on attributes that cross, and
who buys often pays more. `offset_hybrid` and `lightgbm` have the default settings of a run, `lightgbm, 63 leaves` is large
on purpose, `tweedie` forecasts spend (with the risk of the purchase model). Seconds are processor time of one fit, the
choice of the number of rounds included.

Errors of the differences join two: that of the mean over draws of the panel, and that of the judged customers (paired).
FOLDER, or CHURN_CLV_DATA, has online_retail_ii.parquet, complete_journey_transactions.parquet and
complete_journey_demographics.parquet; what is missing is left out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import resource
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.config import Config, load_config
from churn_clv.data import datasets
from churn_clv.data.description import describe
from churn_clv.data.feature_names import Description
from churn_clv.data.features import outcomes_after
from churn_clv.data.open_log import read_attributes
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.data.windows import LabelWindow, Windows, resolve_windows
from churn_clv.evaluation.churn_metrics import auc
from churn_clv.evaluation.value_metrics import normalised_gini
from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.churn import log_losses
from churn_clv.models.known import Known, Past
from churn_clv.models.risk import RiskModel
from churn_clv.models.value import ValueModel

CONFIGS = Path(__file__).parents[1] / "configs"
REAL = ("cdnow", "online_retail", "complete_journey")
LARGE = {"num_leaves": 63, "learning_rate": 0.1, "max_rounds": 1000}
CHURN: dict[str, tuple[str, dict[str, Any]]] = {
    "offset_hybrid": ("offset_hybrid", {}),
    "lightgbm": ("lightgbm", {}),
    "lightgbm, 63 leaves": ("lightgbm", LARGE),
}
ENOUGH = 0.001  # nats of log loss a customer
RESAMPLES = 40


@dataclass(frozen=True)
class World:
    """A log cut for judgement: what can be learned, who may be learned from, and on whom it is judged."""

    name: str
    past: Past
    learners: np.ndarray
    judged: Known
    outcomes: pd.DataFrame

    def panel(self, n: int, draw: int) -> Past:
        """Return what is known of n customers drawn at random."""
        chosen = np.random.default_rng([draw, n]).choice(self.learners, n, replace=False)
        rows = self.past.outcomes.index.get_level_values("customer_id").isin(chosen)
        known = {cutoff: only(here, here.features.index.isin(chosen)) for cutoff, here in self.past.known.items()}
        return Past(known, self.past.outcomes[rows])

    @property
    def churned(self) -> np.ndarray:
        return (self.outcomes["purchases"] == 0).to_numpy(float)

    @property
    def spend(self) -> np.ndarray:
        return self.outcomes["spend"].to_numpy(float)


@dataclass(frozen=True)
class Forecast:
    """What one fit says of the judged customers; log_odds is None where it forecasts spend only."""

    log_odds: np.ndarray | None
    spend: np.ndarray
    seconds: float


def only(known: Known, rows: np.ndarray) -> Known:
    """Return what is known of some customers; the purchase and spend models stay those of everyone."""
    return replace(known, summary=known.summary[rows], features=known.features[rows])


def world_of(
    name: str,
    log: TransactionLog,
    windows: Windows,
    attributes: pd.DataFrame | None,
    *,
    spend_days: Any = "all",
    judged: int | None = None,
) -> World:
    """Fit the purchase and spend models on everyone at each cutoff and set the judged customers aside (half, or so many)."""
    end = LabelWindow(windows.calibration_end, windows.horizon_days)
    windowed = [*windows.labels, end]
    features = describe(log, [label.cutoff for label in windowed], Description(), attributes)
    outcomes = outcomes_after(log, windowed)
    known = {
        label.cutoff: known_at(log, label, features.xs(label.cutoff, level="cutoff"), spend_days) for label in windowed
    }
    last = known.pop(end.cutoff)
    everyone = last.features.index.to_numpy()
    aside = np.random.default_rng(0).choice(everyone, judged or len(everyone) // 2, replace=False)
    rows = last.features.index.isin(aside)
    past = Past(known, outcomes.drop(index=end.cutoff, level="cutoff"))
    return World(name, past, everyone[~rows], only(last, rows), outcomes.xs(end.cutoff, level="cutoff")[rows])


def known_at(log: TransactionLog, label: LabelWindow, features: pd.DataFrame, spend_days: Any) -> Known:
    """Fit BG/NBD and Gamma-Gamma on all customers known at a cutoff."""
    summary = summarize(log, label.cutoff, spend_days).loc[features.index]
    return Known(
        summary, features, BetaGeoModel().fit(summary), GammaGammaModel().fit(summary), label.horizon_days
    )  # fmt: skip


def real_world(name: str, folder: Path | None) -> World | None:
    """Return a real log cut by its own config, or None where its file is missing."""
    attributes, config = None, load_config(CONFIGS / f"{name}.yaml")
    source: Path | pd.DataFrame = datasets.cdnow() if name == "cdnow" else Path()
    if name != "cdnow":
        file = {"online_retail": "online_retail_ii", "complete_journey": "complete_journey_transactions"}[name]
        source = (folder or Path()) / f"{file}.parquet"
        if folder is None or not source.exists():
            print(f"{name} is left out: no {file}.parquet in --data")
            return None
        config = load_config(CONFIGS / f"{name}.yaml", of_file(name, source))
        if name == "complete_journey":
            attributes = read_attributes(folder / "complete_journey_demographics.parquet", "customer_id")
    log = read_transactions(source, config.data.column_names(), config.data.reading_rules())
    return world_of(name, log, windows_of(config, log), attributes, spend_days=config.value.spend_days)


def of_file(name: str, source: Path) -> list[str]:
    """Return what to override of a log's config to read it from a file."""
    if name == "online_retail":
        return [f"data.path='{source}'"]
    columns = {"date": "timestamp", "order_id": "order_id", "product_id": "product_id", "quantity": "quantity"}
    return ["data.source=file", f"data.path='{source}'", *(f"data.columns.{k}={v}" for k, v in columns.items())]


def windows_of(config: Config, log: TransactionLog) -> Windows:
    """Return the dates of a config on its log."""
    w = config.windows
    return resolve_windows(
        first_day=log.first_day, last_day=config.data.end or log.last_day, calibration_end=w.calibration_end,
        holdout_end=w.holdout_end, label_cutoffs=w.label_cutoffs, label_horizon=w.label_horizon,
    )  # fmt: skip


def simulated_world(learners: int, judged: int, seed: int = 8) -> World:
    """Return two years of customers who do not buy as BG/NBD has it, cut half a year before the end."""
    frame, attributes = unlike_bg_nbd(learners + judged, seed)
    log = read_transactions(frame)
    del frame
    windows = resolve_windows(
        first_day=log.first_day,
        last_day=log.last_day,
        calibration_end=date(2024, 6, 30),
        holdout_end=date(2024, 12, 29),
    )
    return world_of("simulated", log, windows, attributes, judged=judged)


def unlike_bg_nbd(customers: int, seed: int, days: int = 730) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw a log (customer_id, date, amount) of customers who first buy within 18 months, and their attributes.

    Half of them buy at Erlang-3 gaps (regularly), half at exponential ones; both keep a season of 13 weeks, which swings
    between .6 and 1.4 of the mean pace and which every label has seen. The chance to leave after a purchase depends on region, channel, and age
    by channel, on top of what no attribute tells; log amounts rise by .3 of the log rate and with the region.
    """
    rng = np.random.default_rng(seed)
    region, channel = rng.integers(0, 40, customers), rng.integers(0, 4, customers)
    age = rng.uniform(18, 80, customers)
    rate = rng.gamma(0.9, 1 / 35, customers) * np.exp(0.25 * np.sin(age / 12))
    shape = np.where(rng.random(customers) < 0.5, 3.0, 1.0)
    log_odds = rng.normal(0, 0.6, 40)[region] + np.array([-0.6, -0.2, 0.2, 0.8])[channel]
    log_odds += 0.8 * np.sin(age / 8 + channel) + rng.normal(0, 0.7, customers) - 1.7
    leaves = 1 / (1 + np.exp(-log_odds))
    owner, day = seasonal_purchases(rng, rate, shape, leaves, days)
    level = 3 + 0.3 * np.log(rate * 35 + 1e-3) + rng.normal(0, 0.3, 40)[region] + rng.normal(0, 0.5, customers)
    amount = np.exp(level[owner] + rng.normal(0, 0.5, owner.size)).round(2) + 0.01
    ids = pd.Series(np.char.zfill(np.arange(customers).astype(str), 8)).astype("str")
    dates = pd.Timestamp(2023, 1, 1) + pd.to_timedelta(day, unit="D")
    log = pd.DataFrame({"customer_id": ids.take(owner).to_numpy(), "date": dates, "amount": amount})
    texts = {"region": np.char.mod("r%d", region), "channel": np.char.mod("c%d", channel)}
    return log, pd.DataFrame({**texts, "age": age}, index=pd.Index(ids, name="customer_id"))


def seasonal_purchases(
    rng: np.random.Generator, rate: np.ndarray, shape: np.ndarray, leaves: np.ndarray, days: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return every purchase as (customer number, whole day), the first included."""
    calendar = np.arange(days + 1)
    pace = 1 + 0.4 * np.cos(2 * np.pi * calendar[:-1] / 91)
    clock = np.concatenate([[0.0], np.cumsum(pace)])  # time as the customers feel it
    now, alive = np.interp(rng.uniform(0, 540, rate.size), calendar, clock), np.arange(rate.size)
    owners, moments = [alive], [now]
    while alive.size:
        now = now + rng.gamma(shape[alive]) / np.maximum(rate[alive] * shape[alive], 1e-9)
        inside = now < clock[-1]
        alive, now = alive[inside], now[inside]
        owners.append(alive)
        moments.append(now)
        stays = rng.random(alive.size) >= leaves[alive]
        alive, now = alive[stays], now[stays]
    day = np.interp(np.concatenate(moments), clock, calendar).astype(np.int64)
    return np.concatenate(owners), np.minimum(day, days - 1)


def fit_churn(name: str, world: World, past: Past, quick: dict[str, Any]) -> Forecast:
    """Fit a churn method on a panel and forecast the judged customers, spend by the hurdle."""
    method, trees = CHURN[name]
    _ = past.log_odds if method == "offset_hybrid" else past.features  # the same inputs are no part of a fit
    begin = time.process_time()
    model = RiskModel(method, {**trees, **quick}).fit(past)
    seconds = time.process_time() - begin
    log_odds = model.predict_log_odds(world.judged)
    value = ValueModel("hurdle").fit(past).forecast(world.judged, 1 / (1 + np.exp(-log_odds)))
    return Forecast(log_odds.to_numpy(), value["expected_spend"].to_numpy(), seconds)


def fit_value(world: World, past: Past, quick: dict[str, Any]) -> Forecast:
    """Fit the Tweedie trees on a panel and forecast the judged customers' spend."""
    begin = time.process_time()
    model = ValueModel("tweedie", quick).fit(past)
    seconds = time.process_time() - begin
    spend = model.forecast(world.judged, world.judged.own_risk)["expected_spend"]
    return Forecast(None, spend.to_numpy(), seconds)


def start_of(world: World) -> Forecast:
    """Return the forecast without any trees: what n = 0 customers give."""
    return Forecast(world.judged.log_odds().to_numpy(), world.judged.own_spend.to_numpy(), 0.0)


def curve(world: World, sizes: Sequence[int], methods: Sequence[str], draws: int, quick: dict[str, Any]) -> None:
    """Fit every method on panels of every size and print the rows of the table: the largest, then in order."""
    *smaller, largest = sorted({min(n, len(world.learners)) for n in sizes})
    best: dict[str, Forecast] = {}
    found: dict[str, dict[int, float]] = {name: {} for name in methods if name != "tweedie"}
    print_row(world, "purchase_model", 0, [start_of(world)], None)
    for n in (largest, *smaller):
        panels = [world.panel(n, draw) for draw in range(draws_at(n, largest, draws))]
        for name in methods:
            forecasts = [
                fit_value(world, past, quick) if name == "tweedie" else fit_churn(name, world, past, quick)
                for past in panels
            ]
            best.setdefault(name, forecasts[0])
            print_row(world, name, n, forecasts, best[name])
            if name in found:
                found[name][n] = loss_over(world, forecasts, best[name])[0]
        del panels
    for name, losses in found.items():
        print(verdict(world.name, name, losses), flush=True)


def draws_at(n: int, largest: int, draws: int) -> int:
    """Return how many panels to draw: fewer of large ones, which vary less, and one of everybody."""
    if n == largest:
        return 1
    return draws if n <= 10_000 else max(draws * 3 // 5, 2) if n <= 30_000 else 2


def loss_over(world: World, forecasts: Sequence[Forecast], best: Forecast) -> tuple[float, float]:
    """Return the mean log loss minus that of the largest panel, and its standard error."""
    least = log_losses(world.churned, _odds(best))
    over = np.array([log_losses(world.churned, _odds(forecast)) - least for forecast in forecasts])
    return float(over.mean()), joint_error(over.mean(axis=1), float(over.mean(axis=0).std() / np.sqrt(over.shape[1])))


def gini_over(world: World, forecasts: Sequence[Forecast], best: Forecast) -> tuple[float, float]:
    """Return the mean normalised Gini minus that of the largest panel, and its standard error by a Poisson bootstrap."""
    ginis = [normalised_gini(world.spend, forecast.spend) for forecast in forecasts]
    most, ones = normalised_gini(world.spend, best.spend), np.ones(world.spend.size)
    by_draw = np.array([gini(ones) - most(ones) for gini in ginis])
    rng = np.random.default_rng(1)
    weights = (rng.poisson(1.0, world.spend.size).astype(float) for _ in range(RESAMPLES))
    resampled = [float(np.mean([gini(w) for gini in ginis])) - most(w) for w in weights]
    return float(by_draw.mean()), joint_error(by_draw, float(np.std(resampled)))


def joint_error(by_draw: np.ndarray, of_judged: float) -> float:
    """Join the error of the mean over draws with that of the judged customers."""
    of_draws = by_draw.std(ddof=1) / np.sqrt(by_draw.size) if by_draw.size > 1 else 0.0
    return float(np.hypot(of_draws, of_judged))


def print_row(world: World, name: str, n: int, forecasts: Sequence[Forecast], best: Forecast | None) -> None:
    """Print one row of the table."""
    ones, churned = np.ones(world.churned.size), world.churned
    gini = np.mean([normalised_gini(world.spend, forecast.spend)(ones) for forecast in forecasts])
    area, loss, over, less = "", "", "", ""
    reference = best is None or forecasts[0] is best
    if forecasts[0].log_odds is not None:
        area = f"{np.mean([auc(churned, _odds(forecast))(ones) for forecast in forecasts]):.4f}"
        loss = f"{np.mean([log_losses(churned, _odds(forecast)).mean() for forecast in forecasts]):.5f}"
        over = "" if reference else signed(loss_over(world, forecasts, best), 5)  # type: ignore[arg-type]
    less = "" if reference else signed(gini_over(world, forecasts, best), 4)  # type: ignore[arg-type]
    seconds = np.mean([forecast.seconds for forecast in forecasts])
    cells = [world.name, name, f"{n:,}", str(len(forecasts)), area, loss, over, f"{gini:.4f}", less, f"{seconds:.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def signed(value_and_error: tuple[float, float], digits: int) -> str:
    """Format a difference and its error."""
    value, error = value_and_error
    return f"{value:+.{digits}f} ± {error:.{digits}f}"


def verdict(log: str, method: str, losses: dict[int, float]) -> str:
    """Say from which measured n on the loss is small enough, that of all larger n included."""
    small = min(n for n in losses if all(losses[m] < ENOUGH for m in losses if m >= n))
    largest = max(losses)
    if small == largest:
        return f"{log}, {method}: no smaller panel measured is within {ENOUGH} log loss of {largest:,} customers."
    return f"{log}, {method}: from {small:,} customers on the trees lose less than {ENOUGH} log loss to {largest:,}."


def _odds(forecast: Forecast) -> np.ndarray:
    assert forecast.log_odds is not None
    return forecast.log_odds


def worlds(names: Sequence[str], folder: Path | None, learners: int, judged: int) -> Iterator[World]:
    """Build one world after the other."""
    for name in names:
        world = simulated_world(learners, judged) if name == "simulated" else real_world(name, folder)
        if world is not None:
            print(
                f"\n{world.name}: {len(world.learners):,} customers to learn from, {len(world.outcomes):,} judged, "
                f"{len(world.past.known)} label cutoffs, horizon {world.judged.horizon_days} days, "
                f"churn {world.churned.mean():.3f}\n"
            )
            yield world


def main() -> None:
    """Run the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("CHURN_CLV_DATA"), help="folder of the real logs")
    parser.add_argument("--logs", nargs="+", choices=(*REAL, "simulated"), default=[*REAL, "simulated"])
    parser.add_argument("--largest", type=int, default=500_000, help="simulated customers to learn from")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = Path(options.data) if options.data else None
    names, learners, judged = options.logs, options.largest, 200_000
    real, simulated = [250 * 2**k for k in range(8)], [1000, 3000, 10_000, 30_000, 100_000, 200_000, 500_000, 1_000_000]
    quick: dict[str, Any] = {}
    if options.quick:
        names, learners, judged, quick, options.draws = ["simulated"], 1500, 1500, {"max_rounds": 20}, 2
        simulated = [500, 1500]
    begin = time.perf_counter()
    heading = ["log", "method", "n", "draws", "AUC", "log loss", "over largest n", "Gini of spend", "over largest n"]
    print(f"| {' | '.join([*heading, 'seconds'])} |\n|{'---|' * 10}")
    for world in worlds(names, folder, learners, judged):
        methods = [*CHURN, "tweedie"] if world.name == "simulated" else ["offset_hybrid", "lightgbm", "tweedie"]
        sizes = [n for n in simulated if n <= learners] if world.name == "simulated" else [*real, len(world.learners)]
        curve(world, sizes, methods, options.draws, quick)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"\n{time.perf_counter() - begin:.0f} s in all, peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
