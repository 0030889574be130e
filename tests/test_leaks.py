"""Nothing after a cutoff reaches what is said at the cutoff, to the bit; and each check catches planted leaks.

A check is a function that raises AssertionError. The clean code passes them all; each leak that is planted by
patching the sources makes the checks named beside it fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import churn_clv.choice as choice_room
import churn_clv.data.description as description_room
import churn_clv.fits as fits_room
import churn_clv.models.risk as risk_room
import churn_clv.score_log as score_room
import churn_clv.segmentation as segmentation_room
import churn_clv.train as train_room
from churn_clv.choice import Choice
from churn_clv.config import Config, parse_config
from churn_clv.data import engine
from churn_clv.data.cohorts import cohort_activity, cohort_of
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.events import events_at
from churn_clv.data.feature_names import Description
from churn_clv.data.features import features_at, outcomes_after
from churn_clv.data.fit_rows import fit_rows
from churn_clv.data.read_events import read_events
from churn_clv.data.simulate import simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.data.windows import LabelWindow, resolve_windows
from churn_clv.evaluation.champion import FEWEST_WINDOWS
from churn_clv.fits import Evidence, Methods
from churn_clv.models.churn import ChurnModel
from churn_clv.models.risk import RiskModel
from churn_clv.score import SCORE_COLUMNS, FittedModels
from churn_clv.segments.grid import Grid, freeze_grid
from churn_clv.segments.schemes import Schemes
from churn_clv.segments.tiers import freeze_pareto

START, LAST = date(2023, 1, 1), date(2024, 12, 30)
CALIBRATION_END, HOLDOUT_END = date(2024, 6, 30), date(2024, 12, 15)
HORIZON = (HOLDOUT_END - CALIBRATION_END).days
LABELS = tuple(LabelWindow(c, HORIZON) for c in (date(2023, 7, 30), date(2023, 10, 22), date(2024, 1, 14)))
VANDALS = ("change", "delete", "insert")
KINDS = ("complaint", "visit")


class Data(NamedTuple):
    """A log as it comes, and what happened to its customers beside purchases (customer_id, date, kind)."""

    lines: pd.DataFrame
    events: pd.DataFrame

    def until(self, day: date) -> Data:
        """What there was of it on a day."""
        return Data(*(rows[rows["date"] <= pd.Timestamp(day)] for rows in self))

    def of(self, customer: str) -> Data:
        return Data(*(rows[rows["customer_id"] == customer] for rows in self))

    def read(self) -> TransactionLog:
        room, rules = engine.connect(), ReadingRules()
        log = read_transactions(self.lines, Columns(), rules, room)
        return read_events(self.events, log, EventsTable("", kind="kind"), rules)

    def write(self, folder: Path, name: str) -> str:
        self.events.to_parquet(folder / f"{name}-events.parquet")
        self.lines.to_parquet(folder / f"{name}.parquet")
        return str(folder / name)


# --- a log in which trees find something: beside BG/NBD's customers some who buy like clockwork, refunds, free gifts


def clockwork(rng: np.random.Generator, customers: int) -> pd.DataFrame:
    """Customers with steady gaps of two to six weeks who stop one day: BG/NBD misjudges them, trees need not."""
    rows = []
    for k in range(customers):
        gap, stop = rng.integers(14, 42), rng.integers(200, 1100)
        days = rng.integers(0, 600) + np.cumsum(np.maximum(gap + rng.integers(-2, 3, 60), 1))
        rows += [(f"c{k:04d}", int(d), round(float(rng.gamma(6, 10)), 2)) for d in days[days < min(stop, 729)]]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    return frame.assign(date=pd.Timestamp(START) + pd.to_timedelta(frame.pop("day"), unit="D"))


def messy_log() -> pd.DataFrame:
    rng = np.random.default_rng(20240630)
    base = pd.concat(
        [simulate_log(customers=450, seed=3, start=START, arrival_days=650), clockwork(rng, 250)], ignore_index=True
    )
    base["date"] = base["date"].astype("datetime64[us]")
    refunds = base.sample(frac=0.04, random_state=1)
    later = refunds["date"] + pd.to_timedelta(rng.integers(0, 20, len(refunds)), unit="D")
    refunds = refunds.assign(date=later.clip(upper=pd.Timestamp(LAST)), amount=-refunds["amount"])
    gifts = base.sample(frac=0.02, random_state=2).assign(amount=0.0)
    second_lines = base.sample(frac=0.05, random_state=3)
    # the last day of the log stays the same, whatever a vandal does: somebody always buys on it
    anchor = base.iloc[[0]].assign(date=pd.Timestamp(LAST), amount=10.0)
    return pd.concat([base, refunds, gifts, second_lines, anchor], ignore_index=True)


def events_of(lines: pd.DataFrame) -> pd.DataFrame:
    """Visits some days before many a purchase, and complaints of some customers half a year before their last one."""
    rng = np.random.default_rng(11)
    visits = lines.sample(frac=0.5, random_state=8)[["customer_id", "date"]].assign(kind="visit")
    last = lines.groupby("customer_id", as_index=False)["date"].max().sample(frac=0.4, random_state=9)
    complaints = last.assign(date=last["date"] - pd.Timedelta(days=180), kind="complaint")
    found = pd.concat([visits, complaints], ignore_index=True)
    days = pd.to_timedelta(rng.integers(0, 12, len(found)), unit="D")
    return found.assign(date=(found["date"] - days).clip(lower=pd.Timestamp(START)))


def vandalised(data: Data, how: str) -> Data:
    """Ruin log and events after calibration_end; new kinds of events come up as well."""
    ruined = vandalised_events(data.events, how)
    return Data(vandalised_lines(data.lines, how), ruined)


def vandalised_events(events: pd.DataFrame, how: str) -> pd.DataFrame:
    past = events["date"] <= pd.Timestamp(CALIBRATION_END)
    rng, future = np.random.default_rng(98), events[~past]
    if how == "delete":
        return events[past]
    strangers = rng.permutation(future["customer_id"])
    more = [future.assign(customer_id=strangers)] * 3 + [future.assign(kind="a new kind")]
    return pd.concat([events[past], *more], ignore_index=True)


def vandalised_lines(frame: pd.DataFrame, how: str) -> pd.DataFrame:
    """Ruin every row after calibration_end, the anchor on the last day excepted."""
    rng = np.random.default_rng(99)
    known = frame["date"] <= pd.Timestamp(CALIBRATION_END)
    past, future, anchor = frame[known], frame[~known].iloc[:-1], frame.iloc[[-1]]
    random_days = pd.Timestamp(CALIBRATION_END) + pd.to_timedelta(
        rng.integers(1, (LAST - CALIBRATION_END).days, len(future)), unit="D"
    )
    if how == "change":
        future = future.assign(amount=rng.lognormal(5, 3, len(future)).round(2), date=random_days)
    elif how == "delete":
        future = future.sample(frac=0.3, random_state=4)
    elif how == "insert":
        strangers = future.assign(customer_id="x" + future["customer_id"], amount=1e6)
        refunds = future.assign(amount=-5000.0, date=random_days)
        future = pd.concat([strangers, refunds, future])
    return pd.concat([past, future, anchor], ignore_index=True)


def config_of(stem: str = "log", **churn: Any) -> Config:
    return parse_config(
        {
            "name": "leaks",
            "data": {
                "source": "file",
                "path": f"{stem}.parquet",
                "events": {"path": f"{stem}-events.parquet", "kind": "kind"},
            },
            "windows": {
                "calibration_end": CALIBRATION_END,
                "holdout_end": HOLDOUT_END,
                "label_cutoffs": [label.cutoff for label in LABELS],
            },
            "value": {"spend_days": "all", "method": "hurdle"},
            "churn": {"learning_rate": 0.1, "max_rounds": 60, "method": "offset_hybrid", **churn},
            "evaluation": {"bootstrap_samples": 20},
        },
        source="test",
    )


DEFAULT = Methods("offset_hybrid", "hurdle", config_of().churn.trees())
# between them every kind of member there is
OTHERS = Methods("stack", "average", config_of().churn.trees())


@pytest.fixture(scope="module")
def clean_data() -> Data:
    lines = messy_log()
    return Data(lines, events_of(lines))


# --- what is compared, and how


def assert_same_bits(name: str, one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Same rows, same columns, same types, same 64 bits of every float."""
    assert list(one.columns) == list(other.columns), f"{name}: columns differ"
    assert one.index.equals(other.index), f"{name}: rows differ"
    for column in one.columns:
        a, b = one[column], other[column]
        assert a.dtype == b.dtype, f"{name}: type of {column} differs"
        same = a.to_numpy().tobytes() == b.to_numpy().tobytes() if a.dtype == np.float64 else a.equals(b)
        assert same, f"{name}: {column} differs"


