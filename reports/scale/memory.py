"""Measure how well the memory of a fit is known before it begins.

    python reports/scale/memory.py [--most MIB]      default: all sizes

writes memory.json and memory.md beside itself. Each row is a whole fit in a process of its own: its peak
resident memory minus that after the imports, beside `footprint.fit_bytes`; on generated data, task weights of
rank three, mean loss, coupling 1, mu 0.1. Last, 30 rows in 4000 dimensions, through the command line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
SEED = 0
SIZES = (  # T, d, n, loss, engine
    (3, 400, 500, "squared", "cvxpy"),
    (10, 200, 300, "squared", "cvxpy"),
    (50, 40, 100, "squared", "cvxpy"),
    (100, 20, 60, "squared", "cvxpy"),
    (20, 150, 200, "squared", "cvxpy"),
    (20, 150, 200, "squared", "fast"),
    (3, 400, 500, "logistic", "cvxpy"),
    (5, 600, 700, "squared", "cvxpy"),
    (5, 600, 700, "squared", "fast"),
    (5, 1000, 1200, "squared", "cvxpy"),
)

PEAK = """
import re, sys
peak = lambda: 2**10 * int(re.search("VmHWM:[^0-9]*([0-9]+)", open("/proc/self/status").read())[1])
"""
"""Peak memory of a process since it began; `ru_maxrss` would begin with that of its parent."""

CELL = f"""
{PEAK}
import json
import numpy as np
import amtl_cvx.commands.fit, scipy.optimize
from amtl_cvx import Logistic, LossWeightedL1, Model, Options, Squared, TaskSet, fit
from amtl_cvx.footprint import fit_bytes
start = peak()
T, d, n, loss, engine = *map(int, sys.argv[1:4]), *sys.argv[4:]
rng = np.random.default_rng({SEED})
W = rng.normal(size=(d, 3)) @ rng.normal(size=(3, T)) / np.sqrt(d)
X = rng.normal(size=(T, n, d))
y = [rows @ w + rng.normal(size=n) for rows, w in zip(X, W.T)]
y = y if loss == "squared" else [np.sign(each) for each in y]
tasks = TaskSet.from_arrays(list(X), y)
del X
chosen = Squared() if loss == "squared" else Logistic()
model = Model(loss=chosen, transfer=LossWeightedL1(mu=0.1), coupling=1.0)
options = Options(engine=engine)
estimate = fit_bytes(tasks, model, options)
solution = fit(tasks, model, options=options)
print(json.dumps(dict(
    estimate=estimate, peak=peak() - start, seconds=solution.seconds["total"],
    status=solution.status.value, edges=solution.certificate.edges,
)))
"""

COMMAND = f"""
{PEAK}
import amtl_cvx.commands.fit
from amtl_cvx.cli import main
code = main(sys.argv[1:])
print(code, peak())
"""


def measured(T: int, d: int, n: int, *, loss: str, engine: str) -> dict[str, Any]:
    """One fit in a process of its own: bytes estimated and taken."""
    words = [sys.executable, "-c", CELL, str(T), str(d), str(n), loss, engine]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    sizes = {"T": T, "d": d, "n": n, "loss": loss, "engine": engine}
    return {**sizes, **json.loads(done.stdout.splitlines()[-1])}


def few_rows(rows: int) -> dict[str, Any]:
    """The peak of `fit` and of `certify`, interpreter included, on 3 tasks of 4000 features."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    task = np.arange(rows) % 3
    X, w = rng.normal(size=(rows, 4000)), rng.normal(size=(4000, 1)) + 0.1 * rng.normal(size=(4000, 3))
    found: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        data, run = f"{folder}/few.npz", f"{folder}/run"
        np.savez(data, X=X, y=(X * w.T[task]).sum(axis=1) / 20 + 0.5 * rng.normal(size=rows), task=task)
        for name, words in {"fit": ["--out", run, "--quiet"], "certify": [run]}.items():
            command = [sys.executable, "-c", COMMAND, name, data, *words]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            code, peak = done.stdout.split()[-2:]
            found[name], found[f"{name}_exit"] = int(peak), int(code)
    return found


def page(stored: dict[str, Any]) -> str:
    """The Markdown page."""
    lines = [
        "# Memory: estimated before a fit, and measured",
        "",
        "Written by `python reports/scale/memory.py`; do not edit. " + stored["machine"],
        "",
        "Peak resident memory of a whole fit minus that after the imports, and the estimate at which a fit is"
        " refused where less is free (`amtl_cvx.footprint`).",
        "",
        "| T | d | n | loss | engine | estimate, MiB | peak, MiB | ratio | edges | s | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios = [row["estimate"] / row["peak"] for row in stored["fits"]]
    for row, ratio in zip(stored["fits"], ratios, strict=True):
        lines.append(
            f"| {row['T']} | {row['d']} | {row['n']} | {row['loss']} | {row['engine']}"
            f" | {row['estimate'] / 2**20:.0f} | {row['peak'] / 2**20:.0f} | {ratio:.2f}"
            f" | {row['edges']} | {row['seconds']:.0f} | {row['status']} |"
        )
    lines += ["", f"Ratios from {min(ratios):.2f} to {max(ratios):.2f}.", ""]
    lines += ["## Few rows, many features", ""]
    for row in stored["few"]:
        lines.append(
            f"T = 3, d = 4000, {row['rows']} rows in all, as a file, auto settings: `fit` takes"
            f" {row['fit'] / 2**20:.0f} MiB with everything it loads (exit {row['fit_exit']}), `certify`"
            f" {row['certify'] / 2**20:.0f} MiB (exit {row['certify_exit']}).\n"
        )
    return "\n".join(lines)


def main() -> None:
    from machine import machine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=float, default=float("inf"), metavar="MIB", help="largest estimate")
    most = parser.parse_args().most
    stored: dict[str, Any] = {"machine": machine(), "fits": [], "few": []}
    for T, d, n, loss, engine in SIZES:
        if 8 * T * d * d * (28 if engine == "cvxpy" else 6) / 2**20 <= most:
            stored["fits"].append(measured(T, d, n, loss=loss, engine=engine))
            print(stored["fits"][-1], flush=True)  # noqa: T201
    stored["few"] = [few_rows(rows) for rows in (30, 90)]
    (HERE / "memory.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "memory.md").write_text(page(stored))


if __name__ == "__main__":
    main()
