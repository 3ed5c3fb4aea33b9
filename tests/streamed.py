"""What the tests of streamed rows share: stacked rows, as chunks, in memory, in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.data import ChunkedRows
from amtl_cvx.tasks import Task, TaskSet

Stacked = dict[str, Any]


COUNTS = (400, 3, 7, 1)


GIVEN = ("--coupling", "1", "--mu", "0.01")


def stacked_rows(rng: np.random.Generator) -> Stacked:
    """Rows of four tasks in any order; the third has one row more than d + 2, the last has one."""
    task = rng.permutation(np.repeat(np.arange(4), COUNTS))
    X = rng.normal(size=(len(task), 4)) * [1.0, 10.0, 1e-3, 1.0] + [0.0, 100.0, 5.0, -3.0]
    return {"X": X, "y": X @ [1.0, 0.1, 0.0, 2.0] + rng.normal(size=len(task)), "task": task}


def chunked(stacked: Stacked, size: int = 7, **names: Any) -> ChunkedRows:
    def make() -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(stacked["y"]), size):
            yield tuple(stacked[key][start : start + size] for key in ("X", "y", "task"))

    return ChunkedRows(make=make, **names)


def in_memory(stacked: Stacked, **names: Any) -> TaskSet:
    return TaskSet.from_stacked(stacked["X"], stacked["y"], stacked["task"], **names)


def gram(task: Task, ones: Any = None) -> np.ndarray:
    """[1 X y]'[1 X y]."""
    ones = np.ones(len(task.y)) if ones is None else ones
    rows = np.column_stack([ones, task.X, task.y])
    return rows.T @ rows


def assert_same_gram(got: TaskSet, expected: TaskSet, tol: float = 1e-13) -> None:
    assert got.names == expected.names and list(got.counts) == list(expected.counts)
    for mine, rows in zip(got, expected, strict=True):
        G = gram(rows)
        size = np.sqrt(np.outer(np.diag(G), np.diag(G)))  # Cauchy-Schwarz: what an entry can be at most
        assert np.abs(gram(mine, mine.ones) - G).max(initial=0.0, where=size <= 0) <= 0
        np.testing.assert_array_less(np.abs(gram(mine, mine.ones) - G)[size > 0], tol * size[size > 0])


def write(folder: Path, stacked: Stacked, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for key, value in {**stacked, **changes}.items():
        np.save(folder / f"{key}.npy", value)
    return folder
