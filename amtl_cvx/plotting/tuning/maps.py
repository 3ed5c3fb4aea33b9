"""The least error by two parameters: a grid as coloured cells, random draws as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from amtl_cvx.arrays import Array
from amtl_cvx.experiment.tuning.axes import Value
from amtl_cvx.plotting.canvas import (
    BODY,
    HATCH,
    INK,
    LINE,
    ORANGE,
    POINTS,
    SMALLEST,
    Canvas,
    heading_height,
    heading_width,
    text_width,
    thinning,
)
from amtl_cvx.plotting.tuning.reading import (
    ERROR_COLORS,
    best_of,
    color_limits,
    error_words,
    shown,
    varied,
    within,
)

if TYPE_CHECKING:
    from amtl_cvx.experiment.tuning import Tuning

_SIDE, _CELL = 2.8, (0.62, 0.3)  # inches: least side of the cells, width and height of a cell with a number
_NUMBERS_UP_TO = 12  # columns and rows up to which cells carry their number
_BAR = 0.85  # inches for the names of the columns and the bar of colours


@dataclass(frozen=True)
class MapPanel:
    """The least mean error by `row` and `column`, over all else that was varied."""

    tuning: Tuning
    row: str
    column: str

    @property
    def title(self) -> str:
        return f"{self.tuning.measure} by {self.row} and {self.column}"

    @property
    def lines(self) -> list[str]:
        """What is to be known of the colours and marks."""
        others = [axis.name for axis in varied(self.tuning) if axis.name not in (self.row, self.column)]
        words = [f"the least over {' and '.join(others)}, dark: low" if others else "dark: low"]
        marks = ["frame: chosen" if self.grid else "ring: chosen"]
        if best_of(self.tuning) is not self.tuning.chosen:
            marks.append("dashed: least error")
        if self.clipped:
            marks.append(f"pale: {shown(self.limits[1])} and above")
        return [*words, ", ".join(marks)]

    @cached_property
    def grid(self) -> bool:
        """Whether the values were tried in most of their combinations, and not at drawn points."""
        return 2 * int((~np.isnan(self.errors)).sum()) > self.errors.size

    @cached_property
    def _profile(self) -> tuple[Sequence[Value], Sequence[Value], Array]:
        return self.tuning.profile(self.column, self.row)

    @property
    def rows(self) -> Sequence[Value]:
        return self._profile[1]

    @property
    def columns(self) -> Sequence[Value]:
        return self._profile[0]

    @property
    def errors(self) -> Array:
        return self._profile[2]

    @cached_property
    def _colors(self) -> tuple[float, float, bool]:
        return color_limits(self.errors.ravel().tolist())

    @property
    def limits(self) -> tuple[float, float]:
        return self._colors[:2]

    @property
    def clipped(self) -> bool:
        return self._colors[2]

    @property
    def numbered(self) -> bool:
        """Whether every cell has its number."""
        return self.grid and max(len(self.rows), len(self.columns)) <= _NUMBERS_UP_TO

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the cells."""
        cell = _CELL if self.numbered else (0.0, 0.0)
        return max(_SIDE, cell[0] * len(self.columns)), max(0.8 * _SIDE, cell[1] * len(self.rows))

    @property
    def margin(self) -> float:
        """Room for the values on the left and what they are of."""
        return text_width([shown(value) for value in self.rows], BODY) + 0.35

    @property
    def width(self) -> float:
        return max(self.margin + self.size[0] + 0.1, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.15 + self.size[1] + _BAR

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.15
        left += self.margin
        axes = canvas.axes(left, top, *self.size)
        axes.set_label(f"{self.row} x {self.column}")
        mappable = ScalarMappable(norm=Normalize(*self.limits), cmap=ERROR_COLORS)
        mappable.set_array([])
        if self.grid:
            self._cells(axes, mappable)
        else:
            self._dots(axes, mappable)
        axes.set_xlabel(self.column, size=BODY, color=INK)
        axes.set_ylabel(self.row, size=BODY, color=INK)
        place = left, top + self.size[1] + 0.6
        ends = error_words(self.limits)
        canvas.colorbar(place, mappable, self.tuning.measure, width=min(1.6, 0.4 * self.size[0]), ends=ends)

    def _cells(self, axes: Axes, mappable: ScalarMappable) -> None:
        """A cell a pair of values; what was not tried, or could not be fitted, is hatched."""
        rows, columns = self.errors.shape
        axes.imshow(
            np.ma.masked_invalid(self.errors),
            cmap=ERROR_COLORS,
            vmin=self.limits[0],
            vmax=self.limits[1],
            interpolation="nearest",
            aspect="auto",
            origin="lower",
        )
        for i, j in np.argwhere(~np.isfinite(self.errors)):
            axes.add_patch(
                Rectangle(
                    (j - 0.5, i - 0.5), 1, 1, facecolor="none", edgecolor=HATCH, linewidth=0, hatch="////"
                )
            )
        self._named(axes)
        if min(self.size[0] / columns, self.size[1] / rows) * POINTS > 9:
            axes.hlines(np.arange(-0.5, rows), -0.5, columns - 0.5, color="white", linewidth=1.0)
            axes.vlines(np.arange(-0.5, columns), -0.5, rows - 0.5, color="white", linewidth=1.0)
        if self.numbered:
            self._numbers(axes)
        best, chosen = best_of(self.tuning), self.tuning.chosen
        for trial, style in ((best, (0, (2, 1.5))), (chosen, "-"))[best is chosen :]:
            at = self._place(trial.parameters)
            axes.add_patch(
                Rectangle(
                    (at[1] - 0.5, at[0] - 0.5), 1, 1, facecolor="none", edgecolor=ORANGE, linewidth=2.2,
                    linestyle=style, zorder=4, clip_on=False, gid="chosen" if trial is chosen else "best",
                )
            )  # fmt: skip
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))

    def _place(self, parameters: Mapping[str, Value]) -> tuple[int, int]:
        return self.rows.index(parameters[self.row]), self.columns.index(parameters[self.column])

    def _named(self, axes: Axes) -> None:
        """The values beside the rows and below the columns, thinned where they would meet."""
        rows, columns = len(self.rows), len(self.columns)
        high = thinning(self.size[1] / rows, BODY)
        wide = text_width([shown(value) for value in self.columns], BODY) + 0.08
        fitting = next((k for k in (1, 2, 5, 10, 20) if k * self.size[0] / columns >= wide), 50)
        at = list(range(0, rows, high)), list(range(0, columns, fitting))
        axes.set_yticks(at[0], [shown(self.rows[i]) for i in at[0]])
        axes.set_xticks(at[1], [shown(self.columns[j]) for j in at[1]])

    def _numbers(self, axes: Axes) -> None:
        words = error_words(self.errors.ravel().tolist())
        low, high = self.limits
        size = min(0.42 * self.size[1] / len(self.rows) * POINTS, BODY - 1)
        room = self.size[0] / len(self.columns) - 0.08
        while size > SMALLEST - 1 and text_width(words, size) > room:
            size -= 0.25
        for (i, j), word in zip(np.ndindex(self.errors.shape), words, strict=True):
            value = self.errors[i, j]
            if np.isfinite(value):
                color = "white" if (value - low) < 0.55 * (high - low) else INK
                axes.text(j, i, word, ha="center", va="center", size=size, color=color)

    def _dots(self, axes: Axes, mappable: ScalarMappable) -> None:
        """A dot a drawn point, dark and on top where its error is low."""
        trials = sorted(self.tuning.trials, key=lambda trial: -trial.mean)
        x = [trial.parameters[self.column] for trial in trials]
        y = [trial.parameters[self.row] for trial in trials]
        for name, set_scale in ((self.column, axes.set_xscale), (self.row, axes.set_yscale)):
            axis = next(axis for axis in self.tuning.axes if axis.name == name)
            set_scale("log" if axis.scale == "log" else "linear")
        for side in ("left", "bottom"):
            axes.spines[side].set(visible=True, color=LINE)
        errors = np.array([trial.mean for trial in trials])
        colors = mappable.to_rgba(np.where(np.isfinite(errors), errors, self.limits[1]))
        axes.scatter(x, y, s=34, c=colors, edgecolor=HATCH, linewidth=0.5, clip_on=False, zorder=2)
        best, chosen = best_of(self.tuning), self.tuning.chosen
        for trial, style in ((best, "--"), (chosen, "-"))[best is chosen :]:
            at = [trial.parameters[self.column]], [trial.parameters[self.row]]
            axes.scatter(
                *at, s=110, facecolor="none", edgecolor=ORANGE, linewidth=2.0, linestyle=style,
                clip_on=False, zorder=4, gid="chosen" if trial is chosen else "best",
            )  # fmt: skip
        axes.minorticks_off()
        axes.margins(0.06)
        within(axes.xaxis, x)
        within(axes.yaxis, y)
