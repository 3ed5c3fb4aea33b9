"""Edges and orders of tasks that a user lists: in Python, or in a file, by number or by name of the tasks."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import DataError, ModelError

Label: TypeAlias = int | str
"""A task by number or by name."""
Names: TypeAlias = tuple[str, ...]
Pairs: TypeAlias = tuple[tuple[Label, Label], ...]
"""(source, target)"""
Triples: TypeAlias = tuple[tuple[Label, Label, float], ...]
"""(source, target, value)"""


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
    _check(pairs)
    return tuple(pairs)


def as_triples(given: object) -> Triples:
    """Edges with a number >= 0 each; `ModelError` for anything else, self edges and repetitions."""
    triples = []
    try:
        for source, target, value in given:  # type: ignore[attr-defined]
            triples.append((_task(source), _task(target), value))
    except (TypeError, ValueError) as error:
        raise ModelError(
            "edges must be triples (source, target, value), tasks by number or by name"
        ) from error
    for source, target, value in triples:
        size = float(value) if is_number(value) else math.nan
        if not 0.0 <= size < math.inf:
            raise ModelError(f"edges: the value of {source!r} to {target!r} must be a number >= 0: {value!r}")
    _check([(source, target) for source, target, _ in triples])
    return tuple((source, target, float(value)) for source, target, value in triples)


def as_order(given: object) -> tuple[Label, ...]:
    """Tasks one after the other; `ModelError` for what is none and for a task that stands there twice."""
    try:
        order = tuple(map(_task, given))  # type: ignore[call-overload]
    except TypeError as error:
        raise ModelError("an order must list numbers or names of tasks") from error
    if len(set(order)) < len(order):
        raise ModelError(
            f"order: {next(task for task in order if order.count(task) > 1)!r} stands there twice"
        )
    return order


def numbers(labels: Iterable[Label], names: Names | None, *, of: str) -> list[int]:
    """Tasks by number, where the names of all are known or none goes by its name; `ModelError` otherwise."""
    found = []
    for label in labels:
        if isinstance(label, str) and names is None:
            raise ModelError(f"{of} by name needs the names of the tasks: use bind(tasks)")
        if isinstance(label, str) and label not in names:  # type: ignore[operator]
            listed = ", ".join(names)  # type: ignore[arg-type]
            raise ModelError(f"{of}: there is no task {label!r}: the names are {listed}")
        if not isinstance(label, str) and names is not None and label >= len(names):
            raise ModelError(f"{of}: there is no task {label} of {len(names)}")
        found.append(names.index(label) if isinstance(label, str) else label)  # type: ignore[union-attr]
    return found


def named(label: Label, names: Names, *, of: str) -> str:
    """A task by its name; `ModelError` where there is none of that name or number."""
    return names[numbers([label], names, of=of)[0]]


def read_edges(path: str) -> Pairs:
    """The edges of a .csv file with the header source,target; `DataError` for another file."""
    return as_pairs(_rows(path, ("source", "target")))


def read_values(path: str) -> Triples:
    """The edges of a .csv file with the header source,target,value; `DataError` for another file."""
    triples = []
    for number, (source, target, text) in enumerate(_rows(path, ("source", "target", "value")), 2):
        try:
            triples.append((source, target, float(text)))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: value must be a number, got {text[:40]!r}") from error
    return as_triples(triples)


def read_order(path: str) -> tuple[Label, ...]:
    """The names of a file with one task a line; `DataError` for a file that cannot be read."""
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise DataError(f"cannot read the order in {path}: {error}") from error
    return as_order([line.strip() for line in lines if line.strip()])


def _rows(path: str, header: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What stands below the header of a .csv file; empty lines count as nothing."""
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"cannot read the edges in {path}: {error}") from error
    found = tuple(name.strip() for name in rows[0]) if rows else ()
    if found != header:
        raise DataError(f"{path} must have the header {','.join(header)}, it has {','.join(found) or 'none'}")
    entries = [tuple(entry.strip() for entry in row) for row in rows[1:] if row]
    for number, row in enumerate(entries, 2):
        if len(row) != len(header):
            raise DataError(f"{path}, line {number}: expected {','.join(header)}, got {len(row)} entries")
    return entries


def _check(pairs: list[tuple[Label, Label]]) -> None:
    """Raise `ModelError` for edges from a task to itself and for those that stand there twice."""
    for pair in pairs:
        if pair[0] == pair[1]:
            raise ModelError(f"edges: {pair[0]!r} cannot help itself")
    if len(set(pairs)) < len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise ModelError(f"edges: {twice[0]!r} to {twice[1]!r} stands there twice")


def _task(value: object) -> Label:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise TypeError(value)
    return int(value)
