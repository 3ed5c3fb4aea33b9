"""Losses of a label that take it as a number: what comes of labels 0/1 that nobody mapped to -1/+1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.formula import RowLoss


class RawLogistic:
    """log(1 + exp(-y z)) for any number y."""

    def rows(self, z: Array, y: Array) -> Array:
        return np.logaddexp(0.0, -y * z)

    def slopes(self, z: Array, y: Array) -> Array:
        slopes: Array = -y * expit(-y * z)
        return slopes

    def curvatures(self, z: Array, y: Array) -> Array:
        curvatures: Array = y**2 * expit(y * z) * expit(-y * z)
        return curvatures


class RawSquaredHinge:
    """max(0, 1 - y z)^2 for any number y."""

    def rows(self, z: Array, y: Array) -> Array:
        return np.maximum(1.0 - y * z, 0.0) ** 2

    def slopes(self, z: Array, y: Array) -> Array:
        slopes: Array = -2.0 * y * np.maximum(1.0 - y * z, 0.0)
        return slopes

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.where(y * z < 1.0, 2.0 * y**2, 0.0)


class RawHinge:
    """max(0, 1 - y z) for any number y."""

    def rows(self, z: Array, y: Array) -> Array:
        return np.maximum(1.0 - y * z, 0.0)

    def slopes(self, z: Array, y: Array) -> Array:
        return np.where(y * z < 1.0, -y, 0.0)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.zeros_like(z)


LOSSES_OF_RAW_LABELS: Mapping[str, RowLoss] = {
    "logistic": RawLogistic(),
    "squared-hinge": RawSquaredHinge(),
    "hinge": RawHinge(),
}
"""By the name of the loss."""
