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
* With refinement on, a W-step looks ahead along the last change of B first (`_look_ahead`): it is solved at
  B + factor (B - previous B) and taken if J does not rise, else solved at B. Measured: 38 rounds instead of
  157 to a residual of 1e-6 at T = 15, d = 20, in the same basin. A penalty without row prices, which Newton
  steps cannot refine, goes on like this to `tol`.
* Where refinement ends without a certificate, exact rounds of the alternation go on in NumPy, as long as J
  falls beyond rounding: `max_rounds` from the point that was handed over to it and, unless its steps are
  used up, 50 from its last point (10 each for more than `DENSE_SIZE` unknowns in W). The lower point is
  taken and refinement begins anew, twenty times at most: so it never ends above those rounds.
  A point whose I - B is singular to the last digits ends as one that can be judged (`kept_apart`).
* The engine is "cvxpy", the compiled problems, or "fast", the NumPy steps of `subproblems.direct`, which
  tests hold against them.

Source: Lee, Yang, Hwang, ICML 2016, Algorithm 1; biconvex alternation: Gorski, Pfeuffer, Klamroth 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.certificate import (
    Certificate,
    certify,
    check_tolerance,
    transfer_gap,
    weight_gap,
)
from amtl_cvx.errors import ModelError, SolveError
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.refine import (
    FALL,
    WORKING_LIMIT,
    can_refine,
    direct_step,
    kept_apart,
    plain_rounds,
    refine,
    shortened,
)
from amtl_cvx.run import Callback, Checkpoint, Run, finish
from amtl_cvx.solution import Blocks, Solution, State, Status
from amtl_cvx.solvers import Backend, GpuChoice, Solved, check_solver, gpu_for
from amtl_cvx.subproblems import HalfStep, Problems, TaskWeightStep, WeightStep, compile_transfer_step, kept
from amtl_cvx.subproblems.direct import DENSE_SIZE, DirectWeightStep
from amtl_cvx.tasks import TaskSet

_PATIENCE = 100  # rounds after which refinement takes over anyway, where a round costs as a Newton step does
REFINE_STEPS = 1000
"""Limit for the accepted steps of refinement."""
_TURNS = 20  # how often refinement begins anew
_ROUNDS, _LARGE_ROUNDS = 50, 10  # of the alternation before it does
_SINGULAR = 1e-6  # smallest singular value of I - B below which it is kept away from singular
_NOISE = 1e-13  # relative size of rounding in J


class BlockStep(Protocol):
    """A half-step of the alternation, on W or on B (the steps of `subproblems`)."""

    def solve(self, point: Point) -> HalfStep: ...


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a fit is carried out: tolerance, rounds, engine, solver, start; what is solved is the `Model`'s.

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
    start : Blocks, Solution or State, optional
        W (d, T) and a feasible B (T, T) from which the alternation begins, with the W-step; default: zeros.
        A `State`, such as `Solution.state` of an interrupted fit, goes on as if there had been no interrupt.
    checkpoint : callable(Solution), optional
        Called with the point so far, its `state` included: after the first round, and then so that no step
        that was finished 30 s ago is lost. Its certificate is not computed and never passes.

    Raises
    ------
    ModelError
        For an option that is out of range, or contradicts another one.
    SolverUnavailableError
        For a solver that is unknown or not installed.

    Examples
    --------
    >>> from amtl_cvx import Options
    >>> Options(engine="fast", tol=1e-10).max_rounds
    500
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
    start: Blocks | Solution | State | None = None
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        check_tolerance(self.tol)
        rounds: object = self.max_rounds
        if not (isinstance(rounds, int) and is_number(rounds) and rounds >= 1):
            raise ModelError(f"max_rounds must be a whole number >= 1, got {rounds!r}")
        _check_positive("handover", self.handover)
        _check_positive("ridge", self.ridge)
        _check_positive("solve_limit", self.solve_limit, unit=" of seconds")
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


def _check_positive(name: str, value: object, *, unit: str = "") -> None:
    """Raise `ModelError` unless an option is None or a number > 0."""
    if value is not None and not (is_number(value) and value > 0):
        raise ModelError(f"{name} must be a number{unit} > 0, got {value!r}")


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
    problem = Problem(tasks, model)
    run = start_run(problem, options, method="alternating")
    certificate = None
    try:
        status, certificate = _lowered(problem, run, options)
    except KeyboardInterrupt:
        run.back()
        status = Status.INTERRUPTED
    before = run.elapsed
    certificate = certificate or certify(problem.at(run.W, run.B), tol=options.tol)
    if certificate.passes and status is not Status.INTERRUPTED:
        status = Status.CERTIFIED
    return finish(
        tasks, run, certificate, status=status, seconds=run.seconds(certificate=run.elapsed - before)
    )


