"""The rooms of the package: imports point backwards, MLflow stays in delivery, and importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import churn_clv

PACKAGE = Path(churn_clv.__file__).parent
ROOMS = ["data", "models", "segments", "evaluation", "delivery"]
FILES = sorted(PACKAGE.rglob("*.py"))
# Files and packages that stand above the rooms.
ABOVE = {Path(path.relative_to(PACKAGE).parts[0]).stem for path in FILES} - {*ROOMS, "errors", "__init__"}
HEAVY = ["sqlglot", "lightgbm", "sklearn", "mlflow", "matplotlib", "lifetimes", "scipy.optimize", "jinja2"]


class WithoutTyping(ast.NodeTransformer):
    """Leave out `if TYPE_CHECKING:`, which never runs."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return self.generic_visit(node)


def imports(path: Path) -> list[str]:
    """Every module a file imports when it runs, also inside functions."""
    found = []
    package = ["churn_clv", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(WithoutTyping().visit(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return found


def part_of(module: str) -> str | None:
    """`data` of churn_clv.data.windows, `fits` of churn_clv.fits; None for what is not of the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == "churn_clv" and len(parts) > 1 else None


def room_of(module: str) -> str | None:
    """`data` of churn_clv.data.windows; None for what belongs to no room."""
    return part if (part := part_of(module)) in ROOMS else None


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_the_walk_sees_imports_in_functions_and_relative_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "x.py"
    file.write_text(
        "def f():\n    from ..data import windows\n    import mlflow.pyfunc\nif TYPE_CHECKING:\n    import churn_clv.train\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert imports(file) == ["churn_clv.data", "churn_clv.data.windows", "mlflow.pyfunc"]


def test_every_room_has_files() -> None:
    assert {path.relative_to(PACKAGE).parts[0] for path in FILES} >= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_before_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        named(path): module
        for path in (PACKAGE / room).rglob("*.py")
        for module in imports(path)
        if room_of(module) not in allowed | {None}
    }
    assert not wrong


@pytest.mark.parametrize("room", ROOMS[:-1])
def test_no_room_but_delivery_knows_how_it_is_used(room: str) -> None:
    assert {"cli", "fits", "backtest", "choice", "rolling", "checks"} <= ABOVE
    wrong = {
        named(path): module
        for path in (PACKAGE / room).rglob("*.py")
        for module in imports(path)
        if part_of(module) in ABOVE
    }
    assert not wrong


def test_what_looks_before_training_is_known_only_to_the_command_line() -> None:
    knows = {
        path.relative_to(PACKAGE).parts[0]
        for path in FILES
        if any(part_of(module) == "checks" for module in imports(path))
    }
    assert knows == {"checks", "cli.py", "terminal.py"}


def test_models_know_neither_files_nor_logs() -> None:
    wrong = {
        named(path): module
        for path in (PACKAGE / "models").rglob("*.py")
        for module in imports(path)
        if module.split(".")[0] in {"pathlib", "os", "duckdb", "yaml", "pydantic", "mlflow"}
        or room_of(module) == "data"
    }
    assert not wrong


def test_only_delivery_and_the_command_line_import_mlflow() -> None:
    wrong = [
        named(path)
        for path in FILES
        if any(module.split(".")[0] == "mlflow" for module in imports(path))
        and path.relative_to(PACKAGE).parts[0] not in {"delivery", "cli.py"}
    ]
    assert not wrong


def test_nothing_is_pickled_and_nothing_is_evaluated() -> None:
    forbidden = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    assert not [named(path) for path in FILES if forbidden & {m.split(".")[0] for m in imports(path)}]
    calls = [
        (named(path), node.func.id)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"eval", "exec", "compile", "__import__"}
    ]
    assert not calls


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [
        named(path)
        for path in FILES
        if path.stem in {"utils", "util", "helpers", "common", "base", "manager", "registry"}
    ]


@pytest.mark.parametrize(
    "module", ["churn_clv", "churn_clv.cli", "churn_clv.train", "churn_clv.score_log", "churn_clv.rolling"]
)
def test_importing_stays_light(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_importing_any_module_says_and_writes_nothing(tmp_path: Path) -> None:
    modules = [
        ".".join(("churn_clv", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in FILES
    ]
    modules = [m for m in modules if not m.endswith("__main__")]
    code = f"import importlib\nfor m in {modules!r}: importlib.import_module(m)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())
