r"""How far predictors of no higher J can be where a penalty leaves free what all of them have in common.

Let V with J(V) <= J(W), m its mean and S >= ||V - m 1'||_F (`WeightPenalty.spread`). m can be taken from the
span of all rows: what no row sees of it changes nothing. For u = phi'(z) and delta with u +- delta in the
domain of phi*,

    phi(z) >= u z + delta |z| - psi,     psi = max(phi*(u + delta), phi*(u - delta)),

and Omega(V) >= <Z, V> - Omega*(Z). Summed over rows with weights omega, g = G(u) + Z,

    sum omega delta |z_i|  <=  J(W) + sum omega psi + Omega*(Z) + ||g|| ||V||,    |x_i'm| <= |z_i| + ||x_i|| S

so that with sigma the least singular value of the rows omega_i delta_i x_i on the span of all rows, and
||V|| <= sqrt(T) ||m|| + S,

    (sigma - sqrt(T) ||g||) ||m||  <=  J(W) + sum omega psi + Omega*(Z) + S sum omega delta ||x_i|| + ||g|| S
"""

from __future__ import annotations

import math

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.problem import Point
from amtl_cvx.rowspace import span
from amtl_cvx.tasks import Array, Task
from amtl_cvx.weights import WeightPenalty

_SLACK = 1e-9  # relative, for what the sums here lose
_EPS = float(np.finfo(np.float64).eps)


def longest_of_no_higher_J(point: Point, omega: WeightPenalty, Z: Array, off: float) -> float:
    """The largest ||V||_F with J(V) <= J(W), for one V of equal J at least; inf where it is not known.

    `off` is at least ||G + Z||_F.
    """
    T, J = point.tasks.T, point.objective * (1.0 + _SLACK)
    if math.isfinite(reach := omega.radius(J)):
        return reach
    spread = omega.spread(J, T)
    if not math.isfinite(spread):
        return math.inf
    rows, most = list[Array](), J + max(omega.conjugate(Z), 0.0) + off * spread
    rates = point.loss_weight * point.problem.loss_scales
    for task, w, rate in zip(point.tasks, point.W.T, rates, strict=True):
        weight, psi = _margins(point.model.loss, task, w)
        rows.append(rate * weight[:, None] * task.X)
        most += rate * (psi + spread * float(weight @ np.linalg.norm(task.X, axis=1)))
    everything = span(np.vstack([task.X for task in point.tasks]))
    if not everything.size:
        return math.inf
    stacked = np.vstack(rows) @ everything
    values = np.linalg.svd(stacked, compute_uv=False)
    least = float(values[-1]) - max(stacked.shape) * _EPS * float(values[0]) - math.sqrt(T) * off
    if not least > 0.0:
        return math.inf
    return float((math.sqrt(T) * most / least + spread) * (1.0 + _SLACK))


def _margins(loss: Loss, task: Task, w: Array) -> tuple[Array, float]:
    """delta (n,) and the sum of psi over the rows of a task."""
    phi, y = loss.on(task.sample_weight), task.y
    u, (low, high) = phi.slopes(task.X @ w, y), phi.domain(y)
    delta = np.minimum(0.5 * np.minimum(u - low, high - u), float(np.abs(u).max(initial=0.0)) or 1.0)
    delta = np.maximum(delta, 0.0)
    psi = np.maximum(phi.conjugate(u + delta, y), phi.conjugate(u - delta, y))
    return delta, float(np.maximum(psi, 0.0).sum())
