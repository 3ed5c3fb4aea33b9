"""Error against one parameter: rounds at the chosen point, or the one parameter that was tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from amtl_cvx.experiment.tuning.axes import ROUNDS
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Canvas,
    heading_height,
    heading_width,
    text_width,
)
from amtl_cvx.plotting.tuning.reading import (
    best_of,
    color_limits,
    setting_words,
    shown,
    values_of,
    varied,
    within,
)

if TYPE_CHECKING:
    from amtl_cvx.experiment.tuning import Trial, Tuning

_SIDE, _LEFT = 3.3, 0.62  # inches
_BAND = "#cfe3f1"
_GREY = "#9aa5b1"


@dataclass(frozen=True)
class LinePanel:
    """Mean error and its standard error over the values of `name`, all else as it was chosen."""

    tuning: Tuning
    name: str

    @property
    def title(self) -> str:
        return f"{self.tuning.measure} against {self.name}"

    @property
    def lines(self) -> list[str]:
        """What is drawn."""
        fixed = setting_words(self.tuning, self.tuning.chosen, apart=(self.name,))
        least, marks = "thin line: the least of all points", "diamond: chosen"
        if best_of(self.tuning) is not self.tuning.chosen and best_of(self.tuning) in self.trials:
            marks += "; square: least error"
        if len(self.trials) < 2:
            words = [least, f"{marks}, at {fixed}"]
        else:
            several = any(trial.se is not None for trial in self.trials)
            band = "band: one standard error over the splits" if several else "one split: no standard error"
            words = [f"dots: at {fixed}; {least}" if fixed else "mean over the splits", f"{marks}; {band}"]
        if self.top is not None:
            words[-1] += f"; not drawn: above {shown(self.top)}"
        if self.limit is not None:
            words.append("dotted: the least error and one standard error")
        return words

    @cached_property
    def trials(self) -> list[Trial]:
        """The trials at the chosen values of all else, by the value of this one."""
        return self.tuning.along(self.name)

    @property
    def limit(self) -> float | None:
        """What the one-standard-error rule allows."""
        best = best_of(self.tuning)
        return None if self.tuning.rule != "one-se" or best.se is None else best.mean + best.se

    @property
    def top(self) -> float | None:
        """Where the axis ends, should an error beyond flatten the others."""
        _, high, clipped = color_limits(trial.mean for trial in self.tuning.trials)
        means = [trial.mean for trial in self.trials if np.isfinite(trial.mean)]
        return high if clipped and max(means) > high > self.tuning.chosen.mean else None

    @property
    def width(self) -> float:
        return max(_LEFT + _SIDE + 0.15, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.15 + 0.75 * _SIDE + 0.55

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        axes = canvas.axes(left + _LEFT, top + heading_height(self.lines) + 0.15, _SIDE, 0.75 * _SIDE)
        axes.set_label(self.name)
        for side in ("left", "bottom"):
            axes.spines[side].set(visible=True, color=LINE)
        axes.grid(axis="y", color="#e8ecf0", linewidth=0.8)
        axes.set_axisbelow(True)
        places = self._places(axes)
        self._envelope(axes, places)
        self._chosen(axes, places)
        axes.set_xlabel(self.name, size=BODY, color=INK)
        axes.locator_params(axis="y", nbins=5)
        axes.ticklabel_format(axis="y", useOffset=False)
        within(axes.yaxis)

    def _places(self, axes: Axes) -> dict[object, float]:
        """Where each value stands: whole numbers and logarithms as they are, words side by side."""
        values = values_of(self.tuning, self.name)
        axis = next(axis for axis in self.tuning.axes if axis.name == self.name)
        if axis.scale == "log" and float(values[0]) > 0:
            places = [float(np.log10(float(value))) for value in values]
        elif axis.scale == "linear":
            places = [float(value) for value in values]
        else:
            places = [float(place) for place in range(len(values))]
        span = places[-1] - places[0] or 1.0
        axes.set_xlim(places[0] - 0.05 * span, places[-1] + 0.05 * span)
        named = _thinned(places, [shown(value) for value in values], span)
        axes.set_xticks([places[k] for k in named], [shown(values[k]) for k in named])
        return dict(zip(values, places, strict=True))

    def _envelope(self, axes: Axes, places: dict[object, float]) -> None:
        """The least error of all points at each value."""
        if len(self.trials) == len(self.tuning.trials):
            return
        values, _, least = self.tuning.profile(self.name)
        known = np.isfinite(least[0])
        at = np.array([places[value] for value in values])
        axes.plot(at[known], least[0][known], color=_GREY, linewidth=1.0, zorder=1, gid="least of all")

    def _chosen(self, axes: Axes, places: dict[object, float]) -> None:
        trials = [trial for trial in self.trials if np.isfinite(trial.mean)]
        x = [places[trial.parameters[self.name]] for trial in trials]
        mean = np.array([trial.mean for trial in trials])
        se = np.array([trial.se for trial in trials if trial.se is not None])
        if len(se) == len(trials) > 1:
            axes.fill_between(x, mean - se, mean + se, color=_BAND, linewidth=0, zorder=0)
        axes.plot(
            x, mean, color=BLUE, linewidth=1.4, marker="o", markersize=3.5, zorder=2, gid="chosen point"
        )
        best, chosen = best_of(self.tuning), self.tuning.chosen
        if self.limit is not None:
            axes.axhline(self.limit, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
        if best is not chosen and best in trials:
            axes.plot(
                [places[best.parameters[self.name]]], [best.mean], "s", color=BLUE, markersize=6, zorder=3
            )
        at = places[chosen.parameters[self.name]]
        axes.plot([at], [chosen.mean], "D", color=ORANGE, markersize=7, zorder=4, clip_on=False, gid="chosen")
        if self.top is not None:
            low = min(float(mean.min()), chosen.mean)
            axes.set_ylim(low - 0.08 * (self.top - low), self.top)


def line_names(tuning: Tuning) -> list[str]:
    """Which parameters have a line: rounds, and one that was varied alone."""
    names = [axis.name for axis in varied(tuning)]
    return names if len(names) == 1 else [name for name in names if name == ROUNDS]


def _thinned(places: Sequence[float], words: Sequence[str], span: float) -> list[int]:
    """The values that can be named without meeting each other, the last one among them."""
    kept: list[int] = []
    for k in reversed(range(len(places))):
        apart = (places[kept[-1]] - places[k]) / (1.1 * span) * _SIDE if kept else np.inf
        if apart > text_width([words[k], words[kept[-1]] if kept else ""], BODY) + 0.06:
            kept.append(k)
    return kept[::-1]
