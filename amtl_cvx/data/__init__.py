"""Data: what `DATA` on the command line means.

DATA is a problem, the name of a folder under `problems/`, or a file in one of four layouts:

    .npz   `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1; optional `task_names`, `feature_names`
    .csv   long form; `task` and `target` name two columns, every other column is a feature
    .mat   cell arrays `X`, `Y`, one cell per task (the MALSAR layout)
    .mat   `train_x`, `train_y`, `trindex` and optionally `val_x`, `val_y`, `valindex` and `test_x`, `test_y`,
           `teindex` (the AMTL authors' layout). The indexes are 1-based starts, the last task ends at the
           last row. Without `trindex` the targets must be class labels: one task per class.

A problem name wins over a file of the same name. Files are not trusted: nothing is unpickled, and the sizes a
header claims are checked before memory is taken. Whatever is wrong with a file is one `DataError` line that
starts with the name of the file. Numbers become float64 before any arithmetic.

    >>> dataset = read("digits")
    >>> dataset.train.T, dataset.settings["loss"]

`read_features` reads raw rows to predict on, `read_arrays` the arrays of any .npz. One module for each kind
of file; neither pandas nor scipy.io is imported before a file needs it.
"""

from __future__ import annotations

from pathlib import Path

from amtl_cvx.data.dataset import Dataset, FeatureTable
from amtl_cvx.data.frame import features_csv, read_csv
from amtl_cvx.data.mat import read_mat
from amtl_cvx.data.npz import features_npz, read_arrays, read_npz
from amtl_cvx.data.problems import problem_names, problems_folder, read_problem
from amtl_cvx.data.untrusted import existing_file, reading
from amtl_cvx.errors import DataError

__all__ = [
    "Dataset",
    "FeatureTable",
    "problem_names",
    "problems_folder",
    "read",
    "read_arrays",
    "read_features",
]


def read(data: str | Path, *, task: str | None = None, target: str | None = None) -> Dataset:
    """A problem by its name, or a file; `task` and `target` name columns of a .csv.

    Raises
    ------
    DataError
        For a name that is neither, and for a file that cannot be used; the message is one line.
    """
    if str(data) in problem_names():
        _no_columns(f"the problem {str(data)!r}", task, target)
        return read_problem(str(data))
    path = _file(data)
    with reading(path, path.suffix.lower()):
        if path.suffix.lower() == ".csv":
            return read_csv(path, task, target)
        _no_columns(f"a {path.suffix} file", task, target)
        return read_npz(path) if path.suffix.lower() == ".npz" else read_mat(path)


def read_features(path: str | Path, *, task: str | None = None, target: str | None = None) -> FeatureTable:
    """Raw rows for prediction: `X` and, if present, `task` of a .npz, or the columns of a .csv.

    In a .csv, column `task` gives the task of each row and a column `target`, if there is one, is dropped.

    Raises
    ------
    DataError
        As for `read`.
    """
    file = _file(path)
    with reading(file, file.suffix.lower()):
        if file.suffix.lower() == ".npz":
            _no_columns("a .npz file", task, target)
            return features_npz(file)
        if file.suffix.lower() == ".csv":
            return features_csv(file, task, target)
        raise DataError("rows to predict on must be a .npz with X [, task] or a .csv: convert this file")


def _file(data: str | Path) -> Path:
    """The path of an existing, non-empty file of a known type."""
    expected = f"a .npz, .csv or .mat file, or a problem ({', '.join(problem_names())})"
    return existing_file(data, expected, noun="file or problem", suffixes=(".npz", ".csv", ".mat"))


def _no_columns(what: str, task: str | None, target: str | None) -> None:
    if task is not None or target is not None:
        raise DataError(f"task and target name columns of a .csv file, {what} has none: leave them out")
