"""Splits: which rows every fit of a tuning sees, and which ones it is judged on.

    Splits.folds(tasks, 5, seed=0)         every task's rows dealt out to five folds
    Splits.held_out(tasks, 0.2, seed=0)    a share of every task's rows, once
    Splits.validation(tasks, held)         rows that were kept apart before
    Splits.given(tasks, KFold(5))          a splitter of scikit-learn, or numbers of rows

Folds are dealt within each task, and within each class of a task whose targets are classes, so that every
row that can be spared is held out once; a single row (of a class) stays in training always. Tasks that are
classes over shared rows (one-vs-rest) lose the same rows. A splitter splits the rows of each task by itself,
those that one-vs-rest tasks share once, by their class; how rows are numbered is told in `pairs`. What is in
neither part of a split is seen by neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Mask, is_number
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.tuning.pairs import check_rows, pairs_of
from amtl_cvx.holdout import classes_of_rows, draw, generator, shared_classes, split_off
from amtl_cvx.preparation import Preparation
from amtl_cvx.tasks import Task, TaskSet, check_tasks, task_index

FOLDS = 5
"""Folds where nobody says how many."""


@dataclass(frozen=True, eq=False)
class Part:
    """One split: what is fitted, what it is judged on, and the numbers of the tasks that have rows there."""

    train: TaskSet
    held: TaskSet
    index: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """Training and held-out rows, one pair a fit; as folds, a share, given rows, or a splitter say.

    Parameters
    ----------
    parts : tuple of Part
    words : str
        What a sentence calls them: "5 folds of every task's rows (seed 0)".
    of : str
        The hash of the targets of the tasks that were split, "" where that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.experiment.tuning import Splits
    >>> tasks = TaskSet.from_matrix(np.eye(6), np.ones((6, 2)))
    >>> splits = Splits.folds(tasks, 3)
    >>> len(splits), [part.held.rows.tolist() for part in splits]
    (3, [[2, 2], [2, 2], [2, 2]])
    """

    parts: tuple[Part, ...]
    words: str
    of: str = ""

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    @classmethod
    def folds(cls, tasks: TaskSet, k: int = FOLDS, seed: int = 0) -> Splits:
        """Every task's rows in k folds, each held out once.

        Raises
        ------
        ModelError, DataError
            For a k that is no whole number >= 2, and tasks without a row to spare in some fold.
        """
        check_tasks(tasks)
        if not isinstance(k, int) or isinstance(k, bool) or k < 2:
            raise ModelError(f"expected a whole number of folds >= 2, got {k!r}")
        rng, shared = generator(seed), shared_classes(tasks, equal=True)
        if shared is not None:
            dealt = [_dealt(shared, k, 0, rng)] * tasks.T
        else:
            dealt, begin = [], 0
            for task in tasks:
                dealt.append(_dealt(classes_of_rows(task, tasks.labels is not None), k, begin, rng))
                begin += len(task.y)
        parts = [_part(tasks, [fold == number for fold in dealt], number, k) for number in range(k)]
        return cls(
            parts=tuple(parts), words=f"{k} folds of every task's rows (seed {seed})", of=_targets(tasks)
        )

    @classmethod
    def held_out(cls, tasks: TaskSet, share: float = 0.2, seed: int = 0) -> Splits:
        """A share of every task's rows, drawn once.

        Raises
        ------
        ModelError, DataError
            For a share that is not between 0 and 1, and tasks without a row to spare.
        """
        check_tasks(tasks)
        if not (is_number(share) and 0.0 < share < 1.0):
            raise ModelError(f"expected a share of the rows between 0 and 1, got {share!r}")
        train, held = draw(tasks, float(share), generator(seed))
        part = Part(train, held, tuple(task_index(tasks.names, name) for name in held.names))
        return cls(
            parts=(part,),
            words=f"{share:.3g} of every task's rows, held out (seed {seed})",
            of=_targets(tasks),
        )

    @classmethod
    def validation(cls, tasks: TaskSet, held: TaskSet) -> Splits:
        """All rows of the tasks are trained on, others judge; these are all or some of the tasks, by name.

        Raises
        ------
        DataError
            For tasks or features that are not those of `tasks`.
        """
        check_tasks(tasks)
        check_tasks(held)
        if held.d != tasks.d:
            raise DataError(f"the validation rows have {held.d} features, the tasks {tasks.d}: prepare both")
        held = held.in_order(tasks.names, tasks.feature_names)
        part = Part(tasks, held, tuple(task_index(tasks.names, name) for name in held.names))
        return cls(parts=(part,), words="the validation rows", of=_targets(tasks))

    @classmethod
    def given(cls, tasks: TaskSet, splits: Any) -> Splits:
        """The splits of a splitter (`split(X, y)`, as of scikit-learn), or pairs of training and held rows.

        Numbers count the rows that a task has: those without a label and those of weight 0 are not there.
        For tasks of which rows without a label were left out numbers are refused, as they may be meant to
        count these too; take such rows out before.

        Raises
        ------
        DataError
            For row numbers that are not those of the tasks, a row in both parts, a task without training
            rows, and rows that a splitter cannot split.
        """
        check_tasks(tasks)
        pairs, name = pairs_of(tasks, splits)
        if not pairs:
            raise DataError("expected a split at least, got none")
        parts = [_part_of(tasks, train, held, number) for number, (train, held) in enumerate(pairs)]
        words = f"{len(parts)} given split{'s' * (len(parts) > 1)}{name}"
        return cls(parts=tuple(parts), words=words, of=_targets(tasks))

    def prepared(self, *, standardize: bool, intercept: bool) -> Splits:
        """The same with features prepared as its own training rows say, split by split."""

        def of(part: Part) -> Part:
            learned = Preparation.learn(part.train, standardize=standardize, intercept=intercept)
            return Part(learned.apply_tasks(part.train), learned.apply_tasks(part.held), part.index)

        return replace(self, parts=tuple(map(of, self.parts)))

    def check(self, tasks: TaskSet) -> None:
        """`DataError` where they are splits of other tasks."""
        for part in self.parts:
            if part.train.names != tasks.names or part.train.d != tasks.d:
                raise DataError("the splits are of other tasks: make them of those that are tuned")
            if self.of == "" and (part.train.rows > tasks.rows).any():
                raise DataError("the splits train on more rows than the tasks have: make them of these tasks")
        if self.of not in ("", _targets(tasks)):
            raise DataError("the splits are of other rows (other targets): make them of those that are tuned")

    def fingerprint(self) -> str:
        """sha256 over the rows of every part."""
        digest = hashlib.sha256()
        for part in self.parts:
            said = (part.train.fingerprint(pool=True), part.held.fingerprint(), part.index)
            digest.update(repr(said).encode())
        return digest.hexdigest()


def _targets(tasks: TaskSet) -> str:
    """sha256 over the targets of all tasks, which no preparation of features changes."""
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(np.ascontiguousarray(task.y, dtype=np.float64).tobytes() + b"|")
    return digest.hexdigest()


def splits_of(tasks: TaskSet, splits: Any, *, seed: int) -> Splits:
    """What `tune` takes: None (five folds), their number, a share, or whatever `Splits.given` takes."""
    if isinstance(splits, Splits):
        splits.check(tasks)
        return splits
    if splits is None:
        return Splits.folds(tasks, FOLDS, seed)
    if isinstance(splits, TaskSet):
        return Splits.validation(tasks, splits)
    if isinstance(splits, int | np.integer):
        return Splits.folds(tasks, splits if isinstance(splits, bool) else int(splits), seed)
    if is_number(splits):
        return Splits.held_out(tasks, splits, seed)
    return Splits.given(tasks, splits)


def _dealt(classes: NDArray[np.int64], k: int, begin: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of every row, -1 for one that is never held out; `begin` is where the dealing goes on."""
    fold = np.full(len(classes), -1)
    for label in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == label))
        if len(rows) > 1:
            fold[rows] = (begin + np.arange(len(rows))) % k
        begin += len(rows)
    return fold


