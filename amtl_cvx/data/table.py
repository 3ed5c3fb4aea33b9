"""Tables of texts, as a .csv or .xlsx file holds them: which column is what, and texts as numbers.

Nothing is guessed from the entries. The task of a row is the text as it is written ("01", "1" and "1E0" are
three tasks, "NA" is one, with a warning; of two encodings of an umlaut there is one, `clean`); only an empty
field is none. Features and targets are decimal numbers, or True and False; an entry that says it is missing
(`MISSING`) is refused with its column and its line; how numbers are written is found out (`numerals`). A
column has one name, spaces around it do not count. A first column without a name, where R and pandas put the
names of the rows, is left out with a warning, any other one is refused. Tasks are sorted as numbers where all
are whole numbers, else as texts.

Texts become numbers a block of rows at a time, without a Python loop over entries.
"""

from __future__ import annotations

import itertools
import logging
import operator
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.arrays import Array, check_features, check_missing, clean, sorted_names, targets
from amtl_cvx.data.dataset import FeatureTable
from amtl_cvx.data.entries import labelled_of, targets_of, unusable, weights_of
from amtl_cvx.data.header import (
    UNNAMED,
    Aside,
    CheckNames,
    by_task,
    check_aside,
    check_names,
    column_name,
    without_marked,
)
from amtl_cvx.data.numerals import MISSING, Marks, as_numbers
from amtl_cvx.data.texts import TextTable, found_marks
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import shown

