"""What many starts reached: J, hits and validation error of each point, and the graphs of the best few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amtl_cvx.errors import DataError
from amtl_cvx.explore import FirstOrderPoint, Landscape
from amtl_cvx.graph import ORIENTATION
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    HEADING,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Canvas,
    edge_scale,
    heading_height,
    heading_width,
    shortened,
    text_width,
)
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.matrix import Grid

MAX_ROWS, MAX_GRAPHS = 20, 3
"""How many points are listed, and how many graphs are drawn."""
_PAD, _BETWEEN, _ROW, _PART, _SCATTER = 0.25, 0.35, 0.23, 1.75, 2.6  # inches
_GREY = "#9aa5b1"


class _Marked(NamedTuple):
    """A point with its number, its colour and its mark."""

    number: int
    point: FirstOrderPoint
    color: str
    mark: str


@own_settings()
def landscape_figure(landscape: Landscape, *, title: str | None = None) -> Figure:
    """The points by J with hits and validation error, J against error, and the graphs of the best few.

    Raises
    ------
    DataError
        If no start was fitted.
    """
    if not landscape.points:
        return _nothing(landscape, title)
    top = _PAD if title is None else _PAD + 0.45
    table, graphs = _Table(landscape), _Graphs(landscape)
    scatter = landscape.error_name is not None and len(landscape.points) > 1
    upper = table.width + (_BETWEEN + 0.35 + 0.7 + _SCATTER if scatter else 0.0)
    banner = None if title is None else shortened(title, 90)
    width = max(upper, graphs.width, 0.0 if banner is None else 1.1 * text_width([banner], HEADING + 3))
    first = max(table.height, _Scatter.height if scatter else 0.0)
    canvas = Canvas(width + 2 * _PAD, top + first + 0.35 + graphs.height + _PAD)
    if banner is not None:
        canvas.text(_PAD, _PAD, banner, size=HEADING + 3, weight="bold")
    table.draw(canvas, _PAD, top)
    if scatter:
        _Scatter(landscape).draw(canvas, _PAD + table.width + _BETWEEN + 0.35, top)
    graphs.draw(canvas, _PAD, top + first + 0.35)
    return canvas.figure


def _nothing(landscape: Landscape, title: str | None) -> Figure:
    """A note in place of a picture: no result certified."""
    if not landscape.uncertified:
        raise DataError("nothing to draw: no start was fitted")
    canvas = Canvas(6.0, 1.1)
    lowest = landscape.uncertified[0].solution.objective
    words = f"{len(landscape.uncertified)} results, the lowest J {lowest:.8g}; none of them certified"
    canvas.heading(_PAD, _PAD, shortened(title or "First-order points", 60), [words])
    return canvas.figure


def _marked(landscape: Landscape) -> list[_Marked]:
    """Every point: the lowest J a blue square, the best predictor an orange diamond, others grey."""
    predictor = landscape.best_predictor
    found = []
    for k, point in enumerate(landscape.points, start=1):
        color, mark = (BLUE, "s") if k == 1 else (ORANGE, "D") if point is predictor else (_GREY, "o")
        found.append(_Marked(k, point, color, mark))
    return found


def _chosen(marked: list[_Marked], landscape: Landscape, limit: int) -> list[_Marked]:
    """The first `limit` points, the last of them given up for the best predictor if it is not among them."""
    chosen = marked[:limit]
    predictor = landscape.best_predictor
    if predictor is not None and all(each.point is not predictor for each in chosen):
        chosen = [*chosen[:-1], *(each for each in marked if each.point is predictor)]
    return chosen


@dataclass(frozen=True)
class _Table:
    """One row a point, in columns: J above the lowest, hits, validation error."""

    landscape: Landscape

    title = "First-order points by J"

    @property
    def rows(self) -> list[_Marked]:
        return _chosen(_marked(self.landscape), self.landscape, MAX_ROWS)

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
        zero = self.landscape.number_of("zero")
        for place, row in enumerate(rows):
            words = f"{row.point.hits}" + (" (with B = 0)" if row.number == zero else "")
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
class _Scatter:
    """J against validation error, the area of a mark growing with its hits."""

    landscape: Landscape

    height = 0.33 + 2 * 0.17 + 0.15 + _SCATTER + 0.55

    @property
    def lines(self) -> list[str]:
        best = "square: lowest J"
        if self.landscape.best is not self.landscape.best_predictor:
            best += "; diamond: best predictor"
        return [best, "area of a mark: hits"]

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        title = f"Does the lowest J predict best? {self._answer()}"
        canvas.heading(left - 0.35, top, title, self.lines)
        axes = canvas.axes(left + 0.25, top + heading_height(self.lines) + 0.15, _SCATTER, _SCATTER)
        axes.set_label("scatter")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(True)
            axes.spines[side].set_color(LINE)
        most = max(point.hits for point in self.landscape.points)
        for row in reversed(_marked(self.landscape)):
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


@dataclass(frozen=True)
class _Graphs:
    """Heatmaps of the best few side by side, in one scale of colours."""

    landscape: Landscape

    @property
    def chosen(self) -> list[_Marked]:
        return _chosen(_marked(self.landscape), self.landscape, MAX_GRAPHS)

    @property
    def grid(self) -> Grid:
        return Grid(self.landscape.points[0].solution.task_names)

    @property
    def pitch(self) -> float:
        """From one matrix to the next."""
        wide = max(heading_width(self._title(each), self._lines(each)) for each in self.chosen)
        return max(self.grid.side, wide) + _BETWEEN

    @property
    def width(self) -> float:
        return self.grid.margin + self.pitch * len(self.chosen)

    @property
    def height(self) -> float:
        lines = self._lines(self.chosen[0])
        return 0.3 + heading_height(lines) + 0.1 + self.grid.side + self.grid.margin + 0.5

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        grid, chosen = self.grid, self.chosen
        canvas.text(left, top, f"Transfer matrices B, one scale of colours; {ORIENTATION}", color=MUTED)
        top += 0.3
        left += grid.margin
        head = heading_height(self._lines(chosen[0])) + 0.1
        entries = np.concatenate([each.point.solution.B.ravel() for each in chosen])
        colors, strongest = edge_scale(entries[entries != 0]), float(np.abs(entries).max())
        for place, each in enumerate(chosen):
            graph, at = each.point.solution.graph, left + place * self.pitch
            canvas.heading(at, top, self._title(each), self._lines(each))
            axes = canvas.axes(at, top + head, grid.side, grid.side)
            axes.set_label(f"graph of point {each.number}")
            grid.draw(axes, graph.adjacency, rows=place == 0, colors=colors)
            grid.annotate(axes, graph, strongest=strongest)
        if strongest > 0:
            below = (left, top + head + grid.side + grid.margin + 0.2)
            canvas.colorbar(below, colors, "B[s, t]")

    def _title(self, each: _Marked) -> str:
        roles = [
            role
            for role, point in (
                ("lowest J", self.landscape.best),
                ("best predictor", self.landscape.best_predictor),
            )
            if point is each.point
        ]
        return f"Point {each.number}" + (f": {' and '.join(roles)}" if roles else "")

    def _lines(self, each: _Marked) -> list[str]:
        point, finished = each.point, self.landscape.finished
        edges = f"{point.solution.certificate.edges} edges"
        lines = [f"J {point.objective:.6g}, {point.hits} of {finished} starts, {edges}"]
        if point.error is not None:
            lines.append(f"validation {self.landscape.error_name} {point.error:.4g}")
        return lines
