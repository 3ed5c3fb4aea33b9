"""The .parquet files: tables in long form like .csv, streamed; pyarrow is imported when one is opened.

Column `task` names the task of each row, whatever its type, column `target` is y, every other column is a
feature; an index that pandas saved with the table is none. Tasks are sorted by value, as in a .csv. The file
is decoded a few rows at a time inside its row groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.data.dataset import FeatureTable
from amtl_cvx.data.frame import features_frame
from amtl_cvx.data.rows import Chunk, Rows, checked, chunk_rows
from amtl_cvx.data.untrusted import reading
from amtl_cvx.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

_BUFFER = 1 << 16
"""Bytes of a column that are read ahead."""


@dataclass(frozen=True, kw_only=True)
class ParquetRows(Rows):
    """The rows of such a file; `values` are the sorted entries of its task column."""

    path: Path
    task: str
    target: str
    values: pa.Array
    task_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    size: int

    @classmethod
    def open(cls, path: Path, task: str | None, target: str | None) -> ParquetRows:
        """From the schema and one pass over the task column; `DataError` for columns that do not fit."""
        with _file(path) as file:
            import pyarrow as pa

            columns = [str(name) for name in file.schema_arrow.names]
            if task is None or target is None:
                shown = ", ".join(columns[:12])
                raise DataError(
                    f"a .parquet file needs --task COLUMN and --target COLUMN; its columns are {shown}"
                )
            for column in (task, target):
                if column not in columns:
                    raise DataError(f"no column {column!r}; the columns are {', '.join(columns)}")
            if task == target:
                raise DataError(
                    f"the task and the target are both column {task!r}: name two different columns"
                )
            if len(set(columns)) < len(columns):
                twice = next(column for column in columns if columns.count(column) > 1)
                raise DataError(
                    f"column names must differ, {twice!r} occurs more than once: rename one of them"
                )
            left_out = {task, target, *_saved_index(file.schema_arrow)}
            features = tuple(column for column in columns if column not in left_out)
            for column in (*features, target):
                kind = file.schema_arrow.field(column).type
                if not _is_number(kind):
                    raise DataError(f"column {column!r} is not numeric ({kind}): encode or drop it")
            values = sorted(_entries(file, task))
            kind = file.schema_arrow.field(task).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            size = int(file.metadata.num_rows)
        return cls(
            path=path,
            task=task,
            target=target,
            values=pa.array(values, type=kind),
            task_names=tuple(str(value) for value in values),
            feature_names=features,
            size=size,
        )

    @property
    def count(self) -> int:
        return self.size

    def chunks(self) -> Iterator[Chunk]:
        with reading(self.path, ".parquet"), _file(self.path) as file:
            yield from checked(self._parts(file), self.feature_names)

    def _parts(self, file: ParquetFile) -> Iterator[tuple[NDArray[Any], ...]]:
        import pyarrow.compute as pc

        columns, seen = [*self.feature_names, self.target], 0
        rows = chunk_rows(len(columns))
        for batch in file.iter_batches(rows, columns=[*columns, self.task], use_threads=False):
            numbers = np.empty((len(columns), len(batch)))
            for j, name in enumerate(columns):
                numbers[j] = _numbers(batch.column(name), name, seen)
            codes = pc.index_in(_plain(batch.column(self.task)), value_set=self.values)
            yield numbers[:-1].T, numbers[-1], codes.to_numpy(zero_copy_only=False)
            seen += len(batch)


def features_parquet(path: Path, task: str | None, target: str | None) -> FeatureTable:
    """Raw rows to predict on, in memory."""
    with _file(path) as file:
        index = [name for name in _saved_index(file.schema_arrow) if name not in (task, target)]
        columns = [name for name in file.schema_arrow.names if name not in index]
        return features_frame(file.read(columns=columns).to_pandas(ignore_metadata=True), task, target)


def _file(path: Path) -> ParquetFile:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DataError(
            'reading a .parquet file needs pyarrow: pip install "amtl-cvx[parquet]", or convert it to .csv'
        ) from error
    return ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


def _saved_index(schema: pa.Schema) -> list[str]:
    """Columns that hold the index of the pandas frame the file was written from."""
    saved = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in saved if isinstance(name, str) and name in schema.names]


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )


def _entries(file: ParquetFile, task: str) -> set[Any]:
    """The different entries of the task column."""
    import pyarrow.compute as pc

    found: set[Any] = set()
    for batch in file.iter_batches(1 << 16, columns=[task], use_threads=False):
        entries = _plain(batch.column(task))
        if entries.null_count or any(value != value for value in pc.unique(entries).to_pylist()):
            raise DataError(f"column {task!r} has missing values: drop or fill those rows first")
        found.update(pc.unique(entries).to_pylist())
    return found


def _numbers(column: pa.Array, name: str, seen: int) -> NDArray[Any]:
    """A column as float64; `DataError` names its first row without a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        row = seen + int(pc.index(column.is_null(), value=True).as_py())
        raise DataError(f"column {name!r} has missing values (row {row}): drop or fill those rows first")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
