"""What a message may repeat of a file's column names: where the header is missing they are a customer's row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from churn_clv.errors import shortened

# Words of a name that make the line it stands in a header.
WORDS = frozenset(
    """
    id ids key code number no nr num name customer customers cust client user member account household buyer contact visitor kunde
    kunden kundennummer kundennr cliente klant email mail date dates datum fecha day time timestamp datetime created order orders
    invoice bill receipt transaction transactions purchase purchases sale sales bestellung rechnung commande pedido amount amounts
    total subtotal net gross price value revenue spend cost costs margin tax discount betrag umsatz preis montant prix importe quantity
    qty menge product item sku article channel store shop country currency status type kind category note
    """.split()  # noqa: SIM905
)
NAME_LIKE = re.compile(r"(?!.*\d{3})[^\W\d][\w\s.()/%#$\u20ac\u00a3*+&:^?-]*")
LONGEST_LIST = 360


def listed(wanted: str, names: Iterable[str]) -> str:
    """Return the names of a file's columns as a message may tell them: none where nothing says that it has a header.

    >>> listed("amount", ["Kunde", "Datum", "Betrag"])
    'it has: Kunde, Datum, Betrag.'
    >>> listed("amount", ["C-1001", "05-Jan-2024"])
    'none of its 2 columns has a name as columns have (they are not repeated here): is the header line missing?'
    """
    names = list(names)
    if not any(is_word_of_headers(name) or get_close_matches(wanted.lower(), [name.lower()[:80]]) for name in names):
        return (
            f"none of its {len(names):,} columns has a name as columns have (they are not repeated here): is the header line "
            "missing?"
        )
    told: list[str] = []
    for name in filter(NAME_LIKE.fullmatch, names):
        told.append(name if name.isprintable() and len(name) <= 80 else shortened(name, 80))
        if sum(map(len, told)) > LONGEST_LIST:
            break
    more = len(names) - len(told)
    return f"it has: {', '.join(told)}{f' and {more:,} more' if more else ''}."


def is_word_of_headers(name: str) -> bool:
    """Tell whether a name holds a word that names of columns are made of.

    >>> is_word_of_headers("CustomerID"), is_word_of_headers("order_total"), is_word_of_headers("Ann Smith")
    (True, True, False)
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name[:1000])
    return not WORDS.isdisjoint(re.split(r"[\W_\d]+", parted.lower()))
