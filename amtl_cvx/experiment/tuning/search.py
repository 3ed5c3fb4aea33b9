"""Search: all points of a grid, which widens itself while its best point lies at an edge.

    points  <- product of the axes, the last one running fastest
    repeat     try the points that are new; take the best
               every axis on which the best lies at an end, and better than its neighbour inside, gets one
               more value there (`Axis.beyond`), at most `widen` times an axis

What is tried depends on the errors alone, which are those of the points whatever was tried before: a search
that begins again with known errors takes the same way.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

from amtl_cvx.errors import SolveError
from amtl_cvx.experiment.tuning.axes import Axis, End, Value

log = logging.getLogger(__name__)

Point = tuple[Value, ...]
Evaluate = Callable[[Sequence[Point]], Sequence[float]]


class Searched(NamedTuple):
    """What was tried."""

    axes: tuple[Axis, ...]
    """As they are at last."""
    errors: dict[Point, float]
    """Of every point, in the order of the axes."""
    added: dict[str, list[Value]]
    """The values by which an axis was widened, in their order."""

    @property
    def best(self) -> Point:
        """The first point of least error."""
        return min(self.errors, key=self.errors.__getitem__)


def search(axes: Sequence[Axis], evaluate: Evaluate, *, widen: int, plateaus: bool = False) -> Searched:
    """Try a grid and what widens it; see the module essay.

    Parameters
    ----------
    axes : sequence of Axis
        The grid.
    evaluate : callable(points) -> errors
        Tries points. A `SolveError` of points that widen the grid ends the search without them.
    widen : int
        How often an axis may get one more value.
    plateaus : bool
        Whether an end that is only as good as its neighbour is widened too.
    """
    axes, known = tuple(axes), dict[Point, float]()
    known |= _tried(axes, known, evaluate)
    found = Searched(axes, known, {})
    for _ in range(widen * len(axes)):
        ends = _ends(found, widen, plateaus=plateaus)
        if not ends:
            break
        wider = tuple(ends.get(axis.name, axis) for axis in found.axes)
        try:
            known = known | _tried(wider, known, evaluate)
        except SolveError as error:  # the grid itself is enough
            log.info("the grid ends here: %s", error)
            break
        added = {name: list(values) for name, values in found.added.items()}
        for before, axis in zip(found.axes, wider, strict=True):
            new = [value for value in axis.values if value not in before.values]
            if new:
                added[axis.name] = [*added.get(axis.name, []), *new]
        found = Searched(wider, {point: known[point] for point in grid(wider)}, added)
    return found


def grid(axes: Sequence[Axis]) -> list[Point]:
    """All points of the axes, the last axis running fastest."""
    return list(product(*(axis.values for axis in axes)))


def _tried(axes: Sequence[Axis], known: dict[Point, float], evaluate: Evaluate) -> dict[Point, float]:
    """The errors of the points that are not known yet."""
    new = [point for point in grid(axes) if point not in known]
    return dict(zip(new, evaluate(new), strict=True))


def _ends(found: Searched, widen: int, *, plateaus: bool) -> dict[str, Axis]:
    """The axes that go on where the best point lies, each with its new value."""
    best, wider = found.best, {}
    if not math.isfinite(found.errors[best]):
        return {}
    for place, axis in enumerate(found.axes):
        end = axis.at_end(best[place])
        if end is None or len(found.added.get(axis.name, ())) >= widen:
            continue
        further = axis.beyond(end)
        if further is not None and (plateaus or better_than_inside(found, place, end)):
            wider[axis.name] = further
    return wider


def better_than_inside(found: Searched, place: int, end: End) -> bool:
    """Whether the best point is better than its neighbour away from the end of an axis."""
    values = found.axes[place].values
    neighbour = list(found.best)
    neighbour[place] = values[-2] if end == "high" else values[1]
    return found.errors[found.best] < found.errors[tuple(neighbour)]
