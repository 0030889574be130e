"""A run as one self-contained HTML page: the answer first, then how good it is, the data, the details."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from churn_clv.config import Config
from churn_clv.delivery import grid_verdict, report_methods
from churn_clv.delivery import report_sentences as sentences
from churn_clv.delivery import report_tables as tables
from churn_clv.delivery.drawn import as_png
from churn_clv.delivery.figure_words import words_of
from churn_clv.delivery.report_reasons import reasons_table, without_reasons
from churn_clv.delivery.report_words import CAUTION, PLACEMENTS, TASKS, glossary
from churn_clv.evaluation.figures import not_drawn, unit_of
from churn_clv.evaluation.labels import Unit, day, model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from churn_clv.train import Run

SECTIONS = {
    "answer": ["grid_production", "grid_judged"],
    "origins": ["origins"],
    "quality": ["reliability", "gain", "holdout_by_frequency", "tracking"],
    "data": ["purchase_timing"],
    "details": ["clv_ranking", "frequency_fit", "frequency_recency", "importances"],
}
LIBRARIES = [
    "churn-clv",
    "duckdb",
    "lifetimes",
    "lightgbm",
    "matplotlib",
    "numpy",
    "pandas",
    "pydantic",
    "scikit-learn",
    "scipy",
]


class Picture(NamedTuple):
    """A figure inside the page: a data address, its size in pixels, caption and alternative text."""

    source: str
    width: int
    height: int
    caption: str
    alternative: str


def render_report(run: Run, figures: Mapping[str, Figure], *, generated_at: datetime, run_name: str) -> str:
    """Write a run as one HTML page that needs no network and holds no customer ids.

    Parameters
    ----------
    run
        From `train`.
    figures
        Name -> figure, from `figures_of`.
    generated_at, run_name
        Shown on the page.
    """
    unit = unit_of(run)
    page = _contents(run, unit) | {
        "run_name": run_name,
        "generated_at": moment(generated_at),
        "pictures": _pictures(run, figures),
    }
    return rendered("report.html.j2", page)


def rendered(template: str, page: Mapping[str, Any]) -> str:
    """Render a template of this room, which may draw with the parts and the style of the report."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    room = files("churn_clv.delivery")
    names = (template, "parts.html.j2", "report.css")
    environment = Environment(
        loader=DictLoader({name: room.joinpath(name).read_text(encoding="utf-8") for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    return environment.get_template(template).render(page)


def moment(when: datetime) -> str:
    """Return a day and time as a person writes them."""
    return f"{day(when)}, {when:%H:%M %Z}".strip()


def write_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as `<name>.png` into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        path.write_bytes(as_png(figure))
    return paths


def _contents(run: Run, unit: Unit) -> dict[str, Any]:
    judgement = run.judgement
    verdicts = judgement.sentences()
    return {
        "unit": unit,
        "unit_note": _unit_note(unit),
        "headline": sentences.headline(run, unit), "panel": sentences.panel(run),
        "answer": sentences.answer(run, unit),
        "to_do": sentences.to_do(run),
        "caution": CAUTION,
        "placements": PLACEMENTS,
        "production_table": tables.production_table(run, unit),
        "production_note": sentences.small_cells(run, run.production_grid),
        "judged_table": tables.judged_table(run, unit),
        "reasons": reasons_table(run),
        "without_reasons": without_reasons(run),
        "judged_note": " ".join([sentences.order_of_cells(run, unit), sentences.small_cells(run, run.judged_grid)]).strip(),
        "verdict": grid_verdict.verdict_sentence(run.segmentation.acceptance),
        "not_holding": grid_verdict.not_holding(run, unit),
        "verdicts": verdicts,
        "losses": sentences.against_rivals(run),
        "doubts": sentences.doubts(run),
        "judged_customers": judgement.customers,
        "churn_rate": judgement.churn_rate,
        "comparisons": _comparisons(run, unit),
        "deciles": tables.decile_table(run, unit),
        "methods": report_methods.methods(run, unit),
        "origins": {
            "words": report_methods.origins_words(run), "tables": report_methods.origins_tables(run, unit),
            "duels": report_methods.duels(run),
        },
        "notes": [note for note in run.notes if note not in {*verdicts, *run.choice.sentences}],
        "details": _details(run),
        "log": run.log, "log_customers": run.customers_of_log,
        "windows": run.windows,
        "day": day,
        "cleaning": tables.cleaning_table(run),
        "timeline": tables.timeline(run.windows, run.models.settings.horizon_days),
        "glossary": glossary(unit, run.models.churn.method),
    }  # fmt: skip


def _comparisons(run: Run, unit: Unit) -> list[tables.Table]:
    costs = run.config.evaluation.retention_costs()
    return [tables.comparison_table(t, TASKS[t], table, unit, costs) for t, table in run.judgement.tables().items()]


def _unbroken(value: Any) -> Any:
    """Keep a percent sign on the line of its number."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _details(run: Run) -> dict[str, Any]:
    from markupsafe import escape

    return {
        "parameters": tables.parameter_tables(run),
        "features": tables.feature_table(run),
        "fitted": report_methods.fitted(run),
        "missing": list(dict.fromkeys(not_drawn(run).values())),
        "config": escape(_shown_config(run.config)),
        "versions": versions(),
        "seconds": [(stage, f"{seconds:.1f} s") for stage, seconds in run.seconds.items()],
        "purchase_model": model(run.models.purchases),
        "cuts": run.models.grid,
    }


def _unit_note(unit: Unit) -> str:
    if not unit.has_amount:
        return "The log has no amounts: value is counted in purchases everywhere, one purchase day being worth 1."
    meant = {
        "revenue": "Amounts are revenue, not profit: spend is what customers pay, before all costs.",
        "margin": "Amounts are margin: what remains of the revenue by the log's margins or the margin rate.",
    }[unit.value_is]
    return meant if unit.currency else f"{meant} No currency was named: money is in the unit of the log's amounts."


def _shown_config(config: Config) -> str:
    """Return the resolved config without the customers that a drop_rows rule may name."""
    return yaml.safe_dump(config.shareable(), sort_keys=False, allow_unicode=True)


def versions() -> list[tuple[str, str]]:
    """Return Python and the libraries that a run's figures depend on, with their versions."""
    found = [("Python", platform.python_version())]
    for library in LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            found.append((library, "not installed as a package"))
    return found


def _pictures(run: Run, figures: Mapping[str, Figure]) -> dict[str, list[Picture]]:
    """Group the figures by section; one of an unknown name stands with the details."""
    known = [name for names in SECTIONS.values() for name in names]
    sections = SECTIONS | {"details": [*SECTIONS["details"], *(name for name in figures if name not in known)]}
    return {
        section: [picture(figures[name], *words_of(name, run)) for name in names if name in figures]
        for section, names in sections.items()
    }


def picture(figure: Figure, caption: str, alternative: str) -> Picture:
    """Embed a figure as PNG in 64 colours: a page much over 500 kB stays blank in MLflow's artifact view."""
    from PIL import Image

    drawn, small = io.BytesIO(as_png(figure)), io.BytesIO()
    # Coverage keeps the rare colour of a few marks, which the median cut gives to a neighbour; k-means fits the wide areas.
    cut = Image.Quantize.MAXCOVERAGE
    colours = Image.open(drawn).convert("RGB").quantize(64, cut, kmeans=1, dither=Image.Dither.NONE)
    colours.save(small, "png", optimize=True)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    source = f"data:image/png;base64,{base64.b64encode(small.getvalue()).decode('ascii')}"
    return Picture(source, width, height, caption, alternative)