_BLOCK = 1 << 12
"""Entries that are converted at once."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """What was read: `X` (N, d) in the order of the file, and columns that are texts."""

    X: Array
    names: tuple[str, ...]
    texts: dict[str, list[str]]
    marks: Marks


def table_tasks(
    table: TextTable,
    task: str | None,
    target: str | None,
    aside: Sequence[str] = (),
    *,
    weights: str | None = None,
    missing: str | None = None,
) -> tuple[TaskSet, Aside]:
    """Tasks from a table with a column `task` and a column `target`; those not `aside` are features.

    A column of `weights` says how often rows count; with `missing` "drop" rows without a target are left out.
    """
    if task is None or target is None:
        raise DataError(
            f"a table needs --task COLUMN and --target COLUMN; its columns are {shown(table.names)}"
        )
    task, target, aside = column_name(task), column_name(target), tuple(map(column_name, aside))
    if task == target:
        raise DataError(f"the task and the target are both column {task!r}: name two different columns")
    weights = None if weights is None else column_name(weights)
    check_aside(aside, task, target, weights)
    check_missing(missing)
    own = [target] if weights is None else [target, weights]
    columns = _columns(table, (task, *own, *aside), own)
    if not columns.names:
        raise DataError("expected a column besides the task and the target, there is none: add a feature")
    labels = _labels(table, task, columns.texts[task])
    names = sorted_names(set(labels))
    number = {name: t for t, name in enumerate(names)}
    codes = np.fromiter(map(number.__getitem__, labels), dtype=np.int64, count=len(labels))
    v = None if weights is None else weights_of(table, weights, columns.texts[weights], columns.marks)
    there = labelled_of(columns.texts[target], target, missing)
    [y], classes = targets(
        [(targets_of(table, target, columns.texts[target], columns.marks, there), f"column {target!r}")]
    )
    tasks = TaskSet.from_stacked(
        columns.X,
        y if there.all() else np.where(there, y, np.nan),
        codes,
        names=names,
        feature_names=columns.names,
        sample_weight=v,
        missing=missing,
    )
    kept = there if v is None else there & (v > 0.0)
    marks = {name: by_task(columns.texts[name], codes, kept) for name in aside}
    gone = ~there if v is None else ~there & (v > 0.0)
    tasks = without_marked(tasks, (by_task(columns.texts[name], codes, gone) for name in aside))
    return tasks if classes is None else replace(tasks, labels=classes), marks


def table_features(
    table: TextTable,
    task: str | None,
    target: str | None,
    *,
    aside: Sequence[str] = (),
    check: CheckNames | None = None,
) -> FeatureTable:
    """Raw rows; column `task` names the task of each row; `target` and those `aside` are left out."""
    task, target = (None if name is None else column_name(name) for name in (task, target))
    aside = tuple(map(column_name, aside))
    left_out = ({*aside} if target is None else {target, *aside}) & set(table.names) - {task}
    texts = [*left_out, *(() if task is None else (task,))]
    check_names(table.names, texts)
    if check is not None:
        check([name for name in table.names if name not in texts and not UNNAMED.fullmatch(name)])
    columns = _columns(table, texts, () if target is None else (target,))
    labels = None if task is None else _labels(table, task, columns.texts[task])
    return FeatureTable(
        X=check_features(columns.X),
        task=None if labels is None else tuple(labels),
        feature_names=columns.names,
    )


def _columns(table: TextTable, texts: Collection[str], numbers: Collection[str]) -> _Columns:
    """All rows: columns in `texts` and those without a name as texts, the others as numbers.

    How numbers are written shows in the others and in `numbers`, those of the texts that hold some.
    """
    names = table.names
    check_names(names, texts)
    unnamed = [j for j, name in enumerate(names) if UNNAMED.fullmatch(name) and name not in texts]
    kept = [j for j, name in enumerate(names) if name in texts] + unnamed
    features = sorted(set(range(len(names))) - set(kept))
    found: dict[int, list[str]] = {j: [] for j in kept}
    words: dict[str, str] = {}  # one object for all entries that are equal
    numeric = [*features, *(j for j in kept if names[j] in numbers)]
    marks = table.marks or found_marks(table, numeric)
    parts: list[Array] = []
    count, truths = 0, None
    for block in _blocks(table):
        for j, column in found.items():
            entries = [row[j] for row in block]
            column += map(words.setdefault, entries, entries)
        part = _at_once(block, features, marks) if truths == set() else None
        if part is None:
            part, truths = _by_columns(table, block, features, marks=marks, first=count, truths=truths)
        parts.append(part)
        count += len(block)
    if not count:
        raise DataError("expected a header line and at least one row, it has no rows: add data")
    leave_out(table, unnamed, found)
    return _Columns(
        X=np.concatenate(parts),
        names=tuple(names[j] for j in features),
        texts={names[j]: column for j, column in found.items() if j not in unnamed},
        marks=marks,
    )


def _at_once(block: Sequence[Sequence[str]], features: Sequence[int], marks: Marks) -> Array | None:
    """The features of some rows, or None where an entry is no number."""
    if len(features) < 2:
        return None
    entries = list(itertools.chain.from_iterable(map(operator.itemgetter(*features), block)))
    values = as_numbers(entries, marks)
    return None if values is None or values.dtype == np.bool_ else values.reshape(len(block), -1)


def _by_columns(
    table: TextTable,
    block: Sequence[Sequence[str]],
    features: Sequence[int],
    *,
    marks: Marks,
    first: int,
    truths: set[int] | None,
) -> tuple[Array, set[int]]:
    """The features of some rows, and which columns are True and False; `truths`: those of earlier rows."""
    part, found = np.empty((len(block), len(features))), set()
    for at, j in enumerate(features):
        column = [row[j] for row in block]
        values = as_numbers(column, marks)
        truth = values is not None and values.dtype == np.bool_
        if values is None or (truths is not None and truth != (j in truths)):
            raise unusable(table, table.names[j], column, marks, first=first)
        part[:, at] = values
        found |= {j} if truth else set()
    return part, found


def _blocks(table: TextTable) -> Iterator[list[Sequence[str]]]:
    records = table.records()
    step = max(1, _BLOCK // len(table.names))
    while block := list(itertools.islice(records, step)):
        yield block


def _labels(table: TextTable, name: str, labels: list[str]) -> list[str]:
    """The entries of the task column, none of them empty, as names."""
    names = {label: clean(label) for label in set(labels)}
    labels, different = [names[label] for label in labels], set(names.values())
    if not all(map(str.strip, different)):
        place = table.place(next(i for i, label in enumerate(labels) if not label.strip()))
        raise DataError(f"column {name!r} has missing values ({place}): drop or fill those rows first")
    absent = min((label for label in different if label.strip() in MISSING), default=None)
    if absent is not None:
        _log.warning(
            "%s: a task is called %r: drop those rows if it means a missing value", table.file, absent.strip()
        )
    if len(set(map(str.strip, different))) < len(different):
        _log.warning(
            "%s: some names in column %r differ only by spaces: they are other tasks", table.file, name
        )
    return labels


def leave_out(table: TextTable, unnamed: Sequence[int], found: dict[int, list[str]]) -> None:
    """Say that columns without a name are left out; `DataError` where one may be a feature."""
    empty = [j for j in unnamed if not any(map(str.strip, found[j]))]
    if empty:
        which = f"column {empty[0] + 1} has" if len(empty) == 1 else f"{len(empty)} columns have"
        _log.warning("%s: %s no name and no entries: left out", table.file, which)
    for j in sorted({*unnamed} - {*empty}):
        column = found[j]
        leading = list(unnamed[: j + 1]) == list(range(j + 1))
        values = as_numbers(column, Marks(decimal="."))
        if not leading or (values is not None and (values != np.round(values)).any()):
            raise DataError(f"column {j + 1} has no name: name it in the header, or delete it")
        which = "the first column" if j == 0 else f"column {j + 1}"
        if values is not None and np.array_equal(values - values[0], np.arange(len(values))):
            _log.warning("%s: %s has no name and counts the rows: left out, a saved index", table.file, which)
        else:
            _log.warning("%s: %s has no name and names the rows: left out", table.file, which)
