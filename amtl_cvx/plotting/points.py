"""The first-order points of many starts: one row a point, and J against their validation error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from amtl_cvx.explore import FirstOrderPoint, Landscape, exploration_of
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Canvas,
    heading_height,
    heading_width,
    text_width,
)

MAX_ROWS = 20
"""How many points are listed."""
_ROW, _PART, SIDE = 0.23, 1.75, 2.6  # inches
_GREY = "#9aa5b1"


class Marked(NamedTuple):
    """A point with its number, its colour and its mark."""

    number: int
    point: FirstOrderPoint
    color: str
    mark: str


def marked(landscape: Landscape) -> list[Marked]:
    """Every point: the lowest J a blue square, the best predictor an orange diamond, others grey."""
    predictor = landscape.best_predictor
    found = []
    for k, point in enumerate(landscape.points, start=1):
        color, mark = (BLUE, "s") if k == 1 else (ORANGE, "D") if point is predictor else (_GREY, "o")
        found.append(Marked(k, point, color, mark))
    return found


def chosen(marked: list[Marked], landscape: Landscape, limit: int) -> list[Marked]:
    """The first `limit` points, the last of them given up for the best predictor if it is not among them."""
    chosen = marked[:limit]
    predictor = landscape.best_predictor
    if predictor is not None and all(each.point is not predictor for each in chosen):
        chosen = [*chosen[:-1], *(each for each in marked if each.point is predictor)]
    return chosen


def titled(each: Marked, landscape: Landscape) -> str:
    """The number of a point, and what it is first in."""
    firsts = (("lowest J", landscape.best), ("best predictor", landscape.best_predictor))
    roles = [role for role, point in firsts if point is each.point]
    return f"Point {each.number}" + (f": {' and '.join(roles)}" if roles else "")


@dataclass(frozen=True)
class Table:
    """One row a point, in columns: J above the lowest, hits, validation error."""

    landscape: Landscape

    title = "First-order points by J"

    @property
    def rows(self) -> list[Marked]:
        return chosen(marked(self.landscape), self.landscape, MAX_ROWS)

    @property
    def lines(self) -> list[str]:
        scape, total = self.landscape, len(self.landscape.points)
        starts = f"{scape.finished} start" + "s" * (scape.finished != 1)
        notes = [
            f"{starts}, {total} point" + "s" * (total != 1) + f"; lowest J {scape.points[0].objective:.8g}"
        ]
        if total > MAX_ROWS:
            notes[0] += f"; {MAX_ROWS} shown"
        if scape.uncertified:
            count = len(scape.uncertified)
            notes.append(f"{count} result" + "s" * (count != 1) + " did not certify and are not shown")
        return notes

    @property
    def parts(self) -> int:
        return 2 if self.landscape.error_name is None else 3

    @property
    def margin(self) -> float:
        return text_width([f"{row.number}" for row in self.rows], BODY) + 0.12

    @property
    def width(self) -> float:
        body = self.margin + self.parts * (_PART + 0.45) - 0.1
        return max(body, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.3 + _ROW * len(self.rows) + 0.1

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        rows = self.rows
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.3
        left += self.margin
        above = [100 * self.landscape.above_lowest(row.point) for row in rows]
        axes = self._part(canvas, (left, top), "J above the lowest, %")
        axes.set_yticks(range(len(rows)), [f"{row.number}" for row in rows])
        self._dots(axes, above, [f"{value:.2f}" for value in above], zero=True)
        axes = self._part(canvas, (left + _PART + 0.45, top), "hits: starts that end here")
        hits = [row.point.hits for row in rows]
        axes.barh(range(len(rows)), hits, height=0.62, color=[row.color for row in rows])
        axes.set_xlim(0, 1.7 * max(hits))
        explored = exploration_of(self.landscape.points[0].solution.model)
        by_itself = self.landscape.number_of(explored.default[0])
        for place, row in enumerate(rows):
            words = f"{row.point.hits}" + (f" ({explored.mark})" if row.number == by_itself else "")
            self._beside(axes, row.point.hits, place, words)
        if self.parts == 3:
            errors = [row.point.error or 0.0 for row in rows]
            axes = self._part(
                canvas, (left + 2 * (_PART + 0.45), top), f"validation {self.landscape.error_name}"
            )
            self._dots(axes, errors, [f"{value:.4g}" for value in errors], zero=False)

    def _part(self, canvas: Canvas, place: tuple[float, float], title: str) -> Axes:
        count = len(self.rows)
        axes = canvas.axes(*place, _PART, _ROW * count)
        axes.set_label(title)
        axes.set_title(title, fontsize=BODY, color=INK, loc="left", pad=6)
        axes.set(ylim=(count - 0.5, -0.5), xticks=[], yticks=[])
        axes.hlines(
            np.arange(count), 0, 1, color=LINE, linewidth=0.5, zorder=0, transform=axes.get_yaxis_transform()
        )
        return axes

    def _dots(self, axes: Axes, values: list[float], words: list[str], *, zero: bool) -> None:
        low, high = (0.0 if zero else min(values)), max(values)
        span = high - low or abs(high) or 1.0
        axes.set_xlim(low - 0.06 * span, low + 1.35 * span)
        for place, (row, value) in enumerate(zip(self.rows, values, strict=True)):
            axes.plot([value], [place], marker=row.mark, color=row.color, markersize=6, linestyle="")
            self._beside(axes, value, place, words[place])

    def _beside(self, axes: Axes, value: float, place: int, words: str) -> None:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.annotate(words, (value, place), (7, 0), textcoords="offset points", va="center", size=BODY - 1,
                      color=MUTED, bbox=box)  # fmt: skip


@dataclass(frozen=True)
class Scatter:
    """J against validation error, the area of a mark growing with its hits."""

    landscape: Landscape

    height = 0.33 + 2 * 0.17 + 0.15 + SIDE + 0.55

    @property
    def lines(self) -> list[str]:
        best = "square: lowest J"
        if self.landscape.best is not self.landscape.best_predictor:
            best += "; diamond: best predictor"
        return [best, "area of a mark: hits"]

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        title = f"Does the lowest J predict best? {self._answer()}"
        canvas.heading(left - 0.35, top, title, self.lines)
        axes = canvas.axes(left + 0.25, top + heading_height(self.lines) + 0.15, SIDE, SIDE)
        axes.set_label("scatter")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(True)
            axes.spines[side].set_color(LINE)
        most = max(point.hits for point in self.landscape.points)
        for row in reversed(marked(self.landscape)):
            above = 100 * self.landscape.above_lowest(row.point)
            area = 25 + 150 * row.point.hits / most
            order = 3 if row.color != _GREY else 2
            axes.scatter([above], [row.point.error or 0.0], s=area, marker=row.mark, color=row.color,
                         edgecolor="white", linewidth=0.8, clip_on=False, zorder=order)  # fmt: skip
        axes.margins(0.12)
        axes.locator_params(nbins=5)
        axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("J above the lowest, %", size=BODY, color=INK)
        axes.set_ylabel(f"validation {self.landscape.error_name}", size=BODY, color=INK)
        axes.grid(color="#e6eaee", linewidth=0.6)
        axes.set_axisbelow(True)

    def _answer(self) -> str:
        return "Yes." if self.landscape.best is self.landscape.best_predictor else "No."
