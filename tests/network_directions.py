"""J of a network in the digits of what it is given, and how it rises along moves, curved kinks kept."""

from __future__ import annotations

import numpy as np
from network_points import planted

from amtl_cvx.network import NetworkPoint
from amtl_cvx.network.kinks import Kinks
from amtl_cvx.network.local import Local
from amtl_cvx.network.second_order import second_order

Array = np.ndarray
LONG = np.longdouble
STRICT = "strict local minimum"
DEEP = {"layers": (3, 2), "held": 1, "T": 2}


def objective(point: NetworkPoint, x: Array) -> Array:
    """J at every row of x (m, n), squared loss, in the digits of x."""
    problem, model, T = point.problem, point.model, point.tasks.T
    rows, (*V, S, A) = problem.rows, problem.layout.split(x)
    z = np.broadcast_to(rows.X.astype(x.dtype), (len(x), *rows.X.shape))
    for v in V:
        width = z.shape[-1]
        u = np.einsum("mij,mjk->mik", z, v[:, :width])
        z = np.maximum(u + v[:, width:].sum(axis=1, keepdims=True), 0.0)
    F = np.einsum("mij,mjk->mik", z, S)
    each = (problem.task_weight * problem.loss_scales)[rows.task] * (F[:, rows.row, rows.task] - rows.y) ** 2
    losses = np.stack([each[:, rows.task == t].sum(axis=1) for t in range(T)], axis=1)
    E = z - np.maximum(np.einsum("mij,mjk->mik", F, A), 0.0)
    found = ((1.0 + model.alpha * np.abs(A).sum(axis=2)) * losses).sum(axis=1)
    found = found + model.mu * np.abs(S).sum(axis=(1, 2))
    found = found + problem.gamma * (rows.times[:, None] * E**2).sum(axis=(1, 2))
    return found + model.decay * sum((v**2).sum(axis=(1, 2)) for v in V)


def directions(point: NetworkPoint, rng: np.random.Generator, count: int) -> Array:
    """Random and sparse ones, normal to kinks, and the one in which J curves least, of length 1."""
    local, n = Local(point), point.problem.size
    found = rng.standard_normal((count, n))
    found[1::3] *= rng.random(found[1::3].shape) < rng.choice([0.05, 0.2], size=(len(found[1::3]), 1))
    normals = local.active.normals
    if len(normals):
        mixed = rng.standard_normal((len(found[2::3]), len(normals)))
        mixed *= rng.random(mixed.shape) < 0.4
        found[2::3] = mixed @ normals + rng.choice([0.0, 0.1], size=(len(mixed), 1)) * found[2::3]
    flat = local.tangent.Q @ np.linalg.eigh(local.S)[1][:, 0] / local.root
    found[:2] = 0.0
    found[0, local.free], found[1, local.free] = flat, -flat
    if point.model.alpha == point.problem.gamma == 0.0:
        found[:, point.problem.layout.A] = 0.0  # J does not depend on A
    found = found[found.any(axis=1)]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def least_rise(point: NetworkPoint, moves: Array, length: float) -> float:
    """The least rise of J along moves of that length, over the square of it."""
    x = point.vector.astype(LONG)
    J = objective(point, x[None])[0]
    ends = [
        objective(point, x + LONG(length) * part) for part in np.array_split(moves, 1 + len(moves) // 100)
    ]
    return float((np.concatenate(ends) - J).min() / length**2)


def on_kinks(point: NetworkPoint, x: Array, local: Local) -> Array:
    """The point near x with the units on their kinks that are so at `point`, in the digits of x."""
    normals = np.linalg.pinv(local.active.normals)
    for _ in range(8):
        x = x - normals @ units(point, x, local.active)
    return x


def units(point: NetworkPoint, x: Array, active: Kinks) -> Array:
    """u of the active kinks where they are off for the layers above."""
    found, z = [], point.problem.rows.X.astype(x.dtype)
    for v, mask in zip(point.problem.layout.split(x)[:-2], active.active, strict=True):
        u = z @ v[: z.shape[1]] + v[z.shape[1] :].sum(axis=0)
        found.append(u[mask])
        z = np.where(mask, 0.0, np.maximum(u, 0.0))
    return np.concatenate(found)


def drawn(verdict: str, seed: int, **how) -> NetworkPoint:
    """A stationary point with that verdict."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        point = planted(rng, **how).point
        if second_order(point).verdict == verdict:
            return point
    raise AssertionError(f"no {verdict} among 60 points")
