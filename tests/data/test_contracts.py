"""A table of contracts is read as it is meant, whatever its order and form, or refused in one line without an id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.contracts import ContractColumns, as_feature, read_contracts
from churn_clv.errors import InputError

COLUMNS = ContractColumns(value="charge")


def table() -> pd.DataFrame:
    """Six customers; `total` is text with a blank, as in IBM's original file, and two cells are empty."""
    return pd.DataFrame({
        "customer_id": ["007", "b", "c", "d", "e", "f"],
        "churn": ["Yes", "No", "No", "Yes", "No", "No"],
        "charge": [20.5, 30.0, 25.0, 80.0, 75.5, 0.0],
        "total": ["20.5", "3000", " ", "160", "755", "12"],
        "plan": ["DSL", "fibre", "fibre", None, "DSL", " "],
        "paperless": [True, False, True, True, False, False],
        "country": ["X"] * 6,
    })  # fmt: skip


def written(folder: Path, frame: pd.DataFrame, suffix: str = "parquet") -> Path:
    path = folder / f"contracts.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_numbers_stay_numbers_blanks_stay_missing_and_text_becomes_categories(tmp_path: Path, suffix: str) -> None:
    read = read_contracts(written(tmp_path, table(), suffix), COLUMNS)
    assert list(read.features.columns) == ["charge", "total", "plan", "paperless"]
    assert list(read.features.index) == ["007", "b", "c", "d", "e", "f"]
    np.testing.assert_array_equal(read.features["total"], [20.5, 3000.0, np.nan, 160.0, 755.0, 12.0])
    assert read.features["plan"].isna().tolist() == [False, False, False, True, False, True]
    assert read.features["plan"].dropna().tolist() == ["DSL", "fibre", "fibre", "DSL"]
    assert read.features["paperless"].tolist() == ["yes", "no", "yes", "yes", "no", "no"]
    assert read.churned.tolist() == [1, 0, 0, 1, 0, 0]
    assert read.value.tolist() == table()["charge"].tolist()


def test_the_reading_report_counts_what_was_changed(tmp_path: Path) -> None:
    steps = {s.rule: (s.rows, s.action) for s in read_contracts(written(tmp_path, table()), COLUMNS).cleaning.steps}
    assert steps == {
        "total: text that holds numbers": (5, "read as numbers"),
        "total: empty cell": (1, "kept as missing"),
        "plan: empty cell": (2, "kept as missing"),
        "country: the same for everyone": (6, "column left out"),
    }


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    frame = table()
    one = read_contracts(written(tmp_path, frame), COLUMNS)
    other = read_contracts(written(tmp_path, frame.sample(frac=1, random_state=3)), COLUMNS)
    pd.testing.assert_frame_equal(one.features, other.features)
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("column", ["churn", "charge", "total", "plan", "paperless"])
def test_the_fingerprint_changes_with_any_cell(tmp_path: Path, column: str) -> None:
    changed = table()
    changed.loc[1, column] = changed.loc[3, column] if column != "plan" else "cable"
    before, after = (read_contracts(written(tmp_path, f), COLUMNS).fingerprint for f in (table(), changed))
    assert before != after


def test_a_rows_features_are_its_own_cells_alone(tmp_path: Path) -> None:
    whole = read_contracts(written(tmp_path, table()), COLUMNS).features
    part = read_contracts(written(tmp_path, table().head(4)), COLUMNS).features
    pd.testing.assert_frame_equal(whole.loc[part.index], part)


def test_ids_keep_their_leading_zeros_in_csv(tmp_path: Path) -> None:
    frame = table().assign(customer_id=["007", "008", "0010", "1", "2", "3"])
    assert "0010" in read_contracts(written(tmp_path, frame, "csv"), COLUMNS).features.index


