"""Markdown in which a user's own words stay words: no name of a config or a column can open a cell, a link or a heading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&!$])")
_SIMPLE = re.compile(r"[A-Za-z0-9_.,:=/+ -]+")


def plain(text: object) -> str:
    r"""Return any text as Markdown that shows it on one line; what cannot be printed is shown as an escape.

    Examples
    --------
    >>> print(plain("a|b `c`\n<i>"))
    a\|b \`c\`\\n\<i\>
    >>> plain("an ordinary sentence, 12.5 % of 3 (at most) - so.")
    'an ordinary sentence, 12.5 % of 3 (at most) - so.'
    """
    # An underscore inside a word emphasises nothing, and names of columns have many.
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", _SPECIAL.sub(r"\\\1", printable))


def code(name: object) -> str:
    r"""Return a name as code where nothing in it could end the code, else as `plain`.

    >>> print(code("mean_amount"), code("a`b"))
    `mean_amount` a\`b
    """
    return f"`{name}`" if _SIMPLE.fullmatch(str(name)) and str(name) == str(name).strip() else plain(name)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already.

    Examples
    --------
    >>> print(table(["name", "value"], [["`a`", "1"]]))
    | name | value |
    |---|---|
    | `a` | 1 |
    """
    lines = [_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)]
    return "\n".join(lines)


def bullets(lines: Iterable[str]) -> str:
    """Return a list of sentences that are Markdown already."""
    return "\n".join(f"- {line}" for line in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
