"""Gaps, dual points, proved zeros and error bounds against weak duality and second solvers."""

from __future__ import annotations

from collections.abc import Iterator

import literal
import numpy as np
from cases import (
    Array,
    random_tasks,
    tasks_for,
)

from amtl_cvx.certificate import (
    b_step,
    certify,
    transfer_evidence,
    weight_evidence,
)
from amtl_cvx.losses import Hinge, Logistic, Squared
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from checks.points import Point, amtl, anywhere, close, solved


def gap_W_is_primal_minus_dual() -> None:
    """At u = phi'(z), and for a loss with kinks at multipliers from anywhere in the domain."""
    rng = np.random.default_rng(5)
    for tasks, model, W, B in anywhere():
        F = literal.J(tasks, model, W, B)
        if model.loss.smooth:
            u = [literal.slopes(model.loss, task.X @ w, task.y) for task, w in zip(tasks, W.T, strict=True)]
            best = literal.best_W(tasks, model, B)
            rise = F - literal.J(tasks, model, best, B)
            found = weight_evidence(Problem(tasks, model).at(W, B))
            assert found.gap is not None and found.gap >= rise * (1 - 1e-9)
            if model.loss.quadratic:
                assert found.exact and close(found.gap, rise, 1e-9) and found.gain == found.gap
            g = literal.gradients(tasks, model, W, B)[0].T.ravel()
            newton = g @ np.linalg.solve(literal.hessian_W(tasks, model, W, B), g) / 2
            assert close(found.gain, newton, 1e-9)
            assert found.error is not None and found.error >= np.linalg.norm(W - best) * (1 - 1e-9)
            given = weight_evidence(Problem(tasks, model).at(W, B), multipliers=u)
        else:
            u = [model.loss.clip(rng.normal(size=len(task.y)), task.y) for task in tasks]
            given = weight_evidence(Problem(tasks, model).at(W, B), multipliers=u)
        assert given.gap is not None and close(given.gap, F - literal.dual_W(tasks, model, B, u), 1e-9)


def gap_W_of_a_kink_is_small_at_the_minimum() -> None:
    """J = max(0, 1 - w) + w^2 / 4 of one task: w = 1 at its kink has a gap of 0, others have not."""
    X, y = np.array([[1.0], [-1.0]]), np.array([1.0, -1.0])
    tasks, model = TaskSet.from_arrays([X], [y]), amtl(Hinge(), coupling=0.25, c=(1.0,))
    for w, gap in ((1.0, 0.0), (2.0, 0.75), (0.5, 0.3125)):
        found = weight_evidence(Problem(tasks, model).at(np.array([[w]]), np.zeros((1, 1))))
        assert found.gap is not None and abs(found.gap - gap) <= 0.6 * gap + 1e-12
        assert found.gap >= gap * (1 - 1e-12)


def error_W_holds_along_the_weakest_direction() -> None:
    """Rows that hardly curve, a move along the smallest singular vector of I - B: a bound nearly sharp."""
    rng = np.random.default_rng(8)
    for loss in (Logistic(), Squared(), Logistic(reduction="sum")):
        tasks = tasks_for(loss, rng, d=2, counts=(5, 7, 6))
        tasks = TaskSet.from_arrays([1e-4 * task.X for task in tasks], [task.y for task in tasks])
        B = np.array([[0.0, 0.6, 0.2], [0.7, 0.0, 0.1], [0.1, 0.2, 0.0]])
        model = amtl(loss, mu=0.1, coupling=0.3)
        best = literal.best_W(tasks, model, B)
        left = np.linalg.svd(np.eye(3) - B)[0][:, -1]
        for size in (1e-3, 1.0, 30.0):
            W = best + size * np.outer([0.6, 0.8], left)
            found = weight_evidence(Problem(tasks, model).at(W, B))
            assert found.error is not None and found.gap is not None
            distance, rise = size, literal.J(tasks, model, W, B) - literal.J(tasks, model, best, B)
            assert distance * (1 - 1e-6) <= found.error <= 1.1 * distance
            assert rise * (1 - 1e-6) <= found.gap + 1e-12


