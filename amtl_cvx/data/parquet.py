"""The .parquet files: tables in long form like .csv, streamed; pyarrow is imported when one is opened.

Column `task` names the task of each row, by the text that a .csv of the same table has there: tasks, their
names and their order are those of the .csv. Column `target` is y, every other column is a feature; an index
that pandas saved with the table is none. The file is decoded a few rows at a time inside its row groups.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Labels, check_features, sorted_names, two_labels
from amtl_cvx.data.arrow import as_floats, as_names, as_texts, is_text
from amtl_cvx.data.columns import Columns, columns_of
from amtl_cvx.data.dataset import FeatureTable
from amtl_cvx.data.header import CheckNames, by_task, check_aside, check_names, column_name, without_marked
from amtl_cvx.data.numerals import MISSING
from amtl_cvx.data.rows import Chunk, Rows, checked, chunk_rows, has_label
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import check_expansion, reading, shown

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_BUFFER = 1 << 16
"""Bytes of a column that are read ahead."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ParquetRows(Rows):
    """The rows of such a file; `codes` are the task numbers of the entries of its task column."""

    path: Path
    columns: Columns
    codes: dict[str, int]
    task_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    size: int
    labels: Labels | None = None
    missing: str | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        task: str | None,
        target: str | None,
        aside: Sequence[str] = (),
        *,
        weights: str | None = None,
        missing: str | None = None,
    ) -> ParquetRows:
        """From the schema and one pass over the task column; `DataError` for columns that do not fit."""
        with _file(path) as file:
            if task is None or target is None:
                there = shown([str(name) for name in file.schema_arrow.names])
                raise DataError(
                    f"a .parquet file needs --task COLUMN and --target COLUMN; its columns are {there}"
                )
            task, target, aside = column_name(task), column_name(target), tuple(map(column_name, aside))
            if task == target:
                raise DataError(
                    f"the task and the target are both column {task!r}: name two different columns"
                )
            weights = None if weights is None else column_name(weights)
            check_aside(aside, task, target, weights)
            columns = columns_of(file, path, task, target, weights=weights, left_out=aside)
            check_names(columns.names, aside)
            assert columns.task is not None and columns.target is not None
            size = int(file.metadata.num_rows)
        check_expansion(
            "the table", path.stat().st_size, 8 * size * (len(columns.features) + 2), streamed=True
        )
        with _file(path, columns) as file:
            texts: set[str] = set()
            for batch in file.iter_batches(1 << 16, columns=[file.schema_arrow.names[columns.task]]):
                texts.update(as_names(batch.column(0), columns.names[columns.task])[0])
            labels = _classes(file, columns, missing)
        names = sorted_names(texts)
        return cls(
            path=path,
            columns=columns,
            codes={name: t for t, name in enumerate(names)},
            task_names=tuple(names),
            feature_names=tuple(columns.names[j] for j in columns.features),
            size=size,
            labels=labels,
            missing=missing,
        )

    @property
    def count(self) -> int:
        return self.size

    def chunks(self) -> Iterator[Chunk]:
        with reading(self.path, ".parquet"), _file(self.path, self.columns) as file:
            yield from checked(self._arrays(file), self.feature_names, missing=self.missing)

    def _arrays(self, file: ParquetFile) -> Iterator[tuple[NDArray[Any], ...]]:
        positive = None if self.labels is None else self.labels[1]
        for X, y, labels, *weights in _parts(file, self.columns, positive, self.missing):
            yield X, y, self._numbers(labels), *weights

    def aside(self, name: str) -> tuple[tuple[str, ...], ...]:
        """The entries of a column that is no feature, one tuple a task, in the order of its rows."""
        return self._entries(name)

    def without_marked(self, tasks: TaskSet, aside: Sequence[str]) -> TaskSet:
        """The tasks without the rows without a label that a column marks for another part."""
        if tasks.links is None:
            return tasks
        return without_marked(tasks, [self._entries(name, labelled=False) for name in aside])

    def _entries(self, name: str, *, labelled: bool = True) -> tuple[tuple[str, ...], ...]:
        """The entries in rows with a label or without one, one tuple a task."""
        with _file(self.path, self.columns) as file:
            parts = [(task, has_label(y), *weights) for _, y, task, *weights in self._arrays(file)]
        codes, there, *weights = map(np.concatenate, zip(*parts, strict=True))
        at, entries = self.columns.names.index(name), []
        with _file(self.path, self.columns) as file:
            for batch in file.iter_batches(1 << 16, columns=[file.schema_arrow.names[at]]):
                texts, index = as_texts(batch.column(0), name)
                entries += [texts[i] for i in index.tolist()]
        there = there if labelled else ~there
        return by_task(entries, codes, there & (weights[0] > 0.0) if weights else there)

    def _numbers(self, labels: tuple[list[str], NDArray[Any]]) -> NDArray[np.int64]:
        """Task numbers of the rows."""
        texts, index = labels
        codes = np.array([self.codes[text] for text in texts], dtype=np.int64)
        numbers: NDArray[np.int64] = codes[index]
        return numbers