def _part(tasks: TaskSet, masks: Sequence[Mask], number: int, k: int) -> Part:
    train, held = split_off(tasks, masks)
    if held is None:
        raise DataError(f"fold {number + 1} of {k} is empty, no task has a row to spare: take fewer folds")
    return Part(train, held, tuple(t for t, mask in enumerate(masks) if mask.any()))


def _part_of(tasks: TaskSet, train: Sequence[Any], held: Sequence[Any], number: int) -> Part:
    """The split of those rows; what is in neither part is left out before."""
    pairs = [_masks(*each, number) for each in zip(tasks, train, held, strict=True)]
    away, masks = [gone for gone, _ in pairs], [judged for _, judged in pairs]
    kept = tasks
    if any(gone.any() for gone in away):
        kept, _ = split_off(tasks, away)
        masks = [mask[~gone] for mask, gone in zip(masks, away, strict=True)]
    learned, judging = split_off(kept, masks)
    if judging is None:
        raise DataError(f"split {number + 1} holds out no row: give one at least")
    return Part(learned, judging, tuple(t for t, mask in enumerate(masks) if mask.any()))


def _masks(task: Task, train: Any, held: Any, number: int) -> tuple[Mask, Mask]:
    """Which rows are in neither part, and which are held out."""
    name, n = task.name, len(task.y)
    for rows in (train, held):
        check_rows(rows, n, repr(name))
        if len(np.unique(rows)) < len(rows):
            raise DataError(f"split {number + 1} has a row of {name!r} twice: give it weight 2 in the tasks")
    learned, judged = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    learned[train], judged[held] = True, True
    if (learned & judged).any():
        raise DataError(f"split {number + 1} has a row of {name!r} in both parts: take it out of one")
    if not learned.any():
        raise DataError(f"split {number + 1} has no training row of {name!r}: every task needs one")
    return ~(learned | judged), judged
