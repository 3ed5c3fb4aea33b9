"""Measure how a round of the alternation grows with the number of tasks T and of features d.

    python reports/scale/growth.py [--largest T D]      default: 500 1000

writes growth.json, growth.md and growth.png beside itself. Each cell is a fit of `ROUNDS` rounds without
refinement in a process of its own (peak resident memory), once per engine, on generated data: task weights of
rank three plus noise, mean squared loss, coupling 1, mu 0.1. Growth in n is measured by rows.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import machine  # noqa: E402

SEED, ROUNDS, LIMIT = 0, 4, 300.0
TASKS, FEATURES = (10, 20, 50, 100, 200, 500), (10, 30, 100, 300, 1000)
FIXED_D, FIXED_T = 20, 10
ENGINES = ("cvxpy", "fast")

CELL = f"""
import json, resource, sys
import numpy as np
from amtl_cvx import LossWeightedL1, Model, Options, Squared, TaskSet, fit
T, d, engine = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng({SEED})
W = rng.normal(size=(d, 3)) @ rng.normal(size=(3, T)) + 0.1 * rng.normal(size=(d, T))
X = [rng.normal(size=(2 * d, d)) for _ in range(T)]
y = [rows @ w + s * rng.normal(size=2 * d) for rows, w, s in zip(X, W.T, rng.uniform(0.1, 2.0, size=T))]
model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
options = Options(engine=engine, max_rounds={ROUNDS}, refine=False)
solution = fit(TaskSet.from_arrays(X, y), model, options=options)
steps = solution.history
walls = np.diff([0.0] + [record.seconds for record in steps])
last = lambda name: float(np.median([r.solver_seconds for r in steps if r.step == name][1:]))
print(json.dumps(dict(
    round=float(np.median(walls[2::2] + walls[3::2])), W=last("W"), B=last("B"),
    compile=solution.seconds["compile"], first=float(walls[0] + walls[1]),
    relative_B=float(solution.certificate.relative_B),
    mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
)))
"""


def cell(T: int, d: int, engine: str) -> dict[str, Any]:
    """One size and engine: its figures, or the reason why there are none."""
    words = [sys.executable, "-c", CELL, str(T), str(d), engine]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"T": T, "d": d, "engine": engine, "failed": f"over {LIMIT:g} s"}
    if done.returncode:
        return {"T": T, "d": d, "engine": engine, "failed": done.stderr.strip().splitlines()[-1][:80]}
    return {"T": T, "d": d, "engine": engine, **json.loads(done.stdout)}


def exponent(cells: list[dict[str, Any]], axis: str, key: str) -> str:
    """The slope of log(key) over log(axis) through the larger half of the sizes."""
    pairs = [(found[axis], found[key]) for found in cells if key in found]
    half = pairs[len(pairs) // 2 :]
    if len(half) < 2:
        return "-"
    x, y = np.log(np.array(half, dtype=float)).T
    return f"{np.polyfit(x, y, 1)[0]:.1f}"


def table(cells: list[dict[str, Any]], axis: str) -> list[str]:
    lines = [
        f"| {axis} | engine | s a round | W-step | B-step | compile | MiB | dominates |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in cells:
        head = f"| {found[axis]} | {found['engine']} "
        if "failed" in found:
            lines.append(head + f"| {found['failed']} | | | | | |")
            continue
        parts = {"W-step": found["W"], "B-step": found["B"]}
        parts["rest"] = found["round"] - sum(parts.values())
        lines.append(
            head + f"| {found['round']:.3g} | {found['W']:.3g} | {found['B']:.3g} | {found['compile']:.3g}"
            f" | {found['mebibytes']:.0f} | {max(parts, key=lambda name: parts[name])} |"
        )
    for engine in ENGINES:
        mine = [found for found in cells if found["engine"] == engine]
        seconds, memory = exponent(mine, axis, "round"), exponent(mine, axis, "mebibytes")
        lines.append(f"| exponent | {engine} | {seconds} | | | | {memory} | |")
    return lines


def page(stored: dict[str, Any]) -> str:
    """The Markdown page."""
    return "\n".join(
        [
            "# Growth in the number of tasks and of features",
            "",
            "Written by `python reports/scale/growth.py`; do not edit. " + stored["machine"],
            "",
            f"{ROUNDS} rounds without refinement, seed {SEED}, n_t = 2 d rows a task; medians of the rounds"
            " after the first; the solvers' own seconds; exponents through the larger half of the sizes.",
            "",
            "![Seconds of a round over T and over d, both engines](growth.png)",
            "",
            f"## Tasks, d = {FIXED_D}",
            "",
            *table(stored["T"], "T"),
            "",
            f"## Features, T = {FIXED_T}",
            "",
            *table(stored["d"], "d"),
            "",
        ]
    )


def picture(stored: dict[str, Any], path: Path) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    fixed = {"T": f"d = {FIXED_D}", "d": f"T = {FIXED_T}"}
    for area, axis in zip(axes, ("T", "d"), strict=True):
        for engine, marker in zip(ENGINES, "os", strict=True):
            found = [entry for entry in stored[axis] if entry["engine"] == engine and "round" in entry]
            area.loglog(
                [entry[axis] for entry in found], [entry["round"] for entry in found], marker, ls="-",
                label=f"engine {engine}",
            )  # fmt: skip
        area.set(xlabel={"T": "tasks T", "d": "features d"}[axis], title=fixed[axis])
        area.grid(alpha=0.3)
    axes[0].set_ylabel("seconds a round")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", nargs=2, type=int, default=(TASKS[-1], FEATURES[-1]), metavar=("T", "D"))
    largest = parser.parse_args().largest
    sizes = {
        "T": [(T, FIXED_D) for T in TASKS if largest[0] >= T],
        "d": [(FIXED_T, d) for d in FEATURES if d <= largest[1]],
    }
    stored: dict[str, Any] = {"machine": machine()}
    for axis, pairs in sizes.items():
        stored[axis] = []
        for T, d in pairs:
            for engine in ENGINES:
                stored[axis].append(cell(T, d, engine))
                print(stored[axis][-1], flush=True)  # noqa: T201
    (HERE / "growth.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "growth.md").write_text(page(stored))
    picture(stored, HERE / "growth.png")


if __name__ == "__main__":
    main()
