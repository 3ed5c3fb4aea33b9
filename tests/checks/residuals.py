"""Residuals, feasibility and the verdict against the definitions of SPEC section 4."""

from __future__ import annotations

import math
from typing import NamedTuple

import literal
import numpy as np
from cases import at

from amtl_cvx.certificate import (
    Residuals,
    RowSums,
    certify,
    conclude,
    confirm,
)
from amtl_cvx.certificate import residuals as package_residuals
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from checks.points import anywhere, close, smooth, solved


def residuals_are_those_of_the_definition() -> None:
    for tasks, model, W, B in smooth():
        for scale in (1.0, 1e-3):
            found = package_residuals(Problem(tasks, model).at(scale * W, B))
            assert literal.residual(tasks, model, scale * W, B).agrees(found)


def multipliers_are_judged_task_by_task() -> None:
    """Of a loss with kinks: entries of G(u) + 2 coupling W P, Fenchel-Young of every task, by their terms."""
    rng = np.random.default_rng(4)
    for tasks, model, W, B in anywhere():
        if model.loss.smooth:
            continue
        u = [model.loss.clip(rng.normal(size=len(task.y)), task.y) for task in tasks]
        a, M, R = literal.loss_weights(tasks, model, B), np.eye(tasks.T) - B, W - W @ B
        drag, worst = literal.pulls(model, W, B), 0.0
        for t, (task, v) in enumerate(zip(tasks, u, strict=True)):
            rate, z = a[t] * literal.row_scale(model.loss, len(task.y)), task.X @ W[:, t]
            phi, dual = (
                literal.row_values(model.loss, z, task.y),
                literal.conjugates(model.loss, v, task.y) - v * z,
            )
            worst = max(worst, (phi + dual).sum() / (phi + abs(dual)).sum())
            size = rate * np.linalg.norm(task.X, axis=0) * np.linalg.norm(v)
            size += 2 * model.coupling * abs(R) @ abs(M[t])
            worst = max(worst, (abs(rate * task.X.T @ v + drag[:, t]) / size).max())
        found = package_residuals(Problem(tasks, model).at(W, B), multipliers=u).relative_W
        assert close(found, worst, 1e-2)


def residual_does_not_depend_on_the_unit() -> None:
    """Targets in another unit (squared loss): relative residuals and the verdict stay."""
    point = next(p for p in anywhere() if p.model.loss.name == "squared")
    before = package_residuals(at(*point))
    for factor in (1e-5, 1e5):
        tasks = TaskSet.from_arrays([t.X for t in point.tasks], [factor * t.y for t in point.tasks])
        found = package_residuals(Problem(tasks, point.model).at(factor * point.W, point.B))
        assert np.allclose([found.relative_W, found.relative_B], [before.relative_W, before.relative_B], 1e-9)


def infeasible_points_have_no_level() -> None:
    """However little B is negative or has a diagonal, at a point that passes otherwise."""
    for tasks, model, W, B in solved()[:2]:
        assert certify(Problem(tasks, model).at(W, B)).passes
        s, t = np.argwhere((B == 0) & ~np.eye(3, dtype=bool))[0]
        for entry, value in (((s, t), -1e-300), ((s, t), -1e-12), ((0, 0), 1e-12), ((2, 2), -1e-15)):
            C = B.copy()
            C[entry] = value
            found = certify(Problem(tasks, model).at(W, C), tol=1e-4)
            assert found.level is None and not found.passes and found.feasibility == abs(value)


def moved_points_do_not_pass() -> None:
    """A move of either block, judged at a tenth of its own residual; of every task and every edge."""
    for tasks, model, W, B in solved():
        assert certify(Problem(tasks, model).at(W, B), tol=1e-9).passes
        for t in range(3):
            V, C = W.copy(), B.copy()
            V[t, t] += 1e-3 * np.abs(W).max()
            C[t, (t + 1) % 3] += 1e-3 * np.abs(B).max()
            for point in ((V, B), (W, C)):
                expected = literal.residual(tasks, model, *point).relative
                found = certify(Problem(tasks, model).at(*point), tol=expected / 10)
                assert close(found.relative, expected, 1e-2)
                assert not found.passes and found.level not in ("C2", None)


