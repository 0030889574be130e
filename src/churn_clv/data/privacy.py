"""Pseudonyms of customers: a keyed hash of the id, the same in every run with the same key, a riddle to whoever lacks it.

A plain hash of an id, or one with a salt that lies beside the data, is undone by hashing all ids there are (ENISA 2019,
Pseudonymisation techniques and best practices); HMAC (RFC 2104) is not, as long as the key is kept elsewhere.
"""

from __future__ import annotations

import hmac
import os

import pandas as pd

from churn_clv.errors import InputError

KEY = "CHURN_CLV_PSEUDONYM_KEY"
PSEUDONYM = "pseudonym"
FEWEST_BYTES = 32
# The hash says what it is of: the same key used elsewhere gives other pseudonyms.
DOMAIN = "churn-clv/customer_id/1:"
_HEX_DIGITS = 32  # 128 of the 256 bits
_HOW = "make one with: python3 -c 'import secrets; print(secrets.token_hex(32))', and keep it apart from the data"


def has_pseudonym_key() -> bool:
    """Whether the environment holds a key; an empty one counts as none."""
    return bool(os.environ.get(KEY))


def pseudonym_key() -> bytes:
    """Return the key in the environment.

    Raises
    ------
    InputError
        If there is none, or it is too short to be one; the message never repeats it.
    """
    if not has_pseudonym_key():
        raise InputError(f"{KEY} is not set, and without a key no customer is named outside this machine; {_HOW}")
    key = os.environb[KEY.encode("ascii")]
    if len(key) < FEWEST_BYTES:
        raise InputError(f"{KEY}: has {len(key)} bytes, want at least {FEWEST_BYTES}; {_HOW}")
    return key


def check_key() -> None:
    """Refuse a key that is too short to be one, before any work is done with it; none at all is no fault."""
    if has_pseudonym_key():
        pseudonym_key()


def pseudonyms(customer_ids: pd.Index, key: bytes) -> pd.Index:
    """Return the pseudonym of each id: 32 hexadecimal digits of HMAC-SHA-256 over the domain and the id as text.

    Examples
    --------
    >>> pseudonyms(pd.Index(["123"]), b"k" * 32).equals(pseudonyms(pd.Index([123]), b"k" * 32))
    True
    """
    return pd.Index([pseudonym(str(name), key) for name in customer_ids], dtype="str", name=PSEUDONYM)


def pseudonym(customer_id: str, key: bytes) -> str:
    """Return the pseudonym of one id."""
    return hmac.new(key, (DOMAIN + customer_id).encode(), "sha256").hexdigest()[:_HEX_DIGITS]