def start_run(problem: Problem, options: Options, *, method: str) -> Run:
    """The record of a new fit, at the start that the options give; `AMTLError` if it does not fit."""
    run = Run(
        problem=Problem(problem.model.compress(problem.tasks), problem.model),
        method=method,
        backend=options.backend,
        tol=options.tol,
        callback=options.callback,
        checkpoint=options.checkpoint,
    )
    if options.start is not None:
        run.begin(options.start)
    return run


def _lowered(problem: Problem, run: Run, options: Options) -> tuple[Status, Certificate | None]:
    """Every part of the fit that is left, from the one that the run is in; the last point is in `run`.

    With its certificate, where that was computed.
    """
    refining = options.refine and can_refine(run.model, run.tasks.T)
    status = Status.ROUND_LIMIT
    if run.phase in ("", "rounds"):
        status = _rounds(problem, run, options, phase="rounds")
        run.alternated = run.elapsed if refining and status is not Status.CERTIFIED else None
    if status is Status.CERTIFIED or not refining:
        return status, None
    large = options.engine == "cvxpy" and run.model.loss.smooth and run.W.size > DENSE_SIZE
    if run.phase == "numpy" or (run.phase == "rounds" and large):
        status = _rounds(problem, run, _in_numpy(options), phase="numpy")
    return (status, None) if status is Status.CERTIFIED else _refine(problem, run, options)


def _rounds(problem: Problem, run: Run, options: Options, *, phase: str) -> Status:
    """The alternation, or what is left of it; leaves the last point in `run`."""
    weight_step, transfer_step = _compile(run, options)
    refining = options.refine and can_refine(run.model, run.tasks.T)
    T = problem.tasks.T
    at_once = refining and problem.tasks.d < T - 1 and T * (T - 1) <= WORKING_LIMIT
    last = run.enter(phase)
    if last == "B" and (status := _ended(problem, run, options)) is not None:
        return status
    begun = last == "W"
    while begun or run.round < options.max_rounds:
        if not begun:
            run.round += 1
            if not (options.refine and _look_ahead(run, weight_step)):
                _half_step(run, weight_step, "W")
        begun = False
        if at_once:
            return Status.ROUND_LIMIT
        _half_step(run, transfer_step, "B")
        if (status := _ended(problem, run, options)) is not None:
            return status
    return Status.ROUND_LIMIT


def _ended(problem: Problem, run: Run, options: Options) -> Status | None:
    """How the rounds end with the last one, None if they go on."""
    relative = run.history[-1].relative
    if relative <= options.tol:
        found = certify(problem.at(run.W, run.B), tol=options.tol)
        if found.settled:
            return Status.CERTIFIED
        if found.gap_B is None and found.feasibility <= 0.0:
            return Status.STALLED  # more rounds do not make the gap known
    if options.refine and can_refine(run.model, run.tasks.T) and _hands_over(run, options):
        return Status.ROUND_LIMIT
    return None if run.moved else Status.STALLED


def _hands_over(run: Run, options: Options) -> bool:
    """Whether refinement takes over now (see the module essay)."""
    if options.handover is not None:
        return run.history[-1].relative <= options.handover
    last_W = next(record for record in reversed(run.history) if record.step == "W")
    if run.W.size > DENSE_SIZE and last_W.solver == "conjugate-gradients":
        return _imbalance(run) <= 2e-3
    return _imbalance(run) <= (0.05 if run.W.size > DENSE_SIZE else 0.1) or run.round >= _PATIENCE


def _imbalance(run: Run) -> float:
    """How far the alternation is: the largest entry of every column of G_W over the largest of its terms.

    After a B-step nothing else is left. Entries in small units follow late; on the basin they have no say,
    and the certificate waits for them.
    """
    if not run.model.loss.smooth:
        return run.history[-1].relative
    tasks, squares = run.tasks, run.point.square_gradient_W
    slopes = (run.point.loss_gradient, run.problem.slopes_at_zero)
    pulls = [run.point.loss_weight * slope for slope in slopes]
    terms = [np.abs(tasks.lift(term)).max(axis=0) for term in (squares, *pulls)]
    miss, size = np.abs(tasks.lift(pulls[0] + squares)).max(axis=0), np.max(terms, axis=0)
    return float((miss / np.where(size > 0.0, size, 1.0)).max())


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
        return DirectWeightStep(), _direct_transfer_step(model, tasks.T)
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


def _direct_transfer_step(model: Model, T: int) -> BlockStep:
    step = direct_step(model, T)
    if step is None:
        raise ModelError(
            "the fast engine needs a penalty with prices, atoms or a prox by rows,"
            f" {type(model.transfer).__name__} has none:"
            " choose engine 'cvxpy'"
        )
    return step


