"""What the panels of a tuning share: its parameters, its errors, the words of both."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axis import XAxis, YAxis
from matplotlib.colors import Colormap, LinearSegmentedColormap

from amtl_cvx.experiment.tuning.axes import ROUNDS, Axis, Value

if TYPE_CHECKING:
    from amtl_cvx.experiment.tuning import Trial, Tuning

ERROR_COLORS: Colormap = LinearSegmentedColormap.from_list(
    "errors", ["#0b2f5c", "#1f6fae", "#8cc2e4", "#e6eff6"]
)
"""The least error is the darkest."""
_FAR = 4.0
"""Errors further above the least than this many times the median's distance share one colour."""


def varied(tuning: Tuning) -> list[Axis]:
    """The parameters that were tried at more than one value."""
    return [axis for axis in tuning.axes if len(values_of(tuning, axis.name)) > 1]


def values_of(tuning: Tuning, name: str) -> Sequence[Value]:
    """The values of a parameter that were tried, in order."""
    return tuning.profile(name)[0]


def pairs(tuning: Tuning) -> list[tuple[str, str]]:
    """Which pairs of parameters have a map; rounds are drawn as a line where two others were varied."""
    names = [axis.name for axis in varied(tuning)]
    others = [name for name in names if name != ROUNDS]
    return list(itertools.combinations(others if len(others) > 1 else names, 2))


def best_of(tuning: Tuning) -> Trial:
    """The trial of least mean error, the chosen one where it is as good."""
    return tuning.chosen if tuning.chosen.mean <= tuning.best.mean else tuning.best


def color_limits(errors: Iterable[float]) -> tuple[float, float, bool]:
    """The errors that the colours are for, and whether some lie above them."""
    known = np.array([error for error in errors if np.isfinite(error)])
    if not len(known):
        return 0.0, 1.0, False
    low, high = float(known.min()), float(known.max())
    far = low + _FAR * (float(np.median(known)) - low)
    if low < far < high:
        return low, far, True
    return low, high if high > low else low + (abs(low) or 1.0), False


def shown(value: object) -> str:
    """A value of a parameter in few characters."""
    return f"{value:.3g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def within(axis: XAxis | YAxis, values: Iterable[Value] = ()) -> None:
    """No ticks beyond the ends of an axis; the least and the largest value where fewer than two are left."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
    known = [float(value) for value in values]
    if len(ticks) < 2 and known:
        ends = sorted({min(known), max(known)})
        axis.set_ticks(ends, labels=[shown(end) for end in ends])
    else:
        axis.set_ticks(ticks)


def error_words(errors: Sequence[float]) -> list[str]:
    """Errors with as many decimals as tell the two least apart, four to six digits of these; "" for none."""
    known = sorted({error for error in errors if np.isfinite(error)})
    decimals = 4
    if known and known[0] > 0:
        gap = (known[1] - known[0]) / known[0] if len(known) > 1 else 1.0
        digits = int(np.clip(np.ceil(-np.log10(gap)) + 1, 4, 6))
        decimals = max(digits - 1 - int(np.floor(np.log10(known[0]))), 0)
    return [_with(error, decimals) if np.isfinite(error) else "" for error in errors]


def _with(error: float, decimals: int) -> str:
    return f"{error:.{decimals}f}" if 1e-4 < abs(error) < 1e4 or error == 0 else f"{error:.0e}"


def setting_words(tuning: Tuning, trial: Trial, *, apart: Sequence[str] = ()) -> str:
    """The values that a trial has of the varied parameters, but for some."""
    return ", ".join(
        f"{axis.name} {shown(trial.parameters[axis.name])}"
        for axis in varied(tuning)
        if axis.name not in apart
    )
