"""Features by themselves: how far the reconstruction is off each, who shapes it and how much it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    MUTED,
    ORANGE,
    POINTS,
    SMALLEST,
    Canvas,
    heading_height,
    heading_width,
    number,
    text_width,
    thinning,
)

_PART, _BETWEEN, _TALLEST = 2.0, 0.75, 7.5
_PALE = "#c3ddf0"


@dataclass(frozen=True)
class RebuiltPanel:
    """A row a feature, bars in columns."""

    graph: FeatureGraph

    title = "Feature by feature"

    @property
    def lines(self) -> list[str]:
        notes = []
        if self.graph.errors is not None:
            notes.append(
                f"||E_j||, the reconstruction error E = {self.graph.missed}, of ||Z_j||; the number:"
                " their ratio"
            )
        feedback = "feedback: sum of |A[t, j]| over the tasks; " if self.graph.A is not None else ""
        notes.append(f"{feedback}use: sum of |{self.graph.letters[1]}[j, t]| over the tasks")
        if not self.graph.live.all():
            notes.append("grey names: dead features")
        return notes

    @property
    def parts(self) -> list[str]:
        parts = (
            [] if self.graph.errors is None or self.graph.sizes is None else ["||E_j|| (orange) of ||Z_j||"]
        )
        return [*parts, *(["feedback received"] if self.graph.A is not None else []), "use by all tasks"]

    @property
    def tall(self) -> float:
        return min(max(0.3 * self.graph.k, 0.5), _TALLEST)

    @property
    def pitch(self) -> float:
        return self.tall / self.graph.k

    @property
    def font(self) -> float:
        return min(max(0.6 * self.pitch * POINTS, SMALLEST), BODY)

    @property
    def step(self) -> int:
        return thinning(self.pitch, self.font)

    @property
    def margin(self) -> float:
        return text_width(list(self.graph.names), self.font) + 0.1

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
        for place, name in enumerate(self.parts):
            axes = canvas.axes(left + place * (_PART + _BETWEEN), top, _PART, self.tall)
            axes.set_label(name)
            axes.set_title(name, fontsize=BODY, color=INK, loc="left", pad=6)
            axes.set(xticks=[], yticks=[], ylim=(self.graph.k - 0.5, -0.5))
            axes.axvline(0.0, color=MUTED, linewidth=0.6)
            if place == 0:
                self._names(axes)
            if name.startswith("||E"):
                self._errors(axes)
            else:
                self._bars(axes, self.graph.receiving if name.startswith("feedback") else self.graph.serving)

    def _names(self, axes: Axes) -> None:
        at = np.arange(0, self.graph.k, self.step)
        axes.set_yticks(at, [self.graph.names[j] for j in at], fontsize=self.font)
        for tick, j in zip(axes.get_yticklabels(), at, strict=True):
            tick.set_color(INK if self.graph.live[j] else MUTED)

    def _errors(self, axes: Axes) -> None:
        """A pale bar for Z_j, a thin one on it for E_j, and what part of it that is."""
        sizes, errors = self.graph.sizes, self.graph.errors
        assert sizes is not None and errors is not None
        rows = np.arange(self.graph.k)
        axes.barh(rows, sizes, height=0.74, color=_PALE, edgecolor=MUTED, linewidth=0.3)
        axes.barh(rows, errors, height=0.34, color=ORANGE, edgecolor=MUTED, linewidth=0.3)
        ends = np.maximum(sizes, errors)
        shares = [
            number(float(e / z)) if z > 0 else "\N{EN DASH}" for e, z in zip(errors, sizes, strict=True)
        ]
        self._numbers(axes, ends, shares)

    def _bars(self, axes: Axes, values: Array) -> None:
        axes.barh(np.arange(self.graph.k), values, height=0.74, color=BLUE, edgecolor=MUTED, linewidth=0.3)
        self._numbers(axes, values, [number(float(value)) for value in values])

    def _numbers(self, axes: Axes, ends: Array, words: list[str]) -> None:
        axes.set_xlim(0.0, float(ends.max()) or 1.0)
        for row in range(self.graph.k) if self.step == 1 else ():
            axes.annotate(words[row], (float(ends[row]), row), (3, 0), textcoords="offset points",
                          va="center", size=min(self.font, 7.5), color=MUTED)  # fmt: skip
