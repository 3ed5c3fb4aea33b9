"""Checks of bounds from a cone program, and of the door for a user's own expression."""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
from cases import at, random_tasks

from amtl_cvx import LossWeightedL1, Model, UserOmega, UserTransfer, certify
from amtl_cvx.certificate import transfer_gap, weight_evidence
from amtl_cvx.certificate.by_cone import b_step, graph_of, omega_dual
from amtl_cvx.cones import Cone
from amtl_cvx.errors import AMTLError
from amtl_cvx.tasks import Array

T = 3
OFF = ~np.eye(T, dtype=bool)
LOSSES = np.array([0.5, 1.0, 2.0])
COUPLING = 0.5


def _groups(B: Any, losses: Any) -> cp.Expression:
    return losses @ cp.norm(B, 2, axis=1) + 0.25


def _bent(B: Any, losses: Any) -> cp.Expression:
    return cp.sum(cp.huber(B, 0.1)) + losses @ cp.square(cp.max(B, axis=1))


def _cheap(B: Any, losses: Any) -> cp.Expression:
    return losses @ cp.sum(cp.pos(B - 0.2), axis=1)


def _top(B: Any, losses: Any) -> cp.Expression:
    return cp.sum_largest(B, 2)


def _value(function: Any, B: Array) -> float:
    if function is _top:
        return float(np.sort(B.ravel())[-2:].sum())
    if function is _cheap:
        return float(LOSSES @ np.maximum(B - 0.2, 0.0).sum(axis=1))
    if function is _groups:
        return float(LOSSES @ np.linalg.norm(B, axis=1)) + 0.25
    huber = np.where(B <= 0.1, B**2, 0.2 * B - 0.01)
    return float(huber.sum()) + float(LOSSES @ B.max(axis=1) ** 2)


def _program(function: Any) -> Cone:
    return UserTransfer(function, mu=2.0).cone(LOSSES)


def _aux(cone: Cone, B: Array) -> Array:
    """All variables of the program with this B: the least f by another solver."""
    x = cp.Variable(len(cone.q))
    limits = [x[cone.columns] == B.T[OFF]]
    s, k = cone.b - cone.A @ x, cone.zero + cone.nonneg
    limits += [s[: cone.zero] == 0] * (cone.zero > 0) + [s[cone.zero : k] >= 0] * (cone.nonneg > 0)
    for size in cone.soc:
        limits.append(cp.SOC(s[k], s[k + 1 : k + size]))
        k += size
    cost = cone.q @ x + 0.5 * cp.quad_form(x, cp.psd_wrap(cone.P)) + cone.d
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.Problem(cp.Minimize(cost), limits).solve(solver="CLARABEL")
    return np.asarray(x.value)


def _is_dual(cone: Cone, y: Array) -> None:
    """The zero cone asks nothing, the others are their own duals."""
    k = cone.zero + cone.nonneg
    assert (y[cone.zero : k] >= 0.0).all()
    for size in cone.soc:
        assert y[k] >= np.linalg.norm(y[k + 1 : k + size])
        k += size


def programs_bound_from_below() -> None:
    """At any dual point, with a box that holds every variable; sharp at that of a solver."""
    rng = np.random.default_rng(3)
    for function in (_groups, _bent, _cheap, _top):
        cone, W = _program(function), 4.0 * rng.normal(size=(4, 1)) + rng.normal(size=(4, T))
        graphs = [rng.random((T, T)) * OFF for _ in range(4)] + [np.zeros((T, T))]
        level = 2.0 * max(_value(function, B) for B in graphs)
        low, high = cone.box(np.zeros(T * (T - 1)), np.full(T * (T - 1), np.inf), level)
        assert np.isfinite(low).all() and np.isfinite(high).all() and high.max() < 50.0 * level
        dual = b_step(cone, W, COUPLING)[-1]
        best = graph_of(cone, dual, T)
        S = W.T @ (2.0 * COUPLING * (W - W @ best))
        value = 2.0 * _value(function, best) - float((S * best * OFF).sum())
        assert abs(cone.least(dual, S.T[OFF], (low, high)) - value) <= 1e-7 * level
        for B in graphs:
            x = _aux(cone, B)
            assert (x >= low - 1e-6).all() and (x <= high + 1e-6).all()
        for size in (0.0, 0.3, 3.0):
            for _ in range(6):
                moved = dual._replace(
                    x=dual.x + size * rng.normal(size=len(dual.x)),
                    y=dual.y + size * rng.normal(size=len(dual.y)),
                )
                _is_dual(cone, cone.dual_cone(moved.y))
                S = 30.0 * rng.normal(size=(T, T)) * OFF
                least = cone.least(moved, S.T[OFF], (low, high))
                for B in graphs:
                    assert least <= 2.0 * _value(function, B) - float((S * B).sum()) + 1e-9


