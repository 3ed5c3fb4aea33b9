r"""Whether a W-step has ended: a gradient that is small beside its terms, and not only beside rows long gone.

An entry of the gradient is sum_i weight_i u_i x_ij and the coupling's part. Residuals hold it against
||x_j|| ||u|| (`certificate.residuals`), which pairs the longest rows with the largest slopes. Where rows of
1e9 are satisfied, their u is all but 0, H is large in their direction, and the Newton step, hence what it
seems to gain, is tiny, while the rows of size 1 still pull all one way: relative to ||x_j|| ||u|| that is
1e-9, relative to sum_i weight_i |u_i| |x_ij| + |coupling_jt| of order 1. It matters where the task has a
loss to lose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Task

_BALANCED = 1e-6  # a gain of about its square
_SHARE = 1e-10  # of the objective: what a task must have to lose


def unbalanced(
    loss: Loss,
    tasks: Sequence[Task],
    W: Array,
    a: Array,
    *,
    coupling: Array,
    gradient: Array,
    value: float,
) -> bool:
    """Whether an entry of the gradient (d, T) is not small beside its terms, `coupling` (d, T) among them."""
    if loss.quadratic:  # one step, exact whatever the rows
        return False
    for t, (task, w) in enumerate(zip(tasks, W.T, strict=True)):
        z, weight = task.X @ w, float(a[t]) * loss.scale(task)
        if weight * float(loss.rows(z, task.y).sum()) <= _SHARE * value:
            continue
        sizes = weight * (np.abs(task.X).T @ np.abs(loss.slopes(z, task.y))) + np.abs(coupling[:, t])
        if (np.abs(gradient[:, t]) > _BALANCED * sizes).any():
            return True
    return False