def fitted_texts(models: FittedModels) -> dict[str, str]:
    """Every fitted number as text that names each bit: parameters, trees, cut points."""
    assert models.spend is not None
    return {
        "purchase parameters": models.purchases.to_json(),
        "spend parameters": models.spend.to_json(),
        **{f"churn model {name}": text for name, text in models.churn.to_files().items()},
        **{f"value model {name}": text for name, text in models.value.to_files().items()},
        "grid cuts": repr(models.grid.to_dict()),
        "scheme cuts": repr(models.schemes.to_dict()),
        "settings": repr(models.settings),
    }


def assert_same_models(one: FittedModels, other: FittedModels) -> None:
    a, b = fitted_texts(one), fitted_texts(other)
    assert a.keys() == b.keys(), "fitted models: different files"
    for name in a:
        assert a[name] == b[name], f"fitted models: {name} differs"


def fit_at_calibration_end(log: TransactionLog, methods: Methods = DEFAULT) -> FittedModels:
    return fits_room.fit_models(Evidence(config_of(), log), CALIBRATION_END, LABELS, methods, None)


def described(log: TransactionLog, cutoffs: list[date], feature_set: str = "behaviour") -> pd.DataFrame:
    return description_room.describe(log, cutoffs, Description(feature_set, KINDS), None)


