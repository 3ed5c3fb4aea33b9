"""The graphs of the best few points of a landscape, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtl_cvx.explore import Landscape
from amtl_cvx.graph import ORIENTATION
from amtl_cvx.plotting.canvas import MUTED, Canvas, edge_scale, heading_height, heading_width
from amtl_cvx.plotting.matrix import Grid
from amtl_cvx.plotting.points import Marked, chosen, marked, titled

MAX_GRAPHS = 3
"""How many graphs are drawn."""
_BETWEEN = 0.35  # inches


@dataclass(frozen=True)
class Graphs:
    """Heatmaps of the best few side by side, in one scale of colours."""

    landscape: Landscape

    @property
    def chosen(self) -> list[Marked]:
        return chosen(marked(self.landscape), self.landscape, MAX_GRAPHS)

    @property
    def grid(self) -> Grid:
        return Grid(self.landscape.points[0].solution.task_names)

    @property
    def pitch(self) -> float:
        """From one matrix to the next."""
        wide = max(heading_width(titled(each, self.landscape), self._lines(each)) for each in self.chosen)
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
            canvas.heading(at, top, titled(each, self.landscape), self._lines(each))
            axes = canvas.axes(at, top + head, grid.side, grid.side)
            axes.set_label(f"graph of point {each.number}")
            grid.draw(axes, graph.adjacency, rows=place == 0, colors=colors)
            grid.annotate(axes, graph, strongest=strongest)
        if strongest > 0:
            below = (left, top + head + grid.side + grid.margin + 0.2)
            canvas.colorbar(below, colors, "B[s, t]")

    def _lines(self, each: Marked) -> list[str]:
        point, finished = each.point, self.landscape.finished
        edges = f"{point.solution.certificate.edges} edges"
        lines = [f"J {point.objective:.6g}, {point.hits} of {finished} starts, {edges}"]
        if point.error is not None:
            lines.append(f"validation {self.landscape.error_name} {point.error:.4g}")
        if point.solution.graph.barred is not None:
            lines.append("hatched: may not be")
        return lines
