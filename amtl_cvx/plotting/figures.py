"""Figures of one graph: the matrix, the circle, and both side by side."""

from __future__ import annotations

from matplotlib.figure import Figure

from amtl_cvx.graph import TransferGraph
from amtl_cvx.plotting.canvas import HEADING, Canvas, shortened, text_width
from amtl_cvx.plotting.circle import CirclePanel
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.matrix import MatrixPanel

_PAD, _BETWEEN = 0.25, 0.6  # inches


@own_settings()
def graph_figure(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """The heatmap of B with its margins beside the node-link picture (`graph.png`)."""
    return _figure([MatrixPanel(graph), CirclePanel(graph)], title)


@own_settings()
def heatmap(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """B as a heatmap; bars in line with the rows show what each task gives (row sum) and its loss."""
    return _figure([MatrixPanel(graph)], title)


@own_settings()
def node_link(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """Tasks on a circle, node colour = loss, arrow width = B[s, t]; at most the `MAX_EDGES` strongest."""
    return _figure([CirclePanel(graph)], title)


def _figure(panels: list[MatrixPanel | CirclePanel], title: str | None) -> Figure:
    banner = None if title is None else shortened(title, 120)
    top = _PAD if banner is None else _PAD + 0.45
    width = sum(panel.width for panel in panels) + _BETWEEN * (len(panels) - 1)
    width = max(width, 0.0 if banner is None else 1.1 * text_width([banner], HEADING + 3))
    canvas = Canvas(width + 2 * _PAD, top + max(panel.height for panel in panels) + _PAD)
    if banner is not None:
        canvas.text(_PAD, _PAD, banner, size=HEADING + 3, weight="bold")
    left = _PAD
    for panel in panels:
        panel.draw(canvas, left, top)
        left += panel.width + _BETWEEN
    return canvas.figure
