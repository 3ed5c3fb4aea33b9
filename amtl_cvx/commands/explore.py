"""`amtl-cvx explore`: fit from many starts, show which first-order points there are, keep the lowest."""

from __future__ import annotations

import dataclasses
import functools
from argparse import Namespace
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from amtl_cvx.commands.named import called, left_open, method_of, title_line, translated
from amtl_cvx.commands.output import kept_words
from amtl_cvx.commands.rows import confirmed_solution
from amtl_cvx.commands.settings import admit, check_options, complete, table_of
from amtl_cvx.commands.setup import (
    Setup,
    interruptible,
    recorded,
    running_options,
    set_up,
    uninterrupted,
)
from amtl_cvx.console import note, say
from amtl_cvx.errors import Exit, ModelError
from amtl_cvx.explore import Landscape, draw_starts, exploration_of
from amtl_cvx.explore import explore as explore_starts
from amtl_cvx.families import DEFAULT, Settings, family_named, settings_with
from amtl_cvx.options import Options
from amtl_cvx.parallel import workers
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import RunFolder
from amtl_cvx.solution import Solution, Status

_SHOWN = 12
"""Points that the table on the console has at most."""


def explore(arguments: Namespace) -> Exit:
    """`amtl-cvx explore`."""
    admit(arguments)
    arguments = translated(arguments)
    table = settings_with(arguments.method) if arguments.method else table_of(DEFAULT)
    check_options(arguments, table)
    _check_method(arguments, table)
    arguments = complete(left_open(arguments), table)
    options = _options(arguments, table)
    with (
        interruptible(),
        RunFolder(arguments.out, force=arguments.force) as folder,
        Progress(quiet=arguments.quiet, tol=options.tol) as progress,
        workers(arguments.jobs, scheduler=arguments.scheduler) as executor,
    ):
        setup = set_up(arguments, dataclasses.replace(options, executor=executor), progress, table=table)
        if setup.stopped:
            raise KeyboardInterrupt
        landscape = _explored(arguments, setup, options, executor, progress)
        with uninterrupted():
            progress.phase("drawing the points and writing the report")
            lowest = _lowest(landscape, setup, progress)
            place = folder.write(
                lowest,
                dataset=setup.dataset,
                arguments={**recorded(arguments, table), **setup.settings},
                seed=arguments.seed,
                scores=_scores(landscape),
                choice=setup.described_choice(),
                numbers=functools.partial(_write_landscape, landscape),
                pictures={"landscape.png": functools.partial(_draw_landscape, landscape, setup.dataset.name)},
            )
    if not arguments.quiet:
        lines = [
            *title_line(arguments),
            *setup.summary(),
            landscape.describe(),
            *_table(landscape),
            f"wrote {place}",
        ]
        say(*lines)
    return _ending(landscape, lowest, place, out=arguments.out)


def _check_method(arguments: Namespace, table: Settings) -> None:
    """`ModelError` for a method from whose starts nothing is explored."""
    method, by_name = arguments.method or table.methods[0], method_of(arguments)
    if by_name is not None and by_name.convex:
        raise ModelError(
            f"{by_name.title} is convex, all starts lead to one minimum: fit it (fit --method {by_name.name})"
        )
    found = family_named(table.family).exploration
    if found is None:
        raise ModelError(f"{table.title} has no starts to explore from: fit it (fit --method {method})")
    names = (table.methods[0], *found.also)
    if method not in names:
        asked = called(arguments) if by_name is not None else method
        raise ModelError(f"explore fits by --method {' or '.join(names)} from its starts, not by {asked!r}")


def _options(arguments: Namespace, table: Settings) -> Options:
    """How each fit is run; `AMTLError` for a seed, a number of starts or an option that is none."""
    if arguments.starts < 1:
        raise ModelError(f"--starts must be a whole number >= 1, got {arguments.starts}")
    return running_options(arguments, table)


