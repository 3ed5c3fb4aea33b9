"""Who gives feedback: ||a_t||_1 of every task against its loss.

The claim of the paper is that tasks with a low loss, the reliable ones, shape the features. The loss is in
the price p_t of feedback, so that a fall with the loss is what the model asks for; how far it goes is what
the picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    LINE,
    MUTED,
    Canvas,
    heading_height,
    heading_width,
    shortened,
    text_width,
)

_GREY = "#9aa5b1"
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FeedbackPanel:
    """The scatter with names; tasks that give nothing are grey."""

    graph: FeatureGraph

    title = "Who gives feedback"

    @property
    def losses(self) -> Array:
        found = self.graph.losses
        return np.zeros(self.graph.T) if found is None else found

    @property
    def lines(self) -> list[str]:
        gives, T = self.graph.giving, self.graph.T
        givers = int(np.count_nonzero(gives))
        lines = [
            f"a mark a task: its loss, and the feedback that it gives, ||a_t||_1; {givers} of {T} give any"
            if givers
            else "no task gives feedback: A = 0"
        ]
        agreement = rank_correlation(self.losses, gives)
        if agreement is not None:
            lines.append(f"rank correlation of loss and feedback (Spearman): {agreement:+.2f}")
        left = T - len(self._named())
        if left:
            lines.append(f"without its name, for want of room: {left} of {T} marks")
        return lines

    @property
    def margin(self) -> float:
        """Room left of the axes."""
        return 0.75

    @property
    def width(self) -> float:
        return max(self.margin + self.side[0] + 0.2, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.15 + self.side[1] + 0.6

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        axes = canvas.axes(left + self.margin, top + heading_height(self.lines) + 0.15, *self.side)
        axes.set_label("feedback")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(True)
            axes.spines[side].set_color(LINE)
        gives = self.graph.giving
        axes.set(xlim=self.limits[0], ylim=self.limits[1])
        axes.scatter(self.losses, gives, s=26, color=[BLUE if g else _GREY for g in gives],
                     edgecolor="white", linewidth=0.6, zorder=3, clip_on=False)  # fmt: skip
        for set_ticks, (low, high) in zip((axes.set_xticks, axes.set_yticks), self.limits, strict=True):
            set_ticks([tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high])
        axes.ticklabel_format(useOffset=False, scilimits=(-3, 4))
        axes.set_xlabel("loss of the task", size=BODY, color=INK)
        axes.set_ylabel("feedback given, ||a_t||_1", size=BODY, color=INK)
        axes.grid(color="#e6eaee", linewidth=0.6)
        axes.set_axisbelow(True)
        self._names(axes)

    @property
    def side(self) -> tuple[float, float]:
        """Width and height of the axes."""
        return (4.6, 3.1) if self.graph.T <= 25 else (6.4, 4.4)

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of both axes, from 0 where nothing is below."""
        found = []
        for values in (self.losses, self.graph.giving):
            low, high = min(float(values.min()), 0.0), float(values.max())
            span = high - low or 1.0
            found.append((low - 0.04 * span, low + 1.12 * span))
        return found[0], found[1]

    @property
    def _labels(self) -> list[str]:
        return [shortened(name, 18) for name in self.graph.tasks]

    def _named(self) -> dict[int, Box]:
        """The names that have room, those of the largest givers first: boxes in inches within the axes."""
        places = [self._inches(t) for t in range(self.graph.T)]
        marks = [(x - 0.05, y - 0.05, x + 0.05, y + 0.05) for x, y in places]
        sizes = [(text_width([label], BODY - 1), 0.13) for label in self._labels]
        found: dict[int, Box] = {}
        for t in np.lexsort((self.losses, -self.graph.giving)):
            x, y = places[t]
            for box in _around(x, y, *sizes[t]):
                others = [mark for s, mark in enumerate(marks) if s != t]
                within = box[0] >= 0 and box[2] <= self.side[0] and box[1] >= 0 and box[3] <= self.side[1]
                if within and not any(_meet(box, other) for other in [*found.values(), *others]):
                    found[int(t)] = box
                    break
        return found

    def _inches(self, t: int) -> tuple[float, float]:
        at = []
        for values, side, (low, high) in zip(
            (self.losses, self.graph.giving), self.side, self.limits, strict=True
        ):
            at.append(float((values[t] - low) / (high - low) * side))
        return at[0], at[1]

    def _names(self, axes: Axes) -> None:
        for t, box in self._named().items():
            middle = ((box[0] + box[2]) / 2 / self.side[0], (box[1] + box[3]) / 2 / self.side[1])
            color = INK if self.graph.giving[t] else MUTED
            axes.text(*middle, self._labels[t], transform=axes.transAxes, ha="center", va="center",
                      size=BODY - 1, color=color, parse_math=False)  # fmt: skip


def rank_correlation(a: Array, b: Array) -> float | None:
    """Spearman's rank correlation, ties by their mean rank; None where one of them is constant."""
    ranks = [_ranks(values) for values in (a, b)]
    first, second = (rank - rank.mean() for rank in ranks)
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float(first @ second) / size if size > 0.0 else None


def _ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place])


def _around(x: float, y: float, wide: float, high: float) -> Sequence[Box]:
    """Places of a name beside its mark: right, left, above, below, and the corners."""
    gap = 0.08
    right, left = (x + gap, x + gap + wide), (x - gap - wide, x - gap)
    middle, level = (x - wide / 2, x + wide / 2), (y - high / 2, y + high / 2)
    above, below = (y + gap, y + gap + high), (y - gap - high, y - gap)
    pairs = [(right, level), (left, level), (middle, above), (middle, below)]
    pairs += [(across, up) for up in (above, below) for across in (right, left)]
    return [(across[0], up[0], across[1], up[1]) for across, up in pairs]


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] + 0.04 and b[0] < a[2] + 0.04 and a[1] < b[3] and b[1] < a[3]
