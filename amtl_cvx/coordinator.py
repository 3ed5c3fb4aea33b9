r"""The coordinator: alternate the two convex steps, watch the descent, stop on the certificate, refine.

Algorithm 1 of [L16], from B = 0:

    repeat   W <- argmin J(., B)   (WeightStep, CVXPY)
             B <- argmin J(W, .)   (TransferStep, CVXPY)

* J never rises. An exact half-step cannot raise it and an inexact one by at most the duality gap of its own
  result. A rise beyond that gap is an error of the run (`SolveError` with step and round); a rise within it
  is not taken: the block keeps its previous value.
* The run stops on the residuals and gaps of the certificate, never on a change of J or of the iterates.
* Plain alternation is slow near the end, so `refine` takes over from the alternation's own iterate, once the
  relative residual is below `handover`, or at the round limit, or when neither step is taken any more. The
  default depends on what a round costs next to a Newton step: 0.002 where the fast engine solves a large
  W-step by conjugate gradients, with a hundred rounds to a Newton step; else 0.05, or 0.1 for up to
  `DENSE_SIZE` unknowns in W, and after a hundred rounds in any case. Where the CVXPY problems hand over a
  large W, the rounds go on in NumPy to the 0.002 of the fast engine before Newton begins. Waiting longer
  keeps hardly more runs in the basin of the plain alternation (reports/benchmark/handover.md).
* Where T - 1 > d the columns of W are dependent: the first B-step rebuilds each from the others almost
  exactly, and from there the alternation crawls for hundreds of rounds, past basins that change with the
  round (T = 20, d = 10, coupling 10, mu 1e-3: five different ones from rounds 1 to 50). There refinement
  takes over after the first W-step, at B = 0, as long as all T (T - 1) edges fit into one of its steps.
  Without refinement the alternation goes on to `tol`.
* With refinement on, a W-step looks ahead along the last change of B first (`_Ahead`): it is solved at
  B + factor (B - previous B) and taken if J does not rise, else solved at B. Measured: 38 rounds instead of
  157 to a residual of 1e-6 at T = 15, d = 20, in the same basin. A penalty without row prices, which Newton
  steps cannot refine, goes on like this to `tol`.
* The engine is "cvxpy", the compiled problems, or "fast", the NumPy steps of `subproblems.direct`, which
  tests hold against them.

Source: Lee, Yang, Hwang, ICML 2016, Algorithm 1; biconvex alternation: Gorski, Pfeuffer, Klamroth 2007.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from amtl_cvx.certificate import (
    Certificate,
    certify,
    check_tolerance,
    infeasibility,
    residuals,
    transfer_gap,
    weight_gap,
)
from amtl_cvx.errors import ModelError, SolveError
from amtl_cvx.model import Model
from amtl_cvx.refine import WORKING_LIMIT, can_refine, refine
from amtl_cvx.solution import Point, Record, Solution, Status
from amtl_cvx.solvers import Backend, GpuChoice, Solved, check_solver, gpu_for
from amtl_cvx.subproblems import HalfStep, Problems, TaskWeightStep, WeightStep, compile_transfer_step, kept
from amtl_cvx.subproblems.direct import DENSE_SIZE, DirectTransferStep, DirectWeightStep
from amtl_cvx.tasks import Array, TaskSet, check_weights

Callback = Callable[[Record], None]
_PATIENCE = 100  # rounds after which refinement takes over anyway, where a round costs as a Newton step does
REFINE_STEPS = 300
"""Limit for the accepted steps of refinement."""
_NOISE = 1e-13  # relative size of rounding in J


class BlockStep(Protocol):
    """A half-step of the alternation, on W or on B (the steps of `subproblems`)."""

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep: ...


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is carried out; what is solved is the `Model`'s business.

    Parameters
    ----------
    tol : float
        Limit for the certificate's relative residual and relative gaps.
    max_rounds : int
        Rounds of alternation; refinement comes on top.
    refine : bool
        Refine after the alternation.
    handover : float, optional
        Relative residual at which the alternation hands over to refinement; by default it depends on the
        size and the engine (see the module essay).
    sweep : {"joint", "tasks"}
        W-step over all tasks at once, or one Gauss-Seidel sweep task by task (which can reach another point).
    definition : bool
        Solve the W-step in the form of its definition (exponential cones for the logistic loss); slow.
    ridge : float, optional
        Ridge weight of the curriculum's single-task start; default: the model's coupling.
    solver : str
        "auto" or the solver to try first in every step.
    gpu : {"auto", "on", "off"}
        Whether SCS solves on a GPU where a step is large enough (see `solvers.gpu`).
    solve_limit : float, optional
        Seconds in which a solver must answer one subproblem, before the next one is tried; default: ten
        minutes, and more for a large problem (`solvers.SOLVE_LIMIT`).
    engine : {"cvxpy", "fast"}
        Who solves the two steps: CVXPY problems, or NumPy (linear penalty, joint sweep).
    callback : callable(Record), optional
        Called after every step.
    problems : Problems, optional
        Where compiled problems are kept, for several fits in one thread; by default each fit has its own.
    executor : concurrent.futures.Executor, optional
        Workers for the columns of the B-step and the Hessians of the W-step, where these are large (see
        `parallel`).
    start : Point, optional
        W (d, T) and a feasible B (T, T) from which the alternation begins, with the W-step; default: zeros.

    Raises
    ------
    ModelError, SolverUnavailableError
    """

    tol: float = 1e-8
    max_rounds: int = 500
    refine: bool = True
    handover: float | None = None
    sweep: Literal["joint", "tasks"] = "joint"
    definition: bool = False
    ridge: float | None = None
    solver: str = "auto"
    gpu: GpuChoice = "auto"
    solve_limit: float | None = None
    engine: Literal["cvxpy", "fast"] = "cvxpy"
    callback: Callback | None = None
    problems: Problems | None = None
    executor: Executor | None = None
    start: Point | None = None

    def __post_init__(self) -> None:
        check_tolerance(self.tol)
        rounds: object = self.max_rounds
        if not (isinstance(rounds, int) and rounds >= 1):
            raise ModelError(f"max_rounds must be a whole number >= 1, got {rounds!r}")
        if self.handover is not None and not self.handover > 0:
            raise ModelError(f"handover must be a number > 0, got {self.handover!r}")
        if self.ridge is not None and not self.ridge > 0:
            raise ModelError(f"ridge must be a number > 0, got {self.ridge!r}")
        if self.solve_limit is not None and not self.solve_limit > 0:
            raise ModelError(f"solve_limit must be a number of seconds > 0, got {self.solve_limit!r}")
        if self.sweep not in ("joint", "tasks"):
            raise ModelError(f"sweep must be 'joint' or 'tasks', got {self.sweep!r}")
        if self.definition and self.sweep == "tasks":
            raise ModelError("the definition of the W-step is joint: choose sweep 'joint' with it")
        if self.engine not in ("cvxpy", "fast"):
            raise ModelError(f"engine must be 'cvxpy' or 'fast', got {self.engine!r}")
        if self.engine == "fast" and (self.definition or self.sweep == "tasks" or self.solver != "auto"):
            raise ModelError(
                "the fast engine has its own joint steps: leave out solver, sweep and definition, or choose"
                " engine 'cvxpy'"
            )
        object.__setattr__(self, "solver", check_solver(self.solver))
        gpu_for(self.gpu, self.solver)
        if self.engine == "fast" and self.gpu == "on":
            raise ModelError("the fast engine does not use a GPU: choose gpu 'auto' or engine 'cvxpy'")

    @property
    def backend(self) -> Backend:
        """The solver to try first, its limit, the GPU's part: new for each fit, it remembers failures."""
        gpu = gpu_for(self.gpu, self.solver)
        return Backend(solver=self.solver, gpu=gpu, limit=self.solve_limit)


