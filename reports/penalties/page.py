"""The page of what was measured of the transfer penalties."""

from __future__ import annotations

from typing import Any


def page(found: dict[str, Any], *, points: int, seed: int, repeats: int, rounding: float) -> str:
    """README.md."""
    lines = [
        "# Transfer penalties",
        "",
        "Written by `python reports/penalties/measure.py`; do not edit. " + found["machine"],
        f"Seeds {seed} and {seed + 1}.",
        "",
        "## The battery",
        "",
        f"The checks of `tests/battery.py` with {points} points each: the formula as it is printed, DPP, the"
        " prox of a conic solver and what a prox has to be, losses, relabelling, conjugate, gap, limits.",
        "",
        "| penalty | checks | missed |",
        "|---|---|---|",
        *(
            f"| {name} | {row['checks']} | {', '.join(row['missed']) or 'none'} |"
            for name, row in found["battery"].items()
        ),
        "",
        "## The gap of B",
        "",
        f"T - 1 <= d, T <= 6, {points} points each, half of them near the best B. Falls short: the most by"
        " which the gap is below J(B) - J(B of Clarabel, made feasible), over J, negative where it never is."
        f" Limit {rounding:.0e}, the rounding of that difference. Ratio: median of the gap over the true one."
        " At solutions: the largest gap over J where a fit ends with a residual of at most 1e-13, limit"
        " 1e-12.",
        "",
        "| penalty | falls short | ratio | at solutions | how many | holds |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found["gaps"].items():
        largest = "-" if row["largest"] is None else f"{row['largest']:.1e}"
        holds = row["short"] <= rounding and row["largest"] is not None and row["largest"] <= 1e-12
        lines.append(
            f"| {name} | {row['short']:.1e} | {row['ratio']:.3g} | {largest} | {row['solutions']} of"
            f" {row['of']} | {'yes' if holds else 'NO'} |"
        )
    lines += [
        "",
        "## A fit in a warm process",
        "",
        f"CPU seconds, median of {repeats}, from the product's start, the default engine. An answer counts"
        " that has at least as many edges as tasks. With signed edges on digits I - B becomes singular and"
        " predictors grow: nothing is certified there.",
        "",
        "| problem | penalty | mu | asked | residual | steps | edges | level | seconds | limit | holds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["fits"]:
        limit = "-" if row["limit"] is None else f"{row['limit']:g}"
        head = f"| {row['problem']} | {row['penalty']} | {row['mu']:.3g} | {row['asked']:.0e} |"
        if "skipped" in row:
            lines.append(f"{head} not measured: {row['skipped']} | | | | | {limit} | |")
            continue
        lines.append(
            f"{head} {row['residual']:.1e} | {row['steps']} | {row['edges']} | {row['level']} |"
            f" {row['seconds']:.2f} | {limit} | {_word(row)} |"
        )
    return "\n".join([*lines, ""])


def _word(row: dict[str, Any]) -> str:
    if row["limit"] is None:
        return "not asked"
    if not row["counts"]:
        return "does not count"
    return "yes" if row["holds"] else "NO"
