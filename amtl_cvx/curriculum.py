r"""Curriculum learning: Algorithm 2 of [L16], and single-task learning, where it starts.

From single-task W (ridge weight `Options.ridge`, by default the coupling), U = all tasks, nothing learned.
Repeat until U is empty:

    (eq. 5) for every t in U, with r_s = w_s - sum_{j learned} B[j, s] w_j, the outgoing row over s in U \ {t}
                B[t, s] = max(0, (r_s'w_t - price_t / (2 coupling)) / ||w_t||^2),   price_t = mu c_t l_t
            and its cost
                (1 + mu ||b_t^o||_1) c_t l_t + coupling sum_{s in U \ {t}} ||r_s - B[t, s] w_t||^2;
            the t of least cost is learned next
    (eq. 6) refit
                w_t = argmin (1 + mu ||b_t^o||_1) c_t L_t(w) + coupling ||w - sum_{j learned} B[j, t] w_j||^2.

The graph is acyclic and the order is part of the result. l_t in eq. 5 is taken at the not yet refitted w_t,
ties go to the smallest index, w_t = 0 gives a zero row. Every step is convex: eq. 5 has the closed form
above, eq. 6 is the one-task W-problem of `subproblems`. So every step has a gap, and the certificate is their
sum; the result as a whole is not a first-order point of J.

Source: Lee, Yang, Hwang, ICML 2016, section 3.2, Algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import (
    Certificate,
    Residuals,
    certify,
    check_tolerance,
    conclude,
    infeasibility,
    residuals,
    resolution,
    task_gain,
)
from amtl_cvx.certificate.residuals import ROOM, Misses
from amtl_cvx.coordinator import Options, start_run
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.run import Run, finish
from amtl_cvx.solution import Solution, Status
from amtl_cvx.subproblems import Coupled, TaskWeightStep, WeightStep, one_task
from amtl_cvx.tasks import TaskSet

_TIE = 1e-12
"""Costs of eq. 5 that differ by less than this, relatively, are a tie."""


class Choice(NamedTuple):
    """Eq. 5 for one task: its outgoing row (T,) and its cost."""

    row: Array
    cost: float


def outgoing(model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int]) -> Choice:
    """Eq. 5 in closed form; columns of `W` are refitted for learned tasks, single-task for others."""
    others = [s for s in range(len(B)) if s != t and s not in learned]
    price = float(_prices(model, c * losses)[t])
    R = W - W[:, learned] @ B[learned]
    size = float(W[:, t] @ W[:, t])
    row = np.zeros(len(B))
    if size > 0:
        row[others] = np.maximum(0.0, (R[:, others].T @ W[:, t] - price / (2.0 * model.coupling)) / size)
    return Choice(row, outgoing_cost(model, c, losses, W, B, t, learned, row))


def outgoing_cost(
    model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int], row: Array
) -> float:
    """The objective of eq. 5 at an outgoing row of task t."""
    others = [s for s in range(len(B)) if s != t and s not in learned]
    R = W - W[:, learned] @ B[learned]
    misfit = R[:, others] - np.outer(W[:, t], row[others])
    price = float(_prices(model, c * losses)[t])
    return float(c[t] * losses[t] + price * row.sum() + model.coupling * (misfit**2).sum())


def row_sizes(model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int]) -> Array:
    """What 2 coupling ||w_t||^2 times the outgoing row of task t in eq. 5 is summed from, (T,)."""
    inner = np.abs(W[:, t] @ W) + ROOM * (np.abs(W[:, t]) @ np.abs(W))
    price = float(_prices(model, c * losses)[t])
    sizes: Array = price + 2.0 * model.coupling * (inner + inner[learned] @ np.abs(B[learned]))
    return sizes


def refit_step(point: Point, t: int, learned: list[int]) -> Coupled:
    """Eq. 6 as data of the one-task W-problem."""
    model, B = point.model, point.B
    c = point.problem.task_weight
    row = np.zeros_like(B)
    row[t] = B[t]
    a = c[t : t + 1] * (1.0 + model.transfer.weights(row)[t : t + 1])
    k = math.sqrt(model.coupling)
    target = point.W[:, learned] @ B[learned, t]
    return one_task(point.tasks, model, t, a=a, k=k, target=target)


def single_task(tasks: TaskSet, model: Model, options: Options) -> Solution:
    """Single-task learning: every task alone, ridge weight = coupling (the W-step at B = 0)."""
    model.check(tasks)
    run = start_run(Problem(tasks, model), options, method="stl")
    status = Status.STALLED
    try:
        if run.state is None:
            _start(run, options)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    certificate = certify(Problem(tasks, model).at(run.W, run.B), tol=options.tol, kind="single-task")
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(tasks, run, certificate, status=status, seconds=run.seconds())


def curriculum(tasks: TaskSet, model: Model, options: Options) -> Solution:
    """Algorithm 2; see the module essay. `Solution.order` holds the order of learning.

    Raises
    ------
    ModelError
        If the transfer penalty is not a price on outgoing edges (eq. 5 has no closed form then), or the loss
        has kinks.
    """
    model.check(tasks)
    _check_model(model)
    run = start_run(Problem(tasks, model), options, method="curriculum")
    status = Status.STALLED
    try:
        if run.state is None:
            run.ridge = options.ridge
            _start(run, options)
        step = TaskWeightStep.compile(run.tasks, model, backend=run.backend, problems=options.problems)
        while len(run.order) < tasks.T:
            run.round += 1
            _learn_next(run, step, run.order)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    order = tuple(run.order)
    certificate = certify_curriculum(tasks, model, run.W, run.B, order, ridge=run.ridge, tol=options.tol)
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(tasks, run, certificate, status=status, seconds=run.seconds())


def _start(run: Run, options: Options) -> None:
    """Single-task W with the run's ridge weight, or with the coupling."""
    model = run.model if run.ridge is None else replace(run.model, coupling=run.ridge)
    step = WeightStep.compile(run.tasks, model, backend=run.backend, problems=options.problems)
    run.point = run.point.at(B=np.zeros_like(run.B))
    W, solved = step.solve(Problem(run.tasks, model).at(run.W, run.B))
    run.point = run.point.at(W=W)
    run.note("stl", solved)


