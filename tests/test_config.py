"""A config is right or it is one error that names file, key and what was meant."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from churn_clv.config import Config, load_config, parse_config
from churn_clv.contractual_config import load_run
from churn_clv.errors import ConfigError
from churn_clv.sections import checked

GOOD = """\
name: shop
data:
  source: file
  path: log.csv
windows:
  calibration_end: 2024-01-01
  holdout_end: 2024-07-01
"""


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def failure(folder: Path, text: str, *overrides: str) -> str:
    """The one-line error of a config, which names its file."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_minimal_config_is_a_whole_run(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.windows.calibration_end == date(2024, 1, 1)
    assert config.data.columns.customer_id == "customer_id"
    assert config.registered_model == "churn-clv-shop"
    assert config.value.clv_horizon == "52 weeks"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        # unknown keys, at each depth, with the nearest name
        (("windows:", "window:"), ["window: unknown key (did you mean 'windows'?)", "windows: missing"]),
        (
            ("calibration_end", "calibration_ends"),
            ["windows.calibration_ends: unknown key (did you mean 'calibration_end'?)"],
        ),
        (
            ("  path: log.csv", "  path: log.csv\n  columns: {custmer_id: id}"),
            ["data.columns.custmer_id: unknown key (did you mean 'customer_id'?)"],
        ),
        (
            ("  path: log.csv", "  path: log.csv\n  attributes: {pth: a.csv}"),
            ["data.attributes.pth: unknown key (did you mean 'path'?)", "data.attributes.path: missing"],
        ),
        (
            ("name: shop", "name: shop\nchurn: {learningrate: 0.1}"),
            ["churn.learningrate: unknown key (did you mean 'learning_rate'?)"],
        ),
        (("name: shop", "name: shop\nvalue: {zzz: 1}"), ["value.zzz: unknown key"]),
        # missing
        (("name: shop\n", ""), ["name: missing"]),
        (("  holdout_end: 2024-07-01\n", ""), ["windows.holdout_end: missing"]),
        (("  path: log.csv\n", ""), ["data: path: missing; name the log's file"]),
        # wrong types are not bent into right ones
        (("2024-07-01", "soon"), ["windows.holdout_end: ", "date", "'soon'"]),
        (("2024-07-01", "20240701"), ["windows.holdout_end: ", "20240701"]),
        (("2024-07-01", "2024-07-01 12:00:00"), ["windows.holdout_end: "]),
        (("name: shop", "name: 12"), ["name: ", "string", "12"]),
        (("name: shop", "name: shop\nchurn: {folds: '5'}"), ["churn.folds: ", "integer", "'5'"]),
        (("name: shop", "name: shop\nchurn: {folds: true}"), ["churn.folds: ", "integer"]),
        (("name: shop", "name: shop\nchurn: 5"), ["churn: "]),
        (("name: shop", "name: shop\nwindows_: [1]"), ["windows_: unknown key (did you mean 'windows'?)"]),
        # impossible values
        (("name: shop", "name: ../../etc"), ["name: ", "../../etc"]),
        (("name: shop", "name: shop\nchurn: {folds: 1}"), ["churn.folds: ", "2"]),
        (("name: shop", "name: shop\nchurn: {learning_rate: 0.0}"), ["churn.learning_rate: ", "greater than 0"]),
        (("name: shop", "name: shop\nvalue: {annual_discount_rate: -0.1}"), ["value.annual_discount_rate: "]),
        (("name: shop", "name: shop\nvalue: {annual_discount_rate: .nan}"), ["value.annual_discount_rate: "]),
        (
            ("name: shop", "name: shop\nvalue: {clv_horizon: 1 fortnight}"),
            ["value.clv_horizon: '1 fortnight' is not a length of time"],
        ),
        (("name: shop", "name: shop\nvalue: {engine: lifetime}"), ["value.engine: ", "'lifetime'"]),
        (("source: file", "source: cdnw"), ["data.source: ", "'cdnw'"]),
        (("source: file", "source: cdnow"), ["data: path: is given, but source 'cdnow' brings its own data"]),
        (("name: shop", "name: shop\ngrid: {value_cuts: [10.0, 5.0]}"), ["grid.value_cuts: ", "increasing order"]),
        (("name: shop", "name: shop\ngrid: {value_cuts: []}"), ["grid.value_cuts: ", "increasing order"]),
        (("name: shop", "name: shop\ngrid: {risk_cuts: [0.3, 0.3]}"), ["grid.risk_cuts: ", "increasing order"]),
        (
            ("name: shop", "name: shop\ngrid: {risk_cuts: [0.3, 1.5]}"),
            ["grid.risk_cuts: cuts of a probability lie between 0 and 1"],
        ),
        (("name: shop", "name: shop\ngrid: {value_cuts: [1.0, .nan]}"), ["grid.value_cuts: "]),
        (("name: shop", "name: shop\ngrid: {value_cuts: [1.0, .inf]}"), ["grid.value_cuts: "]),
        (("name: shop", "name: shop\ngrid: {value_cuts: quartiles}"), ["grid.value_cuts: "]),
        (
            ("source: file\n  path: log.csv", "source: simulated\n  simulated: {truth: {a: -1.0}}"),
            ["data.simulated.truth: a must be greater than 0"],
        ),
        (
            ("source: file\n  path: log.csv", "source: simulated\n  simulated: {truth: {c: 1.0}}"),
            ["data.simulated.truth.c", "'c'"],
        ),
        (
            ("source: file\n  path: log.csv", "source: simulated\n  simulated: {customers: 0}"),
            ["data.simulated.customers: "],
        ),
        (
            ("source: file\n  path: log.csv", "source: simulated\n  simulated: {days: 100, arrival_days: 200}"),
            ["data.simulated", "arrival_days"],
        ),
        (("name: shop", "name: shop\nevaluation: {bootstrap_samples: 5}"), ["evaluation.bootstrap_samples: ", "20"]),
    ],
)
def test_a_faulty_config_names_file_and_key(tmp_path: Path, change: tuple[str, str], says: list[str]) -> None:
    assert change[0] in GOOD
    message = failure(tmp_path, GOOD.replace(*change))
    assert message.startswith(f"{tmp_path / 'run.yaml'}: ")
    for part in says:
        assert part in message


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    message = failure(tmp_path, GOOD.replace("name: shop", "nam: shop").replace("2024-07-01", "soon"))
    for part in ("nam: unknown key (did you mean 'name'?)", "name: missing", "windows.holdout_end: "):
        assert part in message


