"""Probabilistic models of purchases, dropout and spend, and customer lifetime value."""

from churn_clv.models.bgbb import BetaGeoBetaBinomialModel
from churn_clv.models.bgnbd import BetaGeoModel
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.maximum_likelihood import ModelWarning
from churn_clv.models.mbgnbd import ModifiedBetaGeoModel
from churn_clv.models.pareto_nbd import ParetoNBDModel

__all__ = [
    "BetaGeoBetaBinomialModel",
    "BetaGeoModel",
    "GammaGammaModel",
    "ModelWarning",
    "ModifiedBetaGeoModel",
    "ParetoNBDModel",
]
