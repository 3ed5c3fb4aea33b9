"""Figures of a network: what its first layer reads, which of its kinks are active, its losses by task.

Every function takes a `Shown`, arrays and names. Tasks and features of the last layer, with the arrows
between them, are drawn by `plotting.features`.
"""

from amtl_cvx.plotting.network.figures import kinks_figure, layer_images, losses_figure
from amtl_cvx.plotting.network.shown import DECADES, Shown

__all__ = ["DECADES", "Shown", "kinks_figure", "layer_images", "losses_figure"]
