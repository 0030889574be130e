"""What the exported SQL integrates with: nodes and weights that Python works out once, as rows of constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from churn_clv.errors import InputError
from churn_clv.models import ParetoNBDModel
from churn_clv.models.distinct_rows import Array
from churn_clv.models.leaving_at_purchase import LeavingAtPurchase
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.models.quadrature import gauss_legendre

LARGEST_AGE = 36525.0  # days; beyond, and with more purchases, nobody has tried the rules
MOST_PURCHASES = 1e6
DEPTH = 24.0  # e^-24 of an integral is left out
SMALLEST = -100.0  # ln of the smallest dropout probability that SQL multiplies with
Rows = list[tuple[float, ...]]


@dataclass(frozen=True)
class Rule:
    """A purchase model in SQL: the query's file, its numbers, and its nodes for a number of nodes."""

    file: str
    numbers: Mapping[str, float]
    nodes: Callable[[int], Rows]
    columns: tuple[str, ...]


def rule_of(purchases: PurchaseModel, longest: float) -> Rule:
    """Return the rule of a fitted purchase model for horizons up to ``longest`` days.

    Raises
    ------
    InputError
        For a model that has no SQL.
    """
    if isinstance(purchases, LeavingAtPurchase):
        return _leaving_at_purchase(purchases, longest)
    if isinstance(purchases, ParetoNBDModel):
        return _pareto(purchases)
    raise InputError(f"{type(purchases).__name__} has no SQL; BG/NBD, MBG/NBD and Pareto/NBD have")


def _leaving_at_purchase(purchases: LeavingAtPurchase, longest: float) -> Rule:
    params = purchases.params_
    r, alpha, a, b = (params[name] for name in ("r", "alpha", "a", "b"))
    first = float(purchases.first_purchase_counts)
    # ln of the most that the expectation at p = 0, k t/A, can exceed that over all p
    rise = float(np.log1p(longest / alpha) + np.log(max(1.0, r / (b + first))))
    low, high = _dropout_range(a, b + first + np.append(0.0, np.logspace(-2, 7, 19)), rise)

    def nodes(count: int) -> Rows:
        y = np.linspace(low, high, count)
        step = y - np.exp(-y)
        kept = np.maximum(step, SMALLEST)  # below, all but p^a is constant
        return list(zip(kept.tolist(), (np.log1p(np.exp(-y)) + a * (step - kept)).tolist(), strict=True))

    numbers = {"r": r, "alpha": alpha, "a": a, "b": b, "a_less_one": a - 1, "first_chance": first}
    return Rule("export_leaving_at_purchase", numbers, nodes, ("log_step", "log_weight"))


def _dropout_range(a: float, c: Array, rise: float) -> tuple[float, float]:
    """Return the y between which lies all of p ~ Beta(a, c), p = 1 - e^-s, s = (ln(1 + a/c) + 1/c) e^(y - e^-y)."""
    y = np.linspace(-16.0, 12.0, 1 << 14)
    lowest, highest = np.inf, -np.inf
    for shape in c:
        log_growth = np.log1p(a / shape)
        log_s = y - np.exp(-y) + np.log(log_growth + 1 / shape)
        s = np.exp(log_s)
        log_p = np.where(log_s < -30, log_s, np.log(-np.expm1(-np.maximum(s, 1e-13))))
        density = np.log1p(np.exp(-y)) + log_s + (a - 1) * log_p - shape * s
        fall = density.max() - density
        inside = y[fall < np.where(y < y[density.argmax()], DEPTH + rise, DEPTH)]
        lowest, highest = min(lowest, inside[0]), max(highest, inside[-1])
    return float(lowest), float(highest)


def _pareto(purchases: ParetoNBDModel) -> Rule:
    r, alpha, s, beta = (purchases.params_[name] for name in purchases.parameter_names)
    numbers = {
        "r": r, "alpha": alpha, "s": s, "beta": beta, "s_less_one": s - 1, "least": min(alpha, beta), "depth": DEPTH,
    }  # fmt: skip

    def nodes(count: int) -> Rows:
        node, weight = gauss_legendre(count)
        return list(zip(((node + 1) / 2).tolist(), (weight / 2).tolist(), strict=True))

    return Rule("export_pareto_nbd", numbers, nodes, ("share", "weight"))
