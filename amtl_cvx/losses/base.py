"""What every loss has: a row function, its derivatives and conjugate, and the sums over rows."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import frozen, is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.losses.weighted import Weighted
from amtl_cvx.tasks import Array, Task, triangular_factor

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True, kw_only=True)
class Loss(abc.ABC):
    """What a task pays: the sum or mean over its rows of a convex phi(z; y) >= 0, z = x'w.

    A new loss is a frozen dataclass with the row methods `rows`, `slopes`, `curvatures`, `conjugate` and
    `total`, and an entry in `LOSSES`. Row methods take z and y of one shape, (n,) or a batch of them, and v
    alike.
    """

    name: ClassVar[str]
    parameter: ClassVar[str | None] = None
    """The field that a label carries after its colon, a positive number; None for a loss without one."""
    smooth: ClassVar[bool] = True
    """True when phi is differentiable; else `slopes` is one of its subgradients."""
    quadratic: ClassVar[bool] = False
    """True when L_t is quadratic in w: its Newton model is exact and its rows can be compressed."""
    classification: ClassVar[bool] = False
    """True when y holds the labels -1/+1 (or 0/1) and a score is decided by its sign."""
    concordant: ClassVar[bool] = False
    """True when |phi'''| <= phi'', so that phi'' falls at most by exp(-|m|) over a move m of z."""
    longest_move: ClassVar[float] = np.inf
    """How far one Newton step may move a score where the curvature grows without bound."""
    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ModelError(f"reduction must be 'mean' or 'sum', got {self.reduction!r}")

    @abc.abstractmethod
    def rows(self, z: Array, y: Array) -> Array:
        """The loss phi(z_i; y_i) of every row, (n,) -> (n,)."""

    @abc.abstractmethod
    def slopes(self, z: Array, y: Array) -> Array:
        """The derivative phi'(z_i; y_i) of every row, (n,); the natural dual."""

    @abc.abstractmethod
    def curvatures(self, z: Array, y: Array) -> Array:
        """The curvature phi''(z_i; y_i) >= 0 of every row, (n,); one of both limits where it jumps."""

    @abc.abstractmethod
    def conjugate(self, v: Array, y: Array) -> Array:
        """The conjugate phi*(v_i; y_i) = sup over z of v_i z - phi(z; y_i), (n,); inf outside of `domain`."""

    @abc.abstractmethod
    def total(self, z: cp.Expression, y: Array) -> cp.Expression:
        """The sum over rows of phi(z_i; y_i) as a convex CVXPY scalar."""

    def terms(self, z: cp.Expression, y: Array) -> cp.Expression | None:
        """The phi(z_i; y_i) of every row as a convex CVXPY vector, where there is such an atom.

        It serves rows of different weights; without it there is a `total` for each weight.
        """
        return None

    def on(self, weight: Array | None) -> Loss | Weighted:
        """The row functions for rows that count `weight` times (`Task.sample_weight`); None is once each."""
        return self if weight is None else Weighted(self, weight)

    def steady(self, z: Array, y: Array) -> Array:
        """How far z_i may move with phi'' no lower than it is there, (n,); 1 for a concordant loss.

        0 says that nothing is known.
        """
        return np.full_like(z, 1.0 if self.concordant else np.inf if self.quadratic else 0.0)

    def domain(self, y: Array) -> tuple[Array, Array]:
        """Where phi* is finite: low_i <= v_i <= high_i, (n,) each."""
        return np.full(np.shape(y), -np.inf), np.full(np.shape(y), np.inf)

    def kinks(self, y: Array) -> Array:
        """Where phi has its kink, (n,), for a loss that is linear on both sides of it (a finite `domain`)."""
        low, high = self.domain(y)
        at: Array = (self.conjugate(high, y) - self.conjugate(low, y)) / (high - low)
        return at

    def clip(self, v: Array, y: Array) -> Array:
        """The nearest v in `domain`, (n,)."""
        return np.clip(v, *self.domain(y))

    def subgradients(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Left and right derivative of phi at z_i, (n,) each; both are phi'(z_i) where it is smooth."""
        slopes = self.slopes(z, y)
        return slopes, slopes

    def norm(self, v: Array) -> Array:
        """The norm of slopes or multipliers over the rows, the last axis.

        It and the lengths of features over rows (`TaskSet.lengths`) bound G_W. Both count a row by its
        weight: one of weight 2 is one that stands there twice.
        """
        norm: Array = np.linalg.norm(v, axis=-1)
        return norm

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        """About the norm over the rows (the last axis) of what `slopes` = phi'(z) are summed from.

        Rounding is eps times that. `reach` is the norm of the sizes |x_i|'|w| that z is summed from; z itself
        enters with the largest phi'', here with a bound for a loss with phi'' <= |phi'|.
        """
        terms: Array = np.abs(slopes).max(axis=-1, initial=0.0) * reach
        return terms

    def _check_parameter(self, *, high: float, words: str) -> None:
        """Make the parameter a float; `ModelError` unless it lies between 0 and `high`."""
        assert self.parameter is not None
        value = getattr(self, self.parameter)
        if not (is_number(value) and 0.0 < float(value) < high):
            raise ModelError(f"{self.parameter} of the {self.name} loss must be {words}, got {value!r}")
        object.__setattr__(self, self.parameter, float(value))

    @property
    def label(self) -> str:
        """Name and parameter, as `make_loss` reads them: ``"logistic"``, ``"huber:1.5"``."""
        return self.name if self.parameter is None else f"{self.name}:{getattr(self, self.parameter)!r}"

    def check(self, task: Task) -> None:
        """Raise `DataError` where the targets of `task` are not legal for this loss."""
        return None

    def check_targets(self, task: Task) -> None:
        """The same for a model that needs no two classes in a task, as its other terms hold predictors."""
        self.check(task)

    def decide(self, z: Array) -> Array:
        """Predictions in the units of y from the scores z = X w (identity for most regression losses)."""
        return z

    def scale(self, task: Task) -> float:
        """The factor in front of the sum over rows: 1/n_t or 1, n_t being the sum of weights."""
        return 1.0 / task.n if self.reduction == "mean" else 1.0

    def value(self, task: Task, w: Array) -> float:
        """The loss L_t(w) of a task, a number."""
        return self.scale(task) * float(self.on(task.sample_weight).rows(task.X @ w, task.y).sum())

    def gradient(self, task: Task, w: Array) -> Array:
        """The gradient of L_t at w, (d,)."""
        return self.scale(task) * (task.X.T @ self.on(task.sample_weight).slopes(task.X @ w, task.y))

    def hessian(self, task: Task, w: Array) -> Array:
        """The Hessian of L_t at w, (d, d)."""
        curvatures = self.on(task.sample_weight).curvatures(task.X @ w, task.y)
        return self.scale(task) * (task.X.T * curvatures) @ task.X

    def step_length(self, tasks: Iterable[Task], V: Array) -> float:
        """The length, at most 1, at which a line search along V (d, T) begins; see `longest_move`."""
        if self.longest_move == np.inf:
            return 1.0
        moved = max(float(np.abs(task.X @ v).max()) for task, v in zip(tasks, V.T, strict=True))
        return 1.0 if moved <= self.longest_move else self.longest_move / moved

    def expression(self, task: Task, w: cp.Expression) -> cp.Expression:
        """The loss L_t(w) as a CVXPY scalar: the definition that every faster path is tested against."""
        z = task.X @ w
        if task.sample_weight is None:
            return self.scale(task) * self.total(z, task.y)
        return self.scale(task) * self._weighted_total(z, task.y, task.sample_weight)

    def _weighted_total(self, z: cp.Expression, y: Array, weight: Array) -> cp.Expression:
        """The sum over rows of weight_i phi(z_i; y_i)."""
        terms = self.terms(z, y)
        if terms is not None:
            return weight @ terms
        values, group = np.unique(weight, return_inverse=True)
        alike = [np.flatnonzero(group == k) for k in range(len(values))]
        return sum(v * self.total(z[rows], y[rows]) for v, rows in zip(values.tolist(), alike, strict=True))

    def compress(self, task: Task) -> Task:
        """An equivalent task with at most d + 1 rows where the loss allows it, else the task itself.

        For a quadratic loss X_t, y_t are replaced by the triangular factor of [X_t y_t], rows times the roots
        of their weights; `Task.n` keeps what a mean is divided by, so L_t(w) is unchanged for every w.
        """
        weight = task.sample_weight
        if not self.quadratic or (weight is None and len(task.y) <= task.X.shape[1] + 1):
            return task
        rows = np.column_stack([task.X, task.y])
        factor = frozen(triangular_factor(rows if weight is None else np.sqrt(weight)[:, None] * rows))
        return task.factored(factor[:, :-1], factor[:, -1])


RowLoss = Loss | Weighted
"""A loss on rows that count once, or the same on rows of different weights (`Loss.on`)."""


def inside(v: Array, bounds: tuple[Array, Array], values: Array) -> Array:
    """`values` where v lies within `bounds`, +inf elsewhere."""
    low, high = bounds
    return np.where((low <= v) & (v <= high), values, np.inf)
