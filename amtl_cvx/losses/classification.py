"""Losses of a label: logistic, squared hinge, hinge, all functions of the margin y z, y in {-1, +1}."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np
from scipy.special import expit, xlog1py, xlogy

from amtl_cvx.errors import DataError
from amtl_cvx.losses.base import Loss, inside
from amtl_cvx.tasks import Array, Task


@dataclass(frozen=True, kw_only=True)
class LabelLoss(Loss):
    """Base of the losses of a label: -1/+1 (or 0/1, read as that), both of them in every task."""

    classification: ClassVar[bool] = True

    def check(self, task: Task) -> None:
        self.check_targets(task)
        if len(labels := np.unique(task.y)) < 2:
            raise DataError(
                f"the {self.name} loss needs both classes in every task, all rows of {task.name!r} have label"
                f" {labels[0]:g}: drop the task or merge it with another one"
            )

    def check_targets(self, task: Task) -> None:
        labels = set(np.unique(task.y).tolist())
        if not (labels <= {-1.0, 1.0} or labels <= {0.0, 1.0}):
            shown = ", ".join(f"{label:g}" for label in sorted(labels)[:4])
            raise DataError(
                f"the {self.name} loss needs labels -1/+1 or 0/1, {task.name!r} has {len(labels)} different"
                f" targets ({shown}, ...): use the squared loss, or one task per class"
            )

    def decide(self, z: Array) -> Array:
        return np.where(z > 0, 1.0, -1.0)


@dataclass(frozen=True, kw_only=True)
class Logistic(LabelLoss):
    """Logistic loss, ``phi(z; y) = log(1 + exp(-y z))``, y = -1 or +1.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Logistic
    >>> Logistic().rows(np.zeros(2), np.array([-1.0, 1.0])).round(4)
    array([0.6931, 0.6931])
    """

    name: ClassVar[str] = "logistic"
    concordant: ClassVar[bool] = True

    def rows(self, z: Array, y: Array) -> Array:
        return np.logaddexp(0.0, -_signs(y) * z)

    def slopes(self, z: Array, y: Array) -> Array:
        signs = _signs(y)
        slopes: Array = -signs * expit(-signs * z)
        return slopes

    def curvatures(self, z: Array, y: Array) -> Array:
        curvatures: Array = expit(z) * expit(-z)
        return curvatures

    def conjugate(self, v: Array, y: Array) -> Array:
        s = np.clip(-_signs(y) * v, 0.0, 1.0)
        return inside(v, self.domain(y), xlogy(s, s) + xlog1py(1.0 - s, -s))

    def domain(self, y: Array) -> tuple[Array, Array]:
        return _between_zero_and(-_signs(y))

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(self.terms(z, y))

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.logistic(cp.multiply(-_signs(y), z))


@dataclass(frozen=True, kw_only=True)
class SquaredHinge(LabelLoss):
    """Squared hinge loss, ``phi(z; y) = max(0, 1 - y z)^2``: the smooth one of a support vector machine.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import SquaredHinge
    >>> SquaredHinge().rows(np.array([-1.0, 2.0]), np.ones(2))
    array([4., 0.])
    """

    name: ClassVar[str] = "squared-hinge"

    def rows(self, z: Array, y: Array) -> Array:
        return _shortfall(z, y) ** 2

    def slopes(self, z: Array, y: Array) -> Array:
        return -2.0 * _signs(y) * _shortfall(z, y)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.where(_shortfall(z, y) > 0, 2.0, 0.0)

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        return np.where((slopes != 0.0).any(axis=-1), 2.0 * (reach + np.sqrt(np.shape(y)[-1])), 0.0)

    def steady(self, z: Array, y: Array) -> Array:
        short = _shortfall(z, y)
        return np.where(short > 0, short, np.inf)

    def conjugate(self, v: Array, y: Array) -> Array:
        s = -_signs(y) * v
        return inside(v, self.domain(y), s**2 / 4.0 - s)

    def domain(self, y: Array) -> tuple[Array, Array]:
        return _between_zero_and(np.where(y > 0, -np.inf, np.inf))

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum_squares(cp.pos(1.0 - cp.multiply(_signs(y), z)))

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.square(cp.pos(1.0 - cp.multiply(_signs(y), z)))


@dataclass(frozen=True, kw_only=True)
class Hinge(LabelLoss):
    """Hinge loss, ``phi(z; y) = max(0, 1 - y z)``: that of a support vector machine, with a kink at 1.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the rows of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Hinge
    >>> Hinge().rows(np.array([-1.0, 2.0]), np.ones(2))
    array([2., 0.])
    """

    name: ClassVar[str] = "hinge"
    smooth: ClassVar[bool] = False

    def rows(self, z: Array, y: Array) -> Array:
        return _shortfall(z, y)

    def slopes(self, z: Array, y: Array) -> Array:
        low, high = self.subgradients(z, y)
        return 0.5 * (low + high)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.zeros_like(z)

    def conjugate(self, v: Array, y: Array) -> Array:
        return inside(v, self.domain(y), _signs(y) * v)

    def domain(self, y: Array) -> tuple[Array, Array]:
        return _between_zero_and(-_signs(y))

    def subgradients(self, z: Array, y: Array) -> tuple[Array, Array]:
        signs = _signs(y)
        margin = signs * z
        steep, flat = np.where(margin <= 1.0, -signs, 0.0), np.where(margin < 1.0, -signs, 0.0)
        return np.minimum(steep, flat), np.maximum(steep, flat)

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(self.terms(z, y))

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.pos(1.0 - cp.multiply(_signs(y), z))


def _signs(y: Array) -> Array:
    return np.where(y > 0, 1.0, -1.0)


def _shortfall(z: Array, y: Array) -> Array:
    """max(0, 1 - y z)."""
    return np.maximum(1.0 - _signs(y) * z, 0.0)


def _between_zero_and(end: Array) -> tuple[Array, Array]:
    return np.minimum(end, 0.0), np.maximum(end, 0.0)
