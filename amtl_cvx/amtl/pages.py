"""AMTL in the report: the learned graph, its edges and tasks, and what its certificate can say."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting import heatmap, node_link, truth_figure
from amtl_cvx.report import template
from amtl_cvx.report.pictures import Picture, embedded
from amtl_cvx.solution import Solution

MAX_ROWS = 2000
"""How many edges, the strongest, the edge table lists."""


def sections(solution: Solution, graph: TransferGraph, truth_B: ArrayLike | None) -> dict[str, str]:
    """The sections by their places in the page."""
    about = {
        "solution": solution,
        "certificate": solution.certificate,
        "graph": graph,
        "pictures": graph_pictures(graph),
        "truth": None if truth_B is None else truth_picture(graph, truth_B),
        "edges": edge_rows(graph),
        "tasks": graph.to_dict()["tasks"],
    }
    places = ("learned", "about", "details")
    return {name: template(f"{name}.html.jinja", home="amtl_cvx.amtl").render(about) for name in places}


def graph_pictures(graph: TransferGraph) -> list[Picture]:
    """The graph as a heatmap, and as nodes and arrows."""
    words = graph.describe()
    bars, order = "Bars: what each task gives, and its loss.", "Tasks clockwise in their order."
    return [
        embedded(heatmap(graph), f"Heatmap of B, {ORIENTATION}. {words}", bars),
        embedded(node_link(graph), f"The graph as nodes and arrows. {words}", order),
    ]


def truth_picture(graph: TransferGraph, truth_B: ArrayLike) -> Picture:
    """The graph beside the planted one."""
    words = "The estimated graph beside the planted truth, with hits, misses and false edges"
    return embedded(truth_figure(graph, truth_B), words, f"{words}.")


def edge_rows(graph: TransferGraph) -> list[dict[str, Any]]:
    """The strongest edges, each with its share of what its target takes."""
    incoming = graph.incoming
    return [
        {
            "source": graph.names[s],
            "target": graph.names[t],
            "weight": weight,
            "share": abs(weight) / float(incoming[t]),
        }
        for s, t, weight in graph.edges[:MAX_ROWS]
    ]
