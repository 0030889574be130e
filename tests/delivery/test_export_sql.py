"""The SELECT that export-sql writes answers on DuckDB as the Python models do; other dialects are parsed."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from sqlglot import exp

from churn_clv import cli
from churn_clv.delivery.export_rules import rule_of
from churn_clv.delivery.export_sql import DIALECTS, EXECUTED, scoring_sql
from churn_clv.delivery.export_trial import Asked
from churn_clv.errors import InputError
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.train import Run

# CDNOW. Fader, Hardie & Lee (2005), Marketing Science 24(2), table 2 (BG/NBD, Pareto/NBD) and Batislam et al. (2007),
# in weeks there, in days here; Fader & Hardie (2013), note 025.
BG = BetaGeoModel.from_params(r=0.243, alpha=7 * 4.414, a=0.793, b=2.426)
MBG = ModifiedBetaGeoModel.from_params(r=0.525, alpha=7 * 6.183, a=0.891, b=1.614)
PARETO = ParetoNBDModel.from_params(r=0.553, alpha=7 * 10.578, s=0.606, beta=7 * 11.669)
SPEND = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
ASKED = {"horizon_days": 365, "clv_horizon_days": 1096, "annual_discount_rate": 0.1}
HOSTILE = 'x"; DROP TABLE summary; -- `\\'


def sql_of(purchases: PurchaseModel, spend: GammaGammaModel | None = SPEND, **changes) -> str:
    return scoring_sql(purchases, spend, **{**ASKED, "dialect": "duckdb", "table": "summary", **changes})


def on_duckdb(sql: str, summary: pd.DataFrame, table: str = "summary") -> pd.DataFrame:
    connection = duckdb.connect()
    connection.register("given", summary.rename_axis("customer_id").reset_index())
    connection.execute(f"CREATE TABLE {exp.to_identifier(table, quoted=True).sql('duckdb')} AS SELECT * FROM given")  # noqa: S608
    return connection.execute(sql).df().set_index("customer_id").loc[summary.index]


def histories(seed: int, size: int = 300) -> pd.DataFrame:
    """From one purchase to thousands, from hours to a century, most with a silence at the end."""
    rng = np.random.default_rng(seed)
    x = np.floor(np.exp(rng.uniform(-0.7, 8.5, size)))
    age = np.exp(rng.uniform(-3, np.log(36525), size))
    recency = np.where(x > 0, age * rng.beta(3, 0.5, size), 0.0)
    mean = rng.gamma(2, 20, size)
    return pd.DataFrame(
        {"frequency": x, "recency": recency, "T": age, "monetary_value": mean, "monetary_days": x},
        index=[f"c{number}" for number in range(size)],
    )


def assert_as_python(purchases: PurchaseModel, spend: GammaGammaModel | None, summary: pd.DataFrame) -> None:
    scores = on_duckdb(sql_of(purchases, spend), summary)
    expected = Asked(purchases, spend, 365.0, 1096.0, 0.1).scores(summary)
    # the bound that the SQL's own header states; what is under 1e-100 counts as nothing
    pd.testing.assert_frame_equal(scores, expected, rtol=1e-6, atol=1e-100, check_names=False)


@pytest.mark.parametrize("purchases", [BG, MBG, PARETO], ids=lambda model: type(model).__name__)
def test_the_sql_answers_as_the_python_model_does(purchases: PurchaseModel) -> None:
    assert_as_python(purchases, SPEND, histories(seed=1))


def test_the_sql_answers_as_python_does_for_the_customers_of_cdnow() -> None:
    from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

    weeks = load_cdnow_summary_data_with_monetary_value()
    summary = weeks.assign(recency=7 * weeks["recency"], T=7 * weeks["T"], monetary_days=weeks["frequency"])
    assert len(summary) == 2357
    assert_as_python(BG, SPEND, summary)


# Parameters at which the published expectation is 0/0 (a = 1, s = 1), cancels (beside them), or where a rule for
# ordinary ones would fail: hardly any dropout, hardly any heterogeneity, nearly everyone leaves.
@pytest.mark.parametrize(
    "purchases",
    [
        BetaGeoModel.from_params(r=0.243, alpha=30.0, a=1.0, b=2.4),
        BetaGeoModel.from_params(r=0.243, alpha=30.0, a=1.0 + 1e-10, b=2.4),
        BetaGeoModel.from_params(r=0.5, alpha=0.5, a=0.05, b=20.0),
        BetaGeoModel.from_params(r=0.3, alpha=30.0, a=1e-5, b=1e-4),
        BetaGeoModel.from_params(r=0.3, alpha=30.0, a=1e5, b=1e6),
        ModifiedBetaGeoModel.from_params(r=0.1, alpha=10.0, a=30.0, b=1e-7),
        ParetoNBDModel.from_params(r=0.5, alpha=300.0, s=1.0, beta=2.0),
        ParetoNBDModel.from_params(r=0.01, alpha=0.1, s=1.0 - 1e-10, beta=1e4),
        ParetoNBDModel.from_params(r=1e3, alpha=1e5, s=1e-5, beta=1e-2),
    ],
    ids=repr,
)
def test_the_sql_holds_at_the_limits_of_the_parameters(purchases: PurchaseModel) -> None:
    assert_as_python(purchases, None, histories(seed=2, size=60))


def test_the_published_expectation_of_one_customer_is_reproduced() -> None:
    # Fader, Hardie & Lee (2005), section 5: x = 2, t_x = 30.43, T = 38.86 weeks, 39 weeks ahead: 1.226 purchases
    summary = pd.DataFrame({"frequency": [2.0], "recency": [7 * 30.43], "T": [7 * 38.86]}, index=["1516"])
    scores = on_duckdb(sql_of(BG, None, horizon_days=7 * 39), summary)
    assert scores.loc["1516", "expected_purchases"] == pytest.approx(1.226, abs=5e-4)


def test_a_customer_of_today_is_a_new_one() -> None:
    summary = pd.DataFrame({"frequency": [0], "recency": [0], "T": [0]}, index=["new"])
    row = on_duckdb(sql_of(BG, None), summary).loc["new"]
    assert row["p_alive"] == 1.0  # BG/NBD: no chance to leave yet
    assert row["expected_purchases"] == pytest.approx(BG.expected_purchases_new_customer(365), rel=1e-6)
    # nobody leaves before her next purchase: only the rate decides
    assert row["probability_no_purchase"] == pytest.approx((7 * 4.414 / (7 * 4.414 + 365)) ** 0.243, rel=1e-12)


def test_without_a_discount_the_clv_is_the_expected_spend() -> None:
    scores = on_duckdb(sql_of(BG, clv_horizon_days=365, annual_discount_rate=0.0), histories(seed=3, size=20))
    np.testing.assert_allclose(scores["clv"], scores["expected_spend"], rtol=1e-12)


def test_a_log_without_amounts_needs_no_column_of_them() -> None:
    summary = histories(seed=4, size=10)[["frequency", "recency", "T"]]
    scores = on_duckdb(sql_of(MBG, None), summary)
    assert (scores["expected_spend_per_purchase"] == 1.0).all()
    assert (scores["expected_spend"] == scores["expected_purchases"]).all()


@pytest.mark.parametrize("purchases", [BG, PARETO], ids=lambda model: type(model).__name__)
def test_a_history_that_cannot_be_gets_null_and_leaves_the_others_alone(purchases: PurchaseModel) -> None:
    possible = histories(seed=5, size=8)
    faults = {
        "frequency": [-1.0, 1.5, None, np.nan, 1e7],
        "recency": [-1.0, 1e9, None, np.nan],
        "T": [-1.0, 1e5, None, np.nan, np.inf],
    }
    rows = [possible.iloc[[0]].assign(**{name: [value]}) for name, values in faults.items() for value in values]
    rows.append(
        pd.DataFrame({"frequency": [0.0], "recency": [5.0], "T": [9.0], "monetary_value": 1.0, "monetary_days": 0})
    )
    bad = pd.concat(rows, ignore_index=True).rename(index="bad{}".format)
    scores = on_duckdb(sql_of(purchases), pd.concat([possible, bad]))
    assert scores.loc[bad.index].isna().all(axis=None)
    pd.testing.assert_frame_equal(scores.loc[possible.index], on_duckdb(sql_of(purchases), possible), rtol=1e-12)


def test_a_mean_spend_that_does_not_exist_is_null() -> None:
    heavy = GammaGammaModel.from_params(p=2.0, q=0.8, v=10.0)
    summary = histories(seed=6, size=3).assign(monetary_days=[0, 1, 4], monetary_value=[0.0, 30.0, -2.0])
    scores = on_duckdb(sql_of(BG, heavy), summary)
    assert scores["expected_spend_per_purchase"].isna().tolist() == [True, False, False]
    expected = heavy.expected_spend(summary.iloc[1:])
    np.testing.assert_allclose(scores["expected_spend_per_purchase"].iloc[1:], expected, rtol=1e-12)


ORDINARY = {"EXP", "LN", "FLOOR", "ABS", "LEAST", "SUM", "CASE", "CAST", "AND", "OR", "IF", "UNNEST", "STRUCT", "ARRAY"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("purchases", [BG, PARETO], ids=lambda model: type(model).__name__)
def test_each_dialect_is_one_select_of_ordinary_functions(purchases: PurchaseModel, dialect: str) -> None:
    sql = sql_of(purchases, dialect=dialect, table="shop.summary")
    (tree,) = sqlglot.parse(sql, read=dialect)
    assert isinstance(tree, exp.Select)
    functions = {node.sql_name() for node in tree.find_all(exp.Func)}
    assert functions - {"TRY_CAST"} <= ORDINARY  # sqlglot's name for Spark's CAST, which gives NULL for bad text
    assert "TRY_" not in sql
    assert not list(tree.find_all(exp.Anonymous, exp.Placeholder))
    columns = ["customer_id", "p_alive", "probability_no_purchase", "expected_purchases"]
    assert tree.named_selects == [*columns, "expected_spend_per_purchase", "expected_spend", "clv"]
    assert ("not executed" in sql.splitlines()[1]) == (dialect not in EXECUTED)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hostile_name_is_a_name_and_nothing_else(dialect: str) -> None:
    sql = sql_of(BG, dialect=dialect, table=f"shop.{HOSTILE}", currency="EUR\nDROP TABLE summary")
    (tree,) = sqlglot.parse(sql, read=dialect)
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {(t.db, t.name) for t in tree.find_all(exp.Table) if t.name not in common} == {("shop", HOSTILE)}
    assert [line[:2] for line in sql.splitlines() if "DROP" in line and HOSTILE[:2] not in line] == ["--"]


def test_a_hostile_name_is_read_on_duckdb() -> None:
    summary = histories(seed=7, size=5)
    scores = on_duckdb(sql_of(BG, table=HOSTILE), summary, HOSTILE)
    pd.testing.assert_frame_equal(scores, on_duckdb(sql_of(BG), summary))


def test_the_comment_on_top_says_what_the_numbers_are() -> None:
    comment = "".join(line for line in sql_of(BG, currency="USD").splitlines() if line.startswith("--"))
    for said in ("BetaGeoModel", "a = 0.793", "GammaGammaModel", "365 days", "1096 days", "0.1 a year", "USD", "1e-06",
                 "monetary_days", "36525"):  # fmt: skip
        assert said in comment


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dialect": "oracle"}, "dialect 'oracle' is not one of duckdb, spark, postgres, bigquery, snowflake"),
        ({"table": "a..b"}, "table 'a..b' is no name"),
        ({"table": "a\nb"}, "is no name"),
        ({"table": "a.b.c.d"}, "give table, schema.table or catalog.schema.table"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(changes: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        sql_of(BG, **changes)


def test_parameters_beyond_the_rule_are_refused_not_written_wrong() -> None:
    everyone_leaves = BetaGeoModel.from_params(r=0.3, alpha=30.0, a=1e6, b=0.1)
    with pytest.raises(InputError, match="still differs from Python by .* more than 1e-06"):
        sql_of(everyone_leaves, None)


def test_a_model_without_sql_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="GammaGammaModel has no SQL"):
        rule_of(SPEND, 365.0)  # type: ignore[arg-type]


def test_the_command_writes_the_runs_own_models(
    small_run: Run,
    bare_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "scores.sql"
    for more in (["--out", str(out)], []):
        monkeypatch.setattr(
            "sys.argv", ["churn-clv", "export-sql", str(bare_folder / "model"), "--dialect", "postgres", *more]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
    settings = small_run.models.settings
    expected = scoring_sql(
        small_run.models.purchases, small_run.models.spend, horizon_days=settings.horizon_days,
        clv_horizon_days=settings.clv_horizon_days, annual_discount_rate=settings.annual_discount_rate,
        dialect="postgres", table="summary", currency="EUR",
    )  # fmt: skip
    assert out.read_text(encoding="utf-8") == expected
    assert capsys.readouterr().out == f"wrote {out}: a SELECT over summary for postgres\n{expected}"
