"""What all figures share: colours, sizes in inches, text that fits.

Layouts are computed in inches from the number of tasks and the widths of their names, so that a label never
meets another one: where a row is too low for a line of text, names are thinned to every 2nd, 5th, ... row.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import IO, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from amtl_cvx.plotting.environment import own_settings

INK, MUTED, LINE, PAPER, VOID = "#1c2733", "#5b6875", "#c9d1d9", "#ffffff", "#f1f4f7"
HATCH = "#a3adb8"
BLUE, ORANGE, CRIMSON = "#0072b2", "#e69f00", "#8c1d40"  # of different lightness: they survive a grey print
EDGE_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "edges", ["#c3ddf0", "#5fa8d6", "#1f6fae", "#0b2f5c"]
)
NEGATIVE_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "negative edges", ["#f1cfdb", "#d9809f", "#a8325f", "#4d0a25"]
)
"""Of edges below 0, by their size."""
SIGNED_COLORS: Colormap = ListedColormap(
    [*NEGATIVE_COLORS(np.linspace(1.0, 0.0, 128)), *EDGE_COLORS(np.linspace(0.0, 1.0, 128))], "signed edges"
)
LOSS_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "losses", ["#fff3d6", "#f6b64f", "#c4571a", "#5a1f0c"]
)
SMALLEST, BODY, HEADING = 6.5, 8.5, 11.0  # font sizes in points
POINTS = 72.0


@dataclass
class Canvas:
    """A figure addressed in inches from its top left corner."""

    width: float
    height: float
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        self.figure = Figure(figsize=(self.width, self.height), facecolor=PAPER)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without frame and ticks."""
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_facecolor("none")
        axes.tick_params(length=0, labelsize=BODY, labelcolor=INK, pad=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = BODY,
        color: str = INK,
        weight: str = "normal",
    ) -> Text:
        """A line of text whose upper left corner is at (left, top)."""
        at = (left / self.width, 1.0 - top / self.height)
        return self.figure.text(*at, text, size=size, color=color, weight=weight, va="top", parse_math=False)

    def heading(self, left: float, top: float, title: str, lines: Sequence[str]) -> None:
        """A title and the lines under it."""
        self.text(left, top, title, size=HEADING, weight="bold")
        for number, line in enumerate(lines):
            self.text(left, top + 0.23 + 0.17 * number, line, color=MUTED)

    def colorbar(
        self,
        place: tuple[float, float],
        mappable: ScalarMappable,
        label: str,
        *,
        width: float = 1.6,
        ends: Sequence[str] | None = None,
    ) -> None:
        """A thin horizontal bar of colours with its label on the left; `ends` are the words of its ends."""
        left, top = place
        shift = text_width([label], BODY) + 0.15
        self.text(left, top - 0.03, label)
        axes = self.axes(left + shift, top, width, 0.1)
        bar = self.figure.colorbar(mappable, cax=axes, orientation="horizontal")
        bar.outline.set_visible(False)
        low, high = mappable.get_clim()
        bar.set_ticks([low, high], labels=[number(low), number(high)] if ends is None else ends)
        axes.tick_params(length=0, labelsize=BODY - 1, pad=2)


def heading_height(lines: Sequence[str]) -> float:
    """What `Canvas.heading` takes, in inches."""
    return 0.33 + 0.17 * len(lines)


def heading_width(title: str, lines: Sequence[str]) -> float:
    """Width of a heading, in inches."""
    return max(1.1 * text_width([title], HEADING), text_width(lines, BODY))


def scale(values: Iterable[float], colors: Colormap, *, zero: bool = False) -> ScalarMappable:
    """Colours for `values`, from 0 or the smallest to the largest.

    A single value gets the full colour, and so do those that differ by rounding only.
    """
    known = list(values) or [1.0]
    low, high = 0.0 if zero else min(known), max(known)
    if high - low <= 1e-12 * abs(high):
        low = min(0.0, high - 1.0) if high <= 0 else 0.0
    mappable = ScalarMappable(norm=Normalize(low, high), cmap=colors)
    mappable.set_array([])
    return mappable


def edge_scale(weights: Iterable[float]) -> ScalarMappable:
    """Colours of edges, from 0 to the largest; where some are negative, as far to both sides of 0."""
    known = list(weights)
    if min(known, default=0.0) >= 0.0:
        return scale(known, EDGE_COLORS, zero=True)
    largest = max(map(abs, known))
    mappable = ScalarMappable(norm=Normalize(-largest, largest), cmap=SIGNED_COLORS)
    mappable.set_array([])
    return mappable


def shortened(name: str, limit: int) -> str:
    """`name` on one line with at most `limit` characters; the middle goes: names often differ at the end."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(name.split()))
    if len(line) <= limit:
        return line
    head = limit // 2
    return f"{line[:head].rstrip()}\N{HORIZONTAL ELLIPSIS}{line[len(line) - (limit - head - 1) :].lstrip()}"


def number(value: float) -> str:
    """Three significant digits, without a needless exponent."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:#.3g}".rstrip(".") if 0 < abs(value) < 999.5 else f"{value:.0f}"
    return f"{value:.1e}"


def thinning(pitch: float, size: float) -> int:
    """Name every k-th row when rows are `pitch` inches apart and the font has `size` points."""
    return next((k for k in (1, 2, 5, 10, 20, 50, 100) if k * pitch * POINTS >= 1.2 * size), 200)


def text_width(texts: Sequence[str], size: float) -> float:
    """Width of the widest text, in inches."""
    return max((_width(text, size) for text in texts), default=0.0) / POINTS


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: float) -> float:
    with _missing_glyphs_allowed():
        extent = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return float(extent[0])


def write_png(figure: Figure, path: str | PathLike[str] | IO[bytes], dpi: float = 150) -> None:
    """Write a figure as PNG, to a path or an open binary file.

    A character that the font lacks is drawn as a box, without a warning.
    """
    write_figure(figure, path, "png", dpi=dpi)


def write_figure(
    figure: Figure, path: str | PathLike[str] | IO[bytes], format: str, *, dpi: float = 150
) -> None:
    """Write a figure in any format that matplotlib knows."""
    with own_settings(), _missing_glyphs_allowed():
        figure.savefig(path, format=format, dpi=dpi)


@contextmanager
def _missing_glyphs_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


_PAD, _BETWEEN = 0.25, 0.6  # inches


class Panel(Protocol):
    """A part of a figure with its size in inches."""

    @property
    def width(self) -> float: ...

    @property
    def height(self) -> float: ...

    def draw(self, canvas: Canvas, left: float, top: float) -> None: ...


def side_by_side(panels: Sequence[Panel], title: str | None, *, longest: int) -> Figure:
    """A figure of panels beside each other, below a title of at most `longest` letters."""
    banner = None if title is None else shortened(title, longest)
    top = _PAD if banner is None else _PAD + 0.45
    width = sum(panel.width for panel in panels) + _BETWEEN * (len(panels) - 1)
    width = max(width, 0.0 if banner is None else 1.1 * text_width([banner], HEADING + 3))
    canvas = Canvas(width + 2 * _PAD, top + max(panel.height for panel in panels) + _PAD)
    if banner is not None:
        canvas.text(_PAD, _PAD, banner, size=HEADING + 3, weight="bold")
    left = _PAD
    for panel in panels:
        panel.draw(canvas, left, top)
        left += panel.width + _BETWEEN
    return canvas.figure