def assert_same_frames(name: str, one: TransactionLog, other: TransactionLog) -> None:
    """Two logs hold the same at every cutoff up to calibration_end: summaries, features and labels."""
    cutoffs = [*(label.cutoff for label in LABELS), CALIBRATION_END]
    for cutoff in cutoffs:
        for spend in ("repeat", "all"):
            assert_same_bits(f"{name}: summary", summarize(one, cutoff, spend), summarize(other, cutoff, spend))
    kinds = [fits_room.description_at(Evidence(config_of(), log), LABELS).event_kinds for log in (one, other)]
    assert kinds[0] == kinds[1] == KINDS, f"{name}: kinds of events"
    for feature_set in ("behaviour", "rich"):
        features = [described(log, cutoffs, feature_set) for log in (one, other)]
        assert_same_bits(f"{name}: features", *features)
    assert_same_bits(f"{name}: labels", *(fits_room.outcomes_after(log, LABELS) for log in (one, other)))


def assert_same_knowledge(name: str, one: TransactionLog, other: TransactionLog, *used: Methods) -> None:
    """Two logs say the same at calibration_end: frames, fitted numbers and scores."""
    assert_same_frames(name, one, other)
    for methods in used:
        models = [fit_at_calibration_end(log, methods) for log in (one, other)]
        assert_same_models(*models)
        scores = [score_room.score(m, log, CALIBRATION_END) for m, log in zip(models, (one, other), strict=True)]
        assert_same_bits(f"{name}: scores", *scores)


class Recorder(ChurnModel):
    """A churn model that keeps what it was shown."""

    def fit(self, features: pd.DataFrame, churned: pd.Series, offset: pd.Series | None = None) -> Recorder:
        self.shown = features, churned, offset
        super().fit(features, churned, offset)
        return self

    def predict_log_odds(self, features: pd.DataFrame, offset: pd.Series | None = None) -> pd.Series:
        self.asked = features, offset
        return super().predict_log_odds(features, offset)


# --- the checks


