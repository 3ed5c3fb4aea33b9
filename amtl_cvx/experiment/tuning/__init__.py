"""Tuning: the parameters of a named method chosen on rows that are kept apart, honestly and once.

    tuning = tune(tasks, "amtl", {"mu": "1e-3:1e1:5", "coupling": "1:1000:4", "rounds": range(1, 11)})
    solution = tuning.fit(tasks)
    print(tuning.sentence())

For every point of the grid and every split: the fit on the training rows, its error on the held-out rows;
the mean over splits decides (`choice`). Test rows have no place here: whatever is given is trained or judged
on. A point is a fit to its end, judged by nobody, or with `rounds` among the parameters one that is stopped
after so many rounds; one fit gives the errors of all rounds. A fit to its end is bounded: where labels are
separable predictors grow for ever, and such a trial ends as "growing" (`Trial.ended`). What is chosen is
fitted again on all rows by `Tuning.fit`, and that fit is judged.

Parameters without values get the grid of `families.settings.named`, in units of the data (`units`). A grid
whose best point lies at an end gets one more value there, `widen` times an axis at most, and says so. At
random, points are drawn between the ends of the axes (log-uniformly on logarithmic ones) with the seed, and
nothing is widened. A convex method begins at the point beside (the same minimum, sooner); AMTL counts rounds
from the empty graph and begins there, for where it ends depends on where it began.

Every executor gives the table of a serial run, and a journal that of one that was never ended (`engine`,
`journal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.tuning.axes import ROUNDS, Axis, Grid
from amtl_cvx.experiment.tuning.choice import RULES, SIMPLER, Rule, chosen, edges
from amtl_cvx.experiment.tuning.engine import Engine, Observe
from amtl_cvx.experiment.tuning.journal import Journal
from amtl_cvx.experiment.tuning.plan import EngineChoice, Plan, count, plan
from amtl_cvx.experiment.tuning.search import Point, search
from amtl_cvx.experiment.tuning.splits import Part, Splits
from amtl_cvx.experiment.tuning.trial import Trial, shown
from amtl_cvx.experiment.tuning.tuned import Tuning
from amtl_cvx.families.settings.named import NamedMethod
from amtl_cvx.options import Options
from amtl_cvx.run import Callback
from amtl_cvx.tasks import TaskSet

__all__ = ["RULES", "SIMPLER", "Axis", "Journal", "Part", "Splits", "Trial", "Tuning", "tune"]


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def tune(
    tasks: TaskSet,
    method: str | NamedMethod = "amtl",
    grid: Grid | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    splits: Any = None,
    random: int | None = None,
    seed: int = 0,
    random_seed: int | None = None,
    widen: int = 3,
    rule: Rule = "best",
    warm: bool | None = None,
    measure: str = "auto",
    options: Options | None = None,
    engine: EngineChoice = "auto",
    executor: Executor | None = None,
    journal: str | Path | None = None,
    observe: Observe | None = None,
    step: Callback | None = None,
) -> Tuning:
    """Choose the parameters of a method by their errors on held-out rows.

    Parameters
    ----------
    tasks : TaskSet
        The rows that there are to learn from, features prepared, test rows not among them.
    method : str or NamedMethod
        One of `families.settings.named`.
    grid : mapping, or sequence of Axis or str, optional
        Values by parameter, ``{"mu": [0.1, 1.0], "rounds": range(1, 11)}``, or as text, ``["mu=.1,1"]`` (see
        `Axis.parse`). A parameter that is in neither grid nor settings gets a grid of its own; `rounds` is
        tuned where it is named.
    settings : mapping, optional
        Settings of the model, such as the loss, and parameters that are held.
    splits : int, float, Splits, TaskSet or splitter, optional
        How many folds, what share to hold out, validation rows, a splitter of scikit-learn or pairs of row
        numbers (see `Splits.given`). Default: five folds.
    random : int, optional
        How many points are drawn at random between the ends of the axes.
    seed : int
        Of folds and shares, and of random points where these have no seed of their own.
    random_seed : int, optional
        Of random points alone: other ones on the same rows.
    widen : int
        How often an axis may get one more value beyond an end at which the best point lies.
    rule : {"best", "one-se"}
        The least mean error, or the simplest point within one standard error of it.
    warm : bool, optional
        Whether a fit begins at the one before. Default: where the problem is convex and its method can.
    measure : str
        "pooled rmse", "rmse", "class error", "error" or "loss"; "auto" is the first that suits the data.
    options : Options, optional
        How the fits are carried out.
    engine : {"auto", "cvxpy", "fast"}
        "auto" is the fast engine where a method has one and the options do not ask for another.
    executor : concurrent.futures.Executor, optional
        See `parallel`.
    journal : path, optional
        A file of what is finished: the same call with it goes on where it was ended.
    observe : callable(done, total, least), optional
        Called after every job: fits done, fits there are so far, least mean error so far.
    step : callable(Record), optional
        Called after every step of a trial, where trials are done in this process.

    Raises
    ------
    ModelError, DataError
        For a grid, settings or splits that do not fit method and tasks, a journal of another tuning, and
        where no point could be fitted.
    KeyboardInterrupt
        At Ctrl-C; the journal holds what was finished.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.experiment.tuning import tune
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 3)) for n in (30, 30, 6)]
    >>> y = [part @ [1.0, -2.0, 0.5] + s * rng.normal(size=len(part)) for part, s in zip(X, (0.1, 0.1, 1.0))]
    >>> tasks = TaskSet.from_arrays(X, y, names=["north", "south", "new town"])
    >>> tuning = tune(tasks, "amtl", {"mu": [0.1, 1.0], "coupling": [0.1, 1.0]}, splits=3, widen=0)
    >>> len(tuning.trials), tuning.measure
    (4, 'pooled rmse')
    >>> tuning.fit(tasks).certificate.level
    'C2'
    """
    count("widen", widen, least=0)
    count("seed", seed, least=0)
    if rule not in RULES:
        raise ModelError(f"the rule must be one of {', '.join(RULES)}, got {rule!r}")
    planned = plan(
        tasks, method, grid, settings=settings, splits=splits, seed=seed, warm=warm, measure=measure,
        options=options, engine=engine,
    )  # fmt: skip
    random_seed = seed if random_seed is None else count("random_seed", random_seed, least=0)
    drawn = None if random is None else planned.draws(count("random", random, least=1), random_seed)
    about = planned.about(widen=widen, random=random, seed=random_seed)
    noted = None if journal is None else Journal(journal, about)
    executor = executor or (None if options is None else options.executor)
    bench = planned.bench
    if step is not None and executor is None:
        bench = bench._replace(options=replace(bench.options, callback=step))
    work = Engine(bench=bench, executor=executor, journal=noted, observe=observe)
    if drawn is not None:
        work.errors(drawn)
        return _tuning(planned, work, rule, drawn, planned.axes, {})
    searched = search(planned.job_axes, work.errors, widen=widen)
    axes = (*searched.axes, *planned.axes[len(searched.axes) :])
    return _tuning(planned, work, rule, list(searched.errors), axes, searched.added)


def _tuning(
    planned: Plan,
    work: Engine,
    rule: Rule,
    points: list[Point],
    axes: tuple[Axis, ...],
    added: Mapping[str, list[Any]],
) -> Tuning:
    """The result, from what the fits said."""
    trials = [trial for point in points for trial in _trials(planned, work, point)]
    choice = chosen(trials, rule, axes)
    widened = tuple(
        f"{name} was widened to {', '.join(map(shown, values))}, as the best lay at an end"
        for name, values in added.items()
    )
    return Tuning(
        method=planned.method,
        settings=planned.settings,
        measure=planned.bench.measure,
        trials=tuple(trials),
        chosen=choice,
        rule=rule,
        axes=axes,
        widened=widened,
        edges=edges(choice, trials, axes),
        splits_words=planned.splits.words,
        seconds=sum(each.seconds for each in work.of.values()),
        resumed=work.resumed,
        options=planned.options,
    )


def _trials(planned: Plan, work: Engine, point: Point) -> list[Trial]:
    """The trials of a point: one, or one for each of the rounds."""
    parameters, bench = dict(zip(planned.bench.names, point, strict=True)), planned.bench
    found = []
    for place, rounds in enumerate(bench.rounds or (None,)):
        more = {} if rounds is None else {ROUNDS: rounds}
        found.append(work.trial(point, place, {**parameters, **more}))
    return found