@pytest.mark.parametrize(
    ("labels", "meaning"), [([1, 0, 0, 1, 0, 0], 1), ([True, False, False, True, False, False], True)]
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_churn_may_be_a_number_or_a_truth_value(tmp_path: Path, labels: list, meaning: int | bool, suffix: str) -> None:
    path = written(tmp_path, table().assign(churn=labels), suffix)
    read = read_contracts(path, ContractColumns(value="charge", churned_value=meaning))
    assert read.churned.tolist() == [1, 0, 0, 1, 0, 0]


def test_ignored_columns_are_no_features(tmp_path: Path) -> None:
    read = read_contracts(written(tmp_path, table()), ContractColumns(value="charge", ignore=("plan", "total")))
    assert list(read.features.columns) == ["charge", "paperless"]


def spoilt(**columns: object) -> pd.DataFrame:
    return table().assign(**columns)


REFUSED = {
    "id column missing": (table().rename(columns={"customer_id": "CustomerId"}), "no column 'customer_id' (did you mean 'CustomerId'?)"),
    "value column missing": (table().drop(columns="charge"), "no column 'charge'"),
    "ids repeated": (spoilt(customer_id=["a", "a", "b", "c", "b", "f"]), "2 of 6 rows repeat a customer"),
    "ids missing": (spoilt(customer_id=["a", None, "c", "d", "e", " "]), "'customer_id' is missing in 2 of 6 rows"),
    "churn missing": (spoilt(churn=["Yes", "No", None, "No", " ", "No"]), "'churn' is missing in 2 of 6 rows"),
    "one class": (spoilt(churn=["Yes"] * 6), "'churn' holds 'Yes': it needs exactly two"),
    "nobody left": (spoilt(churn=["No"] * 6), "'churn' holds 'No', never 'Yes': set contract.churned_value"),
    "three answers": (spoilt(churn=["Yes", "No", "?", "No", "No", "No"]), "'churn' holds 'Yes', 'No', '?': it needs exactly two"),
    "value missing": (spoilt(charge=[1.0, None, 2.0, 3.0, 4.0, 5.0]), "'charge' is missing in 1 of 6 rows"),
    "value negative": (spoilt(charge=[1.0, -1.0, 2.0, -3.0, 4.0, 5.0]), "'charge' is negative in 2 of 6 rows"),
    "value is text": (spoilt(charge=["1 EUR", "2", "3", "4", "5", "6"]), "'charge' holds text, such as '1 EUR'"),
    "infinite": (spoilt(usage=[1.0, np.inf, 2.0, 3.0, 4.0, 5.0]), "'usage' is infinite in 1 of 6 rows"),
    "reserved": (spoilt(start=[1, 2, 3, 4, 5, 6]), "a column is named 'start'"),
    "no features": (table()[["customer_id", "churn"]].assign(charge=5.0), "no column is left to learn from"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_table_is_one_line(tmp_path: Path, name: str) -> None:
    frame, says = REFUSED[name]
    path = written(tmp_path, frame)
    with pytest.raises(InputError) as caught:
        read_contracts(path, COLUMNS)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_with_more_than_fifty_texts_is_refused_without_repeating_one(tmp_path: Path) -> None:
    rows = pd.concat([table().assign(customer_id=[f"{k}-{i}" for i in range(6)]) for k in range(10)], ignore_index=True)
    path = written(tmp_path, rows.assign(name=[f"person {k}" for k in range(60)]))
    with pytest.raises(InputError, match="more than 50 different texts in 'name'") as caught:
        read_contracts(path, COLUMNS)
    assert "person" not in str(caught.value)
    read_contracts(path, ContractColumns(value="charge", ignore=("name",)))


def test_a_churn_column_that_is_the_id_by_mistake_repeats_no_id(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'account' holds 6 values, never 'Yes'") as caught:
        frame = table().assign(account=[f"secret-{k}" for k in range(6)])
        read_contracts(written(tmp_path, frame), ContractColumns(value="charge", churn="account"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["boolean", "object"])
def test_truth_values_with_gaps_are_categories_with_gaps(kind: str) -> None:
    column = as_feature(pd.Series([True, None, False], dtype=kind))
    assert column.isna().tolist() == [False, True, False]
    assert column.dropna().tolist() == ["yes", "no"]
