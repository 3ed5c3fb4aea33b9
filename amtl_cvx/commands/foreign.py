"""A point from elsewhere: whose it is, and the order it is taken in, by its names."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Found, all_settings, family_with
from amtl_cvx.runfolder import StoredRun, read_run
from amtl_cvx.tasks import Indices, TaskSet
from amtl_cvx.untrusted import shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """Blocks in the order of the data, the line that says which that is, and what is odd about it.

    `point` is the same as the methods of the family judge it.
    """

    blocks: Mapping[str, Array]
    point: Any
    order: str
    notes: tuple[str, ...] = ()


def read_point(path: Path, *, method: str | None) -> StoredRun:
    """A run or blocks alone; without a run.json they are of the family of the method, AMTL without one.

    Raises
    ------
    DataError
        For what cannot be read; blocks of another family than the method's are told with a method of theirs.
    """
    try:
        return read_run(path, family=family_with(method))
    except DataError as error:
        for table in all_settings() if method is None else ():
            with contextlib.suppress(DataError):
                found = read_run(path, family=table.family)
                method = found.family.method_for(found.blocks) or table.methods[0]
                told = f"{path} holds {' and '.join(found.blocks)}, blocks of {table.title}"
                raise ModelError(f"{told}: say --method {method}") from error
        raise


def in_data_order(stored: StoredRun, tasks: TaskSet, *, ridge: float | None) -> Reading:
    """The stored point, its columns and rows in the order of `tasks` where they have names.

    Raises
    ------
    DataError
        Where the names in the file of the point are not those of the data.
    """
    notes: list[str] = []
    family, features = stored.family, stored.shape[0]
    columns = _place(stored.own_tasks, tasks.names, what="task")
    if columns is None and stored.run:
        columns = _run_place(stored.task_names, tasks.names, "tasks", notes)
    rows = _place(_completed(stored.own_features, tasks), tasks.feature_names, what="feature")
    if stored.own_features is not None and tasks.feature_names is None:
        notes.append(f"the data do not name their features: the {family.places[1]} are taken as they are")
    if stored.own_features is None and tasks.feature_names is not None and stored.run:
        names = _completed(stored.feature_names, tasks)
        rows = None if names is None else _run_place(names, tasks.feature_names, "features", notes)
    found = family.arranged(
        Found(stored.blocks, order=stored.order),
        tasks=columns,
        features=rows if rows is not None and len(rows) == features else None,
    )
    return Reading(
        blocks=found.blocks,
        point=family.point(found, ridge=ridge),
        order=_order_line(tasks, family.places, by_name=(columns is not None, rows is not None)),
        notes=tuple(notes),
    )


def _completed(names: Sequence[str] | None, tasks: TaskSet) -> tuple[str, ...] | None:
    """The names of all features: an intercept, which comes last, may be left out of them."""
    if names is None:
        return None
    own = tasks.feature_names
    lacks = own is not None and own[-1:] == ("intercept",) and len(names) == len(own) - 1
    return (*names, "intercept") if lacks else tuple(names)


def _place(names: Sequence[str] | None, wanted: Sequence[str] | None, *, what: str) -> Indices | None:
    """order with names[order[k]] = wanted[k]; None where one of both is not known, `DataError` for others."""
    if names is None or wanted is None:
        return None
    if len(set(names)) < len(names) or set(names) != set(wanted):
        raise DataError(
            f"{what}_names of the solution must be those of the data, {shown(wanted)}, they are"
            f" {shown(names)}: rename them, or leave them out where the order is that of the data"
        )
    where = {name: k for k, name in enumerate(names)}
    return np.array([where[name] for name in wanted], dtype=np.intp)


def _run_place(names: Sequence[str], wanted: Sequence[str], what: str, notes: list[str]) -> Indices | None:
    """The same for names that a run.json gives; others are noted, for data may be named anew."""
    if set(names) == set(wanted):
        return _place(names, wanted, what=what)
    notes.append(
        f"the run.json calls the {what} {shown(names)}, the data {shown(wanted)}: taken in the order of"
        " the data"
    )
    return None


def _order_line(tasks: TaskSet, places: tuple[str, str], *, by_name: tuple[bool, bool]) -> str:
    ways = ["by the names of the solution" if named else "as in the data" for named in by_name]
    features = f"{tasks.d} without names" if tasks.feature_names is None else shown(tasks.feature_names)
    return (
        f"order: {places[0]}: tasks {shown(tasks.names)} ({ways[0]}); {places[1]}: features {features}"
        f" ({ways[1]})"
    )
