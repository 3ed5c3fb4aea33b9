r"""Whether J falls for ever where what no row of its own task sees of the predictors grows, measured.

w_t = z_t + v_t with X_t v_t = 0. `escape` tries growth that no row of a whole cycle sees, or all of the
predictors. But v_t alone may grow while other predictors shrink. Two tasks in two features, t seeing feature
t, L_1 = sigma^2 + (w_11 - 1)^2 and L_2 = (w_22 - 1)^2:

    w_1 = (1, 1/m), w_2 = (m, 1), B[1, 2] = m, B[2, 1] = 1/m:    J = sigma^2 (1 + mu m)

falls to sigma^2 as m -> 0, and is never sigma^2, which would need w_2 = 0 (every edge out of task 1 costs)
and w_22 = 1. Each residual is small beside its terms there, and a straight step of W and B, as `valley` has
it, leaves the curve at once: 1/m and m change together. So the way is followed by trial points

    W -> Z + k V,   k = 1, 1.01, 1.1, 2, 10:    then the best B on its edges, then Newton steps in W

and J is computed at each. It falls where each is lower than the one before, beyond rounding, and the last one
by more than the limit below the first. Next to a minimum J rises at k = 1.01; to fall a little way is not
enough. A point at which J falls so does not pass.

Where I - B is far from singular, for penalties whose price is not linear, losses or penalties on W
with kinks, and more unknowns than `second_order` takes, nothing is tried.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.second_order import WHOLE_LIMIT
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import NEARLY_SINGULAR
from amtl_cvx.rowspace import OwnSpaces

_FACTORS = (1.01, 1.1, 2.0, 10.0)
_NEWTON = 3  # steps in W, one for a quadratic loss
_EPS = float(np.finfo(np.float64).eps)


def outward(point: Point, *, limit: float) -> str:
    """What J does along the way of the module essay, in words; "" where it does not fall beyond `limit`."""
    fall = outward_fall(point)
    if not fall > limit:
        return ""
    return (
        f"J may have no minimum here: it falls by {fall / point.objective:.1e} of itself, and at each step on"
        " the way, when what no row of its own task sees of the predictors grows tenfold and edges"
        f" follow, and I - B is nearly singular ({point.sigma_min:.1e}); use a penalty on W (--omega"
        " ridge:1), drop features that are constant in a task or depend on others, or give such tasks more"
        " rows"
    )


def outward_fall(point: Point) -> float:
    """By how much J falls in all; 0 where it does not fall at each step, or cannot be measured."""
    model = point.model
    omega = model.omega
    if point.sigma_min > NEARLY_SINGULAR or (omega is not None and omega.bounds_W(point.tasks.T)):
        return 0.0
    small = point.W.size + np.count_nonzero(point.B) <= WHOLE_LIMIT
    if not (small and model.smooth_in_W and point.edge_prices is not None):
        return 0.0
    spaces = OwnSpaces.of(task.X for task in point.tasks)
    if spaces is None:
        return 0.0
    seen = spaces.seen(point.W)
    start = last = _followed(point)
    for factor in _FACTORS:
        trial = None if last is None else _followed(point.at(W=seen + factor * (point.W - seen)))
        if last is None or trial is None or not trial.objective + rounding_of_J(trial) < last.objective:
            return 0.0
        last = trial
    assert start is not None and last is not None
    return min(start.objective, point.objective) - last.objective - rounding_of_J(start)


def _followed(point: Point) -> Point | None:
    """The best B on the edges there are, then Newton steps in W; None where a system is singular."""
    prices, W, B = point.edge_prices, point.W, point.B.copy()
    assert prices is not None
    prices = np.broadcast_to(prices, B.shape)
    try:
        for t in np.flatnonzero(B.any(axis=0)):
            on = np.flatnonzero(B[:, t])
            Q, R = np.linalg.qr(W[:, on])
            pull = sl.solve_triangular(R, prices[on, t], trans="T") / (2.0 * point.model.coupling)
            B[on, t] = np.maximum(sl.solve_triangular(R, Q.T @ W[:, t] - pull), 0.0)
        point = point.at(B=B)
        for _ in range(1 if point.model.loss.quadratic else _NEWTON):
            if not np.isfinite(point.losses).all():
                return None
            H = point.hessian_W()
            unit = np.sqrt(np.diag(H))
            factor = sl.cho_factor(H / np.outer(unit, unit), lower=True)
            step = sl.cho_solve(factor, point.gradient_W.T.ravel() / unit) / unit
            point = point.at(W=point.W - step.reshape(point.W.shape[::-1]).T)
    except (sl.LinAlgError, ValueError):
        return None
    return point if np.isfinite(point.losses).all() else None


def rounding_of_J(point: Point) -> float:
    """What J may be off by: W K and the scores are sums of n products, off by n eps/2 of their sizes."""
    W, K, loss = np.abs(point.W), np.abs(point.K), point.model.loss
    off = 0.5 * _EPS * (len(K) + 2) * (W @ K)
    lost = point.square_weight * float(((2.0 * np.abs(point.W @ point.K) + off) * off).sum())
    rates = point.loss_weight * point.problem.loss_scales
    for task, rate, w in zip(point.tasks, rates, point.W.T, strict=True):
        slopes = np.abs(loss.on(task.sample_weight).slopes(task.X @ w, task.y))
        lost += 0.5 * _EPS * (len(w) + 2) * float(rate * (slopes @ (np.abs(task.X) @ np.abs(w))))
    return lost + 4.0 * _EPS * point.objective
