"""The one error a user's input can cause."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Say in one line what was got, what was wanted, how many rows, and what to do. Never a customer id."""


class ConfigError(InputError):
    """A config that cannot be a run; every fault is listed, each with its key.

    faults: each fault alone, as the path of its key (the parts of section.key) and the words for it.
    """

    def __init__(self, message: str, faults: Iterable[tuple[tuple[str | int, ...], str]] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return a hint naming the candidate most like `name`, or an empty string.

    >>> nearest("custmer_id", ["date", "customer_id"])
    " (did you mean 'customer_id'?)"
    """
    close = get_close_matches(name.lower(), {c.lower(): c for c in candidates}, n=1, cutoff=0.6)
    original = {c.lower(): c for c in candidates}
    return f" (did you mean {original[close[0]]!r}?)" if close else ""


def shortened(text: object, limit: int = 24) -> str:
    """Return a value fit for an error message: printable, quoted, at most `limit` characters.

    >>> shortened("31/12/1997")
    "'31/12/1997'"
    """
    value = str(text)
    return repr(value if len(value) <= limit else value[:limit] + "...")
