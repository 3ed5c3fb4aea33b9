"""How near units come to their kinks: the sizes of u beside the terms it is summed from, by decade.

Stationarity in all directions is no continuous matter: a unit that is not on its kink but 1e-8 beside it has
one slope, and not every one between two. What lies between the kinks and the rest shows how wide units may be
moved onto their kinks (`snap`) before some are that belong beside them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Canvas,
    heading_height,
    heading_width,
)
from amtl_cvx.plotting.network.shown import DECADES, Shown

_LEFT, _WIDE, _TALL = 0.6, 4.2, 2.6  # inches
_APART = -2.6  # where the units on their kinks stand, in decades
_COLORS = (BLUE, ORANGE, CRIMSON, INK)


@dataclass(frozen=True)
class NearPanel:
    """A line a layer, the units on their kinks apart."""

    shown: Shown
    width_of_kinks: float = 1e-6

    title = "How near units come to their kinks"

    @property
    def lines(self) -> list[str]:
        return [
            "|u| over the sum of its terms in absolute values; on the left those that are exactly on a kink",
            f"dashed: kink_width {self.width_of_kinks:g}, within which arrays from elsewhere move onto it",
        ]

    @property
    def width(self) -> float:
        return max(_LEFT + _WIDE + 0.15, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.25 + _TALL + 0.6

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        axes = canvas.axes(left + _LEFT, top + heading_height(self.lines) + 0.25, _WIDE, _TALL)
        axes.set_label("near")
        axes.spines["bottom"].set(visible=True, color=LINE)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color="#e8ecf0", linewidth=0.8)
        layers = len(self.shown.weights)
        wide = 0.8 / layers
        largest = 1.0
        for layer, color in zip(range(layers), itertools.cycle(_COLORS)):
            on_kink = len(self.shown.of_layer(layer))
            counts = np.concatenate([[on_kink], self.shown.near[layer]]).astype(float)
            places = np.concatenate([[_APART], np.arange(DECADES)]) + (layer - (layers - 1) / 2) * wide
            axes.bar(places, counts, width=wide, color=color, linewidth=0, label=f"layer {layer + 1}")
            largest = max(largest, float(counts.max()))
        axes.set_yscale("symlog", linthresh=1.0)
        top_tick = int(np.ceil(np.log10(largest)))
        axes.set(xlim=(_APART - 0.7, DECADES - 0.4), ylim=(0.0, 1.6 * 10.0**top_tick))
        axes.set_yticks(
            [0, *(10**e for e in range(top_tick + 1))], ["0", *(f"{10**e}" for e in range(top_tick + 1))]
        )
        axes.set_yticks([], minor=True)
        ticks = np.arange(0, DECADES + 1, 4)
        axes.set_xticks([_APART, *(ticks - 0.5)], ["on", *(f"1e{tick - DECADES}" for tick in ticks)])
        axes.axvline(DECADES + np.log10(self.width_of_kinks) - 0.5, color=INK, linewidth=1.0,
                     linestyle=(0, (5, 3)))  # fmt: skip
        axes.axvline(_APART + 0.75, color=MUTED, linewidth=0.6)
        axes.set_xlabel("|u| / sum of |terms|", fontsize=BODY, color=INK)
        axes.set_ylabel("units times rows", fontsize=BODY, color=INK)
        if layers > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(0.12, 1.0), frameon=False, fontsize=BODY,
                        labelcolor=INK, borderaxespad=0, handlelength=1.0)  # fmt: skip
