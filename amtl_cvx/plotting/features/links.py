"""The bipartite view: tasks give feedback to features on the left, features serve tasks on the right.

Three columns, read from left to right, so that the direction of an arrow is its side:

    tasks --A--> features --S--> tasks

The tasks stand on both sides, in the same order. An arrow below 0 is dashed and red. Of a family without
feedback only the right half is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from amtl_cvx.bipartite import FEEDBACK, FeatureGraph, Link
from amtl_cvx.plotting.canvas import (
    BODY,
    EDGE_COLORS,
    HATCH,
    INK,
    LOSS_COLORS,
    MUTED,
    NEGATIVE_COLORS,
    PAPER,
    POINTS,
    SMALLEST,
    VOID,
    Canvas,
    heading_height,
    heading_width,
    number,
    scale,
    shortened,
    text_width,
    thinning,
)

MAX_LINKS = 100
"""How many arrows, the strongest, each half of the picture draws."""
_STEP, _TALLEST, _LOOSEST, _HEAD = 0.34, 7.5, 2.0, 0.32  # inches
_READABLE = 4.5  # points
_HEADINGS = ("tasks give feedback", "features", "tasks use them")


@dataclass(frozen=True)
class LinksPanel:
    """The picture of the arrows; its axes are in inches, from the top left corner of the columns."""

    graph: FeatureGraph

    @property
    def title(self) -> str:
        return "Who uses the features" if self.graph.A is None else "Who shapes the features, who uses them"

    @property
    def halves(self) -> list[tuple[str, tuple[Link, ...]]]:
        """The kinds of arrows that are drawn, from left to right."""
        use = [("use", self.graph.use)]
        return use if self.graph.A is None else [("feedback", self.graph.feedback), *use]

    @property
    def lines(self) -> list[str]:
        lines: list[str] = []
        for (kind, links), words in zip(self.halves[::-1], (self.graph.reading, FEEDBACK), strict=False):
            side = f"{'left' if kind == 'feedback' else 'right'}: " if len(self.halves) > 1 else ""
            lines.insert(0, f"{side}{words}; {_drawn(kind, links, self.graph.letters[1])}")
        if self.graph.negative:
            lines.append("dashed, red: negative")
        if not self.graph.live.all():
            lines.append("dashed box: a dead feature")
        if self.step > 1:
            which = f"at most every {self.step}th task" if self.step > 2 else "every other task"
            lines.append(f"names: {which}")
        return lines

    @cached_property
    def tall(self) -> float:
        """Height of the columns."""
        return min(max(_STEP * max(self.graph.T, self.graph.k), 1.7), _TALLEST)

    @cached_property
    def pitch(self) -> float:
        """From one task to the next."""
        return min(self.tall / self.graph.T, _LOOSEST)

    @property
    def node(self) -> float:
        """Radius of a task."""
        return min(max(0.32 * self.pitch, 0.03), 0.11)

    @property
    def font(self) -> float:
        return min(max(0.6 * self.pitch * POINTS, SMALLEST), BODY)

    @property
    def step(self) -> int:
        return thinning(self.pitch, self.font)

    @property
    def labels(self) -> list[str]:
        return [shortened(name, 22 if self.graph.T <= 40 else 16) for name in self.graph.tasks]

    @property
    def margin(self) -> float:
        """Room for names beside the columns, and for half a heading above them."""
        names = text_width(self.labels[:: self.step], self.font) + self.node + 0.1
        return max(names, 0.6 * text_width([_HEADINGS[0]], BODY))

    @property
    def box(self) -> tuple[float, float]:
        """Half width and half height of a feature."""
        high = min(0.42 * self.tall / self.graph.k, 0.11)
        size = min(BODY, max(1.4 * high * POINTS, _READABLE))
        return text_width([self.graph.names[-1]], size) / 2 + 0.07, high

    @property
    def edge(self) -> float:
        """Room left of the features where they are the first column."""
        return max(self.box[0] + 0.05, 0.6 * text_width([_HEADINGS[1]], BODY))

    @property
    def across(self) -> float:
        """From one column to the next."""
        return 2.0 + 0.12 * self.tall

    @property
    def columns(self) -> float:
        """Width of all columns with the names beside them."""
        left = self.margin if len(self.halves) > 1 else self.edge
        return left + self.across * len(self.halves) + self.margin

    @property
    def width(self) -> float:
        return max(self.columns, heading_width(self.title, self.lines))

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.1 + _HEAD + self.tall + 0.6

    def task(self, t: int, *, right: bool) -> tuple[float, float]:
        """Centre of a task."""
        x = self.across if right else -self.across
        return x, self._level(t, self.graph.T)

    def feature(self, j: int) -> tuple[float, float]:
        """Centre of a feature."""
        return 0.0, self._level(j, self.graph.k)

    def _level(self, place: int, count: int) -> float:
        pitch = min(self.tall / count, _LOOSEST)
        return (place - (count - 1) / 2) * pitch

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.1
        start = -self.across - self.margin if len(self.halves) > 1 else -self.edge
        tall = self.tall + _HEAD
        axes = canvas.axes(left, top, self.columns, tall)
        axes.set(xlim=(start, start + self.columns), ylim=(self.tall / 2, self.tall / 2 - tall))
        axes.set(xticks=[], yticks=[], label="links")
        self._arrows(axes)
        self._tasks(axes)
        self._features(axes)
        self._headings(axes)
        if self.graph.losses is not None:
            canvas.colorbar(
                (left, top + tall + 0.2), scale(self.graph.losses, LOSS_COLORS), "task colour: loss"
            )

    def _arrows(self, axes: Axes) -> None:
        """Weakest first, so that strong arrows lie on top."""
        for kind, links in self.halves:
            strongest = abs(links[0].weight) if links else 1.0
            for order, link in enumerate(reversed(links[:MAX_LINKS])):
                axes.add_artist(self._arrow(kind, link, abs(link.weight) / strongest, 2 + order / 1000))

    def _arrow(self, kind: str, link: Link, share: float, order: float) -> FancyArrowPatch:
        x, y = self.feature(link.feature)
        task = self.task(link.task, right=kind == "use")
        if kind == "feedback":
            start, end = (task[0] + self.node, task[1]), (x - self.box[0], y)
            name = f"feedback {link.task} -> {link.feature}"
        else:
            start, end = (x + self.box[0], y), (task[0] - self.node, task[1])
            name = f"use {link.feature} -> {link.task}"
        positive = link.weight > 0
        return FancyArrowPatch(
            start, end, shrinkA=0.0, shrinkB=0.6, arrowstyle="-|>,head_length=.5,head_width=.22",
            mutation_scale=5.0 + 5.0 * share, linewidth=0.5 + 2.3 * share,
            color=(EDGE_COLORS if positive else NEGATIVE_COLORS)(0.12 + 0.88 * share),
            linestyle="-" if positive else (0, (3.0, 1.6)), capstyle="butt", joinstyle="miter",
            zorder=order, gid=name,
        )  # fmt: skip

    def _tasks(self, axes: Axes) -> None:
        losses, T = self.graph.losses, self.graph.T
        fill = ["#aeb8c2"] * T if losses is None else list(scale(losses, LOSS_COLORS).to_rgba(losses))
        for right in (False, True)[2 - len(self.halves) :]:
            side = 1.0 if right else -1.0
            for t in range(T):
                x, y = self.task(t, right=right)
                axes.add_patch(
                    Circle((x, y), self.node, facecolor=fill[t], edgecolor=INK,
                           linewidth=0.9 if self.node > 0.08 else 0.5, zorder=4, gid=f"task {t}")
                )  # fmt: skip
                if t % self.step == 0:
                    axes.text(x + side * (self.node + 0.06), y, self.labels[t], size=self.font, color=INK,
                              ha="left" if right else "right", va="center", parse_math=False)  # fmt: skip

    def _features(self, axes: Axes) -> None:
        wide, high = self.box
        size = min(BODY, 1.4 * high * POINTS)
        for j, name in enumerate(self.graph.names):
            x, y = self.feature(j)
            live = bool(self.graph.live[j])
            round_box = f"round,pad=0,rounding_size={0.4 * high}"
            axes.add_patch(
                FancyBboxPatch(
                    (x - wide, y - high), 2 * wide, 2 * high, boxstyle=round_box,
                    facecolor=VOID if live else PAPER, edgecolor=INK if live else HATCH, linewidth=0.8,
                    linestyle="-" if live else (0, (2.0, 2.0)), zorder=4, gid=f"feature {j}",
                )
            )  # fmt: skip
            if size >= _READABLE or j % 5 == 0:
                axes.text(x, y, name, size=max(size, _READABLE), color=INK if live else MUTED, ha="center",
                          va="center_baseline", zorder=5)  # fmt: skip

    def _headings(self, axes: Axes) -> None:
        """The names of the columns, above them."""
        above = -self.tall / 2 - 0.1
        words = _HEADINGS[2 - len(self.halves) :]
        places: Sequence[float] = (-self.across, 0.0, self.across)[3 - len(words) :]
        for x, text in zip(places, words, strict=True):
            axes.text(x, above, text, size=BODY, color=INK, ha="center", va="bottom", weight="bold")


def _drawn(kind: str, links: tuple[Link, ...], use: str) -> str:
    """How many arrows, and their width; `use` is what S is called."""
    if not links:
        return "none: A = 0" if kind == "feedback" else f"none: {use} = 0"
    what = "|A[t, j]|" if kind == "feedback" else f"|{use}[j, t]|"
    few = "" if len(links) <= MAX_LINKS else f"the {MAX_LINKS} strongest of {len(links)}, "
    return f"{few}width = {what}, at most {number(abs(links[0].weight))}"
