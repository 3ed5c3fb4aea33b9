"""A shared dictionary in the report: what was learned in pictures, tasks and directions in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting import features as drawing
from amtl_cvx.plotting import write_png
from amtl_cvx.report import template
from amtl_cvx.report.pictures import Picture, embedded
from amtl_cvx.solution import Solution

_CELLS = "Tasks in rows, features in columns. Bars: the loss of each task."


class TaskRow(NamedTuple):
    """A task in the table: what it loses, how long its code is, and how many features that has."""

    number: int
    name: str
    loss: float
    length: float
    uses: int


class FeatureRow(NamedTuple):
    """A feature in the table."""

    name: str
    live: bool
    use: float
    users: int


def sections(solution: Solution, graph: FeatureGraph) -> dict[str, str]:
    """The sections by their places in the page."""
    about = {
        "solution": solution,
        "certificate": solution.certificate,
        "graph": graph,
        "found": shown(graph),
        "tasks": task_rows(graph),
        "features": feature_rows(graph),
    }
    places = ("learned", "about", "details")
    return {name: template(f"{name}.html.jinja", home="amtl_cvx.dictionary").render(about) for name in places}


def pictures(graph: FeatureGraph, *, title: str) -> Mapping[str, Callable[[Path], None]]:
    """The files of a run folder, with what writes each."""
    raster = drawing.raster_of(graph.inputs)
    found: dict[str, Callable[[Path], None]] = {
        "features.png": lambda path: write_png(drawing.feature_figure(graph, title=title), path),
        "features.graphml": lambda path: graph.write_graphml(path),
    }
    if raster is not None:
        found["images.png"] = lambda path: write_png(drawing.feature_images(graph, raster, title=title), path)
    return found


def shown(graph: FeatureGraph) -> list[Picture]:
    """The codes as cells and as arrows; the directions as images where the inputs are pixels."""
    words, reading = graph.describe(), graph.reading
    found = [
        embedded(drawing.feature_heatmaps(graph), f"Heatmap of the codes, {reading}. {words}", _CELLS),
        embedded(
            drawing.feature_links(graph),
            f"Features and tasks with the arrows between them, {reading}. {words}",
            f"Arrows: {reading}.",
        ),
    ]
    raster = drawing.raster_of(graph.inputs)
    if raster is not None:
        words = f"The features as images of {raster.rows} times {raster.columns} pixels"
        found.append(embedded(drawing.feature_images(graph, raster), words, f"{words}, as their names say."))
    return found


def task_rows(graph: FeatureGraph) -> list[TaskRow]:
    """A row a task."""
    losses: Array = np.zeros(graph.T) if graph.losses is None else graph.losses
    lengths = np.abs(graph.S).sum(axis=0)
    return [
        TaskRow(t, graph.tasks[t], float(losses[t]), float(lengths[t]), int(graph.using[t]))
        for t in range(graph.T)
    ]


def feature_rows(graph: FeatureGraph) -> list[FeatureRow]:
    """A row a feature."""
    return [
        FeatureRow(name, bool(graph.live[j]), float(graph.serving[j]), int(np.count_nonzero(graph.S[j])))
        for j, name in enumerate(graph.names)
    ]
