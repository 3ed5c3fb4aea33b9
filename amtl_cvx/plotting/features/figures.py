"""Figures of the learned features: heatmaps, arrows, feedback against loss, features by themselves."""

from __future__ import annotations

from matplotlib.figure import Figure

from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting.canvas import side_by_side
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.features.cells import CellsPanel
from amtl_cvx.plotting.features.feedback import FeedbackPanel
from amtl_cvx.plotting.features.images import feature_tiles
from amtl_cvx.plotting.features.links import LinksPanel
from amtl_cvx.plotting.features.raster import Imaging
from amtl_cvx.plotting.features.rebuilt import RebuiltPanel

_TITLE = 90  # letters


@own_settings()
def feature_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """The heatmaps of A and S beside the picture of the arrows (`features.png`)."""
    return side_by_side([CellsPanel(graph), LinksPanel(graph)], title, longest=_TITLE)


@own_settings()
def feature_heatmaps(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """A and S', tasks in rows; bars in line with the rows show what each task gives and its loss."""
    return side_by_side([CellsPanel(graph)], title, longest=_TITLE)


@own_settings()
def feature_links(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """Tasks, features, tasks in three columns; at most the `MAX_LINKS` strongest arrows on each side."""
    return side_by_side([LinksPanel(graph)], title, longest=_TITLE)


@own_settings()
def feedback_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """The feedback ||a_t||_1 of every task against its loss."""
    return side_by_side([FeedbackPanel(graph)], title, longest=_TITLE)


@own_settings()
def reconstruction_figure(graph: FeatureGraph, *, title: str | None = None) -> Figure:
    """Feature by feature: reconstruction error beside size (where known), feedback received, use."""
    return side_by_side([RebuiltPanel(graph)], title, longest=_TITLE)


@own_settings()
def feature_images(graph: FeatureGraph, raster: Imaging, *, title: str | None = None) -> Figure:
    """The columns of L as images."""
    return side_by_side([feature_tiles(graph, raster)], title, longest=_TITLE)
