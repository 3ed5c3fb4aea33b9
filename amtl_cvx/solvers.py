"""Solvers: which are here, with which options, in which order, and how one problem is solved with them.

The choice is measured (2 cores, CVXPY 1.9.3; accuracy is the gradient or KKT residual relative to its terms):

    W-step (a QP without inequalities): Clarabel solves it in its initial KKT step, to 1e-15 and with any
        tolerance; with its multifrontal factorisation ("faer") from T*d = 1000 on (T d = 3892: 0.6 s against
        8 s with qdldl, 11 s SCS, 20 s OSQP).
    W-step with exponential cones: Clarabel, then SCS (OSQP has no such cone).
    B-step (a QP with bounds): Clarabel (T = 15: 5 ms against 50 ms OSQP and 14 ms SCS; School, column by
        column: 4 ms a column, where OSQP runs into its limit of iterations). The support of any solver's
        answer is solved once more in NumPy (`subproblems.polished`), which makes B exact.
    B-step with second-order cones (penalties with norms): Clarabel, then SCS.

Fallback chain: the chosen solver first, then the others of the step in the order of `CHAINS`. A status other
than "optimal" sends the problem to the next solver. If no solver reaches "optimal", the first
"optimal_inaccurate" answer, else the first "user_limit", is used under that status, which the history shows
and a warning is logged for; the coordinator then judges it by its duality gap like every other answer. No
answer at all is a `SolveError`. Solvers are started cold each time, so that a result does not depend on
earlier calls.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cvxpy as cp

from amtl_cvx.errors import ConvexityError, SolveError, SolverUnavailableError

Step = Literal["W", "W-cone", "B", "B-cone"]

CHAINS: Mapping[Step, tuple[str, ...]] = {
    "W": ("CLARABEL", "SCS", "OSQP"),
    "W-cone": ("CLARABEL", "SCS"),
    "B": ("CLARABEL", "OSQP", "SCS"),
    "B-cone": ("CLARABEL", "SCS"),
}
"""Solvers of each step, the default first."""

FAER_SIZE = 1000
"""Number of unknowns from which Clarabel's multifrontal factorisation is the faster one."""

_PACKAGES = {"CLARABEL": "clarabel", "OSQP": "osqp", "SCS": "scs"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "CLARABEL": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "max_threads": 1},
    "OSQP": {"eps_abs": 1e-9, "eps_rel": 1e-9, "polishing": True, "max_iter": 10_000},
    "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 50_000},
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SolverInfo:
    """One row of `amtl-cvx solvers`."""

    name: str
    usable: bool
    version: str
    role: str
    gpu: str
    reason: str = ""


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


@functools.cache
def installed() -> frozenset[str]:
    """CVXPY's installed solvers; asked once, because CVXPY searches the disk at every call (20 ms)."""
    return frozenset(cp.installed_solvers())


def available() -> tuple[SolverInfo, ...]:
    """What is installed, and for what is not, why not."""
    rows = []
    for name, package in _PACKAGES.items():
        steps = ", ".join(
            f"{step}{' (default)' if chain[0] == name else ''}"
            for step, chain in CHAINS.items()
            if name in chain
        )
        found = importlib.util.find_spec(package) is not None and name in installed()
        rows.append(
            SolverInfo(
                name=name,
                usable=found,
                version=importlib.metadata.version(package) if found else "",
                role=steps,
                gpu=_gpu(name) if found else "no: not installed",
                reason="" if found else f"the package {package!r} is not installed: pip install {package}",
            )
        )
    return tuple(rows)


def _gpu(name: str) -> str:
    """Whether an installed solver can use a GPU, and why not; nothing is loaded or tried on a device."""
    if name != "SCS":
        return {"CLARABEL": "no: CPU code", "OSQP": "no: the installed build is for the CPU"}[name]
    backends = {"gpu_indirect": "scs._scs_gpu", "cudss": "scs._scs_cudss"}
    built = [backend for backend, module in backends.items() if importlib.util.find_spec(module)]
    if built:
        return f"yes ({', '.join(built)})"
    return "no: built without a GPU back end (the PyPI wheel has none)"