def _learn_next(run: Run, step: TaskWeightStep, learned: list[int]) -> None:
    c, losses = run.problem.task_weight, run.point.losses
    waiting = [t for t in range(run.tasks.T) if t not in learned]
    choices = {t: outgoing(run.model, c, losses, run.W, run.B, t, learned) for t in waiting}
    least = min(choice.cost for choice in choices.values())
    chosen = next(t for t in waiting if choices[t].cost <= least + _TIE * abs(least))
    B, W = run.B.copy(), run.W.copy()
    B[chosen] = choices[chosen].row
    data = refit_step(run.point.at(B=B), chosen, learned)
    refitted, solved = step.minimise(data, W[:, chosen : chosen + 1])
    W[:, chosen] = refitted[:, 0]
    run.point = run.problem.at(W, B)
    learned.append(chosen)
    run.note(f"task {chosen}", solved)


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
    _check_model(model)
    if len(set(order)) < len(order) or not set(order) <= set(range(tasks.T)):
        raise DataError(f"order must list different tasks out of 0..{tasks.T - 1}, got {order}")
    reduced = point.reduced
    small = Problem(model.compress(reduced.tasks), model).at(reduced.W, point.B)
    start = _ridge_start(small.tasks, model if ridge is None else replace(model, coupling=ridge))
    audit = _Audit(small, start, order)
    reasons = {} if len(order) == tasks.T else {"order": f"{len(order)} of {tasks.T} tasks were learned"}
    infeasible = max(infeasibility(model, point.B), audit.backward)
    return conclude(
        kind="curriculum",
        objective=point.objective,
        found=audit.residuals,
        relative=audit.residuals.relative if not reasons else math.inf,
        joint_relative=residuals(small).relative,
        feasibility=infeasible,
        gaps=(audit.gap_W, audit.gap_B),
        gap_W_exact=False,
        gain_W=audit.gain_W,
        gain_W_by=audit.by,
        resolution=resolution(small.problem),
        B=point.B,
        tol=tol,
        reasons=reasons,
    )


class _Audit:
    """Residuals and gaps of all steps of a curriculum, in its order."""

    def __init__(self, point: Point, start: Array, order: tuple[int, ...]) -> None:
        self.gap_W = self.gap_B = self.gain_W = self._most = 0.0
        self.by = "none"
        self.worst = np.zeros(4)
        tasks, model, W, B = point.tasks, point.model, point.W, point.B
        current, c = start.copy(), point.problem.task_weight
        learned: list[int] = []
        partial = np.zeros_like(B)
        for t in order:
            losses = model.losses(tasks, current)
            waiting = [s for s in range(tasks.T) if s not in learned]
            best = {s: outgoing(model, c, losses, current, partial, s, learned) for s in waiting}
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
            self._add_gain(*_refit_gain(point, step, t, learned))
            self.worst = np.maximum(
                self.worst, [np.abs(tasks.lift(gradient)).max(), miss_B, step.relative(w), ratio_B]
            )
            current[:, t] = W[:, t]
            learned.append(t)
        backward = [B[t, order[:i]].max(initial=0.0) for i, t in enumerate(order)]
        self.backward = float(max(backward, default=0.0))

    def _add_gain(self, gain: float, by: str) -> None:
        """Add what the refit of a task can gain; the bound that is named is that of the largest."""
        self.gain_W += gain
        if not gain <= self._most:
            self._most, self.by = gain, by

    @property
    def residuals(self) -> Residuals:
        return Residuals(*(float(value) for value in self.worst))


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
    root = np.array([[math.sqrt(model.coupling)]])
    for task, c in zip(tasks, model.task_weight(tasks), strict=True):
        step = Coupled(model.loss, (task,), np.array([c]), root, np.zeros((tasks.d, 1)))
        w = np.zeros((tasks.d, 1))
        for _ in range(100):
            gradient = step.pull(w) + step.coupling(w)
            H = c * model.loss.hessian(task, w[:, 0]) + 2.0 * model.coupling * np.eye(tasks.d)
            direction = -np.linalg.solve(H, gradient)
            slope, value = float((gradient * direction).sum()), step.value(w)
            length = model.loss.step_length((task,), direction)
            while step.value(w + length * direction) > value + 1e-4 * length * slope + 1e-14 * abs(value):
                length /= 2.0
            w = w + length * direction
            small = -slope <= 1e-26 * max(abs(value), 1e-300) or step.relative(w) <= 1e-14
            if small and not step.unbalanced(w, value):
                break
        columns.append(w[:, 0])
    return np.column_stack(columns)


def _check_model(model: Model) -> None:
    if not model.loss.smooth:
        raise ModelError(
            f"the curriculum needs a loss with a gradient, the {model.loss.name} loss has kinks: use"
            " 'alternating' or 'stl'"
        )
    if model.omega is not None:
        raise ModelError(
            f"the curriculum learns task by task, it knows no penalty on W ({model.omega.name}): use"
            " 'alternating' or 'stl'"
        )
    _prices(model, np.zeros(1))


def _prices(model: Model, weighted_losses: Array) -> Array:
    prices = model.transfer.row_prices(weighted_losses)
    if prices is None:
        raise ModelError(
            f"the curriculum needs a linear transfer penalty, {type(model.transfer).__name__} is not:"
            " use 'alternating'"
        )
    return prices
