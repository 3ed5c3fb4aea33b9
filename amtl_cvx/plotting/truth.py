"""An estimated graph beside the planted truth: hits, misses and false edges."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.errors import DataError
from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    MUTED,
    ORANGE,
    POINTS,
    Canvas,
    edge_scale,
    heading_height,
)
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.matrix import Grid

Mask = NDArray[np.bool_]
_PAD, _BETWEEN = 0.25, 0.35  # inches
_KINDS = (("hit", BLUE, "s"), ("miss", ORANGE, "o"), ("false edge", CRIMSON, "X"))


@own_settings()
def truth_figure(graph: TransferGraph, truth_B: ArrayLike) -> Figure:
    """Estimate, truth, and where they agree.

    Parameters
    ----------
    graph : TransferGraph
        The estimate; its threshold decides what counts as an edge.
    truth_B : (T, T) array_like
        The planted B; every positive entry off the diagonal is an edge, every other than 0 where the graph
        is signed.

    Raises
    ------
    DataError
        If the truth has another shape, or a negative entry where the graph is not signed.
    """
    if np.shape(truth_B) != graph.B.shape:
        raise DataError(f"expected a true B of shape {graph.B.shape}, got {np.shape(truth_B)}")
    truth = TransferGraph(B=np.asarray(truth_B), names=graph.names, signed=graph.signed)
    grid = Grid(graph.names)
    side = max(grid.side, 2.9)
    top = _PAD + heading_height(["", "", ""]) + 0.1
    width = 2 * _PAD + grid.margin + 3 * side + 2 * _BETWEEN
    canvas = Canvas(width, top + side + grid.margin + 0.6 + _PAD)
    kinds = _kinds(graph.adjacency != 0, truth.adjacency != 0)
    headings = (
        ("Estimate", [ORIENTATION, _counted(graph) + (", hatched: may not be" * (graph.barred is not None))]),
        ("Planted truth", [_counted(truth)]),
        ("Estimate against truth", _summary(kinds)),
    )
    left = _PAD + grid.margin
    for panel, (title, lines) in enumerate(headings):
        canvas.heading(left if panel else _PAD, _PAD, title, lines)
        axes = canvas.axes(left, top, side, side)
        axes.set_label(title)
        below = (left, top + side + grid.margin + 0.25)
        if panel < 2:
            _weights(canvas, axes, grid, (graph, truth)[panel], below, first=panel == 0)
        else:
            _agreement(axes, grid, kinds, side, grid.margin + 0.15)
        left += side + _BETWEEN
    return canvas.figure


def _kinds(estimate: Mask, truth: Mask) -> tuple[Mask, Mask, Mask]:
    return estimate & truth, ~estimate & truth, estimate & ~truth


def _counted(graph: TransferGraph) -> str:
    count = len(graph.edges)
    if not count:
        return "empty graph: no task helps another"
    above = f" above {graph.threshold:g}" if graph.threshold > 0 else ""
    return f"{count} edge{'s' if count > 1 else ''}{above}"


def _summary(kinds: tuple[Mask, Mask, Mask]) -> list[str]:
    """Counts, precision and recall in words."""
    hits, misses, false = (int(kind.sum()) for kind in kinds)
    precision = (
        f"precision {hits / (hits + false):.2f}"
        if hits + false
        else "precision undefined (no edge estimated)"
    )
    recall = f"recall {hits / (hits + misses):.2f}" if hits + misses else "recall undefined (no true edge)"
    found = f"{hits} hit{'s' * (hits != 1)}, {misses} miss{'es' * (misses != 1)}"
    return [f"{found}, {false} false edge{'s' * (false != 1)}", precision, recall]


def _weights(
    canvas: Canvas, axes: Axes, grid: Grid, graph: TransferGraph, below: tuple[float, float], *, first: bool
) -> None:
    grid.draw(axes, graph.adjacency, rows=first)
    if graph.barred is not None:
        grid.hatch(axes, graph.barred)
    if graph.edges:
        canvas.colorbar(below, edge_scale(edge.weight for edge in graph.edges), "B[s, t]")


def _agreement(axes: Axes, grid: Grid, kinds: tuple[Mask, Mask, Mask], side: float, below: float) -> None:
    """Every kind has its colour and its mark; cells too small for marks are filled."""
    axes.set_facecolor("#f1f4f7")
    grid.frame(axes, rows=False)
    pitch = side / grid.T * POINTS
    for kind, (name, color, mark) in zip(kinds, _KINDS, strict=True):
        sources, targets = np.nonzero(kind)
        if pitch >= 7:
            area = min(0.55 * pitch, 24.0) ** 2
            axes.scatter(
                targets, sources, s=area, marker=mark, color=color, linewidth=0, zorder=3, label=name
            )
            continue
        for s, t in zip(sources, targets, strict=True):
            axes.add_patch(Rectangle((t - 0.5, s - 0.5), 1, 1, facecolor=color, linewidth=0, zorder=3))
    keys = [
        Line2D([], [], color=color, marker=mark, linestyle="", label=name) for name, color, mark in _KINDS
    ]
    axes.legend(
        handles=keys, loc="upper left", bbox_to_anchor=(0, -below / side), ncols=3, frameon=False,
        fontsize=BODY, labelcolor=MUTED, borderaxespad=0, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
