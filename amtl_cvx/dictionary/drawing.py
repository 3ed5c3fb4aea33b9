"""The pictures of a stored run of a shared dictionary, by the kinds of `plot`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.plotting import features as drawing

KINDS: dict[str, Callable[..., Figure]] = {
    "graph": drawing.feature_figure,
    "heatmap": drawing.feature_heatmaps,
    "node-link": drawing.feature_links,
}
"""What is drawn of tasks and directions alone, by its kind."""


def figure(
    stored: Any, graph: FeatureGraph, kind: str, *, title: str, shape: str | None, image_map: Array | None
) -> Figure:
    """A picture of a stored run.

    Raises
    ------
    DataError, ModelError
        For a kind that there is not, and images of inputs that are no pixels.
    """
    if kind in KINDS:
        return KINDS[kind](graph, title=title)
    if kind != "images":
        raise ModelError(
            f"the family {stored.family.name!r} has no {kind} to draw: choose one of {', '.join(KINDS)},"
            " images, convergence"
        )
    preparation = stored.preparation
    raw = len(graph.L) if preparation is None else preparation.d
    if image_map is not None:
        scale = 1.0 if preparation is None else preparation.scale[:, None]
        mapped = drawing.mapped_from(image_map, shape, d=raw)
        return drawing.feature_images(replace(graph, L=graph.L[:raw] / scale), mapped, title=title)
    raster = drawing.raster_of(stored.feature_names) if shape is None else drawing.raster_from(shape, d=raw)
    if raster is None:
        raise DataError(
            "the names of the features do not say that they are pixels: give --image-shape HxW, or an array"
            " that takes them back to pixels as --image-map FILE"
        )
    return drawing.feature_images(graph, raster, title=title)
