"""Active kinks by layer: which units on which rows are exactly 0, and whether J holds them there.

Above, how many rows hold each unit on its kink, by what holds it; in the middle, on which share of the rows
it is on; below, a mark a kink, rows from top to bottom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from amtl_cvx.arrays import Array
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    INK,
    LINE,
    MUTED,
    ORANGE,
    POINTS,
    SMALLEST,
    VOID,
    Canvas,
    heading_height,
    heading_width,
    text_width,
    thinning,
)
from amtl_cvx.plotting.network.shown import Shown, states

STATES = (
    ("held, 0 < theta < w", BLUE),
    ("at an end, theta 0 or w", ORANGE),
    ("concave, w < 0", CRIMSON),
    ("theta not sought", "#9aa5b1"),
)
_BARS, _SHARE, _MAP, _GAP, _BETWEEN = 1.0, 0.45, 2.6, 0.18, 0.4  # inches
_NARROWEST, _WIDEST = 1.6, 5.5
_NUMBERS_UP_TO = 12


@dataclass(frozen=True)
class KinksPanel:
    """The layers beside each other."""

    shown: Shown

    title = "Active kinks by layer"

    @property
    def lines(self) -> list[str]:
        kinks, found = self.shown.kinks, states(self.shown.kinks)
        every = self.shown.rows * sum(self.shown.widths)
        held, ended, concave, unknown = ((found == state).sum() for state in range(4))
        told = f"{held} held, {ended} at an end of [0, w], {concave} concave"
        if unknown:
            told = f"of {unknown} it was not sought what holds them, for want of memory"
        return [
            f"units at u = 0: {len(kinks)} of {every} ({self.shown.rows} rows times {sum(self.shown.widths)}"
            f" units); {told}",
            "J has a corner there and no gradient; where 0 <= theta <= w it falls to no side, to first order",
        ]

    @property
    def margin(self) -> float:
        """Room for the words left of the first layer."""
        return text_width(["share of", "rows on", f"{self.shown.rows}"], BODY) + 0.12

    def wide(self, layer: int) -> float:
        """Width of the axes of a layer."""
        return min(max(0.3 * self.shown.widths[layer], _NARROWEST), _WIDEST)

    @property
    def width(self) -> float:
        layers = range(len(self.shown.weights))
        body = self.margin + sum(self.wide(layer) + _BETWEEN for layer in layers) - _BETWEEN
        return max(body, heading_width(self.title, self.lines), self._legend_width)

    @property
    def height(self) -> float:
        body = _BARS + _SHARE + _MAP + 2 * _GAP
        return heading_height(self.lines) + 0.3 + 0.3 + body + 0.45

    @property
    def _legend_width(self) -> float:
        return sum(text_width([words], BODY) + 0.45 for words, _ in self._told)

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines)
        self._legend(canvas, left, top)
        top += 0.6
        counts = [self._counts(layer) for layer in range(len(self.shown.weights))]
        most = max(1.0, *(float(count.sum(axis=0).max()) for count in counts))
        middle = top + _BARS + _GAP
        canvas.text(left, middle + 0.02, "share of")
        canvas.text(left, middle + 0.17, "rows on")
        canvas.text(left, top + _BARS / 2 - 0.07, "kinks")
        canvas.text(left, middle + _SHARE + _GAP + _MAP / 2 - 0.07, "rows")
        at = left + self.margin
        for layer, count in enumerate(counts):
            wide = self.wide(layer)
            bars = canvas.axes(at, top, wide, _BARS)
            share = canvas.axes(at, middle, wide, _SHARE)
            places = canvas.axes(at, middle + _SHARE + _GAP, wide, _MAP)
            self._bars(bars, layer, count, most)
            self._share(share, layer)
            self._places(places, layer, first=layer == 0)
            at += wide + _BETWEEN

    @property
    def _told(self) -> list[tuple[str, str]]:
        """What the legend explains."""
        unknown = bool((states(self.shown.kinks) == 3).any())
        return [each for state, each in enumerate(STATES) if state < 3 or unknown]

    def _legend(self, canvas: Canvas, left: float, top: float) -> None:
        for words, color in self._told:
            axes = canvas.axes(left, top + 0.03, 0.12, 0.1)
            axes.set(xticks=[], yticks=[], facecolor=color)
            canvas.text(left + 0.18, top, words)
            left += text_width([words], BODY) + 0.45

    def _counts(self, layer: int) -> Array:
        """Kinks of each unit by state, (4, k)."""
        kinks = self.shown.of_layer(layer)
        found, units = states(kinks), kinks[:, 2].astype(int)
        return np.array(
            [
                np.bincount(units[found == state], minlength=self.shown.widths[layer])
                for state in range(len(STATES))
            ],
            dtype=float,
        )

    def _bars(self, axes: Axes, layer: int, counts: Array, most: float) -> None:
        k, base = self.shown.widths[layer], np.zeros(self.shown.widths[layer])
        axes.set_label(f"kinks of layer {layer + 1}")
        number = f"layer {layer + 1}: " if len(self.shown.weights) > 1 else ""
        axes.set_title(f"{number}{int(counts.sum())} kinks", fontsize=BODY, color=INK, loc="left", pad=4)
        for (_, color), count in zip(STATES, counts, strict=True):
            axes.bar(np.arange(k), count, bottom=base, width=0.72, color=color, linewidth=0)
            base = base + count
        axes.set(xlim=(-0.5, k - 0.5), ylim=(0.0, 1.18 * most), xticks=[], yticks=[])
        axes.axhline(0.0, color=MUTED, linewidth=0.6)
        if k <= _NUMBERS_UP_TO:
            for unit, total in enumerate(base):
                axes.annotate(f"{int(total)}", (unit, total), (0, 1), textcoords="offset points",
                              ha="center", va="bottom", size=BODY - 1, color=MUTED)  # fmt: skip

    def _share(self, axes: Axes, layer: int) -> None:
        k = self.shown.widths[layer]
        axes.set_label(f"share on, layer {layer + 1}")
        axes.bar(np.arange(k), np.ones(k), width=0.72, color=VOID, linewidth=0)
        axes.bar(np.arange(k), self.shown.on[layer] / max(self.shown.rows, 1), width=0.72, color="#9aa5b1")
        axes.set(xlim=(-0.5, k - 0.5), ylim=(0.0, 1.0), xticks=[], yticks=[])

    def _places(self, axes: Axes, layer: int, *, first: bool) -> None:
        """A mark a kink, and the names of the units below."""
        k, kinks, rows = self.shown.widths[layer], self.shown.of_layer(layer), self.shown.rows
        axes.set_label(f"rows of layer {layer + 1}")
        axes.set_facecolor(VOID)
        pitch = self.wide(layer) / k
        found = states(kinks)
        for state, (_, color) in enumerate(STATES):
            at = kinks[found == state]
            axes.scatter(at[:, 2], at[:, 1], marker="_", s=(0.72 * pitch * POINTS) ** 2, color=color,
                         linewidth=1.1)  # fmt: skip
        axes.vlines(np.arange(0.5, k - 0.5), -0.5, rows - 0.5, color="white", linewidth=0.6, zorder=0)
        axes.set(xlim=(-0.5, k - 0.5), ylim=(rows - 0.5, -0.5))
        axes.set_yticks(
            [0, rows - 1] if first and rows > 1 else [], ["1", f"{rows}"] if first and rows > 1 else []
        )
        names, live = self.shown.names(layer), self.shown.live(layer)
        size = min(max(0.5 * pitch * POINTS, SMALLEST), BODY)
        step = max(thinning(pitch, size), int(np.ceil(text_width(list(names), size) * 1.15 / pitch)))
        places = np.arange(0, k, step)
        axes.set_xticks(places, [names[unit] for unit in places], fontsize=size)
        for tick, unit in zip(axes.get_xticklabels(), places, strict=True):
            tick.set_color(INK if live[unit] else MUTED)
        axes.axhline(rows - 0.5, color=LINE, linewidth=0.6)
