"""Validation and test rows of a command: `--validation` and `--test`, each FILE, FRACTION or column:NAME.

    FILE           rows of their own, with the columns of DATA (a problem by its name, too)
    0.2 or 20%     a share of the rows of DATA, drawn within each task and class with the seed of the run
    column:NAME    the rows of DATA that a column marks, with 1 or true, or with the word "validation" or
                   "test"; the column is no feature

The rows are taken before anything is learned from the data, so that the training rows are what remains: their
hash is that of the run, and commands that read DATA for a stored run take the same rows out again (`retake`).
"""

from __future__ import annotations

import dataclasses
import re
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from amtl_cvx.arrays import Mask, clean
from amtl_cvx.console import note
from amtl_cvx.data import Dataset
from amtl_cvx.data.header import NO, TRAIN
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.holdout import draw, split_off
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.untrusted import shown

_COLUMN = "column:"
_YES = {"1", "1.0", "true"}
_WORDS = {
    "validation": {"validation", "valid", "val"},
    "test": {"test"},
    "train": TRAIN,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One of the two options, as it was given."""

    name: str
    text: str

    @property
    def column(self) -> str | None:
        return clean(self.text.removeprefix(_COLUMN)).strip() if self.text.startswith(_COLUMN) else None

    @property
    def share(self) -> float | None:
        found = re.fullmatch(r"([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)(\s*%)?", self.text)
        return None if found is None else float(found[1]) / (100.0 if found[2] else 1.0)

    @property
    def from_data(self) -> bool:
        """Whether these are rows of DATA."""
        return self.column is not None or self.share is not None


def wanted_parts(arguments: Namespace | Mapping[str, Any]) -> list[Part]:
    """The parts that the options, or those that run.json records, ask for; `ModelError` for a bad share."""
    given = vars(arguments) if isinstance(arguments, Namespace) else arguments
    parts = [Part(name=name, text=str(given[name])) for name in ("validation", "test") if given.get(name)]
    for part in parts:
        if part.share is not None and not 0 < part.share < 1:
            raise ModelError(f"--{part.name} as a share must lie between 0 and 1, got {part.text}")
        if re.fullmatch(r"\d*,\d+(\s*%)?", part.text):
            share = part.text.replace(",", ".")
            raise ModelError(f"--{part.name} as a share needs a decimal point, got {part.text}: say {share}")
        if part.column == "":
            raise ModelError(f"--{part.name} column: needs the name of a column after it")
    if sum(part.share or 0.0 for part in parts) >= 1:
        raise ModelError("--validation and --test take all rows: their shares must sum to less than 1")
    return parts


def columns_aside(parts: Sequence[Part]) -> tuple[str, ...]:
    """The columns that mark rows."""
    return tuple(dict.fromkeys(part.column for part in parts if part.column is not None))


def take_parts(
    dataset: Dataset, parts: Sequence[Part], *, seed: int, read: Callable[[str], Dataset]
) -> Dataset:
    """The dataset with these parts in place of its own; `read` reads a FILE.

    Raises
    ------
    DataError
        For a column or a file that cannot be used, and for tasks without a row to spare.
    """
    taken = _from_data(dataset, parts, seed=seed)
    files = {part.name: _from_file(part, dataset.train, read) for part in parts if not part.from_data}
    return _with(taken, files)


def retake(dataset: Dataset, recorded: Mapping[str, Any], *, seed: int, whole: object) -> Dataset:
    """The data of a run as it was trained on them; data that are not those of the run stay as they are."""
    if whole is None or dataset.train.fingerprint() != whole:
        return dataset
    return _from_data(dataset, wanted_parts(recorded), seed=seed)


def _from_data(dataset: Dataset, parts: Sequence[Part], *, seed: int) -> Dataset:
    """The dataset with those of its rows that are to be validation or test rows as such."""
    train, found, left = dataset.train, {}, 1.0
    marks = {part.name: _marks(part, dataset, parts) for part in parts if part.column is not None}
    for name, masks in marks.items():  # the marks of another part lose the rows that go
        train, held = split_off(train, masks)
        if held is None:
            raise DataError(f"--{name}: no row is marked")
        found[name] = held
        for other in marks:
            if other not in found:
                marks[other] = [m[~taken] for m, taken in zip(marks[other], masks, strict=True)]
    rng = np.random.default_rng((seed, 1))  # apart from the draws of auto
    for part in parts:
        if part.share is not None:
            train, found[part.name] = draw(train, part.share / left, rng)
            left -= part.share
    if not found:
        return dataset
    taken = dataclasses.replace(dataset, train=train, whole=dataset.train.fingerprint(), aside={})
    return _with(taken, found)


def _with(dataset: Dataset, parts: Mapping[str, TaskSet]) -> Dataset:
    return dataclasses.replace(
        dataset,
        validation=parts.get("validation", dataset.validation),
        test=parts.get("test", dataset.test),
    )


def _marks(part: Part, dataset: Dataset, parts: Sequence[Part]) -> list[Mask]:
    """Which rows of each task a column marks for a part."""
    assert part.column is not None
    entries = [[entry.strip().lower() for entry in task] for task in dataset.aside[part.column]]
    words, where = {entry for task in entries for entry in task}, f"--{part.name}: column {part.column!r}"
    chosen: Set[str]
    if words <= _YES | NO:
        chosen = _YES
        if sum(each.column == part.column for each in parts) > 1:
            raise DataError(
                f"--validation and --test: column {part.column!r} holds 0 and 1, which mark one part only:"
                " write train, validation and test in it, or mark the other part in a column of its own"
            )
    elif words <= set().union(*_WORDS.values()):
        chosen = _WORDS[part.name]
        for other, names in _WORDS.items():
            asked = other in ("train", *(each.name for each in parts if each.column == part.column))
            if words & names and not asked:
                raise DataError(f"{where} marks {other} rows too: say --{other} {part.text} as well")
    else:
        odd = sorted(words - set().union(*_WORDS.values()))[0]
        raise DataError(
            f"{where} must hold 0 and 1, false and true, or train, validation and test, it has {odd[:40]!r}"
        )
    return [np.array([entry in chosen for entry in task], dtype=bool) for task in entries]


def _from_file(part: Part, train: TaskSet, read: Callable[[str], Dataset]) -> TaskSet:
    """The rows of a file, as those of DATA."""
    try:
        rows = read(part.text).train
    except DataError as error:
        raise DataError(f"--{part.name}: {error}") from error
    if rows.d != train.d:
        absent = [name for name in train.feature_names or () if name not in (rows.feature_names or ())]
        which = f", not {shown(list(map(repr, absent)), 5)}" if absent and rows.feature_names else ""
        raise DataError(f"--{part.name} must have the {train.d} features of DATA, it has {rows.d}{which}")
    try:
        rows = rows.with_features(train.feature_names)
    except DataError as error:
        raise DataError(f"--{part.name} {part.text}: {error}") from error
    unknown = [name for name in rows.names if name not in train.names]
    if unknown:
        raise DataError(
            f"--{part.name} {part.text} has a task {unknown[0]!r} that DATA has not: leave its rows out"
        )
    seen, whole = 0, False
    for task in rows:
        known, found = set(_rows(train[train.index(task.name)])), _rows(task)
        seen += sum(row in known for row in found)
        whole |= known == set(found)
    count = sum(len(task.y) for task in rows)
    if whole or 2 * seen >= count:  # a few may be equal by chance, where features are whole numbers
        said = f"has rows that are trained on ({seen} of {count})"
        # wrong numbers are told with --quiet too
        note(f"warning: --{part.name} {part.text} {said}: its scores say nothing of new rows")
    texts = [isinstance(tasks.labels and tasks.labels[0], str) for tasks in (train, rows)]
    if any(texts) and train.labels != rows.labels:
        raise DataError(
            f"--{part.name} {part.text} must have the labels {train.labels} of DATA, it has {rows.labels}"
        )
    return rows


def _rows(task: Task) -> list[bytes]:
    """A task's rows, to be compared."""
    return [row.tobytes() for row in np.column_stack((task.X, task.y))]
