"""The figure of a tuning (`heatmap.png`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from amtl_cvx.plotting.canvas import Canvas, Panel, shortened, side_by_side
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.tuning.lines import LinePanel, line_names
from amtl_cvx.plotting.tuning.maps import MapPanel
from amtl_cvx.plotting.tuning.reading import pairs

if TYPE_CHECKING:
    from amtl_cvx.experiment.tuning import Tuning

MAX_MAPS = 3
"""How many pairs of parameters have a map."""


@own_settings()
def tuning_figure(tuning: Tuning, *, title: str | None = None) -> Figure:
    """The least error by each pair of parameters, and the error against rounds or against the only one."""
    found = pairs(tuning)
    panels: list[Panel] = [MapPanel(tuning, *pair) for pair in found[:MAX_MAPS]]
    panels += [LinePanel(tuning, name) for name in line_names(tuning)]
    if len(found) > MAX_MAPS:
        title = f"{title or 'Tuning'}: {MAX_MAPS} of {len(found)} pairs of parameters"
    if panels:
        return side_by_side(panels, title, longest=90)
    canvas = Canvas(6.0, 1.1)
    words = f"one point was tried: {tuning.measure} {tuning.chosen.mean:.5g}"
    canvas.heading(0.25, 0.25, shortened(title or "Tuning", 60), [words])
    return canvas.figure
