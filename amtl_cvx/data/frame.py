"""The .csv files: tables in long form, one row a line, read as a pandas frame; any frame to predict on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.data.dataset import Dataset, FeatureTable
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet, check_complete, check_features, frame_numbers

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)


def read_csv(path: Path, task: str | None, target: str | None) -> Dataset:
    """Tasks from a table with a column `task` and a column `target`; the others are features."""
    frame = _frame(path)
    if task is None or target is None:
        columns = ", ".join(str(column) for column in frame.columns[:12])
        raise DataError(f"a .csv file needs --task COLUMN and --target COLUMN; its columns are {columns}")
    return Dataset(
        name=path.stem, train=TaskSet.from_frame(frame, task=task, target=target), source=f"file {path.name}"
    )


def features_csv(path: Path, task: str | None, target: str | None) -> FeatureTable:
    """Raw rows from a .csv file."""
    return features_frame(_frame(path), task, target)


def features_frame(frame: pd.DataFrame, task: str | None, target: str | None) -> FeatureTable:
    """Raw rows from a table; column `task` names the task of each row, a column `target` is dropped."""
    if target is not None and target != task:
        frame = frame.drop(columns=[column for column in frame.columns if column == target])
    check_complete(frame)
    labels = None
    if task is not None:
        if task not in frame.columns:
            raise DataError(f"no column {task!r}; the columns are {', '.join(str(c) for c in frame.columns)}")
        labels = tuple(str(label) for label in frame[task].tolist())
        frame = frame.drop(columns=[task])
    X = check_features(frame_numbers(frame))
    return FeatureTable(X=X, task=labels, feature_names=tuple(str(column) for column in frame.columns))


def _frame(path: Path) -> pd.DataFrame:
    """The table, without a row index that was saved with it (first column, no name, counting from 0)."""
    import pandas as pd

    frame = pd.read_csv(path)
    if not len(frame):
        raise DataError("expected a header line and at least one row, it has no rows: add data")
    first = frame.columns[0]
    if str(first) == "Unnamed: 0" and np.array_equal(frame[first].to_numpy(), np.arange(len(frame))):
        _log.warning(
            "%s: the first column has no name and counts the rows: left out, a saved index", path.name
        )
        return frame.drop(columns=[first])
    return frame
