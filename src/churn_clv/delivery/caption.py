"""What stands under a figure, and what stands in its place for readers who cannot see it."""

from __future__ import annotations

from typing import NamedTuple


class FigureWords(NamedTuple):
    caption: str
    alternative: str
