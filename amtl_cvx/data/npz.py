"""The .npz files: named arrays, of numbers or strings, never of Python objects.

An archive is opened member by member: the header of an array is read first, and what it claims must fit both
the limit on sizes and the bytes that are there.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import check_features, check_gaps, whole_numbers
from amtl_cvx.data.dataset import Dataset, FeatureTable
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import check_expansion, check_size, existing_file, reading, shown
from amtl_cvx.untrusted.npy import array_header, check_stored


def read_arrays(
    path: str | Path | BinaryIO, *, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """The named arrays of any .npz, as they were written; nothing else in the file is looked at.

    Shapes, dtypes and values are for the caller to check.

    Parameters
    ----------
    path : str, Path or binary file
        The file, or one that is open already; its suffix does not matter.
    required, optional : sequence of str
        Names of arrays; an optional one that the file has not is absent from the result.

    Raises
    ------
    DataError
        For a file that is absent, a folder, damaged or no .npz, for a required array it has not, and for one
        that holds Python objects; the message is one line.
    """
    if not isinstance(path, str | Path):
        with reading(Path(path.name), ".npz"):
            return _arrays(path, required, optional)
    names = f" with {', '.join(required)}" if required else ""
    file = existing_file(path, f"a .npz file{names}")
    with reading(file, ".npz"), file.open("rb") as stream:
        return _arrays(stream, required, optional)


def read_npz(path: Path, missing: str | None = None) -> Dataset:
    """Stacked rows: `X`, `y`, `task`, or one task a column: `X`, `Y`.

    Optionally `sample_weight`, `task_names`, `feature_names`.
    """
    further = ("sample_weight", "task_names", "feature_names")
    with path.open("rb") as stream:
        matrix = _has(stream, "Y") and not _has(stream, "y")
        arrays = _arrays(stream, ("X", "Y") if matrix else ("X", "y", "task"), further)
    known: dict[str, Any] = {
        "names": _labels(arrays, "task_names"),
        "feature_names": _labels(arrays, "feature_names"),
        "sample_weight": arrays.get("sample_weight"),
    }
    if matrix:
        tasks = TaskSet.from_matrix(arrays["X"], arrays["Y"], **known)
    else:
        check_gaps(whole_numbers(arrays["task"]))
        tasks = TaskSet.from_stacked(arrays["X"], arrays["y"], arrays["task"], missing=missing, **known)
    return Dataset(name=path.stem, train=tasks, source=f"file {path.name}")


def features_npz(path: Path) -> FeatureTable:
    """Raw rows: `X` and optionally `task`, `task_names`, `feature_names`."""
    with path.open("rb") as stream:
        arrays = _arrays(stream, ("X",), ("task", "task_names", "feature_names"))
    X, names, task = check_features(arrays["X"]), _labels(arrays, "feature_names"), arrays.get("task")
    if names is not None and len(names) != X.shape[1]:
        raise DataError(f"expected {X.shape[1]} feature names, got {len(names)}")
    tasks = None if task is None else tasks_of_rows(task, len(X), _labels(arrays, "task_names"))
    return FeatureTable(X=X, task=tasks, feature_names=names)


def tasks_of_rows(
    task: NDArray[Any], count: int, names: tuple[str, ...] | None
) -> NDArray[np.int64] | tuple[str, ...]:
    """The tasks of `count` rows: by the names that the file has for its numbers, else the numbers."""
    numbers = check_task_column(task, count)
    if names is None:
        return numbers
    if numbers.max(initial=0) >= len(names):
        raise DataError(f"task has the number {numbers.max()}, there are {len(names)} task_names: add names")
    return tuple(names[number] for number in numbers.tolist())


def check_task_column(task: NDArray[Any], count: int) -> NDArray[np.int64]:
    """The task numbers of `count` rows, or `DataError`."""
    if task.ndim == 2 and 1 in task.shape:
        task = task.ravel()
    if task.shape != (count,) or task.dtype.kind not in "iufb":
        raise DataError(
            f"task must hold one integer per row of X, {count}, it has {task.shape} of {task.dtype}"
        )
    if not (np.isfinite(task).all() and np.array_equal(task, np.round(task)) and (task >= 0).all()):
        raise DataError("task must hold integers 0..T-1, it has fractions, negative numbers or NaN")
    return task.astype(np.int64)


def _has(stream: BinaryIO, key: str) -> bool:
    """Whether an archive has an array of this name; False for what is no archive, which `_arrays` says."""
    if not zipfile.is_zipfile(stream):
        return False
    with zipfile.ZipFile(stream) as archive:
        return f"{key}.npy" in archive.namelist()


def _arrays(stream: BinaryIO, required: Sequence[str], optional: Sequence[str]) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(stream):
        call = ", ".join(("file", *(f"{key}={key}" for key in required)))
        raise DataError(
            f"expected a .npz archive, this is none, or truncated: write it with numpy.savez({call})"
        )
    stored = stream.seek(0, os.SEEK_END)
    with zipfile.ZipFile(stream) as archive:
        present = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        missing = [key for key in required if key not in present]
        if missing:
            raise DataError(
                f"expected the arrays {', '.join(required)}, the file has {shown(present) or 'none'}: add"
                f" {', '.join(missing)}"
            )
        wanted = [key for key in (*required, *optional) if key in present]
        taken = 0
        for key in wanted:
            taken += _claimed(archive, key)
            check_expansion(key, stored, taken)
        return {key: _member(archive, key) for key in wanted}


def _claimed(archive: zipfile.ZipFile, key: str) -> int:
    """Bytes that an array takes, by its header, which is checked against the size of the member."""
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as stream:
        shape, _, dtype = array_header(stream, key)
    check_size(key, shape, dtype.itemsize)
    check_stored(key, shape, dtype, info.file_size)
    return math.prod(shape) * max(dtype.itemsize, 8)


def _member(archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    with archive.open(f"{key}.npy") as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _labels(arrays: Mapping[str, NDArray[Any]], key: str) -> tuple[str, ...] | None:
    return text_labels(arrays[key], key) if key in arrays else None


def text_labels(array: NDArray[Any], key: str) -> tuple[str, ...]:
    """The names that a vector holds."""
    labels = np.atleast_1d(array)
    if labels.ndim != 1:
        raise DataError(f"{key} must have one dimension, it has shape {labels.shape}")
    texts = labels.astype(str) if labels.dtype.kind == "S" else labels
    return tuple(str(label) for label in texts.tolist())
