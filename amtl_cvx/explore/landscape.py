"""The landscape: the points of one problem, in words, rows and JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.explore.base import Exploration, exploration_of
from amtl_cvx.explore.points import FirstOrderPoint, Reached, distance, same_value
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Array

_BEFORE = ("point", "objective", "above_lowest", "hits", "level", "second_order", "relative")
_AFTER = ("distance", "spread", "validation_error", "starts")


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """What the starts of one problem reached.

    Attributes
    ----------
    points : tuple of FirstOrderPoint
        Lowest J first; they are numbered from 1.
    uncertified : tuple of Reached
        Results whose certificate does not pass, lowest J first.
    lost : mapping
        Starts whose fit ended in a solver's failure, with its words.
    unfinished : tuple of str
        Starts that an interrupt left out.
    error_name : str or None
        What `FirstOrderPoint.error` is, "rmse" or "error rate"; None without validation rows.
    """

    points: tuple[FirstOrderPoint, ...]
    uncertified: tuple[Reached, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()
    error_name: str | None = None

    @property
    def finished(self) -> int:
        """Starts that were fitted: the hits of all points and the uncertified results."""
        return sum(point.hits for point in self.points) + len(self.uncertified)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of landscape.csv, in order."""
        return (*_BEFORE, *self._explored.columns, *_AFTER)

    @property
    def _explored(self) -> Exploration:
        """What the family of the results says of them."""
        found = self.points[0].solution if self.points else self.uncertified[0].solution
        return exploration_of(found.model)

    @property
    def best(self) -> FirstOrderPoint | None:
        """The certified point of lowest J."""
        return self.points[0] if self.points else None

    @property
    def best_predictor(self) -> FirstOrderPoint | None:
        """The certified point of least validation error; of equal ones that of lower J."""
        judged = [point for point in self.points if point.error is not None]
        return min(judged, key=lambda point: point.error or 0.0, default=None)

    @cached_property
    def distances(self) -> Array:
        """`distance` between the points, (P, P)."""
        result = np.zeros((len(self.points), len(self.points)))
        for i, first in enumerate(self.points):
            for j, second in enumerate(self.points[:i]):
                result[i, j] = result[j, i] = distance(first.solution, second.solution)
        return result

    @property
    def values(self) -> int:
        """How many distinct values of J the points have."""
        pairs = zip(self.points, self.points[1:], strict=False)
        return len(self.points[:1]) + sum(not same_value(low.solution, high.solution) for low, high in pairs)

    def number_of(self, start: str) -> int | None:
        """The number of the point that a start reached, from 1; None if it reached none."""
        return next((k for k, point in enumerate(self.points, start=1) if start in point.starts), None)

    def above_lowest(self, point: FirstOrderPoint) -> float:
        """(J - lowest J) / lowest J."""
        lowest = self.points[0].objective
        return (point.objective - lowest) / lowest if lowest > 0 else 0.0

    def describe(self) -> str:
        """What was found, in sentences."""
        total, best = self.finished, self.best
        lines = [
            f"{_count(total, 'start')}: {_count(len(self.points), 'distinct first-order point')} with"
            f" {_count(self.values, 'value')} of J."
        ]
        if best is not None:
            lines.append(f"The lowest J, {best.objective:.10g}, was reached by {best.hits} of {total}.")
            lines += [*self._zero(), *self._separation(), *self._predictor()]
        if self.uncertified:
            names = ", ".join(reached.start for reached in self.uncertified[:5])
            more = ", ..." if len(self.uncertified) > 5 else ""
            lines.append(
                f"{_count(len(self.uncertified), 'result')} without a certificate that passes, part of no"
                f" point: {names}{more}."
            )
            zero = sum("zero" in reached.solution.certificate.reasons for reached in self.uncertified)
            lines += [f"{zero} of these at the zero point, where nothing is learned."] if zero else []
        if self.lost:
            name, reason = next(iter(self.lost.items()))
            lines.append(f"{_count(len(self.lost), 'start')} ended in a solver's failure: {name} ({reason}).")
        if self.unfinished:
            lines.append(f"Interrupted: {_count(len(self.unfinished), 'start')} not fitted.")
        lines.append("A list of what these starts found: a lower J can exist where none of them led.")
        return "\n".join(lines)

    def _zero(self) -> list[str]:
        name, words = self._explored.default
        number = self.number_of(name)
        if number is None:
            return []
        above = self.above_lowest(self.points[number - 1])
        where = "the lowest point" if number == 1 else f"point {number}, {above:.2%} above the lowest"
        return [f"The default start {words} leads to {where}."]

    def _separation(self) -> list[str]:
        """How tight and how far apart the points are."""
        spread = max(point.spread for point in self.points)
        within = f"Results of one point lie within {rounded_up(spread)} of each other"
        what = f"relative distance of {self._explored.measured}"
        if len(self.points) == 1:
            return [f"{within} ({what})."]
        apart = self.distances[np.triu_indices(len(self.points), 1)].min()
        least = f"different points at least {rounded_down(apart)} apart"
        return [f"{within}, {least} ({what})."]

    def _predictor(self) -> list[str]:
        """Whether the lowest J predicts best, said in any case."""
        lowest, chosen, what = self.best, self.best_predictor, f"validation {self.error_name}"
        if lowest is None or chosen is None or lowest.error is None or chosen.error is None:
            return []
        if chosen is lowest:
            return [f"The lowest J also has the lowest {what}, {lowest.error:.5g}."]
        number = self.points.index(chosen) + 1
        return [
            f"The lowest J is not the best predictor: its {what} is {lowest.error:.5g}, that of point"
            f" {number} {chosen.error:.5g}, at a J {self.above_lowest(chosen):.2%} higher."
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One row a point by `columns`; results that did not certify follow, without a point number."""
        rows = [
            self._row(point.solution, point.starts)
            | {
                "level": point.level,
                "point": number,
                "above_lowest": self.above_lowest(point),
                "second_order": point.second_order,
                "distance": float(self.distances[0, number - 1]),
                "spread": point.spread,
                "validation_error": point.error,
            }
            for number, point in enumerate(self.points, start=1)
        ]
        return rows + [self._row(reached.solution, (reached.start,)) for reached in self.uncertified]

    def _row(self, solution: Solution, starts: tuple[str, ...]) -> dict[str, Any]:
        certificate = solution.certificate
        known = {
            "objective": solution.objective,
            "hits": len(starts),
            "level": certificate.level,
            "relative": certificate.relative,
            **{name: getattr(certificate, name) for name in self._explored.columns},
            "starts": "; ".join(starts),
        }
        return {column: known.get(column) for column in self.columns}

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: the rows with their blocks, the distances, and what was left out."""
        lists = [point.solution for point in self.points], [reached.solution for reached in self.uncertified]
        solutions = [*lists[0], *lists[1]]
        rows = [
            {**row, "starts": row["starts"].split("; "), **self._explored.stored(s)}
            for row, s in zip(self.rows(), solutions, strict=True)
        ]
        predictor = self.best_predictor
        return {
            **self._explored.told(),
            "finished": self.finished,
            "values": self.values,
            "error_name": self.error_name,
            "best_predictor": None if predictor is None else self.points.index(predictor) + 1,
            "points": [_finite(row) for row in rows[: len(self.points)]],
            "uncertified": [_finite(row) for row in rows[len(self.points) :]],
            "lost": dict(self.lost),
            "unfinished": list(self.unfinished),
            "distances": self.distances.tolist(),
        }

    def write_json(self, path: str | PathLike[str]) -> None:
        """Write `to_dict` as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def write_csv(self, path: str | PathLike[str]) -> None:
        """Write `rows` as CSV; what is not known is empty."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows())


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose numbers are finite or None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
