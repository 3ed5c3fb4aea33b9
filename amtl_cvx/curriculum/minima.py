r"""The minimum of one task near a target, in NumPy: what a judge and a choice hold steps against.

    min_w  a L_t(w) + weight ||w - target||^2

Strongly convex with modulus 2 weight, so that for any w, with g the gradient there,

    value(w) - ||g||^2 / (4 weight) <= least value.

Newton's method, damped, ends at rounding. A quadratic loss is L_t(w) = w'h_t w - 2 r_t'w + const; with h_t
diagonalised once, the minimum near any target at any weight is a product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.problem import Problem
from amtl_cvx.subproblems import Coupled, one_task

_STEPS = 100


def task_minimum(step: Coupled, start: Array) -> Array:
    """argmin of a one-task step, (d, 1), by Newton's method from `start` (d, 1)."""
    (task,), a, w = step.tasks, float(step.a[0]), start
    far = 2.0 * float((step.Q**2).sum()) * np.eye(len(w))
    for _ in range(_STEPS):
        gradient = step.pull(w) + step.coupling(w)
        H = a * step.loss.hessian(task, w[:, 0]) + far
        direction: Array = np.asarray(-np.linalg.solve(H, gradient), dtype=np.float64)
        slope, value = float((gradient * direction).sum()), step.value(w)
        length = step.loss.step_length(step.tasks, direction)
        while step.value(w + length * direction) > value + 1e-4 * length * slope + 1e-14 * abs(value):
            length /= 2.0
        w = w + length * direction
        small = -slope <= 1e-26 * max(abs(value), 1e-300) or step.relative(w) <= 1e-14
        if small and not step.unbalanced(w, value):
            break
    return w


class Near(NamedTuple):
    """A target w (d,) and what the square of the distance from it costs."""

    target: Array
    weight: float


@dataclass(frozen=True, eq=False)
class Minima:
    """The minima of the tasks of a problem near a target, and what they cost."""

    problem: Problem

    def step(self, t: int, near: Near) -> Coupled:
        """That of one task as data of the W-problem."""
        tasks, model, c = self.problem.tasks, self.problem.model, self.problem.task_weight
        return one_task(tasks, model, t, a=c[t : t + 1], k=math.sqrt(near.weight), target=near.target)

    def at(self, near: Near, start: Array, which: Sequence[int]) -> Array:
        """`start` (d, T) with the columns of the tasks `which` at their minima."""
        W = start.copy()
        if self.problem.model.loss.quadratic:
            V, e, r = (part[which] for part in self._spectra)
            c = self.problem.task_weight[which]
            b = c[:, None] * r + near.weight * near.target
            turned = (b[:, None, :] @ V)[:, 0] / (c[:, None] * e + near.weight)
            W[:, which] = (V @ turned[:, :, None])[:, :, 0].T
            return W
        for t in which:
            W[:, t] = task_minimum(self.step(t, near), W[:, t : t + 1])[:, 0]
        return W

    def costs(self, near: Near, W: Array) -> Array:
        """c_t L_t(w_t) + weight ||w_t - target||^2 of all tasks, (T,)."""
        model, tasks = self.problem.model, self.problem.tasks
        apart: Array = ((W - near.target[:, None]) ** 2).sum(axis=0)
        return model.weighted_losses(tasks, W) + near.weight * apart

    def least(self, near: Near, W: Array, which: Sequence[int]) -> Array:
        """What the tasks `which` cost at least, by the bound of the module essay at their columns of W."""
        model, tasks, c = self.problem.model, self.problem.tasks, self.problem.task_weight
        gradients = [
            c[t] * model.loss.gradient(tasks.tasks[t], W[:, t]) + 2.0 * near.weight * (W[:, t] - near.target)
            for t in which
        ]
        squares = np.array([float(g @ g) for g in gradients])
        bound: Array = self.costs(near, W)[which] - squares / (4.0 * near.weight)
        return bound

    @cached_property
    def _spectra(self) -> tuple[Array, Array, Array]:
        """h_t = V_t diag(e_t) V_t' and r_t: (T, d, d), (T, d) and (T, d)."""
        loss, zero = self.problem.model.loss, np.zeros(self.problem.tasks.d)
        h = np.stack([0.5 * loss.hessian(task, zero) for task in self.problem.tasks])
        e, V = np.linalg.eigh(h)
        r = np.stack([-0.5 * loss.gradient(task, zero) for task in self.problem.tasks])
        return V, np.maximum(e, 0.0), r
