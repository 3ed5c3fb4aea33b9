r"""What J and its gradients are summed from: the sum of the absolute values of all terms, down to the data.

A computed sum is off by a few eps times the sum of |terms|, whoever computes it, and a change of every datum
by the part eps changes it by as much. With z_i = x_i'w and reach_i = |x_i|'|w| (+ |y_i| where the loss is of
z - y), so that phi(z_i) is known to eps (phi + |phi'| reach) and phi'(z_i) to eps (|phi'| + phi'' reach),

    l+_t       = s_t sum_i v_i (phi_i + |phi'_i| reach_i)             s_t = 1/n_t or 1
    J+         = sum_t c_t l+_t + R(|B|; c*l+) + coupling || |W| |M| ||_F^2 + Omega(W)
    G_W+[:, t] = a_t s_t |X_t|' v (|phi'| + phi'' reach) + 2 coupling (|W| |K| |K|')_t
    G_B+       = R'+(B; c*l+) + 2 coupling |W|'|W| |M|

`first_order_tolerance` is what a pack is held to: 1e-12 of the size that the certificate divides an entry
by, or 64 eps of what the entry is summed from where that is more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Point

EPS = float(np.finfo(np.float64).eps)
FIRST_ORDER = 1e-12
ROUNDING = 64.0 * EPS


class Terms:
    """Those of J and its gradients at a point of AMTL."""

    def __init__(self, point: Point) -> None:
        self.point = point
        tasks, model = point.tasks, point.model
        d, T = tasks.d, tasks.T
        pulls, losses = np.zeros((d, T)), np.zeros(T)
        for t, (task, w) in enumerate(zip(tasks, point.W.T, strict=True)):
            reach, slope, bent, value = _rows(model.loss, task, w)
            losses[t] = model.loss.scale(task) * float((value + slope * reach).sum())
            pulls[:, t] = model.loss.scale(task) * (np.abs(task.X).T @ (slope + bent * reach))
        self.losses = point.problem.task_weight * losses
        """c*l+, (T,)."""
        W, K = np.abs(point.W), np.abs(point.K)
        self.W = point.loss_weight * pulls + 2.0 * point.square_weight * (W @ K) @ K.T
        if model.prox_omega is not None:
            self.W = self.W + np.abs(point.subgradient_W)
        self.coupled = 2.0 * model.coupling * W.T @ (W @ np.abs(point.M))
        """The coupling's part of G_B+, (T, T)."""

    @property
    def B(self) -> Array | None:
        """G_B+ of a penalty with prices by rows, (T, T); None for another one."""
        prices = self.point.model.transfer.row_prices(self.losses)
        return None if prices is None else prices[:, None] + self.coupled

    @property
    def objective(self) -> float:
        """J+."""
        point = self.point
        coupled = point.model.coupling * float(((np.abs(point.W) @ np.abs(point.M)) ** 2).sum())
        omega = point.model.omega
        return (
            float(self.losses.sum())
            + abs(point.model.transfer.value(point.B, self.losses))
            + coupled
            + (0.0 if omega is None else abs(omega.value(point.W)))
        )

    def shares(self) -> float:
        """The largest ratio of an entry's terms to the size that its residual is divided by, not below 1."""
        about_W, about_B, _ = misses(self.point)
        parts = [self.W / np.where(about_W.size > 0.0, about_W.size, np.inf)]
        if (terms := self.B) is not None:
            free = self.point.B != 0.0
            parts.append(np.where(free, terms / np.where(about_B.size > 0.0, about_B.size, np.inf), 0.0))
        return max(1.0, *(float(part[np.isfinite(part)].max(initial=0.0)) for part in parts))


def _rows(loss: Any, task: Any, w: Array) -> tuple[Array, Array, Array, Array]:
    """reach, v |phi'|, v phi'', v phi of the rows of a task, (n_t,) each; on a kink the larger |phi'|.

    A row whose score is rounding away from its kink is on it, whatever the machine.
    """
    of, z = loss.on(task.sample_weight), task.X @ w
    reach = np.abs(task.X) @ np.abs(w)
    if not loss.classification:
        reach = reach + np.abs(task.y)
    off = 0.0 if loss.smooth else ROUNDING * (reach + np.abs(task.y))
    low, high = of.subgradients(z - off, task.y)[0], of.subgradients(z + off, task.y)[1]
    slope = np.maximum(np.abs(low), np.abs(high))
    bent = of.curvatures(z, task.y) if loss.smooth else np.zeros_like(z)
    return reach, slope, bent, np.abs(of.rows(z, task.y))


def first_order_tolerance(point: Point) -> float:
    """The tolerance of a certificate of AMTL: 1e-12, or 64 eps of the terms."""
    found = max(FIRST_ORDER, ROUNDING * Terms(point).shares())
    if not found < 1e-3:
        raise DataError(
            f"the gradient is known to {found:.1g} of its size only: give the data in units of one size"
        )
    return found
