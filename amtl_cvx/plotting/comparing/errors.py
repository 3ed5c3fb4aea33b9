"""Errors over parts, and gains over the baseline with what is known of them: one row a contender.

    left     the error on each part (small, grey), their mean and its standard error
    right    the mean gain over the baseline and its interval; a filled mark where that does not hold 0

A method whose mean error is more than three times the median of all went astray: an arrow at the border says
so, with its number, so that the others keep their scale.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amtl_cvx.experiment.comparing import Comparison, Interval
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    HEADING,
    INK,
    LINE,
    MUTED,
    Canvas,
    heading_height,
    heading_width,
    number,
    shortened,
    text_width,
)
from amtl_cvx.plotting.environment import own_settings

_PAD, _ROW, _SIDE, _BETWEEN, _FOOT = 0.25, 0.32, 3.4, 0.45, 0.5  # inches
_GREY = "#9aa5b1"
_FAR = 3.0
"""Times the median error, from where a mean is not drawn to scale."""


@own_settings()
def errors_figure(comparison: Comparison, *, title: str | None = None) -> Figure:
    """The errors of all contenders, and their gains where there is a baseline."""
    names = [shortened(comparison.titles[each], 28) for each in comparison.contenders]
    left, panels = text_width(names, BODY) + 0.15, [("error", _error_lines(comparison))]
    if comparison.baseline is not None and len(comparison.contenders) > 1:
        panels.append(("gain", _gain_lines(comparison)))
    banner = None if title is None else shortened(title, 90)
    top = _PAD + (0.0 if banner is None else 0.45)
    head = max(heading_height(lines) for _, lines in panels) + 0.1
    wide = [max(_SIDE, heading_width(_heads(comparison)[what], lines)) for what, lines in panels]
    height = _ROW * len(names)
    width = max(
        left + sum(wide) + _BETWEEN * (len(panels) - 1),
        0.0 if banner is None else 1.1 * text_width([banner], HEADING + 3),
    )
    canvas = Canvas(width + 2 * _PAD, top + head + height + _FOOT + _PAD)
    if banner is not None:
        canvas.text(_PAD, _PAD, banner, size=HEADING + 3, weight="bold")
    at = _PAD + left
    for (what, lines), each in zip(panels, wide, strict=True):
        canvas.heading(at, top, _heads(comparison)[what], lines)
        axes = _dressed(canvas.axes(at, top + head, _SIDE, height), len(names))
        axes.set_label(what)
        if what == "error":
            axes.set_yticks(range(len(names)), names, parse_math=False)
            _errors(axes, comparison)
        else:
            _gains(axes, comparison)
        low, high = axes.get_xlim()
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high])
        at += each + _BETWEEN
    return canvas.figure


def _heads(comparison: Comparison) -> dict[str, str]:
    over = "" if comparison.baseline is None else comparison.titles[comparison.baseline]
    return {"error": f"Error: {comparison.measure}", "gain": f"Gain over {shortened(over, 28)}"}


def _error_lines(comparison: Comparison) -> list[str]:
    count = len(comparison.parts)
    return [f"{count} parts, mean and standard error" if count > 1 else "one part"]


def _gain_lines(comparison: Comparison) -> list[str]:
    if len(comparison.parts) < 2:
        tested = any(comparison.mcnemar(each) for each in comparison.contenders)
        limit = f"{1 - comparison.level:.2g}"
        return [f"one part; filled: McNemar's p is below {limit}" if tested else "one part, no interval"]
    return [f"paired, {comparison.level:.0%} interval; filled: it does not hold 0"]


def _dressed(axes: Axes, rows: int) -> Axes:
    axes.set(ylim=(rows - 0.5, -0.5), yticks=[])
    axes.hlines(
        range(rows), 0, 1, color="#eef1f4", linewidth=0.8, transform=axes.get_yaxis_transform(), zorder=0
    )
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(axis="x", length=3, color=LINE)
    axes.locator_params(axis="x", nbins=5)
    axes.margins(x=0.06)
    return axes


def _errors(axes: Axes, comparison: Comparison) -> None:
    for row, contender in enumerate(comparison.contenders):
        values = comparison.errors(contender)
        if astray(comparison, contender):
            _arrow(axes, row, comparison.error(contender).mean, right=True)
            continue
        if len(values) > 1:
            axes.plot(values, [row] * len(values), "o", color=_GREY, markersize=3, alpha=0.8, zorder=2)
        found, known = comparison.error(contender), contender == comparison.baseline
        axes.errorbar(
            found.mean,
            row,
            xerr=found.se or 0.0,
            fmt="s" if known else "o",
            color=INK if known else BLUE,
            markersize=6,
            elinewidth=1.8,
            capsize=3,
            zorder=3,
        )
        if known:
            axes.axvline(found.mean, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.ticklabel_format(axis="x", useOffset=False)


def _gains(axes: Axes, comparison: Comparison) -> None:
    axes.axvline(0.0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for row, contender in enumerate(comparison.contenders):
        if contender == comparison.baseline:
            axes.text(0.0, row, "  baseline", va="center", size=BODY, color=MUTED)
            continue
        found = comparison.gain(contender)
        if astray(comparison, contender) or not np.isfinite(found.mean):
            _arrow(axes, row, found.mean, right=found.mean > 0)
            continue
        color = BLUE if found.mean >= 0 else CRIMSON
        axes.errorbar(
            found.mean,
            row,
            xerr=_arms(found),
            fmt="o",
            color=color,
            markerfacecolor=color if _clear(comparison, contender, found) else "white",
            markersize=6,
            elinewidth=1.8,
            capsize=3,
            zorder=3,
        )
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel("\N{LEFTWARDS ARROW} worse     better \N{RIGHTWARDS ARROW}", size=BODY, color=MUTED)


def astray(comparison: Comparison, contender: str) -> bool:
    """Whether a mean error is of another size than those of the others, or no number."""
    means = np.array([comparison.error(each).mean for each in comparison.contenders])
    own = comparison.error(contender).mean
    known = means[np.isfinite(means)]
    return not np.isfinite(own) or bool(own > _FAR * np.median(known))


def _arrow(axes: Axes, row: int, value: float, *, right: bool) -> None:
    """A value beyond the border."""
    at, align, mark = (0.985, "right", ">") if right else (0.015, "left", "<")
    across = axes.get_yaxis_transform()
    axes.plot([at], [row], mark, color=CRIMSON, markersize=6, transform=across, clip_on=False)
    words = number(value) if np.isfinite(value) else "no number"
    axes.text(at + (-0.02 if right else 0.02), row, words, ha=align, va="center", size=BODY, color=CRIMSON,
              transform=across)  # fmt: skip


def _clear(comparison: Comparison, contender: str, found: Interval) -> bool:
    """Whether chance alone is a poor reason of the gain."""
    test = comparison.mcnemar(contender)
    return bool(found.side) if test is None else test.p < 1.0 - comparison.level


def _arms(found: Interval) -> list[list[float]] | None:
    if found.low is None or found.high is None:
        return None
    return [[found.mean - found.low], [found.high - found.mean]]