def gaps_by_a_program_are_sharp_and_hold() -> None:
    """Against the B of another solver, at 0 and at a random graph; with the words of what is trusted."""
    rng = np.random.default_rng(5)
    tasks = random_tasks(rng, counts=(9, 14, 20))
    for function in (_groups, _bent):
        model = Model(transfer=UserTransfer(function, mu=0.3), coupling=COUPLING)
        W = rng.normal(size=(tasks.d, 1)) + 0.5 * rng.normal(size=(tasks.d, T))
        for B in (np.zeros((T, T)), rng.random((T, T)) * OFF):
            point = at(tasks, model, W, B)
            gap, words = transfer_gap(point)
            free = cp.Variable((T, T), nonneg=True)
            cost = COUPLING * cp.sum_squares(W - W @ free) + 0.3 * function(free, point.weighted_losses)
            cp.Problem(cp.Minimize(cost), [cp.diag(free) == 0]).solve(solver="CLARABEL")
            best = np.maximum(np.asarray(free.value), 0.0) * OFF
            gained = point.objective - point.at(B=best).objective
            assert gap is not None and gained <= gap <= gained + 1e-6 * point.objective
            assert "trusts CVXPY" in words


def programs_of_another_function_prove_nothing() -> None:
    """A program whose least value is above the function's own is not that function."""
    from amtl_cvx.certificate import by_cone

    rng = np.random.default_rng(7)
    point = at(
        random_tasks(rng, counts=(9, 14, 20)),
        Model(transfer=UserTransfer(_groups, mu=0.3), coupling=COUPLING),
        rng.normal(size=(6, T)),
        np.zeros((T, T)),
    )
    cone = point.model.transfer.cone(point.weighted_losses)
    assert cone is not None
    dual, spent = b_step(cone, point.W, COUPLING)[-1], point.terms.transfer
    away = cone._replace(d=cone.d + 100.0)
    assert np.isfinite(by_cone._gap(point, cone, dual, spent))
    assert by_cone._gap(point, away, dual, spent) == np.inf


def doors_refuse_what_is_no_penalty() -> None:
    """Not convex, not affine, falling, negative, with a domain or a variable of its own; a wrong prox."""
    tasks = random_tasks(np.random.default_rng(1), counts=(9, 14, 20))
    stranger = cp.Variable()

    def halved(B: Any, losses: Any) -> cp.Expression:
        return losses @ cp.sum(B, axis=1)

    halved.prox = lambda V, step, losses: np.maximum(V - 0.5 * step * losses[:, None], 0.0)  # type: ignore[attr-defined]
    for function in (
        lambda B, losses: cp.sum(cp.sqrt(B)),
        lambda B, losses: cp.sum(cp.square(losses)) * cp.sum(B),
        lambda B, losses: cp.sum(cp.maximum(cp.multiply(losses, cp.sum(B, axis=1)), 1)),
        lambda B, losses: cp.sum(B) * (5 - cp.sum(losses)),
        lambda B, losses: cp.sum(B) + stranger**2,
        lambda B, losses: cp.sum(cp.inv_pos(1 - B)),
        lambda B, losses: cp.sum(cp.inv_pos(B)),
        halved,
    ):
        try:
            UserTransfer(function, mu=1.0).bind(tasks)
        except AMTLError:
            continue
        raise AssertionError("it was let in")