def test_whole_numbers_serve_as_numbers(tmp_path: Path) -> None:
    text = GOOD + "grid: {value_cuts: [50, 100]}\nvalue: {annual_discount_rate: 0}\n"
    assert load_config(write(tmp_path, text)).grid.value_cuts == [50, 100]


# --- YAML


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\nname: b\n", "line 1: not valid YAML: key 'name' is given twice"),
        (GOOD + "windows: {holdout_end: 2025-01-01}\n", "key 'windows' is given twice"),
        (GOOD.replace("  path: log.csv", "  path: log.csv\n  path: other.csv"), "key 'path' is given twice"),
        ("name: !!python/object/apply:os.system ['touch pwned']\n", "could not determine a constructor for the tag"),
        ("name: !!python/name:os.system\n", "could not determine a constructor"),
        ("name: [1, 2\n", "not valid YAML"),
        ("name: 'a\n", "not valid YAML"),
        ("a: *nowhere\n", "not valid YAML: found undefined alias"),
        ("{[1, 2]: x}\n", "not valid YAML"),
        ("{{a: 1}: x}\n", "not valid YAML"),
        ("- name\n", "a config is a mapping of sections; got list"),
        ("", "a config is a mapping of sections; got NoneType"),
        ("just text\n", "a config is a mapping of sections; got str"),
        ("1: x\nname: shop\n", "1: keys should be strings"),
        ("\x00", "not valid YAML"),
    ],
)
def test_what_is_no_config_is_refused_by_its_file(
    tmp_path: Path, text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = failure(tmp_path, text)
    assert message.startswith(str(tmp_path / "run.yaml"))
    assert says in message
    assert not (tmp_path / "pwned").exists(), "a tag ran code"


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "cdnow.yaml")
    with pytest.raises(ConfigError, match=r"cdnwo\.yaml: no such config file \(did you mean '.*cdnow\.yaml'\?\)"):
        load_config(tmp_path / "cdnwo.yaml")
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path)


def test_bytes_that_are_not_text_and_files_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)
    path.write_text("# " + "x" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load_config(path)


# --- --set


def test_set_changes_one_key_and_is_checked_like_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    config = load_config(
        path, ["churn.folds=3", "windows.holdout_end=2024-10-01", "grid.value_cuts=[5.0, 10.0]", "data.currency=EUR"]
    )
    assert config.churn.folds == 3
    assert config.windows.holdout_end == date(2024, 10, 1)
    assert config.grid.value_cuts == [5.0, 10.0]
    assert config.data.currency == "EUR"
    assert load_config(path, ["data.currency=a=b"]).data.currency == "a=b"
    assert load_config(path, ["data.currency=EUR", "data.currency=null"]).data.currency is None


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("churn.fold=3", "churn.fold: unknown key (did you mean 'folds'?)"),
        ("churn.folds=three", "churn.folds: "),
        ("churn.folds", "--set churn.folds: write --set section.key=value"),
        ("=3", "--set =3: write --set section.key=value"),
        ("churn..folds=3", "write --set section.key=value"),
        ("name.deep=3", "'name' is a value, not a section"),
        ("churn.folds=[1", "churn.folds: input should be a valid integer; got '[1'"),
        ("churn.folds=!!python/name:os.system", "churn.folds: input should be a valid integer"),
        ("windows.holdout_end=2024-13-45", "windows.holdout_end"),
    ],
)
def test_a_faulty_set_is_one_clear_error(tmp_path: Path, override: str, says: str) -> None:
    assert says in failure(tmp_path, GOOD, override)


