r"""The gradient of the W-step, and how well doubles know it.

    g_t = weight_t X_t'u_t + 2 coupling (W K K')_t,    u_i = phi'(z_i),  z = X_t w_t,  weight_t = a_t/n_t, a_t

Bounds for the worst case, a sum of n terms being off by n eps times the sum of their sizes:

    moves_i   of the score:  (d + 4) eps |x_i|'|w_t| + 2 eps |y_i| (a label counts as 1)
    slips_i   of u_i:        what phi' changes over the move (phi' is monotone), and 4 eps |u_i|; for logistic
                             and Poisson, whose phi' is a difference of phi'' and y, 4 eps (|u_i| + phi''_i)
    room_jt   of the sums:   (n + 8) eps weight |X_j|'|u| and the like for (W K) K', per entry
    drift     of R = W K, through K': in the metric of H >= 2 coupling K K' (x) I,
              ||2 coupling dR K'|| <= sqrt(2 coupling) ||dR||_F, however near I - B is to singular

so none of them depends on the units of a feature, a row or a task. K is I - B, or with a penalty on W that of
`problem.squares`, whose entries are known to 2 eps: less than these bounds leave. Rows that are coordinates
(`rowspace`) are themselves off by eps of their lengths, which then stand for |x_ij|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.losses import Loss, RowLoss
from amtl_cvx.problem.scores import Scores, scores
from amtl_cvx.tasks import Array, Task, stack_of

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
    """One task's rows at a point, (n,) each."""

    weight: float
    scores: Array
    moves: Array
    slips: Array
    stiff: Array
    """weight phi'', or what takes its place (`gains`)."""
    unit: Array
    """How far a score may move with that curvature."""


class Slope(NamedTuple):
    """The gradient, (d, T), and what rounding does to it (see the module essay)."""

    gradient: Array
    room: Array
    slipped: Array
    """What the slips do to its entries, (d, T)."""
    drift: float
    rows: tuple[Rows, ...]

    def exact(self) -> Slope:
        """The same if nothing were rounded."""
        none = tuple(
            each._replace(moves=0.0 * each.moves, slips=0.0 * each.slips, unit=each.unit + each.moves)
            for each in self.rows
        )
        return Slope(self.gradient, 0.0 * self.room, 0.0 * self.slipped, 0.0, none)

    def entries(self) -> Array:
        """By how much an entry can be off, (d, T), `drift` apart."""
        return self.room + self.slipped


def coupling_pull(W: Array, K: Array, coupling: float) -> Pull:
    """2 coupling W K K', the gradient of coupling ||W K||_F^2."""
    R, (T, k) = W @ K, K.shape
    off = (T + 2.0) * EPS * (np.abs(W) @ np.abs(K))
    room = 2.0 * coupling * (k + 4.0) * EPS * (np.abs(R) @ np.abs(K).T)
    return Pull(2.0 * coupling * (R @ K.T), room, math.sqrt(2.0 * coupling) * float(np.linalg.norm(off)))


def slope_at(
    loss: Loss,
    tasks: Sequence[Task],
    W: Array,
    a: Array,
    pull: Pull,
    *,
    turned: bool,
    known: Sequence[Scores] | None = None,
    multipliers: Sequence[Array] | None = None,
) -> Slope:
    """The gradient of sum_t a_t L_t(w_t) and a quadratic.

    `turned` says that the rows are coordinates (`TaskSet.basis`), `known` are their scores at W.
    `multipliers` (T arrays (n_t,), in the domain of phi*) take the place of phi'; nothing slips then.
    """
    gradient, room = pull.gradient.copy(), pull.room + 4.0 * EPS * np.abs(pull.gradient)
    slipped, found = np.zeros_like(room), list[Rows]()
    weights = a * np.array([loss.scale(task) for task in tasks])
    if known is None:
        known = tuple(scores(loss, map(stack_of, tasks), W))
    for each in known:
        at, X, y, z = each.at, each.X, each.y, each.z
        size, weight = np.abs(X), weights[at, None]
        if turned:
            size = np.maximum(size, np.sqrt(np.einsum("tij,tij->ti", X, X))[:, :, None])
        reached, targets = (size @ np.abs(each.W)[:, :, None])[:, :, 0], np.abs(y)
        moves = EPS * ((len(W) + 4.0) * reached + 2.0 * (1.0 if loss.classification else targets))
        if multipliers is None:
            u, slips, curved, unit = _smooth(each, moves)
        else:
            u, unit = np.stack(multipliers[at]), _KINK * (reached + targets)
            slips, curved = np.zeros_like(z), _margins(each.loss, u, y) / np.where(unit > 0.0, unit, np.inf)
        gradient[:, at] += (weight * (u[:, None, :] @ X)[:, 0, :]).T
        room[:, at] += (y.shape[1] + 8.0) * EPS * (weight * (np.abs(u)[:, None, :] @ size)[:, 0, :]).T
        slipped[:, at] = (weight * (slips[:, None, :] @ size)[:, 0, :]).T
        parts = zip(weight[:, 0].tolist(), z, moves, slips, weight * curved, unit, strict=True)
        found += [Rows(*part) for part in parts]
    return Slope(gradient, room, slipped, pull.drift, tuple(found))


def _smooth(at: Scores, moves: Array) -> tuple[Array, Array, Array, Array]:
    """phi', its slips, phi'' and how far that is known to hold."""
    loss, z, y = at.loss, at.z, at.y
    u, curved, unit = at.slopes, at.curvatures, loss.steady(z, y)
    slips = np.maximum(np.abs(loss.slopes(z + moves, y) - u), np.abs(loss.slopes(z - moves, y) - u))
    slips += 4.0 * EPS * (np.abs(u) + (curved if loss.concordant else 0.0))
    return u, slips, curved, unit if loss.concordant else np.maximum(unit - moves, 0.0)


def _margins(loss: RowLoss, u: Array, y: Array) -> Array:
    """The distances of multipliers from the ends of their domain, 0 where that has none."""
    low, high = loss.domain(y)
    margins: Array = np.maximum(np.minimum(high - u, u - low), 0.0)
    return np.where(np.isfinite(margins), margins, 0.0)
