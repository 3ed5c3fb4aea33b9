"""The search: a fit from every start, the points they reached, each judged on curvature and validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.errors import DataError, SolveError
from amtl_cvx.experiment import Job, fit_many
from amtl_cvx.explore.base import exploration_of
from amtl_cvx.explore.landscape import Landscape
from amtl_cvx.explore.points import FirstOrderPoint, Reached, by_objective, connected, distance
from amtl_cvx.options import Options
from amtl_cvx.scoring import score
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def explore(
    tasks: TaskSet,
    model: Any,
    starts: Sequence[Any],
    *,
    method: str | None = None,
    validation: TaskSet | None = None,
    classes: bool = False,
    options: Options | None = None,
    executor: Executor | None = None,
    observe: Callable[[int, Solution], None] | None = None,
) -> Landscape:
    """Fit from every start, and group what was reached into distinct first-order points.

    Parameters
    ----------
    tasks, model
        The problem.
    starts : sequence
        As `draw_starts` gives them, of different names.
    method : str, optional
        That of every fit; default: the first method of the model's family.
    validation : TaskSet, optional
        Prepared rows of some or all of the tasks, matched by name.
    classes : bool
        The tasks are one-vs-rest over shared rows: the error is that of the class of largest score.
    options : Options, optional
        Of every fit.
    executor : concurrent.futures.Executor, optional
        See `parallel`; the landscape is the same with any.
    observe : callable(done, solution), optional
        Called after each fit with the number of fits done.

    Returns
    -------
    Landscape
        At Ctrl-C that of the starts which were finished.

    Raises
    ------
    ModelError, DataError, WorkerError
        Those of `fit_many`; `DataError` for validation rows of an unknown task, or names that occur twice.
    SolveError
        If no start could be fitted.
    KeyboardInterrupt
        At Ctrl-C before the first fit was finished.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Options, TaskSet
    >>> from amtl_cvx.explore import draw_starts, explore
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(12, 3))
    >>> tasks = TaskSet.from_matrix(X, X @ [[1.0, 1.2], [0.5, 0.4], [0.0, 0.1]] + rng.normal(size=(12, 2)))
    >>> model, fast = Model(transfer=LossWeightedL1(mu=0.1), coupling=0.5), Options(engine="fast")
    >>> starts = draw_starts(tasks, model, 3, rng=rng, options=fast)
    >>> [start.name for start in starts]
    ['zero', 'single-task', 'curriculum']
    >>> len(explore(tasks, model, starts, options=fast).points)
    1
    """
    searched = exploration_of(model, tasks)
    searched.check(tasks, model)
    names = [start.name for start in starts]
    if not starts or len(set(names)) < len(names):
        raise DataError(
            f"expected at least one start, each with a name of its own, got {len(names)} starts with"
            f" {len(set(names))} names"
        )
    judge = None if validation is None else _Judge.of(tasks, validation, classes=classes)
    each = options or Options()
    jobs = [
        Job(tasks=tasks, model=model, method=method, options=searched.options(start, tasks, each))
        for start in starts
    ]
    finished, lost = _fit_all(jobs, executor, observe)
    reached = [Reached(names[number], finished[number]) for number in sorted(finished)]
    failed = [each for each in reached if not each.solution.certificate.passes]
    return Landscape(
        points=tuple(_points(tasks, reached, judge)),
        uncertified=tuple(sorted(failed, key=by_objective)),
        lost={names[number]: reason for number, reason in lost.items()},
        unfinished=tuple(name for number, name in enumerate(names) if number not in {*finished, *lost}),
        error_name=None if judge is None else judge.name(model),
    )


class _Judge(NamedTuple):
    """Validation rows of some of the tasks."""

    rows: TaskSet
    classes: bool

    @classmethod
    def of(cls, tasks: TaskSet, validation: TaskSet, *, classes: bool) -> _Judge:
        for name in validation.names:
            tasks.index(name)
        return cls(validation, classes)

    def name(self, model: Any) -> str:
        return "error rate" if model.loss.classification else "rmse"

    def error(self, solution: Solution) -> float:
        """Mean over tasks of the root mean squared error; for classes the share that is wrong."""
        found = next(iter(score(solution, self.rows, classes=self.classes).values()))
        return 1.0 - found if solution.model.loss.classification else found


def _fit_all(
    jobs: Sequence[Job], executor: Executor | None, observe: Callable[[int, Solution], None] | None
) -> tuple[dict[int, Solution], dict[int, str]]:
    """What each job ended in, by number: a solution, or the words of its `SolveError`.

    `fit_many` raises the error of the earliest job that fails, when all before it are done; the others go on.
    """
    finished: dict[int, Solution] = {}
    lost: dict[int, str] = {}

    def note(number: int, solution: Solution) -> None:
        finished[left[number]] = solution
        if observe is not None:
            observe(len(finished), solution)

    while left := [number for number in range(len(jobs)) if number not in {*finished, *lost}]:
        try:
            fit_many([jobs[number] for number in left], executor=executor, observe=note)
        except SolveError as error:
            lost[min(number for number in left if number not in finished)] = str(error)
            if len(lost) == len(jobs):
                raise
        except KeyboardInterrupt:
            if not finished:
                raise
            break
    return finished, lost


def _points(tasks: TaskSet, reached: Sequence[Reached], judge: _Judge | None) -> list[FirstOrderPoint]:
    """Group the certified results, lowest J first."""
    certified = sorted((r for r in reached if r.solution.certificate.passes), key=by_objective)
    order = {r.start: place for place, r in enumerate(reached)}
    points = []
    for group in connected(certified):
        best = min(group, key=lambda r: (r.solution.certificate.relative, r.start)).solution
        points.append(
            FirstOrderPoint(
                solution=best,
                starts=tuple(sorted((r.start for r in group), key=order.__getitem__)),
                spread=max(distance(a.solution, b.solution) for a in group for b in group),
                second_order=exploration_of(best.model).curvature(tasks, best),
                error=None if judge is None else judge.error(best),
            )
        )
    return sorted(points, key=lambda point: point.objective)
