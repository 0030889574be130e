"""The notebooks explain and define nothing; that they run is held by `make notebooks`."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
LONGEST_CELL = 20  # statements stand one a line; a longer cell holds two ideas
MOST_CODE = 1.0  # lines of code for one of prose


def cells_of(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == kind]


def code_of(cell: str) -> str:
    """The cell without IPython's magics, which are no Python."""
    return "\n".join(line for line in cell.splitlines() if not line.startswith("%"))


def test_the_notebooks_are_found() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_no_function_and_no_class(path: Path) -> None:
    trees = [ast.parse(code_of(cell)) for cell in cells_of(path, "code")]
    found = [node.lineno for tree in trees for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]
    assert found == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_only_public_names_of_the_package(path: Path) -> None:
    trees = [ast.parse(code_of(cell)) for cell in cells_of(path, "code")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
    attributes = [node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert any(name.startswith("churn_clv.") for name in names)
    assert [name for name in names if "._" in name] == []
    assert [name for name in attributes if name.startswith("_")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebooks_cells_are_short_and_prose_leads(path: Path) -> None:
    code, prose = cells_of(path, "code"), cells_of(path, "markdown")
    assert prose[0].startswith("# ")
    assert max(len(cell.splitlines()) for cell in code if not cell.startswith(("%", "from "))) <= LONGEST_CELL
    assert sum(len(cell.split()) for cell in code) <= MOST_CODE * sum(len(cell.split()) for cell in prose)
