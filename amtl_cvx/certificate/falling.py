r"""Whether a W-step without a ridge has a minimum: a loss that falls for ever along scores that only fall.

Logistic and Poisson losses have no least value on one side. Where the square of W sees nothing of a direction
D = F n', the columns of n (T, m) a basis of the kernel of K', and no row speaks against it,

    s_i = sign_i x_i'F n_t(i)   >= 0 for every row whose loss rises one way only,   = 0 for every other row,

J falls for ever along D if a loss with s_i > 0 does. A linear program finds such an F (r, m), the one with
the largest sum of s_i <= 1, and the loss of the rows with s_i > 0 is then seen to fall, and to fall again,
far out. Losses that level off (hinge) do not, and have their minimum. `Loss.domain` tells the sides.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize as so

from amtl_cvx.certificate.bounds import WeightProblem
from amtl_cvx.tasks import Array, Mask

_FAR = 10.0  # margin at which a row's loss is asked whether it still falls: there, and twice as far
_FALLS = 0.5  # part of it that is left at most
_CLEAR, _NONE = 1e-6, 1e-9  # of the largest score that a row may have along D


def falls_for_ever(problem: WeightProblem) -> bool:
    """Whether J is seen to fall for ever along a direction that no row speaks against."""
    U, values, _ = np.linalg.svd(problem.squares.K)
    kept = len(problem.squares.K) - int((values > len(values) * np.finfo(np.float64).eps * values[0]).sum())
    free = U[:, len(U) - kept :]
    y = np.concatenate([task.y for task in problem.tasks])
    low, high = problem.loss.domain(y)
    sided = (low < 0.0) != (high > 0.0)
    if not (kept and sided.any()):
        return False
    rows = np.vstack([np.kron(task.X, n) for task, n in zip(problem.tasks, free, strict=True)])
    size = np.abs(rows).max(axis=1)
    rows[size > 0.0] /= size[size > 0.0, None]
    signed = np.where(low < 0.0, 1.0, -1.0)[:, None] * rows
    moved = _along(signed, sided)
    if moved is None:
        return False
    falling = sided & (moved > _CLEAR)
    against = np.where(sided, np.maximum(-moved, 0.0), np.abs(moved)).max()
    if not falling.any() or against > _NONE:
        return False
    way = np.where(low < 0.0, 1.0, -1.0)[falling] * _FAR
    near, far = (float(problem.loss.rows(k * way, y[falling]).sum()) for k in (1.0, 2.0))
    return near > 0.0 and far < _FALLS * near


def _along(signed: Array, sided: Mask) -> Array | None:
    """The scores s (n,) of the linear program, in units of the rows; None where it has no answer."""
    n, unknowns = signed.shape
    one, both = signed[sided], signed[~sided]
    found = so.linprog(
        -one.sum(axis=0),
        A_ub=np.vstack([one, -one]),
        b_ub=np.concatenate([np.ones(len(one)), np.zeros(len(one))]),
        A_eq=both if len(both) else None,
        b_eq=np.zeros(len(both)) if len(both) else None,
        bounds=[(None, None)] * unknowns,
        method="highs",
    )
    return signed @ found.x if found.status == 0 else None
