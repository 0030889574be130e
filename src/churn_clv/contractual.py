"""One run on contracts, start to finish: a table of customers, of whom some have left, and no log.

Every customer is scored by a model that never saw anyone of their fold, which judges the method and scores those who
are still there alike. The model to hand over is then fitted on all customers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from churn_clv.contractual_config import ContractualConfig
from churn_clv.data.contracts import Contracts, read_contracts
from churn_clv.data.sources import expanded
from churn_clv.errors import InputError
from churn_clv.evaluation.cross_fitting import (
    CrossFitted,
    fit_without_each_fold,
    judge_cross_fitted,
    out_of_fold,
    stratified_folds,
)
from churn_clv.evaluation.drivers import drivers
from churn_clv.evaluation.judgement import RUN
from churn_clv.models.attribute_logistic import AttributeLogistic
from churn_clv.models.churn import ChurnModel
from churn_clv.models.reasons import reasons
from churn_clv.segments.grid import Grid, cell_table, freeze_grid, place
from churn_clv.stages import Clock

SCORE_COLUMNS = ["churn_probability", "monthly_value", "value_at_risk", "value_tier", "risk_tier", "segment", "action",
                 "reasons"]  # fmt: skip
TOO_GOOD_AUC = 0.98
_NOT_OF_CONTRACTS = ["clv", "expected_spend", "realised_spend", "realised_spend_low", "realised_spend_high"]


@dataclass
class ContractualRun:
    """What a run on contracts found.

    Attributes
    ----------
    model, grid : fitted on, and cut by, all customers.
    judged : every customer: fold, churned, churn_probability (out of fold), the rivals' probabilities, value and tiers.
    judged_grid : its cells, with the share that really left.
    judgement : the metrics of the out-of-fold probabilities.
    scores : the customers who are still there, with their out-of-fold risk.
    current_grid : their cells.
    drivers : what moves the risk, see `churn_clv.evaluation.drivers`.
    """

    config: ContractualConfig
    contracts: Contracts
    model: ChurnModel
    grid: Grid
    judged: pd.DataFrame
    judged_grid: pd.DataFrame
    judgement: CrossFitted
    scores: pd.DataFrame
    current_grid: pd.DataFrame
    drivers: pd.DataFrame
    notes: list[str]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.contracts.fingerprint


def train_contracts(config: ContractualConfig, progress: Callable[[str], None] = lambda stage: None) -> ContractualRun:
    """Run a config on contracts: read, cross-fit, judge, fit on everyone, place in the grid.

    Returns
    -------
    ContractualRun. Nothing is written.

    Raises
    ------
    InputError
        For a table that the run cannot stand on, in one line.
    """
    clock = Clock(progress)
    with clock.stage("read the table"):
        contracts = open_contracts(config)
        features, churned = contracts.features, contracts.churned
        fold_of = stratified_folds(churned, config.evaluation.folds, config.evaluation.seed)
    with clock.stage("fit without each fold"):
        models = fit_without_each_fold(lambda rows, left: new_model(config).fit(rows, left), features, churned, fold_of)
        risk = out_of_fold(models, ChurnModel.predict_probability, features, fold_of)
        contributions = out_of_fold(models, ChurnModel.contributions, features, fold_of)
    with clock.stage("judge against rivals"):
        rivals = rival_risks(features, churned, fold_of)
        judgement = judge_cross_fitted(
            churned, {RUN: risk, **rivals}, fold_of, bootstrap_samples=config.evaluation.bootstrap_samples,
            seed=config.evaluation.seed, costs=config.evaluation.retention_costs(),
        )  # fmt: skip
    with clock.stage("fit on all customers"):
        model = new_model(config).fit(features, churned)
    with clock.stage("place the customers"):
        value = contracts.value
        grid = freeze_grid(value, risk, *config.grid.cuts())
        told = reasons(contributions, features, currency=config.contract.currency or "")
        placed = placed_customers(grid, risk, value).assign(reasons=told)
        judged = (
            pd.DataFrame({"fold": fold_of, "churned": churned}).join(placed.drop(columns="reasons")).assign(**rivals)
        )
        scores = placed.loc[churned == 0, SCORE_COLUMNS]
    return ContractualRun(
        config, contracts, model, grid, judged, cells(grid, placed, churned), judgement, scores, cells(grid, scores),
        drivers(features, contributions), remarks(contracts, model, models, judgement), clock.seconds,
    )  # fmt: skip


def open_contracts(config: ContractualConfig) -> Contracts:
    """Read the table and see that there is something to learn and to judge in every fold."""
    try:
        contracts = read_contracts(expanded(config.contract.path), config.contract.columns())
    except InputError as error:
        raise InputError(f"contract.path: {error}") from None
    counts, folds = contracts.churned.map({1.0: "left", 0.0: "stayed"}).value_counts(), config.evaluation.folds
    if counts.min() < folds:
        raise InputError(
            f"contract.path: {config.contract.path}: only {counts.min()} of {counts.sum():,} customers "
            f"{counts.idxmin()}; evaluation.folds: {folds} needs at least {folds} who left and {folds} who stayed"
        )
    return contracts


def new_model(config: ContractualConfig) -> ChurnModel:
    """Return the unfitted classifier of a config."""
    return ChurnModel(start="base_rate", **config.churn.trees())


def rival_risks(features: pd.DataFrame, churned: pd.Series, fold_of: pd.Series) -> dict[str, pd.Series]:
    """Return the risks to beat: a regression fitted on the same folds, and the churn rate of everyone."""
    fitted = fit_without_each_fold(lambda rows, left: AttributeLogistic().fit(rows, left), features, churned, fold_of)
    return {
        "logistic_attributes": out_of_fold(fitted, AttributeLogistic.predict_probability, features, fold_of),
        "base_rate": pd.Series(churned.mean(), index=churned.index),
    }


def placed_customers(grid: Grid, risk: pd.Series, value: pd.Series) -> pd.DataFrame:
    """Return churn_probability, monthly_value, value_at_risk (currency a month) and the cell of each customer."""
    scores = pd.DataFrame({"churn_probability": risk, "monthly_value": value, "value_at_risk": risk * value})
    return scores.join(place(grid, scores.rename(columns={"monthly_value": "value_if_active"})))


def cells(grid: Grid, scores: pd.DataFrame, churned: pd.Series | None = None) -> pd.DataFrame:
    """Add up each cell: customers, mean risk and monthly value, value at risk (sum); with labels, the share that left."""
    kept = scores["monthly_value"] - scores["value_at_risk"]
    frame = scores.rename(columns={"monthly_value": "value_if_active"}).assign(expected_spend=kept, clv=0.0)
    outcomes = None if churned is None else pd.DataFrame({"purchases": 1 - churned, "spend": 0.0})
    table = cell_table(grid, frame, outcomes).drop(columns=_NOT_OF_CONTRACTS, errors="ignore")
    return table.rename(columns={"value_if_active": "monthly_value"})


def remarks(
    contracts: Contracts, model: ChurnModel, models: dict[int, ChurnModel], judgement: CrossFitted
) -> list[str]:
    """Say how the scores were made, who won, and what may be wrong."""
    rounds = sorted(m.rounds_ for m in models.values())
    lines = [
        f"Every customer is scored by a model fitted without their fold of {len(models)}, its number of trees "
        f"({rounds[0]} to {rounds[-1]}) chosen inside its own part, those who are still there as well: no model saw the "
        "label of a customer whom it scores. The model to hand over is fitted on all customers.",
        *judgement.sentences(),
        judgement.calibration_sentence(),
    ]
    lines += [f"Churn model: {note}." for note in sorted({m.note_ for m in [model, *models.values()] if m.note_})]
    if model.rounds_ == 0:
        lines.append(
            "No column told who leaves by more than the error of telling, so the risk is the churn rate for everyone."
        )
    reached = judgement.metrics().get("churn/auc", 0.0)
    if reached > TOO_GOOD_AUC:
        lines.append(
            f"An AUC of {reached:.3f} is more than churn allows: is {model.importances().index[0]!r} known only after "
            "a customer left? contract.ignore leaves it out."
        )
    return lines
