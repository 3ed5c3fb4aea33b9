"""What many starts reached: J, hits and error of each point, and what the family draws of the best few."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from amtl_cvx.errors import DataError
from amtl_cvx.explore import Landscape, exploration_of
from amtl_cvx.plotting.canvas import HEADING, Canvas, shortened, text_width
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.points import SIDE, Scatter, Table

_PAD, _BETWEEN = 0.25, 0.35  # inches


@own_settings()
def landscape_figure(landscape: Landscape, *, title: str | None = None) -> Figure:
    """The points by J with hits and validation error, J against error, and the graphs of the best few.

    Raises
    ------
    DataError
        If no start was fitted.
    """
    if not landscape.points:
        return _nothing(landscape, title)
    top = _PAD if title is None else _PAD + 0.45
    table, graphs = Table(landscape), _matrices(landscape)
    scatter = landscape.error_name is not None and len(landscape.points) > 1
    upper = table.width + (_BETWEEN + 0.35 + 0.7 + SIDE if scatter else 0.0)
    banner = None if title is None else shortened(title, 90)
    width = max(
        upper,
        graphs.width if graphs else 0.0,
        0.0 if banner is None else 1.1 * text_width([banner], HEADING + 3),
    )
    first = max(table.height, Scatter.height if scatter else 0.0)
    below = 0.35 + graphs.height if graphs else 0.0
    canvas = Canvas(width + 2 * _PAD, top + first + below + _PAD)
    if banner is not None:
        canvas.text(_PAD, _PAD, banner, size=HEADING + 3, weight="bold")
    table.draw(canvas, _PAD, top)
    if scatter:
        Scatter(landscape).draw(canvas, _PAD + table.width + _BETWEEN + 0.35, top)
    if graphs:
        graphs.draw(canvas, _PAD, top + first + 0.35)
    return canvas.figure


def _matrices(landscape: Landscape) -> Any:
    """What the family draws of the best few; None for nothing."""
    drawn = exploration_of(landscape.points[0].solution.model).matrices()
    return None if drawn is None else drawn(landscape)


def _nothing(landscape: Landscape, title: str | None) -> Figure:
    """A note in place of a picture: no result certified."""
    if not landscape.uncertified:
        raise DataError("nothing to draw: no start was fitted")
    canvas = Canvas(6.0, 1.1)
    lowest = landscape.uncertified[0].solution.objective
    words = f"{len(landscape.uncertified)} results, the lowest J {lowest:.8g}; none of them certified"
    canvas.heading(_PAD, _PAD, shortened(title or "First-order points", 60), [words])
    return canvas.figure
