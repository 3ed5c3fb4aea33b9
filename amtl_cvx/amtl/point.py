"""Points: a W and B from any source, as `amtl-cvx certify` reads them.

    .npz     arrays `W` (d, T), `B` (T, T); optional `losses`, `order`, `task_names`, `feature_names`
    folder   `W.npy`, `B.npy`, optional `order.npy`, `names.json` (lists "task_names", "feature_names")
    folder   `W.csv`, `B.csv`: numbers alone, or below a line of task names, each row after the name of its
             feature (in B: of its task)
    .mat     variables W and B, up to version 7; optional task_names, feature_names: cells of texts
    .json    {"W": [[...], ...], "B": [[...], ...]}, optional "order", "task_names", "feature_names"

A folder with a solution.npz is a run. What the numbers say is for the caller to check; here it is seen to
that they are there, of a size that can be, and that the names are as many as what they name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import clean
from amtl_cvx.data.cells import cells_of, is_number, number, text_of
from amtl_cvx.data.mat5 import MatlabFile
from amtl_cvx.data.npz import read_arrays, text_labels
from amtl_cvx.errors import DataError
from amtl_cvx.problem.stored import read_names
from amtl_cvx.untrusted import check_size, existing_file, reading, shown
from amtl_cvx.untrusted.npy import ArrayFile

_KINDS = (
    "a run folder, a .npz, .json or .mat file with W and B, or a folder with W.npy and B.npy"
    " or W.csv and B.csv"
)
_OPTIONAL = ("losses", "order", "task_names", "feature_names")


@dataclass(frozen=True, kw_only=True, eq=False)
class PointArrays:
    """What a file says of a point, W (d, T) and B (T, T) of any numbers.

    Attributes
    ----------
    W, B : ndarray
    losses, order : ndarray or None
    task_names, feature_names : tuple of str or None
        T and d names.
    """

    W: NDArray[Any]
    B: NDArray[Any]
    losses: NDArray[Any] | None = None
    order: NDArray[Any] | None = None
    task_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        W, B = self.W.shape, self.B.shape
        if len(W) != 2 or not self.W.size:
            raise DataError(f"W must have two dimensions (d, T), it has shape {W}")
        if (W[1], W[1]) != B:
            cure = ": W has one row per task, save its transpose" if (W[0], W[0]) == B else ""
            raise DataError(
                f"B must have shape {(W[1], W[1])}, one row and column per column of W, it has {B}{cure}"
            )
        for what, names, count in (("task", self.task_names, W[1]), ("feature", self.feature_names, W[0])):
            if names is not None and len(names) != count:
                raise DataError(f"expected {count} {what}_names, as W is {W}, got {len(names)}")


def read_point(path: str | Path | BinaryIO) -> PointArrays:
    """Read W and B from any layout: .npz, .json, .mat, a folder of .npy or .csv, or an open .npz.

    Raises
    ------
    DataError
        For what is absent, damaged, of another kind, or whose parts do not fit; the message is one line.
    """
    if not isinstance(path, str | Path):
        return _archive(path, Path(path.name))
    place = Path(path)
    if place.is_dir() and (place / "W.npy").exists():
        with reading(place, "folder"):
            return _folder(place)
    if place.is_dir() and (place / "W.csv").exists():
        with reading(place, "folder"):
            return _tables(place)
    file = existing_file(place / "solution.npz" if place.is_dir() else place, _KINDS)
    if file.suffix.lower() == ".json":
        with reading(file, ".json"):
            return _json(file)
    if file.suffix.lower() == ".mat":
        with reading(file, ".mat"):
            return _matlab(file)
    return _archive(file, file)


def _archive(source: Path | BinaryIO, name: Path) -> PointArrays:
    arrays = read_arrays(source, required=("W", "B"), optional=_OPTIONAL)
    with reading(name, ".npz"):
        return _point(arrays, {key: text_labels(arrays[key], key) for key in _OPTIONAL[2:] if key in arrays})


def _point(arrays: Mapping[str, NDArray[Any]], names: Mapping[str, Sequence[str]]) -> PointArrays:
    tasks, features = (names.get(key) for key in ("task_names", "feature_names"))
    return PointArrays(
        W=arrays["W"],
        B=arrays["B"],
        losses=arrays.get("losses"),
        order=arrays.get("order"),
        task_names=None if tasks is None else tuple(map(clean, tasks)),
        feature_names=None if features is None else tuple(map(clean, features)),
    )


def _folder(folder: Path) -> PointArrays:
    arrays = {}
    for key in ("W", "B", "order"):
        if key != "order" or (folder / "order.npy").exists():
            with reading(folder / f"{key}.npy", ".npy"):
                file = ArrayFile.open(folder / f"{key}.npy")
                check_size(key, file.shape, file.dtype.itemsize)
                arrays[key] = file.rows(0, file.shape[0]) if file.shape else np.empty(0)
    return _point(arrays, read_names(folder))


def _matlab(path: Path) -> PointArrays:
    file = MatlabFile(path)
    if not {"W", "B"} <= set(file.names):
        raise DataError(
            f"expected the variables W and B, the file has {', '.join(file.names[:12]) or 'none'}:"
            " rename them"
        )
    names = {key: file.texts(key) for key in _OPTIONAL[2:] if key in file.names}
    order = {"order": file.array("order").ravel()} if "order" in file.names else {}
    return _point({"W": file.array("W"), "B": file.array("B"), **order}, names)


def _json(path: Path) -> PointArrays:
    content = json.loads(text_of(path))
    if not isinstance(content, dict) or not {"W", "B"} <= content.keys():
        raise DataError('expected {"W": [[...]], "B": [[...]]}, rows of numbers: write it so')
    names = {}
    for key in _OPTIONAL[2:]:
        if content.get(key) is not None:
            if not isinstance(content[key], list) or not all(isinstance(name, str) for name in content[key]):
                raise DataError(f"{key} must be a list of texts: quote them")
            names[key] = content[key]
    arrays = {key: _array(content[key], key) for key in ("W", "B", "order") if content.get(key) is not None}
    return _point(arrays, names)


def _array(value: Any, key: str) -> NDArray[Any]:
    try:
        return np.array(value)
    except ValueError as error:
        raise DataError(f"{key} must be rectangular, its rows differ in length") from error


def _tables(folder: Path) -> PointArrays:
    """W.csv and B.csv: the shape of B says whether names come first in its rows, and in a line above them.

    Task names may be numbers: one row more than columns is a first line of names, one less a column of them.
    """
    tables = {key: cells_of(folder / f"{key}.csv") for key in ("W", "B")}
    wide = {key: len(rows[0]) for key, rows in tables.items()}
    headed = {key: not all(is_number(cell) for cell in rows[0]) for key, rows in tables.items()}
    more = len(tables["B"]) - wide["B"]
    if abs(more) == 1:
        headed["B"] = more == 1
    T = len(tables["B"]) - headed["B"]
    top = tables["W"][0][wide["W"] == T + 1 :]
    if wide["W"] in (T, T + 1):
        as_in_B = headed["B"] and top == tables["B"][0][-T:]
        headed["W"] = as_in_B or not all(map(is_number, top))
    arrays: dict[str, NDArray[Any]] = {}
    found: dict[str, tuple[tuple[str, ...] | None, tuple[str, ...] | None]] = {}
    for key, rows in tables.items():
        named = wide[key] == T + 1
        if headed[key] and wide[key] not in (T, T + 1):
            raise DataError(
                f"{key}.csv must have {T} columns, one a task as in B.csv, or {T + 1} where names come first;"
                f" it has {wide[key]}: is it transposed?"
            )
        head, body = (rows[0][named:], rows[1:]) if headed[key] else (None, rows)
        arrays[key] = np.array([[number(cell, key) for cell in row[named:]] for row in body])
        found[key] = None if head is None else tuple(head), tuple(row[0] for row in body) if named else None
    columns, rows_of_B = found["B"]
    if columns is not None and rows_of_B is not None and columns != rows_of_B:
        raise DataError("B.csv names its rows and its columns differently: write both in one order")
    named_tasks = [names for names in (found["W"][0], columns, rows_of_B) if names is not None]
    if len(set(named_tasks)) > 1:
        first, other = (shown(names, 6) for names in dict.fromkeys(named_tasks))
        raise DataError(
            f"W.csv and B.csv name the tasks differently ({first}; {other}): write both in one order"
        )
    names = {"task_names": named_tasks[0]} if named_tasks else {}
    if found["W"][1] is not None:
        names["feature_names"] = found["W"][1]
    if (folder / "order.csv").exists():
        order = np.array([number(cell, "order") for row in cells_of(folder / "order.csv") for cell in row])
        whole = np.array_equal(order, np.round(order)) and bool((np.abs(order) < 1e9).all())
        arrays["order"] = order.astype(np.int64) if whole else order
    return _point(arrays, names)
