"""A folder of .npy files: `X.npy` (N, d), `y.npy` (N,), `task.npy` (N,), rows in any order, streamed.

`task` holds the integers 0..T-1; `sample_weight.npy` (N,), if it is there, says how often each row counts.
Any real dtype, byte order and memory order will do; nothing is unpickled. `names.json`, if it is there, may
hold the lists "task_names" and "feature_names". `pool.npy` (N,) and `unlabelled.npy` (M, d) say which rows
of different tasks are one, as `problem.stored` writes them. The files are read piece by piece and not mapped:
mapped pages would count as memory of the process until they are unmapped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Labels, check_features, clean, two_labels
from amtl_cvx.data.dataset import FeatureTable
from amtl_cvx.data.npz import tasks_of_rows
from amtl_cvx.data.numerals import MISSING
from amtl_cvx.data.rows import Chunk, Rows, checked, chunk_rows
from amtl_cvx.errors import DataError
from amtl_cvx.problem.stored import read_names
from amtl_cvx.tasks import LINKS, Links, TaskSet, links_from
from amtl_cvx.untrusted import check_room, check_size, reading
from amtl_cvx.untrusted.npy import ArrayFile

_WORDS = 1 << 16
"""Texts that are looked at at once."""


@dataclass(frozen=True, kw_only=True)
class ArrayRows(Rows):
    """The rows of such a folder."""

    X: ArrayFile
    y: ArrayFile
    task: ArrayFile
    weight: ArrayFile | None = None
    missing: str | None = None
    task_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    labels: Labels | None = None
    linked: bool = False

    @classmethod
    def open(cls, folder: Path, missing: str | None = None) -> ArrayRows:
        """From the headers; `DataError` for files that are absent, damaged or do not fit each other."""
        X, y, task = (_member(folder, key) for key in ("X", "y", "task"))
        shapes = X.shape, y.shape, task.shape
        if [len(shape) for shape in shapes] != [2, 1, 1] or len({shape[0] for shape in shapes}) > 1:
            found = "got X {}, y {}, task {}".format(*shapes)
            raise DataError(f"expected X (N, d), y (N,) and task (N,), {found}")
        weight = _member(folder, "sample_weight") if (folder / "sample_weight.npy").exists() else None
        if weight is not None and weight.shape != y.shape:
            raise DataError(f"expected sample_weight {y.shape} like y, got {weight.shape}")
        names = read_names(folder)
        features = names.get("feature_names")
        if features is not None and len(features) != X.shape[1]:
            raise DataError(f"expected {X.shape[1]} feature names, got {len(features)}")
        return cls(
            X=X,
            y=y,
            task=task,
            weight=weight,
            missing=missing,
            task_names=names.get("task_names"),
            feature_names=features,
            labels=_classes(y, missing),
            linked=any(map(Path.exists, _links(folder))),
        )

    @property
    def count(self) -> int:
        return self.X.shape[0]

    def chunks(self) -> Iterator[Chunk]:
        with reading(self.X.path.parent, "folder"):
            yield from checked(self._parts(), self.feature_names, missing=self.missing)

    def links(self, tasks: TaskSet) -> Links | None:
        if not self.linked:
            return tasks.links
        found = {"task": self.task.rows(0, self.count)}
        for path in filter(Path.exists, _links(self.X.path.parent)):
            file = ArrayFile.open(path)
            check_size(path.stem, file.shape, file.dtype.itemsize)
            check_room(path.stem, 2 * math.prod(file.shape) * file.dtype.itemsize)
            found[path.stem] = file.rows(0, *file.shape[:1])
        return links_from(found, tasks.tasks)

    def _parts(self) -> Iterator[tuple[NDArray[Any], ...]]:
        step = chunk_rows(self.X.shape[1])
        for start in range(0, self.count, step):
            X, y, task = (file.rows(start, start + step) for file in (self.X, self.y, self.task))
            weights = [] if self.weight is None else [self.weight.rows(start, start + step)]
            yield X, _signs(y, self.labels, self.missing), task, *weights


def features_folder(folder: Path) -> FeatureTable:
    """Raw rows to predict on, in memory: `X.npy` and, if it is there, `task.npy`."""
    X = _member(folder, "X")
    check_size("X", X.shape, X.dtype.itemsize)
    check_room("X", 16 * math.prod(X.shape))
    task = _member(folder, "task").rows(0, X.shape[0]) if (folder / "task.npy").exists() else None
    rows = check_features(X.rows(0, X.shape[0]))
    names = read_names(folder)
    return FeatureTable(
        X=rows,
        task=None if task is None else tasks_of_rows(task, len(rows), names.get("task_names")),
        feature_names=names.get("feature_names"),
    )


def _classes(y: ArrayFile, missing: str | None) -> Labels | None:
    """The two labels of targets that are text or bool; `DataError` for text of more or fewer."""
    if y.dtype.kind not in "USb":
        return None
    if y.dtype.kind == "b":
        return (False, True)
    words: set[str] = set()
    for start in range(0, y.shape[0], _WORDS):
        words.update(map(clean, np.unique(y.rows(start, start + _WORDS)).tolist()))
    return two_labels(words - (set() if missing is None else MISSING), "y")


def _signs(y: NDArray[Any], labels: Labels | None, missing: str | None) -> NDArray[Any]:
    """Texts as -1 and +1, NaN for those that are to be left out; everything else as it is."""
    if labels is None or y.dtype.kind == "b":
        return y
    absent = frozenset() if missing is None else MISSING
    signs = {
        word: np.nan if word.strip() in absent else 1.0 if clean(word) == labels[1] else -1.0
        for word in set(y.tolist())
    }
    return np.array([signs[word] for word in y.tolist()])


def _member(folder: Path, key: str) -> ArrayFile:
    file = ArrayFile.open(folder / f"{key}.npy")
    return file if key == "X" else file.vector()


def _links(folder: Path) -> list[Path]:
    """Where a folder has which rows are one, if it does."""
    return [folder / f"{name}.npy" for name in LINKS]
