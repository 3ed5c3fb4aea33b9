"""The pictures of a report, as PNG inside the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, NamedTuple

from numpy.typing import ArrayLike

from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting import convergence_figure, heatmap, node_link, truth_figure, write_png
from amtl_cvx.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 180


class Picture(NamedTuple):
    """An embedded figure; `width` in CSS pixels at its natural size."""

    uri: str
    alt: str
    caption: str
    width: int


def graph_pictures(graph: TransferGraph) -> list[Picture]:
    """The graph as a heatmap, and as nodes and arrows."""
    words = graph.describe()
    bars, order = "Bars: what each task gives, and its loss.", "Tasks clockwise in their order."
    return [
        _picture(heatmap(graph), f"Heatmap of B, {ORIENTATION}. {words}", bars),
        _picture(node_link(graph), f"The graph as nodes and arrows. {words}", order),
    ]


def convergence_picture(solution: Solution) -> Picture:
    """Objective and residuals over the steps."""
    figure = convergence_figure(solution.history, tol=solution.certificate.tol)
    words = f"Objective and residuals over the {len(solution.history)} steps of the run"
    return _picture(figure, words, f"{words}. Hollow marks on the lowest line are zeros.")


def truth_picture(graph: TransferGraph, truth_B: ArrayLike) -> Picture:
    """The graph beside the planted one."""
    words = "The estimated graph beside the planted truth, with hits, misses and false edges"
    return _picture(truth_figure(graph, truth_B), words, f"{words}.")


def _picture(figure: Figure, alt: str, caption: str) -> Picture:
    buffer = io.BytesIO()
    write_png(figure, buffer, dpi=_DPI)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, alt, caption, width=round(96 * figure.get_figwidth()))
