r"""The methods of networks: L-BFGS on the exact J, then kink Newton, judged by the certificate.

* A fit begins at the predictors of single tasks, or at random weights (`starts`), with A = 0.
* Parts of `PART` iterations of L-BFGS-B (`lbfgs`) bring it near to a valley, up to `PARTS` of them, fewer
  where J hardly falls any more. What is of no use goes, and feedback that pays for itself comes (`pruning`).
* Kink Newton (`newton`) takes J to a point that is directionally stationary to the last digits. From random
  weights it would need many more steps, and each costs a Hessian.
* Where it ends without a certificate, one part of L-BFGS-B and kink Newton follow once more, `TURNS` times at
  most, while J falls. Without refinement L-BFGS goes on to `max_rounds` parts; it is never stationary.

With `definition` rounds of convex steps in activation cells (`steps`) stand in the place of the first parts
of L-BFGS: slow, and what a solver and the GPU can be chosen for.

A round is one part of L-BFGS, one of steps in cells, or one step of kink Newton. Each step is in the history;
a fit that is interrupted goes on after the last one.

Sources: [L18] Lee, Yang, Hwang, ICML 2018; `newton` for the algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.coordinator import carried_out, start_run
from amtl_cvx.errors import ModelError
from amtl_cvx.families import Memory, Method
from amtl_cvx.features.starts import Init
from amtl_cvx.network.certificate import NetworkCertificate, certify
from amtl_cvx.network.lbfgs import lbfgs
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.newton import LARGEST, Progress, refine
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.pruning import escaped, tidied
from amtl_cvx.network.snap import KINK_WIDTH
from amtl_cvx.network.starts import start_of
from amtl_cvx.network.steps import cell_rounds, cell_steps
from amtl_cvx.options import Options
from amtl_cvx.refine.local import Trust
from amtl_cvx.run import Run
from amtl_cvx.solution import Solution, State, Status
from amtl_cvx.solvers import Solved
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import nonnegative

PART = 100
"""Iterations of L-BFGS-B from which a round is made."""
PARTS = 10
CELL_ROUNDS = 50
"""Rounds of steps in cells before kink Newton, where they are asked for."""
TURNS = 2
NEWTON_STEPS = 500
"""Steps of kink Newton in one turn."""
_LITTLE = 1e-3  # part of J by which a part of L-BFGS lowers it, for another one to follow
_FALL = 1e-9  # the same for its end to be taken: less may be the loss of a kink


@dataclass(kw_only=True)
class Steps(Memory):
    """How often kink Newton began anew, the parts and steps of this phase, and the state of the steps."""

    turn: int = 0
    steps: int = 0
    rested: bool = False
    """Whether L-BFGS came to rest in this phase."""
    progress: Progress = field(default_factory=Progress)
    arrays_named = ("held",)

    def enter(self, phase: str) -> None:
        self.steps, self.rested, self.progress = 0, False, Progress()

    def facts(self) -> dict[str, Any]:
        trust = self.progress.trust.value
        return {"turn": self.turn, "steps": self.steps, "rested": self.rested, "trust": trust}

    def arrays(self) -> dict[str, Array]:
        """theta / w of the units that are held, -1 for all others."""
        held = self.progress.held
        return {} if held is None else {"held": np.where(np.isnan(held), -1.0, held)}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self.turn, self.steps = (int(nonnegative(facts[name])) for name in ("turn", "steps"))
        self.rested, held = facts["rested"] is True, arrays.get("held")
        self.progress = Progress(
            Trust(value=nonnegative(facts["trust"])),
            None if held is None else np.where(held < 0.0, np.nan, held),
        )


@dataclass(frozen=True, kw_only=True)
class KinkNewton(Method):
    """L-BFGS and kink Newton; see the module essay.

    Parameters
    ----------
    refine : bool
        Kink Newton after L-BFGS.
    init : {"svd", "random"}
        Where it begins if it is given no start: at the predictors of single tasks, or at random.
    seed : int
        Of what is drawn for that.
    definition : bool
        Rounds of convex steps in cells instead of the first parts of L-BFGS; slow.
    snap : bool
        Whether arrays from elsewhere are moved onto kinks nearer than `kink_width` before they are judged.
    kink_width : float
        Relative.
    """

    kind = "joint"
    takes_start = True
    refine: bool = True
    init: Init = "svd"
    seed: int = 0
    definition: bool = False
    snap: bool = True
    kink_width: float = KINK_WIDTH

    @classmethod
    def of(cls, options: Options) -> KinkNewton:
        return cls(refine=options.refine, definition=options.definition)

    def run(self, tasks: TaskSet, model: NetworkModel, options: Options) -> Solution:
        """The fit; `DataError` where tasks or start do not fit, `ModelError` for layers of another method."""
        self.check(model)
        problem = NetworkProblem(tasks, model)
        problem.check()
        run = start_run(problem, options, method=self)
        fit = _Fit(self, run, options)
        return carried_out(tasks, run, lowered=fit.lowered, judge=lambda: certify(run.point, tol=options.tol))

    def check(self, model: NetworkModel) -> None:
        """`ModelError` for layers that are another method's."""

    def judge(
        self, tasks: TaskSet, model: NetworkModel, point: Mapping[str, Any], tol: float
    ) -> NetworkCertificate:
        at = NetworkProblem(tasks, model).at(**point)
        return certify(at, tol=tol, snapped=self.snap, kink_width=self.kink_width)

    def memory(self) -> Steps:
        return Steps()

    def accepts(self, state: State) -> bool:
        Steps().restore(state.facts, state.arrays)
        return state.phase in ("cells", "lbfgs", "refine")


