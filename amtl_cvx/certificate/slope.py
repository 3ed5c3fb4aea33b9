r"""The gradient of the W-step, and how well doubles know it.

    g_t = weight_t X_t'u_t + 2 coupling (W M M')_t,    u_i = phi'(z_i),  z = X_t w_t,  weight_t = a_t/n_t, a_t

Bounds for the worst case, a sum of n terms being off by n eps times the sum of their sizes:

    moves_i   of the score:  (d + 4) eps |x_i|'|w_t| + 2 eps |y_i| (a label counts as 1)
    slips_i   of u_i:        what phi' changes over the move (phi' is monotone), and 4 eps |u_i|; for logistic
                             and Poisson, whose phi' is a difference of phi'' and y, 4 eps (|u_i| + phi''_i)
    room_jt   of the sums:   (n + 8) eps weight |X_j|'|u| and the like for (W M) M', per entry
    drift     of R = W M, through M': in the metric of H >= 2 coupling M M' (x) I,
              ||2 coupling dR M'|| <= sqrt(2 coupling) ||dR||_F, however near I - B is to singular

so none of them depends on the units of a feature, a row or a task. Rows that are coordinates (`rowspace`) are
themselves off by eps of their lengths, which then stand for |x_ij|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Task

EPS = float(np.finfo(np.float64).eps)
_KINK = 1e-6  # of a score: where a kink is told from a curvature


class Pull(NamedTuple):
    """The quadratic's part of a gradient, (d, T), and what rounding does to it."""

    gradient: Array
    room: Array
    """(d, T), per entry."""
    drift: float
    """In the metric of H."""


class Rows(NamedTuple):
    """One task's rows at a point, (n,) each but `size`."""

    weight: float
    scores: Array
    moves: Array
    slips: Array
    size: Array
    """|x_ij|, (n, d)."""
    stiff: Array
    """weight phi'', or what takes its place (`gains`)."""
    unit: Array
    """How far a score may move with that curvature."""


class Slope(NamedTuple):
    """The gradient, (d, T), and what rounding does to it (see the module essay)."""

    gradient: Array
    room: Array
    drift: float
    rows: tuple[Rows, ...]

    def exact(self) -> Slope:
        """The same if nothing were rounded."""
        none = tuple(
            each._replace(moves=0.0 * each.moves, slips=0.0 * each.slips, unit=each.unit + each.moves)
            for each in self.rows
        )
        return Slope(self.gradient, 0.0 * self.room, 0.0, none)

    def entries(self) -> Array:
        """By how much an entry can be off, (d, T), `drift` apart."""
        return self.room + np.column_stack([each.weight * (each.size.T @ each.slips) for each in self.rows])


def coupling_pull(W: Array, M: Array, coupling: float) -> Pull:
    """2 coupling W M M', the gradient of coupling ||W M||_F^2."""
    R, T = W @ M, len(M)
    off = (T + 2.0) * EPS * (np.abs(W) @ np.abs(M))
    room = 2.0 * coupling * (T + 4.0) * EPS * (np.abs(R) @ np.abs(M).T)
    return Pull(2.0 * coupling * (R @ M.T), room, math.sqrt(2.0 * coupling) * float(np.linalg.norm(off)))


def slope_at(
    loss: Loss,
    tasks: Sequence[Task],
    W: Array,
    a: Array,
    pull: Pull,
    *,
    turned: bool,
    multipliers: Sequence[Array] | None = None,
) -> Slope:
    """The gradient of sum_t a_t L_t(w_t) and a quadratic.

    `turned` says that the rows are coordinates (`TaskSet.basis`). `multipliers` (T arrays (n_t,), in the
    domain of phi*) take the place of phi'; nothing slips then.
    """
    gradient, room, found = pull.gradient.copy(), pull.room + 4.0 * EPS * np.abs(pull.gradient), []
    for t, (task, w) in enumerate(zip(tasks, W.T, strict=True)):
        X, y = task.X, task.y
        size = np.abs(X)
        if turned:
            size = np.maximum(size, np.sqrt(np.einsum("ij,ij->i", X, X))[:, None])
        z, weight = X @ w, float(a[t]) * loss.scale(task)
        moves = EPS * (
            (len(w) + 4.0) * (size @ np.abs(w)) + 2.0 * (1.0 if loss.classification else np.abs(y))
        )
        if multipliers is None:
            stiff, unit = weight * loss.curvatures(z, y), loss.steady(z, y)
            unit = unit if loss.concordant else np.maximum(unit - moves, 0.0)
            u = loss.slopes(z, y)
            slips = np.maximum(np.abs(loss.slopes(z + moves, y) - u), np.abs(loss.slopes(z - moves, y) - u))
            slips += 4.0 * EPS * (np.abs(u) + (loss.curvatures(z, y) if loss.concordant else 0.0))
        else:
            u, slips = multipliers[t], np.zeros_like(z)
            low, high = loss.domain(y)
            unit = _KINK * (size @ np.abs(w) + np.abs(y))
            margin = weight * np.maximum(np.minimum(high - u, u - low), 0.0)
            margin = np.where(np.isfinite(margin) & (unit > 0.0), margin, 0.0)
            stiff = np.divide(margin, unit, out=np.zeros_like(z), where=margin > 0.0)
        gradient[:, t] += weight * (X.T @ u)
        room[:, t] += (len(y) + 8.0) * EPS * weight * (size.T @ np.abs(u))
        found.append(Rows(weight, z, moves, slips, size, stiff, unit))
    return Slope(gradient, room, pull.drift, tuple(found))
