"""Many fits that know nothing of each other: starts, grids, folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from amtl_cvx.families import Found, Method, family_of
from amtl_cvx.methods import fit, method_of
from amtl_cvx.options import Options
from amtl_cvx.parallel import ordered_map
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution, Status
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One fit among many: a start, a point of a grid, a fold.

    Of its options neither callback, checkpoint and iterate, nor the registry of problems and the executor are
    used.
    """

    tasks: TaskSet
    model: Model
    method: str | None = None
    """By default that of `fit`."""
    options: Options = field(default_factory=Options)


def fit_many(
    jobs: Sequence[Job],
    *,
    executor: Executor | None = None,
    observe: Callable[[int, Solution], None] | None = None,
) -> list[Solution]:
    """The fit of every job, in their order and the same with any executor.

    Parameters
    ----------
    jobs : sequence of Job
        Tasks that several jobs share go to each worker once; compiled problems are kept between jobs.
    executor : concurrent.futures.Executor, optional
        See `parallel`; None fits one after another in this process. What a worker calls certified is
        certified again here, and fitted here where it is not.
    observe : callable(number, Solution), optional
        Called after each fit, in the order in which they finish.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C; `observe` has seen what was finished.
    ModelError, DataError, SolveError, WorkerError
        Those of `fit` and of `parallel.ordered_map`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Options, TaskSet
    >>> from amtl_cvx.experiment import Job, fit_many
    >>> tasks = TaskSet.from_matrix(np.eye(3), [[1.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    >>> models = [Model(transfer=LossWeightedL1(mu=mu), coupling=1.0) for mu in (0.01, 5.0)]
    >>> jobs = [Job(tasks=tasks, model=model, options=Options(engine="fast")) for model in models]
    >>> [solution.certificate.edges for solution in fit_many(jobs)]
    [2, 0]
    """
    sets = list({id(job.tasks): job.tasks for job in jobs}.values())
    places = {id(tasks): place for place, tasks in enumerate(sets)}
    bare = [
        replace(
            job,
            options=replace(
                job.options, callback=None, checkpoint=None, iterate=None, problems=None, executor=None
            ),
        )
        for job in jobs
    ]
    items = [(places[id(job.tasks)], job.model, job.method, job.options) for job in bare]
    return ordered_map(
        _fit_job,
        items,
        shared=(tuple(sets), Problems()),
        executor=executor,
        observe=observe,
        accept=lambda number, solution: _judged(jobs[number], solution),
    )


def _judged(job: Job, solution: Solution) -> Solution | None:
    """A worker's solution with a certificate of this process, None where it claims one that it has not."""
    family = family_of(job.model)
    method = method_of(job.method, job.options, family=family)
    if not isinstance(solution, Solution) or solution.method != method.name:
        return None
    point = family.point(Found(solution.blocks, order=solution.order), ridge=solution.ridge)
    certificate = method.judge(job.tasks, job.model, point, job.options.tol)
    certified = solution.status is Status.CERTIFIED or solution.certificate.passes
    if certified and not certificate.passes:
        return None
    return replace(
        solution,
        certificate=certificate,
        objective=certificate.objective,
        losses=family.losses(job.tasks, job.model, solution.blocks),
        model=job.model,
        task_names=job.tasks.names,
        feature_names=job.tasks.feature_names,
        labels=job.tasks.labels,
    )


def _fit_job(
    shared: tuple[tuple[TaskSet, ...], Problems], job: tuple[int, Model, str | None, Options]
) -> Solution:
    (sets, problems), (place, model, method, options) = shared, job
    return fitted(sets[place], model, method, replace(options, problems=problems))


def fitted(tasks: TaskSet, model: Model, method: str | Method | None, options: Options) -> Solution:
    """A fit whose interrupt ends the experiment too."""
    solution = fit(tasks, model, method=method, options=options)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution
