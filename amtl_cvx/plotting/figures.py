"""Figures of one graph: the matrix, the circle, and both side by side."""

from __future__ import annotations

from matplotlib.figure import Figure

from amtl_cvx.graph import TransferGraph
from amtl_cvx.plotting.canvas import side_by_side
from amtl_cvx.plotting.circle import CirclePanel
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.matrix import MatrixPanel

_TITLE = 120  # letters


@own_settings()
def graph_figure(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """The heatmap of B with its margins beside the node-link picture (`graph.png`)."""
    return side_by_side([MatrixPanel(graph), CirclePanel(graph)], title, longest=_TITLE)


@own_settings()
def heatmap(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """B as a heatmap; bars in line with the rows show what each task gives (row sum) and its loss."""
    return side_by_side([MatrixPanel(graph)], title, longest=_TITLE)


@own_settings()
def node_link(graph: TransferGraph, *, title: str | None = None) -> Figure:
    """Tasks on a circle, node colour = loss, arrow width = B[s, t]; at most the `MAX_EDGES` strongest."""
    return side_by_side([CirclePanel(graph)], title, longest=_TITLE)
