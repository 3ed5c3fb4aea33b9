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
    """Squared loss, ``phi(z; y) = (z - y)^2``, without 1/2: z estimates the mean.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Examples
    --------
    >>> from amtl_cvx import Squared, Task
    >>> Squared().value(Task(X=[[1.0], [2.0]], y=[1.0, 4.0]), [1.0])
    2.0
    """

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

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.square(z - y)


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """Huber loss, ``r^2 for |r| <= K, else 2 K |r| - K^2`` with r = z - y: an outlier pulls at most 2 K.

    Source: Huber 1964.

    Parameters
    ----------
    threshold : float
        K > 0, in the units of y; the scaling is that of `cvxpy.huber`.
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Raises
    ------
    ModelError
        For a threshold that is not a finite number > 0.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Huber
    >>> Huber(threshold=1.0).rows(np.array([0.5, 3.0]), np.zeros(2))
    array([0.25, 5.  ])
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
        return cp.sum(self.terms(z, y))

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.huber(z - y, M=self.threshold)


@dataclass(frozen=True, kw_only=True)
class Quantile(Loss):
    """Quantile loss, ``max(tau (y - z), (tau - 1) (y - z))``: z estimates the tau-quantile of y.

    It has a kink at z = y. Source: Koenker, Bassett 1978.

    Parameters
    ----------
    tau : float
        0 < tau < 1; at 0.5 half the absolute error.
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Raises
    ------
    ModelError
        For a tau that does not lie between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Quantile
    >>> Quantile(tau=0.75).rows(np.array([0.0, 2.0]), np.ones(2))
    array([0.75, 0.25])
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
        return cp.sum(self.terms(z, y))

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return self.tau * cp.pos(y - z) + (1.0 - self.tau) * cp.pos(z - y)


@dataclass(frozen=True, kw_only=True)
class Poisson(Loss):
    """Poisson loss, ``e^z - y z + (y log y - y)``: counts y >= 0 with the mean e^z, half the deviance.

    The term in y makes the minimum over z, at z = log y, 0. Predictions are e^z.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Poisson
    >>> Poisson().rows(np.log([2.0, 1.0]), np.array([2.0, 0.0]))
    array([0., 1.])
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

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.exp(z) - cp.multiply(y, z) + (xlogy(y, y) - y)

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
