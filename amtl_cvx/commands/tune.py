"""`amtl-cvx tune`: choose parameters on rows kept apart, fit the chosen point, and leave a run folder.

What is tried is kept in a journal beside DIR (`DIR.tuning`) until DIR is there: whatever ends the process,
the same command goes on with what is not in it yet. Test rows are set aside before anything is learned, and
read once, when the chosen point is fitted.

The exit code is 0 where every point was tried and the chosen one judged, at whatever level. One that was
tuned to be stopped after so many rounds was not to go to a first-order point; of one that was and did not
arrive a line on the error stream says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.certificate.levels import is_stopped
from amtl_cvx.commands.asked import Asked, asked_of
from amtl_cvx.commands.output import kept_words
from amtl_cvx.commands.settings import admit, learn_preparation, prepared
from amtl_cvx.commands.setup import (
    data_words,
    interruptible,
    label_lines,
    read_data,
    recorded,
    running_options,
    uninterrupted,
    weight_lines,
)
from amtl_cvx.commands.trials import content_of, draw_trials, lines_of, write_trials
from amtl_cvx.console import note, one_line, say
from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError, Exit
from amtl_cvx.experiment.tuning import Tuning
from amtl_cvx.experiment.tuning import tune as tune_method
from amtl_cvx.experiment.tuning.journal import FORMAT
from amtl_cvx.experiment.tuning.scoring import as_tuned
from amtl_cvx.families import family_of
from amtl_cvx.options import Options
from amtl_cvx.parallel import workers
from amtl_cvx.preparation import Preparation
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import RunFolder, to_json
from amtl_cvx.scoring import score
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import TaskSet

_OTHER = "the journal of another tuning"
"""What `Journal` says of one that is not of this tuning."""
_JOURNAL = FORMAT.encode()


def tune(arguments: Namespace) -> Exit:
    """`amtl-cvx tune`."""
    admit(arguments)
    asked = asked_of(arguments)
    options = running_options(asked.arguments, asked.table)
    journal = journal_of(arguments.out)
    try:
        return _run(asked, options, journal)
    except KeyboardInterrupt:
        return _interrupted(journal)


def _run(asked: Asked, options: Options, journal: Path) -> Exit:
    """Read, tune, fit, write, and say what came of it."""
    arguments = asked.arguments
    with (
        interruptible(),
        RunFolder(arguments.out, force=arguments.force) as folder,
        _emptied(journal),
        Progress(quiet=arguments.quiet, tol=options.tol) as progress,
        workers(arguments.jobs, scheduler=arguments.scheduler) as executor,
    ):
        options = dataclasses.replace(options, executor=executor)
        data = _read(asked, progress)
        tuning = _tuned(asked, data, options, journal, progress)
        solution = _fitted(tuning, data, options, progress)
        with uninterrupted():
            progress.phase("drawing what was tried and writing the report")
            scores = _scores(solution, tuning, asked, data)
            place = _write(folder, solution, tuning, asked, data, scores)
            journal.unlink(missing_ok=True)
    if arguments.json:
        say(to_json(content_of(solution, tuning, place, scores)).rstrip())
    elif not arguments.quiet:
        say(*lines_of(data.words(tuning), solution, tuning, scores, place))
    if kept := kept_words(place, arguments.out):
        note(f"not certified: the run is in {place}{kept}")
    found = solution.certificate
    if not found.passes and not is_stopped(found.kind):
        note(f"the chosen point is not certified ({found.level}): amtl-cvx certify says why and what to try")
    return Exit.DONE


def journal_of(out: Path) -> Path:
    """DIR.tuning, beside DIR."""
    named = out if out.name not in ("", "..") else Path(os.path.realpath(out))
    return named.with_name(f"{named.name}.tuning")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """What is learned from, and the test rows apart from it.

    `test` are raw rows that nothing reads before the chosen point is fitted.
    """

    dataset: Dataset
    settings: Mapping[str, Any]
    preparation: Preparation
    train: TaskSet
    test: TaskSet | None

    def words(self, tuning: Tuning) -> list[str]:
        """The data in a line, and what is to be known of their labels and weights."""
        train = self.dataset.train
        model = tuning.candidate.model(self.train)
        loss, family = model.loss, family_of(model)
        return [
            f"{data_words(dataclasses.replace(self.dataset, test=self.test))};"
            f" {loss.label} loss ({loss.reduction})",
            *weight_lines(train, self.settings, family.unlabelled_words(model)),
            *(label_lines(train) if loss.classification else []),
        ]


def _read(asked: Asked, progress: Progress) -> Data:
    """Read and prepare; the test rows are set aside."""
    dataset = read_data(asked.arguments, progress.counting, rows=True)
    test, dataset = dataset.test, dataclasses.replace(dataset, test=None)
    settings = asked.settings(dataset.settings)
    preparation = learn_preparation(settings, dataset)
    train = prepared(settings, preparation, dataset.train)
    return Data(dataset=dataset, settings=settings, preparation=preparation, train=train, test=test)


def _tuned(asked: Asked, data: Data, options: Options, journal: Path, progress: Progress) -> Tuning:
    """The trials, those of the journal taken up; with --force one of another tuning is replaced."""
    arguments = asked.arguments
    taken = jobs_in(journal)
    progress.phase(f"tuning {asked.method.name}{f', {taken} finished jobs in {journal}' if taken else ''}")
    tuned = functools.partial(
        tune_method,
        data.train,
        asked.method,
        asked.grid,
        settings=asked.held(data.settings),
        splits=asked.splits(data.dataset, data.settings),
        random=arguments.random,
        seed=arguments.seed,
        random_seed=arguments.random_seed,
        widen=arguments.widen,
        rule=arguments.rule,
        measure=arguments.measure,
        options=dataclasses.replace(options, executor=None),
        engine=asked.engine,
        executor=options.executor,
        journal=journal,
        observe=progress.tried,
        step=progress.step,
    )
    try:
        return tuned()
    except DataError as error:
        if _OTHER not in str(error):
            raise
        if not arguments.force:
            words = f"{one_line(str(error)).partition(': name')[0]}: --force begins anew"
            raise DataError(f"{words}, another --out leaves it") from error
    journal.unlink()
    return tuned()


def _fitted(tuning: Tuning, data: Data, options: Options, progress: Progress) -> Solution:
    """The chosen point on all training rows, judged."""
    progress.phase(f"fitting {tuning.chosen.words}")
    options = dataclasses.replace(options, engine=tuning.options.engine, callback=progress.record)
    solution = tuning.fit(data.train, options)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    preparation = None if data.preparation.is_identity else data.preparation
    return dataclasses.replace(solution, preparation=preparation)


def _scores(solution: Solution, tuning: Tuning, asked: Asked, data: Data) -> dict[str, Mapping[str, float]]:
    """The scores on the test rows, which are read here and nowhere else; empty where there are none.

    What was tuned comes first.
    """
    if data.test is None:
        return {}
    rows = data.preparation.apply_tasks(data.test)
    scores = score(solution, rows, classes=data.dataset.classes is not None)
    return {asked.method.name: as_tuned(scores, tuning.measure, solution, rows)}


def _write(
    folder: RunFolder,
    solution: Solution,
    tuning: Tuning,
    asked: Asked,
    data: Data,
    scores: Mapping[str, Mapping[str, float]],
) -> Path:
    """The run of the chosen point, with the trials."""
    title = f"{data.dataset.name}, {tuning.method.title}"

    def sections() -> str:
        from amtl_cvx.report.tuning import section

        return section(tuning)

    return folder.write(
        solution,
        dataset=data.dataset,
        arguments={
            **recorded(asked.arguments, asked.table),
            **data.settings,
            **tuning.chosen.parameters,
            "engine": tuning.options.engine,
        },
        seed=asked.arguments.seed,
        scores=scores,
        numbers=functools.partial(write_trials, tuning),
        pictures={"heatmap.png": functools.partial(draw_trials, tuning, title)},
        sections=sections,
    )


@contextlib.contextmanager
def _emptied(journal: Path) -> Iterator[None]:
    """Leave no journal in which nothing is."""
    try:
        yield
    finally:
        if jobs_in(journal) == 0:
            with contextlib.suppress(OSError):
                journal.unlink()


def jobs_in(journal: Path) -> int | None:
    """How many jobs a journal holds; None without one."""
    try:
        content = journal.read_bytes()
    except OSError:
        return None
    return content.count(b"\n") - 1 if _JOURNAL in content[:200] else None


def _interrupted(journal: Path) -> Exit:
    """What is kept, and how to go on."""
    kept = f"what was fitted is in {journal}, the same command goes on from there"
    note(f"interrupted: {kept if jobs_in(journal) else 'nothing was written'}")
    return Exit.INTERRUPTED
