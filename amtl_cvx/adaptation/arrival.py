"""The problem of a new task: its rows, the predictors of the fit, and what an edge from each costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.losses import Loss
from amtl_cvx.subproblems import Coupled
from amtl_cvx.tasks import Task


class Terms(NamedTuple):
    """The objective by term."""

    loss: float
    transfer: float
    coupling: float
    omega: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrival:
    """``weight L(w) + prices'b + coupling ||w - W b||^2 + rho ||w||^2`` over w (d,) and b (T,) >= 0.

    Parameters
    ----------
    loss, task : Loss, Task
        The new task, its features prepared.
    weight : float
        c of the new task.
    W : (d, T) array
        The predictors that are held.
    prices : (T,) array
        What an edge of weight 1 from each task costs.
    coupling, rho : float
        As in the model of the fit; rho is 0 without a ridge.
    """

    loss: Loss
    task: Task
    weight: float
    W: Array
    prices: Array
    coupling: float
    rho: float

    @property
    def rate(self) -> float:
        """The factor in front of the sum over rows."""
        return self.weight * self.loss.scale(self.task)

    def terms(self, w: Array, b: Array) -> Terms:
        """The objective by term."""
        r = self.residual(w, b)
        return Terms(
            self.weight * self.loss.value(self.task, w),
            float(self.prices @ b),
            self.coupling * float(r @ r),
            self.rho * float(w @ w),
        )

    def value(self, w: Array, b: Array) -> float:
        """The objective."""
        return float(sum(self.terms(w, b)))

    def residual(self, w: Array, b: Array) -> Array:
        """w - W b, (d,)."""
        residual: Array = w - self.W @ b
        return residual

    def own_slope(self, w: Array) -> Array:
        """The gradient of loss and ridge, (d,)."""
        slope: Array = self.weight * self.loss.gradient(self.task, w) + 2.0 * self.rho * w
        return slope

    def slope_w(self, w: Array, b: Array) -> Array:
        """The gradient in w, (d,)."""
        return self.own_slope(w) + 2.0 * self.coupling * self.residual(w, b)

    def slope_b(self, w: Array, b: Array) -> Array:
        """The gradient in b, (T,)."""
        slope: Array = self.prices - 2.0 * self.coupling * (self.W.T @ self.residual(w, b))
        return slope

    def own_hessian(self, w: Array) -> Array:
        """The Hessian of loss and ridge, (d, d)."""
        H: Array = self.weight * self.loss.hessian(self.task, w) + 2.0 * self.rho * np.eye(len(w))
        return H

    def step(self, b: Array) -> Coupled:
        """The problem in w alone as data of the W-problem, up to a constant."""
        total = self.coupling + self.rho
        k, target = math.sqrt(total), self.coupling / total * (self.W @ b)
        return Coupled(self.loss, (self.task,), np.array([self.weight]), np.array([[k]]), k * target[:, None])
