r"""Losses: what a task pays for its predictor.

Every loss is a sum over rows of a convex, non-negative function phi of the prediction z_i = x_i'w,

    L_t(w) = (1/n_t) sum_i phi(x_i'w; y_i)          reduction "mean" (the default)
    L_t(w) =         sum_i phi(x_i'w; y_i)          reduction "sum"

so one class gives phi, its two derivatives and phi as a CVXPY atom, and everything else follows from the
chain rule, once, in the base class:

    L_t      = scale * sum phi(z),   grad L_t = scale * X'phi'(z),   Hessian = scale * X' diag(phi''(z)) X

Non-negativity is not a matter of taste: L_t multiplies the price of an edge, and a negative price makes the
B-step unbounded. There is no factor 1/2 anywhere.

    Squared    phi(z; y) = (z - y)^2
    Logistic   phi(z; y) = log(1 + exp(-y z)),   y in {-1, +1}  (labels {0, 1} are read as that)

Source: Lee, Yang, Hwang, ICML 2016, section 3 (losses); the row form is SPEC section 2.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import cvxpy as cp
import numpy as np
from scipy.special import expit

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.tasks import Array, Task, triangular_factor

Reduction = Literal["mean", "sum"]


class Loss(abc.ABC):
    """A row function phi with a reduction; see the module essay.

    A new loss is a frozen dataclass with the four row methods below and an entry in `LOSSES`.
    """

    name: ClassVar[str]
    quadratic: ClassVar[bool] = False
    """True when L_t is quadratic in w: its Newton model is exact and its rows can be compressed."""
    classification: ClassVar[bool] = False
    """True when y holds the labels -1/+1 (or 0/1) and a score is decided by its sign."""
    reduction: Reduction

    @abc.abstractmethod
    def rows(self, z: Array, y: Array) -> Array:
        """phi(z_i; y_i) of every row, (n,) -> (n,)."""

    @abc.abstractmethod
    def slopes(self, z: Array, y: Array) -> Array:
        """phi'(z_i; y_i) of every row, (n,)."""

    @abc.abstractmethod
    def curvatures(self, z: Array, y: Array) -> Array:
        """phi''(z_i; y_i) >= 0 of every row, (n,)."""

    @abc.abstractmethod
    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        """sum_i phi(z_i; y_i) as a convex CVXPY scalar."""

    def check(self, task: Task) -> None:
        """Raise `DataError` where the targets of `task` are not legal for this loss."""
        return None

    def decide(self, z: Array) -> Array:
        """Predictions in the units of y from the scores z = X w (identity for a regression loss)."""
        return z

    def scale(self, task: Task) -> float:
        """The factor in front of the sum over rows: 1/n_t or 1."""
        return 1.0 / task.n if self.reduction == "mean" else 1.0

    def value(self, task: Task, w: Array) -> float:
        """L_t(w)."""
        return self.scale(task) * float(self.rows(task.X @ w, task.y).sum())

    def gradient(self, task: Task, w: Array) -> Array:
        """grad L_t(w), (d,)."""
        return self.scale(task) * (task.X.T @ self.slopes(task.X @ w, task.y))

    def hessian(self, task: Task, w: Array) -> Array:
        """Hessian of L_t at w, (d, d)."""
        return self.scale(task) * (task.X.T * self.curvatures(task.X @ w, task.y)) @ task.X

    def expression(self, task: Task, w: cp.Expression) -> cp.Expression:
        """L_t(w) as a CVXPY scalar: the definition that every faster path is tested against."""
        return self.scale(task) * self.total(task.X @ w, task.y)

    def compress(self, task: Task) -> Task:
        """An equivalent task with at most d + 1 rows where the loss allows it, else the task itself.

        For a quadratic loss X_t, y_t are replaced by the triangular factor of [X_t y_t]; `Task.n` keeps the
        original count, so L_t(w) is unchanged for every w.
        """
        if not self.quadratic or len(task.y) <= task.X.shape[1] + 1:
            return task
        factor = triangular_factor(np.column_stack([task.X, task.y]))
        return replace(task, X=factor[:, :-1], y=factor[:, -1], count=task.n, ones=None)


@dataclass(frozen=True, kw_only=True)
class Squared(Loss):
    """``phi(z; y) = (z - y)^2``: regression."""

    name: ClassVar[str] = "squared"
    quadratic: ClassVar[bool] = True
    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        _check_reduction(self.reduction)

    def rows(self, z: Array, y: Array) -> Array:
        return (z - y) ** 2

    def slopes(self, z: Array, y: Array) -> Array:
        return 2.0 * (z - y)

    def curvatures(self, z: Array, y: Array) -> Array:
        return np.full_like(z, 2.0)

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum_squares(z - y)


@dataclass(frozen=True, kw_only=True)
class Logistic(Loss):
    """``phi(z; y) = log(1 + exp(-y z))``: binary classification, labels {-1, +1} or {0, 1}."""

    name: ClassVar[str] = "logistic"
    classification: ClassVar[bool] = True
    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        _check_reduction(self.reduction)

    def rows(self, z: Array, y: Array) -> Array:
        return np.logaddexp(0.0, -_signs(y) * z)

    def slopes(self, z: Array, y: Array) -> Array:
        signs = _signs(y)
        slopes: Array = -signs * expit(-signs * z)
        return slopes

    def curvatures(self, z: Array, y: Array) -> Array:
        curvatures: Array = expit(z) * expit(-z)
        return curvatures

    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        return cp.sum(cp.logistic(cp.multiply(-_signs(y), z)))

    def check(self, task: Task) -> None:
        labels = set(np.unique(task.y).tolist())
        if not (labels <= {-1.0, 1.0} or labels <= {0.0, 1.0}):
            shown = ", ".join(f"{label:g}" for label in sorted(labels)[:4])
            raise DataError(
                f"the logistic loss needs labels -1/+1 or 0/1, {task.name!r} has {len(labels)} different"
                f" targets ({shown}, ...): use the squared loss, or one task per class"
            )
        if len(labels) < 2:
            raise DataError(
                f"the logistic loss needs both classes in every task, all rows of {task.name!r} have label"
                f" {next(iter(labels)):g}: drop the task or merge it with another one"
            )

    def decide(self, z: Array) -> Array:
        return np.where(z > 0, 1.0, -1.0)


LOSSES: dict[str, type[Squared] | type[Logistic]] = {cls.name: cls for cls in (Squared, Logistic)}
"""Every loss by the name that the command line and run.json use."""


def _signs(y: Array) -> Array:
    return np.where(y > 0, 1.0, -1.0)


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum"):
        raise ModelError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
