"""Columns of Arrow as names, as the texts that a .csv of the same table has there, and as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import clean
from amtl_cvx.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_MIDNIGHT = " 00:00:00"


def saved_index(schema: pa.Schema) -> list[str]:
    """Columns that hold the index of the pandas frame the file was written from."""
    saved = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in saved if isinstance(name, str) and name in schema.names]


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a feature."""
    import pyarrow.types as types

    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether its entries are texts, coded or not."""
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def as_names(column: pa.Array, name: str, *, gaps: bool = False) -> tuple[list[str], NDArray[Any]]:
    """The different entries of a task column as texts, and which each row has; "" only with `gaps`."""
    texts, index = as_texts(column, name)
    texts = list(map(clean, texts))
    if not gaps and any(not text.strip() for text in texts):
        raise DataError(f"column {name!r} has missing values: drop or fill those rows first")
    return texts, index


def as_texts(column: pa.Array, name: str) -> tuple[list[str], NDArray[Any]]:
    """The different entries as texts, "" where there is none, and which of them each row has."""
    import pyarrow as pa

    coded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    places = coded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    present, index = np.unique(places, return_inverse=True)
    absent = [""] if len(present) and present[0] < 0 else []
    return absent + _texts(coded.dictionary.take(pa.array(present[len(absent) :])), name), index


def _texts(values: pa.Array, name: str) -> list[str]:
    """What a .csv of the same table has in place of these entries."""
    import pyarrow.types as types

    kind = values.type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    if types.is_floating(kind):
        found = values.to_numpy(zero_copy_only=False)
        return ["" if value != value else str(value) for value in found]  # "0.1" of 32 bits too
    if types.is_date(kind) or types.is_timestamp(kind):
        return ["" if value is None else str(value).removesuffix(_MIDNIGHT) for value in values.to_pylist()]
    if not any(is_kind(kind) for is_kind in (*texts, is_number)):
        raise DataError(f"column {name!r} cannot name tasks ({kind}): convert it to texts or whole numbers")
    return ["" if value is None else str(value) for value in values.to_pylist()]


def as_floats(column: pa.Array, name: str, seen: int, *, gaps: bool = False) -> NDArray[Any]:
    """A column as float64; `DataError` names its first row without a value, with `gaps` that is NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count and not gaps:
        row = seen + int(pc.index(column.is_null(), value=True).as_py())
        raise DataError(f"column {name!r} has missing values (row {row}): drop or fill those rows first")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
