"""Gain by task: what every task has of a method that it would not have of the baseline.

Bars above 0 gain and are blue, bars below 0 lose: crimson, with a triangle below, so that negative
transfer is seen in grey too. Over several parts a bar is dark where its interval does not hold 0 and pale
where it does; up to forty tasks are named and have their interval drawn (one that is far wider than all bars
is cut at the border), more are sorted by their gain, and those that lose most are named. All panels have one
scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.comparing import Comparison, Gain, Gains
from amtl_cvx.experiment.comparing.scores import OF_A_TASK
from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    HEADING,
    INK,
    MUTED,
    SMALLEST,
    Canvas,
    heading_height,
    heading_width,
    shortened,
    text_width,
)
from amtl_cvx.plotting.comparing.errors import astray
from amtl_cvx.plotting.environment import own_settings

NAMED_UP_TO = 40
"""Tasks up to which each has its name."""
_PAD, _LEFT, _PANEL, _BETWEEN = 0.25, 0.75, 1.45, 0.32  # inches
_MARK = -0.05  # of a panel: triangles are below its border, where no interval comes
_PALE = {BLUE: "#8fc1e3", CRIMSON: "#d89ab0"}
_WORST, _FAR = 3, 3.0  # tasks that are named, and times the baseline's median error where bars end


@own_settings()
def gains_figure(comparison: Comparison, *, title: str | None = None) -> Figure:
    """The gains of all tasks, one panel a contender.

    Raises
    ------
    DataError
        Where there is no baseline, or nothing beside it.
    """
    told = [each for each in comparison.contenders if each != comparison.baseline]
    if comparison.baseline is None or not told:
        raise DataError("gains need a baseline and a contender beside it")
    found = {each: comparison.gains(each) for each in told}
    many = len(next(iter(found.values())).tasks) > NAMED_UP_TO
    names = [shortened(gain.task, 22) for gain in next(iter(found.values())).tasks]
    lines = _lines(comparison, found[told[0]])
    banner = f"{title}: " if title else ""
    heading = shortened(f"{banner}gain over {comparison.titles[comparison.baseline]} by task", 90)
    head = heading_height(lines) + 0.05
    wide = max(6.5, min(0.34 * len(names), 10.0), heading_width(heading, lines))
    upright = text_width(names, BODY) + 0.08 > wide / max(len(names), 1)
    foot = 0.0 if many else 0.1 + (text_width(names, BODY) if upright else 0.05)
    each = 0.3 + _PANEL + _BETWEEN
    canvas = Canvas(_LEFT + wide + 2 * _PAD, _PAD + head + each * len(told) + foot + _PAD)
    canvas.heading(_PAD, _PAD, heading, lines)
    cap = _FAR * float(np.nanmedian([each.by_task for each in comparison.of(comparison.baseline)]))
    near = [gains for each, gains in found.items() if not astray(comparison, each)] or list(found.values())
    every = [gain for gains in near for gain in gains.tasks]
    top, limits = _PAD + head, _limits(every, cap, many=many)
    for place, contender in enumerate(told):
        gains = found[contender]
        words = f"{comparison.titles[contender]}: {gains.words}"
        canvas.text(_PAD + _LEFT, top + 0.08, shortened(words, 110), size=HEADING - 1.5, weight="bold")
        axes = canvas.axes(_PAD + _LEFT, top + 0.38, wide, _PANEL)
        axes.set_label(f"gains of {contender}")
        _bars(axes, gains.tasks, cap, many=many)
        axes.set_ylim(*limits)
        axes.set_yticks([tick for tick in axes.get_yticks() if limits[0] <= tick <= limits[1]])
        if not many and place == len(told) - 1:
            turned = 90 if upright else 0
            axes.set_xticks(range(len(names)), names, rotation=turned, fontsize=BODY, parse_math=False)
            axes.tick_params(axis="x", pad=10)
        axes.set_ylabel(f"gain in {OF_A_TASK[comparison.measure].split()[0]}", size=BODY, color=MUTED)
        top += each
    if many:
        canvas.text(_PAD + _LEFT, top - 0.1, f"{len(names)} tasks, sorted by their gain", color=MUTED)
    return canvas.figure


def _lines(comparison: Comparison, gains: Gains) -> list[str]:
    lines = [f"{OF_A_TASK[comparison.measure]}, less is better; triangles mark who loses"]
    if any(gain.interval.low is not None for gain in gains.tasks):
        lines.append(
            f"mean over {len(comparison.parts)} parts; dark: its {comparison.level:.0%} interval does not"
            f" hold 0, which one task in {round(1 / (1 - comparison.level))} does by chance"
        )
        if len(gains.tasks) <= NAMED_UP_TO:
            lines.append("lines are the intervals; what ends at the border goes on")
    return lines


def _limits(gains: Sequence[Gain], cap: float, *, many: bool) -> tuple[float, float]:
    """Room for all bars, and around few of them for most of their intervals; no more than `cap` to a side."""
    means = np.clip([gain.interval.mean for gain in gains], -cap, cap)
    ends = [end for gain in gains for end in (gain.interval.low, gain.interval.high) if end is not None]
    low, high = min(0.0, means.min()), max(0.0, means.max())
    room = (0.12 if many or not ends else 0.6) * ((high - low) or 1.0)
    bottom, top = low - room, high + room
    if not many and ends:
        bottom, top = max(bottom, min(low, *ends) - 0.2 * room), min(top, max(high, *ends) + 0.02 * room)
    return float(max(bottom, -cap)), float(min(top, cap))


def _bars(axes: Axes, gains: Sequence[Gain], cap: float, *, many: bool) -> None:
    """One bar a task, losers with a triangle."""
    shown = sorted(gains, key=lambda gain: -gain.interval.mean) if many else list(gains)
    values = np.clip([gain.interval.mean for gain in shown], -cap, cap)
    several = any(gain.interval.low is not None for gain in shown)
    for place, gain in enumerate(shown):
        color = CRIMSON if gain.side < 0 else BLUE
        clear = not several or gain.interval.side == gain.side != 0
        axes.bar(place, values[place], width=0.9 if many else 0.7, color=color if clear else _PALE[color])
        low, high = gain.interval.low, gain.interval.high
        if not many and low is not None and high is not None:
            axes.vlines(place, low, high, color=INK, linewidth=0.9)
    losers: list[int] = [place for place, gain in enumerate(shown) if gain.side < 0]
    axes.axhline(0.0, color=INK, linewidth=0.8)
    under = [_MARK] * len(losers), axes.get_xaxis_transform()
    at, where = (values[losers], _below(axes)) if many else under
    axes.plot(losers, at, "v", color=CRIMSON, clip_on=False, markersize=2.5 if many else 5, transform=where)
    axes.set(xlim=(-0.6, len(shown) - 0.4), xticks=[])
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", color="#e6eaee", linewidth=0.6)
    axes.set_axisbelow(True)
    if many and losers:
        worst = [place for place in losers[-_WORST:] if values[place] < 0]
        text = "lose most: " + ", ".join(shortened(shown[place].task, 16) for place in reversed(worst))
        axes.text(0.995, 0.94, text, ha="right", va="top", size=SMALLEST + 1, color=CRIMSON,
                  transform=axes.transAxes, parse_math=False)  # fmt: skip


def _below(axes: Axes) -> object:
    """A little under the data's place."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(0, -6 / 72, axes.figure.dpi_scale_trans)
