"""The summary as SQL over a table of lines; on Spark it is run by tests/spark."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
import pytest

from churn_clv.data.contract import Columns
from churn_clv.data.datasets import cdnow
from churn_clv.data.simulate import simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.summary_sql import summary_sql
from churn_clv.errors import InputError


def with_refunds() -> pd.DataFrame:
    """A log with refunds within a day, alone on a day, before the first purchase, and of a customer who never bought."""
    lines = simulate_log(customers=300, seed=6)
    back = lines.sample(frac=0.3, random_state=1).assign(amount=lambda t: -t["amount"])
    moved = back.assign(
        date=back["date"] + pd.to_timedelta([0, -1, 3, -200] * (len(back) // 4) + [0] * (len(back) % 4), unit="D")
    )
    never = pd.DataFrame({"customer_id": ["never"], "date": pd.Timestamp("2023-05-05"), "amount": [-3.0]})
    return pd.concat([lines, lines.head(40), moved, never], ignore_index=True)


@pytest.mark.parametrize("spend", ["repeat", "all"])
@pytest.mark.parametrize("name", ["cdnow", "with refunds"])
def test_the_query_gives_the_summary_of_the_cleaned_log(name: str, spend: str) -> None:
    lines, day = (cdnow(), date(1997, 9, 30)) if name == "cdnow" else (with_refunds(), date(2024, 3, 1))
    connection = duckdb.connect()
    table = lines.rename(columns={"customer_id": 'the "id"', "amount": "total"})
    connection.register("sales", table)
    query = summary_sql("sales", day, spend, Columns('the "id"', "date", "total"))  # type: ignore[arg-type]
    found = connection.execute(query).df().set_index("customer_id").sort_index()
    wanted = summarize(read_transactions(lines), day, spend)  # type: ignore[arg-type]
    # Sums of decimals: equal to the last digit.
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dialect": "oracle"}, "'oracle' is not one of duckdb, spark"),
        ({"spend": "some"}, "'some' is not one of repeat, all"),
        ({"columns": Columns(amount=None)}, "needs amounts"),
        ({"table": "a.b.c.d"}, "is no name"),
    ],
)
def test_what_cannot_be_written_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        summary_sql(**({"table": "sales", "end": date(2024, 1, 1)} | asked))  # type: ignore[arg-type]
