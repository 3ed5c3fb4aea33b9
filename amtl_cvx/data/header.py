"""What the columns of a table are called, and which of them are no features."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Mask, clean
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Links, TaskSet
from amtl_cvx.untrusted import shown

UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)*)?")
"""No name, or the one that pandas gave a column without a name when it saved the table again."""
Aside = dict[str, tuple[tuple[str, ...], ...]]
"""Columns that are no features: see `Dataset.aside`."""
NO, TRAIN = frozenset({"0", "0.0", "false"}), frozenset({"train", "training", ""})
"""Entries of a column that marks rows: not this one; one that is trained on."""
CheckNames = Callable[[Sequence[str]], None]
"""Told the names of the features before their entries are read; it raises for those that are not wanted."""


def column_name(text: str) -> str:
    """What a column is called, for a field of the header or an option; spaces around it do not count."""
    return clean(text).strip()


def check_names(names: Sequence[str], wanted: Collection[str]) -> None:
    """`DataError` for a name that two columns have, and for a wanted one that none has."""
    named = [name for name in names if not UNNAMED.fullmatch(name)]
    if len(set(named)) < len(named):
        seen: set[str] = set()
        twice = next(name for name in named if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"column names must differ, {twice!r} occurs more than once: rename one of them")
    for name in wanted:
        if name not in names:
            raise DataError(f"no column {name!r}; the columns are {shown(names)}")


def check_aside(aside: Sequence[str], task: str, target: str, weights: str | None = None) -> None:
    """`DataError` for a column that is to be two things."""
    for name in (*aside, *(() if weights is None else (weights,))):
        if name in (task, target):
            raise DataError(f"column {name!r} is the task or the target: name a column of its own")
    if weights in aside:
        raise DataError(f"column {weights!r} holds the weights: mark rows in a column of its own")


def by_task(
    entries: Sequence[str], codes: NDArray[np.int64], kept: Mask | None = None
) -> tuple[tuple[str, ...], ...]:
    """The entries of a column in the rows that are kept, one tuple a task, in the order of the rows."""
    found: list[list[str]] = [[] for _ in range(int(codes.max()) + 1)]
    wanted = range(len(codes)) if kept is None else np.flatnonzero(kept).tolist()
    for row in wanted:
        found[codes[row]].append(entries[row])
    return tuple(map(tuple, found))


def without_marked(tasks: TaskSet, columns: Iterable[tuple[tuple[str, ...], ...]]) -> TaskSet:
    """The tasks without the rows without a label that a column marks for another part.

    `columns` hold the entries of the rows without a label, by task. Where tasks share some of these, it is
    not known which entry is whose, nor then which rows are there (`Links.unknown`).
    """
    marked = [
        [entry.strip().lower() not in NO | TRAIN for task in column for entry in task] for column in columns
    ]
    if tasks.links is None or not any(map(any, marked)):
        return tasks
    gone: Mask = np.any(np.array(marked), axis=0)
    fit = len(gone) == len(tasks.links.unlabelled)
    return replace(tasks, links=tasks.links.without(gone) if fit else Links.unknown(tasks.d))
