"""Shared features in the report: what was learned in pictures, tasks and features in tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.bipartite import FEEDBACK, USE, FeatureGraph
from amtl_cvx.plotting import features as drawing
from amtl_cvx.report import template
from amtl_cvx.report.pictures import Picture, embedded
from amtl_cvx.solution import Solution

_CELLS = "Tasks in rows, features in columns. Bars: what each task gives, and its loss."


class TaskRow(NamedTuple):
    """A task in the table: what it loses, what feedback costs it, what it gives and takes."""

    number: int
    name: str
    loss: float
    price: float | None
    gives: float
    shapes: int
    uses: int


class FeatureRow(NamedTuple):
    """A feature in the table."""

    name: str
    live: bool
    length: float
    use: float
    users: int
    feedback: float
    givers: int
    error: float | None
    """||E_j|| / ||Z_j||"""
    balance: float | None


def sections(solution: Solution, graph: FeatureGraph) -> dict[str, str]:
    """The sections by their places in the page."""
    about = {
        "solution": solution,
        "certificate": solution.certificate,
        "graph": graph,
        "pictures": main_pictures(graph),
        "others": other_pictures(graph),
        "tasks": task_rows(graph),
        "features": feature_rows(graph),
    }
    places = ("learned", "about", "details")
    return {name: template(f"{name}.html.jinja", home="amtl_cvx.features").render(about) for name in places}


def main_pictures(graph: FeatureGraph) -> list[Picture]:
    """The heatmaps, and the arrows."""
    words = graph.describe()
    readings = USE if graph.A is None else f"{FEEDBACK}; {USE}"
    return [
        embedded(drawing.feature_heatmaps(graph), f"Heatmaps of the blocks, {readings}. {words}", _CELLS),
        embedded(
            drawing.feature_links(graph),
            f"Tasks and features with the arrows between them, {readings}. {words}",
            f"Arrows: {readings}. Tasks and features stand in their order, from top to bottom.",
        ),
    ]


def other_pictures(graph: FeatureGraph) -> list[Picture]:
    """Feedback against loss, the features one by one, and as images where the inputs are pixels."""
    found = []
    if graph.A is not None:
        words = "The feedback ||a_t||_1 that each task gives against its loss"
        found.append(embedded(drawing.feedback_figure(graph), words, f"{words}; grey: none."))
    words = "Feature by feature: how far its reconstruction is off, who shapes it, who uses it"
    if graph.errors is None:
        words = "Feature by feature: how much it is used"
    found.append(embedded(drawing.reconstruction_figure(graph), words, f"{words}."))
    raster = drawing.raster_of(graph.inputs)
    if raster is not None:
        words = f"The features as images of {raster.rows} times {raster.columns} pixels"
        found.append(embedded(drawing.feature_images(graph, raster), words, f"{words}, as their names say."))
    return found


def task_rows(graph: FeatureGraph) -> list[TaskRow]:
    """A row a task."""
    T = graph.T
    losses = np.zeros(T) if graph.losses is None else graph.losses
    shapes = np.zeros(T, dtype=int) if graph.A is None else np.count_nonzero(graph.A, axis=1)
    return [
        TaskRow(
            t,
            graph.tasks[t],
            float(losses[t]),
            None if graph.prices is None else float(graph.prices[t]),
            float(graph.giving[t]),
            int(shapes[t]),
            int(graph.using[t]),
        )
        for t in range(T)
    ]


def feature_rows(graph: FeatureGraph) -> list[FeatureRow]:
    """A row a feature."""
    givers = np.zeros(graph.k, dtype=int) if graph.A is None else np.count_nonzero(graph.A, axis=0)
    return [
        FeatureRow(
            graph.names[j],
            bool(graph.live[j]),
            float(graph.lengths[j]),
            float(graph.serving[j]),
            int(np.count_nonzero(graph.S[j])),
            float(graph.receiving[j]),
            int(givers[j]),
            _share(graph, j),
            None if graph.balance is None else float(graph.balance[j]),
        )
        for j in range(graph.k)
    ]


def _share(graph: FeatureGraph, j: int) -> float | None:
    """How far the reconstruction is off feature j, over its size."""
    if graph.sizes is None or graph.errors is None or graph.sizes[j] <= 0.0:
        return None
    return float(graph.errors[j] / graph.sizes[j])
