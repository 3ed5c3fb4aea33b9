"""The pool: the rows of all tasks, each once, whichever tasks share it and whether or not it has a label.

    tasks.pool()                    all of them
    tasks.pool(labelled=True)       those that some task has a label for

A loss is one of a task, and a row that three tasks share stands in three of them. What sums over rows of any
task, as the reconstruction of `features` does, has that row once. Weights of rows are nothing to it:
a row of weight 2 is there once; only one of weight 0 is absent, as everywhere.

Tasks share rows where their arrays are one, or the same in every bit: so do one-vs-rest tasks, in memory and
read back from a file. Equal rows of arrays that differ are different rows (two pupils of two schools).
Where tasks share some rows of an array and not others, for labels or weights that are missing or for rows
that are held out, or where rows have no label in any task, the set of tasks has `Links`, which say so; else
it has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask, frozen, snapshot
from amtl_cvx.errors import DataError
from amtl_cvx.tasks.task import Task

if TYPE_CHECKING:
    from amtl_cvx.tasks.task_set import TaskSet

LINKS = "pool", "unlabelled"
"""Names of the arrays that files hold of links."""
_ALIKE = 1e-6
"""Factors whose Gram matrices differ by no more than this, relative, may stand for the same rows."""
_KEEP = "read the data with keep_rows=True"


class Pool(NamedTuple):
    """Rows, each once."""

    parts: tuple[Array, ...]
    """Arrays (n_i, d) that hold them, or factors of them."""
    rows: int
    """How many there are."""


class Source(NamedTuple):
    """Where the rows of a task were taken from."""

    X: Array
    """All rows that were given, (n, d)."""
    labelled: Mask | None = None
    """Which of them have a label; None is all."""
    present: Mask | None = None
    """Which of them have a weight > 0; None is all."""


@dataclass(frozen=True, eq=False)
class Links:
    """Which rows of different tasks are one, and the rows that no task has a label for.

    Parameters
    ----------
    index : tuple of T (n_t,) arrays
        Rows of the pool are numbered; the numbers of the rows of each task. Empty where that is not known.
    unlabelled : (M, d) array
        The rows whose numbers no task has, in the order of these.
    """

    index: tuple[Indices, ...]
    unlabelled: Array

    @classmethod
    def unknown(cls, d: int) -> Links:
        """Of tasks that may share rows, without a word of which."""
        return cls((), frozen(np.zeros((0, d))))

    @cached_property
    def labelled(self) -> Mask:
        """Which rows of the pool some task has a label for, (N,)."""
        there = np.zeros(max((int(each.max(initial=-1)) for each in self.index), default=-1) + 1, dtype=bool)
        for each in self.index:
            there[each] = True
        more = len(self.unlabelled) - int(len(there) - there.sum())
        return np.concatenate([there, np.zeros(max(more, 0), dtype=bool)])

    def of(self, tasks: Sequence[int]) -> Links:
        """Those of some of the tasks, which have all rows, in this order."""
        return replace(self, index=tuple(self.index[t] for t in tasks)) if self.index else self

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file holds of them (`links_from`)."""
        known = {"pool": np.concatenate(self.index)} if self.index else {}
        return {**known, "unlabelled": self.unlabelled} if len(self.unlabelled) or not known else known

    def mapped(self, change: Callable[[Array], Array]) -> Links:
        """The same for tasks whose rows were mapped."""
        return replace(self, unlabelled=change(self.unlabelled))

    def update(self, digest: hashlib._Hash) -> None:
        """Feed a hash with what they say, however the rows are numbered and the unlabelled ones ordered."""
        if self.index:
            _, first, place = np.unique(np.concatenate(self.index), return_index=True, return_inverse=True)
            digest.update(np.argsort(np.argsort(first))[place].astype("<i8").tobytes())
        for row in sorted(row.tobytes() for row in self.unlabelled.astype("<f8")):
            digest.update(row)

    def check(self, tasks: Iterable[Task], d: int) -> None:
        """`DataError` where they are those of other tasks."""
        fit = not self.index or [len(each) for each in self.index] == [len(task.y) for task in tasks]
        if not fit or self.unlabelled.shape[1:] != (d,):
            raise DataError("the links are of other tasks: make them anew, or leave them out")

    def check_numbers(self, tasks: Sequence[Task], *, same: bool) -> None:
        """`DataError` where rows are numbered as no rows are, or (`same`) different rows have one number."""
        M = len(self.unlabelled)
        most = sum(map(len, self.index)) + M
        found = all(i.min() >= 0 and i.max() < most and np.bincount(i).max() == 1 for i in self.index)
        if not found or int((~self.labelled).sum()) != M:
            raise DataError(
                "pool and unlabelled do not fit each other: give numbers 0..N-1, none twice in a task"
            )
        if same:
            rows = self.rows(tasks)
            if not all(same_bits(rows[i], task.X) for i, task in zip(self.index, tasks, strict=True)):
                raise DataError("pool gives one number to rows that differ: number them anew")

    def rows(self, tasks: Sequence[Task]) -> Array:
        """All rows of the pool, (N, d)."""
        rows = np.empty((len(self.labelled), self.unlabelled.shape[1]))
        for each, task in zip(self.index, tasks, strict=True):
            rows[each] = task.X
        rows[~self.labelled] = self.unlabelled
        return rows

    def without(self, gone: Mask) -> Links:
        """The same without the rows of `unlabelled` that are marked."""
        left = ~self.labelled
        left[left] = ~gone
        return _numbered(self.index, left, frozen(self.unlabelled[~gone]))


