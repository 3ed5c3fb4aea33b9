"""The learned features of the best few points of a landscape, below each other.

A feature of one point has no number in another: they stand in the order in which they match those of the
first point best, by what the tasks use of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.explore import Landscape
from amtl_cvx.plotting.canvas import Canvas
from amtl_cvx.plotting.features.cells import CellsPanel
from amtl_cvx.plotting.points import chosen, marked, titled

MAX_POINTS = 3
"""How many points are drawn."""
_BETWEEN = 0.35  # inches


@dataclass(frozen=True)
class Points:
    """The heatmaps of the best few."""

    landscape: Landscape

    @cached_property
    def panels(self) -> list[CellsPanel]:
        """One a point."""
        found: list[CellsPanel] = []
        for each in chosen(marked(self.landscape), self.landscape, MAX_POINTS):
            solution = each.point.solution
            model: Any = solution.model
            graph: FeatureGraph = solution.family.learned(solution)  # type: ignore[attr-defined]
            turns, note = model.signed or not model.has_feedback, ""
            if found:
                graph = matched(graph, found[0].graph, turns=turns)
                note = f"features in the order{' and with the signs' * turns} of those of the first point"
            title = f"{titled(each, self.landscape)} (J {each.point.objective:.6g})"
            found.append(CellsPanel(graph, heading=title, note=note))
        return found

    @property
    def width(self) -> float:
        return max(panel.width for panel in self.panels)

    @property
    def height(self) -> float:
        return sum(panel.height + _BETWEEN for panel in self.panels) - _BETWEEN

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        for panel in self.panels:
            panel.draw(canvas, left, top)
            top += panel.height + _BETWEEN


def matched(graph: FeatureGraph, first: FeatureGraph, *, turns: bool) -> FeatureGraph:
    """The same features in the order, and where it `turns` them with the signs, of those of `first`."""
    cross = first.S @ graph.S.T
    rows, order = linear_sum_assignment(-np.abs(cross) if turns else -cross)
    signs = np.where(cross[rows, order] < 0.0, -1.0, 1.0) if turns else np.ones(len(order))
    return replace(
        graph,
        L=graph.L[:, order] * signs,
        S=graph.S[order] * signs[:, None],
        A=None if graph.A is None else graph.A[:, order] * signs,
        **{
            name: getattr(graph, name)[order]
            for name in ("sizes", "errors", "balance")
            if getattr(graph, name) is not None
        },
    )
