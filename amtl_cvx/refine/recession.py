r"""Growth that no row speaks against: is it carried by a cycle of edges, and does J fall along it?

Where I - B is nearly singular, u'(I - B) = sigma v', the tasks S on which u lives carry f = W u between them
at no cost in coupling, whatever its length. No loss of S rises along f if, for every row x of a task s in S,

    x'f u_s >= 0    where the loss falls, or levels off, as its score grows      (label +1)
    x'f u_s <= 0    where it does so as the score falls                          (label -1, a count of 0)
    x'f = 0         where it rises both ways                                     (squared loss)

and S is closed, u_S'(I - B_SS) = 0: a cycle that needs a short predictor of another task pays for an edge out
of that which grows with f. `Loss.domain` tells the signs: phi' takes values between its ends. Such f make a
cone, and its nearest point to f is found by non-negative least squares. A feature that only rows of the right
labels have, a pixel that neither of two digits touches, gives one. With f now from the cone J is computed at

    W + (k - 1) f u_S',   k = 1, 1.01, 1.1, 2, 10,   after an exact round of the alternation each

Where each is lower than the one before, beyond rounding, J falls for ever, as far as is computed: no loss in
S can rise, and edges out of S cost ever less. The fit ends with the figure.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize as so

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.certificate.outward import rounding_of_J
from amtl_cvx.errors import SolveError
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import NEARLY_SINGULAR
from amtl_cvx.refine.local import exact_round

_FACTORS = (1.01, 1.1, 2.0, 10.0)
_PART = 1e-3  # of the largest entry of u
_OPEN = 1e-2  # of that: what other tasks have to add, so that the cycle is not closed in S
_EPS = float(np.finfo(np.float64).eps)
_LEAST = 1e-3  # of f: what is left of it in the cone


def recession_fall(point: Point) -> float:
    """By how much J falls in all along the way of the module essay; 0 where it does not at each step."""
    move = _move(point)
    if move is None:
        return 0.0
    try:
        start = last = exact_round(point)
        for factor in _FACTORS:
            moved = point.at(W=point.W + (factor - 1.0) * move)
            if not np.isfinite(moved.losses).all():
                return 0.0
            trial = exact_round(moved)
            if not trial.objective + rounding_of_J(trial) < last.objective:
                return 0.0
            last = trial
    except SolveError:
        return 0.0
    return start.objective - last.objective - rounding_of_J(start)


def recession_words(point: Point, fall: float) -> str:
    """What was measured, and what helps."""
    tasks, longest = point.tasks, float(np.linalg.norm(point.W, axis=0).max())
    names = [repr(tasks.names[t]) for t in np.flatnonzero(_cycle(point))]
    return (
        f"J may have no minimum here: no row of {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        f" speaks against a direction in which their predictors, up to {longest:.1e} long, grow, carried by a"
        f" cycle of edges; as they grow tenfold J falls by {fall / point.objective:.1e} of"
        " itself, and at each step on the way; use a penalty on W (--omega ridge:1), drop features that are"
        " constant in these tasks but for few rows, or give them more rows"
    )


def _cycle(point: Point) -> Mask:
    """The tasks on which the left singular vector of the least singular value lives."""
    u = np.abs(point.svd[0][:, -1])
    return np.asarray(u > _PART * u.max())


def _move(point: Point) -> Array | None:
    """f u_S' (d, T) with f in the cone; None where there is none, or I - B is not nearly singular."""
    omega = point.model.omega
    if point.sigma_min > NEARLY_SINGULAR or (omega is not None and omega.bounds_W(point.tasks.T)):
        return None
    chosen, u = _cycle(point), point.svd[0][:, -1]
    M = point.M[np.ix_(chosen, chosen)]
    if np.abs(u[chosen] @ M).max() > _OPEN * np.abs(u).max():
        return None
    f = point.W @ u
    length = float(np.linalg.norm(f))
    sides = [_against(point, int(t), float(np.sign(u[t]))) for t in np.flatnonzero(chosen)]
    A = np.vstack(sides)
    if not (0.0 < length < np.inf and len(A)):
        return None
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    try:
        inside = f / length + A.T @ so.nnls(A.T, -f / length)[0]
    except RuntimeError:  # the limit of its steps
        return None
    if not np.linalg.norm(inside) > _LEAST:
        return None
    return np.outer(length * inside, np.where(chosen, u, 0.0))


def _against(point: Point, t: int, sign: float) -> Array:
    """Rows a (n, d) with a'f >= 0 for every f along which the loss of a task does not rise.

    Each with a largest entry of 1; those of rounding, which compressed tasks have, are none.
    """
    task, loss = point.tasks[t], point.model.loss
    low, high = loss.domain(task.y)
    sizes = np.abs(task.X).max(axis=1, initial=0.0)
    seen = sizes > max(task.X.shape) * _EPS * sizes.max(initial=0.0)
    up, down = seen & (low < 0.0), seen & (high > 0.0)  # it rises as the score falls, as it grows
    return sign * np.vstack([task.X[up] / sizes[up, None], -task.X[down] / sizes[down, None]])
