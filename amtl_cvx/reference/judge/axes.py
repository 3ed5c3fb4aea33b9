"""The axes of the pictures of failed checks: frame, legend, and scales on which values are told apart."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    SymmetricalLogLocator,
)

from amtl_cvx.arrays import Array
from amtl_cvx.plotting.canvas import BODY, LINE, MUTED


def frame(axes: Axes, x: str, y: str) -> None:
    """Two spines, and what is on them."""
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(True)
        axes.spines[side].set_color(LINE)
    axes.set_xlabel(x, color=MUTED, fontsize=BODY, labelpad=2)
    axes.set_ylabel(y, color=MUTED, fontsize=BODY, labelpad=2)
    axes.tick_params(labelsize=BODY - 1)


def legend(axes: Axes) -> None:
    """The legend, where it hides least."""
    axes.legend(fontsize=BODY - 1, frameon=False, loc="best", handletextpad=0.3, borderaxespad=0.2)


def spread(axes: Axes, x: Array, y: Array) -> None:
    """Axes that tell more than the largest values apart: logarithmic ones where sizes differ much."""
    for values, axis, scale in ((x, axes.xaxis, axes.set_xscale), (y, axes.yaxis, axes.set_yscale)):
        size = np.abs(values[values != 0])
        if size.size and float(np.quantile(size, 0.9)) > 1e3 * float(np.quantile(size, 0.1)):
            small = float(np.median(size))
            scale("symlog", linthresh=small)
            locator = SymmetricalLogLocator(base=10, linthresh=small)
            locator.set_params(numticks=4)
            axis.set_major_locator(locator)
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MaxNLocator(4))


def logarithmic(axis: Axis, *, ticks: int = 5) -> None:
    """Few ticks on a logarithmic axis, in plain text, which is drawn faster than formulas are."""
    low, high = sorted(axis.get_view_interval())
    places = [at for at in LogLocator(numticks=ticks).tick_values(low, high) if low <= at <= high]
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(
        FixedFormatter([f"{at:.0e}" if at < 0.01 or at >= 1000.0 else f"{at:g}" for at in places])
    )
    axis.set_minor_locator(NullLocator())


def entries(axis: Axis, count: int) -> None:
    """Whole numbers from 0: all of few entries, some of many."""
    few = FixedLocator(list(range(count)))
    axis.set_major_locator(few if count <= 8 else MaxNLocator(6, integer=True))
