"""The paper's figures, redrawn from the cells: learned graph, gain by task and by digit, curriculum order.

Orientation of a graph: row s -> column t: task s helps task t. Gains are over STL on the same test rows, with
both chosen for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paper.data import LOW_NOISE
from paper.protocols import PARTS, contenders
from paper.published import TITLES, published
from paper.tables import Row, key, row, title

from amtl_cvx.graph import TransferGraph
from amtl_cvx.plotting import heatmap, write_png
from amtl_cvx.tasks import Array

Cells = Mapping[str, Any]
BLUE, ORANGE, GREY = "#2f6f9f", "#c4571a", "#8a8a8a"


def draw(cells: Cells, folder: Path) -> dict[str, str]:
    """Every figure that the cells allow, by its file name, with what it shows."""
    made = {}
    for name, (figure, words) in _figures(cells).items():
        write_png(figure, folder / name, dpi=110)
        made[name] = words
    return made


def _figures(cells: Cells) -> dict[str, tuple[Figure, str]]:
    makers: tuple[Callable[[Cells], dict[str, tuple[Figure, str]]], ...] = (
        _tables,
        _graphs,
        _gain_by_task,
        _orders,
        _by_school,
        _by_digit,
        _rounds,
    )
    found: dict[str, tuple[Figure, str]] = {}
    for make in makers:
        found |= make(cells)
    return found


def _tables(cells: Cells) -> dict[str, tuple[Figure, str]]:
    """All tables in a picture: published beside measured."""
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    for k, data in enumerate(("synthetic", "imbalanced", "school", "usps", "mnist"), start=1):
        numbers = range(1, 6) if data == "school" else PARTS[data]
        rows = [row(cells, data, method, numbers) for method in contenders(data) if "," not in method]
        have = [each for each in rows if each is not None][::-1]
        axes = figure.add_subplot(2, 3, k)
        theirs = [(y, known) for y, each in enumerate(have) if (known := published(data, each.method))]
        for side, color, mark, points in (
            (0.16, ORANGE, "s", [(y, mean, spread) for y, (mean, spread) in theirs]),
            (
                -0.16,
                BLUE,
                "o",
                [(y, each.mean, each.spread or _binomial(each, data)) for y, each in enumerate(have)],
            ),
        ):
            places = [y + side for y, *_ in points]
            means, spreads = [mean for _, mean, _ in points], [spread for *_, spread in points]
            label = "published" if mark == "s" else "measured"
            axes.errorbar(means, places, xerr=spreads, fmt=mark, color=color, ms=4, lw=1.0, label=label)
        _framed(axes, "percent of wrong rows" if data in ("usps", "mnist") else "RMSE", "")
        axes.set_yticks(range(len(have)), [title(each.method) for each in have])
        axes.set_title(TITLES[data], fontsize=9, loc="left")
    axes = figure.add_subplot(2, 3, 6)
    axes.set_axis_off()
    axes.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, loc="upper left")
    words = (
        "error by method, lower is better; bars: the published +-, ours a standard error (of rows for digits)"
    )
    return {"tables.png": (figure, words)}


def _binomial(found: Row, data: str) -> float:
    """Standard error of one part: that of a share of wrong rows, 0 where it has none."""
    if data not in ("usps", "mnist"):
        return 0.0
    share, rows = found.mean / 100.0, 500
    return 100.0 * float(np.sqrt(share * (1.0 - share) / rows))


def _there(cells: Cells, data: str, method: str) -> list[Any]:
    """The cells of a method, part by part."""
    return [cells[key(data, method, n)] for n in PARTS[data] if key(data, method, n) in cells]


def _graphs(cells: Cells) -> dict[str, tuple[Figure, str]]:
    found = {}
    for data, method in (("synthetic", "amtl"), ("imbalanced", "amtl-imbalanced"), ("imbalanced", "amtl")):
        own = [np.array(each["B"]) for each in _there(cells, data, method) if "B" in each]
        if not own:
            continue
        names = tuple(f"{t + 1}{'*' if t in LOW_NOISE else ''}" for t in range(12))
        of = f"{len(own)} draws" if data == "synthetic" else f"{len(own)} sets"
        star = "low noise" if data == "synthetic" else "500 rows"
        graph = TransferGraph(B=np.mean(own, axis=0), names=names)
        what = f"{title(method)} on {data}: B, mean of {of} (* {star})"
        found[f"graph-{data}-{method}.png"] = heatmap(graph, title=what), what
    return found


def _gains(cells: Cells, data: str, method: str) -> Array | None:
    """Gain of each task over STL, (parts, T)."""
    pairs = [
        (cells[key(data, "stl", n)]["tasks"], cells[key(data, method, n)]["tasks"])
        for n in PARTS[data]
        if key(data, "stl", n) in cells and key(data, method, n) in cells
    ]
    return np.array([np.subtract(*pair) for pair in pairs]) if pairs else None


def _gain_by_task(cells: Cells) -> dict[str, tuple[Figure, str]]:
    found = {}
    for data, methods in (("synthetic", ("amtl", "mean")), ("imbalanced", ("amtl-imbalanced", "amtl"))):
        have = {m: gains for m in methods if (gains := _gains(cells, data, m)) is not None}
        if not have:
            continue
        figure = Figure(figsize=(7.5, 3.0), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(have)
        for k, (method, gains) in enumerate(have.items()):
            place = np.arange(12) + (k - (len(have) - 1) / 2) * width
            error = gains.std(axis=0, ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else None
            axes.bar(
                place, gains.mean(axis=0), width, yerr=error, color=(BLUE, ORANGE)[k], label=title(method)
            )
        _framed(
            axes,
            "task (* low noise)" if data == "synthetic" else "task (* 500 rows, others 5)",
            "gain in RMSE",
        )
        axes.set_xticks(range(12), [f"{t + 1}{'*' if t in LOW_NOISE else ''}" for t in range(12)])
        axes.legend(frameon=False, fontsize=8)
        parts = len(next(iter(have.values())))
        found[f"gain-{data}.png"] = (
            figure,
            f"gain over STL by task, {data}, mean of {parts} with standard errors",
        )
    return found


def _orders(cells: Cells) -> dict[str, tuple[Figure, str]]:
    own = [each["order"] for each in _there(cells, "synthetic", "amtl-curriculum") if "order" in each]
    if not own:
        return {}
    places = np.array([np.argsort(order) + 1 for order in own])
    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    axes = figure.add_subplot()
    boxes = axes.boxplot(places, patch_artist=True, medianprops={"color": "black"})
    for t, box in enumerate(boxes["boxes"]):
        box.set_facecolor(BLUE if t in LOW_NOISE else ORANGE)
    _framed(axes, "task (blue: low noise)", "place in the order")
    axes.set_xticks(range(1, 13), [str(t + 1) for t in range(12)])
    return {
        "order-synthetic.png": (
            figure,
            f"curriculum order on Synthetic: when a task is learned, {len(own)} draws",
        )
    }


def _by_school(cells: Cells) -> dict[str, tuple[Figure, str]]:
    gains = _gains(cells, "school", "amtl")
    if gains is None:
        return {}
    mean = np.sort(gains.mean(axis=0))[::-1]
    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(mean)), mean, 1.0, color=np.where(mean >= 0, BLUE, ORANGE))
    _framed(axes, "schools, by gain", "gain in RMSE")
    lost = int((mean < 0).sum())
    words = (
        f"AMTL's gain over STL by school, mean of {len(gains)} splits: {len(mean) - lost} gain, {lost} lose"
    )
    return {"gain-school.png": (figure, words)}


def _by_digit(cells: Cells) -> dict[str, tuple[Figure, str]]:
    have = {data: gains for data in ("mnist", "usps") if (gains := _gains(cells, data, "amtl")) is not None}
    if not have:
        return {}
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    for k, (data, gains) in enumerate(have.items(), start=1):
        axes = figure.add_subplot(1, len(have), k)
        axes.bar(range(10), gains[0], color=np.where(gains[0] >= 0, BLUE, ORANGE))
        _framed(axes, "digit" if data == "mnist" else "label in the file", "fewer wrong rows, % points")
        axes.set_xticks(range(10), [str(t if data == "mnist" else t + 1) for t in range(10)])
        axes.set_title(data.upper(), fontsize=9, loc="left")
    return {"gain-digits.png": (figure, "AMTL's gain over STL by class, % points of that class's test rows")}


def _rounds(cells: Cells) -> dict[str, tuple[Figure, str]]:
    have = {name.split("/")[1]: each for name, each in sorted(cells.items()) if name.startswith("rounds/")}
    if not have:
        return {}
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    for k, (data, each) in enumerate(have.items(), start=1):
        axes = figure.add_subplot(2, (len(have) + 1) // 2, k)
        for curve in each["curves"]:
            axes.plot(range(1, len(curve["test"]) + 1), curve["test"], color=BLUE, lw=0.9, alpha=0.7)
            axes.plot(curve["chosen"], curve["test"][curve["chosen"] - 1], "o", color=ORANGE, ms=3.5)
        _framed(axes, "rounds", "percent of wrong rows" if data in ("usps", "mnist") else "test RMSE")
        axes.set_title(TITLES[data], fontsize=9, loc="left")
        top = np.nanpercentile([e for curve in each["curves"] for e in curve["test"]], 97)
        low = min(min(curve["test"]) for curve in each["curves"])
        axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
    words = (
        "test error by round at the chosen coupling and mu, AMTL-imbalanced on Imbalanced synthetic and AMTL"
        " elsewhere; dots: the rounds that were chosen"
    )
    return {"rounds.png": (figure, words)}


def _framed(axes: Axes, x: str, y: str) -> None:
    axes.axhline(0.0, color=GREY, lw=0.6) if "gain" in y or "fewer" in y else None
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.tick_params(labelsize=7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
