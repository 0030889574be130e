"""A short name for exactly this cleaned log."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from churn_clv.data.engine import run
from churn_clv.data.transactions import TransactionLog

if TYPE_CHECKING:
    from churn_clv.data.spark_log import SparkLog

# Customer-days are distinct, so no two of them cancel; MD5 because an engine's own hash may change between versions.
_QUERY = """
SELECT count(*), count(DISTINCT customer_id), sum(CAST(amount AS DECIMAL(38, 6))),
       bit_xor(md5_number(concat_ws('|', customer_id, day, CAST(amount AS VARCHAR), is_purchase)))
FROM customer_days
"""


def fingerprint(log: TransactionLog | SparkLog) -> str:
    """Return 16 hexadecimal digits that change with any customer-day of the log, and not with the order of its rows."""
    [(days, customers, total, digest)] = run(log.connection, _QUERY)
    if isinstance(digest, str):  # Spark's, in hexadecimal: it has no number that long
        digest = int.from_bytes(bytes.fromhex(digest), "little")
    return hashlib.sha256(repr((days, customers, total, digest)).encode()).hexdigest()[:16]