def links_of(sources: Sequence[Source]) -> Links | None:
    """The links of tasks made of these sources; None where the arrays of the tasks say it all."""
    if all(source.labelled is None and source.present is None for source in sources):
        return None
    numbers, distinct = _numbers([source.X for source in sources])
    here = np.zeros(sum(map(len, distinct)), dtype=bool)
    there, index = here.copy(), []
    for source, number in zip(sources, numbers, strict=True):
        present = number if source.present is None else number[source.present]
        here[present] = True
        kept = np.ones(len(number), dtype=bool) if source.present is None else source.present
        index.append(number[kept if source.labelled is None else kept & source.labelled])
        there[index[-1]] = True
    left = here & ~there
    unlabelled = frozen(_gathered(distinct, left))
    found = _numbered(index, left, unlabelled)
    return found if any(source.labelled is not None for source in sources) else _needed(found)


def links_from(arrays: Mapping[str, np.ndarray], tasks: Sequence[Task], *, same: bool = True) -> Links | None:
    """The links that `Links.arrays` gave, with the task of each row, of tasks that have been read.

    Raises
    ------
    DataError
        Where they number rows as no rows are, or (`same`) give one number to different rows.
    """
    d = tasks[0].X.shape[1]
    if not any(name in arrays for name in LINKS):
        return None
    if "pool" not in arrays:
        return Links.unknown(d)
    pool, task = arrays["pool"], arrays["task"]
    if pool.dtype.kind not in "iu" or pool.shape != task.shape:
        raise DataError(f"pool must hold a whole number a row, {len(task)}, it is {pool.dtype} {pool.shape}")
    order = np.argsort(task, kind="stable")
    starts = np.unique(task[order], return_index=True)[1][1:]
    index = tuple(np.split(pool[order].astype(np.intp), starts))
    links = Links(index, snapshot(arrays.get("unlabelled", np.zeros((0, d))), "unlabelled"))
    links.check(tasks, d)
    links.check_numbers(tasks, same=same)
    return links


def links_without(tasks: TaskSet, kept: Sequence[Mask], *, unlabelled: bool = True) -> Links | None:
    """The links of the tasks with the rows that are marked, and with the rows without a label or not."""
    links = tasks.links
    if links is None and tasks.missing:
        return None
    if links is not None and not links.index:
        return links
    if links is None:
        numbers, distinct = _numbers([task.X for task in tasks])
        links = Links(tuple(numbers), np.zeros((0, tasks.d)))
    left, rows = ~links.labelled, links.unlabelled
    if not unlabelled:
        left, rows = np.zeros_like(left), rows[:0]
    index = [each[mask] for each, mask in zip(links.index, kept, strict=True)]
    found = _numbered(index, left, rows)
    return found if tasks.missing else _needed(found)


