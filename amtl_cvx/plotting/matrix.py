"""The matrix view: B as a heatmap, and beside its rows what each task gives and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    HATCH,
    INK,
    LOSS_COLORS,
    MUTED,
    POINTS,
    SMALLEST,
    VOID,
    Canvas,
    edge_scale,
    heading_height,
    heading_width,
    number,
    scale,
    shortened,
    text_width,
    thinning,
)

BAR, GAP = 0.85, 0.12  # inches
_VALUES_UP_TO, _NUMBERS_UP_TO = 12, 40  # tasks up to which cells, and bars, carry their number


@dataclass(frozen=True)
class Grid:
    """Sizes in inches of a T x T matrix with names on its left and below; `most` is that of a side."""

    names: tuple[str, ...]
    most: float = 7.0

    @property
    def T(self) -> int:
        return len(self.names)

    @property
    def side(self) -> float:
        return max(min(0.8 * self.T, 2.6), min(0.34 * self.T, self.most))

    @property
    def pitch(self) -> float:
        return self.side / self.T

    @property
    def font(self) -> float:
        return min(max(0.6 * self.pitch * POINTS, SMALLEST), BODY)

    @property
    def step(self) -> int:
        return thinning(self.pitch, self.font)

    @property
    def labels(self) -> list[str]:
        return [shortened(name, 22 if self.T <= 40 else 16) for name in self.names]

    @property
    def margin(self) -> float:
        """Room for the names."""
        return text_width(self.labels[:: self.step], self.font) + 0.08

    def draw(self, axes: Axes, B: Array, *, rows: bool = True, colors: ScalarMappable | None = None) -> None:
        """The cells of B, zeros and the diagonal pale, and the names of every `step`-th row and column.

        `colors` are those of the entries, by default up to the largest.
        """
        colors = edge_scale(B[B != 0]) if colors is None else colors
        axes.imshow(
            np.full_like(B, np.nan), cmap=ListedColormap([VOID]).with_extremes(bad=VOID), aspect="auto"
        )
        low, high = colors.get_clim()
        shown = np.ma.masked_equal(B, 0.0)
        axes.imshow(
            shown, cmap=colors.get_cmap(), vmin=low, vmax=high, interpolation="nearest", aspect="auto"
        )
        self.frame(axes, rows=rows)

    def frame(self, axes: Axes, *, rows: bool = True) -> None:
        """Names, cell borders and a grey diagonal."""
        at = np.arange(0, self.T, self.step)
        axes.set_xticks(at, [self.labels[i] for i in at], rotation=90, fontsize=self.font, parse_math=False)
        axes.set_yticks(at if rows else [], [self.labels[i] for i in at] if rows else [], parse_math=False)
        axes.tick_params(axis="y", labelsize=self.font)
        for i in range(self.T):
            axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, facecolor="#dfe4ea", linewidth=0))
        if self.pitch * POINTS > 7:
            lines = np.arange(-0.5, self.T)
            axes.hlines(lines, -0.5, self.T - 0.5, color="white", linewidth=1.0)
            axes.vlines(lines, -0.5, self.T - 0.5, color="white", linewidth=1.0)
        axes.set(xlim=(-0.5, self.T - 0.5), ylim=(self.T - 0.5, -0.5))

    def hatch(self, axes: Axes, barred: Mask) -> None:
        """Hatch the cells of edges that may not be."""
        square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]])
        cells = [Path(square + [t, s], closed=True) for s, t in np.argwhere(barred)]
        axes.add_patch(
            PathPatch(
                Path.make_compound_path(*cells),
                facecolor="none",
                edgecolor=HATCH,
                linewidth=0.0,
                hatch="//////",
                gid="edges that may not be",
            )
        )

    def annotate(self, axes: Axes, graph: TransferGraph, *, strongest: float | None = None) -> None:
        """The weights in the cells of few tasks, a hatch where none may be; words for an empty graph."""
        if graph.barred is not None:
            self.hatch(axes, graph.barred)
        middle = (graph.T - 1) / 2
        if not graph.edges:
            words = "empty graph:\nno task helps another" if graph.T > 1 else "one task"
            box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=.4"}
            axes.text(middle, middle, words, ha="center", va="center", size=BODY, color=INK, bbox=box)
        elif graph.T <= _VALUES_UP_TO:
            full = abs(graph.edges[0].weight) if strongest is None else strongest
            for s, t, weight in graph.edges:
                text = in_cell(weight)
                color = "white" if abs(weight) > 0.45 * full else INK
                size = min(0.32 * self.pitch * POINTS, 7.5)
                axes.text(t, s, text, ha="center", va="center", size=size, color=color)


def in_cell(weight: float) -> str:
    """At most five characters, and a sign."""
    sign, size = "\N{MINUS SIGN}" if weight < 0 else "", abs(weight)
    if size < 0.005:
        return f"{sign}<.01"
    return sign + (f"{size:.2f}".removeprefix("0") if size < 99 else f"{size:.0e}")


@dataclass(frozen=True)
class MatrixPanel:
    """The heatmap with its margins."""

    graph: TransferGraph

    title = "Transfer matrix B"

    @property
    def lines(self) -> list[str]:
        notes = [ORIENTATION]
        if self.graph.threshold > 0:
            kept = "entries of size above" if self.graph.signed else "entries above"
            notes.append(f"{kept} {self.graph.threshold:g}")
        if self.graph.negative:
            notes.append("red: negative, the opposite of s helps t")
        if self.graph.barred is not None:
            notes.append("hatched: an edge that may not be")
        if self.grid.step > 1:
            which = f"every {self.grid.step}th" if self.grid.step > 2 else "every other"
            notes.append(f"{which} task is named")
        return notes

    @property
    def grid(self) -> Grid:
        return Grid(self.graph.names)

    @property
    def width(self) -> float:
        columns = 1 if self.graph.losses is None else 2
        body = self.grid.margin + self.grid.side + columns * (BAR + 2 * GAP) + 0.35
        return max(body, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.28 + self.grid.side + self.grid.margin + 0.55

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        grid, graph = self.grid, self.graph
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.28
        left += grid.margin
        cells = canvas.axes(left, top, grid.side, grid.side)
        cells.set_label("heatmap")
        grid.draw(cells, graph.adjacency)
        grid.annotate(cells, graph)
        right = left + grid.side + GAP
        gives = "gives (sizes)" if graph.signed else "gives (row sum)"
        self._bars(canvas, (right, top), graph.outgoing, gives, [BLUE] * graph.T)
        if graph.losses is not None:
            colors = scale(graph.losses, LOSS_COLORS).to_rgba(graph.losses)
            self._bars(canvas, (right + BAR + 2 * GAP + 0.2, top), graph.losses, "loss", list(colors))
        if graph.edges:
            mappable = edge_scale(edge.weight for edge in graph.edges)
            canvas.colorbar(
                (left, top + grid.side + grid.margin + 0.2), mappable, "B[s, t]", width=min(1.6, grid.side)
            )

    def _bars(
        self, canvas: Canvas, place: tuple[float, float], values: Array, title: str, colors: Sequence[Any]
    ) -> None:
        """Horizontal bars in line with the rows."""
        axes = canvas.axes(*place, BAR, self.grid.side)
        axes.set_label(title)
        axes.barh(np.arange(len(values)), values, height=0.72, color=colors, edgecolor=MUTED, linewidth=0.3)
        largest = float(np.abs(values).max()) or 1.0
        axes.set(xlim=(min(0.0, float(values.min())), largest), ylim=(len(values) - 0.5, -0.5), yticks=[])
        axes.set_title(title, fontsize=BODY, color=INK, loc="left", pad=6)
        axes.axvline(0.0, color=MUTED, linewidth=0.6)
        if self.graph.T > _NUMBERS_UP_TO:
            axes.set_xticks([0.0, largest], ["0", number(largest)], fontsize=BODY - 1)
            return
        axes.set_xticks([])
        for row, value in enumerate(values):
            axes.annotate(number(float(value)), (max(value, 0.0), row), (2, 0), textcoords="offset points",
                          va="center", size=min(self.grid.font, 7.5), color=MUTED)  # fmt: skip
