r"""Whether a W-step has ended: a gradient that is small beside its terms, and not only beside rows long gone.

An entry of the gradient is sum_i weight_i u_i x_ij and the coupling's part. Residuals hold it against
||x_j|| ||u|| (`certificate.residuals`), which pairs the longest rows with the largest slopes. Where rows of
1e9 are satisfied, their u is all but 0, H is large in their direction, and the Newton step, hence what it
seems to gain, is tiny, while the rows of size 1 still pull all one way: relative to ||x_j|| ||u|| that is
1e-9, relative to sum_i weight_i |u_i| |x_ij| + |coupling_jt| of order 1. It matters where the task has a
loss to lose, where it is not the rounding of all those terms, and as long as steps still move a predictor:
where I - B is nearly singular they no longer do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Task

_MOVED = 1e-3  # part of a predictor that a step must move for the next one to be worth while
_BALANCED = 1e-6  # a gain of about its square
_NOISE = 1e-12  # of all that it is summed from: rounding
_SHARE = 1e-10  # of the objective: what a task must have to lose


def moves(W: Array, step: Array) -> bool:
    """Whether a step (d, T) moves a predictor by a part that counts."""
    return bool((np.abs(step).max(axis=0) > _MOVED * np.abs(W).max(axis=0)).any())


def unbalanced(
    loss: Loss,
    tasks: Sequence[Task],
    W: Array,
    a: Array,
    *,
    coupling: Array,
    terms: Array,
    gradient: Array,
    value: float,
) -> bool:
    """Whether an entry of the gradient (d, T) is not small beside its terms, `coupling` (d, T) among them.

    `terms` (d, T) are what that is summed from.
    """
    if loss.quadratic:  # one step, exact whatever the rows
        return False
    for t, (task, w) in enumerate(zip(tasks, W.T, strict=True)):
        z, weight, phi = task.X @ w, float(a[t]) * loss.scale(task), loss.on(task.sample_weight)
        if weight * float(phi.rows(z, task.y).sum()) <= _SHARE * value:
            continue
        size, u = np.abs(task.X), np.abs(phi.slopes(z, task.y))
        sizes = weight * (size.T @ u) + np.abs(coupling[:, t])
        hidden = weight * (size.T @ (u + phi.curvatures(z, task.y) * (size @ np.abs(w)))) + terms[:, t]
        if (np.abs(gradient[:, t]) > _BALANCED * sizes + _NOISE * hidden).any():
            return True
    return False
