"""A figure as a picture: drawn once, however many pages and files show it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from churn_clv.evaluation.figure_style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
_DRAWN: WeakKeyDictionary[Figure, bytes] = WeakKeyDictionary()


def as_png(figure: Figure) -> bytes:
    """Return a finished figure as PNG; what is changed on it afterwards is not seen."""
    if figure not in _DRAWN:
        picture = io.BytesIO()
        with style():
            figure.savefig(picture, format="png", dpi=DPI, metadata={"Software": None})
        _DRAWN[figure] = picture.getvalue()
    return _DRAWN[figure]
