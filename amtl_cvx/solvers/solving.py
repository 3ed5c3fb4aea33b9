"""One problem along the fallback chain (see the package's essay)."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import SolveError
from amtl_cvx.solvers.backend import AUTO, Backend, Solved, unknowns
from amtl_cvx.solvers.inventory import Step, chain
from amtl_cvx.solvers.watch import OWN_LIMIT, SolverFault, watched

FAER_SIZE = 1000
"""Number of unknowns from which Clarabel's multifrontal factorisation is the faster one."""

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "CLARABEL": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "max_threads": 1},
    "OSQP": {"eps_abs": 1e-9, "eps_rel": 1e-9, "polishing": True, "max_iter": 10_000},
    "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 50_000},
}
_ENOUGH: Mapping[Step, float] = {"B-cone": 1e-9, "W-omega": 1e-7, "D": 1e-9, "cell": 1e-8}
"""What is asked of Clarabel: a B-step ends at 1e-10, more costs a fallback; NumPy goes on from a W-step, and
from one in a cell that Clarabel does not solve as data: many rows meet in a corner there."""
_TIME_LIMITS = {"CLARABEL": "time_limit", "OSQP": "time_limit", "SCS": "time_limit_secs"}
_LENGTH = {"CLARABEL": "c", "OSQP": "q", "SCS": "c"}  # which of CVXPY's data is as long as an answer
_ANSWERS = (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, cp.USER_LIMIT)

log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """What one solver said of a problem, and its seconds."""

    status: str
    seconds: float
    compile_seconds: float


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
    if name == "CLARABEL" and step in _ENOUGH:
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), _ENOUGH[step])
    if name == "CLARABEL":
        options["direct_solve_method"] = "faer" if unknowns(problem) >= FAER_SIZE else "qdldl"
    return options


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
            data, chain_, inverse = problem_data(problem, name, options)
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


def problem_data(
    problem: cp.Problem, name: str, options: Mapping[str, Any], *, canon: str | None = None
) -> tuple[Any, Any, Any]:
    """CVXPY's data for a solver; compiled at the first call, with the parameters' values after that."""
    data: tuple[Any, Any, Any] = problem.get_problem_data(
        name, enforce_dpp=True, canon_backend=canon, solver_opts=dict(options)
    )
    return data
