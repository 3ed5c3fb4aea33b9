"""The page of kink Newton on networks: what must hold and what does, tables, times by part, a picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from amtl_cvx.plotting import write_png

Row = dict[str, Any]


def certified(row: Row) -> bool:
    """Within tolerance and seconds."""
    return bool(row["passes"] and row["residual"] <= row["tol"] and row["seconds"] <= row["limit"])


def counts(row: Row) -> bool:
    """The same with half of its features live, below the zero point."""
    return certified(row) and 2 * row["live"] >= row["features"] and bool(row["objective"] < row["zero"])


def below(row: Row) -> bool:
    """J below that of L-BFGS, where kink Newton began."""
    return bool(row["objective"] < row["start objective"])


def settings(rows: list[Row], group: str) -> dict[tuple[str, tuple[float, ...]], list[Row]]:
    """The rows of a group by loss and weights, the seeds in order."""
    found: dict[tuple[str, tuple[float, ...]], list[Row]] = {}
    for row in sorted((row for row in rows if row["group"] == group), key=lambda row: row["seed"]):
        found.setdefault((row["loss"], tuple(row["weights"])), []).append(row)
    return found


def verdicts(rows: list[Row], group: str) -> list[str]:
    """A line a setting: how many of the seeds that were run meet each demand."""
    lines = [
        "| loss | alpha, mu, gamma, decay | seeds | certified in time | counts | C3 | J below L-BFGS |"
        " residual, worst | CPU s, median and most | steps, most | live, least | active kinks |",
        "|---" * 12 + "|",
    ]
    for (loss, weights), found in settings(rows, group).items():
        seconds = [row["seconds"] for row in found]
        kinks = [row["kinks"] for row in found]
        lines.append(
            f"| {loss} | {', '.join(f'{w:g}' for w in weights)} | {len(found)} |"
            f" {sum(map(certified, found))} | {sum(map(counts, found))} |"
            f" {sum(row['level'] == 'C3' for row in found)} | {sum(map(below, found))} |"
            f" {max(row['residual'] for row in found):.1e} | {np.median(seconds):.1f}, {max(seconds):.1f} |"
            f" {max(row['steps'] for row in found)} | {min(row['live'] for row in found)} of"
            f" {found[0]['features']} | {min(kinks)} to {max(kinks)} |"
        )
    return lines


ASKED = {"one layer": "18 of 20, C3 on 80 %", "deep": "9 of 10", "digits": "2 of 3"}
WORDS = {
    "one layer": "n = 300 rows that T = 6 tasks share, d = 20, k = 10, gamma in total. Squared: planted with"
    " ten ReLU features and noise. Logistic: signs along six orthogonal directions, one in twenty turned"
    " round, inputs of standard deviation 10 (with 1 the third setting leaves nothing worth its price)."
    " Residual at most 1e-8 within 120 CPU s.",
    "deep": "15-10-8-6, 326 weights, N = 200 rows, planted with a network of the same size and noise;"
    " residual at most 1e-8 within 120 CPU s.",
    "digits": "64-22-14-10, 1,996 weights, the first 500 of scikit-learn's bundled images of digits (8 by 8"
    " pixels, from 0 to 1), ten one-vs-rest tasks; residual at most 1e-6 within 900 CPU s.",
}


def products(rows: list[Row]) -> list[str]:
    """What `fit` itself makes of the same problems, a line a setting."""
    lines = [
        "| group | loss | alpha, mu, gamma, decay | seeds | certified | counts | C3 | residual of these |"
        " CPU s, median and most | live, least | J less that above, least and most |",
        "|---" * 11 + "|",
    ]
    for group in ASKED:
        for (loss, weights), found in settings([r for r in rows if "fit" in r], group).items():
            fits = [row["fit"] for row in found]
            passed = [each for each in fits if each["passes"]]
            half = [
                2 * each["live"] >= each["features"] and each["objective"] < each["zero"] for each in passed
            ]
            seconds = [each["seconds"] for each in fits]
            apart = [row["fit"]["objective"] - row["objective"] for row in found]
            lines.append(
                f"| {group} | {loss} | {', '.join(f'{w:g}' for w in weights)} | {len(found)} |"
                f" {len(passed)} | {sum(half)} | {sum(each['level'] == 'C3' for each in fits)} |"
                f" {max((each['residual'] for each in passed), default=float('nan')):.1e} |"
                f" {np.median(seconds):.1f}, {max(seconds):.1f} | {min(each['live'] for each in fits)} |"
                f" {min(apart):.1e}, {max(apart):.1e} |"
            )
    return lines


def missed(rows: list[Row], group: str) -> list[str]:
    """The fits that do not count, or have no C3, and why, each in a line."""
    lines = []
    for row in (row for row in rows if row["group"] == group):
        if counts(row) and below(row) and row["level"] == "C3":
            continue
        lines.append(
            f"- {row['loss']}, {', '.join(f'{w:g}' for w in row['weights'])}, seed {row['seed']}: ended"
            f' "{row["ended"]}" after {row["steps"]} steps and {row["seconds"]:.1f} s, residual'
            f" {row['residual']:.1e}, level {row['level']}, {row['live']} live, {row['concave']} concave"
            f" kinks, J less that of L-BFGS {row['objective'] - row['start objective']:+.1e}"
            + (f"; {row['why']}" if row["why"] else "")
        )
    return lines


def beside(rows: list[Row]) -> list[str]:
    """J and residual of L-BFGS with 3,000 iterations, and fits that left it after 300."""
    lines = []
    for group in ASKED:
        found = [row for row in rows if row["group"] == group]
        if not found:
            continue
        above = np.array([row["start objective"] / row["objective"] - 1.0 for row in found])
        residual = np.array([row["start residual"] for row in found])
        seconds = np.array([row["start seconds"] for row in found])
        lines.append(
            f"- {group}: J is {above.min():.3%} to {above.max():.3%} above where kink Newton takes it (median"
            f" {np.median(above):.3%}); residual {residual.min():.1e} to {residual.max():.1e};"
            f" {np.median(seconds):.1f} CPU s, at most {seconds.max():.1f}."
        )
        early = [row for row in found if "short" in row]
        if early:
            met = [row["short"]["residual"] <= row["tol"] for row in early]
            higher = [row["short"]["objective"] > row["start objective"] for row in early]
            lower = [row["short"]["objective"] < row["objective"] * (1.0 - 1e-9) for row in early]
            lines.append(
                f"- {group}, kink Newton after 300 iterations, {len(early)} fits: within the tolerance"
                f" {sum(met)}; J above that of L-BFGS with 3,000 iterations {sum(higher)}, below that of kink"
                f" Newton from there {sum(lower)}: they end in other minima."
            )
    return lines


def times(rows: list[Row]) -> list[str]:
    """CPU seconds of kink Newton by module."""
    lines = ["| fit | weights | steps | CPU s | by module of `amtl_cvx/network` |", "|---|---|---|---|---|"]
    for row in rows:
        if "parts" in row:
            spent = ", ".join(f"{name} {took:.2f}" for name, took in list(row["parts"].items())[:8])
            weights = ", ".join(f"{w:g}" for w in row["weights"])
            lines.append(
                f"| {row['group']}, {row['loss']}, {weights} | {row['size']} | {row['steps']} |"
                f" {row['seconds'] - row['start seconds']:.1f} | {spent} |"
            )
    return lines


def text(rows: list[Row]) -> str:
    """networks.md."""
    if not rows:
        return "# Networks, certified\n\nNothing was run yet.\n"
    lines = [
        "# Networks, certified",
        "",
        f"Written by `python reports/features/networks.py`; do not edit."
        f" {' '.join(sorted({r['machine'] for r in rows}))}",
        "",
        "A fit is L-BFGS (3,000 iterations in three parts, between which columns of A that are 0 are filled"
        " where that lowers J) from where `fit` begins, or with several layers from random weights, A"
        " included, then kink Newton; it is judged by the certificate"
        " alone, without snap. A fit is certified in time with the residual that is asked for"
        " within the CPU seconds, and counts if half of its features are live and J is below the zero point."
        " Seconds are those of L-BFGS and kink Newton, not of the judge, on one thread of a machine that did"
        " other things as well.",
    ]
    for group, asked in ASKED.items():
        if not settings(rows, group):
            lines += ["", f"## {group.capitalize()}", "", f"{WORDS[group]} Asked: {asked}. Not run."]
            continue
        lines += ["", f"## {group.capitalize()}", "", f"{WORDS[group]} Asked: {asked}.", ""]
        lines += verdicts(rows, group)
        ended = Counter(row["ended"] for row in rows if row["group"] == group)
        lines += ["", "Ended: " + ", ".join(f"{why} {count}" for why, count in ended.most_common()) + "."]
        lacking = missed(rows, group)
        lines += (
            ["", "Fits that lack something:", "", *lacking] if lacking else ["", "No fit lacks anything."]
        )
    lines += ["", "## `fit` as it is", "", *products(rows)]
    lines += ["", "## Where kink Newton began: L-BFGS with 3,000 iterations", "", *beside(rows)]
    lines += ["", "## Times by part", "", "Under a profiler, which adds some of its own.", "", *times(rows)]
    lines += ["", "![Residual over CPU seconds](networks.png)", ""]
    return "\n".join(lines)


def drawn(rows: list[Row], path: Path) -> None:
    """Residual over CPU seconds of the first seed of each setting, L-BFGS and kink Newton marked."""
    traced = [row for row in rows if "newton" in row]
    if not traced:
        return
    groups = [group for group in ASKED if any(row["group"] == group for row in traced)]
    figure = Figure(figsize=(4.4 * len(groups), 3.8), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(groups), sharey=True))
    for axis, group in zip(axes, groups, strict=True):
        for row in (row for row in traced if row["group"] == group):
            for name, colour, label in (("lbfgs", "0.6", "L-BFGS"), ("newton", "tab:blue", "kink Newton")):
                seconds, residual = np.array(row[name])[:, :2].T
                axis.plot(
                    seconds,
                    np.maximum(residual, 1e-16),
                    "-",
                    marker=".",
                    ms=3,
                    lw=0.8,
                    color=colour,
                    label=label,
                )
        axis.axhline(row["tol"], color="tab:red", lw=0.8, ls="--")
        axis.set(xscale="log", yscale="log", title=group, xlabel="CPU seconds")
        handles, labels = axis.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        axis.legend(once.values(), once.keys(), fontsize=8)
    axes[0].set_ylabel("relative residual of d-stationarity")
    figure.suptitle("First seed of each setting; the red line is the residual that is asked for", fontsize=9)
    write_png(figure, path)
