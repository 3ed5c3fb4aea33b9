"""What run.json and history.csv may hold: the one place where what they say is checked before it is used.

A damaged or edited file may hold anything: another type, a name too few, a number beyond any range. Each
entry that a command reads has one line in a table below, so that whoever reads it later can rely on its type.
An entry that is absent is left to its reader's default; one that is there and is not what `fit` writes is a
`DataError` that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from amtl_cvx.errors import DataError
from amtl_cvx.solution import Record


class _Kind(NamedTuple):
    """A kind of value: how it is called, and the test of it."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _weights(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(map(_positive, value)))


def _labels(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and type(value[0]) is type(value[1])
    return pair and isinstance(value[0], str | bool | int)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_FLAG = _Kind("true or false", lambda value: isinstance(value, bool))
_MAPPING = _Kind("an object", lambda value: isinstance(value, dict))
_TEXTS = _Kind("a list of texts", _texts)
_NUMBER = _Kind("a number", _number)
_POSITIVE = _Kind("a positive number", _positive)
_NAMES = _Kind("a list of different texts", lambda value: _texts(value) and len(set(value)) == len(value))

_RUN: Mapping[str, _Kind] = {
    "arguments": _MAPPING,
    "data": _MAPPING,
    "model": _MAPPING,
    "family": _TEXT,
    "method": _TEXT,
    "status": _TEXT,
    "level": _TEXT,
    "seed": _Kind("a whole number >= 0", _whole),
    "preparation": _MAPPING,
    "task_names": _NAMES,
    "feature_names": _TEXTS,
    "classes": _TEXTS,
    "labels": _Kind("a list of two texts, bools or whole numbers", _labels),
}
_MODEL: Mapping[str, _Kind] = {
    "loss": _TEXT,
    "reduction": _TEXT,
    "transfer": _TEXT,
    "mu": _NUMBER,
    "transfer_parameters": _MAPPING,
    "omega": _TEXT,
    "omega_parameters": _MAPPING,
    "coupling": _NUMBER,
    "task_weights": _Kind("a name or a list of positive numbers", _weights),
}
_ARGUMENTS: Mapping[str, _Kind] = {
    "tol": _POSITIVE,
    "ridge": _POSITIVE,
    "reading": _Kind("greedy or fixed", lambda value: value in ("greedy", "fixed")),
    "task": _TEXT,
    "target": _TEXT,
    "validation": _TEXT,
    "test": _TEXT,
    "standardize": _FLAG,
    "intercept": _FLAG,
}
_DATA: Mapping[str, _Kind] = {"name": _TEXT, "fingerprint": _TEXT, "whole": _TEXT}


def check_run(run: Mapping[str, Any], *, d: int, T: int) -> Mapping[str, Any]:
    """The content of run.json beside a W (d, T), or `DataError`."""
    _check("", run, _RUN)
    _check("model.", run.get("model") or {}, _MODEL)
    _check("arguments.", run.get("arguments") or {}, _ARGUMENTS)
    _check("data.", run.get("data") or {}, _DATA)
    for name, count in (("task_names", T), ("classes", T), ("feature_names", _raw_features(run, d))):
        names = run.get(name)
        if names is not None and len(names) != count:
            raise DataError(
                f"run.json: expected {count} entries of {name} for a W of {d} features and {T} tasks, got"
                f" {len(names)}: keep the files of a run together"
            )
    return run


def _raw_features(run: Mapping[str, Any], d: int) -> int:
    """How many features the rows had before they were prepared."""
    preparation = run.get("preparation") or {}
    return d - int(preparation.get("intercept") is True)


def _check(prefix: str, content: Mapping[str, Any], kinds: Mapping[str, _Kind]) -> None:
    for name, kind in kinds.items():
        value = content.get(name)
        if value is not None and not kind.holds(value):
            raise DataError(
                f"run.json: {prefix}{name} must be {kind.words}, it is {_shown(value)}: it should be the"
                " run.json that fit wrote"
            )


def _shown(value: Any) -> str:
    """What came, without printing all of it."""
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."


def check_record(record: Record) -> None:
    """`ValueError` for a line of history.csv that no run has."""
    if not 0 <= record.round <= 10**9:
        raise ValueError(f"round {record.round}")
    for name, value in record.columns().items():
        if isinstance(value, float) and not (math.isfinite(value) and abs(value) < 1e300):
            raise ValueError(f"{name} {value}")
