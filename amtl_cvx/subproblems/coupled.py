"""The W-step as data, of all tasks or of one, and the second-order models of its losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.weight_residuals import task_slopes, weight_misses
from amtl_cvx.losses import Loss
from amtl_cvx.parallel import SharedMap
from amtl_cvx.problem import Model, Point
from amtl_cvx.subproblems.balance import unbalanced
from amtl_cvx.tasks import Array, Task, TaskSet, feature_lengths

Rows = tuple[Loss, Sequence[Task]]
"""What the second-order data of every task are computed from."""


class Coupled(NamedTuple):
    """The W-step as data: ``sum_t a_t L_t(w_t) + ||W Q - O||_F^2`` over `tasks`."""

    loss: Loss
    tasks: Sequence[Task]
    a: Array
    Q: Array
    O: Array  # noqa: E741
    spread: SharedMap[Rows] | None = None
    basis: Array | None = None
    """That of the features (`TaskSet.basis`)."""
    lengths: Array | None = None
    """Those of the features (`TaskSet.lengths`), where they are known."""

    def value(self, W: Array) -> float:
        losses = sum(a * self.loss.value(task, w) for task, a, w in zip(self.tasks, self.a, W.T, strict=True))
        return float(losses) + float(((W @ self.Q - self.O) ** 2).sum())

    def pull(self, W: Array) -> Array:
        """The losses' part of the gradient, (d, T)."""
        columns = zip(self.tasks, self.a, W.T, strict=True)
        return np.column_stack([a * self.loss.gradient(task, w) for task, a, w in columns])

    def coupling(self, W: Array) -> Array:
        """The coupling's part of the gradient, (d, T)."""
        return 2.0 * (W @ self.Q - self.O) @ self.Q.T

    def unbalanced(self, W: Array, value: float) -> bool:
        """Whether the gradient at W, of this value, is small beside some terms only (`balance`)."""
        coupling = self.coupling(W)
        gradient = self.pull(W) + coupling
        terms = 2.0 * (np.abs(W) @ np.abs(self.Q) + np.abs(self.O)) @ np.abs(self.Q.T)
        return unbalanced(
            self.loss, self.tasks, W, self.a, coupling=coupling, terms=terms, gradient=gradient, value=value
        )

    def relative(self, W: Array) -> float:
        """The largest part of an entry of the gradient in the size of its terms (`certificate.residuals`)."""
        lengths = feature_lengths(self.tasks, self.basis) if self.lengths is None else self.lengths
        scale = np.array([self.loss.scale(task) for task in self.tasks])
        at_zero = np.array([self.loss.value(task, np.zeros(len(W))) for task in self.tasks])
        V, residual, O = (self._lift(term) for term in (W, W @ self.Q - self.O, self.O))  # noqa: E741
        slopes = task_slopes(self.loss, self.tasks, W, (lengths * np.abs(V)).sum(axis=0))
        return weight_misses(
            slopes=slopes,
            gradient=self._lift(self.a * slopes.pull + self.coupling(W)),
            rows=lengths,
            rates=self.a * scale,
            residual=residual,
            terms=np.abs(V) @ np.abs(self.Q) + np.abs(O),
            Q=self.Q,
            own=np.sqrt(self.a * at_zero),
        ).relative()

    def _lift(self, V: Array) -> Array:
        return V if self.basis is None else self.basis @ V


class LossModel(NamedTuple):
    """Second-order models ``w'h_t w - 2 r_t'w`` of the losses at W; exact for a quadratic loss."""

    loss: Loss
    tasks: Sequence[Task]
    h: Array
    r: Array

    @classmethod
    def at(cls, step: Coupled, W: Array) -> LossModel:
        """h (T, d, d), half the Hessians, and r (T, d)."""
        spread = step.spread or SharedMap((step.loss, step.tasks))
        d = len(W)

        def whole(number: int, part: tuple[Array, Array]) -> tuple[Array, Array] | None:
            fits = [np.shape(array) for array in part] == [(d, d), (d,)]
            return part if fits and all(np.isfinite(array).all() for array in part) else None

        parts = spread(_second_order, list(enumerate(W.T)), accept=whole)
        h, slopes = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        return cls(step.loss, step.tasks, h, np.einsum("tij,jt->ti", h, W) - 0.5 * slopes)

    def holds(self, step: Coupled) -> bool:
        """Whether this is the model of the step's losses everywhere: the rounds of a fit need one."""
        return self.loss.quadratic and self.loss == step.loss and self.tasks is step.tasks

    def coupled(self, step: Coupled) -> tuple[Array, Array, Array]:
        """C (T, T, d), G (T, d, d) and g (T, d) of the W-problem."""
        T = len(step.a)
        C = np.broadcast_to((step.Q @ step.Q.T)[:, :, None], (T, T, len(step.O)))
        return C, step.a[:, None, None] * self.h, step.a[:, None] * self.r + step.Q @ step.O.T


def _second_order(rows: Rows, item: tuple[int, Array]) -> tuple[Array, Array]:
    """Half the Hessian (d, d) and the gradient (d,) of one task's loss at w."""
    (loss, tasks), (t, w) = rows, item
    return 0.5 * loss.hessian(tasks[t], w), loss.gradient(tasks[t], w)


def joint_step(point: Point) -> Coupled:
    """The joint W-step at B."""
    tasks, model = point.tasks, point.model
    Q = np.sqrt(point.square_weight) * point.K
    O = np.zeros((tasks.d, Q.shape[1]))  # noqa: E741
    return Coupled(model.loss, tasks.tasks, point.loss_weight, Q, O, basis=tasks.basis, lengths=tasks.lengths)


def task_step(point: Point, t: int) -> Coupled:
    """The W-step of task t with all others fixed: w_t sits in its own residual and in those it gives to."""
    model, W = point.model, point.W
    K = point.K
    kappa = float((K[t] ** 2).sum())
    target = W[:, t] - (W @ K) @ K[t] / kappa
    k = float(np.sqrt(point.square_weight * kappa))
    return one_task(point.tasks, model, t, a=point.loss_weight[t : t + 1], k=k, target=target)


def one_task(tasks: TaskSet, model: Model, t: int, *, a: Array, k: float, target: Array) -> Coupled:
    """min over w of a L_t(w) + k^2 ||w - target||^2, a (1,), target (d,)."""
    return Coupled(
        model.loss,
        tasks.tasks[t : t + 1],
        a,
        np.array([[k]]),
        k * target[:, None],
        basis=tasks.basis,
        lengths=tasks.lengths[:, t : t + 1],
    )
