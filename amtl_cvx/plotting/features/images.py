"""Weights as images, where the inputs are pixels or can be taken back to pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize

from amtl_cvx.arrays import Array
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
    text_width,
)
from amtl_cvx.plotting.features.raster import Imaging

PIXEL_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "pixels", ["#4d0a25", "#a8325f", "#e3a8bd", "#ffffff", "#a3cce8", "#1f6fae", "#0b2f5c"]
)
"""Red below 0 and blue above, as of signed edges, through white."""
_TILE, _GAP, _WORDS, _ACROSS = 1.05, 0.22, 0.42, 8


class Tile(NamedTuple):
    """An image with two short lines under it; where it is not `live` it is named in grey."""

    image: Array
    name: str
    words: str
    live: bool = True


@dataclass(frozen=True)
class TilesPanel:
    """Images in rows, each in colours up to its own largest entry."""

    tiles: Sequence[Tile]
    title: str
    lines: Sequence[str]

    @property
    def across(self) -> int:
        return min(len(self.tiles), _ACROSS)

    @property
    def tile(self) -> tuple[float, float]:
        """Width and height of an image."""
        rows, columns = self.tiles[0].image.shape
        longest = max(rows, columns)
        return max(_TILE * columns / longest, 0.3), max(_TILE * rows / longest, 0.3)

    @property
    def pitch(self) -> tuple[float, float]:
        """From one tile to the next: the words under it must not meet those of the next."""
        names = text_width([tile.name for tile in self.tiles], BODY)
        words = text_width([tile.words for tile in self.tiles], BODY - 1)
        return max(self.tile[0], 1.05, names, words) + _GAP, self.tile[1] + _WORDS + 0.15

    @property
    def rows(self) -> int:
        return math.ceil(len(self.tiles) / self.across)

    @property
    def width(self) -> float:
        return max(self.across * self.pitch[0], heading_width(self.title, self.lines), 3.2)

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.3 + self.rows * self.pitch[1] + 0.35

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.3
        for place, tile in enumerate(self.tiles):
            row, column = divmod(place, self.across)
            self._draw(canvas, (left + column * self.pitch[0], top + row * self.pitch[1]), place, tile)
        bar = ScalarMappable(norm=Normalize(-1.0, 1.0), cmap=PIXEL_COLORS)
        bar.set_array([])
        canvas.colorbar((left, top + self.rows * self.pitch[1]), bar, "share of the largest")

    def _draw(self, canvas: Canvas, at: tuple[float, float], place: int, tile: Tile) -> None:
        full = float(np.abs(tile.image).max()) or 1.0
        axes = canvas.axes(*at, *self.tile)
        axes.set(xticks=[], yticks=[], label=f"image {place}")
        axes.imshow(
            tile.image, cmap=PIXEL_COLORS, vmin=-full, vmax=full, interpolation="nearest", aspect="auto"
        )
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set(color=HATCH, linewidth=0.6)
        below = at[1] + self.tile[1] + 0.05
        canvas.text(at[0], below, tile.name, color=INK if tile.live else MUTED, size=BODY)
        canvas.text(at[0], below + 0.16, tile.words, color=MUTED, size=BODY - 1)


def feature_tiles(graph: FeatureGraph, raster: Imaging) -> TilesPanel:
    """The columns of L, a tile a feature, in their order."""
    users = np.count_nonzero(graph.S, axis=1)
    tiles = [
        Tile(
            raster.image(graph.L[:, j]),
            f"{name}  {number(float(graph.lengths[j])) if graph.live[j] else 'dead'}",
            f"{users[j]} task{'' if users[j] == 1 else 's'}" if graph.live[j] else "",
            bool(graph.live[j]),
        )
        for j, name in enumerate(graph.names)
    ]
    lines = [
        f"columns of {graph.letters[0]} at their pixels; blue above 0, red below, each to its own largest"
        " entry",
        f"under each: its length ||{graph.letters[0]}_j||, and how many tasks use it",
    ]
    return TilesPanel(tiles, "The features as images", lines)
