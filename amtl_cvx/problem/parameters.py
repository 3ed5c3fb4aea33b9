"""Parameters of penalties as JSON holds them, arrays included; read as data, never executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx.errors import ModelError


def as_stored(value: Any) -> Any:
    """A parameter of a penalty as JSON holds it; `ModelError` for one that it cannot hold."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, list | tuple):
        return [as_stored(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ModelError(f"a parameter of a penalty must be numbers, texts or arrays to be stored, got {value!r}")


def from_stored(value: Any) -> Any:
    """What `as_stored` was given, lists as tuples; `ModelError` for what it never writes."""
    if isinstance(value, Mapping):
        if set(value) != {"array", "dtype"} or not re.fullmatch(r"[<>|=]?[biuf][1248]", str(value["dtype"])):
            raise ModelError("a stored parameter of a penalty is no number, text, list or array")
        try:
            return np.array(value["array"], dtype=str(value["dtype"]))
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"a stored array is none: {error}") from error
    return tuple(map(from_stored, value)) if isinstance(value, list) else value
