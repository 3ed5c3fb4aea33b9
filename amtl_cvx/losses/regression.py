"""Losses of a number: squared, Huber, quantile, Poisson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np
from scipy.special import xlogy

from amtl_cvx.errors import DataError
from amtl_cvx.losses.base import Loss, inside
from amtl_cvx.tasks import Array, Task


@dataclass(frozen=True, kw_only=True)
class Squared(Loss):
    """``phi(z; y) = (z - y)^2``."""

    name: ClassVar[str] = "squared"
    quadratic: ClassVar[bool] = True

    def rows(self, z: Array, y: Array) -> Array:
        return (z - y) ** 2

    def slopes(self, z: Array, y: Array) -> Array:
        return 2.0 * (z - y)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.full_like(z, 2.0)

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        terms: Array = 2.0 * (reach + np.linalg.norm(y, axis=-1))
        return terms

    def conjugate(self, v: Array, y: Array) -> Array:
        return v**2 / 4.0 + v * y

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum_squares(z - y)


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """``phi(z; y) = r^2 for |r| <= K, else 2 K |r| - K^2``, r = z - y: an outlier pulls at most 2 K.

    Parameters
    ----------
    threshold : float
        K > 0, in the units of y; the scaling is that of `cvxpy.huber`.
    """

    name: ClassVar[str] = "huber"
    parameter: ClassVar[str | None] = "threshold"
    threshold: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_parameter(high=np.inf, words="a finite number > 0")

    def rows(self, z: Array, y: Array) -> Array:
        size = np.abs(z - y)
        K = self.threshold
        return np.where(size <= K, size**2, K * (2.0 * size - K))

    def slopes(self, z: Array, y: Array) -> Array:
        return np.clip(2.0 * (z - y), -2.0 * self.threshold, 2.0 * self.threshold)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.where(np.abs(z - y) <= self.threshold, 2.0, 0.0)

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        near = (np.abs(slopes) < 2.0 * self.threshold).any(axis=-1)
        return np.where(near, 2.0 * (reach + np.linalg.norm(y, axis=-1)), 0.0)

    def steady(self, z: Array, y: Array) -> Array:
        inside_by = self.threshold - np.abs(z - y)
        return np.where(inside_by >= 0.0, inside_by, np.inf)

    def conjugate(self, v: Array, y: Array) -> Array:
        return inside(v, self.domain(y), v**2 / 4.0 + v * y)

    def domain(self, y: Array) -> tuple[Array, Array]:
        high = np.full(np.shape(y), 2.0 * self.threshold)
        return -high, high

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(cp.huber(z - y, M=self.threshold))


@dataclass(frozen=True, kw_only=True)
class Quantile(Loss):
    """``phi(z; y) = max(tau (y - z), (tau - 1) (y - z))``: z estimates the tau-quantile of y.

    Parameters
    ----------
    tau : float
        0 < tau < 1; at 0.5 half the absolute error.
    """

    name: ClassVar[str] = "quantile"
    parameter: ClassVar[str | None] = "tau"
    smooth: ClassVar[bool] = False
    tau: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_parameter(high=1.0, words="between 0 and 1")

    def rows(self, z: Array, y: Array) -> Array:
        return np.maximum(self.tau * (y - z), (self.tau - 1.0) * (y - z))

    def slopes(self, z: Array, y: Array) -> Array:
        low, high = self.subgradients(z, y)
        return 0.5 * (low + high)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.zeros_like(z)

    def conjugate(self, v: Array, y: Array) -> Array:
        return inside(v, self.domain(y), v * y)

    def domain(self, y: Array) -> tuple[Array, Array]:
        return np.full(np.shape(y), -self.tau), np.full(np.shape(y), 1.0 - self.tau)

    def subgradients(self, z: Array, y: Array) -> tuple[Array, Array]:
        low, high = self.domain(z)
        return np.where(z > y, high, low), np.where(z < y, low, high)

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(self.tau * cp.pos(y - z) + (1.0 - self.tau) * cp.pos(z - y))


@dataclass(frozen=True, kw_only=True)
class Poisson(Loss):
    """``phi(z; y) = e^z - y z + (y log y - y)``: counts y >= 0 with the mean e^z, half the deviance.

    The term in y makes the minimum over z, at z = log y, 0.
    """

    name: ClassVar[str] = "poisson"
    concordant: ClassVar[bool] = True
    longest_move: ClassVar[float] = 5.0

    def rows(self, z: Array, y: Array) -> Array:
        count = np.where(y > 0, y, 1.0)
        shift = z - np.log(count)  # count (e^shift - 1 - shift) does not cancel
        with np.errstate(over="ignore"):
            return np.where(y > 0, count * np.maximum(np.expm1(shift) - shift, 0.0), np.exp(z))

    def slopes(self, z: Array, y: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(z) - y

    def curvatures(self, z: Array, y: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(z)

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        terms: Array = (slopes + y).max(axis=-1, initial=0.0) * reach + np.linalg.norm(y, axis=-1)
        return terms

    def conjugate(self, v: Array, y: Array) -> Array:
        mean = np.maximum(v + y, 0.0)
        return inside(v, self.domain(y), xlogy(mean, mean) - mean - (xlogy(y, y) - y))

    def domain(self, y: Array) -> tuple[Array, Array]:
        return -y, np.full(np.shape(y), np.inf)

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(cp.exp(z) - cp.multiply(y, z)) + float((xlogy(y, y) - y).sum())

    def check(self, task: Task) -> None:
        smallest = float(task.y.min(initial=0.0))
        if smallest < 0.0:
            raise DataError(
                f"the poisson loss needs targets >= 0, {task.name!r} has {smallest:g}: use the squared or"
                " huber loss"
            )

    def decide(self, z: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(z)