def _explored(
    arguments: Namespace, setup: Setup, options: Options, executor: Executor | None, progress: Progress
) -> Landscape:
    tasks, model, count = setup.train, setup.choice.model, arguments.starts
    rows = setup.dataset.validation
    validation = None if rows is None else setup.preparation.apply_tasks(rows)
    progress.phase("drawing the starts")
    rng = np.random.default_rng(arguments.seed)
    starts = draw_starts(tasks, model, count, rng=rng, options=options, executor=executor)
    progress.phase(f"fitting from {count} starts")
    lowest = np.inf

    def show(done: int, solution: Solution) -> None:
        nonlocal lowest
        if solution.certificate.passes:
            lowest = min(lowest, solution.objective)
        progress.fitted(done, count, lowest)

    return explore_starts(
        tasks,
        model,
        starts,
        method=arguments.method,
        validation=validation,
        classes=setup.dataset.classes is not None,
        options=options,
        executor=executor,
        observe=show,
    )


def _lowest(landscape: Landscape, setup: Setup, progress: Progress) -> Solution:
    """The certified result of lowest J, else the lowest of all; complete, for a run folder."""
    best, preparation = landscape.best, setup.preparation
    solution = landscape.uncertified[0].solution if best is None else best.solution
    solution = confirmed_solution(solution, setup.dataset, preparation, progress.counting)
    status = Status.INTERRUPTED if landscape.unfinished else solution.status
    prepared = None if preparation.is_identity else preparation
    return dataclasses.replace(solution, preparation=prepared, status=status)


def _scores(landscape: Landscape) -> dict[str, Mapping[str, float]]:
    """What run.json and the report say of the validation rows."""
    best, predictor, name = landscape.best, landscape.best_predictor, f"validation {landscape.error_name}"
    if best is None or best.error is None or predictor is None or predictor.error is None:
        return {}
    return {"lowest J": {name: best.error}, "lowest validation error": {name: predictor.error}}


def _write_landscape(landscape: Landscape, folder: Path) -> None:
    """landscape.csv and landscape.json."""
    landscape.write_csv(folder / "landscape.csv")
    landscape.write_json(folder / "landscape.json")


def _draw_landscape(landscape: Landscape, title: str, path: Path) -> None:
    """landscape.png; matplotlib is loaded here."""
    from amtl_cvx.plotting import landscape_figure, write_png

    write_png(landscape_figure(landscape, title=title), path)


def _table(landscape: Landscape) -> list[str]:
    """The points as lines of text."""
    if not landscape.points:
        return []
    judged = landscape.error_name is not None
    error = f"  {f'validation {landscape.error_name}':>22}" if judged else ""
    counted = exploration_of(landscape.points[0].solution.model).counted
    wide = max(5, len(counted))
    lines = [f"{'point':>5}  {'J':>14}  {'above lowest':>12}  {'hits':>4}  {counted:>{wide}}  level{error}"]
    for number, point in enumerate(landscape.points[:_SHOWN], start=1):
        above = f"{landscape.above_lowest(point):.3%}"
        count = getattr(point.solution.certificate, counted)
        error = f"  {point.error:>22.6g}" if point.error is not None else ""
        lines.append(
            f"{number:>5}  {point.objective:>14.9g}  {above:>12}  {point.hits:>4}  {count:>{wide}}"
            f"  {point.level:<5}{error}"
        )
    left = len(landscape.points) - _SHOWN
    return [*lines, f"  ... {left} more in landscape.csv"] if left > 0 else lines


def _ending(landscape: Landscape, lowest: Solution, place: Path, *, out: Path) -> Exit:
    """The exit code; a run that is interrupted, or not where it was to go, says where it is."""
    left, kept = f"what {landscape.finished} starts reached is in {place}", kept_words(place, out)
    if landscape.unfinished:
        note(f"interrupted: {left}{kept}")
        return Exit.INTERRUPTED
    if kept:
        note(f"not certified: {left}{kept}")
    return Exit.DONE if lowest.certificate.passes else Exit.UNCERTIFIED
