"""`amtl-cvx compare`: methods tuned, fitted and judged on the same rows, then scored once on test rows.

What is finished is kept beside DIR (`DIR.comparison`) until DIR is there: whatever ends the process, the same
command goes on with what is not in it yet, and one with further methods takes up what it can.
"""

from __future__ import annotations

import dataclasses
import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.commands.compared import (
    BASELINE,
    check_counts,
    contenders_of,
    grids_of,
    methods_of,
    read_parts,
    settings_of,
    share_of,
)
from amtl_cvx.commands.comparison_folder import ComparisonFolder
from amtl_cvx.commands.setup import interruptible, label_lines, uninterrupted, weight_lines
from amtl_cvx.console import note, say
from amtl_cvx.data import Dataset
from amtl_cvx.errors import AMTLError, Exit
from amtl_cvx.experiment.comparing import Comparison, Contender, Learned, Part, describe, to_dict
from amtl_cvx.experiment.comparing import compare as compare_methods
from amtl_cvx.experiment.comparing.journal import MARK, Journal
from amtl_cvx.experiment.tuning import Axis
from amtl_cvx.experiment.tuning.axes import axes_of
from amtl_cvx.options import Options
from amtl_cvx.parallel import workers
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import to_json
from amtl_cvx.runfolder.content import versions
from amtl_cvx.tasks import distinct_rows, size_words


def compare(arguments: Namespace) -> Exit:
    """`amtl-cvx compare`."""
    check_counts(arguments)
    methods = methods_of(arguments)
    grids = grids_of(arguments.grid, methods)
    held_out = share_of("held-out", arguments.held_out)
    options = Options(tol=arguments.tol, max_rounds=arguments.max_rounds)
    done = 0
    with interruptible(), ComparisonFolder(arguments.out) as folder:
        try:
            with (
                Progress(quiet=arguments.quiet, tol=options.tol) as progress,
                workers(arguments.jobs, scheduler=arguments.scheduler) as executor,
            ):
                dataset, parts, words, resampled = read_parts(arguments, progress.counting)
                settings = settings_of(arguments, dataset.settings)
                contenders = contenders_of(methods, grids, settings)
                total = len(parts) * len(contenders)

                def fitted(part: str, contender: str, learned: Learned) -> None:
                    nonlocal done
                    done += 1
                    progress.phase(f"{done} of {total} fits: {part}, {contender}: {learned.judged}")

                def tried(fits: int, most: int, least: float) -> None:
                    best = f", least error {least:.5g}" if math.isfinite(least) else ""
                    progress.passing(f"{done} of {total} fits done; tuning: {fits} of {most}{best}")

                comparison = compare_methods(
                    parts,
                    contenders,
                    baseline=arguments.baseline or BASELINE,
                    folds=arguments.tune_folds,
                    held_out=held_out,
                    rule=arguments.rule,
                    random=arguments.random,
                    widen=arguments.widen,
                    seed=arguments.seed,
                    measure=arguments.measure,
                    engine=arguments.engine,
                    standardize=bool(settings["standardize"]),
                    intercept=bool(settings["intercept"]),
                    balanced=settings["class_weight"] == "balanced",
                    resampled=resampled,
                    options=options,
                    executor=executor,
                    journal=folder.journal,
                    observe=fitted,
                    trial=tried,
                )
                with uninterrupted():
                    progress.phase("drawing and writing the page")
                    told = _about(arguments, dataset, parts, contenders, words)
                    comparison = dataclasses.replace(comparison, about=told["arguments"])
                    folder.write(comparison, name=dataset.name, page=told)
                    Journal(folder.journal).remove()
        except KeyboardInterrupt:
            return _interrupted(folder.journal)
        except AMTLError:
            _kept(folder.journal)
            raise
    if arguments.json:
        say(to_json(to_dict(comparison)).rstrip())
    elif not arguments.quiet:
        say(*_lines(comparison, dataset, settings, words, arguments.out))
    return Exit.DONE


def _about(
    arguments: Namespace, dataset: Dataset, parts: list[Part], contenders: list[Contender], words: str
) -> dict[str, dict[str, object]]:
    """What the page says of the run."""
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if value is not None and value != []
    }
    train = dataset.train
    data = {
        "name": dataset.name,
        "source": dataset.source,
        "T": train.T,
        "d": train.d,
        "rows": distinct_rows(train),
        "fingerprint": train.fingerprint(),
        "parts": words,
        "training rows of a part": [distinct_rows(part.train) for part in parts],
    }
    grids = {each.name: _shown(axes_of(each.grid)) for each in contenders}
    return {"arguments": {**given, "grids": grids}, "data": data, "versions": dict(versions())}


def _shown(axes: Sequence[Axis]) -> str:
    """A grid in words."""
    return (
        "; ".join(f"{axis.name} {', '.join(map(str, axis.values))}" for axis in axes) or "that of the method"
    )


def _kept(journal: Path) -> bool:
    """Whether the journal holds something; an empty one of ours is removed."""
    if not (journal / MARK).is_file():
        return False
    kept = any(path.suffix in (".json", ".tuning") for path in journal.iterdir())
    if not kept:
        Journal(journal).remove()
    return kept


def _interrupted(journal: Path) -> Exit:
    """What is kept, and how to go on."""
    if _kept(journal):
        note(f"interrupted: what was fitted is in {journal}, the same command goes on from there")
    else:
        note("interrupted: nothing was written")
    return Exit.INTERRUPTED


def _lines(
    comparison: Comparison, dataset: Dataset, settings: Mapping[str, Any], words: str, out: Path
) -> list[str]:
    """What is said at the end."""
    train, first = dataset.train, comparison.outcomes[0].learned.chosen
    lines = [
        f"{dataset.name}: {size_words(train)}",
        *weight_lines(train, settings, "left out"),
        *(label_lines(train) if "error" in comparison.measure else []),
        f"tested on {words}; parameters of each training part chosen on {first['splits']}",
        *describe(comparison),
    ]
    for contender in comparison.contenders:
        if (found := comparison.stability(contender)) is not None and len(comparison.parts) > 1:
            lines.append(f"{comparison.titles[contender]}: {found.words}")
    return [*lines, f"wrote {out}; open {out / 'comparison.html'}"]
