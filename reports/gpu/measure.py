"""Measure from which size on a GPU pays: W-steps and whole B-steps, on the CPU and on SCS's GPU routes.

    python reports/gpu/measure.py [--full] [--W TxD ...] [--B T ...] [--limit SECONDS]

writes figures.json, README.md and gpu.png beside itself. Every cell runs in a process of its own (`cell.py`)
that ends at the limit; an entrant that has met it is not tried at larger sizes. Where a GPU route is not
usable, its cells say why and the CPU's are measured all the same. --full goes up to T d = 40,000 and T = 500.

"crossover", the number of unknowns from which the GPU is the faster one at every larger size measured, is
what `GPU_SIZE` in amtl_cvx/solvers/gpu.py is set to, by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cell import GPU, REPEATS, SEED
from page import draw, text

from amtl_cvx.runfolder import versions
from amtl_cvx.solvers import cuda, gpu_routes

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import processor  # noqa: E402

ENTRANTS = {
    "W": ("Clarabel", "SCS CPU", *GPU),
    "B": ("Clarabel", "Clarabel by column", "SCS CPU", *GPU),
}
WEIGHTS = ("10x20", "25x20", "50x20", "50x40", "100x40")
TASKS = (20, 40, 60, 100)
FULL_WEIGHTS = (*WEIGHTS, "100x100", "200x100", "200x200")
FULL_TASKS = (*TASKS, 140, 200, 300, 500)
B_FEATURES = 28  # School's
MOST_ENTRIES = 20_000_000
"""Entries of the whole B-step's quadratic form, T (T - 1)^2, up to which CVXPY compiles it."""


def main() -> None:
    """Measure and write."""
    given, load = arguments(), os.getloadavg()[0]
    machine = f"{processor()}, {os.cpu_count()} cores, load average {load:.1f} at the start"
    weights = given.W if given.W is not None else FULL_WEIGHTS if given.full else WEIGHTS
    tasks = given.B if given.B is not None else FULL_TASKS if given.full else TASKS
    shapes = {
        "W": [tuple(int(number) for number in word.split("x")) for word in weights],
        "B": [(T, B_FEATURES) for T in tasks],
    }
    unusable = {route.name: route.reason for route in gpu_routes() if not route.usable}
    steps = {step: rows(step, shapes[step], unusable, given.limit) for step in shapes}
    stored = {
        "device": ", ".join(cuda().devices) or f"none ({cuda().reason})",
        "driver": driver(),
        "machine": machine,
        "versions": versions(),
        "seed": SEED,
        "repeats": REPEATS,
        "limit": given.limit,
        "unusable": unusable,
        "steps": steps,
        "crossover": {step: crossover(found) for step, found in steps.items()},
    }
    (HERE / "figures.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "README.md").write_text(text(stored))
    draw(stored, HERE / "gpu.png")


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description="Measure from which size on a GPU pays.")
    parser.add_argument("--full", action="store_true", help="up to T d = 40,000 and T = 500")
    parser.add_argument("--W", nargs="*", metavar="TxD", help=f"W-steps ({' '.join(WEIGHTS)})")
    parser.add_argument("--B", nargs="*", type=int, metavar="T", help=f"B-steps ({TASKS})")
    parser.add_argument("--limit", type=float, default=20.0, metavar="SECONDS", help="per cell (20)")
    return parser.parse_args()


def rows(
    step: str, shapes: list[tuple[int, ...]], unusable: dict[str, str], limit: float
) -> list[dict[str, Any]]:
    """The figures of every size and entrant, small sizes first."""
    measured, limited = [], set()
    for T, d in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        entry = {"T": T, "d": d, "unknowns": T * d if step == "W" else T * (T - 1), "cells": {}}
        for entrant in ENTRANTS[step]:
            if entrant in unusable:
                found = {"why_not": f"not measured: {unusable[entrant]}"}
            elif entrant in limited:
                found = {"why_not": f"over {limit:g} s at a smaller size"}
            else:
                found = cell(step, T, d, entrant, limit)
            if found.get("why_not", "").startswith("over"):
                limited.add(entrant)
            entry["cells"][entrant] = found
            print(step, T, d, entrant, found.get("seconds", found.get("why_not")), flush=True)
        measured.append(entry)
    return measured


def cell(step: str, T: int, d: int, entrant: str, limit: float) -> dict[str, Any]:
    """The figures of one cell, or why there are none."""
    if step == "B" and entrant != "Clarabel by column" and T * (T - 1) ** 2 > MOST_ENTRIES:
        return {"why_not": "too large to compile as a whole"}
    command = [sys.executable, str(HERE / "cell.py"), step, str(T), str(d), entrant]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"why_not": f"over {limit:g} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        return {"why_not": f"failed: {said[-1][:100]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def crossover(measured: list[dict[str, Any]]) -> int | None:
    """Unknowns from which the fastest GPU route beats the fastest CPU entrant, at all sizes from there on."""
    first = None
    for entry in sorted(measured, key=lambda entry: -entry["unknowns"]):
        seconds = {name: found["seconds"] for name, found in entry["cells"].items() if "seconds" in found}
        on_gpu = min((value for name, value in seconds.items() if name in GPU), default=None)
        on_cpu = min((value for name, value in seconds.items() if name not in GPU), default=float("inf"))
        if on_gpu is None or on_gpu >= on_cpu:
            break
        first = entry["unknowns"]
    return first


def driver() -> str:
    """The version of the NVIDIA driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "none"
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else "unknown"


if __name__ == "__main__":
    main()