def columns_at(rng: np.random.Generator, count: int) -> Iterator[tuple[Point, Array, Array]]:
    """Squared-loss points at many distances from the best B for their W, with that B and the prices."""
    for k in range(count):
        tasks = random_tasks(rng, d=4, counts=(7, 9, 8))
        model = amtl(Squared(), mu=10.0 ** rng.uniform(-2, 0), coupling=10.0 ** rng.uniform(-0.8, 0.8))
        W = rng.normal(size=(4, 3)) + rng.uniform(0, 2)
        p = literal.prices(tasks, model, W)
        best = literal.best_B(W, p, model.coupling)
        B = best * (1 + 10.0 ** rng.uniform(-8, 0) * rng.uniform(-0.9, 0.9, size=(3, 3)))
        if k % 2:
            B += 10.0 ** rng.uniform(-8, -1) * rng.random((3, 3)) * (rng.random((3, 3)) < 0.5)
        np.fill_diagonal(B, 0.0)
        yield Point(tasks, model, W, B), best, p


def gap_B_is_primal_minus_dual() -> None:
    """The dual point is feasible, the gap is P - D there and bounds what B can gain; 0 at the best B."""
    for (tasks, model, W, B), best, p in columns_at(np.random.default_rng(6), 60):
        lam = model.coupling
        found = transfer_evidence(Problem(tasks, model).at(W, B))
        rise = literal.J(tasks, model, W, B) - literal.J(tasks, model, W, best)
        size = literal.J(tasks, model, W, B)
        assert found.gap is not None and found.gap >= rise * (1 - 1e-9) - 1e-14 * size
        assert found.gap <= rise * (1 + 1e-6) + 1e-12 * size
        assert found.duals is not None and close(found.gap, found.duals.gaps.sum(), 1e-12)
        for t in range(3):
            others, theta = [s for s in range(3) if s != t], found.duals.theta[:, t]
            A, w, b = W[:, others], W[:, t], B[others, t]
            r = w - A @ b
            primal, dual = lam * r @ r + p[others] @ b, theta @ w - theta @ theta / (4 * lam)
            assert (A.T @ theta <= p[others] + 1e-12 * (p[others] + np.abs(A.T) @ np.abs(theta))).all()
            assert close(found.duals.gaps[t], primal - dual, 1e-9, 1e-12 * primal)
            along = A.T @ r
            ratios = [q / (2 * lam * u) for q, u in zip(p[others], along, strict=True) if u > 0]
            s = min([max(0.0, r @ w / (r @ r)), *ratios])
            scaled = lam * (1 - s) ** 2 * r @ r + b @ (p[others] - 2 * lam * s * along)
            assert found.duals.gaps[t] <= scaled * (1 + 1e-9) + 1e-13 * primal
        at_best = transfer_evidence(Problem(tasks, model).at(W, best))
        assert at_best.gap is not None and at_best.gap <= 1e-10 * size


def proved_zeros_are_zeros() -> None:
    proved = zeros = 0
    for (tasks, model, W, B), best, _ in columns_at(np.random.default_rng(7), 60):
        found = transfer_evidence(Problem(tasks, model).at(W, B))
        assert found.proven is not None and not best[found.proven].any() and not np.diag(found.proven).any()
        assert found.zeros_proven == int((found.proven & (B <= 0)).sum())
        proved, zeros = proved + int(found.proven.sum()), zeros + int((best == 0).sum()) - 3
    assert proved >= 0.2 * zeros


