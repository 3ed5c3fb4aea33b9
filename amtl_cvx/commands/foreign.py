"""A point from elsewhere: the order it is taken in, by its names, and the line that repairs another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from amtl_cvx.alignment import Arrangement, align
from amtl_cvx.certificate import Certificate
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Model, Problem
from amtl_cvx.runfolder import StoredRun
from amtl_cvx.solution import Blocks
from amtl_cvx.tasks import Indices, TaskSet

_SHOWN = 12
"""Most names that a line lists."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A point in the order of the data, the line that says which that is, and what is odd about it."""

    point: Blocks
    order: str
    notes: tuple[str, ...] = ()


def in_data_order(stored: StoredRun, tasks: TaskSet, *, ridge: float | None) -> Reading:
    """The stored point, its columns and rows in the order of `tasks` where they have names.

    Raises
    ------
    DataError
        Where the names in the file of the point are not those of the data.
    """
    notes: list[str] = []
    point = Arrangement(W=stored.W, B=stored.B)
    columns = _place(stored.own_tasks, tasks.names, what="task")
    if columns is None and stored.run:
        columns = _run_place(stored.task_names, tasks.names, "tasks", notes)
    rows = _place(_completed(stored.own_features, tasks), tasks.feature_names, what="feature")
    if stored.own_features is not None and tasks.feature_names is None:
        notes.append("the data do not name their features: the rows of W are taken as they are")
    if stored.own_features is None and tasks.feature_names is not None and stored.run:
        names = _completed(stored.feature_names, tasks)
        rows = None if names is None else _run_place(names, tasks.feature_names, "features", notes)
    if columns is not None:
        point = point.by_tasks(columns)
    if rows is not None and len(rows) == len(point.W):
        point = point.by_features(rows)
    return Reading(
        point=Blocks(point.W, point.B, point.learned(stored.order), ridge),
        order=_order_line(tasks, by_name=(columns is not None, rows is not None)),
        notes=tuple(notes),
    )


def _completed(names: Sequence[str] | None, tasks: TaskSet) -> tuple[str, ...] | None:
    """The names of all rows of W: an intercept, which comes last, may be left out of them."""
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
            f"{what}_names of the solution must be those of the data, {_listed(wanted)}, they are"
            f" {_listed(names)}: rename them, or leave them out where the order is that of the data"
        )
    where = {name: k for k, name in enumerate(names)}
    return np.array([where[name] for name in wanted], dtype=np.intp)


def _run_place(names: Sequence[str], wanted: Sequence[str], what: str, notes: list[str]) -> Indices | None:
    """The same for names that a run.json gives; others are noted, for data may be named anew."""
    if set(names) == set(wanted):
        return _place(names, wanted, what=what)
    notes.append(
        f"the run.json calls the {what} {_listed(names)}, the data {_listed(wanted)}: taken in the order of"
        " the data"
    )
    return None


def _order_line(tasks: TaskSet, *, by_name: tuple[bool, bool]) -> str:
    ways = ["by the names of the solution" if named else "as in the data" for named in by_name]
    features = f"{tasks.d} without names" if tasks.feature_names is None else _listed(tasks.feature_names)
    return (
        f"order: columns of W, rows and columns of B: tasks {_listed(tasks.names)} ({ways[0]}); rows of W:"
        f" features {features} ({ways[1]})"
    )


def repair(
    tasks: TaskSet, model: Model, point: Blocks, *, judge: Callable[[Blocks], Certificate]
) -> str | None:
    """What makes a point pass that does not, if it is an order or a transpose; None otherwise."""

    def judged(found: Arrangement) -> Certificate:
        return judge(Blocks(found.W, found.B, found.learned(point.order), point.ridge))

    found = align(Problem(tasks, model).at(point.W, point.B), judge=judged)
    return None if found is None else _repair_line(found, tasks)


def _repair_line(found: Arrangement, tasks: TaskSet) -> str:
    certificate = found.certificate
    assert certificate is not None
    faults, cures = [], []
    flips = [name for name, flipped in (("W", found.flipped_W), ("B", found.flipped_B)) if flipped]
    if flips:
        faults.append(f"{' and '.join(flips)} of the file {'are' if flips[1:] else 'is'} transposed")
        cures.append(f"transpose {' and '.join(flips)}")
    if found.tasks is not None:
        names = _listed([tasks.names[int(t)] for t in np.argsort(found.tasks)])
        whose = "the tasks of the file are" if found.with_B else "the columns of W are"
        faults.append(f"{whose} in another order ({names})")
        blocks = "columns of W and rows and columns of B" if found.with_B else "columns of W alone"
        cures.append(f"reorder {blocks} to {found.tasks.tolist()}")
    if found.features is not None:
        names = ""
        if tasks.feature_names is not None:
            order = np.argsort(found.features)
            names = f" ({_listed([tasks.feature_names[int(j)] for j in order])})"
        faults.append(f"the features of the file are in another order{names}")
        cures.append(f"reorder rows of W to {found.features.tolist()}")
    end = "then it passes" if certificate.passes else "then it comes nearer, but does not pass"
    counted = " (counted from 0)" if found.tasks is not None or found.features is not None else ""
    return (
        f"next: {'; '.join(faults)}: {', then '.join(cures)}{counted}, {end}, with relative residual"
        f" {certificate.relative:.1e}"
    )


def _listed(names: Sequence[str]) -> str:
    more = "" if len(names) <= _SHOWN else f", ... ({len(names)})"
    return ", ".join(names[:_SHOWN]) + more