def single_task_points_have_no_edges() -> None:
    tasks, model, W, B = solved()[0]
    single = literal.best_W(tasks, model, np.zeros((3, 3)))
    assert certify(Problem(tasks, model).at(single, np.zeros((3, 3))), kind="single-task").passes
    assert not certify(Problem(tasks, model).at(single, np.zeros((3, 3)))).passes
    found = certify(Problem(tasks, model).at(W, B), kind="single-task")
    assert not found.passes and found.level is None


class Figures(NamedTuple):
    """Figures of a point with J = 2 at the tolerance 1e-6, and what is to be concluded from them."""

    relative: float
    feasibility: float
    gap_W: float | None
    gap_B: float | None
    gain_W: float | None
    passes: bool
    level: str | None


FIGURES = (
    Figures(1e-7, 0.0, 1e-7, 1e-7, 1e-7, True, "C2"),
    Figures(1.001e-6, 0.0, 1e-7, 1e-7, 1e-7, False, "C1"),
    Figures(math.nan, 0.0, 1e-7, 1e-7, 1e-7, False, "C1"),
    Figures(math.inf, 0.0, 1e-7, 1e-7, 1e-7, False, "C1"),
    Figures(1e-7, 1e-300, 1e-7, 1e-7, 1e-7, False, None),
    Figures(1e-7, 0.0, 1.1e-6, 1.1e-6, 1.1e-6, False, "C0"),  # each alone is small enough
    Figures(1e-7, 0.0, 3e-6, 1e-9, 3e-6, False, "C0"),
    Figures(1e-7, 0.0, 1e-9, 3e-6, 1e-9, False, "C0"),
    Figures(1e-7, 0.0, 1e-2, 1e-9, 1e-9, True, "C2"),  # an inflated bound gap_W is reported, gain_W judged
    Figures(1e-7, 0.0, 1e-9, 1e-9, 1e-2, False, "C0"),  # C1 and C2 hold the same figures against one limit
    Figures(1e-7, 0.0, 1e-9, 1e-9, None, False, "C0"),
    Figures(1e-7, 0.0, math.nan, math.nan, math.nan, False, "C0"),
    Figures(1e-3, 0.0, None, 1e-9, None, False, "C0"),
)


def verdict_compares_every_figure() -> None:
    for case in FIGURES:
        found = conclude(
            kind="joint",
            objective=2.0,
            found=Residuals(0.0, 0.0, case.relative, 0.0),
            relative=case.relative,
            joint_relative=case.relative,
            feasibility=case.feasibility,
            gaps=(case.gap_W, case.gap_B),
            gap_W_exact=False,
            gain_W=case.gain_W,
            B=np.zeros((2, 2)),
            tol=1e-6,
            reasons={},
        )
        assert (found.passes, found.level) == (case.passes, case.level), case


def rows_that_disagree_are_told() -> None:
    """The certificate of factors, confirmed with rows of which one target was read wrongly."""
    tasks, model, W, B = solved()[0]
    certificate = certify(Problem(tasks, model).at(W, B), tol=1e-8)
    for error, passes in ((0.0, True), (1e-3, False)):
        read = [task.y + error * (np.arange(len(task.y)) == 0) for task in tasks]
        losses, gradients = np.zeros((2, 3)), np.zeros((2, 3, 3))
        for t, task in enumerate(tasks):
            for k, w in enumerate((W[:, t], np.zeros(3))):
                r = task.X @ w - read[t]
                losses[k, t], gradients[k, :, t] = r @ r, 2 * r @ task.X
        sums = RowSums(W=W, counts=tasks.counts, losses=losses, gradients=gradients)
        found = confirm(certificate, tasks, model.loss, sums)
        assert found.passes == passes and (found.relative > 1e-5) == (not passes)
        short = sums._replace(counts=tasks.counts - 1)
        assert not confirm(certificate, tasks, model.loss, short).passes