def check_vandal(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Whole runs on ruined futures: judged models, scores and rivals stay the same, realised outcomes do not."""
    rivals: list[dict[str, pd.DataFrame]] = []
    judge = train_room.judge

    def spy(judged: pd.DataFrame, outcomes: pd.DataFrame, others: Any, **rest: Any) -> Any:
        rivals.append(others)
        return judge(judged, outcomes, others, **rest)

    patch.setattr(train_room, "judge", spy)
    runs = []
    for how in ("untouched", *VANDALS):
        stem = (data if how == "untouched" else vandalised(data, how)).write(folder, how)
        runs.append(train_room.train(config_of(stem)))
        assert_same_models(runs[0].judged_models, runs[-1].judged_models)
        assert_same_bits("scores", runs[0].judged[SCORE_COLUMNS], runs[-1].judged[SCORE_COLUMNS])
        for rival, forecast in rivals[0].items():
            assert_same_bits(f"rival {rival}", forecast, rivals[-1][rival])
        assert_same_frames("vandal", runs[0].log, runs[-1].log)
    trees = runs[0].judged_models.churn.trees
    assert trees is not None and trees.rounds_ > 0, "without trees the check of the trees checks nothing"
    for how, run in zip(VANDALS, runs[1:], strict=True):
        assert not run.judged["spend"].equals(runs[0].judged["spend"]), f"{how} changed no realised outcome"
        assert run.judgement.metrics() != runs[0].judgement.metrics(), f"{how} changed no metric"
        assert not run.scores["clv"].equals(runs[0].scores["clv"]), f"{how} changed no production score"


def check_truncate(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A log that ends at calibration_end says the same on it as the whole log."""
    assert_same_knowledge("truncate", data.read(), data.until(CALIBRATION_END).read(), DEFAULT, OTHERS)


BOUNDARY = [
    ("first on it", CALIBRATION_END),
    ("again on it", date(2024, 5, 1)),
    ("again on it", CALIBRATION_END),
    ("next day", date(2024, 5, 1)),
    ("next day", CALIBRATION_END + timedelta(days=1)),
    ("on the last day", date(2024, 5, 1)),
    ("on the last day", HOLDOUT_END),
    ("a day late", date(2024, 5, 1)),
    ("a day late", HOLDOUT_END + timedelta(days=1)),
    ("first on the next day", CALIBRATION_END + timedelta(days=1)),
    ("on the first label day", CALIBRATION_END - timedelta(days=HORIZON)),
]


BOUNDARY_EVENTS = [
    ("again on it", CALIBRATION_END, "visit"),
    ("next day", CALIBRATION_END + timedelta(days=1), "visit"),
    ("a day late", CALIBRATION_END - timedelta(days=27), "visit"),
    ("on the last day", CALIBRATION_END - timedelta(days=28), "visit"),
]


def check_boundary(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A day belongs to the window that ends on it: known at the cutoff, and not part of what follows."""
    rows = [(customer, pd.Timestamp(day), 5.0) for customer, day in BOUNDARY]
    events = [(customer, pd.Timestamp(day), kind) for customer, day, kind in BOUNDARY_EVENTS]
    log = Data(
        pd.DataFrame(rows, columns=["customer_id", "date", "amount"]),
        pd.DataFrame(events, columns=["customer_id", "date", "kind"]),
    ).read()
    holdout = LabelWindow(CALIBRATION_END, HORIZON)
    known = {"first on it", "again on it", "next day", "on the last day", "a day late", "on the first label day"}

    summary = summarize(log, CALIBRATION_END)
    features = described(log, [CALIBRATION_END]).droplevel("cutoff")
    bought = fits_room.outcomes_after(log, [holdout]).droplevel("cutoff")["purchases"]
    for name, frame_ in {"summary": summary, "features": features, "holdout": bought}.items():
        assert set(frame_.index) == known, f"boundary: customers of the {name}"

    assert summary.loc["first on it", ["frequency", "recency", "T"]].tolist() == [0, 0, 0], "boundary: summary"
    assert summary.loc["again on it", ["frequency", "recency", "T"]].tolist() == [1, 60, 60], "boundary: summary"
    assert summary.loc["next day", ["frequency", "recency", "T"]].tolist() == [0, 0, 60], "boundary: summary"
    recent = features["purchases_last_28_days"]
    assert recent[recent > 0].to_dict() == {"first on it": 1, "again on it": 1}, "boundary: features"
    met = features["event_visit_last_28_days"]
    assert met[met > 0].to_dict() == {"again on it": 1, "a day late": 1}, "boundary: events"
    since = features["event_visit_days_since_last"].dropna()
    assert since.to_dict() == {"again on it": 0, "a day late": 27, "on the last day": 28}, "boundary: events"
    assert bought[bought > 0].to_dict() == {"next day": 1, "on the last day": 1}, "boundary: holdout"

    # a label that ends on calibration_end contains that day, and its own cutoff is not in it
    past = LabelWindow(CALIBRATION_END - timedelta(days=HORIZON), HORIZON)
    label = fits_room.outcomes_after(log, [past]).droplevel("cutoff")
    assert label["purchases"].to_dict() == {"on the first label day": 0}, "boundary: label"
    ends_on_it = LabelWindow(date(2024, 5, 1), 60)
    label = fits_room.outcomes_after(log, [ends_on_it]).droplevel("cutoff")["purchases"]
    assert label[label > 0].to_dict() == {"again on it": 1}, "boundary: label"


def check_sentinel(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """With permuted labels nothing can be predicted for customers the model has not seen."""
    auc, error, rounds = out_of_sample_auc(data, patch, permuted=True)
    assert rounds > 0, "a model without trees proves nothing"
    assert abs(auc - 0.5) < 3 * error, f"sentinel: AUC {auc:.3f} on permuted labels"


def out_of_sample_auc(data: Data, patch: pytest.MonkeyPatch, permuted: bool) -> tuple[float, float, int]:
    """Fit on half of the customers from a constant offset, rank the other half; AUC and its error without skill."""
    outcomes, rng = fits_room.outcomes_after, np.random.default_rng(8)

    def any_outcomes(log: TransactionLog, labels: tuple[LabelWindow, ...]) -> pd.DataFrame:
        found = outcomes(log, labels)
        return found.assign(purchases=rng.permutation(found["purchases"])) if permuted else found

    memory: dict[str, pd.DataFrame] = {}
    patch.setattr(fits_room, "outcomes_after", lambda log, labels: memory.setdefault("it", any_outcomes(log, labels)))
    patch.setattr(risk_room, "ChurnModel", Recorder)
    evidence = Evidence(config_of(), data.read())
    description = fits_room.description_at(evidence, LABELS)
    past = fits_room.past_of(evidence, LABELS, description, with_spend=False)
    trained = RiskModel("offset_hybrid", config_of().churn.trees()).fit(past).trees
    features, churned, offset = trained.shown  # type: ignore[union-attr]
    seen = features.index.get_level_values("customer_id").map(lambda c: int(c.strip("c")) % 2 == 0).to_numpy(bool)
    # The right answer of a model without skill is the base rate; from log-odds of -2 the trees have to speak to say it.
    flat = offset * 0.0 - 2.0
    model = ChurnModel().fit(features[seen], churned[seen], flat[seen])
    risk, actual = model.predict_probability(features[~seen], flat[~seen]), churned[~seen].to_numpy()
    ranks = risk.rank().to_numpy()
    ones, zeros = actual.sum(), (1 - actual).sum()
    auc = (ranks[actual == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    # Mann & Whitney (1947): variance of the rank sum when the two groups are alike
    return auc, float(np.sqrt((ones + zeros + 1) / (12 * ones * zeros))), model.rounds_


def check_future_customer(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Who first bought after a cutoff does not exist at it."""
    log = data.read()
    purchases = data.lines[data.lines["amount"] >= 0].groupby("customer_id")["date"].min()
    for cutoff in (*(label.cutoff for label in LABELS), CALIBRATION_END):
        known = set(purchases.index[purchases <= pd.Timestamp(cutoff)])
        assert 0 < len(known) < len(purchases)
        window = LabelWindow(cutoff, HORIZON)
        assert set(summarize(log, cutoff).index) == known, "future customer: in the summary"
        assert set(described(log, [cutoff]).droplevel("cutoff").index) == known, "future customer: in the features"
        assert set(fits_room.outcomes_after(log, [window]).droplevel("cutoff").index) == known, (
            "future customer: in the labels"
        )
    assert set(score_room.score(fit_at_calibration_end(log), log, CALIBRATION_END).index) == known


def check_same_door(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A training row of a past cutoff is what scoring would have read then, from a log that ended that day."""
    patch.setattr(risk_room, "ChurnModel", Recorder)
    log = data.read()
    models = fit_at_calibration_end(log)
    trees: Any = models.churn.trees
    features, _, offset = trees.shown
    for label in LABELS:
        then = data.until(label.cutoff).read()
        forecast = fits_room.fit_purchases(config_of(), fit_rows(then, label.cutoff, "all"), label.cutoff)
        score_room.score(replace(models, purchases=forecast), then, label.cutoff)
        asked, asked_offset = trees.asked
        trained = features.xs(label.cutoff, level="cutoff")
        assert_same_bits("same door: features", trained, asked)
        assert_same_bits(
            "same door: offset", offset.xs(label.cutoff, level="cutoff").to_frame(), asked_offset.to_frame()
        )
    score_room.score(models, log, CALIBRATION_END)
    batch, batch_offset = trees.asked
    for customer in list(batch.index[::97]):
        score_room.score(models, data.of(customer).read(), CALIBRATION_END)
        asked, asked_offset = trees.asked
        assert_same_bits("same door: one customer's features", batch.loc[[customer]], asked)
        assert_same_bits(
            "same door: one customer's offset", batch_offset.loc[[customer]].to_frame(), asked_offset.to_frame()
        )


def check_row_order(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The order of the rows, of log and events, shows nowhere."""
    log = data.read()
    orders = (data.lines.sort_values("amount"), data.lines.sample(frac=1, random_state=6))
    for lines, methods in zip(orders, (DEFAULT, OTHERS), strict=True):
        other = Data(lines.reset_index(drop=True), data.events.sample(frac=1, random_state=7, ignore_index=True))
        assert_same_knowledge("row order", log, other.read(), methods)


def check_choice(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """What chooses the methods and the calibrator of a run with method: auto has seen nothing after calibration_end."""
    first = chosen(data.read())
    assert first.backtest is not None and len(first.backtest.apart) >= FEWEST_WINDOWS, (
        "without a backtest nothing shows"
    )
    for other in (vandalised(data, "insert"), data.until(CALIBRATION_END)):
        again = chosen(other.read())
        assert again.backtest is not None
        for task in ("churn", "value"):
            assert_same_bits(f"choice: figures of {task}", first.backtest.figures(task), again.backtest.figures(task))
        for one, two in zip(first.backtest.origins, again.backtest.origins, strict=True):
            assert_same_bits("choice: risk", one.risk, two.risk)
            assert_same_bits("choice: spend", one.spend, two.spend)
        assert again.crowns == first.crowns, "choice: champions"
        assert again.sentences == first.sentences, "choice: sentences"
        calibrators = [c.methods.calibrator.to_dict() if c.methods.calibrator else None for c in (first, again)]
        assert calibrators[0] == calibrators[1], "choice: calibrator"
        assert replace(again.methods, calibrator=None) == replace(first.methods, calibrator=None), "choice: methods"


def chosen(log: TransactionLog) -> Choice:
    """The choice of a run with a holdout of 15 weeks: three of them count before calibration_end."""
    content = config_of(method="auto").model_dump() | {
        "backtest": {"churn": ["logistic_rfm", "offset_hybrid"], "value": ["tweedie"], "most_origins": 3}
    }
    content["value"]["method"] = "auto"
    content["churn"] |= {"max_rounds": 20, "folds": 3}
    windows = resolve_windows(
        first_day=START,
        last_day=LAST,
        calibration_end=CALIBRATION_END,
        holdout_end=CALIBRATION_END + timedelta(days=105),
    )
    return choice_room.choose(Evidence(parse_config(content, source="test"), log), windows, lambda stage: None)


def check_segments(data: Data, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Placements up to calibration_end, the RFM grid beside them and the cohorts see nothing after their own day."""
    log = data.read()
    models = fit_at_calibration_end(log)
    first = segments_of(models, log)
    for other in (vandalised(data, "insert"), data.until(CALIBRATION_END)):
        again = other.read()
        assert_same_models(models, fit_at_calibration_end(again))
        for name, frame in segments_of(models, again).items():
            assert_same_bits(f"segments: {name}", first[name], frame)
    for day in PLACED_ON:
        then = data.until(day).read()
        scores = score_room.score(models, then, day)
        assert_same_bits(f"segments: placed {day}", first[f"placed {day}"][PLACED], scores[PLACED])


PLACED_ON = (date(2024, 5, 1), date(2024, 5, 31))
PLACED = [name for name in SCORE_COLUMNS if name not in ("as_of", "reasons")]


def segments_of(models: FittedModels, log: TransactionLog) -> dict[str, pd.DataFrame]:
    """What is said of the segments from the days up to calibration_end."""
    evidence = Evidence(config_of(), log)
    windows = resolve_windows(
        first_day=START, last_day=LAST, calibration_end=CALIBRATION_END, holdout_end=HOLDOUT_END,
        label_cutoffs=[label.cutoff for label in LABELS],
    )  # fmt: skip
    judged = score_room.score(models, log, CALIBRATION_END)
    placements = segmentation_room._placements(evidence, windows, models, judged)
    rival = segmentation_room._rival(evidence, windows, judged)
    # the horizon before calibration_end is in the log, so the rival has forecasts to compare
    assert "churn_probability" in rival.placed
    return {
        **{f"placed {p.day}": p.scores for p in placements},
        **{f"behaviour {p.day}": p.behaviour for p in placements},
        "rival": rival.placed,
        "cohorts": cohort_of(log, CALIBRATION_END, "month").to_frame(),
        "cohort activity": cohort_activity(log, CALIBRATION_END, "month"),
    }


Check = Callable[[Data, Path, pytest.MonkeyPatch], None]
CHECKS: dict[str, Check] = {
    "vandal": check_vandal,
    "truncate": check_truncate,
    "boundary": check_boundary,
    "sentinel": check_sentinel,
    "future customer": check_future_customer,
    "same door": check_same_door,
    "row order": check_row_order,
    "choice": check_choice,
    "segments": check_segments,
}


# The longest run beside the planted leaks, by make planted.
LONG = {"row order", "choice", "vandal", "truncate", "segments", "same door"}


@pytest.mark.parametrize(
    "check", [pytest.param(name, marks=[pytest.mark.planted] if name in LONG else []) for name in CHECKS]
)
def test_the_clean_code_passes(check: str, clean_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CHECKS[check](clean_data, tmp_path, monkeypatch)


def test_the_sentinel_sees_skill_where_labels_are_true(clean_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    auc, error, _ = out_of_sample_auc(clean_data, monkeypatch, permuted=False)
    assert auc > 0.5 + 10 * error


# --- the planted leaks


def with_features(patch: pytest.MonkeyPatch, change: Callable[[pd.DataFrame, TransactionLog], pd.DataFrame]) -> None:
    """Let every reader of features see changed ones."""

    def leaky(log: TransactionLog, cutoffs: list[date], feature_set: str = "behaviour") -> pd.DataFrame:
        return change(features_at(log, cutoffs, feature_set), log)

    patch.setattr(description_room, "features_at", leaky)


def per_row(rows: pd.DataFrame, values: Callable[[date], pd.Series]) -> np.ndarray:
    """For each (cutoff, customer) the customer's value in that cutoff's series."""
    parts = [values(c).reindex(group.droplevel("cutoff").index) for c, group in rows.groupby(level="cutoff")]
    return np.concatenate([part.to_numpy(float) for part in parts])


def plant_count_after_the_cutoff(patch: pytest.MonkeyPatch) -> None:
    """purchases_last_28_days counts 28 days to both sides of the cutoff."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        extra = per_row(rows, lambda c: outcomes_after(log, [LabelWindow(c, 28)]).droplevel("cutoff")["purchases"])
        return rows.assign(purchases_last_28_days=rows["purchases_last_28_days"] + extra)

    with_features(patch, change)


def plant_target_mean_over_all_rows(patch: pytest.MonkeyPatch) -> None:
    """Each customer's churn rate over all training rows, the row's own label among them."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        churned = (fits_room.outcomes_after(log, LABELS)["purchases"] == 0).astype(float)
        rate = churned.groupby("customer_id").mean()
        return rows.assign(churn_rate=rate.reindex(rows.index.get_level_values("customer_id")).to_numpy())

    with_features(patch, change)


def plant_scaler_fitted_on_all_rows(patch: pytest.MonkeyPatch) -> None:
    """Amounts are standardised by the mean and spread of the whole log, the future included."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        [(mean, spread)] = log.connection.execute("SELECT avg(amount), stddev(amount) FROM customer_days").fetchall()
        return rows.assign(mean_amount=(rows["mean_amount"] - mean) / spread)

    with_features(patch, change)


def plant_cut_points_from_the_holdout(patch: pytest.MonkeyPatch) -> None:
    """The value cuts are terciles of what customers spent in the holdout."""
    fit_models = fits_room.fit_models

    def leaky(evidence: Evidence, as_of: date, *rest: Any) -> FittedModels:
        models = fit_models(evidence, as_of, *rest)
        spend = outcomes_after(evidence.log, [LabelWindow(as_of, HORIZON)])["spend"]
        cuts = freeze_grid(spend, spend, "terciles", list(models.grid.risk_cuts)) if (spend > 0).any() else None
        return replace(models, grid=cuts or models.grid)

    patch.setattr(train_room, "fit_models", leaky)
    patch.setattr(fits_room, "fit_models", leaky)


def plant_label_among_the_features(patch: pytest.MonkeyPatch) -> None:
    """The label stands among the features under an innocent name."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        def label(cutoff: date) -> pd.Series:
            found = fits_room.outcomes_after(log, LABELS)
            if cutoff not in found.index.get_level_values("cutoff"):
                found = outcomes_after(log, [LabelWindow(cutoff, HORIZON)])
            return found.xs(cutoff, level="cutoff")["purchases"]

        return rows.assign(next_purchases=per_row(rows, label))

    with_features(patch, change)


def plant_customers_of_the_future(patch: pytest.MonkeyPatch) -> None:
    """Every customer the log will ever know has features at every cutoff."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        everyone = summarize(log, log.last_day).index
        return rows.reindex(pd.MultiIndex.from_product([rows.index.levels[0], everyone], names=rows.index.names))

    with_features(patch, change)


def plant_place_in_the_file(patch: pytest.MonkeyPatch) -> None:
    """The line number of a customer's first line, as of a log that is kept in order of date."""

    def change(rows: pd.DataFrame, log: TransactionLog) -> pd.DataFrame:
        found = log.connection.execute(
            "SELECT customer_id, min(rowid) AS line FROM transactions GROUP BY customer_id"
        ).df()
        line = found.set_index("customer_id")["line"].astype(float)
        return rows.assign(first_line=line.reindex(rows.index.get_level_values("customer_id")).to_numpy())

    with_features(patch, change)


def plant_events_after_the_cutoff(patch: pytest.MonkeyPatch) -> None:
    """Events are counted until four weeks after the cutoff."""

    def leaky(log: TransactionLog, cutoffs: list[date], kinds: tuple[str, ...]) -> pd.DataFrame:
        known = features_at(log, cutoffs).index
        later = {c + timedelta(days=28): c for c in cutoffs}
        found = events_at(log, list(later), kinds).rename(index=later, level="cutoff")
        return found.reindex(known)

    patch.setattr(description_room, "events_at", leaky)


def plant_origins_within_the_holdout(patch: pytest.MonkeyPatch) -> None:
    """The holdout itself is among the origins that decide which methods are used."""
    rolling_origins = choice_room.rolling_origins

    def leaky(*, until: date, horizon_days: int, **rest: Any) -> tuple[list[date], list[date]]:
        return rolling_origins(until=until + timedelta(days=horizon_days), horizon_days=horizon_days, **rest)

    patch.setattr(choice_room, "rolling_origins", leaky)


def plant_scheme_cuts_from_the_holdout(patch: pytest.MonkeyPatch) -> None:
    """Pareto's tiers are cut where the customers of the holdout brought their shares."""
    cuts = fits_room._cuts

    def leaky(evidence: Evidence, *rest: Any) -> tuple[Grid, Schemes]:
        grid, schemes = cuts(evidence, *rest)
        spend = outcomes_after(evidence.log, [LabelWindow(CALIBRATION_END, HORIZON)])["spend"]
        return grid, replace(schemes, pareto=freeze_pareto(spend))

    patch.setattr(fits_room, "_cuts", leaky)


def plant_placements_of_a_later_day(patch: pytest.MonkeyPatch) -> None:
    """Where customers were a month before is told by what is known on calibration_end."""
    known_to = segmentation_room.known_to

    def leaky(models: FittedModels, log: TransactionLog, day: date, *rest: Any) -> Any:
        return known_to(models, log, CALIBRATION_END, *rest)

    patch.setattr(segmentation_room, "known_to", leaky)


def plant_cohorts_that_go_on(patch: pytest.MonkeyPatch) -> None:
    """What cohorts did is counted to the end of the log."""
    whole = globals()["cohort_activity"]
    patch.setitem(globals(), "cohort_activity", lambda log, as_of, period: whole(log, log.last_day, period))


# leak -> (how it is planted, {check that catches it: what the check says})
LEAKS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], dict[str, str]]] = {
    "count after the cutoff": (
        plant_count_after_the_cutoff,
        {
            "vandal": "differs",
            "truncate": "truncate: features: purchases_last_28_days differs",
            "boundary": "boundary: features",
            "same door": "same door: features: purchases_last_28_days differs",
        },
    ),
    # It sees nothing after calibration_end, so vandal and truncate cannot know: it needs the other two.
    "target mean over all rows": (
        plant_target_mean_over_all_rows,
        {"sentinel": "AUC", "same door": "same door: features: churn_rate differs"},
    ),
    "scaler fitted on all rows": (
        plant_scaler_fitted_on_all_rows,
        {
            "vandal": "differs",
            "truncate": "truncate: features: mean_amount differs",
            "same door": "same door: features: mean_amount differs",
        },
    ),
    "cut points from the holdout": (
        plant_cut_points_from_the_holdout,
        {"vandal": "grid cuts differs", "truncate": "grid cuts differs"},
    ),
    "label among the features": (
        plant_label_among_the_features,
        {
            "vandal": "differs",
            "truncate": "truncate: features: next_purchases differs",
            "sentinel": "AUC",
            "same door": "same door: features: next_purchases differs",
        },
    ),
    # Two more, so that every check has something to catch.
    "customers of the future": (
        plant_customers_of_the_future,
        {"boundary": "customers of the features", "future customer": "in the features"},
    ),
    "place in the file": (
        plant_place_in_the_file,
        {"row order": "row order: features: first_line differs", "same door": "first_line differs"},
    ),
    "events after the cutoff": (
        plant_events_after_the_cutoff,
        {
            "vandal": "differs",
            "truncate": "truncate: features: event_",
            "boundary": "boundary: events",
            "same door": "same door: features: event_",
        },
    ),
    "scheme cuts from the holdout": (plant_scheme_cuts_from_the_holdout, {"segments": "scheme cuts differs"}),
    "placements of a later day": (plant_placements_of_a_later_day, {"segments": "segments: placed 2024-05-01: rows"}),
    "cohorts that go on": (plant_cohorts_that_go_on, {"segments": "segments: cohort activity"}),
    "origins within the holdout": (plant_origins_within_the_holdout, {"choice": "choice: figures"}),
}
CAUGHT = [(leak, check, says) for leak, (_, catches) in LEAKS.items() for check, says in catches.items()]


@pytest.mark.planted
@pytest.mark.parametrize(("leak", "check", "says"), CAUGHT, ids=[f"{c} catches {k}" for k, c, _ in CAUGHT])
def test_a_planted_leak_is_caught(
    leak: str, check: str, says: str, clean_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LEAKS[leak][0](monkeypatch)
    with pytest.raises(AssertionError, match=says):
        CHECKS[check](clean_data, tmp_path, monkeypatch)


def test_every_check_catches_some_leak() -> None:
    assert {check for _, check, _ in CAUGHT} == set(CHECKS)
