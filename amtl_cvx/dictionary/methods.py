r"""The method of a shared dictionary: rounds over D and G, then Newton steps, judged by the certificate.

    repeat   turn dead features to where they are of use (`starts`),   D <- argmin J,   G <- argmin J

* It begins at the singular vectors of single-task predictors, with the best G (`starts`).
* Each step is a CVXPY problem (`steps`), held against its own gap; J never rises (`coordinator`). The engine
  "fast" solves the same two problems in NumPy.
* Rounds crawl near the end, for a move of D has to wait for G. So after `ROUNDS` of them, or at the residual
  `handover`, Newton steps in D with G eliminated take over (`newton`).
* Where those end with features that no task uses but one could (`starts.revived`), or without a certificate,
  `MORE` rounds go on from there and they begin anew, `TURNS` times at most, while J or the residual falls.
  Without refinement the rounds go on to the tolerance or to `max_rounds`.

Source: Maurer, Pontil, Romera-Paredes, ICML 2013, whose experiments alternate between the two problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amtl_cvx.coordinator import BlockStep, Part, carried_out, rounds, start_run
from amtl_cvx.dictionary.certificate import DictionaryCertificate, certify
from amtl_cvx.dictionary.gaps import gap
from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.newton import LARGEST, refine
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.problem import DictionaryProblem
from amtl_cvx.dictionary.starts import Init, revived, start_of
from amtl_cvx.dictionary.steps import AtomStep, CodeStep
from amtl_cvx.families import Method
from amtl_cvx.features.methods import Turns
from amtl_cvx.options import Options
from amtl_cvx.refine.local import FALL
from amtl_cvx.run import Run
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.problems import kept
from amtl_cvx.tasks import TaskSet

ROUNDS, MORE = 5, 5
"""Rounds before the first Newton step, and before each new beginning."""
TURNS = 5
NEWTON_STEPS = 300
"""Newton steps in one turn."""
_TIGHT = 1e-11
"""Residual at which Newton steps end."""


@dataclass(frozen=True, kw_only=True)
class ScMtl(Method):
    """SC-MTL: rounds over D and G, then Newton steps; see the module essay.

    Source: Maurer, Pontil, Romera-Paredes, ICML 2013.

    Parameters
    ----------
    refine : bool
        Newton steps after the rounds.
    init : {"svd", "random"}
        Where it begins if it is given no start: at singular vectors of single-task predictors, or at random.
    seed : int
        Of what is drawn for that.
    handover : float, optional
        Relative residual at which Newton steps take over; by default they do after `ROUNDS` rounds.
    engine : {"cvxpy", "fast"}
        Who solves the two steps.

    Examples
    --------
    >>> from amtl_cvx.dictionary import ScMtl
    >>> ScMtl(init="random", seed=1)
    ScMtl(refine=True, init='random', seed=1, handover=None, engine='cvxpy')
    """

    name = "sc-mtl"
    kind = "joint"
    takes_start = True
    refine: bool = True
    init: Init = "svd"
    seed: int = 0
    handover: float | None = None
    engine: str = "cvxpy"

    @classmethod
    def of(cls, options: Options) -> ScMtl:
        return cls(refine=options.refine, handover=options.handover, engine=options.engine)

    def run(self, tasks: TaskSet, model: DictionaryModel, options: Options) -> Solution:
        """The fit; `DataError` where tasks or start do not fit, `SolveError` where no solver answers."""
        problem = DictionaryProblem(tasks, model)
        problem.check()
        run = start_run(problem.compressed(), options, method=self)
        fit = _Fit(self, problem, run, options)
        return carried_out(tasks, run, lowered=fit.lowered, judge=fit.judged)

    def judge(
        self, tasks: TaskSet, model: DictionaryModel, point: Mapping[str, Any], tol: float
    ) -> DictionaryCertificate:
        return certify(DictionaryProblem(tasks, model).at(**point), tol=tol)

    def memory(self) -> Turns:
        return Turns()

    def accepts(self, state: State) -> bool:
        Turns().restore(state.facts, state.arrays)
        return state.phase in ("rounds", "refine") and state.history[0].step == "D"


class _Fit:
    """One fit: what is left of it, from the part that the run is in."""

    def __init__(self, method: ScMtl, problem: DictionaryProblem, run: Run, options: Options) -> None:
        self.method, self.problem, self.run, self.options = method, problem, run, options
        self.refining = method.refine and problem.tasks.d * problem.model.features <= LARGEST
        assert isinstance(run.memory, Turns)
        self.memory = run.memory

    def judged(self) -> DictionaryCertificate:
        """The certificate on the rows as they were given."""
        return certify(self.problem.at(**self.run.point.blocks), tol=self.options.tol)

    def lowered(self) -> tuple[Status, DictionaryCertificate | None]:
        """Rounds and Newton steps in turn, to the run's last point; with its certificate if that is known."""
        if self.options.start is None:
            self.run.point = start_of(self.run.problem, self.method.init, seed=self.method.seed)
        if self.run.phase == "":
            self.memory.until = min(ROUNDS, self.options.max_rounds) if self.refining else 0
        memory, begun, best = self.memory, self.run.phase == "refine", None
        while True:
            if not begun:
                status = self._rounds()
                if not self.refining:
                    return status, None
            begun, ended = False, self._newton()
            found, more = self.judged(), revived(self.run.point) is not self.run.point
            if found.passes and not more:
                return Status.CERTIFIED, found
            J = self.run.point.objective
            idle = best is not None and best - J <= FALL * abs(best)
            if memory.turn == TURNS or idle:
                return ended, found
            best = J
            memory.turn, memory.until = memory.turn + 1, self.run.round + MORE

    def _rounds(self) -> Status:
        """Rounds, or what is left of them."""
        run, parts = self.run, [_part(block, step) for block, step in self._steps().items()]
        most = self.memory.until if self.refining else self.options.max_rounds
        status = rounds(run, parts, most=most, phase="rounds", ended=self._ended, first=self._turned)
        if self.refining and run.alternated is None:
            run.alternated = run.elapsed
        return status

    def _steps(self) -> Mapping[str, BlockStep]:
        """The steps in the order of a round."""
        if self.method.engine == "fast":
            return {"D": AtomStep(), "G": CodeStep()}
        backend, problems = self.run.backend, kept(self.options.problems)
        return {
            "D": AtomStep.compile(backend=backend, problems=problems),
            "G": CodeStep.compile(self.problem.model.features, backend=backend, problems=problems),
        }

    def _turned(self, part: Part) -> bool:
        """Dead features turned before the first step of a round, which that does not replace."""
        self.run.point = revived(self.run.point)
        return False

    def _ended(self) -> Status | None:
        """How the rounds end with the last one, None if they go on."""
        relative, handover = self.run.history[-1].relative, self.method.handover
        if self.refining:
            return Status.ROUND_LIMIT if handover is not None and relative <= handover else None
        if relative <= self.options.tol and self.judged().passes:
            return Status.CERTIFIED
        return None if self.run.moved else Status.STALLED

    def _newton(self) -> Status:
        """Newton steps, every one recorded; how they ended."""
        run, memory = self.run, self.memory
        run.enter("refine")

        def observe(point: DictionaryPoint) -> None:
            run.point, run.round, memory.steps = point, run.round + 1, memory.steps + 1
            run.note("refine", Solved(solver="newton", status="accepted", seconds=0.0))

        found = refine(
            run.point,
            tol=min(self.options.tol, _TIGHT),
            max_steps=max(NEWTON_STEPS - memory.steps, 1),
            observe=observe,
            trust=memory.trust,
            begun=memory.steps > 0,
        )
        run.point = found.point
        return Status.ROUND_LIMIT if found.ended == "limit" else Status.STALLED


def _part(block: str, step: BlockStep) -> Part:
    """A step of a round, with what its block can still gain."""
    return Part(block=block, step=step, gap=lambda point: gap(block, point))
