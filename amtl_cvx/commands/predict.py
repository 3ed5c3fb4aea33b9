"""`amtl-cvx predict`: scores and decisions of a stored run on raw new rows."""

from __future__ import annotations

import csv
import functools
import io
import logging
import re
import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import in_labels, order_of
from amtl_cvx.certificate.levels import is_stopped, stopped_words
from amtl_cvx.commands.output import files_of_run, write_whole
from amtl_cvx.commands.parts import columns_aside, wanted_parts
from amtl_cvx.commands.settings import admit
from amtl_cvx.console import emit
from amtl_cvx.data import TABLE_OPTIONS, read_features, table_options
from amtl_cvx.data.header import column_name
from amtl_cvx.errors import DataError, Exit
from amtl_cvx.losses import Loss
from amtl_cvx.runfolder import StoredRun, read_certificate, read_run
from amtl_cvx.solution import Status
from amtl_cvx.tasks import Array, task_index
from amtl_cvx.untrusted import shown

_NUMBER = re.compile(r"[+-]?(\d{1,15}\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_log = logging.getLogger(__name__)


def predict(arguments: Namespace) -> Exit:
    """`amtl-cvx predict`."""
    admit(arguments)
    stored = read_run(arguments.run)
    loss = stored.loss
    if missing := stored.missing_penalty():
        _log.warning("%s: %s; predictions do not need it", arguments.run, missing)
    _check_status(arguments.run, stored)
    table = read_features(
        arguments.rows,
        **_how_written(arguments, stored),
        aside=columns_aside(wanted_parts(stored.arguments)),
        check=functools.partial(_check_columns, arguments=arguments, stored=stored),
    )
    order = order_of(table.feature_names, stored.feature_names, "the columns")
    X = table.X if order is None else table.X[:, order]
    X = X if stored.preparation is None else stored.preparation.apply(X)
    if X.shape[1] != stored.shape[0]:
        raise DataError(f"expected rows with {stored.shape[0]} features, {arguments.rows} has {X.shape[1]}")
    try:
        header, rows = _predictions(stored, loss, stored.family.scores(stored.blocks, X), table.task)
    except DataError as error:
        labels = () if table.task is None else map(str, table.task)
        names = [label for label in labels if label not in stored.task_names]
        raise DataError(f"{error}{_encoding_words(arguments, stored, names)}") from error
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    if arguments.out is None:
        emit(text.getvalue())
    else:
        source: Path = arguments.rows
        read = (*files_of_run(arguments.run), *(source.iterdir() if source.is_dir() else [source]))
        write_whole(arguments.out, text.getvalue().encode(), read=read)
    return Exit.DONE


def _check_status(place: Path, stored: StoredRun) -> None:
    """Warn of a run that is not certified."""
    status, level = stored.run.get("status"), stored.run.get("level")
    kind = read_certificate(place, stored.run).get("kind")
    if isinstance(kind, str) and is_stopped(kind):
        _log.warning("%s was %s", place, stopped_words(kind))
    elif status not in (None, Status.CERTIFIED.value):
        reached = f", level {level}" if level else ""
        _log.warning("%s is not certified (status %s%s): nor are its predictions", place, status, reached)


def _how_written(arguments: Namespace, stored: StoredRun) -> dict[str, str | None]:
    """The options of the table; how its text is written is as in the run where nothing is said."""
    options = {name: getattr(arguments, name) for name in TABLE_OPTIONS}
    for name in set(table_options(arguments.rows)) - {"task", "target"}:
        recorded = stored.arguments.get(name)
        if options[name] is None and isinstance(recorded, str):
            options[name] = recorded
            if name == "decimal":
                _log.warning("%s: read with --decimal %s as the run was", arguments.rows.name, recorded)
    return options


def _check_columns(found: Sequence[str], *, arguments: Namespace, stored: StoredRun) -> None:
    """`DataError` that names the columns which are missing, and those which the fit had not."""
    known, there = stored.feature_names, set(found)
    if known is None:
        return
    missing = [name for name in known if name not in there]
    more = sorted(there - set(known))
    if not missing and not more:
        return
    parts = [
        f"{what}: {shown(list(map(repr, names)), 5)}"
        for what, names in (("missing", missing), ("not of the fit", more))
        if names
    ]
    options, others = [], set(more)
    for option in ("task", "target"):
        name = column_name(stored.arguments.get(option) or "")
        if name in others and getattr(arguments, option) is None:
            options.append(f"--{option} {shlex.quote(name)}")
            others.discard(name)
    cures = [f"say {' '.join(options)}"] if options else []
    cures += ["delete the others, or name them with --task and --target"] if others else []
    cures += ["give all columns of the fit"] if missing else []
    said = _encoding_words(arguments, stored, more)
    raise DataError(f"the columns must be those of the fit ({'; '.join(parts)}): {', '.join(cures)}{said}")


def _encoding_words(arguments: Namespace, stored: StoredRun, names: Sequence[str]) -> str:
    """What an error on names adds where some are not ASCII and only the run said how they are encoded."""
    encoding = stored.arguments.get("encoding")
    known = isinstance(encoding, str) and "encoding" in table_options(arguments.rows)
    if not known or arguments.encoding is not None or "".join(names).isascii():
        return ""
    return f" (read with --encoding {encoding} as the run was: say another if names look wrong)"


def _predictions(
    stored: StoredRun, loss: Loss, scores: Array, task: Sequence[Any] | np.ndarray | None
) -> tuple[list[str], list[list[Any]]]:
    """One prediction per row where each row has a task, else one column per task (and the class)."""
    names = stored.task_names
    if task is not None:
        index = _task_numbers(names, task)
        chosen = scores[np.arange(len(scores)), index]
        decided, labels = loss.decide(chosen), stored.labels
        shown = (decided if labels is None else in_labels(labels, decided)).tolist()
        texts = [f"{value:.17g}" if isinstance(value, float) else str(value) for value in shown]
        return ["row", "task", "prediction", "score"], [
            [i, names[t], texts[i], f"{chosen[i]:.17g}"] for i, t in enumerate(index)
        ]
    classes = stored.run.get("classes")
    per_task = scores if loss.classification else loss.decide(scores)
    header = ["row", *(["class"] if classes else []), *names]
    return header, [
        [i, *([classes[int(np.argmax(row))]] if classes else []), *(f"{z:.17g}" for z in per_task[i])]
        for i, row in enumerate(scores)
    ]


def _task_numbers(names: Sequence[str], task: Sequence[Any] | np.ndarray) -> list[int]:
    """The number of each row's task; '007' is also the '7' that earlier versions stored for it.

    They read numbers as numbers: a run with a name that is none, or has zeros to cut, is not theirs.
    """
    if isinstance(task, np.ndarray):
        return [task_index(names, int(number)) for number in task]
    known = {label: label for label in dict.fromkeys(task)}
    cut = all(_NUMBER.fullmatch(name) and name in _as_numbers(name) for name in names)
    for label in [label for label in known if cut and label not in names and _NUMBER.fullmatch(label)]:
        stored = _as_numbers(label) & set(names) - set(known.values())
        if len(stored) == 1:
            known[label] = stored.pop()
    numbers = {label: task_index(names, name) for label, name in known.items()}
    changed = [f"{label!r} as {name!r}" for label, name in known.items() if label != name]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        _log.warning("tasks are read as the run has them, an earlier version cut zeros off: %s", shown)
    return [numbers[label] for label in task]


def _as_numbers(label: str) -> set[str]:
    """What a number that was read as one is called."""
    return {str(float(label)), str(int(float(label)))}
