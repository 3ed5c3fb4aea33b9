"""`amtl-cvx predict`: scores and decisions of a stored run on raw new rows."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.commands.output import files_of_run, write_whole
from amtl_cvx.console import emit
from amtl_cvx.data import FeatureTable, read_features
from amtl_cvx.errors import DataError, Exit
from amtl_cvx.model import Model
from amtl_cvx.runfolder import StoredRun, read_run
from amtl_cvx.tasks import Array, task_index


def predict(arguments: Namespace) -> Exit:
    """`amtl-cvx predict`."""
    stored = read_run(arguments.run)
    model = stored.model
    table = read_features(arguments.rows, task=arguments.task, target=arguments.target)
    _check_columns(table, stored)
    X = table.X if stored.preparation is None else stored.preparation.apply(table.X)
    if X.shape[1] != len(stored.W):
        raise DataError(f"expected rows with {len(stored.W)} features, {arguments.rows} has {X.shape[1]}")
    header, rows = _predictions(stored, model, X @ stored.W, table.task)
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


def _check_columns(table: FeatureTable, stored: StoredRun) -> None:
    known = stored.feature_names
    if known is not None and table.feature_names is not None and table.feature_names != known:
        different = next(
            (pair for pair in zip(known, table.feature_names, strict=False) if pair[0] != pair[1]), None
        )
        what = f"{different[0]!r} came as {different[1]!r}" if different else f"{len(known)} were expected"
        raise DataError(
            f"the columns are not those of the fit: {what}; keep their names and order, and name the columns"
            " of the task and the target with --task and --target"
        )


def _predictions(
    stored: StoredRun, model: Model, scores: Array, task: Sequence[Any] | np.ndarray | None
) -> tuple[list[str], list[list[Any]]]:
    """One prediction per row where each row has a task, else one column per task (and the class)."""
    names = stored.task_names
    if task is not None:
        index = [task_index(names, value if isinstance(value, str) else int(value)) for value in task]
        chosen = scores[np.arange(len(scores)), index]
        decided = model.loss.decide(chosen)
        return ["row", "task", "prediction", "score"], [
            [i, names[t], f"{decided[i]:.17g}", f"{chosen[i]:.17g}"] for i, t in enumerate(index)
        ]
    classes = stored.run.get("classes")
    shown = scores if model.loss.classification else model.loss.decide(scores)
    header = ["row", *(["class"] if classes else []), *names]
    return header, [
        [i, *([classes[int(np.argmax(row))]] if classes else []), *(f"{z:.17g}" for z in shown[i])]
        for i, row in enumerate(scores)
    ]
