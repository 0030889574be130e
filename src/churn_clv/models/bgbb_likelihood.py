"""Log-likelihood of BG/BB by walking back from the last opportunity.

A customer with x transactions, the last at opportunity t_x of n, was active at all n, or left after opportunity
i = t_x .. n - 1. With p ~ Beta(alpha, beta) and theta ~ Beta(gamma, delta) the paper's likelihood is a sum of n - t_x + 1
positive terms. Customers with equal x and n share its end, so one walk from i = n downwards serves them all: every
step adds one term to the sum, and to the mean over its terms of their first and second derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from churn_clv.models.distinct_rows import Array, column, read_weights

Whole = NDArray[np.intp]

MOST = 100_000  # the walk takes one step per opportunity, and keys of three such numbers are exact as floats


@dataclass(frozen=True)
class OpportunityRows:
    """Weighted distinct rows: transactions x, opportunity of the last one, opportunities n."""

    x: Whole
    last: Whole
    n: Whole
    weight: Array


def read_opportunities(
    summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None
) -> tuple[OpportunityRows, Whole]:
    """Take frequency, recency and n_opportunities out of a summary as distinct rows and each customer's place.

    Raises
    ------
    ValueError
        For a missing column, and for values that are not whole counts with frequency <= recency <= n_opportunities
        and recency 0 where frequency is 0; with the number of customers concerned.
    """
    x, last, n = (column(summary, name) for name in ("frequency", "recency", "n_opportunities"))
    _refuse_impossible(x, last, n)
    weight = read_weights(summary, weights)
    width = int(n.max(initial=0)) + 1
    keys, place = np.unique(((n * width + x) * width + last).astype(np.intp), return_inverse=True)
    total = np.bincount(place, weight, minlength=keys.size).astype(float)
    return OpportunityRows(keys // width % width, keys % width, keys // width**2, total), place


def _refuse_impossible(x: Array, last: Array, n: Array) -> None:
    fractional = (x != np.floor(x)) | (last != np.floor(last)) | (n != np.floor(n))
    checks = [
        (fractional, "frequency, recency and n_opportunities must be whole numbers",
         "count opportunities (such as weeks or years), not days or shares of them"),
        (n > MOST, f"n_opportunities must be at most {MOST}", "merge opportunities into longer periods"),
        (last > n, "recency must be at most n_opportunities", "number the opportunities from 1 and count all of them"),
        (x > last, "frequency must be at most recency", "count at most one transaction per opportunity"),
        ((x == 0) & (last > 0), "recency must be 0 where frequency is 0",
         "leave the first transaction, at opportunity 0, out of both"),
    ]  # fmt: skip
    for bad, wanted, remedy in checks:
        if bad.any():
            raise ValueError(f"{wanted}: {int(bad.sum())} of {x.size} customers break that; {remedy}")


class OpportunityLikelihood:
    """The log-likelihood of weighted rows as a function of (alpha, beta, gamma, delta), with derivatives."""

    def __init__(self, rows: OpportunityRows) -> None:
        self._rows = rows
        width = int(rows.n.max(initial=0)) + 1
        keys, chain = np.unique(rows.n * width + rows.x, return_inverse=True)
        length = np.zeros(keys.size, dtype=np.intp)
        np.maximum.at(length, chain, rows.n - rows.last)
        # longest first: the chains that still walk are always the first ones
        order = np.argsort(-length, kind="stable")
        rank = np.argsort(order)
        self._x, self._n = keys[order] % width, keys[order] // width
        self._walking = [int(np.count_nonzero(length >= k)) for k in range(int(length.max(initial=0)) + 1)]
        self._chain = rank[chain]
        by_silence = np.argsort(rows.n - rows.last, kind="stable")
        ends = np.cumsum(np.bincount(rows.n - rows.last, minlength=len(self._walking)))
        self._readers = np.split(by_silence, ends[:-1])

    def __call__(self, params: Array) -> tuple[float, Array, Array]:
        """Return log-likelihood, gradient and Hessian by alpha, beta, gamma, delta."""
        value, gradient, hessian = 0.0, np.zeros(4), np.zeros((4, 4))
        terms = _Terms(params, int(self._n.max(initial=0)))
        first, second = terms.derivatives(self._x, self._n, left=False)
        second += first[:, None] * first
        for readers, log_sum, log_term, i in self._walk(terms):
            if log_term is not None:
                walking = i.size
                g, h = terms.derivatives(self._x[:walking], i, left=True)
                share = np.exp(log_term - log_sum)
                # the means move towards the new term by its share of the sum
                first = first[:, :walking] + share * (g - first[:, :walking])
                second = second[..., :walking] + share * (h + g[:, None] * g - second[..., :walking])
            at, weight = self._chain[readers], self._rows.weight[readers]
            value += float(np.einsum("c,c->", weight, log_sum[at]))
            gradient += np.einsum("c,kc->k", weight, first[:, at])
            hessian += np.einsum("c,klc->kl", weight, second[..., at] - first[:, None, at] * first[:, at])
        return value, gradient, hessian

    def rows(self, params: Array) -> tuple[Array, Array]:
        """Return, per row, the log-likelihood and the log of its part in which the customer is still active."""
        terms = _Terms(params, int(self._n.max(initial=0)))
        total = np.zeros(self._rows.x.size)
        for readers, log_sum, _, _ in self._walk(terms):
            total[readers] = log_sum[self._chain[readers]]
        return total, terms.active(self._rows.x, self._rows.n)

    def _walk(self, terms: _Terms) -> Iterator[tuple[Whole, Array, Array | None, Whole]]:
        """Yield, from i = n downwards, the rows that end here, the log sums so far, the newest log terms and i."""
        log_sum = terms.active(self._x, self._n)
        yield self._readers[0], log_sum, None, self._n
        for k, walking in enumerate(self._walking[1:], start=1):
            i = self._n[:walking] - k
            log_term = terms.left(self._x[:walking], i)
            log_sum = np.logaddexp(log_sum[:walking], log_term)
            yield self._readers[k], log_sum, log_term, i


class _Terms:
    """The terms of the likelihood and their derivatives from tables of ln Gamma(z + j) - ln Gamma(z) - j ln z."""

    def __init__(self, params: Array, most: int) -> None:
        alpha, beta, gamma, delta = params
        self._log_p, self._log_q = -np.log1p(beta / alpha), -np.log1p(alpha / beta)
        self._log_leave, self._log_stay = -np.log1p(delta / gamma), -np.log1p(gamma / delta)
        self._gamma, self._leaving = gamma, gamma + delta
        self._bought, self._passed, self._seen = (_rises(z, most) for z in (alpha, beta, alpha + beta))
        self._stayed, self._lived = _rises(delta, most), _rises(gamma + delta, most + 1)

    def active(self, x: Whole, n: Whole) -> Array:
        """Return the log probability of one history of x in n and of being active at all n."""
        return self._history(x, n) + n * self._log_stay + self._stayed[0][n] - self._lived[0][n]

    def left(self, x: Whole, i: Whole) -> Array:
        """Return the log probability of one history of x in i and of leaving right after i."""
        leave = self._log_leave - np.log1p(i / self._leaving)
        return self._history(x, i) + i * self._log_stay + self._stayed[0][i] - self._lived[0][i] + leave

    def derivatives(self, x: Whole, i: Whole, left: bool) -> tuple[Array, Array]:
        """Return the terms' gradients (4, row) and Hessians (4, 4, row)."""
        chances = i + 1 if left else i
        own = 1 / self._gamma if left else 0.0
        gradient = np.array([self._bought[1][x], self._passed[1][i - x], np.full(x.size, own), self._stayed[1][i]])
        hessian = np.zeros((4, 4, x.size))
        hessian[:2, :2] = self._seen[2][i]
        hessian[2:, 2:] = self._lived[2][chances]
        for k, bend in enumerate((self._bought[2][x], self._passed[2][i - x], own**2, self._stayed[2][i])):
            hessian[k, k] -= bend
        gradient[:2] -= self._seen[1][i]
        gradient[2:] -= self._lived[1][chances]
        return gradient, hessian

    def _history(self, x: Whole, i: Whole) -> Array:
        rises = self._bought[0][x] + self._passed[0][i - x] - self._seen[0][i]
        return np.asarray(x * self._log_p + (i - x) * self._log_q + rises)


def _rises(z: float, most: int) -> tuple[Array, Array, Array]:
    """Return, for m = 0 .. most, the sums over j < m of ln(1 + j/z), 1/(z+j) and 1/(z+j)^2."""
    j = np.arange(most)
    sums = np.zeros((3, most + 1))
    sums[:, 1:] = np.cumsum([np.log1p(j / z), 1 / (z + j), 1 / (z + j) ** 2], axis=1)
    return sums[0], sums[1], sums[2]
