"""Shared features: AMTFL, whose reliable tasks shape the features that all tasks read, and GO-MTL.

L (d, k) makes the features, S (k, T) is how the tasks use them, A (T, k) what the tasks give back to them.
What the package asks of a family is answered in `family`; what J is stands in `model` and `point`.
"""

from amtl_cvx.features.certificate import FeatureCertificate, certify
from amtl_cvx.features.family import FEATURES, GO_MTL
from amtl_cvx.features.methods import AmtflLinear, GoMtl
from amtl_cvx.features.model import FeatureModel, GoMtlModel
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem

__all__ = [
    "FEATURES",
    "GO_MTL",
    "AmtflLinear",
    "FeatureCertificate",
    "FeatureModel",
    "FeaturePoint",
    "FeatureProblem",
    "GoMtl",
    "GoMtlModel",
    "certify",
]
