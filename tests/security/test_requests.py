"""S20: what no customer is, is refused by column and count; each of these once ended in a traceback of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn_clv.delivery.golden_rows import GOLDEN, golden_customers
from churn_clv.delivery.model_folder import ScoringModel, read_model, verified
from churn_clv.delivery.request import refuse_unstorable, with_numbers
from churn_clv.errors import InputError

RELEASE = Path(__file__).parents[1] / "golden/release_0_1_0"
SECRET = "canary-7f3a"  # noqa: S105 (an id that must not come back)


@pytest.fixture(scope="module")
def scoring() -> ScoringModel:
    return read_model(RELEASE)


@pytest.fixture(scope="module")
def table(scoring: ScoringModel) -> pd.DataFrame:
    rows = golden_customers(scoring.models, verified(RELEASE)[GOLDEN]).head(3)
    return rows.assign(customer_id=[f"{SECRET}-{k}" for k in range(3)])


def answer(scoring: ScoringModel, asked: pd.DataFrame) -> pd.DataFrame:
    """As the served model does."""
    refuse_unstorable(asked)
    return scoring.score(with_numbers(scoring, asked))


def changed(table: pd.DataFrame, **cells: Any) -> pd.DataFrame:
    """The first row's cells changed, as JSON would bring them."""
    found = table.astype(object)
    for name, value in cells.items():
        found[name] = pd.Series([value, *found[name].iloc[1:]], dtype=object, index=found.index)
    return found


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"T": json.loads("9" * 400)}, "T: 1 of 3 rows hold what no table can"),
        ({"distance": json.loads("-" + "9" * 400)}, "distance: 1 of 3 rows hold what no table can"),
        ({"frequency": 1e308, "monetary_days": 1e308}, "frequency: 1 of 3 rows are beyond 1,000,000,000;"),
        ({"T": 1e300}, "T: 1 of 3 rows are beyond 1,000,000,000;"),
        ({"monetary_value": -1e308}, "monetary_value: 1 of 3 rows are beyond 1,000,000,000,000,000;"),
        ({"value_to_date": 1e16}, "value_to_date: 1 of 3 rows are beyond"),
        ({"region": json.loads('"\\ud800"')}, "region: 1 of 3 rows hold what no table can: .*half a character"),
        (
            {"customer_id": json.loads('"\\udfff"')},
            "customer_id: 1 of 3 rows hold what no table can: .*half a character",
        ),
        ({"T": [1]}, "T: 1 of 3 rows hold something that is no number"),
        ({"T": {"a": SECRET}}, "T: 1 of 3 rows hold something that is no number"),
    ],
)
def test_a_cell_beyond_reason_is_refused_by_its_column_and_without_an_id(
    scoring: ScoringModel, table: pd.DataFrame, cells: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=f"^{reason}") as refused:
        answer(scoring, changed(table, **cells))
    assert SECRET not in str(refused.value)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["customer_id", "frequency", "recency", "T", "monetary_value", "monetary_days", "value_to_date",
                             "region", "distance", "mean_amount"]),
       cell=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates().map(str),
                      st.integers(10**300, 10**400), st.lists(st.integers(), max_size=2), st.just("\ud800")))  # fmt: skip
def test_any_cell_is_answered_or_refused(scoring: ScoringModel, table: pd.DataFrame, name: str, cell: Any) -> None:
    try:
        found = answer(scoring, changed(table, **{name: cell}))
    except InputError as refused:
        assert str(refused).startswith(f"{name}: ") or name in {"frequency", "recency", "T", "monetary_days"}
        assert SECRET not in str(refused)
        return
    assert len(found) == 3
    assert found["churn_probability"].between(0, 1).all()
    assert (found["clv"] >= 0).all()