def safe_rule_keeps_its_factor_two() -> None:
    """One source with b* = 1e-9 > 0, a dual point as far from the best as its gap allows: not proved 0."""
    rng = np.random.default_rng(9)
    for _ in range(50):
        a, lam, price = rng.normal(size=4), float(rng.uniform(0.2, 3)), float(rng.uniform(0.1, 2))
        length, small, away = float(np.linalg.norm(a)), 1e-9, float(10.0 ** rng.uniform(-1, 1))
        across = rng.normal(size=4)
        across -= a * (a @ across) / length**2
        w = a * (small + price / (2 * lam * length**2)) + across
        theta = 2 * lam * (w - small * a) - away * a / length
        gap = away**2 / (4 * lam) + small * away * length
        W, B, p = np.column_stack([a, w]), np.array([[0, small], [0, 0]]), np.array([price, 1e9])
        assert abs(literal.best_B(W, p, lam)[0, 1] - small) <= 1e-12
        duals = b_step.column_duals(W, B, p, lam)
        duals = duals._replace(gaps=np.array([0.0, gap]), theta=np.column_stack([0 * a, theta]))
        assert not b_step.proven_zeros(W, p, lam, duals)[0, 1]


def error_B_holds() -> None:
    """Anywhere, and sharply: one source, where ||b - b*|| is |q| / (2 coupling ||a||^2) exactly."""
    for (tasks, model, W, B), best, _ in columns_at(np.random.default_rng(10), 60):
        found = transfer_evidence(Problem(tasks, model).at(W, B))
        assert found.error is None or found.error >= np.linalg.norm(B - best) * (1 - 1e-6) - 1e-14
    rng = np.random.default_rng(12)
    for lam in (0.1, 1.0, 8.0):
        for scale in (0.2, 1.0, 5.0):
            tasks = random_tasks(rng, d=3, counts=(6, 7))
            model = amtl(Squared(), mu=1e-4, coupling=lam, c="equal")
            a = scale * rng.normal(size=3)
            W = np.column_stack([a, 0.5 * a + 0.1 * scale * rng.normal(size=3)])
            best = literal.best_B(W, literal.prices(tasks, model, W), lam)
            for share in (0.0, 0.9, 1 + 1e-6):
                found = transfer_evidence(Problem(tasks, model).at(W, best * share))
                distance = float(np.linalg.norm(best * (share - 1)))
                assert found.error is not None
                assert distance * (1 - 1e-6) <= found.error <= distance * (1 + 1e-3)
    W, B, p = np.array([[3.0, 5.0]]), np.array([[0.0, 1e-9], [0.0, 0.0]]), np.full(2, 1e9)
    duals = b_step.column_duals(W, B, p, 0.25)._replace(gaps=np.array([0.0, 0.09]), room=np.zeros((2, 2)))
    open_ = np.array([[False, True], [False, False]])
    errors = b_step.column_errors(W, B, p, 0.25, duals, open_, np.array([0.0, 3.0]))
    assert close(errors[1], 0.6 / 3.0, 1e-6)  # sqrt(gap / coupling) / sigma by hand, the other bound is huge


def condition_numbers_are_those_of_numpy() -> None:
    tasks, model, W, B = solved()[0]
    found = certify(Problem(tasks, model).at(W, B))
    H = literal.hessian_W(tasks, model, W, B)
    supports = [W[:, B[:, t] > 0] for t in range(3) if B[:, t].any()]
    worst = max(np.linalg.cond(A.T @ A) for A in supports)
    assert close(found.condition_B, worst, 1e-6)
    exact = np.linalg.cond(H, 1)  # an estimate from below
    assert found.condition_W is not None and 0.3 * exact <= found.condition_W <= exact * (1 + 1e-9)
    assert close(found.sigma_min, np.linalg.svd(np.eye(3) - B, compute_uv=False)[-1], 1e-12)


def widest_and_least_are_singular_values() -> None:
    rng = np.random.default_rng(13)
    W, chosen = rng.normal(size=(4, 3)), np.array([[0, 1, 1], [1, 0, 0], [0, 1, 0]], dtype=bool)
    widest, least = b_step.column_range(W, chosen)
    for t in range(3):
        values = np.linalg.svd(W[:, chosen[:, t]], compute_uv=False)
        assert close(widest[t], values[0], 1e-12) and close(least[t], values[-1], 1e-12)
