"""Fits of the curriculum and of single tasks, with what they carry from step to step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, certify
from amtl_cvx.certificate.alone import kinked_parts
from amtl_cvx.coordinator import start_run
from amtl_cvx.curriculum.audit import certify_curriculum
from amtl_cvx.curriculum.rows import all_outgoing, check_model, refit_step
from amtl_cvx.errors import DataError, SolveError
from amtl_cvx.families import Memory, Method
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model, Point, Problem
from amtl_cvx.run import Run, finish
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems import (
    HalfStep,
    PenalisedWeightStep,
    TaskWeightStep,
    WeightStep,
    compile_weight_step,
)
from amtl_cvx.subproblems.covariance import has_covariance, last_digits
from amtl_cvx.subproblems.numpy_steps import DENSE_SIZE, DirectWeightStep
from amtl_cvx.subproblems.roots import root_step
from amtl_cvx.tasks import TaskSet

_TIE = 1e-12
"""Costs of eq. 5 that differ by less than this, relatively, are a tie."""
_CONE = 40
"""Rows and columns of W up to which CVXPY's cone of its trace norm is solved in about a second."""
_ROOTS = 20
"""Steps, at most, from roots of the Hessian: its columns may depend on each other all but for little."""


@dataclass(kw_only=True)
class Learned(Memory):
    """The tasks learned so far, and the ridge weight of the start."""

    order: list[int] = field(default_factory=list)
    ridge: float | None = None

    def facts(self) -> dict[str, Any]:
        return {"order": list(self.order), "ridge": self.ridge}

    def told(self) -> dict[str, Any]:
        return {"order": tuple(self.order), "ridge": self.ridge}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        order, ridge = [int(t) for t in facts["order"]], facts["ridge"]
        if (
            len(set(order)) < len(order)
            or min(order, default=0) < 0
            or not (ridge is None or 0.0 < ridge < np.inf)
        ):
            raise ValueError("its parts do not fit together")
        self.order, self.ridge = order, None if ridge is None else float(ridge)