class Amtfl(KinkNewton):
    """AMTFL with one hidden layer of ReLUs: L-BFGS, then kink Newton.

    Source: Lee, Yang, Hwang, ICML 2018, eq. 6.

    Examples
    --------
    >>> from amtl_cvx.network.methods import Amtfl
    >>> Amtfl(init="random", seed=1).name
    'amtfl'
    """

    name = "amtfl"

    def check(self, model: NetworkModel) -> None:
        if len(model.layers) != 1:
            raise ModelError(
                f"amtfl has one hidden layer (features=8), got layers {model.layers}: take deep-amtfl"
            )


class DeepAmtfl(KinkNewton):
    """Deep-AMTFL, any number of hidden layers: L-BFGS, then kink Newton.

    Source: Lee, Yang, Hwang, ICML 2018, eq. 7.

    Examples
    --------
    >>> from amtl_cvx.network.methods import DeepAmtfl
    >>> DeepAmtfl().name
    'deep-amtfl'
    """

    name = "deep-amtfl"


class _Fit:
    """One fit: what is left of it, from the phase that the run is in."""

    def __init__(self, method: KinkNewton, run: Run, options: Options) -> None:
        self.method, self.run, self.options = method, run, options
        self.refining = method.refine and run.problem.size <= LARGEST
        assert isinstance(run.memory, Steps)
        self.memory = run.memory

    def lowered(self) -> tuple[Status, NetworkCertificate | None]:
        """L-BFGS and kink Newton in turn, to the run's last point; with its certificate if that is known."""
        if self.options.start is None:
            self.run.point = start_of(self.run.problem, self.method.init, seed=self.method.seed)
        memory, begun, before = self.memory, self.run.phase == "refine", np.inf
        while True:
            if not begun:
                ended = self._cells() if self.method.definition and not memory.turn else self._lbfgs()
                if not self.refining:
                    return ended, None
            begun, ended = False, self._newton()
            found, J = certify(self.run.point, tol=self.options.tol), self.run.point.objective
            if found.passes:
                return Status.CERTIFIED, found
            if memory.turn == TURNS or not before * (1.0 - _FALL) > J or ended is Status.ROUND_LIMIT:
                return ended, found
            before, memory.turn = J, memory.turn + 1

    def _cells(self) -> Status:
        """Rounds of steps in cells while J falls."""
        run, options = self.run, self.options
        steps = cell_steps(run.problem, backend=run.backend, problems=options.problems)
        most = min(CELL_ROUNDS, options.max_rounds) if self.refining else options.max_rounds
        return cell_rounds(run, steps, most=most)

    def _lbfgs(self) -> Status:
        """Parts of L-BFGS, every one recorded, while J falls by what is worth one."""
        run, memory = self.run, self.memory
        run.enter("lbfgs")
        most = (1 if memory.turn else PARTS) if self.refining else self.options.max_rounds
        while memory.steps < most and not memory.rested:
            before, clock = run.point, run.elapsed
            found = lbfgs(before, iterations=PART)
            fall = 1.0 - found.objective / before.objective if before.objective > 0.0 else 0.0
            run.point = found if fall > _FALL else before
            run.round, memory.steps = run.round + 1, memory.steps + 1
            memory.rested = fall <= (_LITTLE if self.refining else _FALL)
            run.note("lbfgs", Solved(solver="L-BFGS-B", status="accepted", seconds=run.elapsed - clock))
        return Status.STALLED if memory.rested else Status.ROUND_LIMIT

    def _newton(self) -> Status:
        """Steps of kink Newton, every one recorded; how they ended."""
        run, memory = self.run, self.memory
        if run.phase != "refine" and run.alternated is None:
            run.alternated = run.elapsed
        run.enter("refine")
        clock = run.elapsed

        def observe(point: NetworkPoint, solver: str) -> None:
            nonlocal clock
            run.point, run.round, memory.steps = point, run.round + 1, memory.steps + 1
            run.note("refine", Solved(solver=solver, status="accepted", seconds=run.elapsed - clock))
            clock = run.elapsed

        start = run.point if memory.steps else escaped(tidied(run.point))
        found = refine(
            start,
            tol=min(self.options.tol, 1e-11),
            max_steps=max(NEWTON_STEPS - memory.steps, 1),
            observe=observe,
            progress=memory.progress,
        )
        run.point = found.point
        return Status.ROUND_LIMIT if found.ended == "limit" else Status.STALLED
