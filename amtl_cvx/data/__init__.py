"""Data: what `DATA` on the command line means.

DATA is a problem, the name of a folder under `problems/`, or a file or folder in one of these layouts:

    .npz   `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1, or `X` (N, d), `Y` (N, T) with NaN where a row
           has no label in a task; optional `sample_weight` (N,), `task_names`, `feature_names`
    .csv   long form; `task` and `target` name two columns, every other column is a feature; also .csv.gz
    .xlsx  the first sheet, a table like a .csv (needs openpyxl)
    .mat   cell arrays `X`, `Y`, one cell per task (the MALSAR layout)
    .mat   `train_x`, `train_y`, `trindex` and optionally `val_x`, `val_y`, `valindex` and `test_x`, `test_y`,
           `teindex` (the AMTL authors' layout). The indexes are 1-based starts, the last task ends at the
           last row. Without `trindex` the targets must be class labels: one task per class.
    folder   `X.npy` (N, d), `y.npy` (N,), `task.npy` (N,), optional `sample_weight.npy` (N,), `names.json`;
             streamed. `export` writes it, with the model in problem.json, and which rows of different tasks
             are one, where their arrays do not say it, in `pool.npy`, `unlabelled.npy` (`problem.stored`)
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
import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.data.dataset import Dataset, FeatureTable
from amtl_cvx.data.delimited import DelimitedText, Dialect
from amtl_cvx.data.export import export, read_settings
from amtl_cvx.data.folder import ArrayRows, features_folder
from amtl_cvx.data.header import CheckNames, column_name
from amtl_cvx.data.mat import read_mat
from amtl_cvx.data.npz import features_npz, read_arrays, read_npz
from amtl_cvx.data.parquet import ParquetRows, features_parquet
from amtl_cvx.data.problems import problem_names, problems_folder, read_problem
from amtl_cvx.data.rows import ChunkedRows, Rows
from amtl_cvx.data.stream import Observe, evaluate, factor, gather, has_labels, hold_out
from amtl_cvx.data.table import table_features, table_tasks
from amtl_cvx.data.texts import TextTable
from amtl_cvx.data.workbook import Workbook
from amtl_cvx.errors import DataError
from amtl_cvx.losses import make_loss
from amtl_cvx.untrusted import check_expansion, existing_file, reading

__all__ = [
    "TABLE_OPTIONS",
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
    "table_options",
]

TABLE_OPTIONS = ("task", "target", "sample_weight", "sep", "decimal", "encoding")
"""Options of `read` that say how a table is written."""
_TEXTS = (".csv.gz", ".csv", ".xlsx")
"""Tables that are read as texts."""
_KINDS = (*_TEXTS, ".npz", ".mat", ".parquet")


def read(
    data: str | Path,
    *,
    task: str | None = None,
    target: str | None = None,
    sample_weight: str | None = None,
    missing: str | None = None,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    aside: Sequence[str] = (),
    keep_rows: bool | None = None,
    observe: Observe | None = None,
) -> Dataset:
    """Read a problem by its name, or a file or folder of data.

    Parameters
    ----------
    data : str or Path
        The name, or the path.
    task, target : str, optional
        Columns of a table (.csv, .xlsx, .parquet).
    sample_weight : str, optional
        Column of a table that says how often each row counts, >= 0; no column is one by its name alone.
    missing : {None, "drop"}
        "drop": rows without a target are left out, and counted by task (`TaskSet.missing`). None: an error.
    sep, decimal, encoding : str, optional
        Separator, decimal mark and encoding of a .csv; default: found, where only one reading is possible.
    aside : sequence of str
        Columns of a table that are no features; their entries are in `Dataset.aside`.
    keep_rows : bool, optional
        Whether a folder or .parquet file is read into memory, as a loss without a factor (logistic) needs it.
        Default: where the targets are class labels.
    observe : callable, optional
        Told how many rows were streamed so far.

    Returns
    -------
    Dataset
        With the training tasks, and what else is known.

    Raises
    ------
    DataError
        For a name that is neither, and for a file that cannot be used; the message is one line.

    Examples
    --------
    >>> from amtl_cvx import read
    >>> dataset = read("paper-synthetic")
    >>> dataset.train.T, dataset.train.d, dataset.settings["loss"]
    (12, 20, 'squared')
    """
    dialect = Dialect(sep=sep, decimal=decimal, encoding=encoding)
    if str(data) in problem_names():
        _no_table(f"the problem {str(data)!r}", task, target, dialect, weights=sample_weight)
        _no_aside("problem", aside)
        return read_problem(str(data))
    path = _place(data)
    kind = _kind(path)
    with reading(path, kind):
        if kind in _TEXTS:
            table = _table(path, (task, target, sample_weight), dialect)
            train, marks = table_tasks(table, task, target, aside, weights=sample_weight, missing=missing)
            return Dataset(name=path.name[: -len(kind)], train=train, source=f"file {path.name}", aside=marks)
        if kind == ".parquet":
            _no_dialect(f"a {kind} file", dialect)
            rows = ParquetRows.open(path, task, target, aside, weights=sample_weight, missing=missing)
            dataset = _stream(path, rows, keep_rows, observe)
            columns = tuple(map(column_name, aside))
            return dataclasses.replace(
                dataset,
                train=rows.without_marked(dataset.train, columns),
                aside={name: rows.aside(name) for name in columns},
            )
        _no_aside(kind, aside)
        what = "a folder" if kind == "folder" else f"a {kind} file"
        _no_table(what, task, target, dialect, weights=sample_weight)
        if kind == "folder":
            rows_there = ArrayRows.open(path, missing)
            return _stream(path, rows_there, keep_rows, observe, settings=read_settings(path))
        return read_npz(path, missing) if kind == ".npz" else read_mat(path, missing)


def read_features(
    path: str | Path,
    *,
    task: str | None = None,
    target: str | None = None,
    sample_weight: str | None = None,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    aside: Sequence[str] = (),
    check: CheckNames | None = None,
) -> FeatureTable:
    """Raw rows for prediction: `X` and, if present, `task` of a .npz or a folder, or the columns of a table.

    In a table, column `task` gives the task of each row; a column `target` or `sample_weight`, and those
    `aside`, are dropped where they are there. `check` is told the names of the features, where they have
    names, before the entries of a table are read, and may raise.

    Raises
    ------
    DataError
        As for `read`.
    """
    dialect = Dialect(sep=sep, decimal=decimal, encoding=encoding)
    file = _place(path)
    kind = _kind(file)
    aside = aside if sample_weight is None else (*aside, sample_weight)
    with reading(file, kind):
        if kind in _TEXTS:
            table = _table(file, (task,), dialect)
            return table_features(table, task, target, aside=aside, check=check)
        if kind == ".parquet":
            _no_dialect(f"a {kind} file", dialect)
            return features_parquet(file, task, target, aside=aside, check=check)
        if kind == ".mat":
            raise DataError("rows to predict on must be a .npz with X [, task] or a table: convert this file")
        _no_table("a folder" if kind == "folder" else f"a {kind} file", task, target, dialect)
        found = features_folder(file) if kind == "folder" else features_npz(file)
        if check is not None and found.feature_names is not None:
            check(found.feature_names)
        return found


def table_options(data: str | Path) -> tuple[str, ...]:
    """Which of `read`'s options say how a table is written, for a file of this name; none for other files."""
    kind = _kind(Path(data))
    if kind in (".csv", ".csv.gz"):
        return TABLE_OPTIONS
    return TABLE_OPTIONS[:3] if kind in (".xlsx", ".parquet") else ()


