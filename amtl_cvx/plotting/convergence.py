"""How a run converged: the objective above its smallest value, and the residuals, step by step.

Both panels share the x axis, the number of the step in the history. A step makes its own block stationary,
so its own residual is rounding error; what it tells are the residuals of the other blocks, for AMTL

    stationarity_W    after every step but W        relative    at the end of every round,
    stationarity_B    after every step but B                    and after the first step

A network is fitted by L-BFGS and then by kink Newton steps, each in all blocks: all residuals are drawn after
every step.

J is drawn after every step. A logarithmic axis has no place for 0: zeros (the best objective itself, a
residual that is exactly 0) sit on the lowest line of the panel as hollow marks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from amtl_cvx.plotting.canvas import (
    BLUE,
    BODY,
    CRIMSON,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Canvas,
    heading_height,
    number,
    shortened,
    text_width,
)
from amtl_cvx.plotting.environment import own_settings
from amtl_cvx.tasks import Array

if TYPE_CHECKING:
    from amtl_cvx.solution import Record

ALTERNATION = "alternation"
REFINEMENT = "refinement"
STEPS = "steps"
LBFGS, KINK_NEWTON = "L-BFGS", "kink Newton"
"""Of a network, whose residuals say how far a point is from being stationary in every direction."""
_SHADED = (REFINEMENT, KINK_NEWTON)
_WIDTH, _LEFT, _RIGHT, _PANEL, _BETWEEN = 9.0, 0.85, 1.95, 2.1, 0.55  # inches
_NAMED_UP_TO = 30  # steps of a curriculum up to which each is named on the axis


class _Span(NamedTuple):
    """A run of steps (first and last number, from 1) of one phase."""

    phase: str
    first: int
    last: int


@own_settings()
def convergence_figure(history: Sequence[Record], *, tol: float) -> Figure:
    """Objective and residuals of a run.

    Parameters
    ----------
    history : sequence of Record
        The run's steps; may hold one record, or none.
    tol : float
        The certificate's tolerance, drawn as a dashed line: a limit on `relative` alone.
    """
    spans = _spans(history)
    named = bool(spans) and spans[0].phase == STEPS and len(history) <= _NAMED_UP_TO
    foot = 0.5 + (0.9 if named else 0.0)
    lines = [_summary(history)]
    if any(span.phase == ALTERNATION for span in spans):
        lines.append(
            f"residuals: {_which(_blocks(history))} (a step zeroes its own), relative after each round"
        )
    if any(span.phase in (LBFGS, KINK_NEWTON) for span in spans):
        lines.append("relative: the worst entry of what is left of directional stationarity, kinks included")
    if spans and all(span.phase == STEPS for span in spans):
        lines.append("the residuals are those of the joint objective: reported, not required of this method")
    top = 0.25 + heading_height(lines) + 0.3
    canvas = Canvas(_WIDTH, top + 2 * _PANEL + _BETWEEN + foot + 0.15)
    canvas.heading(0.25, 0.25, "Convergence", lines)
    width = _WIDTH - _LEFT - _RIGHT
    upper = canvas.axes(_LEFT, top, width, _PANEL)
    lower = canvas.axes(_LEFT, top + _PANEL + _BETWEEN, width, _PANEL)
    lower.sharex(upper)
    upper.set_label("objective")
    lower.set_label("residuals")
    for axes in (upper, lower):
        _dress(axes, spans)
    _phases(upper, spans)
    _objective(upper, history)
    _residuals(lower, history, tol)
    upper.set_xlim(0.5, max(len(history), 1) + 0.5)
    upper.tick_params(axis="x", labelbottom=False)
    _steps(lower, history, named)
    return canvas.figure


def _spans(history: Sequence[Record]) -> list[_Span]:
    """Runs of steps of one phase."""
    spans: list[_Span] = []
    for place, record in enumerate(history, start=1):
        phase = STEPS
        if record.step == "refine":
            phase = KINK_NEWTON if "kinks" in record.stationarity else REFINEMENT
        elif record.step == "lbfgs":
            phase = LBFGS
        elif record.step in record.stationarity:
            phase = ALTERNATION
        if spans and spans[-1].phase == phase:
            spans[-1] = spans[-1]._replace(last=place)
        else:
            spans.append(_Span(phase, place, place))
    return spans


def _blocks(history: Sequence[Record]) -> list[str]:
    """The names of the blocks, in the order of a round."""
    return list(history[-1].stationarity) if history else []


def _which(blocks: Sequence[str]) -> str:
    """Which residuals are drawn after which step, in words."""
    if len(blocks) != 2:
        return "of every block after each step of another one"
    one, other = blocks
    return f"of {other} after each {one}-step, of {one} after each {other}-step"


def _summary(history: Sequence[Record]) -> str:
    if not history:
        return "no step was recorded"
    objectives = np.array([record.objective for record in history])
    best = float(np.nanmin(objectives)) if np.isfinite(objectives).any() else float("nan")
    steps = "1 step" if len(history) == 1 else f"{len(history)} steps"
    return f"smallest J = {best:.10g} after {steps}, {number(history[-1].seconds)} s"


def _dress(axes: Axes, spans: Sequence[_Span]) -> None:
    """A quiet grid, and the refinement shaded."""
    axes.spines["bottom"].set(visible=True, color=LINE)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e8ecf0", linewidth=0.8)
    for span in spans:
        if span.phase in _SHADED:
            axes.axvspan(span.first - 0.5, span.last + 0.5, color="#fbf1dc", linewidth=0, zorder=0)
            axes.axvline(span.first - 0.5, color=ORANGE, linewidth=0.9, zorder=1)


def _phases(axes: Axes, spans: Sequence[_Span]) -> None:
    """The name of each phase above its steps, where they leave room for it.

    A short first phase of a network is named to the left of its end.
    """
    total, wide = spans[-1].last if spans else 1, _WIDTH - _LEFT - _RIGHT
    for span in spans:
        share = (span.last - span.first + 1) / total
        if span.phase == STEPS or (share < 0.12 and span.phase == ALTERNATION):
            continue
        short = share * wide < text_width([span.phase], BODY) + 0.1
        early = span.phase == LBFGS and short and span.first == 1
        if span.phase == LBFGS and short and not early:
            continue
        late = early or (share < 0.2 and span.last == total)
        axes.annotate(
            span.phase, (span.last + 0.5 if late else span.first - 0.5, 1.0), (-3 * early if late else 3, 3),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if late else "left",
            va="bottom", size=BODY, color=MUTED,
        )  # fmt: skip


def _objective(axes: Axes, history: Sequence[Record]) -> None:
    values = np.array([record.objective for record in history], dtype=float)
    finite = np.isfinite(values)
    axes.set_ylabel("J \N{MINUS SIGN} smallest J", fontsize=BODY, color=INK)
    if not finite.any():
        axes.set_yticks([])
        _words(axes, "nothing to draw")
        return
    best = float(values[finite].min())
    above = np.where(values - best > 4 * np.finfo(float).eps * abs(best), values - best, 0.0)
    if not (above[finite] > 0).any():
        axes.scatter(
            np.arange(1, len(values) + 1)[finite], np.full(finite.sum(), 0.5), s=16, color=INK, zorder=3
        )
        axes.set(ylim=(0, 1), yticks=[])
        _words(axes, f"J = {best:.10g}" if len(values) == 1 else f"J is constant: {best:.10g}", height=0.66)
        return
    floor = _log_axis(axes, above)
    _line(axes, above, floor, at=np.arange(1.0, len(above) + 1), color=INK, width=1.8, label="J")


def _residuals(axes: Axes, history: Sequence[Record], tol: float) -> None:
    axes.set_ylabel("residual", fontsize=BODY, color=INK)
    steps, blocks = [record.step for record in history], _blocks(history)
    last = len(history) - 1
    series = (
        *(
            (f"stationarity_{block}", [i for i, step in enumerate(steps) if step != block], color, 0.8)
            for block, color in zip(blocks, itertools.cycle((BLUE, ORANGE, INK, MUTED)))
        ),
        ("relative", [i for i, step in enumerate(steps) if step not in blocks[:-1] or i in (0, last)],
         CRIMSON, 2.4),
    )  # fmt: skip
    drawn = [np.array([getattr(history[i], name) for i in at], dtype=float) for name, at, _, _ in series]
    floor = _log_axis(axes, np.concatenate([*drawn, [tol]]))
    for (name, at, color, width), values in zip(series, drawn, strict=True):
        _line(axes, values, floor, at=np.array(at, dtype=float) + 1, color=color, width=width, label=name)
    words = f"tol for relative = {tol:g}".replace("e-0", "e-")
    axes.axhline(tol, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), label=words, zorder=2)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=BODY, labelcolor=INK,
                borderaxespad=0, handlelength=1.4)  # fmt: skip


def _log_axis(axes: Axes, values: Array) -> float:
    """A logarithmic y axis around the positive values; returns the line on which zeros are drawn."""
    positive = np.clip(values[np.isfinite(values) & (values > 0)], 1e-307, 1e307)
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    zeros = bool((values == 0).any())
    first, high = low, max(high, low + 1)
    low -= max(1.0, 0.14 * (high - low)) if zeros else 0.0
    axes.set_yscale("log")
    margin = 0.03 * (high - low)
    axes.set_ylim(_power(low - margin), _power(high + margin))
    decades = max(1, int(np.ceil((high - low) / 6)))
    ticks = [round(exponent) for exponent in np.arange(first, high + 1, decades)]
    axes.set_yticks([_power(tick) for tick in ticks], [f"1e{tick}" for tick in ticks])
    axes.set_yticks([], minor=True)
    if zeros:
        axes.annotate("0", (0, _power(low)), (-3, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", va="center", size=BODY, color=INK)  # fmt: skip
    return _power(low)


def _power(exponent: float) -> float:
    """10 to a power, within the range of doubles."""
    return float(10.0 ** min(max(float(exponent), -307.0), 308.0))


def _line(
    axes: Axes, values: Array, floor: float, *, at: Array, color: str, width: float, label: str
) -> None:
    """Positive values as a line, zeros as hollow marks on the floor; what is not finite leaves a gap."""
    marker = "o" if len(values) <= 40 else ""
    positive = np.where(values > 0, values, np.nan)
    (line,) = axes.plot(at, positive, color=color, linewidth=width, label=label, zorder=3)
    line.set(marker=marker, markersize=2.0 + width)
    zero = values == 0
    if zero.any():
        axes.scatter(at[zero], np.full(zero.sum(), floor), s=16 + 8 * width, facecolor="white",
                     edgecolor=color, linewidth=0.8 + 0.3 * width, zorder=4, clip_on=False)  # fmt: skip


def _words(axes: Axes, text: str, *, height: float = 0.5) -> None:
    axes.text(0.5, height, text, transform=axes.transAxes, ha="center", va="center", size=BODY + 1, color=INK)


def _steps(axes: Axes, history: Sequence[Record], named: bool) -> None:
    total = max(len(history), 1)
    if named:
        labels = [shortened(record.step, 18) for record in history]
        axes.set_xticks(range(1, total + 1), labels, rotation=45, ha="right", parse_math=False)
        for text in axes.get_xticklabels():
            text.set_rotation_mode("anchor")
        return
    every = next(k * 10**e for e in range(9) for k in (1, 2, 5) if total <= 10 * k * 10**e)
    axes.set_xticks([1, *range(every, total + 1, every)] if every > 1 else range(1, total + 1))
    axes.set_xlabel("step", fontsize=BODY, color=INK)
