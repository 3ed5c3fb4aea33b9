"""A problem that is compiled once and solved for many values of its parameters."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ConeMatrixStuffing
from cvxpy.reductions.dcp2cone.dcp2cone import Dcp2Cone
from cvxpy.reductions.solvers.conic_solvers.clarabel_conif import CLARABEL

from amtl_cvx.errors import ConvexityError, DataError
from amtl_cvx.solvers.backend import Backend, Solved
from amtl_cvx.solvers.inventory import AS_DATA, Step, chain
from amtl_cvx.solvers.program import Program
from amtl_cvx.solvers.solving import problem_data, solve
from amtl_cvx.tasks import Array

_CANON = cp.settings.COO_CANON_BACKEND  # compiles problems with many parameters in half the default's time
_BALLS = 1e-9  # what a step over balls asks of the solver: it is polished, and more ends without an answer

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

    `quadratic` says that the problem has a quadratic objective, affine limits, and no attributes, and that it
    is DPP, which a test knows.
    """

    def __init__(self, problem: cp.Problem, *, step: Step, what: str, quadratic: bool = False) -> None:
        self.problem, self.step, self.quadratic = problem, step, quadratic
        if not quadratic:
            check_dpp(problem, what)
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
        self._compiled = True
        for door in (quadratic_data, cone_data) if self.quadratic else (cone_data,):
            _set(values if door is cone_data else {})
            try:
                compiled = door(self.problem)
            except MemoryError:
                raise
            except Exception as error:
                log.debug("%s-step: no data for Clarabel by %s (%s)", self.step, door.__name__, error)
                continue
            if Program.fits(compiled):
                self._program = Program(
                    self.problem,
                    compiled,
                    refinement=self.step in ("W", "L", "D"),
                    tolerance=_BALLS if self.step == "D" else None,
                )
            break
        return time.perf_counter() - started


def cone_data(problem: cp.Problem) -> Any:
    """CVXPY's map from the parameters, which have values, to Clarabel's data."""
    return problem_data(problem, "CLARABEL", {}, canon=_CANON)[0][cp.settings.PARAM_PROB]


def quadratic_data(problem: cp.Problem) -> Any:
    """The same of a quadratic program without attributes, in two thirds of the time; no values are needed.

    `get_problem_data` finds these reductions by looking at all solvers, and applies the map to the values.
    """
    for reduction in (Dcp2Cone(quad_obj=True), ConeMatrixStuffing(quad_obj=True, canon_backend=_CANON)):
        problem, _ = reduction.apply(problem)
    solver = CLARABEL()
    found = solver.format_constraints(problem, solver.EXP_CONE_ORDER)
    for reduced in (found.reduced_A, found.reduced_P):
        reduced.cache(keep_zeros=False)
    return found


def _set(values: Mapping[cp.Parameter, Array]) -> None:
    for parameter, value in values.items():
        parameter.value = value
