"""Learned graphs side by side, and how often each edge is there.

One matrix a contender that learns a graph, in one scale of colours: B of a part or the mean over all, or the
share of parts on which an edge is there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from amtl_cvx.arrays import Array
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.comparing import Comparison
from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting.canvas import (
    EDGE_COLORS,
    INK,
    SMALLEST,
    Canvas,
    edge_scale,
    heading_height,
    heading_width,
    shortened,
)
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.matrix import Grid

_PAD, _BETWEEN, _MOST, _A_ROW = 0.25, 0.4, 3.6, 3  # inches, and matrices beside each other
_COUNTED_UP_TO = 20  # tasks up to which cells carry their number of parts


@own_settings()
def compared_graphs(comparison: Comparison, *, part: str | None = None, title: str | None = None) -> Figure:
    """The graphs of all contenders that learn one: of a part, or the mean over parts.

    Raises
    ------
    DataError
        Where no contender has learned an edge.
    """
    stable = {each: found for each in comparison.contenders if (found := comparison.stability(each))}
    if not stable:
        raise DataError("no graph to draw: no contender has learned an edge")
    place = None if part is None else comparison.parts.index(part)
    graphs = {each: found.mean if place is None else found.graphs[place] for each, found in stable.items()}
    count = len(comparison.parts)
    which = f"part {part}" if part else (f"mean over {count} parts" if count > 1 else "")
    lines = {
        each: [f"{int((B != 0).sum())} edges" + (f" of the {which}" if which else "")]
        for each, B in graphs.items()
    }
    entries = np.concatenate([B.ravel() for B in graphs.values()])
    colors = edge_scale(entries[entries != 0])
    head = ("Learned graphs", ["one scale of colours"] if len(graphs) > 1 else [])
    figure, cells = _figure(comparison, graphs, lines, colors, head=head, bar="B[s, t]", title=title)
    strongest = max(float(np.abs(each).max()) for each in graphs.values())
    for contender, axes in cells.items():
        graph = TransferGraph(B=_off_diagonal(graphs[contender]), names=comparison.tasks, signed=True)
        Grid(comparison.tasks, _MOST).annotate(axes, graph, strongest=strongest)
    return figure


@own_settings()
def stability_figure(comparison: Comparison, *, title: str | None = None) -> Figure:
    """On which share of the parts each edge is there.

    Raises
    ------
    DataError
        For one part, and where no contender has learned an edge.
    """
    stable = {each: found for each in comparison.contenders if (found := comparison.stability(each))}
    if len(comparison.parts) < 2 or not stable:
        raise DataError("edges are stable or not over several parts, and where some are learned")
    lines = {
        each: [
            f"{found.always} edges on all {found.parts} parts, {found.ever} on some",
            f"two parts share {found.agreement:.0%} of them, {found.likeness:.0%} by weight",
        ]
        for each, found in stable.items()
    }
    colors = ScalarMappable(norm=Normalize(0.0, 1.0), cmap=EDGE_COLORS)
    colors.set_array([])
    shares = {each: found.share for each, found in stable.items()}
    count, few = len(comparison.parts), len(comparison.tasks) <= _COUNTED_UP_TO
    head = ("Stable edges", [f"shade{' and number' * few}: on how many of the {count} parts each is there"])
    figure, cells = _figure(comparison, shares, lines, colors, head=head, bar="share of parts", title=title)
    for contender, axes in cells.items() if few else ():
        for s, t in np.argwhere(shares[contender] > 0):
            share = shares[contender][s, t]
            axes.text(t, s, f"{share * count:.0f}", ha="center", va="center", size=SMALLEST + 1,
                      color="white" if share > 0.45 else INK)  # fmt: skip
    return figure


def _figure(
    comparison: Comparison,
    matrices: Mapping[str, Array],
    lines: Mapping[str, list[str]],
    colors: ScalarMappable,
    *,
    head: tuple[str, list[str]],
    bar: str,
    title: str | None,
) -> tuple[Figure, dict[str, Axes]]:
    """Matrices in rows of three under a heading, and the axes of each."""
    grid = Grid(comparison.tasks, _MOST)
    titles = {each: shortened(comparison.titles[each], 30) for each in matrices}
    pitch = max(grid.side, max(heading_width(titles[each], lines[each]) for each in matrices)) + _BETWEEN
    across = min(len(matrices), _A_ROW)
    banner = shortened(f"{title}: {head[0].lower()}" if title else head[0], 100)
    about = [ORIENTATION, *head[1]]
    top = _PAD + heading_height(about) + 0.1
    over = max(heading_height(lines[each]) for each in matrices) + 0.1
    down = over + grid.side + grid.margin + 0.3
    rows = -(-len(matrices) // across)
    width = max(grid.margin + pitch * across, heading_width(banner, about))
    canvas = Canvas(width + 2 * _PAD, top + down * rows + 0.35 + _PAD)
    canvas.heading(_PAD, _PAD, banner, about)
    cells: dict[str, Axes] = {}
    for number, (contender, B) in enumerate(matrices.items()):
        row, column = divmod(number, across)
        left, up = _PAD + grid.margin + column * pitch, top + row * down
        canvas.heading(left, up, titles[contender], lines[contender])
        axes = cells[contender] = canvas.axes(left, up + over, grid.side, grid.side)
        axes.set_label(f"{bar} of {contender}")
        grid.draw(axes, _off_diagonal(B), rows=column == 0, colors=colors)
    canvas.colorbar((_PAD + grid.margin, top + down * rows), colors, bar)
    return canvas.figure, cells


def _off_diagonal(B: Array) -> Array:
    return np.where(np.eye(len(B), dtype=bool), 0.0, B)
