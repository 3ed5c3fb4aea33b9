r"""W-steps of losses with kinks (hinge, quantile), exactly.

At the minimum some rows stand on their kink, and the loss grows with the first power of the distance from it:
the 1e-9 that an interior-point solver leaves is too much. The multipliers u of the rows, of least gap and so
dual optimal (`certificate.fenchel`), lead to the exact point. With S = coupling M M', M = I - B,

    W* = -(1/2) G(u) S^-1 = W - (1/2) Q S^-1,    Q = G(u) + 2 W S,    G(u)_t = (a_t/n_t) X_t'u_t

A row with u_i strictly inside its interval is on the kink, x_i'w = kink_i. S^-1 blurs that where I - B is
nearly singular, so W* is the minimum of the augmented Lagrangian instead, Q and stiff springs to the kinks:

    (2 S (x) I + sum_i stiffness_i x_i x_i') dW = -(Q + sum_i stiffness_i (x_i'w - kink_i) x_i)

Such a row stays on its kink while B moves a little, so the same matrix is the Hessian of J in W for
refinement.

Source: CERTIFICATES section 1 (multipliers of the hinge loss); Bertsekas, Constrained Optimization and
Lagrange Multiplier Methods, 1982, chapter 2.
"""

from __future__ import annotations

import contextlib

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.losses import Loss
from amtl_cvx.model import Model, stacked_hessian
from amtl_cvx.tasks import Array, Task, TaskSet

DENSE_LIMIT = 2000
"""Number of unknowns T d up to which the matrix above is factored."""
_STEPS, _REFUSED = 20, 1  # in all, and in a row without a better point
_ACCURACY = 1e-14  # |Q| over the coupling's part of it
_NOISE = 1e-13  # relative change of J that counts as rounding
_INSIDE = (
    1e-6  # share of its interval by which a multiplier keeps away from both ends if its row is on the kink
)
_STIFFNESS = 1e8  # of the curvature that the coupling gives

Multipliers = tuple[Array, ...]


def kinked_minimum(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """argmin over W of J(., B) to rounding, (d, T); the best point found from `W` where that fails.

    The lowest J wins, and among values that differ by rounding the smallest |Q|.
    """
    best, least, smallest, refused = W, np.inf, np.inf, 0
    for _ in range(_STEPS):
        u = kinked_multipliers(tasks, model, W, B)
        coupling = model.coupling_gradient_W(W, B)
        Q, value = fenchel(tasks, model, W, B, u).pull + coupling, model.objective(tasks, W, B)
        miss, noise = float(np.abs(Q).max()), _NOISE * abs(value)
        if value < least - noise or (value <= least + noise and miss < smallest):
            best, least, smallest, refused = W, min(least, value), miss, 0
        elif (refused := refused + 1) > _REFUSED:
            break
        if miss <= _ACCURACY * float(np.abs(coupling).max()):
            break
        M = np.eye(tasks.T) - B
        steps = [step for step in (_stiff_step, _dual_step) if step is _dual_step or W.size <= DENSE_LIMIT]
        trials = []
        for step in steps:
            with contextlib.suppress(np.linalg.LinAlgError):
                trials.append(W + step(tasks, model, W, M, u, Q))
        if not trials:
            break
        W = min(trials, key=lambda trial: model.objective(tasks, trial, B))
    return best


def _dual_step(tasks: TaskSet, model: Model, W: Array, M: Array, u: Multipliers, Q: Array) -> Array:
    """-(1/2) Q S^-1, (d, T)."""
    return np.asarray(np.linalg.solve(M.T, np.linalg.solve(M, Q.T)).T / (-2.0 * model.coupling))


def _stiff_step(tasks: TaskSet, model: Model, W: Array, M: Array, u: Multipliers, Q: Array) -> Array:
    """dW of the augmented Lagrangian, (d, T)."""
    pull = Q.copy()
    for t, (task, v) in enumerate(zip(tasks, u, strict=True)):
        X, kinks = _kinked_rows(model.loss, task, v)
        pull[:, t] += _stiffness(model, M) * (X.T @ (X @ W[:, t] - kinks))
    H = stacked_hessian(kink_hessians(tasks, model, M, u), M, model.coupling)
    factor = sl.cho_factor(H, lower=True, check_finite=False)
    return np.asarray(-sl.cho_solve(factor, pull.T.ravel(), check_finite=False).reshape(W.shape[::-1]).T)


def kink_hessians(tasks: TaskSet, model: Model, M: Array, u: Multipliers) -> Array:
    """What rows on their kinks add to the Hessian of J in W, (T, d, d); M = I - B."""
    stiffness = _stiffness(model, M)
    rows = [_kinked_rows(model.loss, task, v)[0] for task, v in zip(tasks, u, strict=True)]
    return stiffness * np.stack([X.T @ X for X in rows])


def _kinked_rows(loss: Loss, task: Task, u: Array) -> tuple[Array, Array]:
    """The rows on their kinks, scaled to length 1, and the kinks in that scale."""
    low, high = loss.domain(task.y)
    share = (u - low) / (high - low)
    kinks = (loss.conjugate(high, task.y) - loss.conjugate(low, task.y)) / (high - low)
    length = np.linalg.norm(task.X, axis=1)
    inside = (share > _INSIDE) & (share < 1.0 - _INSIDE) & (length > 0.0)
    return task.X[inside] / length[inside, None], kinks[inside] / length[inside]


def _stiffness(model: Model, M: Array) -> float:
    return _STIFFNESS * 2.0 * model.coupling * float((M**2).sum(axis=1).max())
