r"""The simple curriculum: one task after the other, each near the one learned just before it.

    w_t = argmin_w  c_t L_t(w) + coupling ||w - w_previous||^2

Which task comes next is asked of the waiting tasks alone: what the others, still to come, will need of it is
ignored, and no task is helped by any but its predecessor. B holds the chain, an edge of 1 from each task to
the next and nothing else, so that J is AMTL's at mu = 0 and the sum of the values of the steps. The paper
leaves two things open; `reading` says how they are read:

    greedy   the first predecessor is 0, and next is the task whose step has the least value
    fixed    the tasks in the order of their single-task losses c_t L_t, the easiest first, which is where
             the chain begins: its predictor is its single-task fit

`Options.ridge` is the weight of ||w||^2 in single-task fits and in the first step, by default the coupling:
one
that holds tasks together leaves little of the first predictor, and so of all. Ties go to the smallest index.

Every step is convex and one CVXPY problem, compiled once, answers it; values that are only compared are
NumPy's (`minima`), as is the whole fit with the fast engine. The certificate holds every step against its
problem and every choice against all waiting tasks; the result as a whole is not a first-order point of J.

Sources: Pentina, Sharmanska, Lampert, Curriculum learning of multiple tasks, CVPR 2015, Algorithm 1; as a
method of comparison: Lee, Yang, Hwang, ICML 2016, section 4 ("Curriculum-simple").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate
from amtl_cvx.coordinator import start_run
from amtl_cvx.curriculum.learning import Learned
from amtl_cvx.curriculum.minima import Minima, Near, task_minimum
from amtl_cvx.curriculum.rows import check_alone
from amtl_cvx.curriculum.simple_audit import SIMPLE, certify_simple, chosen_next, plain, predecessor
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Method
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model, Problem
from amtl_cvx.run import Run, finish
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems import Coupled, HalfStep, TaskWeightStep
from amtl_cvx.tasks import TaskSet

Reading = Literal["greedy", "fixed"]


@dataclass(kw_only=True)
class Chained(Learned):
    """The tasks learned so far, the ridge weight of the start, and how the choice is read."""

    reading: Reading = "greedy"

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "reading": self.reading}

    def told(self) -> dict[str, Any]:
        return {**super().told(), "reading": self.reading}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        super().restore(facts, arrays)
        if facts["reading"] not in ("greedy", "fixed"):
            raise ValueError("its parts do not fit together")
        self.reading = facts["reading"]


@dataclass(frozen=True, kw_only=True)
class SimpleCurriculum(Method):
    """The simple curriculum, each task near its predecessor alone.

    Parameters
    ----------
    reading : {"greedy", "fixed"}
        How the order is found; see the module essay.
    ridge : float, optional
        Ridge weight of single-task fits and of the first step; default: the model's coupling.
    """

    name = "curriculum-simple"
    kind = "curriculum-simple"
    reading: Reading = "greedy"
    ridge: float | None = None

    @classmethod
    def of(cls, options: Options) -> SimpleCurriculum:
        return cls(reading=options.reading or "greedy", ridge=options.ridge)

    def run(self, tasks: TaskSet, model: Model, options: Options) -> Solution:
        return simple_curriculum(tasks, model, replace(options, ridge=self.ridge, reading=self.reading))

    def judge(self, tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
        if point.order is None:
            raise DataError(
                "a curriculum is judged with its order of learning: the solution has no array 'order'"
            )
        ridge = self.ridge if point.ridge is None else point.ridge
        return certify_simple(
            tasks, model, point.W, point.B, point.order, reading=self.reading, ridge=ridge, tol=tol
        )

    def memory(self) -> Chained:
        return Chained(ridge=self.ridge, reading=self.reading)

    def accepts(self, state: State) -> bool:
        learned = Chained()
        learned.restore(state.facts, {})
        return max(learned.order, default=0) < len(state.B)


def simple_curriculum(tasks: TaskSet, model: Model, options: Options) -> Solution:
    """The chain of tasks; see the module essay. `Solution.order` holds the order of learning.

    What edges cost has no meaning here: the solution's model has mu = 0.

    Raises
    ------
    ModelError
        If the loss has kinks, there is no coupling, or there is a penalty on W.
    """
    model.check(tasks)
    check_alone(model, SIMPLE)
    model = plain(model)
    method = SimpleCurriculum.of(options)
    chain = method.memory()
    run = start_run(Problem(tasks, model).compressed(), options, method=method, memory=chain)
    if chain.reading != method.reading:
        raise ModelError(f"the start was learned with reading {chain.reading!r}: go on with the same")
    status = Status.STALLED
    try:
        solve = _Solve(run, options)
        if run.state is None:
            _start(run, solve, chain)
        minima = Minima(run.problem)
        while len(chain.order) < tasks.T:
            run.round += 1
            _learn_next(run, solve, minima, chain)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    order, (W, B) = tuple(chain.order), run.point
    given = Blocks(W, B, order, chain.ridge)
    judge = SimpleCurriculum(reading=chain.reading, ridge=chain.ridge).judge
    certificate = run.verdict(lambda: judge(tasks, model, given, options.tol))
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(tasks, run, certificate, status=status, seconds=run.seconds())


class _Solve:
    """The step of one task: the compiled problem, or Newton's method in NumPy."""

    def __init__(self, run: Run, options: Options) -> None:
        self.step: TaskWeightStep | None = None
        if options.engine == "cvxpy":
            self.step = TaskWeightStep.compile(
                run.tasks, run.problem.model, backend=run.backend, problems=options.problems
            )

    def __call__(self, data: Coupled, start: Array) -> HalfStep:
        if self.step is not None:
            return self.step.minimise(data, start)
        return HalfStep(task_minimum(data, start), Solved(solver="numpy", status="optimal", seconds=0.0))


def _start(run: Run, solve: _Solve, chain: Chained) -> None:
    """Every task alone: where waiting tasks stand, and what the fixed order is made of."""
    minima = Minima(run.problem)
    near = predecessor(run.problem.model, run.point.W, [], ridge=chain.ridge)
    W, total = np.zeros_like(run.point.W), Solved.none()
    for t in range(run.tasks.T):
        W[:, t : t + 1], solved = solve(minima.step(t, near), W[:, t : t + 1])
        total = total + solved
    run.point = run.problem.at(W, np.zeros_like(run.point.B))
    run.note("stl", total)


def _learn_next(run: Run, solve: _Solve, minima: Minima, chain: Chained) -> None:
    W, B = (block.copy() for block in run.point)
    learned = chain.order
    near: Near = predecessor(run.problem.model, W, learned, ridge=chain.ridge)
    found = chosen_next(minima, near, W, learned, reading=chain.reading)
    t = found.task
    W[:, t : t + 1], solved = solve(minima.step(t, near), found.W[:, t : t + 1])
    if learned:
        B[learned[-1], t] = 1.0
    run.point = run.problem.at(W, B)
    learned.append(t)
    run.note(f"task {t}", solved)
