"""Methods: every way to learn W and B, by name, with the certificate that belongs to it.

    solution = fit(tasks, model)                          AMTL, Algorithm 1 with refinement
    solution = fit(tasks, model, method="curriculum")     Algorithm 2
    solution = fit(tasks, model, method="stl")            single-task baseline

BLAS runs on one thread inside a fit: its matrices are many and small, and on a busy machine threads that wait
for each other cost more than they give (measured on digits with both cores taken: 3 s on one thread, 60 s on
two; a Cholesky factor of 2400 unknowns beside one other process: 0.16 s on one thread, 3.3 s on two).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, certify
from amtl_cvx.coordinator import Options, alternate
from amtl_cvx.curriculum import certify_curriculum, curriculum, single_task
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.footprint import check_fit
from amtl_cvx.problem import Model, Problem, check_problem
from amtl_cvx.run import Checkpoint
from amtl_cvx.solution import Blocks, Solution, State, Status
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True)
class Method:
    """A solver and its judge."""

    run: Callable[[TaskSet, Model, Options], Solution]
    judge: Callable[[TaskSet, Model, Blocks, float], Certificate]


def _judge_joint(tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
    return certify(Problem(tasks, model).at(point.W, point.B), tol=tol)


def _judge_single(tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
    return certify(Problem(tasks, model).at(point.W, point.B), tol=tol, kind="single-task")


def _judge_curriculum(tasks: TaskSet, model: Model, point: Blocks, tol: float) -> Certificate:
    if point.order is None:
        raise DataError(
            "a curriculum is judged with its order of learning: the solution has no array 'order'"
        )
    return certify_curriculum(tasks, model, point.W, point.B, point.order, ridge=point.ridge, tol=tol)


METHODS: Mapping[str, Method] = {
    "alternating": Method(run=alternate, judge=_judge_joint),
    "curriculum": Method(run=curriculum, judge=_judge_curriculum),
    "stl": Method(run=single_task, judge=_judge_single),
}
"""Every method by the name that the command line and run.json use."""


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def fit(
    tasks: TaskSet, model: Model | None = None, *, method: str = "alternating", options: Options | None = None
) -> Solution:
    """Learn the predictors W and the graph B, with a certificate.

    Source: Lee, Yang, Hwang, ICML 2016, Algorithms 1 and 2.

    Parameters
    ----------
    tasks : TaskSet
        The data, features prepared (`Preparation.apply_tasks`) if they should be.
    model : Model
        What is minimised.
    method : {"alternating", "curriculum", "stl"}
        AMTL by alternation and refinement, the curriculum of Algorithm 2, or each task alone.
    options : Options, optional
        Tolerance, rounds, solver, callback.

    Returns
    -------
    Solution
        With its certificate. Reaching a limit is a status, not an error.

    Raises
    ------
    ModelError
        Unknown method, or a method that the transfer penalty does not allow.
    DataError
        Tasks that do not fit the loss, or a fit that does not fit into memory (`footprint`).
    SolveError
        A subproblem that no solver answers.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, fit
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 3)) for n in (30, 30, 6)]
    >>> y = [part @ [1.0, -2.0, 0.5] + s * rng.normal(size=len(part)) for part, s in zip(X, (0.1, 0.1, 1.0))]
    >>> tasks = TaskSet.from_arrays(X, y, names=["north", "south", "new town"])
    >>> solution = fit(tasks, Model(transfer=LossWeightedL1(mu=0.5), coupling=1.0))
    >>> solution.certificate.level, solution.certificate.edges
    ('C2', 3)
    """
    checked = check_problem(tasks, model)
    running = _options(options)
    method_named(method)
    start = running.start
    if start is not None and not isinstance(start, State) and method != "alternating":
        raise ModelError(f"{method!r} has its own start: leave out the start, or choose 'alternating'")
    with threadpool_limits(limits=1, user_api="blas"):
        return _fitted(method, tasks, checked, running)


def _options(options: object) -> Options:
    """The options given, or the default ones; `ModelError` for anything else."""
    if options is None or isinstance(options, Options):
        return options or Options()
    raise ModelError(f"options must be Options(tol=..., ...), got {type(options).__name__}")


def _fitted(name: str, tasks: TaskSet, model: Model, options: Options) -> Solution:
    """The run, in the common row space where that is small (`rowspace`): then W is judged once more."""
    method = method_named(name)
    model.check(tasks)
    basis = tasks.row_basis if model.rotation_invariant else None
    small = tasks if basis is None else tasks.in_basis(basis)
    check_fit(small, model, options, method=name)
    if basis is None:
        return method.run(tasks, model, options)
    start, checkpoint = (
        _turned(options.start, tasks, basis),
        _lifting(options.checkpoint, tasks, model, basis),
    )
    options = replace(options, start=start, checkpoint=checkpoint)
    found = _lifted(method.run(small, model, options), tasks, model, basis)
    point = Blocks(found.W, found.B, found.order, found.ridge)
    certificate = method.judge(tasks, model, point, options.tol)
    status = found.status
    if status is not Status.INTERRUPTED and certificate.passes != (status is Status.CERTIFIED):
        status = Status.CERTIFIED if certificate.passes else Status.STALLED
    return replace(found, objective=certificate.objective, certificate=certificate, status=status)


def _turned(start: Blocks | Solution | State | None, tasks: TaskSet, basis: Array) -> Blocks | State | None:
    """The start in coordinates, without what no row sees: that only costs coupling."""
    if start is None:
        return None
    W, B = tasks.check_point(start.W, start.B)
    return replace(start, W=basis.T @ W) if isinstance(start, State) else Blocks(basis.T @ W, B)


def _lifted(found: Solution, tasks: TaskSet, model: Model, basis: Array) -> Solution:
    """A solution in coordinates as one in the features."""
    W, state = basis @ found.W, found.state
    return replace(
        found,
        W=W,
        losses=model.losses(tasks, W),
        feature_names=tasks.feature_names,
        state=None if state is None else replace(state, W=basis @ state.W),
    )


def _lifting(checkpoint: Checkpoint | None, tasks: TaskSet, model: Model, basis: Array) -> Checkpoint | None:
    return None if checkpoint is None else lambda found: checkpoint(_lifted(found, tasks, model, basis))


def method_named(name: object) -> Method:
    """The method of that name; `ModelError` lists the names."""
    if not isinstance(name, str) or name not in METHODS:
        raise ModelError(f"unknown method {name!r}: choose one of {', '.join(METHODS)}")
    return METHODS[name]
