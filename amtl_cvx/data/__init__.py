"""Data: what `DATA` on the command line means.

DATA is a problem, the name of a folder under `problems/`, or a file or folder in one of these layouts:

    .npz   `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1; optional `task_names`, `feature_names`
    .csv   long form; `task` and `target` name two columns, every other column is a feature
    .mat   cell arrays `X`, `Y`, one cell per task (the MALSAR layout)
    .mat   `train_x`, `train_y`, `trindex` and optionally `val_x`, `val_y`, `valindex` and `test_x`, `test_y`,
           `teindex` (the AMTL authors' layout). The indexes are 1-based starts, the last task ends at the
           last row. Without `trindex` the targets must be class labels: one task per class.
    folder   `X.npy` (N, d), `y.npy` (N,), `task.npy` (N,), optional `names.json`; streamed. `export`
             writes it, with the model in problem.json
    .parquet   long form like .csv; streamed (needs pyarrow: the extra "parquet")

The last two are read in chunks, and the tasks get triangular factors in place of their rows (`stream`), so
that memory does not grow with N. Only targets that are class labels, or `keep_rows`, bring their rows into
memory.

A problem name wins over a file of the same name. Files are not trusted: nothing is unpickled, and the sizes a
header claims are checked before memory is taken. Whatever is wrong with a file is one `DataError` line that
starts with the name of the file. Numbers become float64 before any arithmetic.

    >>> dataset = read("digits")
    >>> dataset.train.T, dataset.settings["loss"]

`read_features` reads raw rows to predict on, `read_point` a W and B, `read_arrays` the arrays of any .npz.
One module for each kind of file; neither pandas nor scipy.io nor pyarrow is imported before a file needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.data.dataset import Dataset, FeatureTable
from amtl_cvx.data.export import export, read_settings
from amtl_cvx.data.folder import ArrayRows, features_folder
from amtl_cvx.data.frame import features_csv, read_csv
from amtl_cvx.data.mat import read_mat
from amtl_cvx.data.npz import features_npz, read_arrays, read_npz
from amtl_cvx.data.parquet import ParquetRows, features_parquet
from amtl_cvx.data.point import PointArrays, read_point
from amtl_cvx.data.problems import problem_names, problems_folder, read_problem
from amtl_cvx.data.rows import ChunkedRows, Rows
from amtl_cvx.data.stream import Observe, evaluate, factor, gather, has_labels, hold_out
from amtl_cvx.data.untrusted import existing_file, reading
from amtl_cvx.errors import DataError
from amtl_cvx.losses import make_loss

__all__ = [
    "ChunkedRows",
    "Dataset",
    "FeatureTable",
    "PointArrays",
    "Rows",
    "evaluate",
    "export",
    "factor",
    "hold_out",
    "problem_names",
    "problems_folder",
    "read",
    "read_arrays",
    "read_features",
    "read_point",
]


def read(
    data: str | Path,
    *,
    task: str | None = None,
    target: str | None = None,
    keep_rows: bool | None = None,
    observe: Observe | None = None,
) -> Dataset:
    """A problem by its name, or a file or folder of data.

    Parameters
    ----------
    data : str or Path
        The name, or the path.
    task, target : str, optional
        Columns of a .csv or .parquet file.
    keep_rows : bool, optional
        Whether a folder or .parquet file is read into memory, as a loss without a factor (logistic) needs it.
        Default: where the targets are class labels.
    observe : callable, optional
        Told how many rows were streamed so far.

    Raises
    ------
    DataError
        For a name that is neither, and for a file that cannot be used; the message is one line.
    """
    if str(data) in problem_names():
        _no_columns(f"the problem {str(data)!r}", task, target)
        return read_problem(str(data))
    path = _place(data)
    kind = "folder" if path.is_dir() else path.suffix.lower()
    with reading(path, kind):
        if kind == ".csv":
            return read_csv(path, task, target)
        if kind == ".parquet":
            return _stream(path, ParquetRows.open(path, task, target), keep_rows, observe)
        _no_columns(f"a {kind}" if kind == "folder" else f"a {kind} file", task, target)
        if kind == "folder":
            return _stream(path, ArrayRows.open(path), keep_rows, observe, settings=read_settings(path))
        return read_npz(path) if kind == ".npz" else read_mat(path)


def read_features(path: str | Path, *, task: str | None = None, target: str | None = None) -> FeatureTable:
    """Raw rows for prediction: `X` and, if present, `task` of a .npz or a folder, or the columns of a table.

    In a .csv or .parquet, column `task` gives the task of each row and a column `target`, if there is one, is
    dropped.

    Raises
    ------
    DataError
        As for `read`.
    """
    file = _place(path)
    kind = "folder" if file.is_dir() else file.suffix.lower()
    with reading(file, kind):
        if kind in (".csv", ".parquet"):
            return (features_csv if kind == ".csv" else features_parquet)(file, task, target)
        if kind == ".mat":
            raise DataError("rows to predict on must be a .npz with X [, task] or a table: convert this file")
        _no_columns(f"a {kind}" if kind == "folder" else f"a {kind} file", task, target)
        return features_folder(file) if kind == "folder" else features_npz(file)


def _stream(
    path: Path,
    rows: Rows,
    keep_rows: bool | None,
    observe: Observe | None,
    *,
    settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """The rows as factors, or in memory where they have to be kept."""
    name, kind = (path.name, "folder") if path.is_dir() else (path.stem, "file")
    source, settings = f"{kind} {path.name}", settings or {}
    if keep_rows is None:
        keep_rows = not make_loss(settings["loss"]).quadratic if settings else has_labels(rows)
    if keep_rows:
        return Dataset(name=name, train=gather(rows, observe=observe), source=source, settings=settings)
    train = factor(rows, observe=observe)
    return Dataset(name=name, train=train, source=source, settings={"loss": "squared", **settings}, rows=rows)


def _place(data: str | Path) -> Path:
    """The path of a folder with X.npy, or of an existing, non-empty file of a known type."""
    kinds = "a .npz, .csv, .mat or .parquet file, a folder with X.npy"
    expected = f"{kinds}, or a problem ({', '.join(problem_names())})"
    suffixes = (".npz", ".csv", ".mat", ".parquet")
    with contextlib.suppress(OSError, ValueError):  # no name of a file: said below
        if (Path(data) / "X.npy").is_file():
            return Path(data).resolve()  # "." has no name
    return existing_file(data, expected, noun="file or problem", suffixes=suffixes)


def _no_columns(what: str, task: str | None, target: str | None) -> None:
    if task is not None or target is not None:
        raise DataError(f"task and target name columns of a .csv file, {what} has none: leave them out")
