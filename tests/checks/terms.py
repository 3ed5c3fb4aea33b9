"""Transfer penalties against a conic solver and differences: conjugates, gaps, atoms, tangents."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import cvxpy as cp
import numpy as np
from cases import Array, random_tasks
from penalty_cases import CASES, COUNTS

from amtl_cvx.certificate.conjugate import conjugate_gap
from amtl_cvx.certificate.tangent import tangent_at
from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import Plugins
from amtl_cvx.problem import Model, Problem
from amtl_cvx.refine.b_step import AtomStep, ColumnStep
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import (
    L1,
    DegreeCap,
    ElasticNet,
    Forbidden,
    LossWeightedL1,
    Ordered,
    Required,
    RowBudget,
    SignedL1,
    SizePricedL1,
    SourceGroupL2,
    SquaredTransfer,
    Symmetric,
    TargetGroupL2,
    TotalBudget,
    TransferPenalty,
)

BARRED = ((0, 1), (2, 0))
PRINTED = {
    type(case.penalty): case
    for case in CASES
    if isinstance(case.penalty, L1 | SizePricedL1 | SignedL1 | SquaredTransfer | Required | Ordered)
}
PENALTIES: tuple[TransferPenalty, ...] = (
    ElasticNet(mu=0.3, rho=0.4),
    Forbidden(mu=0.3, edges=BARRED),
    Symmetric(mu=0.3),
    SourceGroupL2(mu=0.3),
    RowBudget(mu=0.02, budget=0.4),
    TargetGroupL2(mu=2.0),
    DegreeCap(mu=0.02, degree=1, cap=0.3),
    TotalBudget(mu=0.02, total=1.5),
    *(case.at(3) for case in PRINTED.values()),
)


Written = tuple[cp.Expression, list[cp.Constraint]]


def _literal(penalty: TransferPenalty, B: cp.Expression, losses: Array) -> Written:
    """R and its set as the formulas are printed, written apart from the package."""
    if (case := PRINTED.get(type(penalty))) is not None:
        return case.written(B, losses, penalty.mu), case.limits(B)
    limits: list[cp.Constraint] = [B >= 0, cp.diag(B) == 0]
    rule = penalty.mu * cp.sum(cp.multiply(losses[:, None], B))
    if isinstance(penalty, ElasticNet):
        rule = rule + 0.4 * cp.sum(cp.square(B))
    elif isinstance(penalty, Forbidden):
        limits += [B[s, t] == 0 for s, t in BARRED]
    elif isinstance(penalty, Symmetric):
        limits += [B == B.T]
    elif isinstance(penalty, SourceGroupL2):
        rule = 0.3 * sum(losses[s] * cp.norm(B[s, :], 2) for s in range(len(losses)))
    elif isinstance(penalty, TargetGroupL2):
        rule = 2.0 * sum(cp.norm(B[:, t], 2) for t in range(len(losses)))
    elif isinstance(penalty, DegreeCap):
        limits += [B[s, :] <= 0.3 for s in range(len(losses))]
        limits += [cp.sum(B[s, :]) <= penalty.degree * 0.3 for s in range(len(losses))]
    elif isinstance(penalty, TotalBudget):
        limits += [cp.sum(B) == 1.5]
    else:
        limits += [cp.sum(B[s, :]) <= 0.4 for s in range(len(losses))]
    return rule, limits


@functools.cache
def best_transfers() -> tuple[tuple[TaskSet, Model, Array, Array], ...]:
    """Found before any fault is planted."""
    rng, found = np.random.default_rng(11), []
    for penalty in PENALTIES:
        counts = COUNTS[:3] if type(penalty) in PRINTED else (9, 14, 12)
        tasks = random_tasks(rng, d=5, counts=counts)
        model, W = Model(transfer=penalty, coupling=0.5), rng.normal(size=(5, 3)) + rng.normal(size=(5, 1))
        B = cp.Variable((3, 3))
        losses = np.array([((t.X @ w - t.y) ** 2).mean() for t, w in zip(tasks, W.T, strict=True)])
        rule, limits = _literal(penalty, B, losses)
        cost = 0.5 * cp.sum_squares(W - W @ B) + rule
        cp.Problem(cp.Minimize(cost), limits).solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12)
        found.append((tasks, model, W, np.asarray(B.value)))
    return tuple(found)


def _rise(tasks: TaskSet, model: Model, W: Array, B: Array, best: Array) -> float:
    """J(W, B) - J(W, best) from the formulas, both without the losses."""
    losses = np.array([((t.X @ w - t.y) ** 2).mean() for t, w in zip(tasks, W.T, strict=True)])

    def cost(B: Array) -> float:
        rule, _ = _literal(model.transfer, cp.Constant(B), losses)
        return 0.5 * float(((W - W @ B) ** 2).sum()) + float(rule.value)

    return cost(B) - cost(best)


def gap_of_every_penalty_holds() -> None:
    """Never below what B can gain, near the best B of the order of it, at the best B nothing."""
    rng = np.random.default_rng(5)
    for tasks, model, W, solved in best_transfers():
        best = model.transfer.project(solved)
        assert np.abs(best - solved).max() <= 1e-6 and np.array_equal(model.transfer.project(best), best)
        for size in (1.0, 1e-1, 1e-3):
            signs = rng.choice([-1.0, 1.0], (3, 3)) if model.transfer.feasible(3).signed else 1.0
            B = model.transfer.project(best + size * signs * rng.random((3, 3)))
            rise, gap = _rise(tasks, model, W, B, best), conjugate_gap(Problem(tasks, model).at(W, B))
            assert gap is not None and gap >= rise * (1.0 - 1e-9) - 1e-11
            assert size > 0.5 or gap <= 20.0 * rise + 1e-9


def projections_are_nearest_points() -> None:
    """<V - P, C - P> <= 0 for every C of the set, P in it by the formulas."""
    rng = np.random.default_rng(6)
    capped = DegreeCap(mu=0.02, degree=2, cap=0.3)
    for penalty in (*PENALTIES, capped):
        points = [penalty.project(10.0 * rng.normal(size=(4, 4))) for _ in range(40)]
        for V in [*rng.normal(size=(10, 4, 4)), *(1.01 * C for C in points[:5])]:
            P = penalty.project(V)
            _, limits = _literal(penalty, cp.Constant(P), np.ones(4))
            assert all(limit.violation().max() <= 1e-12 for limit in limits)
            corner = [_corner(V, degree=2, cap=0.3)] if penalty is capped else []
            assert all(float(((V - P) * (C - P)).sum()) <= 1e-12 for C in (*points, *corner))


def _corner(V: Array, *, degree: int, cap: float) -> Array:
    """The corner of the set of a degree cap farthest along V: `cap` at the largest of a row above 0."""
    C = np.zeros_like(V)
    for s, row in enumerate(V):
        others = sorted((t for t in range(len(V)) if t != s and row[t] > 0.0), key=lambda t: -row[t])
        C[s, others[:degree]] = cap
    return C


def conjugates_are_not_exceeded() -> None:
    """<S, B> - R(B) by the formula is at most R*(S) at points of the set near and far along S."""
    rng = np.random.default_rng(9)
    for penalty in PENALTIES:
        drawn = [size * rng.normal(size=(3, 3)) for size in (0.03, 0.3, 3.0)]
        for S in [*drawn, *(-np.abs(S) for S in drawn)]:
            losses = 0.1 + rng.random(3)
            np.fill_diagonal(S, 0.0)
            found = penalty.conjugate(S, losses)
            assert found is not None
            for B in (penalty.project(k * S) for k in (0.1, 1.0, 10.0, 100.0)):
                rule, _ = _literal(penalty, cp.Constant(B), losses)
                assert float((S * B).sum()) - float(rule.value) <= found + 1e-9


def proxes_are_least() -> None:
    """No worse by the formula than other points of the set, near and far, with the signs of V and without."""
    rng, step = np.random.default_rng(8), 0.5
    for penalty in PENALTIES:
        V, losses = 2.0 * rng.normal(size=(3, 3)), rng.random(3)
        P = penalty.prox(V, step, losses)
        others = [V, 0.5 * V, np.copysign(P, V), np.abs(P), *(P + 0.1 * rng.normal(size=(5, 3, 3)))]

        def cost(B: Array, V: Array = V, losses: Array = losses, penalty: TransferPenalty = penalty) -> float:
            rule, _ = _literal(penalty, cp.Constant(B), losses)
            return float(rule.value) + float(((B - V) ** 2).sum()) / (2.0 * step)

        assert all(cost(P) <= cost(penalty.project(B)) + 1e-12 for B in others)
        for B in (np.where(np.eye(3) > 0, 0.0, B) for B in others):  # points of the set by its formula
            if all(
                limit.violation().max() <= 1e-12 for limit in _literal(penalty, cp.Constant(B), losses)[1]
            ):
                assert cost(P) <= cost(B) + 1e-12


def steps_by_atoms_are_best() -> None:
    """Against the B of Clarabel."""
    for tasks, model, W, best in best_transfers():
        atoms = model.transfer.atoms(3)
        if atoms is not None:
            steps = (ColumnStep, AtomStep) if atoms.entries else (AtomStep,)
            for step in steps:
                found = step(atoms).solve(Problem(tasks, model).at(W, model.transfer.start(3))).value
                assert np.abs(found - best).max() <= 1e-5


def tangents_have_the_slope_and_curvature_of_the_penalty() -> None:
    """Central differences of R along every direction; rows that give nothing stay."""
    for tasks, model, W, solved in best_transfers():
        if not isinstance(model.transfer, SourceGroupL2 | TargetGroupL2):
            continue
        best, losses = np.where(solved > 1e-6, solved, 0.0), model.losses(tasks, W)
        tangent = tangent_at(Problem(tasks, model).at(W, best))
        assert 0 < len(tangent.Z) == np.count_nonzero(best) < 6
        parts = (tangent.Z, tangent.slope, tangent.curvature, tangent.rates)
        for Z, slope, curvature, rates in zip(*parts, strict=True):
            for h, order, found in ((1e-4, 1, slope), (1e-3, 2, curvature)):
                low, here, high = (
                    float(_literal(model.transfer, cp.Constant(tangent.B + k * h * Z), losses)[0].value)
                    for k in (-1.0, 0.0, 1.0)
                )
                expected = (high - low) / (2.0 * h) if order == 1 else (high - 2.0 * here + low) / h**2
                assert abs(found - expected) <= 1e-3 * (1.0 + abs(expected))
            linear = slope if isinstance(model.transfer, SourceGroupL2) else 0.0  # in the losses
            assert abs(rates @ losses - linear) <= 1e-3 * (1.0 + abs(slope))


def names_find_their_own_classes_only() -> None:
    """No import without being named, no class of another kind, no name for two classes."""
    known = Plugins(TransferPenalty, "penalty", "--transfer", "amtl_cvx.none", {})  # type: ignore[type-abstract]
    known.register(LossWeightedL1)
    assert known.find("loss-weighted-l1") is LossWeightedL1 and known.find("elastic-net") is None
    assert known.find("antigravity_of_nobody:Class") is None and "this" not in sys.modules
    assert known.find("this:s") is None and "this" not in sys.modules
    for label in (
        "amtl_cvx.losses:Squared",
        "json:JSONDecoder",
        "json:nothing",
        "no_such_module:Class",
        "no path",
    ):
        _refused(lambda label=label: known.admit(label))
    _refused(lambda: known.register(ElasticNet, "loss-weighted-l1"))
    _refused(lambda: known.register(int))
    assert known.admit("amtl_cvx.transfer:Symmetric") is Symmetric
    assert known.label(Symmetric) == "amtl_cvx.transfer:Symmetric" and known.label(LossWeightedL1) == (
        "loss-weighted-l1"
    )


def _refused(call: Callable[[], object]) -> None:
    try:
        call()
    except ModelError:
        return
    raise AssertionError("not refused")
