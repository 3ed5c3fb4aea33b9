r"""Alternation of AMTL: two convex steps in the coordinator's rounds, stop on the certificate, refine.

Algorithm 1 of [L16], from B = 0:

    repeat   W <- argmin J(., B)   (WeightStep, CVXPY)
             B <- argmin J(W, .)   (TransferStep, CVXPY)

* The run stops on the residuals and gaps of the certificate, never on a change of J or of the iterates.
* Plain alternation is slow near the end, so `refine` takes over from the alternation's own iterate, once the
  relative residual is below `handover`, or at the round limit, or when neither step is taken any more; by
  default as `amtl.handover` has it. Where the CVXPY problems hand over a large W, the rounds go on in NumPy,
  as those of the fast engine, before Newton begins.
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
  A fit in which predictors keep growing while J falls ends there (`refine.outside`, `refine.recession`).
  A trial, which nobody judges, ends sooner and after fewer steps (`amtl.refining`, `refine.margins`).
  A point whose I - B is singular to the last digits ends as one that can be judged (`kept_apart`).
* The engine is "cvxpy", the compiled problems, or "fast", the NumPy steps of `subproblems.numpy_steps`, which
  tests hold against them.

Source: Lee, Yang, Hwang, ICML 2016, Algorithm 1; biconvex alternation: Gorski, Pfeuffer, Klamroth 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from amtl_cvx.amtl.handover import goes_on, hands_over
from amtl_cvx.amtl.memory import Looking
from amtl_cvx.amtl.refining import refined, tried
from amtl_cvx.arrays import check_weights
from amtl_cvx.certificate import Certificate, certify, transfer_gap, weight_gap
from amtl_cvx.coordinator import BlockStep, Part, carried_out, rounds, solved, start_run
from amtl_cvx.errors import ModelError
from amtl_cvx.families import Method
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model, Problem
from amtl_cvx.refine import WORKING_LIMIT, can_refine, direct_step, outgrown
from amtl_cvx.run import Run
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.subproblems import TaskWeightStep, WeightStep, compile_transfer_step, compile_weight_step
from amtl_cvx.subproblems.numpy_steps import DirectWeightStep
from amtl_cvx.subproblems.problems import kept
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True)
class Alternating(Method):
    """AMTL by alternation and refinement, Algorithm 1; see the module essay.

    Parameters
    ----------
    refine : bool
        Refine after the alternation.
    handover : float, optional
        Relative residual at which the alternation hands over to refinement; by default it depends on the
        size and the engine.
    sweep : {"joint", "tasks"}
        W-step over all tasks at once, or one Gauss-Seidel sweep task by task (which can reach another point).
    definition : bool
        Solve the W-step in the form of its definition (exponential cones for the logistic loss); slow.

    Examples
    --------
    >>> from amtl_cvx.amtl import Alternating
    >>> Alternating(handover=1e-3)
    Alternating(refine=True, handover=0.001, sweep='joint', definition=False)
    """

    name = "alternating"
    kind = "joint"
    takes_start = True
    refine: bool = True
    handover: float | None = None
    sweep: Literal["joint", "tasks"] = "joint"
    definition: bool = False

    @classmethod
    def of(cls, options: Options) -> Alternating:
        return cls(
            refine=options.refine,
            handover=options.handover,
            sweep=options.sweep,
            definition=options.definition,
        )

    def run(self, tasks: TaskSet, model: Model, options: Options) -> Solution:
        options = replace(options, refine=self.refine, handover=self.handover, sweep=self.sweep)
        return alternate(tasks, model, replace(options, definition=self.definition))

    def judge(self, tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
        return certify(Problem(tasks, model).at(point.W, point.B), tol=tol)

    def memory(self) -> Looking:
        return Looking()

    def accepts(self, state: State) -> bool:
        carried = {name: state.arrays[name] for name in Looking.arrays_named if name in state.arrays}
        pairs = [("W", "previous"), ("handed_W", "handed_B")]
        whole = {"W": state.W, **carried}
        for first, second in pairs:
            if second in whole:
                check_weights(whole[first], whole[second], d=len(state.W), T=len(state.B))
        Looking().restore(state.facts, state.arrays)
        return state.phase in ("rounds", "numpy", "refine") and state.history[0].step == "W"


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
    memory = Looking()
    run = start_run(problem.compressed(), options, method=Alternating(), memory=memory)
    return carried_out(
        tasks,
        run,
        lowered=lambda: _lowered(problem, run, memory, options),
        judge=lambda: certify(problem.at(*run.point), tol=options.tol),
    )


def _lowered(
    problem: Problem, run: Run, memory: Looking, options: Options
) -> tuple[Status, Certificate | None]:
    """Every part of the fit that is left, from the one that the run is in; the last point is in `run`.

    With its certificate, where that was computed.
    """
    refining = options.refine and can_refine(problem.model, problem.tasks.T)
    status = Status.ROUND_LIMIT
    if run.phase in ("", "rounds"):
        status = _rounds(problem, run, memory, options, phase="rounds")
        run.alternated = run.elapsed if refining and status is not Status.CERTIFIED else None
    if status in (Status.CERTIFIED, Status.GROWING) or not refining:
        return status, None
    if run.phase == "numpy" or (run.phase == "rounds" and goes_on(run, options)):
        status = _rounds(problem, run, memory, _in_numpy(options), phase="numpy")
    if status in (Status.CERTIFIED, Status.GROWING):
        return status, None
    return refined(problem, run, memory, options) if run.judged else (tried(run, memory, options), None)


def _rounds(problem: Problem, run: Run, memory: Looking, options: Options, *, phase: str) -> Status:
    """The alternation, or what is left of it; leaves the last point in `run`."""
    weight_step, transfer_step = _compile(run, options)
    refining = options.refine and can_refine(problem.model, problem.tasks.T)
    T = problem.tasks.T
    at_once = refining and problem.tasks.d < T - 1 and T * (T - 1) <= WORKING_LIMIT
    parts = (
        Part(block="W", step=weight_step, gap=lambda point: weight_gap(point)[0]),
        Part(block="B", step=transfer_step, gap=lambda point: transfer_gap(point)[0]),
    )
    return rounds(
        run,
        parts,
        most=options.max_rounds,
        phase=phase,
        ended=lambda: _ended(problem, run, options),
        first=lambda part: options.refine and _look_ahead(run, memory, part.step),
        after=lambda part: Status.ROUND_LIMIT if at_once else None,
    )


def _ended(problem: Problem, run: Run, options: Options) -> Status | None:
    """How the rounds end with the last one, None if they go on."""
    relative = run.history[-1].relative
    if not run.judged:
        if options.refine and outgrown(run.point):
            return Status.GROWING
        if relative <= options.tol and not can_refine(problem.model, problem.tasks.T):
            return Status.STALLED
    omega = problem.model.prox_omega
    still = omega is not None and not omega.has_prox and _still(run, options)
    if relative <= options.tol or still:
        found = certify(problem.at(*run.point), tol=options.tol)
        if found.settled:
            return Status.CERTIFIED
        unknown = found.level == "C1" and not problem.model.has_prox
        if unknown or (found.gap_B is None and found.feasibility <= 0.0):
            return Status.STALLED  # more rounds do not make the residual or the gap known
    if options.refine and can_refine(problem.model, problem.tasks.T) and hands_over(run, options):
        return Status.ROUND_LIMIT
    return None if run.moved else Status.STALLED


def _still(run: Run, options: Options) -> bool:
    """Whether the last round lowered J by a thousandth of the tolerance at most."""
    last = [record.objective for record in run.history[-3:]]
    return len(last) == 3 and last[0] - last[-1] <= 1e-3 * options.tol * abs(last[-1])


def _in_numpy(options: Options) -> Options:
    """The same run with the steps of the fast engine."""
    return replace(options, engine="fast", sweep="joint", definition=False, solver="auto", gpu="auto")


def _compile(run: Run, options: Options) -> tuple[BlockStep, BlockStep]:
    tasks, model = run.problem.tasks, run.problem.model
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
        weight_step = compile_weight_step(
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


def _look_ahead(run: Run, ahead: Looking, weight_step: BlockStep) -> bool:
    """The W-step at an extrapolated B, on the edges there are; whether it was taken.

    It goes further after a success, less far after a failure.
    """
    previous, ahead.previous = ahead.previous, run.point.B
    if previous is None:
        return False
    further = np.where(run.point.B != 0, run.point.B + ahead.factor * (run.point.B - previous), 0.0)
    point = run.point.at(B=run.point.model.transfer.project(further))
    if np.array_equal(point.B, run.point.B):
        return False
    W, told = solved(run, weight_step, point)
    point = point.at(W=W)
    if point.objective > run.history[-1].objective:
        ahead.factor = max(0.5 * ahead.factor, 0.1)
        run.solver_seconds += told.seconds
        return False
    ahead.factor = min(1.2 * ahead.factor, 100.0)
    run.point, run.moved = point, True
    run.note("W", told)
    return True
