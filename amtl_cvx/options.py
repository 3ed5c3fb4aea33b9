"""How a fit is carried out: what every method knows (tolerance, rounds, engine, solver, start)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal

from amtl_cvx.arrays import Array, is_number
from amtl_cvx.certificate import check_tolerance
from amtl_cvx.errors import ModelError
from amtl_cvx.problem import Blocks
from amtl_cvx.run import Callback, Checkpoint, Iterate
from amtl_cvx.solution import Solution, State
from amtl_cvx.solvers import Backend, GpuChoice, check_solver, gpu_for
from amtl_cvx.subproblems import Problems


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a fit is carried out: tolerance, rounds, engine, solver, start; what is solved is the `Model`'s.

    Parameters
    ----------
    tol : float
        Limit for the certificate's relative residual and relative gaps.
    max_rounds : int
        Rounds of alternation; refinement comes on top.
    refine, handover, sweep, definition, ridge, reading
        Settings of a method that is given by its name, as in `amtl.Alternating`, `amtl.Curriculum` and
        `amtl.SimpleCurriculum`.
    solver : str
        "auto" or the solver to try first in every step.
    gpu : {"auto", "on", "off"}
        Whether SCS solves on a GPU where a step is large enough (see `solvers.gpu`).
    solve_limit : float, optional
        Seconds in which a solver must answer one subproblem, before the next one is tried; default: ten
        minutes, and more for a large problem (`solvers.SOLVE_LIMIT`).
    engine : {"cvxpy", "fast"}
        Who solves the two steps: CVXPY problems, or NumPy (linear penalty, joint sweep).
    callback : callable(Record), optional
        Called after every step.
    problems : Problems, optional
        Where compiled problems are kept, for several fits in one thread; by default each fit has its own.
    executor : concurrent.futures.Executor, optional
        Workers for the columns of the B-step and the Hessians of the W-step, where these are large (see
        `parallel`).
    start : Blocks, Solution or State, optional
        The blocks from which a fit begins (AMTL: W (d, T) and a feasible B (T, T)), with the first step of a
        round; default: zeros.
        A `State`, such as `Solution.state` of an interrupted fit, goes on as if there had been no interrupt.
    checkpoint : callable(Solution), optional
        Called with the point so far, its `state` included: after the first round, and then so that no step
        that was finished 30 s ago is lost. Its certificate is not computed and never passes.
    iterate : callable(round, step, blocks), optional
        Called after every step with the blocks as they are then, read-only.
    judged : bool
        False leaves the certificate at what is known without work, and never passing: for the trials of a
        grid, which are scored and not shown. They end after fewer steps, and where predictors only grow.

    Raises
    ------
    ModelError
        For an option that is out of range, or contradicts another one.
    SolverUnavailableError
        For a solver that is unknown or not installed.

    Examples
    --------
    >>> from amtl_cvx import Options
    >>> Options(engine="fast", tol=1e-10).max_rounds
    500
    """

    tol: float = 1e-8
    max_rounds: int = 500
    refine: bool = True
    handover: float | None = None
    sweep: Literal["joint", "tasks"] = "joint"
    definition: bool = False
    ridge: float | None = None
    reading: Literal["greedy", "fixed"] | None = None
    solver: str = "auto"
    gpu: GpuChoice = "auto"
    solve_limit: float | None = None
    engine: Literal["cvxpy", "fast"] = "cvxpy"
    callback: Callback | None = None
    problems: Problems | None = None
    executor: Executor | None = None
    start: Blocks | Solution | State | Mapping[str, Array] | None = None
    checkpoint: Checkpoint | None = None
    iterate: Iterate | None = None
    judged: bool = True

    def __post_init__(self) -> None:
        check_tolerance(self.tol)
        rounds: object = self.max_rounds
        if not (isinstance(rounds, int) and is_number(rounds) and rounds >= 1):
            raise ModelError(f"max_rounds must be a whole number >= 1, got {rounds!r}")
        _check_positive("handover", self.handover)
        _check_positive("ridge", self.ridge)
        _check_positive("solve_limit", self.solve_limit, unit=" of seconds")
        if self.sweep not in ("joint", "tasks"):
            raise ModelError(f"sweep must be 'joint' or 'tasks', got {self.sweep!r}")
        if self.reading not in (None, "greedy", "fixed"):
            raise ModelError(f"reading must be 'greedy' or 'fixed', got {self.reading!r}")
        if self.definition and self.sweep == "tasks":
            raise ModelError("the definition of the W-step is joint: choose sweep 'joint' with it")
        if self.engine not in ("cvxpy", "fast"):
            raise ModelError(f"engine must be 'cvxpy' or 'fast', got {self.engine!r}")
        if self.engine == "fast" and (self.definition or self.sweep == "tasks" or self.solver != "auto"):
            raise ModelError(
                "the fast engine has its own joint steps: leave out solver, sweep and definition, or choose"
                " engine 'cvxpy'"
            )
        object.__setattr__(self, "solver", check_solver(self.solver))
        gpu_for(self.gpu, self.solver)
        if self.engine == "fast" and self.gpu == "on":
            raise ModelError("the fast engine does not use a GPU: choose gpu 'auto' or engine 'cvxpy'")

    @property
    def backend(self) -> Backend:
        """The solver to try first, its limit, the GPU's part: new for each fit, it remembers failures."""
        gpu = gpu_for(self.gpu, self.solver)
        return Backend(solver=self.solver, gpu=gpu, limit=self.solve_limit)


def _check_positive(name: str, value: object, *, unit: str = "") -> None:
    """Raise `ModelError` unless an option is None or a number > 0."""
    if value is not None and not (is_number(value) and value > 0):
        raise ModelError(f"{name} must be a number{unit} > 0, got {value!r}")
