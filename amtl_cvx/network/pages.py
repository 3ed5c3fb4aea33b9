"""A network in the report: what was learned in pictures, its layers, tasks and features in tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FEEDBACK, USE, FeatureGraph
from amtl_cvx.features.pages import feature_rows, task_rows
from amtl_cvx.network.drawing import shown
from amtl_cvx.plotting import features as of_graph
from amtl_cvx.plotting import network as drawing
from amtl_cvx.plotting.network.shown import Shown, states
from amtl_cvx.report import template
from amtl_cvx.report.pictures import Picture, embedded
from amtl_cvx.solution import Solution

_CELLS = "Tasks in rows, features in columns. Bars: what each task gives, and its loss."


class LayerRow(NamedTuple):
    """A layer in the table."""

    number: int
    units: int
    live: int
    on: float
    """Share of rows and units that are on."""
    kinks: int
    held: int
    ended: int
    concave: int


def sections(solution: Solution, graph: FeatureGraph) -> dict[str, str]:
    """The sections by their places in the page."""
    network = shown(solution.blocks, graph, solution.facts)
    about = {
        "solution": solution,
        "certificate": solution.certificate,
        "graph": graph,
        "widths": [W.shape[1] for name, W in solution.blocks.items() if name.startswith("W")],
        "pictures": main_pictures(graph),
        "others": other_pictures(solution, graph, network),
        "tasks": task_rows(graph),
        "counts": _counts(network),
        "features": feature_rows(graph),
        "layers": [] if network is None else layer_rows(network),
    }
    places = ("learned", "about", "details")
    return {name: template(f"{name}.html.jinja", home="amtl_cvx.network").render(about) for name in places}


def main_pictures(graph: FeatureGraph) -> list[Picture]:
    """The heatmaps, and the arrows."""
    words, readings = graph.describe(), f"{FEEDBACK}; {USE}"
    return [
        embedded(of_graph.feature_heatmaps(graph), f"Heatmaps of A and S, {readings}. {words}", _CELLS),
        embedded(
            of_graph.feature_links(graph),
            f"Tasks and features with the arrows between them, {readings}. {words}",
            f"Arrows: {readings}. Tasks and features stand in their order, from top to bottom.",
        ),
    ]


def other_pictures(solution: Solution, graph: FeatureGraph, network: Shown | None) -> list[Picture]:
    """Kinks, losses, feedback against loss, features one by one, and images where the inputs are pixels."""
    found = []
    if network is not None:
        words = "Active kinks by layer, and how near the other units come to theirs"
        found.append(embedded(drawing.kinks_figure(network), words, f"{words}."))
        words = "The loss of every task beside its rows, the price of its feedback and what it gives"
        found.append(embedded(drawing.losses_figure(network), words, f"{words}."))
    words = "The feedback ||a_t||_1 that each task gives against its loss"
    found.append(embedded(of_graph.feedback_figure(graph), words, f"{words}; grey: none."))
    words = "Feature by feature: how far its reconstruction is off, who shapes it, who uses it"
    found.append(embedded(of_graph.reconstruction_figure(graph), words, f"{words}."))
    raster = of_graph.raster_of(solution.feature_names)
    if raster is not None and network is not None:
        words = f"The units of the first layer as images of {raster.rows} times {raster.columns} pixels"
        found.append(embedded(drawing.layer_images(network, raster), words, f"{words}, as their names say."))
    return found


def _counts(network: Shown | None) -> dict[str, Array]:
    """Of each task its rows with a label and, of classes, those of its own, by the headings of the table."""
    labels = None if network is None else network.labels
    if labels is None:
        return {}
    classes = (labels[:, 1] != labels[:, 0]).any()
    return {"rows": labels[:, 0], **({"of its class": labels[:, 1]} if classes else {})}


def layer_rows(network: Shown) -> list[LayerRow]:
    """A row a layer."""
    rows = []
    for layer, width in enumerate(network.widths):
        kinks = network.of_layer(layer)
        found = np.bincount(states(kinks), minlength=4)
        on = float(network.on[layer].sum()) / (max(network.rows, 1) * width)
        live = int(network.live(layer).sum())
        rows.append(LayerRow(layer + 1, width, live, on, len(kinks), *(int(found[s]) for s in range(3))))
    return rows
