"""The .mat files, up to version 7: one cell per task (MALSAR), or stacked rows with the start of each task.

The second layout is the AMTL authors'; without `trindex` its targets are class labels and every class is a
task, one against the rest. A validation or test part that does not fit the training rows is left out with a
warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Array, check_features
from amtl_cvx.data.dataset import Dataset
from amtl_cvx.data.mat5 import MatlabFile
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

MAX_CLASSES = 1000
"""Whole-number targets with more different values than this are not read as class labels."""

_PARTS = {
    "train": ("train_x", "train_y", "trindex"),
    "validation": ("val_x", "val_y", "valindex"),
    "test": ("test_x", "test_y", "teindex"),
}
_log = logging.getLogger(__name__)


def read_mat(path: Path, missing: str | None = None) -> Dataset:
    """Either layout, told apart by the names of the variables."""
    file = MatlabFile(path)
    layout = (
        ("X", "Y") if {"X", "Y"} <= set(file.names) else [key for keys in _PARTS.values() for key in keys]
    )
    arrays = {key: file.array(key) for key in layout if key in file.names}
    variables = {key: value for key, value in arrays.items() if value.size}
    source = f"file {path.name}"
    if "X" in variables and "Y" in variables:
        return Dataset(name=path.stem, train=_malsar(variables["X"], variables["Y"], missing), source=source)
    if "train_x" in variables and "train_y" in variables:
        classes = None if "trindex" in variables else _class_labels(variables["train_y"])
        train = _part(variables, "train", classes, missing)
        validation, test = (
            _other_part(variables, part, train, classes, missing=missing) for part in ("validation", "test")
        )
        labels = None if classes is None else tuple(f"{label:g}" for label in classes.tolist())
        return Dataset(
            name=path.stem, train=train, validation=validation, test=test, classes=labels, source=source
        )
    raise DataError(
        "expected the variables X, Y (cells, one per task) or train_x, train_y, trindex, the file has"
        f" {', '.join(file.names[:12]) or 'none'}: rename them"
    )


def _malsar(X: NDArray[Any], Y: NDArray[Any], missing: str | None) -> TaskSet:
    """Cells of (n_t, d), or all of (d, n_t), with targets of n_t entries."""
    if X.dtype != object or Y.dtype != object or X.size != Y.size:
        raise DataError(
            f"expected cell arrays X and Y with one cell per task, got X {X.shape} {X.dtype} and Y {Y.shape}"
            f" {Y.dtype}: use num2cell, or train_x, train_y, trindex"
        )
    features, targets = list(X.ravel(order="F")), [_vector(cell) for cell in Y.ravel(order="F")]
    pairs = list(zip(features, targets, strict=True))
    by_rows = all(x.ndim == 2 and x.shape[0] == len(y) for x, y in pairs)
    if not by_rows and all(x.ndim == 2 and x.shape[1] == len(y) for x, y in pairs):
        features = [x.T for x in features]
    return TaskSet.from_arrays(features, targets, missing=missing)


def _other_part(
    variables: Mapping[str, NDArray[Any]],
    part: str,
    train: TaskSet,
    classes: Array | None,
    *,
    missing: str | None,
) -> TaskSet | None:
    """Validation or test; None, with a warning where something is there, if it cannot serve as such."""
    needed = _PARTS[part][: 3 if classes is None else 2]
    absent = [key for key in needed if key not in variables]
    if len(absent) == len(needed):
        return None
    if absent:
        _log.warning("no %s part: the file has no %s", part, ", ".join(absent))
        return None
    width = variables[needed[0]].shape[-1]
    if width != train.d:
        _log.warning("no %s part: %s has %d columns, train_x %d", part, needed[0], width, train.d)
        return None
    return _part(variables, part, classes, missing)


def _part(
    variables: Mapping[str, NDArray[Any]], part: str, classes: Array | None, missing: str | None
) -> TaskSet:
    x_key, y_key, index_key = _PARTS[part]
    X, y = check_features(variables[x_key], what=x_key), _vector(variables[y_key])
    if y.shape != (len(X),):
        raise DataError(f"{y_key} must hold one target per row of {x_key}, {len(X)}, it has shape {y.shape}")
    if classes is not None:
        return TaskSet.one_vs_rest(X, y.astype(np.float64), classes=classes.tolist())
    starts = _starts(variables[index_key], len(X), index_key)
    ends = [*starts[1:], len(X)]
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    return TaskSet.from_arrays([X[span] for span in spans], [y[span] for span in spans], missing=missing)


def _starts(index: NDArray[Any], rows: int, key: str) -> list[int]:
    """1-based starts as 0-based ones."""
    starts = _vector(index)
    if starts.ndim != 1 or starts.dtype.kind not in "iuf":
        raise DataError(f"{key} must hold the first row of each task, it has {index.shape} of {index.dtype}")
    values = starts.astype(np.float64)
    if not np.array_equal(values, np.round(values)) or (np.diff(values) <= 0).any() or values[0] != 1:
        shown = ", ".join(f"{value:g}" for value in values[:4])
        raise DataError(f"{key} must hold increasing 1-based starts that begin with 1, it has {shown}, ...")
    if values[-1] > rows:
        raise DataError(f"{key} starts the last task at row {values[-1]:g}, there are only {rows} rows")
    return [int(value) - 1 for value in values]


def _class_labels(labels: NDArray[Any]) -> Array:
    """The classes of one-vs-rest tasks, sorted, if the targets are class labels."""
    if labels.dtype.kind not in "iufb":
        raise DataError(f"train_y must hold numbers, it has dtype {labels.dtype}: number the classes")
    present = np.unique(labels.astype(np.float64))
    whole = bool(np.isfinite(present).all()) and np.array_equal(present, np.round(present))
    if not whole or not 2 <= len(present) <= MAX_CLASSES:
        raise DataError(
            f"expected trindex (1-based task starts), or class labels in train_y: it has"
            f" {len(present)} different values that are not class labels: add trindex"
        )
    return present


def _vector(values: NDArray[Any]) -> NDArray[Any]:
    return values.ravel() if values.ndim == 2 and 1 in values.shape else values
