"""Figures of a comparison: errors and gains with their intervals, gain by task, graphs, stable edges."""

from amtl_cvx.plotting.comparing.errors import errors_figure
from amtl_cvx.plotting.comparing.gains import gains_figure
from amtl_cvx.plotting.comparing.graphs import compared_graphs, stability_figure

__all__ = ["compared_graphs", "errors_figure", "gains_figure", "stability_figure"]
