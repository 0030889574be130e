"""What travels with a model: the code that scores and no more, pinned requirements, and an image that could be built."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import churn_clv
from churn_clv.delivery.handover import surroundings
from churn_clv.delivery.scoring_code import ENTRIES, imported, scoring_requirements, scoring_sources

PACKAGE = Path(churn_clv.__file__).parent
NETWORK = {"socket", "subprocess", "urllib", "http", "ssl", "asyncio", "multiprocessing", "ftplib", "smtplib", "ctypes"}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources in a folder of their own."""
    place = tmp_path_factory.mktemp("code")
    for name, text in scoring_sources().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


def run(code: str, shipped: Path) -> str:
    """Run code with the shipped sources instead of the installed package."""
    words = [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(shipped)!r})\n{code}"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=shipped, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_shipped_code_imports_by_itself_with_nothing_but_what_is_required(shipped: Path) -> None:
    with_mlflow_or_log = {"delivery/serving.py", "delivery/endpoint.py", "score_log.py"}
    modules = [e.removesuffix(".py").replace("/", ".") for e in ENTRIES if e not in with_mlflow_or_log]
    code = f"""
import importlib
for name in ("mlflow", "duckdb", "pydantic", "yaml", "pyarrow", "sklearn", "lifetimes", "matplotlib", "typer"):
    sys.modules[name] = None
for name in {modules!r}:
    found = importlib.import_module(f"churn_clv.{{name}}")
    assert found.__file__.startswith({str(shipped)!r}), found.__file__
"""
    assert run(code, shipped) == ""


def test_the_shipped_code_finds_itself_again(shipped: Path) -> None:
    code = "from churn_clv.delivery.scoring_code import scoring_sources; print(*scoring_sources())"
    assert run(code, shipped).split() == list(scoring_sources())


def test_a_walk_over_imports_sees_those_in_functions_and_submodules() -> None:
    source = "import a.b\nfrom c import d\ndef f():\n    from e.f import g\n    import h\n"
    assert sorted(imported(source)) == ["a.b", "c", "c.d", "e.f", "e.f.g", "h"]


def test_research_stays_at_home() -> None:
    names = set(scoring_sources())
    rooms = {"train", "cli", "config", "fits", "backtest", "monitoring", "contractual", "terminal"}
    assert not names & {f"churn_clv/{name}.py" for name in rooms}
    assert not names & {f"churn_clv/delivery/{name}.py" for name in ("tracking", "report", "run_folder", "handover")}
    assert {f"churn_clv/{entry}" for entry in ENTRIES} <= names
    assert len(names) < len([path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".sql"}]) / 2


def test_every_query_that_shipped_code_names_is_shipped() -> None:
    sources = scoring_sources()
    named = {name for text in sources.values() for name in re.findall(r'query\("(\w+)"\)', text)}
    assert {"cleaning", "summary"} <= named
    assert {f"churn_clv/data/{name}.sql" for name in named} <= set(sources)


def test_serving_reaches_neither_the_network_nor_another_program() -> None:
    """S4: what a model may do is what its imports let it. The server before it, which no model imports, is apart."""
    shipped = {n: text for n, text in scoring_sources().items() if n.endswith(".py")}
    server = shipped.pop("churn_clv/delivery/endpoint.py")
    assert not any("delivery.endpoint" in module for text in shipped.values() for module in imported(text))
    assert {m.split(".")[0] for m in imported(server)} & NETWORK == {"asyncio"}
    modules = {m for text in shipped.values() for m in imported(text)}
    # urllib.parse decodes names of folders and opens nothing.
    everywhere = {m.split(".")[0] for m in modules if not m.startswith("urllib.parse")}
    assert not everywhere & (NETWORK | {"pickle", "cloudpickle", "joblib", "shelve", "marshal"})
    allowed = {"numpy", "pandas", "scipy", "lightgbm", "mlflow", "duckdb", "churn_clv"} | set(sys.stdlib_module_names)
    at_once = {
        alias
        for text in shipped.values()
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in imported(ast.unparse(node))
    }
    assert {"numpy", "pandas", "mlflow"} <= at_once
    assert {module for module in at_once if module.split(".")[0] not in allowed} == set()


def test_requirements_are_pinned_to_what_is_installed_and_a_log_needs_one_more() -> None:
    bare, with_log = scoring_requirements(with_log=False), scoring_requirements(with_log=True)
    assert bare == [f"{name}=={version(name)}" for name in ("lightgbm", "numpy", "pandas", "scipy")]
    assert set(with_log) - set(bare) == {f"duckdb=={version('duckdb')}"}


def test_the_image_has_the_openmp_runtime_the_requirements_and_a_user_and_copies_only_what_is_there() -> None:
    files = surroundings()
    joined = files["Dockerfile"].replace("\\\n", " ")
    lines = [line.split(" ", 1) for line in joined.splitlines() if line and not line.startswith("#")]
    found: dict[str, list[str]] = {}
    for instruction, words in lines:
        found.setdefault(instruction, []).append(words)
    assert set(found) == {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "EXPOSE", "CMD"}
    assert lines[0] == ["FROM", "python:3.11-slim"]
    assert found["USER"] == ["model"]
    assert [" ".join(line) for line in lines].index("USER model") > [line[0] for line in lines].index("COPY")
    copied = [source for words in found["COPY"] for source in words.split()[:-1]]
    assert copied == ["requirements.txt", "."]
    assert files["requirements.txt"].splitlines() == scoring_requirements(with_log=False)
    installs = next(words for words in found["RUN"] if words.startswith("pip install"))
    assert f"-r requirements.txt mlflow-skinny=={version('mlflow-skinny')}" in installs
    assert any("apt-get install" in words and "libgomp1" in words for words in found["RUN"])
    modules = re.findall(r"python -m ([\w.]+)", " ".join(found["RUN"]))
    assert modules == ["churn_clv.delivery.production", "churn_clv.delivery.mlflow_model"]
    assert {f"code/{module.replace('.', '/')}.py" for module in modules} <= set(files)
    command = json.loads(found["CMD"][0])
    assert command[:4] == ["python", "-m", "churn_clv.delivery.endpoint", "/opt/model"]
    assert found["ENV"][-1] == "PYTHONPATH=/opt/model/code"
    assert command[command.index("--port") + 1] == found["EXPOSE"][0]
