"""Which column of a .parquet file is what, and which files are refused by their schema."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amtl_cvx.data.arrow import is_number, is_text, saved_index
from amtl_cvx.data.header import UNNAMED, CheckNames, check_names, column_name
from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_expansion

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns by their place: features, target and task, each where it is wanted and there."""

    names: tuple[str, ...]
    stored: tuple[str, ...]
    features: tuple[int, ...]
    target: int | None
    task: int | None
    weights: int | None = None

    @property
    def texts(self) -> list[int]:
        """Columns that may be texts: all that are no features."""
        return sorted(set(range(len(self.names))) - {*self.features, self.weights})


def columns_of(
    file: ParquetFile,
    path: Path,
    task: str | None,
    target: str | None,
    *,
    weights: str | None = None,
    left_out: Sequence[str] = (),
    check: CheckNames | None = None,
) -> Columns:
    """Which column is what; `DataError` for one that is no number, or has the name of another."""
    schema = file.schema_arrow
    names = tuple(map(column_name, schema.names))
    wanted = [name for name in (task, target, weights) if name is not None]
    check_names(names, wanted)
    index = saved_index(schema)
    features = []
    for j, name in enumerate(names):
        if name in (*wanted, *left_out) or schema.names[j] in index:
            continue
        if UNNAMED.fullmatch(name):
            _leave_out(path, schema.field(j).type, j)
        else:
            features.append(j)
    if check is not None:
        check([names[j] for j in features])
    place = {name: j for j, name in enumerate(names)}
    columns = Columns(
        names=names,
        stored=tuple(schema.names),
        features=tuple(features),
        target=None if target is None else place[target],
        task=None if task is None else place[task],
        weights=None if weights is None else place[weights],
    )
    for j in (*features, *(place[name] for name in wanted if name != task)):
        kind = schema.field(j).type
        if not (is_number(kind) or (j == columns.target and is_text(kind))):
            raise DataError(f"column {names[j]!r} is not numeric ({kind}): encode or drop it")
    _check_groups(file, path)
    return columns


def _check_groups(file: ParquetFile, path: Path) -> None:
    """Refuse a group of rows that a few bytes of the file inflate beyond all measure."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    check_expansion(
        "a group of rows", path.stat().st_size, max((g.total_byte_size for g in groups), default=0)
    )


def _leave_out(path: Path, kind: pa.DataType, j: int) -> None:
    """Say that a column without a name is left out; `DataError` where it may be a feature."""
    import pyarrow.types as types

    if types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        raise DataError(f"column {j + 1} has no name: name it, or delete it")
    which = "the first column" if j == 0 else f"column {j + 1}"
    _log.warning("%s: %s has no name and names the rows: left out", path.name, which)