def check_solver(name: str) -> str:
    """The solver's canonical name ("auto" included).

    Raises
    ------
    SolverUnavailableError
        If the name is unknown or the solver is not installed.
    """
    canonical = "auto" if name.lower() == "auto" else name.upper()
    if canonical == "auto":
        return canonical
    if canonical not in _PACKAGES:
        raise SolverUnavailableError(f"unknown solver {name!r}: choose auto, {', '.join(_PACKAGES)}")
    if canonical not in installed():
        raise SolverUnavailableError(
            f"solver {canonical} is not installed: pip install {_PACKAGES[canonical]}, or choose auto"
        )
    return canonical


def chain(step: Step, solver: str) -> tuple[str, ...]:
    """The solvers to try, in order: `solver` first where it can do the step."""
    usable = tuple(name for name in CHAINS[step] if name in installed())
    return tuple(sorted(usable, key=lambda name: name != solver)) if solver in usable else usable


def check_dpp(problem: cp.Problem, what: str) -> cp.Problem:
    """The problem itself, or `ConvexityError` naming it if it is not convex or not DPP."""
    if not problem.is_dcp(dpp=True):
        kind = "not DPP (it would be compiled at every solve)" if problem.is_dcp() else "not convex"
        raise ConvexityError(f"{what} is {kind}: {problem.objective.expr}")
    return problem


def solve(problem: cp.Problem, *, step: Step, solver: str = "auto") -> Solved:
    """Solve a compiled problem along the fallback chain; the answer is in the problem's variables.

    Raises
    ------
    SolveError
        If no solver of the chain gives an answer; the message lists what each said.
    """
    tried: list[str] = []
    inexact: tuple[Solved, dict[cp.Variable, Any]] | None = None
    compile_seconds = 0.0
    for name in chain(step, solver):
        options = _options(name, step, problem)
        status, seconds, compiled = _attempt(problem, name, options)
        compile_seconds += compiled
        if status == cp.OPTIMAL:
            return Solved(solver=name, status=status, seconds=seconds, compile_seconds=compile_seconds)
        tried.append(f"{name}: {status}")
        better = inexact is None or (status, inexact[0].status) == (cp.OPTIMAL_INACCURATE, cp.USER_LIMIT)
        if status in (cp.OPTIMAL_INACCURATE, cp.USER_LIMIT) and better and _has_values(problem):
            answer = Solved(solver=name, status=status, seconds=seconds, compile_seconds=compile_seconds)
            inexact = answer, {v: v.value for v in problem.variables()}
    if inexact is None:
        raise SolveError(
            f"the {step}-step could not be solved ({'; '.join(tried)}):"
            " rescale the data or choose another solver",
            step=step,
            solver=", ".join(chain(step, solver)),
            status="; ".join(tried),
        )
    answer, values = inexact
    log.warning("%s-step: no solver reached its accuracy (%s)", step, "; ".join(tried))
    for variable, value in values.items():
        variable.save_value(value)
    return answer


def _has_values(problem: cp.Problem) -> bool:
    return all(variable.value is not None for variable in problem.variables())


def _options(name: str, step: Step, problem: cp.Problem) -> Mapping[str, Any]:
    options = dict(_OPTIONS[name])
    if (name, step) == ("CLARABEL", "B-cone"):  # these end at 1e-10; asking for more costs a fallback
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
    if name == "CLARABEL":
        size = sum(variable.size for variable in problem.variables())
        options["direct_solve_method"] = "faer" if size >= FAER_SIZE else "qdldl"
    return options


def _attempt(problem: cp.Problem, name: str, options: Mapping[str, Any]) -> tuple[str, float, float]:
    """One solver's status, its seconds (set-up and polish included) and the seconds of a first compilation.

    OSQP swallows Ctrl-C and returns the status "interrupted"; it is given back as `KeyboardInterrupt`.
    """
    compiled, started = 0.0, time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # back end, sparse value, accuracy: the last is in the status
        before = problem.compilation_time
        try:  # a solver without the cones of the problem says so while compiling
            data, chain_, inverse = problem.get_problem_data(
                name, enforce_dpp=True, solver_opts=dict(options)
            )
            compiled = (problem.compilation_time or 0.0) if problem.compilation_time != before else 0.0
            started = time.perf_counter()
            raw = chain_.solve_via_data(problem, data, False, False, dict(options))
            seconds = time.perf_counter() - started
            if name == "OSQP" and raw.info.status == "interrupted":
                raise KeyboardInterrupt
            problem.unpack_results(raw, chain_, inverse)
        except cp.error.SolverError as error:
            return f"failed ({' '.join(str(error).split())[:80]})", time.perf_counter() - started, compiled
    return str(problem.status), seconds, compiled
