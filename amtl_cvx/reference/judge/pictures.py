"""A picture of a failed check: where the answer is off, by how much, and whose numbers it has instead.

By what the check left as evidence ("answer", "right", "limit", and "mistaken", what the first
cause would give):

    matrix or vector    the answer's entries against the right ones, the mistaken ones beside them; and where
                        the misses are, in limits
    rounds              the objective after each half-step, and how far it is from the right one
    one number          right, answer and mistaken on one line
    nothing             the figures of the check against its limit; if there are none, its words
"""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from amtl_cvx.arrays import Array
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    INK,
    LINE,
    MUTED,
    ORANGE,
    SIGNED_COLORS,
    VOID,
    shortened,
)
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.reference.judge.axes import entries, frame, legend, logarithmic, spread
from amtl_cvx.reference.judge.meters import Sheet, figures, meter, stems
from amtl_cvx.reference.judge.verdict import Result

_WIDTH, _HEIGHT, _HEADING = 8.4, 2.8, 0.46  # inches
_MISSES = LinearSegmentedColormap.from_list("misses", ["#fde3cf", "#e8893f", "#9a3412", "#3d1206"])
_MOST = 4000
"""Entries that a scatter shows; of more, every k-th."""


@own_settings()
def picture(result: Result, *, titled: bool = True) -> Figure:
    """The picture of a check that failed; untitled where its id and words stand beside it."""
    answer, right = result.evidence.get("answer"), result.evidence.get("right")
    bare = (answer is None or answer.size == 0) and not np.isfinite([*result.figures.values()]).any()
    lines = textwrap.wrap(result.words, 108)[:4]
    above = _HEADING if titled else 0.0
    canvas = Sheet(_WIDTH, above + (0.3 + 0.2 * len(lines) if bare else _HEIGHT), above + 0.26)
    if titled:
        said = [] if bare else [shortened(result.words, 124)]
        canvas.heading(0.2, 0.12, shortened(result.check.id, 84), said)
    if bare:
        for number, line in enumerate(lines):
            canvas.text(0.2, above + 0.12 + 0.2 * number, line, color=INK)
    elif answer is None or answer.size == 0:
        figures(canvas, result)
    elif right is None or right.shape != answer.shape:
        _values(canvas, answer, result)
    elif answer.size == 1:
        _number(canvas, result)
    elif result.check.needs == "rounds":
        _rounds(canvas, result)
    else:
        _entries(canvas, result)
    return canvas.figure


def words(result: Result) -> str:
    """What the picture shows, for its caption and for those who do not see it."""
    answer, right = result.evidence.get("answer"), result.evidence.get("right")
    if answer is None or answer.size == 0:
        return "The figures of the check."
    if right is None or right.shape != answer.shape:
        return "The entries of the answer, as far as they are finite."
    if answer.size == 1:
        return "The answer beside the right one."
    if result.check.needs == "rounds":
        return "The objective after each half-step, and how far it is from the right one."
    told = "The answer's entries against the right ones, and where and by how much it is off"
    return f"{told}{', in limits' if _limits(result, answer.shape).all() else ''}."


def _limits(result: Result, shape: tuple[int, ...]) -> Array:
    """The limit of every entry; where none was left, none."""
    limit = result.evidence.get("limit")
    if limit is None or limit.shape not in ((), shape):
        return np.zeros(shape)
    return np.asarray(np.broadcast_to(np.abs(limit), shape), dtype=float)


def _mistaken(result: Result, shape: tuple[int, ...]) -> tuple[Array, str] | None:
    """What the first cause would give, and its name."""
    found = result.evidence.get("mistaken")
    if found is None or found.shape != shape or not result.causes:
        return None
    return np.asarray(found, dtype=float), result.causes[0].name