# --- out again


def test_the_resolved_config_is_the_same_config_again(tmp_path: Path) -> None:
    text = GOOD + "grid: {value_cuts: [5.0, 10.5], risk_cuts: terciles}\nvalue: {spend_days: all}\n"
    text = text.replace(
        "  path: log.csv", "  path: Käufe, alt.csv\n  currency: €\n  drop_rows: [{StockCode: [POST, 1, null]}]"
    )
    config = load_config(write(tmp_path, text))
    resolved = config.to_yaml()
    assert load_config(write(tmp_path, resolved, "resolved.yaml")) == config
    sections = yaml.safe_load(resolved)
    assert sections["churn"]["learning_rate"] == config.churn.learning_rate, "defaults are written out"
    assert sections.keys() == Config.model_fields.keys()


def test_every_config_of_the_project_is_a_config_and_survives_its_yaml(tmp_path: Path) -> None:
    folder = Path(__file__).parent.parent / "configs"
    found = sorted(folder.glob("*.yaml"))
    assert found
    for path in found:
        config = load_run(path)
        assert checked(type(config), yaml.safe_load(config.to_yaml()), path.name) == config


def test_nothing_can_change_a_config() -> None:
    config = parse_config(yaml.safe_load(GOOD), source="test")
    with pytest.raises(ValueError, match="frozen"):
        config.churn.folds = 3  # type: ignore[misc]


def test_reading_a_config_leaves_its_mapping_alone() -> None:
    content = yaml.safe_load(GOOD)
    before = yaml.safe_dump(content)
    parse_config(content, source="test")
    assert yaml.safe_dump(content) == before


# --- what a newcomer tried

KEY = "name: shop\n"
FILE = "  source: file\n  path: log.csv\n"


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("churn: {num_leaves: 131073}", "churn.num_leaves: input should be less than or equal to 131072"),
        ("churn: {seed: 2147483648}", "churn.seed: "),
        ("churn: {max_rounds: 2147483648}", "churn.max_rounds: "),
        ("churn: {folds: 101}", "churn.folds: input should be less than or equal to 100"),
        ("churn: {lambda_l2: .inf}", "churn.lambda_l2: input should be a finite number"),
        ("evaluation: {seed: 2147483648}", "evaluation.seed: "),
        ("value: {clv_horizon: 101 years}", "value.clv_horizon: '101 years' is longer than 100 years"),
        (f"value: {{clv_horizon: {'9' * 400} years}}", "is longer than 100 years"),
        ("value: {annual_discount_rate: 10}", "value.annual_discount_rate: 10 is above 1; it is a rate, not per cent"),
    ],
)
def test_a_number_beyond_reason_is_refused(tmp_path: Path, section: str, says: str) -> None:
    assert says in failure(tmp_path, GOOD + section + "\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("memory_limit: lots", "data.memory_limit: "),
        ("memory_limit: 4 PB", "data.memory_limit: "),
        ("memory_limit: -1GB", "data.memory_limit: "),
        ("timezone: Europe", "data.timezone: timezone 'Europe' is unknown"),
        ("timezone: ../../etc/passwd", "data.timezone: "),
        ("encoding: zlib", "data.encoding: encoding 'zlib' is no text encoding"),
        ("encoding: base64", "data.encoding: "),
        ("encoding: rot13", "data.encoding: "),
        ("encoding: utf-9", "data.encoding: encoding 'utf-9' is unknown"),
        ("delimiter: '\"'", "data.delimiter: "),
        ("delimiter: '||'", "data.delimiter: "),
        ("delimiter: a", "data.delimiter: "),
        ('delimiter: "\\n"', "data.delimiter: "),
        ("simulated: {customers: 10}", "data: simulated: is given, but the source is 'file'"),
        ("end: 2999-01-01", "data.end: 2999-01-01 is in the future"),
        ("end: '2024-01-01'", "data.end: input should be a valid date; got '2024-01-01': write the date as"),
    ],
)
def test_a_way_of_reading_that_cannot_be_is_refused(tmp_path: Path, line: str, says: str) -> None:
    assert says in failure(tmp_path, GOOD.replace(FILE, f"{FILE}  {line}\n"))


