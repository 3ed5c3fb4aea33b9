"""The node-link view: tasks on a fixed circle, in their order, clockwise; arrows for the strongest edges.

One-way arrows bend slightly towards the centre. The two arrows of a two-way pair bend by different amounts,
so that they never lie on each other:

    bend = c (one-way),  c - DELTA and c + DELTA (two-way),   c = CURVE * (distance chord - centre) / radius

For neighbours both arcs bend inwards (a bend outwards could cross the next node); for a diameter they form a
lens. An edge below 0 is dashed and red.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from amtl_cvx.graph import Edge, TransferGraph
from amtl_cvx.plotting.canvas import (
    BODY,
    EDGE_COLORS,
    INK,
    LOSS_COLORS,
    MUTED,
    NEGATIVE_COLORS,
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

MAX_EDGES = 60
"""How many edges, the strongest, a node-link picture draws."""
CURVE, DELTA = 0.2, 0.12
_UPRIGHT_UP_TO = 12  # tasks up to which names stay horizontal


@dataclass(frozen=True)
class CirclePanel:
    """The node-link picture; its axes are in inches with the centre at (0, 0)."""

    graph: TransferGraph

    title = "Who helps whom"

    @property
    def drawn(self) -> tuple[Edge, ...]:
        return self.graph.edges[:MAX_EDGES]

    @property
    def lines(self) -> list[str]:
        lines = ["arrow s \N{RIGHTWARDS ARROW} t: task s helps task t"]
        count = len(self.graph.edges)
        if not count:
            many = self.graph.T > 1
            lines.append("empty graph: no task helps another" if many else "one task: nothing to transfer")
        elif count > MAX_EDGES:
            lines.append(f"the {MAX_EDGES} strongest of {count} edges; {self._width_words}")
        else:
            lines.append(self._width_words)
        if self.graph.negative:
            lines.append("dashed, red: negative, the opposite of s helps t")
        if self.graph.barred is not None:
            lines.append(f"edges that may not be: {int(self.graph.barred.sum())}")
        if self.step > 1:
            lines.append(
                f"names: at most every {self.step}th task" if self.step > 2 else "names: every other task"
            )
        return lines

    @property
    def _width_words(self) -> str:
        what = "|B[s, t]|" if self.graph.signed else "B[s, t]"
        return f"width = {what}, at most {number(abs(self.drawn[0].weight))}"

    @property
    def radius(self) -> float:
        if self.graph.T == 1:
            return 0.0
        return min(max(1.75, 1.3 + 0.05 * self.graph.T), 3.45)

    @property
    def pitch(self) -> float:
        """Distance of neighbours along the circle."""
        return 2 * math.pi * self.radius / self.graph.T if self.graph.T > 1 else 1.0

    @property
    def node(self) -> float:
        """Radius of a node."""
        return min(max(0.36 * self.pitch, 0.03), 0.15)

    @property
    def font(self) -> float:
        return min(max(0.5 * self.pitch * POINTS, SMALLEST), BODY)

    @property
    def step(self) -> int:
        return 1 if self.graph.T <= _UPRIGHT_UP_TO else thinning(self.pitch, self.font)

    @property
    def labels(self) -> list[str]:
        return [shortened(name, 22 if self.graph.T <= 40 else 16) for name in self.graph.names]

    @property
    def margin(self) -> float:
        """Room for names outside the circle."""
        return text_width(self.labels[:: self.step], self.font) + self.node + 0.1

    @property
    def reach(self) -> tuple[float, float]:
        """Half width and half height of the picture."""
        if self.graph.T <= 2:
            return self.radius + self.margin, self.node + 0.4
        upright = self.graph.T <= _UPRIGHT_UP_TO
        return self.radius + self.margin, self.radius + (self.node + 0.3 if upright else self.margin)

    @property
    def width(self) -> float:
        return max(2 * self.reach[0], heading_width(self.title, self.lines), 3.2)

    @property
    def height(self) -> float:
        return heading_height(self.lines) + 0.1 + 2 * self.reach[1] + 0.6

    def position(self, task: int) -> tuple[float, float]:
        """Centre of a node: clockwise from the top; two tasks side by side."""
        angle = self.angle(task)
        return self.radius * math.cos(angle), self.radius * math.sin(angle)

    def angle(self, task: int) -> float:
        start = math.pi if self.graph.T == 2 else math.pi / 2
        return start - 2 * math.pi * task / self.graph.T

    def bend(self, source: int, target: int) -> float:
        """Curvature of an arrow (matplotlib's `arc3`: positive bends to the right of its direction)."""
        (x0, y0), (x1, y1) = self.position(source), self.position(target)
        side = x0 * y1 - x1 * y0  # > 0: the centre lies to the left
        inwards = -1.0 if side > 0 else 1.0
        middle = math.hypot(x0 + x1, y0 + y1) / 2 / self.radius
        bend = CURVE * middle
        if self.graph.adjacency[target, source] != 0:
            diameter = middle < 1e-9
            first = source < target
            bend = DELTA if diameter else bend + (DELTA if first else -DELTA)
            inwards = 1.0 if diameter else inwards
        return inwards * bend

    def draw(self, canvas: Canvas, left: float, top: float) -> None:
        """Draw with the upper left corner at (left, top) inches."""
        canvas.heading(left, top, self.title, self.lines)
        top += heading_height(self.lines) + 0.1
        across, up = self.reach
        inset = (self.width - 2 * across) / 2 if self.graph.T > 1 else 0.0
        axes = canvas.axes(left + inset, top, 2 * across, 2 * up)
        axes.set(xlim=(-across, across), ylim=(-up, up), xticks=[], yticks=[], label="node-link")
        nodes = self._nodes(axes)
        self._arrows(axes, nodes)
        self._names(axes)
        if self.graph.losses is not None:
            below = (left + inset, top + 2 * up + 0.2)
            canvas.colorbar(below, scale(self.graph.losses, LOSS_COLORS), "node colour: loss")

    def _nodes(self, axes: Axes) -> list[Circle]:
        losses, T = self.graph.losses, self.graph.T
        fill = ["#aeb8c2"] * T if losses is None else list(scale(losses, LOSS_COLORS).to_rgba(losses))
        width = 0.9 if self.node > 0.08 else 0.5
        nodes = [
            Circle(
                self.position(t),
                self.node,
                facecolor=fill[t],
                edgecolor=INK,
                linewidth=width,
                zorder=3,
                gid=f"node {t}",
            )
            for t in range(T)
        ]
        for node in nodes:
            axes.add_patch(node)
        return nodes

    def _arrows(self, axes: Axes, nodes: list[Circle]) -> None:
        """Weakest first, so that strong arrows lie on top."""
        if not self.drawn:
            return
        strongest = abs(self.drawn[0].weight)
        thick = 3.4 if self.graph.T <= 40 else 2.2
        for order, (source, target, weight) in enumerate(reversed(self.drawn)):
            share = abs(weight) / strongest
            colors, line = (EDGE_COLORS, "-") if weight > 0 else (NEGATIVE_COLORS, (0, (3.0, 1.6)))
            axes.add_artist(  # add_patch would compute data limits, slow for arrows
                FancyArrowPatch(
                    self.position(source), self.position(target), patchA=nodes[source], patchB=nodes[target],
                    shrinkA=0.0, shrinkB=0.8, connectionstyle=f"arc3,rad={self.bend(source, target):.6g}",
                    arrowstyle="-|>,head_length=.55,head_width=.26",
                    mutation_scale=7.0 + 6.0 * share * thick / 3.4,
                    linewidth=0.7 + (thick - 0.7) * share, color=colors(0.15 + 0.85 * share),
                    linestyle=line, capstyle="butt", joinstyle="miter",
                    zorder=2 + order / 1000, gid=f"edge {source} -> {target}",
                )
            )  # fmt: skip

    def _names(self, axes: Axes) -> None:
        far = self.radius + self.node + 0.06
        for t in range(0, self.graph.T, self.step):
            angle = self.angle(t)
            x, y = (
                (self.node + 0.08, 0.0)
                if self.graph.T == 1
                else (far * math.cos(angle), far * math.sin(angle))
            )
            style = {"size": self.font, "color": INK if self.graph.T <= 40 else MUTED, "parse_math": False}
            if self.graph.T <= _UPRIGHT_UP_TO:
                across = "center" if abs(x) < 0.02 * far else "left" if x > 0 else "right"
                upright = (
                    "center" if abs(y) < 0.3 * far or self.graph.T == 1 else "bottom" if y > 0 else "top"
                )
                axes.text(x, y, self.labels[t], ha=across, va=upright, **style)  # type: ignore[arg-type]
                continue
            flipped = math.cos(angle) < -1e-9
            axes.text(
                x, y, self.labels[t],
                rotation=math.degrees(angle) + (180 if flipped else 0), rotation_mode="anchor",
                ha="right" if flipped else "left", va="center", **style,  # type: ignore[arg-type]
            )  # fmt: skip