def _look_ahead(run: Run, weight_step: BlockStep) -> bool:
    """The W-step at an extrapolated B, on the edges there are; whether it was taken.

    It goes further after a success, less far after a failure.
    """
    ahead = run.ahead
    previous, ahead.previous = ahead.previous, run.B
    if previous is None:
        return False
    further = np.where(run.B != 0, run.B + ahead.factor * (run.B - previous), 0.0)
    point = run.point.at(B=run.model.transfer.project(further))
    if np.array_equal(point.B, run.B):
        return False
    W, solved = _solved(run, weight_step, point)
    point = point.at(W=W)
    if point.objective > run.history[-1].objective:
        ahead.factor = max(0.5 * ahead.factor, 0.1)
        run.solver_seconds += solved.seconds
        return False
    ahead.factor = min(1.2 * ahead.factor, 100.0)
    run.point, run.moved = point, True
    run.note("W", solved)
    return True


def _solved(run: Run, step: BlockStep, point: Point) -> HalfStep:
    """The step's answer at the point; its error names the round."""
    try:
        return step.solve(point)
    except SolveError as error:
        raise error.in_round(run.round) from error


def _half_step(run: Run, step: BlockStep, name: Literal["W", "B"]) -> None:
    """One half-step: taken if J does not rise, refused within its gap, an error beyond."""
    before = run.point
    value, solved = _solved(run, step, before)
    point = before.at(W=value) if name == "W" else before.at(B=value)
    if point.objective <= before.objective + _NOISE * abs(before.objective):
        run.point = point
    else:
        _check_rise(run, name, point, point.objective - before.objective, solved)
        solved = replace(solved, status=f"{solved.status}, not taken")
    moved = not (np.array_equal(run.W, before.W) and np.array_equal(run.B, before.B))
    run.moved = moved or (name == "B" and run.moved)
    run.note(name, solved)


def _check_rise(run: Run, name: str, point: Point, rise: float, solved: Solved) -> None:
    """Raise `SolveError` if J rose by more than the duality gap of the block that moved."""
    gap = (weight_gap if name == "W" else transfer_gap)(point)[0]
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


def _refine(problem: Problem, run: Run, options: Options) -> tuple[Status, Certificate]:
    """Refine from the iterate, recording every accepted step; leaves the last point in `run`.

    Where that ends without a certificate the alternation goes on (`_further`), and refinement begins anew.
    """
    run.enter("refine")
    run.handed = run.handed or Blocks(run.W, run.B)
    while True:
        if not run.refining.rounds:
            _refinement(run, options)
        certificate = certify(problem.at(run.W, run.B), tol=options.tol)
        if certificate.settled:
            return Status.CERTIFIED, certificate
        if certificate.runs_off:
            return Status.STALLED, certificate
        steps_left = run.refining.steps < REFINE_STEPS
        fell = _further(run, options, own=steps_left)
        if not (fell and steps_left and run.refining.turn < _TURNS):
            break
        run.refining.begin_anew()
    if fell:
        certificate = certify(problem.at(run.W, run.B), tol=options.tol)
    if not certificate.passes and certificate.sigma_min <= _SINGULAR:
        point = kept_apart(run.point, tol=options.tol)
        if point is not None:
            _accept(run, point, "newton")
            certificate = certify(problem.at(run.W, run.B), tol=options.tol)
    status = Status.STALLED if steps_left else Status.ROUND_LIMIT
    return Status.CERTIFIED if certificate.passes else status, certificate


def _refinement(run: Run, options: Options) -> None:
    def observe(point: Point, method: str) -> None:
        _accept(run, point, method)

    run.point = refine(
        run.point, tol=options.tol, max_steps=REFINE_STEPS, observe=observe, carried=run.refining
    )


def _further(run: Run, options: Options, *, own: bool) -> bool:
    """Exact rounds from where refinement stopped (`own`) and from where it began; whether J fell.

    And a W-step with B a little shorter, where I - B is singular: at B itself it is solved by no method.
    """
    small, carried = run.W.size <= DENSE_SIZE, run.refining
    most = (_ROUNDS if small else _LARGE_ROUNDS) if own else 0
    if carried.rounds > most:  # all was done before an interrupt
        return True
    for point in plain_rounds(run.point, most=most - carried.rounds):
        carried.rounds += 1
        _accept(run, point, "alternation")
    trials: list[Callable[[], Point]] = []
    if not carried.turn and run.handed is not None:
        start = run.problem.at(run.handed.W, run.handed.B)
        rounds = options.max_rounds if small else _LARGE_ROUNDS
        trials.append(lambda: [start, *plain_rounds(start, most=rounds)][-1])
    if own and run.point.sigma_min <= _SINGULAR:
        last = run.point
        trials.append(lambda: min(shortened(last, tol=options.tol), key=lambda point: point.objective))
    for trial in trials:
        point, J = trial(), run.history[-1].objective
        if point.objective < J - FALL * abs(J):
            carried.rounds = most + 1
            _accept(run, point, "alternation")
    return carried.rounds > 0


def _accept(run: Run, point: Point, method: str) -> None:
    run.point = point
    run.round += 1
    run.note("refine", Solved(solver=method, status="accepted", seconds=0.0))
