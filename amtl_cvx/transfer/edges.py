"""Edges that a user lists: pairs, a mask, or a file with the header source,target by task name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeAlias

import numpy as np

from amtl_cvx.errors import DataError, ModelError

Pairs: TypeAlias = tuple[tuple[int | str, int | str], ...]
"""(source, target) by number or by name."""


def as_pairs(given: object) -> Pairs:
    """Pairs from pairs or from a (T, T) mask; `ModelError` for anything else, self edges and repetitions."""
    if isinstance(given, np.ndarray) and given.dtype == bool:
        if given.ndim != 2 or given.shape[0] != given.shape[1]:
            raise ModelError(f"a mask of edges must be square, it has shape {given.shape}")
        off = given & ~np.eye(len(given), dtype=bool)  # there is no edge from a task to itself anyway
        return tuple((int(s), int(t)) for s, t in np.argwhere(off))
    pairs = []
    try:
        for source, target in given:  # type: ignore[attr-defined]
            pairs.append((_task(source), _task(target)))
    except (TypeError, ValueError) as error:
        raise ModelError(
            "edges must be pairs (source, target) of numbers or names of tasks, or a (T, T) mask of bools"
        ) from error
    for pair in pairs:
        if pair[0] == pair[1]:
            raise ModelError(f"edges: {pair[0]!r} cannot help itself")
    if len(set(pairs)) < len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise ModelError(f"edges: {twice[0]!r} to {twice[1]!r} stands there twice")
    return tuple(pairs)


def read_edges(path: str) -> Pairs:
    """The edges of a .csv file with the columns source and target; `DataError` for another file."""
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"cannot read the edges in {path}: {error}") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if header != ["source", "target"]:
        raise DataError(f"{path} must have the header source,target, it has {','.join(header) or 'none'}")
    found = [tuple(entry.strip() for entry in row) for row in rows[1:] if row]
    for number, row in enumerate(found, 2):
        if len(row) != 2:
            raise DataError(f"{path}, line {number}: expected source,target, got {len(row)} entries")
    return as_pairs(found)


def _task(value: object) -> int | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise TypeError(value)
    return int(value)
