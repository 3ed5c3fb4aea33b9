"""README.md from figures.json: `python reports/explore/page.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
HEAD = (
    "problem", "points", "hits of the lowest", "B = 0 above the lowest", "best predictor", "its J above",
    "test rmse: lowest J", "least validation error", "B = 0",
)  # fmt: skip


def table(rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for name, row in rows:
        errors = row["test_rmse"]
        cells = [name, row["points"], row["hits_of_lowest"], f"{row['zero_start_above_lowest']:.2%}"]
        cells += [f"point {row['best_predictor']}", f"{row['best_predictor_above_lowest']:.2%}"]
        cells += [f"{errors[key]:.4f}" for key in ("lowest J", "least validation error", "B = 0")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def findings(figures: dict[str, Any]) -> list[str]:
    rows, paper = figures["random"], figures["paper_synthetic"]
    everything, starts = [*rows, paper], figures["starts"]
    counts = [row["points"] for row in everything]
    errors = {key: np.mean([row["test_rmse"][key] for row in rows]) for key in rows[0]["test_rmse"]}
    above = [row["zero_start_above_lowest"] for row in rows]
    best = sum(row["best_predictor"] == 1 for row in rows)
    strict = sum(row["strict_local_minima"] for row in everything)
    failed = sum(row["uncertified"] for row in everything)
    spread = max(row["largest_spread"] for row in everything)
    apart = min(row["least_distance"] for row in everything)
    return [
        f"- {min(counts)} to {max(counts)} distinct first-order points a problem, median"
        f" {np.median(counts):.0f}; {strict} of all {sum(counts)} are strict local minima.",
        f"- B = 0, the default start, leads to the lowest J found in {above.count(0.0)} of {len(rows)} random"
        f" problems; elsewhere it ends up to {max(above):.0%} above it.",
        f"- The lowest J has the lowest validation error in {best} of {len(rows)} random problems.",
        "- Mean test rmse of the random problems, by how the point is chosen: "
        + ", ".join(f"{how} {error:.4f}" for how, error in errors.items())
        + " (the default start, no choice).",
        "- On paper-synthetic, with 30 validation rows a task, the same three ways give a test rmse of "
        + ", ".join(f"{how} {error:.2f}" for how, error in paper["test_rmse"].items())
        + f": {paper['points']} points are many to choose from by few rows.",
        f"- {failed} of {starts * len(everything)} fits did not certify.",
        f"- Results of one point lie within {spread:.0e} of each other, different points at least {apart:.0e}"
        " apart; the limit of the grouping is 2e-4.",
    ]


def write_page(figures: dict[str, Any]) -> None:
    rows = figures["random"]
    lines = [
        "# Where the first-order points are",
        "",
        f"{len(rows)} random problems (6 tasks, 10 features, 12 rows a task, squared loss, coupling 1, mu",
        f"0.05) and the packaged problem paper-synthetic, {figures['starts']} starts each.",
        "`python reports/explore/measure.py` writes this page.",
        "",
        *findings(figures),
        "",
        "![One of the random problems](random.png)",
        "",
        "![paper-synthetic](paper-synthetic.png)",
        "",
        *table([*((str(row["seed"]), row) for row in rows), ("paper-synthetic", figures["paper_synthetic"])]),
        "",
        figures["machine"],
        "",
    ]
    (HERE / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    write_page(json.loads((HERE / "figures.json").read_text()))
