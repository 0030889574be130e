"""A score file laid out as one page: totals, the grid, and what is to be done with each cell."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pandas as pd

from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.tables import read_table
from churn_clv.errors import InputError
from churn_clv.segments.small_groups import SMALLEST_GROUP, withheld_words, without_small_groups

NEEDED = ["value_tier", "risk_tier", "segment", "action", "expected_spend", "value_at_risk", "clv", "churn_probability",
          "as_of", "horizon_days"]  # fmt: skip
_NUMBERS = ["expected_spend", "value_at_risk", "clv", "churn_probability", "horizon_days"]
_TIERS = ["all", "low", "mid", "high"]
_NUMBERED_TIER = re.compile(r"\d{1,4} of \d{1,4}")


def write_score_page(scores: Path, out: Path | None) -> Path:
    """Write the page of a score file, CSV or Parquet, and return its path (by default beside the scores).

    Raises
    ------
    InputError
        If the file is missing, empty or no score file, or the page's name does not end in .html.
    """
    path = out or scores.with_suffix(".html")
    if path.suffix.lower() != ".html":
        raise InputError(f"{path}: the page is HTML: give it a name that ends in .html")
    frame = read_table(scores)
    _check(frame, scores)
    page = render_score_page(frame, scores.name)
    whole_file(path, lambda partial: partial.write_text(page, encoding="utf-8"))
    return path


def _check(frame: pd.DataFrame, scores: Path) -> None:
    """Refuse what is no score file, or a spoilt one."""
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise InputError(f"{scores}: not a score file: the columns {missing} are missing")
    if frame.empty:
        raise InputError(f"{scores}: holds no customer")
    for name in NEEDED:
        if frame[name].isna().any():
            raise InputError(
                f"{scores}: column {name!r} is empty in {int(frame[name].isna().sum()):,} rows: score again"
            )
    for name in _NUMBERS:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise InputError(f"{scores}: column {name!r} holds text where numbers belong: score again")
    for name in ("value_tier", "risk_tier"):
        known = [tier for tier in frame[name].unique() if tier in _TIERS or _NUMBERED_TIER.fullmatch(str(tier))]
        unknown = int((~frame[name].isin(known)).sum())
        if unknown:
            raise InputError(f"{scores}: column {name!r} holds what is no tier in {unknown:,} rows: score again")


def render_score_page(scores: pd.DataFrame, name: str) -> str:
    """Return the page as HTML; no customer id is on it."""
    import jinja2

    source = files("churn_clv.delivery").joinpath("score_page.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    cells = scores.groupby(["value_tier", "risk_tier", "segment", "action"], as_index=False).agg(
        customers=("clv", "size"), expected_spend=("expected_spend", "sum"), value_at_risk=("value_at_risk", "sum"),
        clv=("clv", "sum"), churn_probability=("churn_probability", "mean"),
    )  # fmt: skip
    cells = without_small_groups(cells, SMALLEST_GROUP)
    ordered = sorted(cells.to_dict("records"), key=lambda c: (_rank(c["risk_tier"]), _rank(c["value_tier"])))
    return template.render(
        name=name,
        scores=scores,
        smallest=SMALLEST_GROUP,
        cells=ordered,
        left=withheld_words(cells, SMALLEST_GROUP, cells["segment"]),
        as_of=scores["as_of"].iloc[0],
        horizon=scores["horizon_days"].iloc[0],
    )


def _rank(tier: str) -> int:
    """The place of a tier in its order, whether named or numbered ("2 of 5")."""
    return _TIERS.index(tier) if tier in _TIERS else int(tier.split()[0])
