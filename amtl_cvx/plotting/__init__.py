"""Figures: the learned graph, how a run converged, a planted truth, what starts reached or a tuning tried.

Every function returns a `matplotlib.figure.Figure`, takes no path and leaves pyplot and its global state
alone; `write_png` writes one. Of the user's matplotlib settings only the families of fonts reach them.
Figures of a graph state their orientation, "row s -> column t: task s helps task t". Colours differ in
lightness too, so that they are told apart with any colour vision and in grey.

    >>> from amtl_cvx.plotting import graph_figure, write_png
    >>> write_png(graph_figure(solution.graph), "graph.png")

This package imports matplotlib; `import amtl_cvx` does not import this package.
"""

import amtl_cvx.plotting.environment  # noqa: F401  before anything imports matplotlib
from amtl_cvx.plotting.canvas import write_figure, write_png
from amtl_cvx.plotting.circle import MAX_EDGES
from amtl_cvx.plotting.convergence import convergence_figure
from amtl_cvx.plotting.figures import graph_figure, heatmap, node_link
from amtl_cvx.plotting.landscape import landscape_figure
from amtl_cvx.plotting.truth import truth_figure
from amtl_cvx.plotting.tuning import tuning_figure

__all__ = [
    "MAX_EDGES",
    "convergence_figure",
    "graph_figure",
    "heatmap",
    "landscape_figure",
    "node_link",
    "truth_figure",
    "tuning_figure",
    "write_figure",
    "write_png",
]
