"""The matrix view: A and S' side by side, tasks in rows; beside them what each task gives and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from amtl_cvx.arrays import Array
from amtl_cvx.bipartite import FEEDBACK, FeatureGraph
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    LOSS_COLORS,
    MUTED,
    POINTS,
    SMALLEST,
    VOID,
    Canvas,
    edge_scale,
    heading_height,
    heading_width,
    number,
    scale,
    shortened,
    text_width,
    thinning,
)
from amtl_cvx.plotting.matrix import in_cell

BAR, GAP = 0.85, 0.12  # inches
_VALUES_UP_TO, _NUMBERS_UP_TO = 12, 40  # tasks up to which cells, and bars, carry their number
_TALLEST, _WIDEST, _BETWEEN = 7.5, 5.5, 0.25


@dataclass(frozen=True)
class CellsPanel:
    """The heatmaps with their margins."""

    graph: FeatureGraph
    heading: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        if self.heading:
            return self.heading
        return f"Use {self.use}" if self.graph.A is None else f"Feedback A and use {self.use}"

    @property
    def use(self) -> str:
        """What S is called."""
        return self.graph.letters[1]

    @property
    def parts(self) -> list[tuple[str, Array]]:
        """The heatmaps from left to right, each (T, k)."""
        use = [(f"use {self.use}, transposed", self.graph.S.T)]
        return use if self.graph.A is None else [("feedback A", self.graph.A), *use]

    @property
    def lines(self) -> list[str]:
        notes = [f"row t, column j of A: {FEEDBACK}"] if self.graph.A is not None else []
        notes.append(f"row t, column j of {self.use} transposed: {self.graph.reading}")
        if self.graph.negative:
            notes.append("red: negative")
        notes += [self.note] if self.note else []
        if not self.graph.live.all():
            dead = [name for name, live in zip(self.graph.names, self.graph.live, strict=True) if not live]
            notes.append(f"dead features: {_listed(dead)}")
        if (step := self.steps[0]) > 1:
            notes.append(f"names: at most every {step}th task" if step > 2 else "names: every other task")
        return notes

    @property
    def pitch(self) -> float:
        """Side of a cell."""
        T, k = self.graph.T, self.graph.k
        few = min(2.0 / max(T, k), 0.6)
        return min(max(0.34, few), _TALLEST / T, _WIDEST / k)

    @property
    def sides(self) -> tuple[float, float]:
        """Width and height of a heatmap."""
        return self.pitch * self.graph.k, self.pitch * self.graph.T

    @property
    def font(self) -> float:
        return min(max(0.6 * self.pitch * POINTS, SMALLEST), BODY)

    @property
    def steps(self) -> tuple[int, int]:
        """Every which task and feature is named."""
        return thinning(self.pitch, self.font), thinning(self.pitch, self.font)

    @property
    def labels(self) -> list[str]:
        return [shortened(name, 22 if self.graph.T <= 40 else 16) for name in self.graph.tasks]

    @property
    def margin(self) -> float:
        """Room for the names of tasks."""
        return text_width(self.labels[:: self.steps[0]], self.font) + 0.08

    @property
    def upright(self) -> bool:
        """Whether the names of features fit beside each other."""
        return text_width(list(self.graph.names), self.font) < 0.8 * self.pitch

    @property
    def below(self) -> float:
        """Room for the names of features."""
        return 0.2 if self.upright else text_width(list(self.graph.names), self.font) + 0.08

    @property
    def slot(self) -> float:
        """Width that a heatmap takes with its heading and its bar of colours."""
        return max(self.sides[0], text_width(["use S, transposed"], BODY) + 0.2)

    @property
    def columns(self) -> list[tuple[str, Array]]:
        """What stands beside the rows."""
        gives = [] if self.graph.A is None else [("gives ||a_t||_1", self.graph.giving)]
        return gives if self.graph.losses is None else [*gives, ("loss", self.graph.losses)]

    @property
    def width(self) -> float:
        body = self.margin + len(self.parts) * (self.slot + _BETWEEN) + len(self.columns) * (BAR + 0.4)
        return max(body, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.35 + self.sides[1] + self.below + 0.55

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.35
        left += self.margin
        wide, tall = self.sides
        for place, (name, values) in enumerate(self.parts):
            axes = canvas.axes(left, top, wide, tall)
            axes.set_label(name)
            axes.set_title(name, fontsize=BODY, color=INK, loc="left", pad=6)
            self._cells(axes, values, rows=place == 0)
            if values.any():
                bar = edge_scale(values[values != 0])
                words = "A[t, j]" if name.startswith("feedback") else f"{self.use}[j, t]"
                at = (left, top + tall + self.below + 0.2)
                canvas.colorbar(at, bar, words, width=min(1.3, self.slot - 0.7))
            left += self.slot + _BETWEEN
        left += max(wide + GAP, self.slot + 0.05) - self.slot - _BETWEEN
        for name, values in self.columns:
            self._bars(canvas, (left, top), values, name)
            left += BAR + 0.4

    def _cells(self, axes: Axes, values: Array, *, rows: bool) -> None:
        """The cells, zeros pale, and the names of every few rows and columns."""
        colors = edge_scale(values[values != 0])
        void = np.full(values.shape, np.nan)
        axes.imshow(void, cmap=ListedColormap([VOID]).with_extremes(bad=VOID), aspect="auto")
        low, high = colors.get_clim()
        shown = np.ma.masked_equal(values, 0.0)
        axes.imshow(
            shown, cmap=colors.get_cmap(), vmin=low, vmax=high, interpolation="nearest", aspect="auto"
        )
        T, k = values.shape
        tasks, features = np.arange(0, T, self.steps[0]), np.arange(0, k, self.steps[1])
        names = [self.graph.names[j] for j in features]
        axes.set_xticks(features, names, rotation=0 if self.upright else 90, fontsize=self.font)
        for tick, j in zip(axes.get_xticklabels(), features, strict=True):
            tick.set_color(INK if self.graph.live[j] else MUTED)
        axes.set_yticks(
            tasks if rows else [], [self.labels[t] for t in tasks] if rows else [], parse_math=False
        )
        axes.tick_params(axis="y", labelsize=self.font)
        if self.pitch * POINTS > 7:
            axes.hlines(np.arange(-0.5, T), -0.5, k - 0.5, color="white", linewidth=1.0)
            axes.vlines(np.arange(-0.5, k), -0.5, T - 0.5, color="white", linewidth=1.0)
        axes.set(xlim=(-0.5, k - 0.5), ylim=(T - 0.5, -0.5))
        if not values.any():
            box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=.4"}
            axes.text(
                (k - 1) / 2, (T - 1) / 2, "all 0", ha="center", va="center", size=BODY, color=INK, bbox=box
            )
        elif max(T, k) <= _VALUES_UP_TO:
            self._values(axes, values)

    def _values(self, axes: Axes, values: Array) -> None:
        full = float(np.abs(values).max())
        size = min(0.32 * self.pitch * POINTS, 7.5)
        for t, j in np.argwhere(values):
            weight = float(values[t, j])
            color = "white" if abs(weight) > 0.45 * full else INK
            axes.text(j, t, in_cell(weight), ha="center", va="center", size=size, color=color)

    def _bars(self, canvas: Canvas, place: tuple[float, float], values: Array, title: str) -> None:
        """Horizontal bars in line with the rows."""
        axes = canvas.axes(*place, BAR, self.sides[1])
        axes.set_label(title)
        axes.set_title(title, fontsize=BODY, color=INK, loc="left", pad=6)
        colors = list(scale(values, LOSS_COLORS).to_rgba(values)) if title == "loss" else BLUE
        axes.barh(np.arange(len(values)), values, height=0.72, color=colors, edgecolor=MUTED, linewidth=0.3)
        largest = float(values.max(initial=0.0)) or 1.0
        axes.set(xlim=(min(0.0, float(values.min())), largest), ylim=(len(values) - 0.5, -0.5), yticks=[])
        axes.axvline(0.0, color=MUTED, linewidth=0.6)
        if len(values) > _NUMBERS_UP_TO:
            axes.set_xticks([0.0, largest], ["0", number(largest)], fontsize=BODY - 1)
            return
        axes.set_xticks([])
        for row, value in enumerate(values):
            axes.annotate(number(float(value)), (max(value, 0.0), row), (2, 0), textcoords="offset points",
                          va="center", size=min(self.font, 7.5), color=MUTED)  # fmt: skip


def _listed(names: list[str]) -> str:
    """Names in one line, of many the first few."""
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:8])} and {len(names) - 8} more"
