"""Tables of the page: what all cells of a method on a data set say together.

An error is the mean over parts with its standard error over the same parts; a gain is paired with STL part by
part, with a 95 % t-interval. One part has neither: there McNemar's test compares wrong rows. On Synthetic the
draws are ours, so the gain over STL in percent stands beside that of the published means.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from paper.errors import mcnemar
from paper.protocols import PARTS, contenders
from paper.published import ALLOWED, published
from scipy.stats import t as student

from amtl_cvx.families.settings.named import NAMED

Cells = Mapping[str, Any]


def key(data: str, method: str, number: int) -> str:
    """The name of a cell."""
    return f"{data}/{method.replace(', ', '-')}/{number}"


def title(method: str) -> str:
    """As a table calls it."""
    name, _, more = method.partition(", ")
    known = NAMED[name].title if name in NAMED else name.upper()
    return known + (f", {more}" if more else "")


class Row(NamedTuple):
    """A method on the parts on which both it and STL are measured."""

    method: str
    parts: list[int]
    errors: list[float]
    gains: list[float]
    cells: list[Any]

    @property
    def mean(self) -> float:
        """Of the errors."""
        return statistics.fmean(self.errors)

    @property
    def spread(self) -> float | None:
        """Their standard error."""
        return standard_error(self.errors)


def standard_error(values: Sequence[float]) -> float | None:
    """Of a mean; None of one value."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Of a mean, 95 %, by Student's t."""
    error = standard_error(values)
    if error is None:
        return None
    half = float(student.ppf(0.975, len(values) - 1)) * error
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def row(cells: Cells, data: str, method: str, numbers: Sequence[int]) -> Row | None:
    """What there is of a method; None where that is nothing."""
    have = [n for n in numbers if key(data, method, n) in cells and key(data, "stl", n) in cells]
    if not have:
        return None
    own = [cells[key(data, method, n)] for n in have]
    errors = [each["test"] for each in own]
    alone = [cells[key(data, "stl", n)]["test"] for n in have]
    return Row(method, have, errors, [a - e for a, e in zip(alone, errors, strict=True)], own)


def table(cells: Cells, data: str, numbers: Sequence[int] | None = None) -> list[str]:
    """The table of a data set."""
    numbers = list(PARTS[data]) if numbers is None else list(numbers)
    percent = data in ("usps", "mnist")
    compared = "gain over STL [95 %]" if not percent else "rows only STL / only it gets wrong, p"
    head = ["method", "published", "ours", "parts", compared, "gain published", "certificates", "chosen"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method in contenders(data):
        found = row(cells, data, method, numbers)
        theirs = published(data, method)
        told = "-" if theirs is None else f"{theirs[0]:.2f} ± {theirs[1]:.2f}"
        if found is None:
            lines.append(f"| {title(method)} | {told} | not run yet | 0 of {len(numbers)} | | | | |")
            continue
        lines.append(
            f"| {title(method)} | {told} | {_error(found)}{_flag(found, data)} |"
            f" {len(found.parts)} of {len(numbers)} | {_compared(found, cells, data)} |"
            f" {_gain_published(data, method)} | {levels(found)} | {parameters(found)} |"
        )
    return lines


def _error(found: Row) -> str:
    return f"{found.mean:.3f}" + (f" ± {found.spread:.3f}" if found.spread is not None else "")


def _flag(found: Row, data: str) -> str:
    theirs = published(data, found.method)
    worse = theirs is not None and data != "synthetic" and found.mean > theirs[0] + ALLOWED[data]
    return " (worse)" if worse else ""


def _compared(found: Row, cells: Cells, data: str) -> str:
    if found.method == "stl":
        return ""
    if data in ("usps", "mnist"):
        alone = cells[key(data, "stl", found.parts[0])].get("wrong", [])
        test = mcnemar(alone, found.cells[0].get("wrong", []))
        return f"{test['first']} / {test['second']}, p {test['p']:.2g}"
    bounds = interval(found.gains)
    won = sum(gain > 0 for gain in found.gains)
    share = f"{100.0 * relative_gain(found):.1f} %; " if data == "synthetic" else ""
    told = f" [{bounds[0]:+.3f}, {bounds[1]:+.3f}]" if bounds else ""
    return f"{share}{statistics.fmean(found.gains):+.3f}{told}, {won} of {len(found.gains)}"


def relative_gain(found: Row) -> float:
    """The mean over parts of what share of STL's error is gone."""
    return statistics.fmean(gain / (gain + e) for gain, e in zip(found.gains, found.errors, strict=True))


def _gain_published(data: str, method: str) -> str:
    theirs, alone = published(data, method), published(data, "stl")
    if theirs is None or alone is None or method == "stl":
        return ""
    gain = alone[0] - theirs[0]
    return f"{gain:+.2f}" + (f" ({100.0 * gain / alone[0]:.1f} %)" if data == "synthetic" else "")


def levels(found: Row) -> str:
    """How many fits have which level, and the widest global gap where the problem is convex."""
    verdicts = [each["certificate"] for each in found.cells]
    all_of = [verdict["level"] for verdict in verdicts]
    told = ", ".join(f"{all_of.count(level)} x {level}" for level in sorted(set(all_of)))
    widths = [verdict["global_width"] for verdict in verdicts if "global_width" in verdict]
    return told + (f" (gap <= {max(widths):.0e} J)" if widths else "")


def parameters(found: Row) -> str:
    """Least and largest of what was chosen."""
    said = []
    for name in found.cells[0]["parameters"]:
        values = [each["parameters"][name] for each in found.cells]
        if isinstance(values[0], str):
            said.append(f"{name} " + "/".join(sorted(set(values))))
        elif min(values) == max(values):
            said.append(f"{name} {values[0]:.3g}")
        else:
            said.append(f"{name} {min(values):.3g} to {max(values):.3g}")
    edges = sum(bool(each["at_edge"]) for each in found.cells)
    return ", ".join(said) + (f"; {edges} at an edge of the grid" if edges else "")


def share(found: Row, name: str) -> float | None:
    """The mean of a figure of the graph over the parts that have edges."""
    values = [each[name] for each in found.cells if name in each]
    return float(np.mean(values)) if values else None
