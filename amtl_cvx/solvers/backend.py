"""Which solver is asked and for how long, and what came of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import cvxpy as cp

from amtl_cvx.solvers.gpu import Gpu
from amtl_cvx.solvers.inventory import Step

log = logging.getLogger(__name__)

SOLVE_LIMIT = 600.0
"""Seconds for one solve, at least."""
_FLOPS, _ITERATIONS = 1e9, 100  # slow, and many: a dense problem of n unknowns gets 100 n^3 / 3 / 1e9 seconds


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Which solver is tried first, and which solves go to the GPU before any of the chain.

    Without an answer from either the rest of the chain follows. `limit` is the time of one solve in seconds;
    None stands for `SOLVE_LIMIT`, or more for a large problem. `hung` are the solvers that did not keep it,
    and what is said of them: one fit has one backend, and does not try them again.
    """

    solver: str = "auto"
    gpu: Gpu = field(default_factory=Gpu)
    limit: float | None = None
    hung: dict[str, str] = field(default_factory=dict)

    def takes_gpu(self, step: Step, problem: cp.Problem) -> bool:
        """Whether a problem goes to the GPU first."""
        return self.gpu.takes(step, unknowns(problem))

    def on_cpu(self) -> Backend:
        """The same without the GPU, for steps that solve one task or one column at a time."""
        return replace(self, gpu=Gpu())

    def seconds(self, problem: cp.Problem) -> float:
        """The time limit of one solve."""
        if self.limit is not None:
            return self.limit
        return max(SOLVE_LIMIT, _ITERATIONS / 3 * float(unknowns(problem)) ** 3 / _FLOPS)

    def give_up(self, name: str, step: Step, said: str) -> None:
        """No more of a solver that hung; warns."""
        self.hung[name] = said
        log.warning("%s at a %s-step: %s, it is not tried again in this fit", name, step, said)


AUTO = Backend()
"""The chain of the step as it stands."""


@dataclass(frozen=True, kw_only=True)
class Solved:
    """How a problem was solved: the solver that answered, its status, its own and the compile seconds."""

    solver: str
    status: str
    seconds: float
    compile_seconds: float = 0.0

    @classmethod
    def none(cls) -> Solved:
        """Nothing solved yet: the neutral element of addition."""
        return cls(solver="", status="", seconds=0.0)

    def __add__(self, other: Solved) -> Solved:
        """Several solves as one: seconds add up, solvers are named, a status but "optimal" survives."""
        names = dict.fromkeys(name for name in (*self.solver.split("+"), *other.solver.split("+")) if name)
        return Solved(
            solver="+".join(names),
            status=other.status if self.status in ("", "optimal") else self.status,
            seconds=self.seconds + other.seconds,
            compile_seconds=self.compile_seconds + other.compile_seconds,
        )


def unknowns(problem: cp.Problem) -> int:
    """The numbers a problem asks for."""
    return sum(int(variable.size) for variable in problem.variables())
