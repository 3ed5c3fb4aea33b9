"""What may be off at a point of a network: against 60 digits, and against moves of the entries."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from network_points import planted

from amtl_cvx import TaskSet
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.local import Local
from amtl_cvx.network.spread import Spread, rounding_of_hessian

Array = np.ndarray
MANY = mpmath.MPContext()
MANY.dps = 60
exact = np.vectorize(MANY.mpf, otypes=[object])


def off_centre(offset: float) -> NetworkPoint:
    """Rows far from 0, units and a reconstruction whose sums cancel: two layers of two units."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(6, 2)) + offset
    y = np.stack([X @ [1.0, -1.0], X @ [-0.5, 0.5]], axis=1) + 0.1 * rng.normal(size=(6, 2))
    model = NetworkModel(layers=(2, 2), mu=0.3, alpha=0.2, gamma=0.1, decay=0.05)
    S = rng.normal(size=(2, 2))
    V, A = np.array([[1.01, -1.98], [-1.0, 2.0]]), np.linalg.inv(S) + 1e-3 * rng.normal(size=(2, 2))
    point = NetworkProblem(TaskSet.from_matrix(X, y), model).at(
        W1=V, W2=rng.uniform(0.5, 1, (2, 2)), S=S, A=A
    )
    assert point.on[0].sum() > 2 and point.rebuilding.sum() > 2
    return point


def passes(point: NetworkPoint, x: Array, theta: Array) -> tuple[Array, ...]:
    """The gradient, u^1, w^1 and the prices at x in many digits, in the cell of the point."""
    problem, model = point.problem, point.model
    (*V, S, A), rows = problem.layout.split(x), problem.rows
    z, below, U = exact(rows.X), [], []
    for v, on in zip(V, point.on, strict=True):
        below.append(z)
        U.append(z @ v)
        z = exact(on) * U[-1]
    F, signs, D = z @ S, exact(np.sign(point.A)), exact(point.rebuilding)
    miss = F - exact(rows.y.reshape(point.tasks.T, -1).T)
    scale = exact(problem.task_weight * problem.loss_scales)
    G_E = 2 * MANY.mpf(problem.gamma) * (z - D * (F @ A))
    alpha, G_R = MANY.mpf(model.alpha), -D * G_E
    G_F = (1 + alpha * (signs * A).sum(axis=1)) * 2 * scale * miss + G_R @ A.T
    prices = alpha * scale * (miss**2).sum(axis=0)
    G_A = F.T @ G_R + signs * prices[:, None]
    w, G_V = G_F @ S.T + G_E, []
    for number in reversed(range(len(V))):
        G_u = exact(point.on[number]) * w + exact(theta[number])
        G_V.append(below[number].T @ G_u + 2 * MANY.mpf(model.decay) * V[number])
        if number:
            w = G_u @ V[number].T
    G_S = z.T @ G_F + MANY.mpf(model.mu) * exact(np.sign(point.S))
    return np.concatenate([part.ravel() for part in (*G_V[::-1], G_S, G_A)]), U[0], w, prices


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_rounding_is_within_what_is_allowed(offset: float) -> None:
    point = off_centre(offset)
    local, none = Local(point), [np.zeros_like(u) for u in point.U]
    assert len(local.free) == point.problem.size and not len(local.active)
    x, h = exact(point.vector), MANY.mpf(10) ** -20
    gradient, u, w, prices = passes(point, x, none)
    for found, true, off in (
        (local.slopes, gradient, local.rounded.gradient),
        (point.U[0], u, local.rounded.U[0]),
        (local.gradient.kinks[0], w, local.rounded.kinks[0]),
        (point.prices, prices, local.rounded.prices),
    ):
        error = np.abs((found - true).astype(float))
        assert (error <= off).all() and error.max() > 1e-18
    columns = []
    for place in range(len(x)):
        step = np.where(np.arange(len(x)) == place, h, MANY.mpf(0))
        columns.append((passes(point, x + step, none)[0] - passes(point, x - step, none)[0]) / (2 * h))
    H = np.array(columns)
    error = ((H - local.H) / np.outer(local.root, local.root)).astype(float)
    bound = rounding_of_hessian(point, local.gradient, free=local.free, root=local.root)
    assert 1e-17 < np.linalg.norm(error, 2) < bound < local.noise < 1e-8
    smallest = float(np.linalg.eigvalsh(local.S)[0])
    assert local.least_curvature(smallest) <= np.linalg.eigvalsh(H.astype(float))[0]


@pytest.mark.parametrize("how", [{"feedback": 2}, {"layers": (3, 2), "held": 1, "T": 2}])
def test_moves_are_within_what_is_allowed(rng, how) -> None:
    """Entries anywhere within their errors, the multipliers of kinks too; every unit in its cell."""
    point = planted(np.random.default_rng(3), **how).point
    local = Local(point)
    theta = [np.where(at, G, 0.0) for at, G in zip(local.active.active, local.gradient.slopes, strict=True)]
    held = [1e-6 * rng.random(at.shape) * at for at in local.active.active]
    entries = 1e-6 * rng.random(point.problem.size) * local.mask
    spread = Spread(point, local.gradient, entries=entries, held=held)
    before, reached = passes(point, exact(point.vector), theta), 0.0
    for _ in range(6):
        way = rng.choice([-1.0, 1.0], len(entries))
        there = [at + rng.choice([-1.0, 1.0], at.shape) * off for at, off in zip(theta, held, strict=True)]
        after = passes(point, exact(point.vector + way * entries), there)
        offs = (spread.gradient, spread.U[0], spread.kinks[0], spread.prices)
        for at, new, off in zip(before, after, offs, strict=True):
            moved = np.abs((new - at).astype(float))
            assert (moved <= off).all()
            reached = max(reached, float(moved.ravel() @ off.ravel() / (off.ravel() @ off.ravel())))
    assert reached > 0.03


def test_decay_counts() -> None:
    """One weight w off: the slope 2 (s w - y) s + 2 decay w by 2 s^2 + 2 decay = 2.5 times that."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[1.25]])
    model = NetworkModel(features=1, mu=0.5, alpha=0.0, gamma=0.0, decay=0.25)
    point = NetworkProblem(tasks, model).at(W1=[[1.0]], S=[[1.0]], A=[[0.0]])
    spread = Spread(point, point.gradient(), entries=np.array([1e-6, 0.0, 0.0]), part=0.0)
    assert spread.gradient == pytest.approx([2.5e-6, 1.5e-6 + 1e-6, 0.0], rel=1e-5)