@dataclass(kw_only=True)
class Run:
    """The running record of a fit: the current point, its history and where the time went."""

    tasks: TaskSet
    model: Model
    callback: Callback | None
    backend: Backend
    W: Array = field(init=False)
    B: Array = field(init=False)
    at_zero: Array = field(init=False)
    round: int = 0
    history: list[Record] = field(default_factory=list)
    compile_seconds: float = 0.0
    solver_seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.W, self.B = np.zeros((self.tasks.d, self.tasks.T)), np.zeros((self.tasks.T, self.tasks.T))
        self.at_zero = self.model.loss_gradient(self.tasks, self.W)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def note(self, step: str, solved: Solved, objective: float | None = None) -> Record:
        """Add the current point to the history; its objective is computed where it is not given."""
        self.compile_seconds += solved.compile_seconds
        self.solver_seconds += solved.seconds
        found = residuals(self.tasks, self.model, self.W, self.B, at_zero=self.at_zero)
        if objective is None:
            objective = self.model.objective(self.tasks, self.W, self.B)
        record = Record(
            round=self.round,
            step=step,
            objective=objective,
            stationarity_W=found.stationarity_W,
            stationarity_B=found.stationarity_B,
            relative=found.relative,
            seconds=self.elapsed,
            solver=solved.solver,
            solver_status=solved.status,
            solver_seconds=solved.seconds,
        )
        self.history.append(record)
        if self.callback is not None:
            self.callback(record)
        return record

    def seconds(self, **parts: float) -> dict[str, float]:
        """Where the time went."""
        return {
            "total": self.elapsed,
            "compile": self.compile_seconds,
            "solvers": self.solver_seconds,
            **parts,
        }