def _table(path: Path, columns: Sequence[str | None], dialect: Dialect) -> TextTable:
    if _kind(path) == ".xlsx":
        _no_dialect("a .xlsx file", dialect)
        return Workbook(path)
    wanted = [name for name in columns if name is not None]
    return DelimitedText(path, dialect, wanted=wanted)


def _kind(path: Path) -> str:
    """The suffix that says how to read a file, or "folder"."""
    with contextlib.suppress(OSError, ValueError):
        if path.is_dir():
            return "folder"
    name = path.name.lower()
    return next((kind for kind in _KINDS if name.endswith(kind)), path.suffix.lower())


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
        quadratic = make_loss(settings["loss"]).quadratic if settings else not has_labels(rows)
        keep_rows = rows.linked or not quadratic
    if keep_rows:
        if isinstance(rows, ParquetRows):
            check_expansion("the table", path.stat().st_size, 24 * rows.size * (len(rows.feature_names) + 2))
        return Dataset(name=name, train=gather(rows, observe=observe), source=source, settings=settings)
    train = factor(rows, observe=observe)
    return Dataset(name=name, train=train, source=source, settings={"loss": "squared", **settings}, rows=rows)


def _place(data: str | Path) -> Path:
    """The path of a folder with X.npy, or of an existing, non-empty file of a known type."""
    kinds = "a .xlsx, .npz, .csv, .mat or .parquet file, a folder with X.npy"
    expected = f"{kinds}, or a problem ({', '.join(problem_names())})"
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # no name of a file: said below
        if (Path(data) / "X.npy").is_file():
            return Path(data).resolve()  # "." has no name
    return existing_file(data, expected, noun="file or problem", suffixes=_KINDS)


def _no_table(
    what: str, task: str | None, target: str | None, dialect: Dialect, *, weights: str | None = None
) -> None:
    if task is not None or target is not None:
        raise DataError(f"task and target name columns of a .csv file, {what} has none: leave them out")
    if weights is not None:
        raise DataError(
            f"--weights names a column of a table, {what} has none: the weights of a .npz are its array"
            " sample_weight, of a folder sample_weight.npy"
        )
    _no_dialect(what, dialect)


def _no_aside(kind: str, aside: Sequence[str]) -> None:
    if aside:
        raise DataError(f"column {aside[0]!r} is to be one of a table, a {kind} has none: give a FRACTION")


def _no_dialect(what: str, dialect: Dialect) -> None:
    if dialect.given:
        raise DataError(
            f"--sep, --decimal and --encoding are for .csv files, {what} needs none: leave them out"
        )


def __getattr__(name: str) -> Any:
    """`PointArrays` and `read_point`, of AMTL, which stands above the data."""
    if name in ("PointArrays", "read_point"):
        return getattr(importlib.import_module("amtl_cvx.amtl.point"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
