"""One problem along the fallback chain (see the package's essay)."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ConvexityError, DataError, SolveError
from amtl_cvx.solvers.gpu import Gpu
from amtl_cvx.solvers.inventory import Step, chain
from amtl_cvx.solvers.program import Program
from amtl_cvx.solvers.watch import OWN_LIMIT, SolverFault, watched
from amtl_cvx.tasks import Array

FAER_SIZE = 1000
"""Number of unknowns from which Clarabel's multifrontal factorisation is the faster one."""

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "CLARABEL": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "max_threads": 1},
    "OSQP": {"eps_abs": 1e-9, "eps_rel": 1e-9, "polishing": True, "max_iter": 10_000},
    "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 50_000},
}

SOLVE_LIMIT = 600.0
"""Seconds for one solve, at least."""
_FLOPS, _ITERATIONS = 1e9, 100  # slow, and many: a dense problem of n unknowns gets 100 n^3 / 3 / 1e9 seconds

_TIME_LIMITS = {"CLARABEL": "time_limit", "OSQP": "time_limit", "SCS": "time_limit_secs"}
_LENGTH = {"CLARABEL": "c", "OSQP": "q", "SCS": "c"}  # which of CVXPY's data is as long as an answer
_ANSWERS = (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, cp.USER_LIMIT)

_CANON = cp.settings.COO_CANON_BACKEND  # compiles problems with many parameters in half the default's time

log = logging.getLogger(__name__)


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
        return self.gpu.takes(step, _unknowns(problem))

    def on_cpu(self) -> Backend:
        """The same without the GPU, for steps that solve one task or one column at a time."""
        return replace(self, gpu=Gpu())

    def seconds(self, problem: cp.Problem) -> float:
        """The time limit of one solve."""
        if self.limit is not None:
            return self.limit
        return max(SOLVE_LIMIT, _ITERATIONS / 3 * float(_unknowns(problem)) ** 3 / _FLOPS)

    def give_up(self, name: str, step: Step, said: str) -> None:
        """No more of a solver that hung; warns."""
        self.hung[name] = said
        log.warning("%s at a %s-step: %s, it is not tried again in this fit", name, step, said)


AUTO = Backend()
"""The chain of the step as it stands."""


class Attempt(NamedTuple):
    """What one solver said of a problem, and its seconds."""

    status: str
    seconds: float
    compile_seconds: float


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
        elsewhere = first != ("CLARABEL",) or self.step not in ("W", "B")
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
            data, _, _ = _problem_data(self.problem, "CLARABEL", {}, canon=_CANON)
        except MemoryError:
            raise
        except Exception as error:
            log.debug("%s-step: Clarabel cannot be had as data (%s)", self.step, error)
            return time.perf_counter() - started
        compiled = data[cp.settings.PARAM_PROB]
        if Program.fits(compiled):
            self._program = Program(self.problem, compiled, refinement=self.step == "W")
        return time.perf_counter() - started


def _set(values: Mapping[cp.Parameter, Array]) -> None:
    for parameter, value in values.items():
        parameter.value = value


def solve(problem: cp.Problem, *, step: Step, backend: Backend = AUTO) -> Solved:
    """Solve a compiled problem, on the GPU or along the fallback chain; the answer is in its variables.

    Raises
    ------
    SolveError
        If no solver of the chain gives an answer; the message lists what each said.
    """
    if not backend.takes_gpu(step, problem):
        return _along_chain(problem, step, backend)
    answer = _on_gpu(problem, step, backend)
    if answer.status == cp.OPTIMAL:
        return answer
    backend.gpu.fail(step, answer.status)
    solved = _along_chain(problem, step, backend)
    return replace(
        solved,
        status=f"{solved.status}, GPU failed",
        compile_seconds=solved.compile_seconds + answer.compile_seconds,
    )


def _on_gpu(problem: cp.Problem, step: Step, backend: Backend) -> Solved:
    """SCS with its GPU linear solver."""
    name, gpu = f"SCS {backend.gpu.linear_solver}", backend.gpu
    limit = backend.seconds(problem)
    options = {**_options("SCS", step, problem, limit), "linear_solver": gpu.linear_solver}
    try:
        status, seconds, compiled = _attempt(problem, "SCS", options, limit)
    except SolverFault as fault:
        return Solved(solver=name, status=str(fault), seconds=0.0)
    gpu.solves += status == cp.OPTIMAL
    return Solved(solver=name, status=status, seconds=seconds, compile_seconds=compiled)


