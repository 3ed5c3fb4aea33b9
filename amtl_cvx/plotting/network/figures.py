"""Figures of a network: its first layer as images, its kinks, its losses by task."""

from __future__ import annotations

from matplotlib.figure import Figure

from amtl_cvx.plotting.canvas import number, side_by_side
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.plotting.features.images import Tile, TilesPanel
from amtl_cvx.plotting.features.raster import Imaging, Mapped
from amtl_cvx.plotting.network.kinks import KinksPanel
from amtl_cvx.plotting.network.losses import LossesPanel
from amtl_cvx.plotting.network.near import NearPanel
from amtl_cvx.plotting.network.shown import Shown

_TITLE = 90  # letters


@own_settings()
def kinks_figure(shown: Shown, *, title: str | None = None) -> Figure:
    """The active kinks of every layer, and how near the other units come to theirs (`kinks.png`)."""
    return side_by_side([KinksPanel(shown), NearPanel(shown)], title, longest=_TITLE)


@own_settings()
def losses_figure(shown: Shown, *, title: str | None = None) -> Figure:
    """The loss of every task beside its rows, the price of its feedback and what it gives."""
    return side_by_side([LossesPanel(shown)], title, longest=_TITLE)


@own_settings()
def layer_images(shown: Shown, raster: Imaging, *, title: str | None = None) -> Figure:
    """What the units of the first layer read, as images."""
    first, names, live = shown.weights[0], shown.names(0), shown.live(0)
    tiles = [
        Tile(
            raster.image(first[:, unit]),
            names[unit] if live[unit] else f"{names[unit]}  dead",
            f"on {number(100.0 * float(shown.on[0][unit]) / max(shown.rows, 1))} %" if live[unit] else "",
            bool(live[unit]),
        )
        for unit in range(first.shape[1])
    ]
    what = (
        "columns of W1 taken back to pixels"
        if isinstance(raster, Mapped)
        else "columns of W1 at their pixels"
    )
    lines = [
        f"{what}; blue above 0, red below, each to its own largest entry",
        "under each: on how many of the rows it is on",
    ]
    heading = (
        "The features as images" if len(shown.weights) == 1 else "The units of the first layer as images"
    )
    return side_by_side([TilesPanel(tiles, heading, lines)], title, longest=_TITLE)
