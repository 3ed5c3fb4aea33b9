"""Second order of groups and budgets: differences of J on the face, prices in another guise, other edges."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import scipy.linalg as sl
from cases import Array, random_tasks
from symmetric_pair import MINIMUM, SADDLE

from amtl_cvx import Model, Options, fit
from amtl_cvx.certificate import second_order
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import (
    DegreeCap,
    RowBudget,
    SourceGroupL2,
    TargetGroupL2,
    TotalBudget,
    TransferPenalty,
)
from checks.points import close

FITTED: tuple[TransferPenalty, ...] = (
    SourceGroupL2(mu=0.02),
    TargetGroupL2(mu=0.1),
    RowBudget(mu=0.02, budget=0.3),
    DegreeCap(mu=0.02, degree=1, cap=0.4),
    TotalBudget(mu=0.02, total=1.2),
)


@functools.cache
def fitted_tangents() -> tuple[tuple[TaskSet, Model, Array, Array], ...]:
    """First-order points to rounding, found before any fault is planted."""
    tasks = random_tasks(np.random.default_rng(10), d=3, counts=(14, 11, 17))
    found = []
    for penalty in FITTED:
        model = Model(transfer=penalty, coupling=2.0)
        solution = fit(tasks, model, options=Options(tol=1e-12, engine="fast"))
        assert solution.certificate.relative <= 1e-11 and solution.B.any()
        found.append((tasks, model, solution.W, solution.B))
    return tuple(found)


def _value(tasks: TaskSet, model: Model, W: Array, B: Array) -> float:
    """J from the formulas, inside the set."""
    losses = np.array([((t.X @ w - t.y) ** 2).mean() for t, w in zip(tasks, W.T, strict=True)])
    penalty, coupling = model.transfer, model.coupling * float(((W - W @ B) ** 2).sum())
    if isinstance(penalty, SourceGroupL2):
        price = penalty.mu * float(losses @ np.sqrt((B**2).sum(axis=1)))
    elif isinstance(penalty, TargetGroupL2):
        price = penalty.mu * float(np.sqrt((B**2).sum(axis=0)).sum())
    else:
        price = penalty.mu * float(losses @ B.sum(axis=1))
    return float(losses.sum()) + price + coupling


def _face(penalty: TransferPenalty, B: Array) -> Array:
    """Orthonormal moves (k, T T) of the entries of B that are off their bounds; spent budgets stay so."""
    cap = penalty.cap if isinstance(penalty, DegreeCap) else np.inf
    free = (B > 0.0) & (cap * (1.0 - 1e-12) > B)
    limit = {RowBudget: 0.3, DegreeCap: 0.4}.get(type(penalty), np.inf)
    rows = [np.repeat(np.arange(len(B)) == s, len(B)) for s in np.flatnonzero(B.sum(axis=1) >= limit - 1e-9)]
    if isinstance(penalty, TotalBudget):
        rows = [np.ones(B.size, dtype=bool)]
    places = np.flatnonzero(free)
    kept = np.array([row[places] for row in rows], dtype=float).reshape(len(rows), len(places))
    moves = np.zeros((0, B.size))
    if len(places):
        Z = sl.null_space(kept).T if len(kept) else np.eye(len(places))
        moves = np.zeros((len(Z), B.size))
        moves[:, places] = Z
    return moves


def curvature_on_faces_is_that_of_J() -> None:
    """Eigenvalues of H against second differences of J along the face, written from the formulas."""
    for tasks, model, W, B in fitted_tangents():
        Z = _face(model.transfer, B)
        size, step = W.size + len(Z), 1e-4

        def J(x: Array, tasks=tasks, model=model, W=W, B=B, Z=Z) -> float:  # type: ignore[no-untyped-def]
            return _value(
                tasks, model, W + x[: W.size].reshape(3, 3).T, B + (x[W.size :] @ Z).reshape(B.shape)
            )

        H, e = np.empty((size, size)), step * np.eye(size)
        for i in range(size):
            for j in range(i + 1):
                H[i, j] = H[j, i] = (J(e[i] + e[j]) - J(e[i] - e[j]) - J(e[j] - e[i]) + J(-e[i] - e[j])) / (
                    4.0 * step**2
                )
        values, found = np.linalg.eigvalsh(H), second_order(Problem(tasks, model).at(W, B))
        assert found.free == size and close(found.reduced_hessian_max, values[-1], 1e-5)
        assert close(found.reduced_hessian_min, values[0], 1e-3, 1e-6 * values[-1])
        assert found.verdict == ("strict local minimum" if values[0] > 0.0 else "saddle"), found.reason


def prices_in_another_guise_are_judged_alike() -> None:
    """Of two tasks a group is one edge, and a budget that nobody spends is none: AMTL's own."""
    for case in (MINIMUM, SADDLE):
        plain = case.judged()
        mu = case.model.transfer.mu
        for penalty in (
            SourceGroupL2(mu=mu),
            RowBudget(mu=mu, budget=50.0),
            DegreeCap(mu=mu, degree=3, cap=20.0),
        ):
            model = replace(case.model, transfer=penalty)
            found = second_order(Problem(case.tasks, model).at(case.W, case.B))
            assert found.verdict == plain.verdict and found.free == plain.free
            assert close(found.scaled_hessian_min, plain.scaled_hessian_min, 1e-5)
            assert close(found.reduced_hessian_max, plain.reduced_hessian_max, 1e-6)
            assert (found.fall is None) == (plain.fall is None)
            if found.fall is not None and found.direction is not None:
                W, B = case.W + found.direction[0], case.B + found.direction[1]
                before = _value(case.tasks, model, case.W, case.B)
                assert close(before - _value(case.tasks, model, W, B), found.fall, 1e-6) and B.min() >= 0.0


