"""Groups of few customers are left out of what is shown: nobody may be recognised in a count, a share or a sum.

A group that is left out must not be found by taking the others off the total: with it go more groups, the smallest first, and all of
them bear the same mark (complementary suppression; Willenborg & de Waal 2001, Elements of Statistical Disclosure Control). An
empty group is shown: it is of nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SMALLEST_GROUP = 10
# What a table tells of those among a group who are to be contacted.
CONTACTS = ("contacted", "outlay", "outlay_a_customer", "contact_profit")


def withheld(customers: pd.Series, smallest: int) -> pd.Series:
    """Return which groups of a division of customers are left out; their total may be known.

    Parameters
    ----------
    customers
        How many each group has.
    smallest
        Groups of fewer, but not of none, are left out, and as many others as it takes: whoever knows the total can say of no
        group to less than this many up or down how large it is.

    Examples
    --------
    >>> withheld(pd.Series([3, 40, 0, 12, 20, 90]), 10).tolist()
    [True, False, False, True, True, False]
    """
    counts = customers.to_numpy(float)
    hidden = (counts > 0) & (counts < smallest)
    for k in np.argsort(counts, kind="stable"):
        if not hidden.any() or _wide(counts[hidden], smallest):
            break
        hidden[k] |= counts[k] > 0
    return pd.Series(hidden, customers.index)


def _wide(hidden: np.ndarray, smallest: int) -> bool:
    """Whether each of some groups, of which only the sum is known and that nobody is empty, may have many sizes."""
    return len(hidden) > 1 and hidden.sum() - len(hidden) >= 2 * smallest


def withheld_moves(moved: pd.DataFrame, smallest: int) -> pd.DataFrame:
    """Return which cells of a table of counts are left out, where the sum of a row or column may be known if it is shown itself.

    Each cell that is left out, and each sum that is, is a corner of a rectangle of such, around which customers can be shifted by
    twice `smallest` without a change of anything shown (the hypercube method; Repsilber 1994). Where one has no such rectangle, the
    whole table is left out.

    Examples
    --------
    >>> moves = pd.DataFrame([[90, 4, 50], [60, 70, 80], [0, 30, 40]])
    >>> withheld_moves(moves, 10).to_numpy().tolist()
    [[False, True, True], [False, False, False], [False, True, True]]
    """
    counts = moved.to_numpy(float)
    table = _Table.of(moved, smallest)
    for row, column in np.argwhere(table.hidden | (table.inner & (table.values > 0) & (table.values < smallest))):
        corner = table.corner(row, column, 2 * smallest)
        if corner is None:
            return pd.DataFrame(counts > 0, moved.index, moved.columns)
        table.hidden[np.ix_([row, corner[0]], [column, corner[1]])] = True
    return pd.DataFrame(table.hidden[:-1, :-1], moved.index, moved.columns)


@dataclass
class _Table:
    """A table of counts with its sums as a last row and column; sums are left out where they are in a table of their own."""

    values: np.ndarray
    inner: np.ndarray
    hidden: np.ndarray

    @classmethod
    def of(cls, moved: pd.DataFrame, smallest: int) -> _Table:
        rows, columns = moved.sum(axis=1), moved.sum(axis=0)
        values = np.pad(moved.to_numpy(float), (0, 1))
        values[:-1, -1], values[-1, :-1], values[-1, -1] = rows, columns, rows.sum()
        inner, hidden = np.zeros(values.shape, dtype=bool), np.zeros(values.shape, dtype=bool)
        inner[:-1, :-1] = True
        hidden[:-1, -1], hidden[-1, :-1] = withheld(rows, smallest), withheld(columns, smallest)
        return cls(values, inner, hidden)

    def corner(self, row: int, column: int, room: int) -> tuple[int, int] | None:
        """Return the opposite corner of the rectangle around a cell that leaves out fewest customers more."""
        # A cell gains what its neighbours in the rectangle lose; a sum follows its cells, so it moves the other way. Nobody goes
        # below 1, as an empty cell would be shown.
        up, down = np.where(self.inner, np.inf, self.values - 1), np.where(self.inner, self.values - 1, np.inf)
        gain = np.minimum(_beside(down, row, column), np.minimum(up[row, column], up))
        loss = np.minimum(_beside(up, row, column), np.minimum(down[row, column], down))
        may = self.hidden | (self.inner & (self.values > 0))
        fits = (gain + loss >= room) & may & may[row][None, :] & may[:, column][:, None]
        fits[row, :] = fits[:, column] = False
        if not fits.any():
            return None
        shown = np.where(self.hidden, 0, self.values)
        cost = np.where(fits, shown[row][None, :] + shown[:, column][:, None] + shown, np.inf)
        found = np.unravel_index(int(np.argmin(cost)), cost.shape)
        return int(found[0]), int(found[1])


def _beside(room: np.ndarray, row: int, column: int) -> np.ndarray:
    """For every opposite corner, how far the two other corners can move."""
    return np.minimum(room[row][None, :], room[:, column][:, None])


def in_words(customers: float, smallest: int) -> str:
    """Return a number of customers, or that they are too few to be told.

    >>> in_words(7, 10), in_words(0, 10), in_words(1200, 10)
    ('fewer than 10', '0', '1,200')
    """
    return f"fewer than {smallest}" if 0 < customers < smallest else f"{customers:,.0f}"


def without_small_groups(table: pd.DataFrame, smallest: int) -> pd.DataFrame:
    """Return a table of groups, one a row, without the numbers of those that are left out: they are missing.

    Parameters
    ----------
    table
        With `customers`, and other numbers about each group. Of those to be contacted, where `contacted` counts them, the
        numbers go by themselves.

    Examples
    --------
    >>> table = pd.DataFrame({"customers": [4, 60, 30], "share": [0.04, 0.64, 0.32], "action": "wait"}, list("abc"))
    >>> without_small_groups(table, 10)["customers"].tolist()
    [nan, 60.0, nan]
    """
    hidden = withheld(table["customers"], smallest)
    numbers = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    shown = _missing(table, hidden, numbers)
    if "contacted" not in table:
        return shown
    few = hidden | withheld(table["contacted"], smallest)
    return _missing(shown, few, [name for name in CONTACTS if name in table])


def _missing(table: pd.DataFrame, hidden: pd.Series, names: list[str]) -> pd.DataFrame:
    if not hidden.any():
        return table
    return table.assign(**{name: table[name].astype(float).mask(hidden) for name in names})


def withheld_words(table: pd.DataFrame, smallest: int, names: pd.Series | None = None) -> str:
    """Say which groups of `without_small_groups` are left out; nothing where none is."""
    told = table.index.to_series() if names is None else names
    left = told[table["customers"].isna().to_numpy()]
    if left.empty:
        return ""
    return (
        f"Not shown: {'; '.join(map(str, left))}. Groups of fewer than {smallest} customers are left out, and with them others from "
        "which they could be worked out."
    )
