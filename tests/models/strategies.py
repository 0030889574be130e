"""Hypothesis strategies for models and customers."""

from __future__ import annotations

import pandas as pd
from hypothesis import strategies as st

from churn_clv.models import BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel

CLASSES = (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel)
Model = BetaGeoModel | ModifiedBetaGeoModel | ParetoNBDModel


@st.composite
def histories(draw: st.DrawFn, most: int = 400) -> tuple[int, float, float]:
    x = draw(st.integers(0, most))
    T = draw(st.floats(1, 400))
    t_x = draw(st.floats(0.01, 1)) * T if x else 0.0
    return x, t_x, T


@st.composite
def models(draw: st.DrawFn) -> Model:
    kind = draw(st.sampled_from(CLASSES))
    first = draw(st.floats(0.1, 5)), draw(st.floats(0.5, 50))
    if kind is ParetoNBDModel:
        last = draw(st.floats(0.1, 5)), draw(st.floats(0.5, 50))
    else:
        last = draw(st.one_of(st.floats(0.1, 5), st.just(1.0))), draw(st.floats(0.3, 8))
    return kind.from_params(**dict(zip(kind.parameter_names, (*first, *last), strict=True)))


def frame(*rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["frequency", "recency", "T"], dtype=float)
