"""The judge of a curriculum: every step is held against the convex problem that it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, check_tolerance, infeasibility, task_gain
from amtl_cvx.certificate.misses import Misses
from amtl_cvx.curriculum.conclusion import Sums, concluded, in_few_rows
from amtl_cvx.curriculum.minima import task_minimum
from amtl_cvx.curriculum.rows import all_outgoing, check_model, outgoing_cost, refit_step, row_sizes
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.subproblems import Coupled
from amtl_cvx.tasks import TaskSet


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify_curriculum(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    order: tuple[int, ...],
    *,
    ridge: float | None = None,
    tol: float = 1e-8,
) -> Certificate:
    """Judge a curriculum step by step, as the convex problems they are.

    The single-task start is recomputed by Newton's method in NumPy (`_ridge_start`), every row is held
    against eq. 5 (gap: cost of the row minus the least cost over all waiting tasks) and every predictor
    against eq. 6 (gap: ||gradient||^2 / (4 coupling), a bound because the refit is strongly convex with
    modulus 2 coupling; the Newton decrement where that is less, `certificate.gains`).

    Parameters
    ----------
    tasks, model, W, B, tol
        As in `certify`.
    order : tuple of int
        The order in which the tasks were learned; an incomplete one does not pass.
    ridge : float, optional
        Ridge weight of the single-task start; default: the coupling.

    Raises
    ------
    DataError
        For wrong shapes or an order that is not a list of different tasks.
    """
    check_tolerance(tol)
    point = Problem(tasks, model).at(W, B)
    point.problem.check()
    model = point.model
    check_model(model)
    small = in_few_rows(point, order)
    start = _ridge_start(small.tasks, model if ridge is None else replace(model, coupling=ridge))
    audit = _Audit(small, start, order)
    infeasible = max(infeasibility(model, point.B), audit.backward)
    return concluded("curriculum", point, small, audit, order, feasibility=infeasible, tol=tol)


class _Audit(Sums):
    """Residuals and gaps of all steps of a curriculum, in its order."""

    def __init__(self, point: Point, start: Array, order: tuple[int, ...]) -> None:
        super().__init__()
        tasks, model, W, B = point.tasks, point.model, point.W, point.B
        current, c = start.copy(), point.problem.task_weight
        learned: list[int] = []
        partial = np.zeros_like(B)
        for t in order:
            losses = model.losses(tasks, current)
            best = all_outgoing(model, c, losses, current, partial, learned)
            cost = outgoing_cost(model, c, losses, current, partial, t, learned, B[t])
            self.gap_B += max(0.0, cost - min(choice.cost for choice in best.values()))
            scale = 2.0 * model.coupling * float(current[:, t] @ current[:, t])
            misses = scale * np.abs(B[t] - best[t].row)
            miss_B = float(misses.max())
            ratio_B = Misses(misses, row_sizes(model, c, losses, current, partial, t, learned)).relative()
            partial[t] = B[t]
            step = refit_step(point.at(B=partial), t, learned)
            w = W[:, t : t + 1]
            gradient = step.pull(w) + step.coupling(w)
            self.gap_W += float((gradient**2).sum()) / (4.0 * model.coupling)
            self.add_gain(*_refit_gain(point, step, t, learned))
            self.worst = np.maximum(
                self.worst, [np.abs(tasks.lift(gradient)).max(), miss_B, step.relative(w), ratio_B]
            )
            current[:, t] = W[:, t]
            learned.append(t)
        backward = [B[t, order[:i]].max(initial=0.0) for i, t in enumerate(order)]
        self.backward = float(max(backward, default=0.0))


def _refit_gain(point: Point, step: Coupled, t: int, learned: list[int]) -> tuple[float, str]:
    """What a move of w_t can gain in eq. 6, and by which bound."""
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    rounding = (len(learned) + 2) * float(np.finfo(np.float64).eps)
    return task_gain(
        model.loss,
        tasks.tasks[t],
        W[:, t],
        float(step.a[0]),
        coupling=model.coupling,
        target=W[:, learned] @ B[learned, t],
        room=rounding * (np.abs(W[:, learned]) @ np.abs(B[learned, t])),
        turned=tasks.basis is not None,
    )


def _ridge_start(tasks: TaskSet, model: Model) -> Array:
    """Single-task W by NumPy: Newton's method on each strongly convex task, damped, to rounding."""
    columns = []
    root, zero = np.array([[math.sqrt(model.coupling)]]), np.zeros((tasks.d, 1))
    for task, c in zip(tasks, model.task_weight(tasks), strict=True):
        step = Coupled(model.loss, (task,), np.array([c]), root, zero)
        columns.append(task_minimum(step, zero)[:, 0])
    return np.column_stack(columns)
