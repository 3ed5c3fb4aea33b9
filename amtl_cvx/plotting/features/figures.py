"""Figures of the learned features: heatmaps, arrows, feedback against loss, features by themselves."""

from __future__ import annotations

from typing import Protocol

from matplotlib.figure import Figure

from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting.canvas import HEADING, Canvas, shortened, text_width
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.features.cells import CellsPanel
from amtl_cvx.plotting.features.feedback import FeedbackPanel
from amtl_cvx.plotting.features.images import ImagesPanel
from amtl_cvx.plotting.features.links import LinksPanel
from amtl_cvx.plotting.features.raster import Raster
from amtl_cvx.plotting.features.rebuilt import RebuiltPanel

_PAD, _BETWEEN = 0.25, 0.6  # inches


class Panel(Protocol):
    """A part of a figure with its size in inches."""

    @property
    def width(self) -> float: ...

    @property
    def height(self) -> float: ...

    def draw(self, canvas: Canvas, left: float, top: float) -> None: ...


@own_settings()
def feature_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """The heatmaps of A and S beside the picture of the arrows (`features.png`)."""
    return _figure([CellsPanel(graph), LinksPanel(graph)], title)


@own_settings()
def feature_heatmaps(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """A and S', tasks in rows; bars in line with the rows show what each task gives and its loss."""
    return _figure([CellsPanel(graph)], title)


@own_settings()
def feature_links(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """Tasks, features, tasks in three columns; at most the `MAX_LINKS` strongest arrows on each side."""
    return _figure([LinksPanel(graph)], title)


@own_settings()
def feedback_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """The feedback ||a_t||_1 of every task against its loss."""
    return _figure([FeedbackPanel(graph)], title)


@own_settings()
def reconstruction_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """Feature by feature: reconstruction error beside size (where known), feedback received, use."""
    return _figure([RebuiltPanel(graph)], title)


@own_settings()
def feature_images(graph: FeatureGraph, raster: Raster, *, title: str | None = None) -> Figure:
    """The columns of L as images."""
    return _figure([ImagesPanel(graph, raster)], title)


def _figure(panels: list[Panel], title: str | None) -> Figure:
    """The panels side by side."""
    banner = None if title is None else shortened(title, 90)
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
