"""Streaming: what a fit needs of the rows, in passes over chunks, with memory independent of n.

For the squared loss, task t needs of its rows no more than the triangular factor R_t of [1 X_t y_t],

    R'R = [1 X y]'[1 X y]        R <- R of qr([R; next rows])

at most d + 2 rows; the ones keep it preparable (`Preparation` learns and applies its map on factors). A Gram
matrix would square the condition number, orthogonal steps do not (Golub and Van Loan, Matrix Computations,
section 5.3). X is taken relative to the first row of all while rows are added: a constant column is then
exactly 0, and a large mean costs no digits of the deviations.

    >>> tasks = factor(rows)                                                    # pass 1
    >>> preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    >>> solution = fit(preparation.apply_tasks(tasks), model)
    >>> sums = evaluate(rows, solution.W, model.loss, preparation)              # pass 2
    >>> certificate = confirm(solution.certificate, preparation.apply_tasks(tasks), model.loss, sums)

The certificate of such a fit judges factors. `evaluate` sums losses and gradients over the rows themselves,
and `certificate.confirm` lets the certificate stand only where both agree. `hold_out` draws the held-out rows
of `--coupling auto` in a further pass. Losses without a factor (logistic) need the rows in memory: `gather`.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from amtl_cvx.arrays import MANY, Array, check_gaps, frozen, label_pair, numbers_for_classes
from amtl_cvx.data.rows import Chunk, Rows
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Task, TaskSet, triangular_factor
from amtl_cvx.untrusted import check_room, check_size

if TYPE_CHECKING:
    from amtl_cvx.certificate import RowSums
    from amtl_cvx.losses import Loss
    from amtl_cvx.preparation import Preparation

HELD_OUT = 0.2
"""Share of the rows that `hold_out` draws."""
_COPIES = 3
"""Rows that are gathered are held three times at the end: as chunks, in one piece, and by task."""
_BLOCK = 1 << 15
"""Numbers in a block of rows that is factored at once (256 KiB: it stays in the cache)."""

_log = logging.getLogger(__name__)

Observe = Callable[[int], None]
"""Told how many rows were read so far."""


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def factor(rows: Rows, *, observe: Observe | None = None) -> TaskSet:
    """The tasks with triangular factors in place of their rows, in one pass over the rows.

    Returns
    -------
    TaskSet
        Every `Task.n` is the original count; a task with at most d + 2 rows keeps them. The fingerprint is
        that of the rows in their order, however they are chunked.

    Raises
    ------
    DataError
        For rows that cannot be used, gaps in the task numbers, a wrong number of names.
    """
    factors, digests = _Factors(), [hashlib.sha256() for _ in Chunk._fields]
    with threadpool_limits(limits=1, user_api="blas"):
        for chunk in _observed(rows, observe):
            for digest, array in zip(digests, chunk, strict=True):
                digest.update(np.ascontiguousarray(array).data)
            check_room("the rows", 2 * chunk.X.nbytes)
            factors.add(chunk)
        check_gaps(np.array(factors.present))
        if rows.task_names is not None and len(rows.task_names) != len(factors.present):
            raise DataError(f"expected {len(factors.present)} task names, got {len(rows.task_names)}")
        tasks = factors.tasks(rows)
    whole = hashlib.sha256("|".join((*tasks.names, *(rows.feature_names or ()))).encode())
    for digest in digests:
        whole.update(digest.digest())
    return replace(tasks, digest=whole.hexdigest(), labels=rows.labels)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def hold_out(
    rows: Rows, rng: np.random.Generator, *, observe: Observe | None = None
) -> tuple[TaskSet, TaskSet | None, tuple[int, ...]]:
    """A fifth of the rows, drawn one by one as they pass; what `holdout.hold_out` returns, as factors.

    The first row of every task stays in the training part. The draw depends on the order of the rows, not on
    their chunks.
    """
    train, held = _Factors(), _Factors()
    with threadpool_limits(limits=1, user_api="blas"):
        for chunk in _observed(rows, observe):
            out = rng.random(len(chunk.y)) < HELD_OUT
            present, first = np.unique(chunk.task, return_index=True)
            out[first[~np.isin(present, train.present)]] = False
            train.add(chunk.part(~out))
            held.add(chunk.part(out))
        return train.tasks(rows), held.tasks(rows) if held.present else None, tuple(held.present)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def evaluate(
    rows: Rows,
    W: Array,
    loss: Loss,
    preparation: Preparation | None = None,
    *,
    observe: Observe | None = None,
) -> RowSums:
    """Losses and gradients at W (d, T) and at 0, summed over the rows in one pass; `confirm` takes them.

    Raises
    ------
    DataError
        For rows that cannot be used, or that have other features or more tasks than W.
    """
    from amtl_cvx.certificate import RowSums

    points = np.stack([W, np.zeros_like(W)])
    T = W.shape[1]
    losses, gradients, counts = np.zeros((2, T)), np.zeros_like(points), np.zeros(T, dtype=np.int64)
    for chunk in _observed(rows, observe):
        X = chunk.X if preparation is None else preparation.apply(chunk.X)
        if X.shape[1] != len(W) or chunk.task.max() >= T:
            found = f"{X.shape[1]} features and a task {chunk.task.max()}"
            raise DataError(f"expected rows of {T} tasks with {len(W)} features, got {found}")
        for t, X_t, y_t in chunk._replace(X=X).by_task():
            counts[t] += len(y_t)
            for at, w in enumerate(points[:, :, t]):
                z = X_t @ w
                losses[at, t] += loss.rows(z, y_t).sum()
                gradients[at, :, t] += X_t.T @ loss.slopes(z, y_t)
    return RowSums(counts=counts, W=W, losses=losses, gradients=gradients)


def gather(rows: Rows, *, observe: Observe | None = None) -> TaskSet:
    """All rows in memory, for a loss without a factor."""
    chunks: list[Chunk] = []
    for chunk in _observed(rows, observe):
        if not chunks and rows.count is not None:
            shape = rows.count, chunk.X.shape[1]
            check_size("X", shape)
            check_room("X", _COPIES * 8 * math.prod(shape))
        check_room("X", _COPIES * chunk.X.nbytes)
        X, y, task = chunk
        chunks.append(Chunk(X.copy(), y.copy(), task.copy()))  # their maker may fill the same arrays again
    X, y, task = (np.concatenate(part) for part in zip(*chunks, strict=True))
    check_gaps(np.unique(task))
    tasks = TaskSet.from_stacked(
        X,
        y,
        task,
        names=rows.task_names,
        feature_names=rows.feature_names,
    )
    return tasks if rows.labels is None else replace(tasks, labels=rows.labels)


def has_labels(rows: Rows) -> bool:
    """Whether the targets read as classes, as `--loss auto` understands it; stops where they cannot.

    A warning says so where few different whole numbers may stand for classes.
    """
    if rows.labels is not None:
        return True
    found: dict[int, set[float]] = {}
    for chunk in rows.chunks():
        for t in np.unique(chunk.task).tolist():
            found.setdefault(t, set()).update(np.unique(chunk.y[chunk.task == t]).tolist())
        values = set[float]().union(*found.values())
        if len(values) > MANY or any(value != round(value) for value in values):
            return False
    if label_pair(found.values()) is not None:
        return True
    line = numbers_for_classes(values)
    if line is not None:
        _log.warning("%s", line)
    return False


def _observed(rows: Rows, observe: Observe | None) -> Iterator[Chunk]:
    seen = 0
    for chunk in rows.chunks():
        yield chunk
        seen += len(chunk.y)
        if observe is not None:
            observe(seen)


class _Factors:
    """The growing triangular factors of all tasks."""

    def __init__(self) -> None:
        self._first: Array | None = None
        self._tasks: dict[int, _Factor] = {}

    @property
    def present(self) -> list[int]:
        return sorted(self._tasks)

    def add(self, chunk: Chunk) -> None:
        for t, X, y in chunk.by_task():
            if self._first is None:
                self._first = X[0].copy()
            if t not in self._tasks:
                self._tasks[t] = _Factor(self._first)
            self._tasks[t].add(X, y)

    def tasks(self, rows: Rows) -> TaskSet:
        """The tasks that have rows, with their names."""
        names = rows.task_names
        parts = [self._tasks[t].task(f"task {t}" if names is None else names[t]) for t in self.present]
        return TaskSet(tasks=tuple(parts), feature_names=rows.feature_names)


class _Factor:
    """One task: R of [1, X - first, y] so far, and the rows that wait for the next block."""

    def __init__(self, first: Array) -> None:
        self._first, self._width, self._count = first, len(first) + 2, 0
        self._R = np.empty((0, self._width))
        self._waiting: list[tuple[Array, Array]] = []
        self._step = max(2 * self._width, _BLOCK // self._width)

    def add(self, X: Array, y: Array) -> None:
        self._waiting.append((X, y))
        self._count += len(y)
        if sum(len(y) for _, y in self._waiting) >= self._step:
            self._fold()

    def task(self, name: str) -> Task:
        """Rows where there are at most d + 2, else the factor, X in the users' units again."""
        if self._count <= self._width:
            X, y = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
            return Task(X=frozen(X), y=frozen(y), name=name)
        if self._waiting:
            self._fold()
        ones, X, y = self._R[:, :1], self._R[:, 1:-1], self._R[:, -1]
        return Task(X=X + ones * self._first, y=y, name=name, count=self._count, ones=ones[:, 0])

    def _fold(self) -> None:
        X, y = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        check_room("a triangular factor", 8 * self._width * 2 * (self._step + self._width))
        for start in range(0, len(y), self._step):
            part = slice(start, start + self._step)
            block = np.column_stack([np.ones(len(y[part])), X[part] - self._first, y[part]])
            self._R = triangular_factor(np.vstack([self._R, block]))