def without_a_prox_no_first_order_point() -> None:
    """W, B = 0 with gaps of 0 is C1; the residual of B is not known, so it is no C2."""
    rng = np.random.default_rng(2)
    tasks = random_tasks(rng, counts=(9, 14, 20))
    W = np.column_stack([_alone(task.X, task.y) for task in tasks])
    found = certify(
        tasks, Model(transfer=UserTransfer(_groups, mu=1e4), coupling=COUPLING), W, np.zeros((T, T))
    )
    assert found.level == "C1" and not found.passes and found.relative == np.inf


def _alone(X: Array, y: Array) -> Array:
    """argmin ||X w - y||^2 / n + COUPLING ||w||^2."""
    w: Array = np.linalg.solve(X.T @ X / len(y) + COUPLING * np.eye(X.shape[1]), X.T @ y / len(y))
    return w


def _sizes(W: Any) -> cp.Expression:
    return cp.sum(cp.max(cp.abs(W), axis=1))


def gains_by_a_program_hold() -> None:
    """Of W with a penalty on W as a function: against the W of another solver, far and near."""
    rng = np.random.default_rng(11)
    tasks = random_tasks(rng, counts=(9, 14, 20))
    model = Model(transfer=LossWeightedL1(mu=0.2), coupling=COUPLING, omega=UserOmega(_sizes, rho=0.1))
    B, W = 0.2 * rng.random((T, T)) * OFF, cp.Variable((tasks.d, T))
    point = at(tasks, model, rng.normal(size=(tasks.d, T)), B)
    J = COUPLING * cp.sum_squares(W @ (np.eye(T) - B)) + 0.1 * _sizes(W)
    for t, task in enumerate(tasks):
        J += point.loss_weight[t] * cp.sum_squares(task.X @ W[:, t] - task.y) / len(task.y)
    cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL")
    best = point.at(W=np.asarray(W.value))
    for away in (1.0, 0.1, 0.01):
        there = point.at(W=best.W + away * (point.W - best.W))
        dual = omega_dual(there)
        assert dual.mismatch < 1e3 * away
        gained = there.objective - best.objective
        assert gained <= weight_evidence(there).judged * (1.0 + 1e-9) + 1e-12
    assert weight_evidence(best).judged <= 1e-6 * best.objective


def omega_doors_refuse_what_is_no_penalty() -> None:
    """Not convex, negative, not 0 at 0, a constraint, other cones, a wrong prox."""
    tasks = random_tasks(np.random.default_rng(1), counts=(9, 14, 20))

    def halved(W: Any) -> cp.Expression:
        return cp.sum(cp.abs(W))

    halved.prox = lambda V, step: np.sign(V) * np.maximum(np.abs(V) - 0.5 * step, 0.0)  # type: ignore[attr-defined]
    for function in (
        lambda W: cp.sum(cp.sqrt(cp.abs(W))),
        lambda W: cp.sum(cp.maximum(W, -1)),
        lambda W: cp.sum_squares(W - 1),
        lambda W: cp.sum(cp.inv_pos(1 - W)) * 0.0,
        lambda W: cp.norm(W, "nuc"),
        halved,
    ):
        try:
            UserOmega(function, rho=1.0).bind(tasks)
        except AMTLError:
            continue
        raise AssertionError("it was let in")


def without_a_prox_of_omega_no_first_order_point() -> None:
    """The minimum of single tasks (ridge: rho is all but 0) is C1, whatever a solver's prox says of it."""
    rng = np.random.default_rng(2)
    tasks = random_tasks(rng, counts=(9, 14, 20))
    model = Model(transfer=LossWeightedL1(mu=1e4), coupling=COUPLING, omega=UserOmega(_all, rho=1e-9))
    W = np.column_stack([_alone(task.X, task.y) for task in tasks])
    found = certify(tasks, model, W, np.zeros((T, T)))
    assert found.level == "C1" and not found.passes and found.relative_W == np.inf


def _all(W: Any) -> cp.Expression:
    return cp.sum(cp.abs(W))
