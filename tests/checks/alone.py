"""Single tasks at coupling 0: the bound of J against minima by the normal equations; what has no minimum."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import numpy as np
from cases import Array, random_tasks

from amtl_cvx.certificate import Certificate, certify
from amtl_cvx.certificate.reach import longest_of_no_higher_J
from amtl_cvx.commands.settings import resolve
from amtl_cvx.losses import Logistic, Squared, SquaredHinge
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import (
    L1,
    L21,
    Fused,
    MeanRegularised,
    QuadraticPenalty,
    Ridge,
    TraceNorm,
    TraceNormSquared,
)
from checks.points import close

OMEGAS: tuple[QuadraticPenalty | None, ...] = (Ridge(rho=0.7), MeanRegularised(rho=0.4), None)


def _judged(tasks: TaskSet, model: Model, W: Array, tol: float = 1e-8) -> Certificate:
    return certify(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))), tol=tol, kind="single-task")


def _best(tasks: TaskSet, omega: QuadraticPenalty | None) -> tuple[Array, float]:
    """The minimum of sum_t ||y_t - X_t w_t||^2 / n_t + Omega by the normal equations."""
    T, d = tasks.T, tasks.d
    Gamma = np.zeros((T, T)) if omega is None else np.eye(T) - (not isinstance(omega, Ridge)) / T
    rho = 0.0 if omega is None else omega.rho
    H, right = np.kron(rho * Gamma, np.eye(d)), np.zeros(T * d)
    for t, task in enumerate(tasks):
        at = slice(t * d, t * d + d)
        H[at, at] += task.X.T @ task.X / task.n
        right[at] = task.X.T @ task.y / task.n
    W = np.linalg.solve(H, right).reshape(T, d).T
    losses = sum(float(((t.y - t.X @ w) ** 2).sum()) / t.n for t, w in zip(tasks, W.T, strict=True))
    return W, losses + rho * float(np.trace(W @ Gamma @ W.T))


def bounds_of_single_tasks_hold() -> None:
    """Never above the minimum, next to it there; C5 there alone, and only for what passes."""
    rng = np.random.default_rng(8)
    tasks = random_tasks(rng, d=3, counts=(9, 14, 8))
    for omega in OMEGAS:
        model = Model(loss=Squared(), coupling=0, omega=omega)
        W, least = _best(tasks, omega)
        found = _judged(tasks, model, W)
        assert found.level == "C5" and not (found.has("C3") or found.has("C4"))
        assert found.global_lower is not None and found.global_excess is not None
        assert close(found.objective, least, 1e-12) and least * (1 - 1e-10) <= found.global_lower <= least
        for far in (1.1 * W, W + rng.normal(size=W.shape), 0.0 * W):
            at = _judged(tasks, model, far)
            assert at.global_lower is not None and at.global_lower <= least and at.level != "C5"
            assert at.global_excess is not None and at.global_excess >= at.objective - least
        assert _judged(tasks, model, (1 + 1e-7) * W).level != "C5"  # gains 1e-14 of J, and is off by 1e-7
        loose = _judged(tasks, model, 1.1 * W, tol=0.5)
        above = loose.objective - least
        assert loose.passes and above > 2e-3 * loose.objective and loose.level == "C2"


def what_no_row_sees_costs_what_omega_says() -> None:
    """A feature that is 0 everywhere: alike weights are free, others cost rho times their square."""
    tasks = random_tasks(np.random.default_rng(9), d=2, counts=(9, 14, 8))
    wide = TaskSet.from_arrays([np.column_stack([t.X, 0.0 * t.y]) for t in tasks], [t.y for t in tasks])
    model = Model(loss=Squared(), coupling=0, omega=OMEGAS[1])
    W, _ = _best(tasks, OMEGAS[1])
    for more, gains in (([0.5, 0.5, 0.5], 0.0), ([0.5, 0.5, -0.5], 0.4 * 2.0 / 3.0)):
        found = _judged(wide, model, np.vstack([W, more]))
        assert found.gain_W is not None and abs(found.gain_W - gains) <= 1e-11
        assert found.passes == (gains == 0.0)


def falling_losses_have_no_minimum() -> None:
    """Separable labels and the logistic loss, each task alone or all together; not with a ridge."""
    rng = np.random.default_rng(10)
    X = [rng.normal(size=(8, 2)) for _ in range(3)]
    tasks = TaskSet.from_arrays(X, [np.sign(rows @ [1.0, -2.0]) for rows in X])
    mixed = TaskSet.from_arrays([np.vstack([x, x]) for x in X], [np.repeat([1.0, -1.0], 8)] * 3)
    W = rng.normal(size=(2, 3))
    for omega, ends in zip(OMEGAS, (False, True, True), strict=True):
        model = Model(loss=Logistic(), coupling=0, omega=omega)
        assert ("minimum" in _judged(tasks, model, W).reasons) == ends
        assert "minimum" not in _judged(mixed, model, W).reasons
        level = replace(model, loss=SquaredHinge())
        assert "minimum" not in _judged(tasks, level, W).reasons


def bounds_of_penalties_with_kinks_hold() -> None:
    """X the unit matrix and a feature that no row has, for all tasks: the minima are shortened parts of Y.

    min over W of ||Y - W||_F^2 / n + Omega(W): entries, rows or singular values of Y, less n rho / 2.
    """
    rng = np.random.default_rng(11)
    Y = 2.0 * rng.normal(size=(4, 3))
    tasks = TaskSet.from_arrays([np.eye(4, 5)] * 3, list(Y.T))
    U, s, V = np.linalg.svd(Y, full_matrices=False)
    cut = 4.0 * 0.3 / 2.0
    lengths = np.linalg.norm(Y, axis=1, keepdims=True)
    best = {
        L1: np.sign(Y) * np.maximum(np.abs(Y) - cut, 0.0),
        L21: Y * np.maximum(1.0 - cut / lengths, 0.0),
        TraceNorm: (U * np.maximum(s - cut, 0.0)) @ V,
    }
    sizes = {L1: lambda W: np.abs(W).sum(), L21: lambda W: np.linalg.norm(W, axis=1).sum()}
    for kind, W in best.items():
        size = sizes.get(kind, lambda W: np.linalg.svd(W, compute_uv=False).sum())(W)
        least = float(((Y - W) ** 2).sum()) / 4.0 + 0.3 * float(size)
        model, W = Model(loss=Squared(), coupling=0, omega=kind(rho=0.3)), np.vstack([W, np.zeros(3)])
        assert _judged(tasks, model, W).level == "C5" and close(
            _judged(tasks, model, W).objective, least, 1e-12
        )
        for far in (0.0 * W, 1.1 * W, W + 0.1 * rng.normal(size=W.shape), -W, 5.0 * W):
            found = _judged(tasks, model, far)
            assert found.global_lower is not None and found.global_lower <= least and not found.passes


def radii_hold_all_that_a_penalty_allows() -> None:
    """No W of a given Omega is longer than its radius, and one is as long."""
    rng = np.random.default_rng(12)
    for omega in (L1(rho=0.4), L21(rho=0.4), TraceNorm(rho=0.4), TraceNormSquared(rho=0.4)):
        drawn = [
            np.outer(*rng.normal(size=(2, 3))),
            rng.normal(size=(3, 3)),
            np.eye(3)[:, :1] @ np.ones((1, 3)),
        ]
        assert all(np.linalg.norm(W) <= omega.radius(omega.value(W)) * (1 + 1e-12) for W in drawn)
        one = np.zeros((3, 3))
        one[1, 2] = 2.5
        assert close(omega.radius(omega.value(one)), 2.5, 1e-12)
    assert Fused(rho=1.0).radius(1.0) == np.inf
    W = np.zeros((2, 3))
    for W[0, 0], W[1, 2] in rng.normal(size=(20, 2)):
        apart = np.linalg.norm(W - W.mean(axis=1, keepdims=True))
        assert apart <= Fused(rho=0.4).spread(Fused(rho=0.4).value(W), 3) * (1 + 1e-12)


def what_all_tasks_share_is_bounded_by_their_rows() -> None:
    """Steps so dear that all tasks are equal: W is the mean of Y, and a feature that no row has is free."""
    Y = 2.0 * np.random.default_rng(13).normal(size=(4, 3))
    tasks, model = (
        TaskSet.from_arrays([np.eye(4, 5)] * 3, list(Y.T)),
        Model(coupling=0, omega=Fused(rho=50.0)),
    )
    mean = Y.mean(axis=1, keepdims=True)
    least, W = float(((Y - mean) ** 2).sum()) / 4.0, np.vstack([mean @ np.ones((1, 3)), np.ones(3)])
    found = _judged(tasks, model, W)
    assert found.level == "C5" and close(found.objective, least, 1e-12)
    for far in (1e-3, 1.0, 30.0):
        point = Problem(tasks, model).at(W + far * np.outer(np.arange(5.0), np.ones(3)), np.zeros((3, 3)))
        Z = point.subgradient_W
        off = float(np.linalg.norm(point.smooth_gradient_W + Z))
        reach = longest_of_no_higher_J(point, model.omega, Z, min(off, 1e-3))
        assert reach >= np.linalg.norm(W[:4]) and (reach < 1e4 * (1.0 + far) ** 2)
        at = _judged(tasks, model, point.W)
        assert (at.global_lower or 0.0) <= least and not at.passes


def mu_is_0_without_a_coupling() -> None:
    """Whatever was said of it: the options of a run, of a problem, the default that looks for one."""
    for recommended, words in (({}, {}), ({"mu": 0.3}, {}), ({}, {"mu": "0.2"}), ({"coupling": 0.0}, {})):
        asked = Namespace(**({"coupling": "0"} if "coupling" not in recommended else {}), **words)
        assert resolve(asked, recommended)["mu"] == 0.0
    assert resolve(Namespace(coupling="1", mu="0.2"), {})["mu"] == "0.2"
    assert resolve(Namespace(coupling="auto"), {})["mu"] == "auto"