def pool_of(tasks: TaskSet, *, labelled: bool) -> Pool:
    """The rows of the tasks, each once; errors as of `TaskSet.pool`."""
    folded = [task for task in tasks if task.compressed]
    for task in folded:
        if task.total is not None:
            raise DataError(
                f"the rows of {task.name!r} are needed without their weights, it has a factor of weighted"
                f" ones: {_KEEP}"
            )
    links = tasks.links
    if links is not None and links.index:
        rows = links.rows(tasks.tasks)
        rows = rows[links.labelled] if labelled else rows
        return Pool((frozen(rows),), len(rows))
    if links is not None or tasks.missing:
        lost = next(iter(tasks.missing), tasks.names[0])
        raise DataError(
            f"rows of {lost!r} without a label, or that tasks share, are needed and were not kept: {_KEEP},"
            " and make the set of tasks in one piece"
        )
    _check_alike(folded)
    _, parts = groups([task.X for task in tasks])
    counted = {id(task.X): task.rows for task in tasks}
    return Pool(tuple(parts), sum(counted[id(part)] for part in parts))


def groups(arrays: Sequence[Array]) -> tuple[list[int], list[Array]]:
    """The number of each array among those that differ in shape or a bit, and these."""
    known: dict[int, int] = {}
    alike: dict[tuple[object, bytes, bytes], list[int]] = {}
    distinct: list[Array] = []
    for X in arrays:
        if id(X) not in known:
            found = alike.setdefault((X.shape, X[:1].tobytes(), X[-1:].tobytes()), [])
            same = next((g for g in found if same_bits(distinct[g], X)), None)
            if same is None:
                same = len(distinct)
                found.append(same)
                distinct.append(X)
            known[id(X)] = same
    return [known[id(X)] for X in arrays], distinct


def same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays are the same bits, by which -0.0 is not 0.0."""
    return one.shape == other.shape and bool((one.view(np.int64) == other.view(np.int64)).all())


def _numbers(arrays: Sequence[Array]) -> tuple[list[Indices], list[Array]]:
    """The rows of each array by their number in those that differ, one after the other; and these."""
    number, distinct = groups(arrays)
    starts = np.cumsum([0, *map(len, distinct)])
    return [np.arange(starts[g], starts[g + 1]) for g in number], distinct


def _gathered(parts: Sequence[Array], mask: Mask) -> Array:
    """The rows that are marked, of arrays one after the other."""
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.concatenate([part[here] for part, here in zip(parts, np.split(mask, ends), strict=True)])


def _numbered(index: Sequence[Indices], left: Mask, unlabelled: Array) -> Links:
    """The links of rows by numbers among more than there are: those of `index`, and the ones `left`."""
    there = left.copy()
    for each in index:
        there[each] = True
    new = np.cumsum(there) - 1
    found = tuple(new[each] for each in index)
    for each in found:
        each.flags.writeable = False
    return Links(found, unlabelled)


def _needed(links: Links) -> Links | None:
    """The links; None where tasks share all of their rows or none, for that is seen in the arrays."""
    different = {each.tobytes(): len(each) for each in links.index}
    return links if len(links.unlabelled) or sum(different.values()) > links.labelled.sum() else None


def _check_alike(folded: Sequence[Task]) -> None:
    """`DataError` where factors may stand for the same rows."""
    seen: dict[int, list[tuple[Task, Array]]] = {}
    for task in folded:
        sums, sizes = task.X.sum(axis=1), np.linalg.norm(task.X, axis=0)
        gram = np.stack([task.X.T @ sums, sizes**2])
        rounding = _ALIKE * np.stack([sizes * np.linalg.norm(sums), sizes**2])
        for other, its in seen.setdefault(task.rows, []):
            if (np.abs(gram - its) <= rounding).all():
                raise DataError(
                    f"{task.name!r} and {other.name!r} may have the same rows, which count once, but their"
                    f" factors do not tell: {_KEEP}"
                )
        seen[task.rows].append((task, gram))