def _entries(canvas: Sheet, result: Result) -> None:
    """Answer against right, and the misses."""
    answer, right = (np.asarray(result.evidence[name], dtype=float) for name in ("answer", "right"))
    axes = canvas.axes(0.85, canvas.top, 2.75, 1.98)
    flat = slice(None, None, max(1, answer.size // _MOST))
    x, y = right.ravel()[flat], answer.ravel()[flat]
    known = np.isfinite(y)
    ends = [float(x.min()), float(x.max())]
    pad = 0.05 * (ends[1] - ends[0]) or max(abs(ends[0]), 1.0)
    line = np.linspace(ends[0] - pad, ends[1] + pad, 200)
    axes.plot(line, line, color=MUTED, linewidth=1, zorder=1)
    mistaken = _mistaken(result, answer.shape)
    if mistaken is not None:
        drawn = mistaken[0].ravel()[flat]
        axes.plot(x, drawn, "+", color=ORANGE, markersize=8, zorder=2, label=f"with {mistaken[1]}")
    axes.plot(x[known], y[known], "o", color=CRIMSON, markersize=3.2, zorder=3, label="answer")
    spread(axes, x, y[known])
    if np.abs(x).max(initial=0.0) <= 1e-9 * np.abs(y[known]).max(initial=0.0):
        axes.set_xscale("linear")  # all that is right is 0, to rounding
        axes.set_xticks([0.0])
    frame(axes, "right", "answer")
    legend(axes)
    _misses(canvas, result, np.abs(answer - right))
    meter(canvas, result)


def _misses(canvas: Sheet, result: Result, miss: Array) -> None:
    """Where the answer is off: how many limits, or how far where there is no limit."""
    limit = _limits(result, miss.shape)
    counted = bool((limit > 0).all())
    share = miss / limit if counted else miss
    share = np.where(np.isfinite(share), share, np.inf)
    unit = "limits" if counted else "absolute"
    axes = canvas.axes(4.3, canvas.top, 2.0, 1.98)
    floor = 1.0 if counted else 0.0
    finite = share[np.isfinite(share) & (share > floor)]
    top = float(finite.max()) if finite.size else 10.0
    low = 1.0 if counted else max(float(finite.min()) if finite.size else 1.0, 1e-12 * top)
    if miss.ndim == 1:
        _bars(axes, share, low, unit, counted=counted)
        return
    shade = np.ma.masked_where(share <= floor, np.where(np.isfinite(share), share, top))
    axes.set_facecolor(VOID)
    norm = LogNorm(low, max(top, 1.01 * low))
    mesh = axes.imshow(shade, cmap=_MISSES, norm=norm, aspect="auto", interpolation="nearest")
    entries(axes.xaxis, miss.shape[1])
    entries(axes.yaxis, miss.shape[0])
    frame(axes, "column", "row")
    _colors(canvas, mesh, 6.4)
    off = int(np.count_nonzero(share > floor))
    note = f"off by, in {unit}" if counted else "off by"
    axes.set_title(f"{note}: {off} of {miss.size} entries", fontsize=BODY, color=INK, loc="left", pad=4)


def _colors(canvas: Sheet, mesh: AxesImage, left: float) -> None:
    """The bar of colours beside a matrix."""
    bar = canvas.figure.colorbar(mesh, cax=canvas.axes(left, canvas.top, 0.1, 1.98))
    bar.outline.set_visible(False)
    if isinstance(mesh.norm, LogNorm):
        logarithmic(bar.ax.yaxis)
    bar.ax.tick_params(labelsize=BODY - 1, length=0)


def _bars(axes: Axes, share: Array, low: float, unit: str, *, counted: bool) -> None:
    """The misses of a vector."""
    places, bottom = np.arange(share.size), low * 1e-2
    top = 10.0 * float(share[np.isfinite(share)].max(initial=low))
    height = np.clip(np.where(np.isfinite(share), share, top), bottom, None)
    over = share > (1.0 if counted else 0.0)
    axes.bar(places, height - bottom, bottom=bottom, color=np.where(over, CRIMSON, LINE), width=0.7)
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    logarithmic(axes.yaxis)
    if counted:
        axes.axhline(1.0, color=INK, linewidth=1, linestyle="--")
    entries(axes.xaxis, share.size)
    lost = int(np.count_nonzero(~np.isfinite(share)))
    title = "off by, in limits (dashed: the limit)" if counted else "off by"
    title = f"{title}; {lost} not finite" if lost else title
    axes.set_title(title, fontsize=BODY, color=INK, loc="left", pad=4)
    frame(axes, "entry", "")


def _rounds(canvas: Sheet, result: Result) -> None:
    """The objectives, and how far they are from the right ones."""
    answer, right = (np.asarray(result.evidence[name], dtype=float) for name in ("answer", "right"))
    steps = np.arange(1, answer.size + 1)
    axes = canvas.axes(0.95, canvas.top, 2.7, 1.98)
    axes.plot(steps, right, color=BLUE, marker="o", markersize=3.5, label="right")
    mistaken = _mistaken(result, answer.shape)
    if mistaken is not None:
        axes.plot(steps, mistaken[0], "+", color=ORANGE, markersize=9, label=f"with {mistaken[1]}")
    axes.plot(steps, answer, color=CRIMSON, marker="o", markersize=3.5, linestyle="--", label="answer")
    names = [("W", "B")[k % 2] for k in range(answer.size)]
    shownames = steps[:: max(1, answer.size // 12)]
    axes.set_xticks(shownames, labels=[names[k - 1] for k in shownames])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    frame(axes, "half-step", "objective")
    legend(axes)
    beside = canvas.axes(4.7, canvas.top, 3.1, 1.98)
    miss, limit = np.abs(answer - right), _limits(result, answer.shape)
    floor = 1e-16 * float(np.abs(right).max(initial=1.0))
    beside.plot(steps, np.maximum(miss, floor), color=CRIMSON, marker="o", markersize=3.5)
    if (limit > 0).all():
        beside.plot(steps, limit, color=INK, linewidth=1, linestyle="--")
    beside.set_yscale("log")
    logarithmic(beside.yaxis)
    beside.set_xticks(shownames, labels=[names[k - 1] for k in shownames])
    beside.set_title("off by (dashed: the limit)", fontsize=BODY, color=INK, loc="left", pad=4)
    frame(beside, "half-step", "")


def _number(canvas: Sheet, result: Result) -> None:
    """One number: the right one, the answer, and what the mistake would give."""
    rows = [("right", float(result.evidence["right"].item()), BLUE)]
    rows.append(("answer", float(result.evidence["answer"].item()), CRIMSON))
    mistaken = _mistaken(result, result.evidence["answer"].shape)
    if mistaken is not None:
        rows.append((f"with {mistaken[1]}", float(mistaken[0].item()), ORANGE))
    stems(canvas, rows, "value", limit=None)


def _values(canvas: Sheet, answer: Array, result: Result) -> None:
    """An answer that has nothing of its shape to be held against."""
    values = np.asarray(answer, dtype=float)
    axes = canvas.axes(0.95, canvas.top, 5.4, 1.98)
    if values.ndim < 2:
        axes.plot(np.arange(values.size), values.ravel(), "o", color=CRIMSON, markersize=3.5)
        entries(axes.xaxis, values.size)
        frame(axes, "entry", "answer")
        return
    size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
    axes.set_facecolor(VOID)
    mesh = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=SIGNED_COLORS,
        vmin=-size,
        vmax=size,
        aspect="auto",
        interpolation="nearest",
    )
    entries(axes.xaxis, values.shape[1])
    entries(axes.yaxis, values.shape[0])
    frame(axes, "column", "row")
    _colors(canvas, mesh, 6.5)