def features_parquet(
    path: Path,
    task: str | None,
    target: str | None,
    *,
    aside: Sequence[str] = (),
    check: CheckNames | None = None,
) -> FeatureTable:
    """Raw rows to predict on, in memory."""
    with _file(path) as file:
        wanted = None if task is None else column_name(task)
        left_out = [column_name(name) for name in (*aside, target) if name is not None]
        columns = columns_of(file, path, wanted, None, left_out=left_out, check=check)
        size = int(file.metadata.num_rows)
    check_expansion("the table", path.stat().st_size, 24 * size * max(len(columns.features), 1))
    X, labels = np.empty((size, len(columns.features))), []
    with _file(path, columns) as file:
        seen = 0
        for rows, _, (texts, index), *_ in _parts(file, columns):
            X[seen : seen + len(rows)] = rows
            labels += [texts[i] for i in index.tolist()]
            seen += len(rows)
    return FeatureTable(
        X=check_features(X[:seen]),
        task=tuple(labels) if columns.task is not None else None,
        feature_names=tuple(columns.names[j] for j in columns.features),
    )


def _file(path: Path, columns: Columns | None = None) -> ParquetFile:
    """The file; columns of texts keep each of them once, however many rows there are."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DataError(
            'reading a .parquet file needs pyarrow: pip install "amtl-cvx[parquet]", or convert it to .csv'
        ) from error
    once = [] if columns is None else [columns.stored[j] for j in columns.texts]
    return ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=once)


def _classes(file: ParquetFile, columns: Columns, absent: str | None) -> Labels | None:
    """The two labels of a target that is text or bool; `DataError` for text of more or fewer."""
    import pyarrow.types as types

    assert columns.target is not None
    name, kind = columns.names[columns.target], file.schema_arrow.field(columns.target).type
    if types.is_boolean(kind):
        return (False, True)
    if not is_text(kind):
        return None
    words: set[str] = set()
    for batch in file.iter_batches(1 << 16, columns=[file.schema_arrow.names[columns.target]]):
        words.update(as_names(batch.column(0), name, gaps=absent is not None)[0])
    if absent is not None:
        words = {word for word in words if word.strip() not in MISSING}
    missing = next((word for word in sorted(words) if word.strip() in MISSING), None)
    if missing is not None:  # as in a .csv
        raise DataError(f"column {name!r} has missing values ({missing!r}): drop or fill those rows first")
    return two_labels(words, f"column {name!r}")


def _parts(
    file: ParquetFile, columns: Columns, positive: object = None, missing: str | None = None
) -> Iterator[tuple[Any, ...]]:
    """A few rows at a time: X, y, the task of each row as a place in a list of names, weights if there are.

    A target of texts is +1 where it is `positive`, else -1; with `missing` NaN where there is none.
    """
    more = [j for j in (columns.target, columns.weights) if j is not None]
    numeric = [*columns.features, *more]
    wanted = [*numeric, *(() if columns.task is None else (columns.task,))]
    stored, seen = file.schema_arrow.names, 0
    for batch in file.iter_batches(
        chunk_rows(len(wanted)), columns=[stored[j] for j in wanted], use_threads=False
    ):
        numbers = np.empty((len(numeric), len(batch)))
        for at, j in enumerate(numeric):
            column = batch.column(stored[j])
            if is_text(column.type):
                texts, index = as_names(column, columns.names[j], gaps=missing is not None)
                numbers[at] = np.array([_sign(text, positive, missing) for text in texts])[index]
            else:
                gaps = missing is not None and j == columns.target
                numbers[at] = as_floats(column, columns.names[j], seen, gaps=gaps)
        labels: tuple[list[str], NDArray[Any]] = [], np.empty(0, dtype=np.int64)
        if columns.task is not None:
            labels = as_names(batch.column(stored[columns.task]), columns.names[columns.task])
        d = len(columns.features)
        y = numbers[d] if columns.target is not None else np.empty(0)
        yield numbers[:d].T, y, labels, *(() if columns.weights is None else (numbers[-1],))
        seen += len(batch)


def _sign(text: str, positive: object, missing: str | None) -> float:
    """A target of texts as a number."""
    if missing is not None and text.strip() in MISSING:
        return float("nan")
    return 1.0 if text == positive else -1.0
