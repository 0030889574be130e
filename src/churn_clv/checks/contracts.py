"""What is strange about a table of contracts, though it can be read, and what a run on it will do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from churn_clv.checks.attributes import looks_like_an_id
from churn_clv.checks.findings import Finding, note, warning
from churn_clv.checks.windows import FEW_CUSTOMERS, FEW_OF_A_CLASS
from churn_clv.contractual import TOO_GOOD_AUC
from churn_clv.contractual_config import ContractualConfig
from churn_clv.data.contracts import Contracts
from churn_clv.evaluation.churn_metrics import auc

MOST_MISSING = 0.5


def check_contracts(config: ContractualConfig, contracts: Contracts) -> list[Finding]:
    """Look at contracts that could be read."""
    return [_told(config, contracts), _plan(config), *_few(contracts), *_columns(contracts)]


def _told(config: ContractualConfig, contracts: Contracts) -> Finding:
    features, churned = contracts.features, contracts.churned
    steps = "; ".join(step.told for step in contracts.cleaning.steps)
    money = f" in {config.contract.currency}" if config.contract.currency else " (name contract.currency)"
    text = (
        f"{len(churned):,} customers, of whom {churned.sum():,.0f} left ({churned.mean():.1%}); {features.shape[1]} columns to "
        f"learn from; {config.contract.value!r} is the value a month{money}"
    )
    return note(config.contract.path, text + (f"; {steps}" if steps else ""))


def _plan(config: ContractualConfig) -> Finding:
    folds = config.evaluation.folds
    return note(
        "evaluation.folds", f"{folds} models, each fitted without a fold of the customers, and one on all of them; rivals: "
        "logistic regression on all columns, the churn rate of everyone",
    )  # fmt: skip


def _few(contracts: Contracts) -> Iterator[Finding]:
    churned = contracts.churned
    if len(churned) < FEW_CUSTOMERS:
        yield warning(
            "contract.path",
            f"only {len(churned):,} customers: with fewer than {FEW_CUSTOMERS} the metrics say little, read their errors",
        )
    least = int(min(churned.sum(), len(churned) - churned.sum()))
    if least < FEW_OF_A_CLASS:
        which = "left" if least == churned.sum() else "stayed"
        yield warning(
            "contract.churn", f"only {least:,} of {len(churned):,} customers {which}: too few to tell risks apart"
        )


def _columns(contracts: Contracts) -> Iterator[Finding]:
    features = contracts.features
    if ids := [str(name) for name in features if looks_like_an_id(features[name])]:
        yield warning(
            "contract.ignore", f"a different whole number for every customer, as ids are: {', '.join(ids)}; ignore them"
        )
    if gaps := [str(name) for name, share in features.isna().mean().items() if share > MOST_MISSING]:
        yield warning("contract.path", f"empty for more than {MOST_MISSING:.0%} of the customers: {', '.join(gaps)}")
    if given_away := [str(name) for name in features if tells(features[name], contracts.churned) > TOO_GOOD_AUC]:
        yield warning(
            "contract.ignore",
            f"alone nearly tells who left (AUC above {TOO_GOOD_AUC:g}): {', '.join(given_away)}; is it known only after a "
            "customer left? If so, ignore it",
        )


def tells(column: pd.Series, churned: pd.Series) -> float:
    """Return the AUC that a column alone reaches in telling who left: by its value, or by its categories' churn rates.

    Examples
    --------
    >>> tells(pd.Series(["moved", None, None]), pd.Series([1.0, 0.0, 0.0]))
    1.0
    """
    if pd.api.types.is_numeric_dtype(column):
        known = column.notna().to_numpy(float)
        by_value = column.fillna(-np.inf).rank().to_numpy(float)
        return max(_reached(churned, order) for order in (by_value, -by_value, known, -known))
    return _reached(churned, churned.groupby(column.fillna("(missing)")).transform("mean").to_numpy(float))


def _reached(churned: pd.Series, risk: np.ndarray) -> float:
    return float(auc(churned.to_numpy(float), risk)(np.ones(len(churned))))
