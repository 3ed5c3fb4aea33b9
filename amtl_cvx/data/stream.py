"""Streaming: what a fit needs of the rows, in passes over chunks, with memory independent of n.

For the squared loss, task t needs of its rows no more than the triangular factor R_t of [1 X_t y_t],

    R'R = [1 X y]'[1 X y]        R <- R of qr([R; next rows])

at most d + 2 rows, a row of weight v being sqrt(v) [1 x y]; the ones keep it preparable (`Preparation` learns
and applies its map on factors). A Gram matrix would square the condition number, orthogonal steps do not
(Golub and Van Loan, Matrix Computations, section 5.3). X is taken relative to the first row of all while rows
are added: a constant column is then exactly 0, and a large mean costs no digits of the deviations.

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
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.arrays import DROP, MANY, Array, check_gaps, frozen, label_pair, numbers_for_classes
from amtl_cvx.data.rows import Chunk, Rows
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Links, Task, TaskSet, triangular_factor
from amtl_cvx.threads import one_thread
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
    factors, digests = _Factors(), [hashlib.sha256() for _ in range(4)]
    with one_thread():
        for chunk in _observed(rows, observe):
            for digest, array in zip(digests, chunk[:4], strict=True):
                if array is not None:
                    digest.update(np.ascontiguousarray(array).data)
            check_room("the rows", 2 * chunk.X.nbytes)
            factors.add(chunk)
        _check_present(factors.present, rows)
        if rows.task_names is not None and len(rows.task_names) != len(factors.present):
            raise DataError(f"expected {len(factors.present)} task names, got {len(rows.task_names)}")
        tasks = factors.tasks(rows)
    whole = hashlib.sha256("|".join((*tasks.names, *(rows.feature_names or ()))).encode())
    for digest in digests if factors.weighted else digests[:3]:
        whole.update(digest.digest())
    links = Links.unknown(tasks.d) if rows.linked else None
    return replace(tasks, digest=whole.hexdigest(), labels=rows.labels, links=links)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def hold_out(
    rows: Rows, rng: np.random.Generator, *, observe: Observe | None = None
) -> tuple[TaskSet, TaskSet | None, tuple[int, ...]]:
    """A fifth of the rows, drawn one by one as they pass; what `holdout.hold_out` returns, as factors.

    The first row of every task stays in the training part. The draw depends on the order of the rows, not on
    their chunks.
    """
    train, held = _Factors(), _Factors()
    with one_thread():
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
        if not len(chunk.y):
            continue  # none of its rows has a label
        X = chunk.X if preparation is None else preparation.apply(chunk.X)
        if X.shape[1] != len(W) or chunk.task.max() >= T:
            found = f"{X.shape[1]} features and a task {chunk.task.max()}"
            raise DataError(f"expected rows of {T} tasks with {len(W)} features, got {found}")
        for t, X_t, y_t, v_t in chunk._replace(X=X).by_task():
            counts[t] += len(y_t)
            phi = loss.on(v_t)
            for at, w in enumerate(points[:, :, t]):
                z = X_t @ w
                losses[at, t] += phi.rows(z, y_t).sum()
                gradients[at, :, t] += X_t.T @ phi.slopes(z, y_t)
    return RowSums(counts=counts, W=W, losses=losses, gradients=gradients)


def gather(rows: Rows, *, observe: Observe | None = None) -> TaskSet:
    """All rows in memory, for a loss without a factor."""
    chunks, present = list[Chunk](), set[int]()
    for chunk in _observed(rows, observe):
        if not chunks and rows.count is not None:
            shape = rows.count, chunk.X.shape[1]
            check_size("X", shape)
            check_room("X", _COPIES * 8 * math.prod(shape))
        check_room("X", _COPIES * chunk.X.nbytes)
        present.update(np.unique(chunk.task).tolist())
        whole = (chunk.whole or chunk)[:4]
        chunks.append(Chunk(*(None if part is None else part.copy() for part in whole)))  # type: ignore[arg-type]
    X, y, task = (np.concatenate([chunk[at] for chunk in chunks]) for at in range(3))
    weighted = any(chunk.weight is not None for chunk in chunks)
    often = [np.ones(len(chunk.y)) if chunk.weight is None else chunk.weight for chunk in chunks]
    weights = np.concatenate(often) if weighted else None
    _check_present(sorted(present), rows)
    tasks = TaskSet.from_stacked(
        X,
        y,
        task,
        names=rows.task_names,
        feature_names=rows.feature_names,
        sample_weight=weights,
        missing=DROP if np.isnan(y).any() else None,
    )
    return replace(tasks, labels=rows.labels or tasks.labels, links=rows.links(tasks))


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
        if len(chunk.y) or chunk.unlabelled is not None:
            yield chunk
        seen += len(chunk.y)
        if observe is not None:
            observe(seen)


def _check_present(present: list[int], rows: Rows) -> None:
    """`DataError` that names a task without a row that counts."""
    names = rows.task_names
    absent = None if names is None else next((t for t in range(len(names)) if t not in present), None)
    if names is not None and absent is not None and len(present) < len(names):
        raise DataError(f"no row of {names[absent]!r} has a label and a weight: leave the task out")
    check_gaps(np.array(present))


class _Factors:
    """The growing triangular factors of all tasks."""

    def __init__(self) -> None:
        self._first: Array | None = None
        self._tasks: dict[int, _Factor] = {}
        self._missing = Counter[int]()
        self.weighted = False

    @property
    def present(self) -> list[int]:
        return sorted(self._tasks)

    def add(self, chunk: Chunk) -> None:
        if chunk.unlabelled is not None:
            self._missing.update(chunk.unlabelled.tolist())
        self.weighted |= chunk.weight is not None
        for t, X, y, v in chunk.by_task():
            if self._first is None:
                self._first = X[0].copy()
            if t not in self._tasks:
                self._tasks[t] = _Factor(self._first)
            self._tasks[t].add(X, y, v)

    def tasks(self, rows: Rows) -> TaskSet:
        """The tasks that have rows, with their names."""
        names = rows.task_names
        parts = [self._tasks[t].task(f"task {t}" if names is None else names[t]) for t in self.present]
        if self._missing:
            parts = [
                replace(part, missing=self._missing[t]) for t, part in zip(self.present, parts, strict=True)
            ]
        return TaskSet(tasks=tuple(parts), feature_names=rows.feature_names)


class _Factor:
    """One task: R of [1, X - first, y] so far, and the rows that wait for the next block.

    A row of weight v enters as the one row sqrt(v) [1, x - first, y].
    """

    def __init__(self, first: Array) -> None:
        self._first, self._width, self._count = first, len(first) + 2, 0
        self._total: float | None = None
        self._R = np.empty((0, self._width))
        self._waiting: list[tuple[Array, Array, Array]] = []
        self._step = max(2 * self._width, _BLOCK // self._width)

    def add(self, X: Array, y: Array, v: Array | None) -> None:
        often = np.ones(len(y)) if v is None else v
        if v is not None or self._total is not None:
            before = float(self._count) if self._total is None else self._total
            self._total = math.fsum([before, *often.tolist()])
        self._waiting.append((X, y, often))
        self._count += len(y)
        if sum(len(y) for _, y, _ in self._waiting) >= self._step:
            self._fold()

    def task(self, name: str) -> Task:
        """Rows where there are at most d + 2, else the factor, X in the users' units again."""
        if self._count <= self._width:
            X, y, v = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
            weights = None if self._total is None else frozen(v)
            return Task(X=frozen(X), y=frozen(y), name=name, sample_weight=weights)
        if self._waiting:
            self._fold()
        ones, X, y = self._R[:, :1], self._R[:, 1:-1], self._R[:, -1]
        X = X + ones * self._first
        return Task(X=X, y=y, name=name, count=self._count, total=self._total, ones=ones[:, 0])

    def _fold(self) -> None:
        X, y, v = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        check_room("a triangular factor", 8 * self._width * 2 * (self._step + self._width))
        for start in range(0, len(y), self._step):
            part = slice(start, start + self._step)
            block = np.column_stack([np.ones(len(y[part])), X[part] - self._first, y[part]])
            block = block if self._total is None else np.sqrt(v[part])[:, None] * block
            self._R = triangular_factor(np.vstack([self._R, block]))