@dataclass(frozen=True, kw_only=True)
class Curriculum(Method):
    """Curriculum learning, Algorithm 2.

    Parameters
    ----------
    ridge : float, optional
        Ridge weight of its single-task start; default: the model's coupling.
    """

    name = "curriculum"
    kind = "curriculum"
    ridge: float | None = None

    @classmethod
    def of(cls, options: Options) -> Curriculum:
        return cls(ridge=options.ridge)

    def run(self, tasks: TaskSet, model: Model, options: Options) -> Solution:
        return curriculum(tasks, model, replace(options, ridge=self.ridge))

    def judge(self, tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
        if point.order is None:
            raise DataError(
                "a curriculum is judged with its order of learning: the solution has no array 'order'"
            )
        return certify_curriculum(tasks, model, point.W, point.B, point.order, ridge=point.ridge, tol=tol)

    def memory(self) -> Learned:
        return Learned(ridge=self.ridge)

    def accepts(self, state: State) -> bool:
        learned = Learned()
        learned.restore(state.facts, {})
        return max(learned.order, default=0) < len(state.B)


@dataclass(frozen=True, kw_only=True)
class SingleTask(Method):
    """Each task alone: the W-step at B = 0, a ridge regression of weight `coupling`.

    At coupling 0 J = sum_t c_t L_t(w_t) + Omega(W) by itself: convex, so that its gap is global.
    """

    name = "stl"
    kind = "single-task"
    uncoupled = True

    def run(self, tasks: TaskSet, model: Model, options: Options) -> Solution:
        return single_task(tasks, model, options)

    def judge(self, tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
        return certify(Problem(tasks, model).at(point.W, point.B), tol=tol, kind="single-task")


def single_task(tasks: TaskSet, model: Model, options: Options) -> Solution:
    """Single-task learning: every task alone, ridge weight = coupling (the W-step at B = 0)."""
    model.check(tasks)
    run = start_run(Problem(tasks, model).compressed(), options, method=SingleTask())
    status = Status.STALLED
    try:
        if run.state is None:
            _start(run, tasks, options, ridge=None)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    certificate = run.verdict(
        lambda: certify(Problem(tasks, model).at(*run.point), tol=options.tol, kind="single-task")
    )
    if status is not Status.INTERRUPTED:
        growing = Status.GROWING if "minimum" in certificate.reasons else status
        status = Status.CERTIFIED if certificate.passes else growing
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
    check_model(model)
    learned = Learned(ridge=options.ridge)
    run = start_run(Problem(tasks, model).compressed(), options, method=Curriculum(), memory=learned)
    status = Status.STALLED
    try:
        if run.state is None:
            _start(run, tasks, options, ridge=learned.ridge)
        step = TaskWeightStep.compile(run.tasks, model, backend=run.backend, problems=options.problems)
        while len(learned.order) < tasks.T:
            run.round += 1
            _learn_next(run, step, learned.order)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    order, (W, B) = tuple(learned.order), run.point
    certificate = run.verdict(
        lambda: certify_curriculum(tasks, model, W, B, order, ridge=learned.ridge, tol=options.tol)
    )
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(tasks, run, certificate, status=status, seconds=run.seconds())


def _start(run: Run, tasks: TaskSet, options: Options, *, ridge: float | None) -> None:
    """Single-task W with that ridge weight, or with the coupling; `tasks` have the rows as given."""
    own: Model = run.problem.model
    model = own if ridge is None else replace(own, coupling=ridge)
    run.point = run.point.at(B=np.zeros_like(run.point.B))
    point = Problem(run.tasks, model).at(*run.point)
    if model.coupled and options.engine == "fast":
        W, solved = DirectWeightStep().solve(point)
    elif model.coupled:
        step = compile_weight_step(run.tasks, model, backend=run.backend, problems=options.problems)
        W, solved = step.solve(point)
    else:
        W, solved = _uncoupled_minimum(point, run, options)
        if has_covariance(point):
            W = last_digits(Problem(tasks, model).at(W, point.B)).W
    run.point = run.point.at(W=W)
    run.note("stl", solved)


def _uncoupled_minimum(point: Point, run: Run, options: Options) -> HalfStep:
    """The minimum of losses and Omega alone.

    Where Omega leaves directions free, what no row sees makes the compiled matrix singular, and curvatures
    may be 0 (Huber, hinge): then from the definition. Newton's method in NumPy goes on to the last digits.
    Of curved losses it is alone with the fast engine, and where a large W has a covariance.
    """
    model, free, total = point.model, not point.least_of_K > 0.0, Solved.none()
    step: WeightStep | PenalisedWeightStep | None = None
    large = has_covariance(point) and sum(point.W.shape) > _CONE
    curved = model.loss.quadratic or model.loss.concordant
    if model.loss.smooth and ((curved and options.engine == "fast") or large):
        step = None
    elif free and not curved:
        step = WeightStep.definition(point.tasks, model, backend=run.backend)
    elif not free or (model.prox_omega is not None and (point.tasks.lengths > 0.0).all()):
        step = compile_weight_step(point.tasks, model, backend=run.backend, problems=options.problems)
    with contextlib.suppress(SolveError):  # of a loss without a minimum
        if step is not None:
            W, total = step.solve(point)
            point = point.at(W=W)
    if not model.loss.smooth:
        return HalfStep(kinked_parts(point)[0] if free else point.W, total)
    with contextlib.suppress(SolveError):
        W, solved = DirectWeightStep().solve(point)
        point, total = point.at(W=W), total + solved
        for _ in range(_ROOTS if model.smooth_in_W and W.size <= DENSE_SIZE else 0):
            nearer = point.at(W=point.W + root_step(point))
            if not nearer.objective < point.objective:
                break
            point = nearer
    return HalfStep(point.W, total)


def _learn_next(run: Run, step: TaskWeightStep, learned: list[int]) -> None:
    c, losses, model = run.problem.task_weight, run.point.losses, run.problem.model
    W, B = (block.copy() for block in run.point)
    choices = all_outgoing(model, c, losses, W, B, learned)
    least = min(choice.cost for choice in choices.values())
    chosen = next(t for t, choice in choices.items() if choice.cost <= least + _TIE * abs(least))
    B[chosen] = choices[chosen].row
    data = refit_step(run.point.at(B=B), chosen, learned)
    refitted, solved = step.minimise(data, W[:, chosen : chosen + 1])
    W[:, chosen] = refitted[:, 0]
    run.point = run.problem.at(W, B)
    learned.append(chosen)
    run.note(f"task {chosen}", solved)
