"""A short name for exactly this cleaned log."""

from __future__ import annotations

import hashlib

from churn_clv.data.engine import run
from churn_clv.data.transactions import TransactionLog

# Customer-days are distinct, so no two of them cancel; MD5 because DuckDB's own hash may change between versions.
_QUERY = """
SELECT count(*), count(DISTINCT customer_id), sum(CAST(amount AS DECIMAL(38, 6))),
       bit_xor(md5_number(concat_ws('|', customer_id, day, amount, is_purchase)))
FROM customer_days
"""


def fingerprint(log: TransactionLog) -> str:
    """Return 16 hexadecimal digits that change with any customer-day of the log, and not with the order of its rows."""
    [row] = run(log.connection, _QUERY)
    return hashlib.sha256(repr(row).encode()).hexdigest()[:16]
