"""What every fitted model of the room carries: parameters, their uncertainty, and a JSON form."""

from __future__ import annotations

import json
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from churn_clv.models.maximum_likelihood import Array


class FittedModel:
    """A model with named positive parameters, fitted or given."""

    parameter_names: ClassVar[tuple[str, ...]]
    lifetimes_name: ClassVar[str]

    params_: dict[str, float]
    log_likelihood_: float | None
    covariance_: pd.DataFrame
    diagnosis_: str | None
    n_customers_: float | None

    def __init__(self, *, prior: float | None = None) -> None:
        if prior is not None and not prior > 0:
            raise ValueError(f"prior is a standard deviation on the log scale and must be positive, got {prior!r}")
        self.prior = prior

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's settings."""
        return {"prior": self.prior}

    @classmethod
    def from_params(cls, **params: float) -> Self:
        """Build a model from known parameters.

        Raises
        ------
        ValueError
            If a parameter is missing, unknown, or not a positive finite number.
        """
        if set(params) != set(cls.parameter_names):
            raise ValueError(f"{cls.__name__} needs exactly {cls.parameter_names}, got {tuple(params)}")
        bad = [name for name, value in params.items() if not _is_positive(value)]
        if bad:
            raise ValueError(f"parameters must be positive and finite: { ({name: params[name] for name in bad}) }")
        return cls()._settle(np.array([params[name] for name in cls.parameter_names], dtype=float))

    @property
    def standard_errors_(self) -> pd.Series:
        """Standard errors by parameter; nan where the data do not determine one."""
        return pd.Series(np.sqrt(np.diag(self.covariance_)), self.covariance_.index, name="standard_error")

    def confidence_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return intervals (estimate, lower, upper) by parameter, made on the log scale and so never negative."""
        from scipy.special import ndtri

        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        self._require_fit()
        estimate = pd.Series(self.params_, name="estimate")
        factor = np.exp(ndtri((1 + level) / 2) * self.standard_errors_ / estimate)
        return pd.DataFrame({"estimate": estimate, "lower": estimate / factor, "upper": estimate * factor})

    def to_json(self) -> str:
        """Return the parameters, their covariance and the fit's record as JSON text."""
        self._require_fit()
        known = self.covariance_.notna().to_numpy().any()
        record = {
            "model": type(self).__name__,
            "params": self.params_,
            "covariance": _listed(self.covariance_) if known else None,
            "log_likelihood": self.log_likelihood_,
            "n_customers": self.n_customers_,
            "diagnosis": self.diagnosis_,
            "prior": self.prior,
        }
        return json.dumps(record, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a model from `to_json`.

        Raises
        ------
        ValueError
            If the text describes another model or invalid parameters.
        """
        record = json.loads(text)
        if not isinstance(record, dict) or record.get("model") != cls.__name__:
            got = record.get("model") if isinstance(record, dict) else type(record).__name__
            raise ValueError(f"the JSON text describes {got!r}, not {cls.__name__}")
        if not isinstance(record.get("params"), dict):
            raise ValueError(f"the JSON text of {cls.__name__} has no parameters: 'params' must map names to numbers")
        model = cls.from_params(**record["params"])
        model.prior = record.get("prior")
        model.log_likelihood_ = record.get("log_likelihood")
        model.n_customers_ = record.get("n_customers")
        model.diagnosis_ = record.get("diagnosis")
        if record.get("covariance") is not None:
            matrix, size = np.array(record["covariance"], dtype=float), len(cls.parameter_names)
            if matrix.shape != (size, size):
                raise ValueError(f"the covariance in the JSON text must be {size} x {size}, got shape {matrix.shape}")
            model.covariance_ = model._frame(matrix)
        return model

    def to_lifetimes(self) -> Any:
        """Return lifetimes' fitter of the same model with these parameters, ready to predict."""
        import lifetimes

        self._require_fit()
        fitter = getattr(lifetimes, self.lifetimes_name)(penalizer_coef=0.0)
        fitter.params_ = pd.Series(self.params_)
        if hasattr(fitter, "conditional_expected_number_of_purchases_up_to_time"):
            fitter.predict = fitter.conditional_expected_number_of_purchases_up_to_time
        return fitter

    @classmethod
    def from_lifetimes(cls, fitter: Any) -> Self:
        """Take the parameters of lifetimes' fitter of the same model."""
        if type(fitter).__name__ != cls.lifetimes_name or not hasattr(fitter, "params_"):
            raise ValueError(f"{cls.__name__} needs a fitted {cls.lifetimes_name}, got {type(fitter).__name__}")
        return cls.from_params(**{name: float(fitter.params_[name]) for name in cls.parameter_names})

    def draw_models(self, size: int, rng: np.random.Generator) -> list[Self]:
        """Draw models from the normal approximation to the parameters' uncertainty on the log scale.

        Parameters without a known covariance stay at their estimates.
        """
        self._require_fit()
        params = np.array(list(self.params_.values()))
        spread = np.nan_to_num(self.covariance_.to_numpy() / np.outer(params, params))
        values, axes = np.linalg.eigh(spread)
        steps = rng.standard_normal((size, params.size)) * np.sqrt(np.maximum(values, 0)) @ axes.T
        drawn = params * np.exp(np.clip(steps, -10, 10))
        return [type(self).from_params(**dict(zip(self.parameter_names, row, strict=True))) for row in drawn.tolist()]

    def __repr__(self) -> str:
        if not hasattr(self, "params_"):
            return f"{type(self).__name__}(prior={self.prior!r})"
        inner = ", ".join(f"{name}={value:.6g}" for name, value in self.params_.items())
        return f"<{type(self).__name__} {inner}>"

    def _settle(self, params: Array) -> Self:
        """Take parameters; nothing is known of their uncertainty yet."""
        self.params_ = dict(zip(self.parameter_names, params.tolist(), strict=True))
        size = params.size
        self.covariance_ = self._frame(np.full((size, size), np.nan))
        self.log_likelihood_ = None
        self.n_customers_ = None
        self.diagnosis_ = None
        return self

    def _frame(self, matrix: Array) -> pd.DataFrame:
        return pd.DataFrame(matrix, index=list(self.parameter_names), columns=list(self.parameter_names))

    def _require_fit(self) -> None:
        if not hasattr(self, "params_"):
            raise ValueError(f"this {type(self).__name__} has no parameters yet: call fit or from_params first")


def _is_positive(value: object) -> bool:
    return isinstance(value, Real) and bool(np.isfinite(float(value)) and float(value) > 0)


def _listed(frame: pd.DataFrame) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in frame.to_numpy()]
