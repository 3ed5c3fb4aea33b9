"""The features as images: columns of L where the inputs are pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize

from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting.canvas import (
    BODY,
    HATCH,
    INK,
    MUTED,
    Canvas,
    heading_height,
    heading_width,
    number,
)
from amtl_cvx.plotting.features.raster import Raster

PIXEL_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "pixels", ["#4d0a25", "#a8325f", "#e3a8bd", "#ffffff", "#a3cce8", "#1f6fae", "#0b2f5c"]
)
"""Red below 0 and blue above, as of signed edges, through white."""
_TILE, _GAP, _WORDS, _ACROSS = 1.05, 0.22, 0.42, 8


@dataclass(frozen=True)
class ImagesPanel:
    """A tile a feature, in their order."""

    graph: FeatureGraph
    raster: Raster

    title = "The features as images"

    @property
    def lines(self) -> list[str]:
        return [
            "columns of L at their pixels; blue above 0, red below, each to its own largest entry",
            "under each: its length ||L_j||, and how many tasks use it",
        ]

    @property
    def across(self) -> int:
        return min(self.graph.k, _ACROSS)

    @property
    def tile(self) -> tuple[float, float]:
        """Width and height of an image."""
        rows, columns = self.raster.rows, self.raster.columns
        longest = max(rows, columns)
        return max(_TILE * columns / longest, 0.3), max(_TILE * rows / longest, 0.3)

    @property
    def pitch(self) -> tuple[float, float]:
        """From one tile to the next: the words under it must not meet those of the next."""
        return max(self.tile[0], 1.05) + _GAP, self.tile[1] + _WORDS + 0.15

    @property
    def width(self) -> float:
        return max(self.across * self.pitch[0], heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.3 + math.ceil(self.graph.k / self.across) * self.pitch[1] + 0.35

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.3
        users = np.count_nonzero(self.graph.S, axis=1)
        for j in range(self.graph.k):
            row, column = divmod(j, self.across)
            at = (left + column * self.pitch[0], top + row * self.pitch[1])
            self._tile(canvas, at, j, int(users[j]))
        below = top + math.ceil(self.graph.k / self.across) * self.pitch[1]
        bar = ScalarMappable(norm=Normalize(-1.0, 1.0), cmap=PIXEL_COLORS)
        bar.set_array([])
        canvas.colorbar((left, below), bar, "share of the largest")

    def _tile(self, canvas: Canvas, place: tuple[float, float], j: int, users: int) -> None:
        image = self.raster.image(self.graph.L[:, j])
        full = float(np.abs(image).max())
        axes = canvas.axes(*place, *self.tile)
        axes.set(xticks=[], yticks=[], label=f"image {j}")
        axes.imshow(
            image,
            cmap=PIXEL_COLORS,
            vmin=-(full or 1.0),
            vmax=full or 1.0,
            interpolation="nearest",
            aspect="auto",
        )
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set(color=HATCH, linewidth=0.6)
        live = bool(self.graph.live[j])
        below = place[1] + self.tile[1] + 0.05
        length = number(float(self.graph.lengths[j])) if live else "dead"
        canvas.text(
            place[0], below, f"{self.graph.names[j]}  {length}", color=INK if live else MUTED, size=BODY
        )
        if live:
            words = f"{users} task" + "s" * (users != 1)
            canvas.text(place[0], below + 0.16, words, color=MUTED, size=BODY - 1)
