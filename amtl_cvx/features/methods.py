r"""The methods of shared features: rounds over L, S and A, then Newton steps, judged by the certificate.

    repeat   scale every feature (`balance`),   L <- argmin J,   S <- argmin J,   A <- argmin J

* It begins at the predictors of single tasks, factored (`starts`), with A = 0.
* Each step is a CVXPY problem (`steps`), held against its own gap; J never rises (`coordinator`).
* Rounds crawl near the end, for a move of L has to wait for S and A. So after `ROUNDS` of them, or at the
  residual `handover`, Newton steps in all blocks at once take over (`newton`). More rounds cost more than
  they save: on 12 tasks, 20 columns and 6 features about 20 Newton steps follow no round, 18 follow 5, and
  J ends as low.
* Where Newton steps end without a certificate, `MORE` rounds go on from there and they begin anew, `TURNS`
  times at most, while J or the residual falls. Without refinement the rounds go on to the tolerance or to
  `max_rounds`.

GO-MTL has no A, and is otherwise the same.

Sources: [L18] section 3; GO-MTL: Kumar, Daume, ICML 2012, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from amtl_cvx.coordinator import BlockStep, Part, carried_out, rounds, start_run
from amtl_cvx.families import Memory, Method
from amtl_cvx.features.balance import balanced
from amtl_cvx.features.certificate import FeatureCertificate, certify
from amtl_cvx.features.gaps import gap
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.features.newton import LARGEST, refine
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.features.rounding import rounding
from amtl_cvx.features.starts import Init, start_of
from amtl_cvx.features.steps import Definition, FeedbackStep, LossStep
from amtl_cvx.options import Options
from amtl_cvx.refine.local import FALL, Trust
from amtl_cvx.run import Run
from amtl_cvx.solution import Record, Solution, State, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.problems import kept
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import nonnegative

ROUNDS, MORE = 5, 20
"""Rounds before the first Newton step, and before each new beginning."""
TURNS = 3
NEWTON_STEPS = 500
"""Newton steps in one turn."""


@dataclass(kw_only=True)
class Turns(Memory):
    """How often Newton steps began anew, the round up to which rounds go on, and the state of the steps."""

    turn: int = 0
    until: int = 0
    steps: int = 0
    trust: Trust = field(default_factory=Trust)

    def enter(self, phase: str) -> None:
        self.steps, self.trust = 0, Trust()

    def facts(self) -> dict[str, Any]:
        return {"turn": self.turn, "until": self.until, "steps": self.steps, "trust": self.trust.value}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.turn, self.until, self.steps = (int(nonnegative(facts[n])) for n in ("turn", "until", "steps"))
        self.trust = Trust(value=nonnegative(facts["trust"]))


@dataclass(frozen=True, kw_only=True)
class Alternating(Method):
    """Rounds and Newton steps; see the module essay.

    Parameters
    ----------
    refine : bool
        Newton steps after the rounds.
    init : {"svd", "random"}
        Where it begins if it is given no start: at the predictors of single tasks, or at random.
    seed : int
        Of what is drawn for that.
    handover : float, optional
        Relative residual at which Newton steps take over; by default they do after `ROUNDS` rounds.
    definition : bool
        Solve the steps of L and S with the loss's own atom; slow.
    """

    kind = "joint"
    takes_start = True
    refine: bool = True
    init: Init = "svd"
    seed: int = 0
    handover: float | None = None
    definition: bool = False

    @classmethod
    def of(cls, options: Options) -> Alternating:
        return cls(refine=options.refine, handover=options.handover, definition=options.definition)

    def run(self, tasks: TaskSet, model: FeatureModel, options: Options) -> Solution:
        """The fit; `DataError` where tasks or start do not fit, `SolveError` where no solver answers."""
        problem = FeatureProblem(tasks, model)
        problem.check()
        run = start_run(problem.compressed(), options, method=self)
        fit = _Fit(self, problem, run, options)
        return carried_out(tasks, run, lowered=fit.lowered, judge=fit.judged)

    def judge(
        self, tasks: TaskSet, model: FeatureModel, point: Mapping[str, Any], tol: float
    ) -> FeatureCertificate:
        return certify(FeatureProblem(tasks, model).at(**point), tol=tol)

    def memory(self) -> Turns:
        return Turns()

    def accepts(self, state: State) -> bool:
        Turns().restore(state.facts, state.arrays)
        return state.phase in ("rounds", "refine") and state.history[0].step == "L"


class AmtflLinear(Alternating):
    """AMTFL with linear features: rounds over L, S and A, then Newton steps.

    Source: Lee, Yang, Hwang, ICML 2018.

    Examples
    --------
    >>> from amtl_cvx.features.methods import AmtflLinear
    >>> AmtflLinear(init="random", seed=1)
    AmtflLinear(refine=True, init='random', seed=1, handover=None, definition=False)
    """

    name = "amtfl-linear"


class GoMtl(Alternating):
    """GO-MTL: rounds over L and S, then Newton steps.

    Source: Kumar, Daume, ICML 2012.

    Examples
    --------
    >>> from amtl_cvx.features.methods import GoMtl
    >>> GoMtl().name
    'go-mtl'
    """

    name = "go-mtl"


class _Fit:
    """One fit: what is left of it, from the part that the run is in."""

    def __init__(self, method: Alternating, problem: FeatureProblem, run: Run, options: Options) -> None:
        size = sum(rows * columns for rows, columns in problem.shapes.values())
        self.method, self.problem, self.run, self.options = method, problem, run, options
        self.refining = method.refine and size <= LARGEST
        assert isinstance(run.memory, Turns)
        self.memory = run.memory

    def judged(self) -> FeatureCertificate:
        """The certificate on the rows as they were given."""
        return certify(self.problem.at(**self.run.point.blocks), tol=self.options.tol)

    def lowered(self) -> tuple[Status, FeatureCertificate | None]:
        """Rounds and Newton steps in turn, to the run's last point; with its certificate if that is known."""
        if self.options.start is None:
            self.run.point = start_of(self.run.problem, self.method.init, seed=self.method.seed)
        if self.run.phase == "":
            self.memory.until = min(ROUNDS, self.options.max_rounds) if self.refining else 0
        memory, begun, before = self.memory, self.run.phase == "refine", None
        while True:
            if not begun:
                status = self._rounds()
                if status is Status.CERTIFIED or not self.refining:
                    return status, None
            begun, ended = False, self._newton()
            found, last = self.judged(), self.run.history[-1]
            if found.passes:
                return Status.CERTIFIED, found
            if ended is Status.GROWING or (found.live_features and _endless(self.problem.model)):
                reasons = {"growth": _growth(self.run.point), **found.reasons}
                return Status.GROWING, replace(found, reasons=reasons)
            idle = before is not None and not self._better(before)
            if memory.turn == TURNS or idle:
                return ended, found
            before = last
            memory.turn, memory.until = memory.turn + 1, self.run.round + MORE

    def _rounds(self) -> Status:
        """Rounds, or what is left of them."""
        run, parts = self.run, [_part(block, step) for block, step in self._compiled().items()]
        most = self.memory.until if self.refining else self.options.max_rounds
        status = rounds(run, parts, most=most, phase="rounds", ended=self._ended, first=self._scaled)
        if self.refining and status is not Status.CERTIFIED and run.alternated is None:
            run.alternated = run.elapsed
        return status

    def _compiled(self) -> Mapping[str, BlockStep]:
        """The steps in the order of a round."""
        problem, backend, problems = self.run.problem, self.run.backend, kept(self.options.problems)
        steps: dict[str, BlockStep] = {}
        for block in ("L", "S"):
            steps[block] = (
                Definition.compile(problem, block, backend=backend)
                if self.method.definition
                else LossStep.compile(problem, block, backend=backend, problems=problems)
            )
        if problem.model.has_feedback:
            steps["A"] = FeedbackStep.compile(problem, backend=backend, problems=problems)
        return steps

    def _scaled(self, part: Part) -> bool:
        """The D-step, which comes before the first step of a round and does not replace it."""
        self.run.point = balanced(self.run.point)
        return False

    def _ended(self) -> Status | None:
        """How the rounds end with the last one, None if they go on."""
        history, handover = self.run.history, self.method.handover
        relative = history[-1].relative
        if relative <= self.options.tol and self.judged().passes:
            return Status.CERTIFIED
        if self.memory.turn and not self._better(history[-1 - len(self.problem.shapes)]):
            return Status.STALLED
        if self.refining and handover is not None and relative <= handover:
            return Status.ROUND_LIMIT
        return None if self.run.moved else Status.STALLED

    def _better(self, before: Record) -> bool:
        """Whether J has fallen beyond rounding since then, or the residual to a half."""
        last = self.run.history[-1]
        fell = last.objective < before.objective - FALL * abs(before.objective)
        return fell or last.relative < 0.5 * before.relative

    def _newton(self) -> Status:
        """Newton steps, every one recorded; how they ended."""
        run, memory = self.run, self.memory
        run.enter("refine")

        def observe(point: FeaturePoint, method: str) -> None:
            run.point, run.round, memory.steps = point, run.round + 1, memory.steps + 1
            run.note("refine", Solved(solver=method, status="accepted", seconds=0.0))

        found = refine(
            run.point,
            tol=min(self.options.tol, 1e-11),
            max_steps=max(NEWTON_STEPS - memory.steps, 1),
            observe=observe,
            trust=memory.trust,
        )
        run.point = found.point
        ended = {"growing": Status.GROWING, "limit": Status.ROUND_LIMIT}
        return ended.get(found.ended, Status.STALLED)


def _part(block: str, step: BlockStep) -> Part:
    """A step of a round, with what its block can still gain."""
    return Part(block=block, step=step, gap=lambda point: gap(block, point).value, noise=rounding)


def _endless(model: FeatureModel) -> bool:
    """Whether J is known to fall for ever: A costs nothing, or is 0, and L grows while S shrinks."""
    return model.decay == 0.0 and 0.0 in (model.alpha, model.gamma)


def _growth(point: FeaturePoint) -> str:
    """What is said of a fit in which blocks grow, and what helps."""
    name, size = max(
        ((name, float(np.abs(block).max(initial=0.0))) for name, block in point.blocks.items()),
        key=lambda found: found[1],
    )
    seen = f"entries of {name} have grown to {size:.2g} while J fell to {point.objective:.7g}"
    if _endless(point.model):
        return (
            "without decay, and alpha or gamma 0, J has no minimum: L grows, S shrinks and L S stays"
            f" ({seen}); give a decay > 0"
        )
    cure = "give an alpha > 0" if name == "A" and point.model.alpha == 0.0 else "give a larger decay"
    return f"J may have no minimum here: {seen}; {cure}"
