"""Refinement in a fit of AMTL: every accepted step is recorded, and where it ends too early it begins anew.

What `refine` does from a point is there; here is how a fit uses it (the essay of `alternating`). A trial of
a grid (`Options.judged` False) is scored and not judged: it ends at a residual within the tolerance, where
next to nothing is left of J, or after a tenth of the steps and three turns, wherever it is then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from amtl_cvx.amtl.memory import Looking
from amtl_cvx.certificate import Certificate, certify
from amtl_cvx.certificate.valley import down_the_valley
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Point, Problem
from amtl_cvx.refine import DENSE_LIMIT, FALL, kept_apart, outgrown, plain_rounds, refine, shortened
from amtl_cvx.run import Run
from amtl_cvx.solution import Status
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.numpy_steps import DENSE_SIZE, minimised

REFINE_STEPS = 1000
"""Limit for the accepted steps of refinement."""
TRIAL_STEPS = 100
"""The same for Newton's steps of a trial."""
_TURNS, _TRIAL_TURNS = 20, 3  # how often refinement begins anew
_ROUNDS, _LARGE_ROUNDS = 50, 10  # of the alternation before it does
_SINGULAR = 1e-6  # smallest singular value of I - B below which it is kept away from singular


def tried(run: Run, memory: Looking, options: Options) -> Status:
    """Refine a trial, boundedly; leaves the last point in `run`, which nobody judges."""
    run.enter("refine")
    memory.handed = memory.handed or Blocks(*run.point)
    options = replace(options, max_rounds=min(options.max_rounds, _ROUNDS))
    most = TRIAL_STEPS if run.point.W.size <= DENSE_LIMIT else REFINE_STEPS
    carried = memory.refining
    while True:
        if not carried.rounds:
            _refinement(run, memory, options, most=most)
        if carried.growth.endless or outgrown(run.point):
            return Status.GROWING
        if run.history[-1].relative <= options.tol:
            return Status.STALLED
        if carried.steps >= most or carried.turn >= _TRIAL_TURNS:
            return Status.ROUND_LIMIT
        if not _further(run, memory, options, own=True, valley=False):
            return Status.STALLED
        carried.begin_anew()


def refined(problem: Problem, run: Run, memory: Looking, options: Options) -> tuple[Status, Certificate]:
    """Refine from the iterate, recording every accepted step; leaves the last point in `run`.

    Where that ends without a certificate the alternation goes on (`_further`), and refinement begins anew.
    """
    run.enter("refine")
    memory.handed = memory.handed or Blocks(*run.point)
    while True:
        if not memory.refining.rounds:
            _refinement(run, memory, options, most=REFINE_STEPS)
        certificate = certify(problem.at(*run.point), tol=options.tol)
        if certificate.settled:
            return Status.CERTIFIED, certificate
        if certificate.runs_off:
            return Status.GROWING if "growth" in certificate.reasons else Status.STALLED, certificate
        if memory.refining.growth.endless:
            reasons = {"growth": memory.refining.growth.words(run.point), **certificate.reasons}
            return Status.GROWING, replace(certificate, reasons=reasons)
        steps_left = memory.refining.steps < REFINE_STEPS
        valley = "valley" in certificate.reasons
        fell = _further(run, memory, options, own=steps_left, valley=valley)
        if not (fell and steps_left and memory.refining.turn < _TURNS):
            break
        memory.refining.begin_anew()
    if fell:
        certificate = certify(problem.at(*run.point), tol=options.tol)
    if not certificate.passes and certificate.sigma_min <= _SINGULAR:
        point = kept_apart(run.point, tol=options.tol)
        if point is not None:
            _accept(run, point, "newton")
            certificate = certify(problem.at(*run.point), tol=options.tol)
    status = Status.STALLED if steps_left else Status.ROUND_LIMIT
    return Status.CERTIFIED if certificate.passes else status, certificate


def _refinement(run: Run, memory: Looking, options: Options, *, most: int) -> None:
    def observe(point: Point, method: str) -> None:
        _accept(run, point, method)

    run.point = refine(
        run.point,
        tol=options.tol,
        max_steps=most,
        observe=observe,
        carried=memory.refining,
        trial=not run.judged,
    )


def _further(run: Run, memory: Looking, options: Options, *, own: bool, valley: bool) -> bool:
    """Exact rounds from where refinement stopped (`own`) and from where it began; whether J fell.

    And a W-step with B a little shorter, where I - B is singular: at B itself it is solved by no method. And
    where the certificate sees J fall in a valley, what it saw.
    """
    small, carried = run.point.W.size <= DENSE_SIZE, memory.refining
    most = (_ROUNDS if small else _LARGE_ROUNDS) if own else 0
    if carried.rounds > most:  # all was done before an interrupt
        return True
    for point in plain_rounds(run.point, most=most - carried.rounds):
        carried.rounds += 1
        _accept(run, point, "alternation")
    trials: list[Callable[[], Point]] = []
    if not carried.turn and memory.handed is not None:
        start = run.problem.at(memory.handed.W, memory.handed.B)
        rounds = options.max_rounds if small else _LARGE_ROUNDS
        trials.append(lambda: [start, *plain_rounds(start, most=rounds)][-1])
    if own and run.point.sigma_min <= _SINGULAR:
        last = run.point
        trials.append(lambda: min(shortened(last, tol=options.tol), key=lambda point: point.objective))
    if own and valley:
        slope = run.point
        trials.append(lambda: minimised(down_the_valley(slope)))
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
