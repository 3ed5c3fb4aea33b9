"""The pictures of a network's solution: what is drawn of it, by the kinds of `plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.network.figures import checked_figures, depth, graph_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from amtl_cvx.plotting.network import Shown
    from amtl_cvx.solution import Solution

_OF_GRAPH = ("graph", "heatmap", "node-link", "feedback", "reconstruction")
KINDS = (*_OF_GRAPH, "kinks", "losses", "images", "convergence")


def shown(blocks: Mapping[str, Array], graph: FeatureGraph, known: Mapping[str, Any]) -> Shown | None:
    """What the pictures take of a network; None where a file has its blocks alone."""
    from amtl_cvx.plotting.network import Shown

    if any(known.get(name) is None for name in ("pooled", "on", "kinks", "near")):
        return None
    weights = tuple(blocks[f"W{number}"] for number in range(1, depth(blocks) + 1))
    ends = np.cumsum([W.shape[1] for W in weights])[:-1]
    return Shown(
        weights=weights,
        graph=graph,
        rows=int(known["pooled"][0]),
        kinks=known["kinks"],
        on=tuple(np.split(known["on"], ends)),
        near=known["near"],
        labels=known.get("labels"),
    )


def figure(stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None) -> Figure:
    """A picture of a stored run.

    Raises
    ------
    DataError, ModelError
        For a kind that there is not, and images of inputs that are no pixels.
    """
    from amtl_cvx.features.drawing import of_graph
    from amtl_cvx.plotting import network as drawing

    if kind not in KINDS:
        raise ModelError(f"a network has no {kind} to draw: choose one of {', '.join(KINDS)}")
    blocks = stored.blocks
    widths = [blocks[f"W{number}"].shape[1] for number in range(1, depth(blocks) + 1)]
    known = checked_figures(stored.rest, widths=widths, T=len(stored.task_names))
    graph = graph_of(blocks, tasks=stored.task_names, losses=stored.losses, known=known)
    if kind in (draw := of_graph()):
        return draw[kind](graph, title=title)
    network = shown(blocks, graph, known)
    if network is None:
        raise DataError(
            f"the file has the blocks of the network alone, which do not say its {kind}: plot the folder of a"
            " run"
        )
    if kind != "images":
        return {"kinks": drawing.kinks_figure, "losses": drawing.losses_figure}[kind](network, title=title)
    return _images(stored, network, title=title, shape=shape, image_map=image_map)


def _images(stored: Any, network: Shown, *, title: str, shape: str | None, image_map: Array | None) -> Figure:
    """The units of the first layer as images."""
    from amtl_cvx.plotting import features as of_graph
    from amtl_cvx.plotting.network import layer_images

    preparation = stored.preparation
    raw = len(network.weights[0]) if preparation is None else preparation.d
    if image_map is not None:
        W = network.weights[0][:raw]
        first = W if preparation is None else W / preparation.scale[:, None]
        mapped = of_graph.mapped_from(image_map, shape, d=raw)
        return layer_images(replace(network, weights=(first, *network.weights[1:])), mapped, title=title)
    raster = of_graph.raster_of(stored.feature_names) if shape is None else of_graph.raster_from(shape, d=raw)
    if raster is None:
        raise DataError(
            "the names of the features do not say that they are pixels: give --image-shape HxW, or an array"
            " that takes them back to pixels as --image-map FILE"
        )
    return layer_images(network, raster, title=title)


def pictures(solution: Solution, graph: FeatureGraph, *, title: str) -> dict[str, Callable[[Path], None]]:
    """The files of a run folder, with what writes each."""
    from amtl_cvx.plotting import write_png
    from amtl_cvx.plotting.features import feature_figure, raster_of
    from amtl_cvx.plotting.network import kinks_figure, layer_images, losses_figure

    found: dict[str, Callable[[Path], None]] = {
        "features.png": lambda path: write_png(feature_figure(graph, title=title), path),
        "features.graphml": lambda path: graph.write_graphml(path),
    }
    network, raster = shown(solution.blocks, graph, solution.facts), raster_of(solution.feature_names)
    if network is not None:
        found["kinks.png"] = lambda path: write_png(kinks_figure(network, title=title), path)
        found["losses.png"] = lambda path: write_png(losses_figure(network, title=title), path)
        if raster is not None:
            found["images.png"] = lambda path: write_png(layer_images(network, raster, title=title), path)
    return found
