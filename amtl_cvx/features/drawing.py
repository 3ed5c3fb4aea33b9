"""The pictures of a stored run of shared features, by the kinds of `plot`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features.figures import checked_figures, graph_of
from amtl_cvx.plotting import features as drawing


def of_graph() -> dict[str, Callable[..., Figure]]:
    """What is drawn of tasks and features alone, by its kind."""
    return {
        "graph": drawing.feature_figure,
        "heatmap": drawing.feature_heatmaps,
        "node-link": drawing.feature_links,
        "feedback": drawing.feedback_figure,
        "reconstruction": drawing.reconstruction_figure,
    }


def figure(stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None) -> Figure:
    """A picture of a stored run.

    Raises
    ------
    DataError, ModelError
        For a kind that there is not, and images of inputs that are no pixels.
    """
    graph = graph_of(
        stored.blocks,
        tasks=stored.task_names,
        losses=stored.losses,
        known=checked_figures(stored.rest, k=len(stored.blocks["S"]), T=len(stored.task_names)),
        inputs=stored.feature_names,
    )
    draw = {name: make for name, make in of_graph().items() if name != "feedback" or graph.A is not None}
    if kind in draw:
        return draw[kind](graph, title=title)
    if kind != "images":
        raise ModelError(
            f"the family {stored.family.name!r} has no {kind} to draw: choose one of {', '.join(draw)},"
            " images, convergence"
        )
    return _images(stored, graph, title=title, shape=shape, image_map=image_map)


def _images(
    stored: Any, graph: FeatureGraph, *, title: str, shape: str | None, image_map: Array | None
) -> Figure:
    """The columns of L as images."""
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
