"""Figures of a check as points on an axis, against its limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from amtl_cvx.plotting.canvas import BODY, CRIMSON, INK, LINE, MUTED, Canvas, shortened
from amtl_cvx.reference.judge.axes import frame, logarithmic
from amtl_cvx.reference.judge.summary import shown
from amtl_cvx.reference.judge.verdict import Result

_JUDGED = ("gap", "residual", "distance")
"""Figures of a check that are held against its "limit"."""


@dataclass
class Sheet(Canvas):
    """A canvas whose panels begin `top` inches below its upper edge."""

    top: float = 0.26


def figures(canvas: Sheet, result: Result) -> None:
    """The figures of the check, its limit dashed; its words where there are none."""
    known = {name: value for name, value in result.figures.items() if np.isfinite(value)}
    limit = next((value for name, value in known.items() if "limit" in name), None)
    rows = [(name, value, CRIMSON) for name, value in known.items() if "limit" not in name]
    rows = rows or [(name, value, MUTED) for name, value in known.items()]
    stems(canvas, rows[:8], "", limit=limit)


def meter(canvas: Sheet, result: Result) -> None:
    """The figure by which the check judges, a gap or a residual, against its limit."""
    limit = result.figures.get("limit", 0.0)
    found = [(name, value) for name, value in result.figures.items() if name in _JUDGED]
    if not found or not limit > 0.0 or not found[0][1] > 0.0:
        return
    name, value = found[0]
    axes = canvas.axes(7.45, canvas.top, 0.55, 1.98)
    axes.plot([0.5], [value], "o", color=CRIMSON, markersize=7, zorder=3)
    axes.axhline(limit, color=INK, linewidth=1, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(0.1 * min(value, limit), 10.0 * max(value, limit))
    axes.set_xlim(0.0, 1.0)
    logarithmic(axes.yaxis, ticks=6)
    axes.set_xticks([])
    axes.set_title(name, fontsize=BODY, color=INK, loc="left", pad=4)
    frame(axes, "dashed: limit", "")


def stems(canvas: Sheet, rows: list[tuple[str, float, str]], label: str, *, limit: float | None) -> None:
    """Numbers as points on one axis, each with its name and its digits."""
    axes = canvas.axes(1.9, canvas.top, 3.9, 1.98)
    values = [value for _, value, _ in rows]
    known = [*values, *([limit] if limit is not None else [])]
    wide = all(value > 0 for value in known) and max(known) > 20 * min(known)
    for place, (_, value, color) in enumerate(rows):
        axes.plot([value], [-place], "o", color=color, markersize=7, zorder=3)
        axes.axhline(-place, color=LINE, linewidth=0.8, zorder=1)
        axes.text(1.03, -place, shown(value) if label == "" else f"{value:.12g}", va="center",
                  transform=axes.get_yaxis_transform(), fontsize=BODY, color=INK)  # fmt: skip
    axes.set_yticks(
        [-place for place in range(len(rows))], labels=[shortened(name, 26) for name, _, _ in rows]
    )
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    if wide:
        axes.set_xscale("log")
    if limit is not None:
        axes.axvline(limit, color=INK, linewidth=1, linestyle="--")
        axes.set_title(f"dashed: the limit {shown(limit)}", fontsize=BODY, color=INK, loc="left", pad=4)
    if wide:
        logarithmic(axes.xaxis)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    frame(axes, label, "")