@pytest.mark.parametrize("limit", ["4GB", "4 GB", "1.5TiB", "512MB"])
def test_a_memory_limit_is_read(tmp_path: Path, limit: str) -> None:
    assert load_config(write(tmp_path, GOOD), [f"data.memory_limit={limit}"]).data.memory_limit == limit


@pytest.mark.parametrize(
    "line", ["columns: {date: day}", "date_format: '%d/%m/%Y'", "decimal: ','", "delimiter: ;", "encoding: cp1252"]
)
def test_a_packaged_log_is_not_told_how_to_read_a_file(tmp_path: Path, line: str) -> None:
    message = failure(tmp_path, GOOD.replace(FILE, f"  source: cdnow\n  {line}\n"))
    assert f"data: {line.split(':')[0]}: is given, but source 'cdnow' brings its own data" in message


@pytest.mark.parametrize("key", ["holdout_end", "score_as_of"])
def test_a_day_to_come_is_no_day_of_a_run(tmp_path: Path, key: str) -> None:
    assert f"windows.{key}: 2999-01-01 is in the future" in failure(tmp_path, GOOD, f"windows.{key}=2999-01-01")


def test_yaml_surprises_say_what_to_write(tmp_path: Path) -> None:
    assert "nested too deeply" in failure(tmp_path, "name: " + "[" * 3000 + "]" * 3000)
    assert "merge keys (<<) are not read; write the keys out" in failure(
        tmp_path, "a: &a {folds: 3}\nchurn: {<<: *a}\n" + GOOD
    )
    assert "got '2024-07-01': write the date as YYYY-MM-DD, without quotes" in failure(
        tmp_path, GOOD.replace("2024-07-01", "'2024-07-01'")
    )
    assert "windows.calibration_end: input should be a valid date; got '2024-13-45': no such day; write" in failure(
        tmp_path, GOOD.replace("2024-01-01", "2024-13-45")
    )
    for value in ("on", "12", "2024-01-01"):
        assert failure(tmp_path, GOOD.replace("name: shop", f"name: {value}")).endswith(": write it in quotes")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("data.date_format=%d.%m.%Y", "data", "date_format", "%d.%m.%Y"),
        ("data.path=123", "data", "path", "123"),
        ("data.path=a: b", "data", "path", "a: b"),
        ("data.path='a b.csv'", "data", "path", "a b.csv"),
        ("data.delimiter=|", "data", "delimiter", "|"),
        ('data.delimiter="\\t"', "data", "delimiter", "\t"),
        ("data.decimal=,", "data", "decimal", ","),
        ("data.currency=null", "data", "currency", None),
        ("data.currency=", "data", "currency", None),
        ("value.clv_horizon=26 weeks", "value", "clv_horizon", "26 weeks"),
    ],
)
def test_set_takes_text_as_it_stands(tmp_path: Path, override: str, section: str, key: str, value: str | None) -> None:
    assert getattr(getattr(load_config(write(tmp_path, GOOD), [override]), section), key) == value


def test_set_takes_a_name_and_a_column_as_text(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD), ["name=on", "data.columns.date=2024", "data.attributes.path=7"])
    assert (config.name, config.data.columns.date) == ("on", "2024")
    assert config.data.attributes is not None
    assert config.data.attributes.path == "7"


@pytest.mark.parametrize(
    "rules",
    [
        "{customer_id: canary}",
        "[canary]",
        "canary",
        "[{customer_id: canary}]",
        "[{customer_id: [[canary]]}]",
        "[{email: {canary: 1}}]",
    ],
)
def test_a_fault_in_a_rule_that_may_name_customers_names_none(tmp_path: Path, rules: str):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"name: a\ndata: {{path: log.csv, drop_rows: {rules}}}\nwindows: {{calibration_end: 2024-06-30, holdout_end: 2024-12-30}}\n"
    )
    with pytest.raises(ConfigError, match=r"data\.drop_rows.*; got (str|dict|list)") as refused:
        load_config(path)
    assert "canary" not in str(refused.value)


def test_what_may_be_shared_of_a_config_is_no_config(tmp_path: Path):
    """Whoever trained from it would train on the rows that the run left out."""
    content = yaml.safe_load((Path(__file__).parents[1] / "configs" / "simulated.yaml").read_text())
    content["data"]["drop_rows"] = [{"email": ["a@example.org", None], "shop": [3]}]
    shared = parse_config(content, source="c").shareable()
    assert shared["data"]["drop_rows"] == [{"email": "2 values, not shown", "shop": "1 values, not shown"}]
    with pytest.raises(ConfigError, match=r"data\.drop_rows\.0\.email: input should be a valid list"):
        parse_config(shared, source="c")