def alternate(tasks: TaskSet, model: Model, options: Options) -> Solution:
    """AMTL by alternation and refinement; see the module essay.

    Returns
    -------
    Solution
        With the certificate on the original rows and an honest status; `KeyboardInterrupt` gives the best
        point so far, status "interrupted".

    Raises
    ------
    DataError
        Where the tasks or the start do not fit the model.
    SolveError
        Where no solver answers, or J rises beyond the accuracy of a step.
    """
    model.check(tasks)
    run = Run(tasks=model.compress(tasks), model=model, callback=options.callback, backend=options.backend)
    if options.start is not None:
        run.W, run.B = _checked(options.start, tasks, model)
    status, refined = Status.ROUND_LIMIT, 0.0
    try:
        status = _rounds(tasks, run, options)
        if status is not Status.CERTIFIED and options.refine and can_refine(model):
            before = run.elapsed
            if options.engine == "cvxpy" and model.loss.smooth and run.W.size > DENSE_SIZE:
                status = _rounds(tasks, run, _in_numpy(options))
            if status is not Status.CERTIFIED:
                status = _refine(run, options)
            refined = run.elapsed - before
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    before = run.elapsed
    certificate = certify(tasks, model, run.W, run.B, tol=options.tol)
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(
        tasks,
        run,
        certificate,
        status=status,
        method="alternating",
        seconds=run.seconds(refine=refined, certificate=run.elapsed - before),
    )


def finish(
    tasks: TaskSet,
    run: Run,
    certificate: Certificate,
    *,
    status: Status,
    method: str,
    seconds: dict[str, float],
    order: tuple[int, ...] | None = None,
    ridge: float | None = None,
) -> Solution:
    """The solution at the run's current point."""
    return Solution(
        W=run.W,
        B=run.B,
        losses=run.model.losses(tasks, run.W),
        objective=certificate.objective,
        certificate=certificate,
        status=status,
        history=tuple(run.history),
        method=method,
        model=run.model,
        task_names=tasks.names,
        feature_names=tasks.feature_names,
        order=order,
        ridge=ridge,
        seconds=seconds,
        gpu=run.backend.gpu.sentence(),
    )