def _along_chain(problem: cp.Problem, step: Step, backend: Backend) -> Solved:
    tried = [f"{name}: {said}" for name, said in backend.hung.items()]
    inexact: tuple[Solved, dict[cp.Variable, Any]] | None = None
    compile_seconds, limit = 0.0, backend.seconds(problem)
    for name in chain(step, backend.solver):
        if name in backend.hung:
            continue
        try:
            status, seconds, compiled = _attempt(problem, name, _options(name, step, problem, limit), limit)
        except SolverFault as fault:
            tried.append(f"{name}: {fault}")
            if fault.hung:
                backend.give_up(name, step, str(fault))
            continue
        compile_seconds += compiled
        if status == cp.OPTIMAL:
            return Solved(solver=name, status=status, seconds=seconds, compile_seconds=compile_seconds)
        tried.append(f"{name}: {status}")
        better = inexact is None or (status, inexact[0].status) == (cp.OPTIMAL_INACCURATE, cp.USER_LIMIT)
        if status in _ANSWERS and better and _has_values(problem):
            answer = Solved(solver=name, status=status, seconds=seconds, compile_seconds=compile_seconds)
            inexact = answer, {v: v.value for v in problem.variables()}
    if inexact is None:
        raise SolveError(
            f"the {step}-step could not be solved ({'; '.join(tried)}):"
            " rescale the data, choose another solver or a longer solve limit",
            step=step,
            solver=", ".join(chain(step, backend.solver)),
            status="; ".join(tried),
        )
    answer, values = inexact
    log.warning("%s-step: no solver reached its accuracy (%s)", step, "; ".join(tried))
    for variable, value in values.items():
        variable.save_value(value)
    return answer


def _has_values(problem: cp.Problem) -> bool:
    return all(variable.value is not None for variable in problem.variables())


def _options(name: str, step: Step, problem: cp.Problem, limit: float) -> Mapping[str, Any]:
    options = {**_OPTIONS[name], _TIME_LIMITS[name]: OWN_LIMIT * limit}
    if (name, step) == ("CLARABEL", "B-cone"):  # these end at 1e-10; asking for more costs a fallback
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
    if name == "CLARABEL":
        options["direct_solve_method"] = "faer" if _unknowns(problem) >= FAER_SIZE else "qdldl"
    return options


def _unknowns(problem: cp.Problem) -> int:
    return sum(int(variable.size) for variable in problem.variables())


def _attempt(problem: cp.Problem, name: str, options: Mapping[str, Any], limit: float) -> Attempt:
    """One solver's status, its seconds (set-up and polish included) and the seconds of a first compilation.

    OSQP swallows Ctrl-C and returns the status "interrupted"; it is given back as `KeyboardInterrupt`.

    Raises
    ------
    SolverFault
        For whatever else is no answer.
    """
    compiled, before = 0.0, problem.compilation_time
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # back end, sparse value, accuracy: the last is in the status
        try:  # a solver without the cones of the problem says so while compiling
            data, chain_, inverse = _problem_data(problem, name, options)
            if problem.compilation_time != before:
                compiled = problem.compilation_time or 0.0
            started = time.perf_counter()
            raw = watched(
                lambda: chain_.solve_via_data(problem, data, False, False, dict(options)), limit=limit
            )
            seconds = time.perf_counter() - started
            if name == "OSQP" and raw.info.status == "interrupted":
                raise KeyboardInterrupt
            problem.unpack_results(raw, chain_, inverse)
            status = str(problem.status)
            if status in _ANSWERS:
                _check_answer(problem, raw["x"] if isinstance(raw, dict) else raw.x, len(data[_LENGTH[name]]))
        except (SolverFault, MemoryError):
            raise
        except Exception as error:
            raise SolverFault.of(error) from error
    return Attempt(status, seconds, compiled)


def _check_answer(problem: cp.Problem, x: Any, length: int) -> None:
    """Raise `SolverFault` unless x, and what CVXPY made of it, is finite and has the right length."""
    if np.shape(x) != (length,):
        raise SolverFault(f"an answer of shape {np.shape(x)} instead of {(length,)}")
    if not all(v.value is not None and np.isfinite(v.value).all() for v in problem.variables()):
        raise SolverFault("an answer that is not finite")


def _problem_data(
    problem: cp.Problem, name: str, options: Mapping[str, Any], *, canon: str | None = None
) -> tuple[Any, Any, Any]:
    """CVXPY's data for a solver; compiled at the first call, with the parameters' values after that."""
    data: tuple[Any, Any, Any] = problem.get_problem_data(
        name, enforce_dpp=True, canon_backend=canon, solver_opts=dict(options)
    )
    return data
