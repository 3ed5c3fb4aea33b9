"""A problem that is compiled once and solved for many values of its parameters."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ConvexityError, DataError
from amtl_cvx.solvers.backend import Backend, Solved
from amtl_cvx.solvers.inventory import AS_DATA, Step, chain
from amtl_cvx.solvers.program import Program
from amtl_cvx.solvers.solving import problem_data, solve
from amtl_cvx.tasks import Array

_CANON = cp.settings.COO_CANON_BACKEND  # compiles problems with many parameters in half the default's time

log = logging.getLogger(__name__)


def check_dpp(problem: cp.Problem, what: str) -> cp.Problem:
    """The problem itself, or `ConvexityError` naming it if it is not convex or not DPP.

    A quadratic form in a parameter is DPP for the solvers here, which all take a quadratic objective.
    """
    if not problem.is_dpp(quad_form_dpp="qp"):
        kind = "not DPP (it would be compiled at every solve)" if problem.is_dcp() else "not convex"
        raise ConvexityError(f"{what} is {kind}: {problem.objective.expr}")
    return problem


class Compiled:
    """A problem that is compiled once and solved for many values of its parameters.

    A quadratic program goes to Clarabel as data (`Program`). Everything else, another solver asked for, and
    whatever that does not solve, goes through CVXPY (`solve`).
    """

    def __init__(self, problem: cp.Problem, *, step: Step, what: str) -> None:
        self.problem, self.step = check_dpp(problem, what), step
        self._program: Program | None = None
        self._compiled = False

    def solve(self, values: Mapping[cp.Parameter, Array], backend: Backend) -> Solved:
        """Solve for these values of the parameters; the answer is in the problem's variables.

        Raises
        ------
        SolveError
            If no solver of the chain gives an answer.
        DataError
            If a value is not finite.
        """
        if not all(np.isfinite(value).all() for value in values.values()):
            raise DataError(
                f"the numbers of the {self.step}-step overflow: give features and targets in other units, or"
                " --standardize"
            )
        first = chain(self.step, backend.solver)[:1]
        elsewhere = first != ("CLARABEL",) or self.step not in AS_DATA
        if elsewhere or "CLARABEL" in backend.hung or backend.takes_gpu(self.step, self.problem):
            _set(values)
            return solve(self.problem, step=self.step, backend=backend)
        seconds = self._compile(values)
        if self._program is None:
            _set(values)
            return solve(self.problem, step=self.step, backend=backend)
        answer = self._program.solve(values, limit=backend.seconds(self.problem))
        solved = Solved(solver="CLARABEL", status=cp.OPTIMAL, seconds=answer.seconds, compile_seconds=seconds)
        if answer.optimal:
            return solved
        if answer.hung:
            backend.give_up("CLARABEL", self.step, answer.status)
        log.debug("%s-step as data: Clarabel says %s, once more through CVXPY", self.step, answer.status)
        _set(values)
        return replace(solved, status="") + solve(self.problem, step=self.step, backend=backend)

    def _compile(self, values: Mapping[cp.Parameter, Array]) -> float:
        """Make the program, once; the seconds that took."""
        if self._compiled:
            return 0.0
        started = time.perf_counter()
        _set(values)
        self._compiled = True
        try:
            data, _, _ = problem_data(self.problem, "CLARABEL", {}, canon=_CANON)
        except MemoryError:
            raise
        except Exception as error:
            log.debug("%s-step: Clarabel cannot be had as data (%s)", self.step, error)
            return time.perf_counter() - started
        compiled = data[cp.settings.PARAM_PROB]
        if Program.fits(compiled):
            self._program = Program(self.problem, compiled, refinement=self.step in ("W", "L"))
        return time.perf_counter() - started


def _set(values: Mapping[cp.Parameter, Array]) -> None:
    for parameter, value in values.items():
        parameter.value = value