def _checked(start: Point, tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """W and B of a start, or an error where they do not fit."""
    W, B = check_weights(start.W, start.B, d=tasks.d, T=tasks.T)
    if infeasibility(model, B) > 0.0:
        raise ModelError(
            f"B of the start is not feasible (by {infeasibility(model, B):.3g}): it must be >= 0 off a zero"
            " diagonal"
        )
    return W, B


def _rounds(tasks: TaskSet, run: Run, options: Options) -> Status:
    """The alternation; leaves the last point in `run`."""
    weight_step, transfer_step = _compile(run, options)
    refining = options.refine and can_refine(run.model)
    at_once = refining and tasks.d < tasks.T - 1 and tasks.T * (tasks.T - 1) <= WORKING_LIMIT
    ahead = _Ahead()
    first = run.round + 1
    for run.round in range(first, options.max_rounds + 1):
        looked = options.refine and ahead.step(run, weight_step)
        moved_W = looked or _half_step(run, weight_step, "W")
        if at_once:
            return Status.ROUND_LIMIT
        moved_B = _half_step(run, transfer_step, "B")
        relative = run.history[-1].relative
        if relative <= options.tol and certify(tasks, run.model, run.W, run.B, tol=options.tol).passes:
            return Status.CERTIFIED
        if refining and _hands_over(run, options):
            return Status.ROUND_LIMIT
        if not (moved_W or moved_B):
            return Status.STALLED
    return Status.ROUND_LIMIT


def _hands_over(run: Run, options: Options) -> bool:
    """Whether refinement takes over now (see the module essay)."""
    relative = run.history[-1].relative
    if options.handover is not None:
        return relative <= options.handover
    last_W = next(record for record in reversed(run.history) if record.step == "W")
    if run.W.size > DENSE_SIZE and last_W.solver == "conjugate-gradients":
        return relative <= 2e-3
    return relative <= (0.05 if run.W.size > DENSE_SIZE else 0.1) or run.round >= _PATIENCE


def _in_numpy(options: Options) -> Options:
    """The same run with the steps of the fast engine."""
    return replace(options, engine="fast", sweep="joint", definition=False, solver="auto", gpu="auto")


def _compile(run: Run, options: Options) -> tuple[BlockStep, BlockStep]:
    tasks, model = run.tasks, run.model
    backend, problems = run.backend, kept(options.problems)
    weight_step: BlockStep
    if not model.loss.smooth and options.sweep == "tasks":
        raise ModelError(f"the {model.loss.name} loss has kinks, its W-step is joint: choose sweep 'joint'")
    if options.engine == "fast":
        return DirectWeightStep(), _direct_transfer_step(model)
    if options.definition:
        weight_step = WeightStep.definition(tasks, model, backend=backend)
    elif options.sweep == "tasks":
        weight_step = TaskWeightStep.compile(tasks, model, backend=backend, problems=problems)
    else:
        weight_step = WeightStep.compile(
            tasks, model, backend=backend, problems=problems, executor=options.executor
        )
    return weight_step, compile_transfer_step(
        tasks, model, backend=backend, problems=problems, executor=options.executor
    )


def _direct_transfer_step(model: Model) -> DirectTransferStep:
    if not can_refine(model):
        raise ModelError(
            f"the fast engine needs a penalty with row prices, {type(model.transfer).__name__} has none:"
            " choose engine 'cvxpy'"
        )
    return DirectTransferStep()


@dataclass
class _Ahead:
    """Extrapolation of the alternation: further after a success, less far after a failure."""

    factor: float = 1.0
    previous: Array | None = None

    def step(self, run: Run, weight_step: BlockStep) -> bool:
        """The W-step at an extrapolated B, on the edges there are; whether it was taken."""
        previous, self.previous = self.previous, run.B
        if previous is None:
            return False
        moved = np.where(run.B != 0, run.B + self.factor * (run.B - previous), 0.0)
        B = run.model.transfer.project(moved)
        if np.array_equal(B, run.B):
            return False
        W, solved = _solved(run, weight_step, B)
        objective = run.model.objective(run.tasks, W, B)
        if objective > run.history[-1].objective:
            self.factor = max(0.5 * self.factor, 0.1)
            run.solver_seconds += solved.seconds
            return False
        self.factor = min(1.2 * self.factor, 100.0)
        run.W, run.B = W, B
        run.note("W", solved, objective)
        return True


def _solved(run: Run, step: BlockStep, B: Array) -> HalfStep:
    """The step's answer at (W, B); its error names the round."""
    try:
        return step.solve(run.tasks, run.model, run.W, B)
    except SolveError as error:
        raise error.in_round(run.round) from error


def _half_step(run: Run, step: BlockStep, name: Literal["W", "B"]) -> bool:
    """One half-step: taken if J does not rise, refused within its gap, an error beyond. Whether it moved."""
    value, solved = _solved(run, step, run.B)
    before = run.W, run.B
    W, B = (value, run.B) if name == "W" else (run.W, value)
    last = run.history[-1].objective if run.history else None
    old = run.model.objective(run.tasks, run.W, run.B) if last is None else last
    new = run.model.objective(run.tasks, W, B)
    if new <= old + _NOISE * abs(old):
        run.W, run.B, objective = W, B, new
    else:
        _check_rise(run, name, (W, B), new - old, solved)
        objective = old
        solved = replace(solved, status=f"{solved.status}, not taken")
    run.note(name, solved, objective)
    return not (np.array_equal(run.W, before[0]) and np.array_equal(run.B, before[1]))


def _check_rise(run: Run, name: str, point: tuple[Array, Array], rise: float, solved: Solved) -> None:
    """Raise `SolveError` if J rose by more than the duality gap of the block that moved."""
    gap = (weight_gap if name == "W" else transfer_gap)(run.tasks, run.model, *point)[0]
    noise = 1e-12 * abs(run.history[-1].objective if run.history else 0.0)
    if gap is not None and rise > gap * (1.0 + 1e-6) + noise:
        raise SolveError(
            f"round {run.round}: the {name}-step raised the objective by {rise:.3g}, beyond its duality gap"
            f" {gap:.3g} ({solved.solver}, {solved.status}): try another solver and report this",
            step=name,
            solver=solved.solver,
            status=solved.status,
            round=run.round,
        )


def _refine(run: Run, options: Options) -> Status:
    """Refine from the iterate, recording every accepted step; leaves the last point in `run`."""
    base = run.round

    def observe(W: Array, B: Array, method: str) -> None:
        run.W, run.B = W, B
        run.round += 1
        run.note("refine", Solved(solver=method, status="accepted", seconds=0.0))

    start = run.W, run.B
    run.W, run.B = refine(
        run.tasks, run.model, start, tol=options.tol, max_steps=REFINE_STEPS, observe=observe
    )
    return Status.ROUND_LIMIT if run.round - base >= REFINE_STEPS else Status.STALLED
