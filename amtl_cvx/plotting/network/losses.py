"""Losses by task, beside how many rows each has, what feedback of it costs and what it gives.

The price of feedback is its loss: where all losses are alike, as those of a classifier on its training rows
are, it does not tell which tasks are reliable. Tasks stand by their number of rows, of classes against the
rest by those of the class, so that rare ones are below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    LOSS_COLORS,
    MUTED,
    POINTS,
    SMALLEST,
    Canvas,
    heading_height,
    heading_width,
    number,
    scale,
    shortened,
    text_width,
    thinning,
)
from amtl_cvx.plotting.network.shown import Shown

_PART, _BETWEEN, _TALLEST = 1.5, 0.65, 7.5
_GREY = "#9aa5b1"


@dataclass(frozen=True)
class LossesPanel:
    """A row a task, bars in columns."""

    shown: Shown

    title = "Losses by task"

    @property
    def order(self) -> Indices:
        """The tasks from the one with most rows to the rarest."""
        T = self.shown.graph.T
        if self.shown.labels is None:
            return np.arange(T)
        return np.argsort(-self.shown.labels[:, 1], kind="stable")

    @property
    def parts(self) -> list[tuple[str, Array]]:
        """The columns, for the tasks in their own order."""
        graph, labels = self.shown.graph, self.shown.labels
        found: list[tuple[str, Array]] = []
        if labels is not None:
            classes = (labels[:, 1] != labels[:, 0]).any()
            found.append(("rows of the class" if classes else "rows", labels[:, 1]))
        if graph.losses is not None:
            found.append(("loss", graph.losses))
        if graph.prices is not None:
            found.append(("price of feedback", graph.prices))
        return [*found, ("gives ||a_t||_1", graph.giving)]

    @property
    def lines(self) -> list[str]:
        lines = ["loss of each task on the rows of the fit, without its weight"]
        if self.shown.labels is not None:
            lines[0] += "; those with most rows first"
        if self.shown.graph.prices is not None:
            lines.append(
                "price: what one unit of feedback of the task costs, alpha times its loss and the floor"
            )
        return lines

    @property
    def tall(self) -> float:
        return min(max(0.28 * self.shown.graph.T, 0.5), _TALLEST)

    @property
    def font(self) -> float:
        return min(max(0.6 * self.tall / self.shown.graph.T * POINTS, SMALLEST), BODY)

    @property
    def step(self) -> int:
        return thinning(self.tall / self.shown.graph.T, self.font)

    @property
    def labels(self) -> list[str]:
        return [shortened(name, 22) for name in self.shown.graph.tasks]

    @property
    def margin(self) -> float:
        return text_width(self.labels, self.font) + 0.1

    @property
    def width(self) -> float:
        body = self.margin + len(self.parts) * (_PART + _BETWEEN)
        return max(body, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.35 + self.tall + 0.1

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.35
        left += self.margin
        for place, (name, values) in enumerate(self.parts):
            axes = canvas.axes(left + place * (_PART + _BETWEEN), top, _PART, self.tall)
            axes.set_label(name)
            axes.set_title(name, fontsize=BODY, color=INK, loc="left", pad=6)
            self._bars(axes, values[self.order], name)
            if place == 0:
                at = np.arange(0, self.shown.graph.T, self.step)
                names = [self.labels[self.order[row]] for row in at]
                axes.set_yticks(at, names, fontsize=self.font, parse_math=False)

    def _bars(self, axes: Axes, values: Array, name: str) -> None:
        T = len(values)
        colors = {"loss": list(scale(values, LOSS_COLORS).to_rgba(values)), "gives ||a_t||_1": BLUE}
        axes.barh(
            np.arange(T), values, height=0.74, color=colors.get(name, _GREY), edgecolor=MUTED, linewidth=0.3
        )
        low, high = min(0.0, float(values.min())), float(values.max(initial=0.0)) or 1.0
        axes.set(xlim=(low, high), ylim=(T - 0.5, -0.5), xticks=[], yticks=[])
        axes.axvline(0.0, color=MUTED, linewidth=0.6)
        for row in range(T) if self.step == 1 else ():
            text = f"{values[row]:.0f}" if name.startswith("rows") else number(float(values[row]))
            axes.annotate(text, (max(float(values[row]), 0.0), row), (3, 0), textcoords="offset points",
                          va="center", size=min(self.font, 7.5), color=MUTED)  # fmt: skip