def points_off_their_face_are_no_minimum() -> None:
    """An edge left out or moved, a first-order point that is none, a multiplier that is nearly 0."""
    for tasks, model, W, B in fitted_tangents():
        problem = Problem(tasks, model)
        sound = second_order(problem.at(W, B))
        assert sound.verdict == "strict local minimum"
        assert second_order(problem.at(1.01 * W, B)).verdict != "strict local minimum"
        other = model.transfer.project(np.where(B.max() == B, 0.0, B))
        assert second_order(problem.at(W, other)).verdict != "strict local minimum"
        zeros = np.argwhere((B == 0.0) & ~np.eye(3, dtype=bool))
        if isinstance(model.transfer, SourceGroupL2 | TargetGroupL2) and len(zeros):
            less = B.copy()
            less[tuple(zeros[0])] = 1e-12  # as good as 0, but on another face
            assert second_order(problem.at(W, less)).verdict == "degenerate"
    at_budget = replace(
        MINIMUM.model, transfer=RowBudget(mu=MINIMUM.model.transfer.mu, budget=MINIMUM.B.max())
    )
    judged = second_order(Problem(MINIMUM.tasks, at_budget).at(MINIMUM.W, MINIMUM.B))
    assert judged.verdict == "degenerate" and "strict complementarity" in judged.reason


def margins_keep_what_the_prox_keeps() -> None:
    """Zeros, caps and spent budgets, at moves of V and of the prices by nearly the margin; some beyond it."""
    rng, crossed = np.random.default_rng(8), 0
    for given in (*FITTED, DegreeCap(mu=1.0, degree=2, cap=0.4), SourceGroupL2(mu=1.0, weighted=False)):
        penalty = replace(given, mu=1.0)  # type: ignore[type-var]
        for _ in range(15):
            V, losses, step = rng.normal(size=(5, 5)), rng.random(5) + 0.1, rng.uniform(0.3, 2.0)
            margin = penalty.margin(V, step, losses)
            assert margin is not None and margin >= 0.0
            kept = _pattern(penalty, penalty.prox(V, step, losses))
            for size in (0.99, 32.0):
                for _ in range(8):
                    moved = V + size * margin * rng.choice([-1.0, 1.0], size=V.shape)
                    dearer = losses + size * margin / step * rng.choice([-1.0, 1.0], size=5)
                    if dearer.min() > 0.0:
                        same = np.array_equal(_pattern(penalty, penalty.prox(moved, step, dearer)), kept)
                        assert same or size > 1.0
                        crossed += not same
    assert crossed > 100


def _pattern(penalty: TransferPenalty, B: Array) -> Array:
    """Which entries are 0, which at their cap, and which rows are spent."""
    cap = penalty.cap if isinstance(penalty, DegreeCap) else np.inf
    limit = penalty.budget if isinstance(penalty, RowBudget) else np.inf
    full = cap * (1.0 - 1e-12) <= B if np.isfinite(cap) else np.zeros(B.shape, dtype=bool)
    if isinstance(penalty, DegreeCap):
        limit = penalty.degree * cap
    between = ((B > 0.0) & ~full).any(axis=1)
    spent = (B.sum(axis=1) >= limit * (1.0 - 1e-12)) & between  # full entries alone spend nothing more
    return np.r_[(B > 0.0).ravel(), full.ravel(), spent]
