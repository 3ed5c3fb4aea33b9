"""The rows of a network's problem: each once, with how often it is rebuilt and who has which label for it.

A network sees every row as it is: there is no factor of them. Rows of different tasks are one row where
`TaskSet.pool` says so, and rows that are equal number by number are one row here that counts `times` in the
reconstruction: their units meet a kink together, which a certificate has to know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtl_cvx.arrays import Array, Indices, frozen
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet, groups


@dataclass(frozen=True, eq=False)
class Rows:
    """The distinct rows (N of them), and the M labels of all tasks, one task after the other.

    Parameters
    ----------
    X : (N, d) array
        Rows that differ in some number.
    times : (N,) array
        How often each is rebuilt; 0 for a row that only losses see.
    row, task : (M,) indices
        The row and the task of each label.
    y : (M,) array
        The labels, or targets.
    weight : (M,) array or None
        How often each label counts in its loss; None is once.
    """

    X: Array
    times: Array
    row: Indices
    task: Indices
    y: Array
    weight: Array | None

    @classmethod
    def of(cls, tasks: TaskSet, *, rebuilt: bool = True, labelled: bool = False) -> Rows:
        """Those of tasks; `rebuilt` is whether there is a reconstruction, `labelled` of which rows.

        Raises
        ------
        DataError
            Where rows are needed that were not kept (factors, rows without a label).
        """
        for task in tasks:
            if task.compressed:
                raise DataError(
                    f"a network needs the rows of {task.name!r}, it has a factor of them: read the data with"
                    " keep_rows=True"
                )
        index, every = _numbered(tasks, rebuilt=rebuilt)
        seen = np.zeros(len(every), dtype=bool)
        for each in index:
            seen[each] = True
        counted = seen if labelled or not rebuilt else np.ones(len(every), dtype=bool)
        kept = np.flatnonzero(counted | seen)
        X, place = _distinct(every[kept])
        number = np.full(len(every), -1)
        number[kept] = place
        weights = [task.sample_weight for task in tasks]
        weighted = any(each is not None for each in weights)
        return cls(
            X=frozen(X),
            times=frozen(np.bincount(place, minlength=len(X)).astype(float) * rebuilt),
            row=np.concatenate([number[each] for each in index]),
            task=np.repeat(np.arange(tasks.T), [len(task.y) for task in tasks]),
            y=frozen(np.concatenate([task.y for task in tasks])),
            weight=frozen(np.concatenate([task.weights for task in tasks])) if weighted else None,
        )

    def by_task(self, values: Array, T: int) -> Array:
        """Sums over the labels of each task, (T,)."""
        return np.bincount(self.task, weights=values, minlength=T).astype(float, copy=False)

    def spread(self, values: Array, T: int) -> Array:
        """Sums over the labels of each row and task, (N, T)."""
        N = len(self.X)
        flat = np.bincount(self.row * T + self.task, weights=values, minlength=N * T)
        return flat.astype(float, copy=False).reshape(N, T)


def _numbered(tasks: TaskSet, *, rebuilt: bool) -> tuple[list[Indices], Array]:
    """The numbers of the rows of each task, and all rows by their numbers."""
    links = tasks.links
    if links is not None and links.index:
        return list(links.index), links.rows(tasks.tasks)
    if rebuilt:
        tasks.pool()  # which says in words what was not kept
    which, parts = groups([task.X for task in tasks])
    starts = np.cumsum([0, *map(len, parts)])
    return [np.arange(starts[g], starts[g + 1]) for g in which], np.vstack(parts)


def _distinct(rows: Array) -> tuple[Array, Indices]:
    """The rows that differ, in the order in which they first come, and the number of each row among them."""
    rows = np.ascontiguousarray(rows) + 0.0  # -0.0 is 0.0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rows[first[order]], rank[place.ravel()]


def beside_ones(rows: Array, there: bool = True) -> Array:
    """The rows with a column of ones, last, where there is a bias."""
    return np.column_stack([rows, np.ones(len(rows))]) if there else rows
