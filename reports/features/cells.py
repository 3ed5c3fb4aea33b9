"""Block steps in activation cells: how long one takes, and how far rounds of them get.

    python reports/features/cells.py          what is not in the file yet
    python reports/features/cells.py --only rounds
    python reports/features/cells.py --page   only the page, of what is there

adds a line a measurement to cells.jsonl beside itself and writes cells.md. Data are those of planted nets:
N = 300 rows of 20 standard normals, T = 6 tasks that share them, k = 10 hidden units, squared loss, y
standardised; for the steps by size d and k vary. Everything starts at random weights (`network.starts`).
Seconds are CPU seconds of the process on one thread, compilation included where a step is the first of its
size.

    steps    the first step of W1, S and A, by each solver, and once more after two rounds
    rounds   rounds until `LIMIT` CPU seconds are spent or J stands still, beside L-BFGS and kink Newton from
             the same start, and kink Newton from where the rounds ended
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from cells_page import LIMIT, SOLVERS, TIMES, page  # noqa: E402
from machine import machine  # noqa: E402

from amtl_cvx import NetworkModel, TaskSet  # noqa: E402
from amtl_cvx.network import NetworkPoint, NetworkProblem  # noqa: E402
from amtl_cvx.network.lbfgs import lbfgs  # noqa: E402
from amtl_cvx.network.newton import refine  # noqa: E402
from amtl_cvx.network.residuals import residuals  # noqa: E402
from amtl_cvx.network.starts import start_of  # noqa: E402
from amtl_cvx.network.steps import cell_steps  # noqa: E402
from amtl_cvx.network.steps.moves import with_bias  # noqa: E402
from amtl_cvx.solvers import Backend  # noqa: E402
from amtl_cvx.subproblems import Problems  # noqa: E402

LINES, PAGE = HERE / "cells.jsonl", HERE / "cells.md"
SETTINGS = ((0.1, 0.02, 0.002, 0.01), (0.1, 0.005, 0.01, 0.003))
"""alpha, mu, gamma, decay."""
SIZES = ((5, 4), (10, 6), (12, 10), (20, 10), (20, 20))
"""d and k of the steps."""
NEWTON, STILL = 40.0, 1e-9
"""CPU seconds of kink Newton; the part of J below which a round is the last one."""
SOLVE_LIMIT = 60.0
"""Seconds of one solve."""


def posed(seed: int, weights: tuple[float, ...], *, d: int = 20, k: int = 10) -> NetworkProblem:
    """A planted problem."""
    rng, T = np.random.default_rng(seed), 6
    X = rng.normal(size=(300, d))
    Z = np.maximum(X @ rng.normal(size=(d, k)) / np.sqrt(d), 0.0)
    y = Z @ (rng.normal(size=(k, T)) * (rng.random((k, T)) < 0.5)) + 0.2 * rng.normal(size=(300, T))
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    alpha, mu, gamma, decay = weights
    model = NetworkModel(features=k, alpha=alpha, mu=mu, gamma=gamma, decay=decay)
    return NetworkProblem(TaskSet.from_arrays([X] * T, list(y.T)), model)


def steps(size: tuple[int, int], solver: str) -> Iterator[dict[str, Any]]:
    """The steps of one size by one solver: the first ones, and those after two rounds with Clarabel."""
    problem, problems = posed(0, SETTINGS[0], d=size[0], k=size[1]), Problems()
    start = point = start_of(problem, "random", seed=0)
    first = cell_steps(problem, problems=problems)
    for _ in range(2):
        for step in first.values():
            point = point.at(**step.solve(point).value)
    for when, at in (("first", start), ("after two rounds", point)):
        asked = cell_steps(problem, backend=Backend(solver=solver, limit=SOLVE_LIMIT), problems=Problems())
        for name in asked:
            began = time.process_time()
            answer = asked[name].solve(at)
            seconds = time.process_time() - began
            after = at.at(**answer.value)
            best = at.at(**first[name].solve(at).value)
            yield {
                "what": "step", "d": size[0], "k": size[1], "block": name, "when": when, "solver": solver,
                "unknowns": with_bias(at, name).size, "seconds": seconds,
                "compile": answer.solved.compile_seconds, "answered": answer.solved.solver,
                "status": answer.solved.status, "fall": at.objective - after.objective,
                "above": after.objective / best.objective - 1.0,
            }  # fmt: skip
            if name != "A":
                at = best


def rounds(start: NetworkPoint, limit: float) -> dict[str, Any]:
    """Rounds from a start until so many CPU seconds are spent or J stands still, and their last point."""
    asked, began, seen, point = cell_steps(start.problem), time.process_time(), [(0.0, start)], start
    while True:
        before = point.objective
        for step in asked.values():
            new = point.at(**step.solve(point).value)
            point = new if new.objective <= point.objective else point
        seen.append((time.process_time() - began, point))
        if seen[-1][0] > limit or before - point.objective <= STILL * before:
            break
    last = [each.objective for _, each in seen[-3:]]
    return {
        "rounds": len(seen) - 1, "seconds": seen[-1][0], "by time": [at_time(seen, t) for t in TIMES],
        "objective": point.objective, "residual": residuals(point).relative,
        "last falls": [a / b - 1.0 for a, b in zip(last, last[1:], strict=False)], "point": point,
    }  # fmt: skip


def rounded(seed: int, weights: tuple[float, ...]) -> dict[str, Any]:
    """Rounds from random weights, and the others beside them."""
    start = start_of(posed(seed, weights), "random", seed=seed)
    found = rounds(start, LIMIT)
    point = found.pop("point")
    began = time.process_time()
    near = lbfgs(start, iterations=3000)
    found |= {"lbfgs": told(near, began)}
    found |= {"newton": newton(near, began), "newton from the rounds": newton(point, time.process_time())}
    return {"what": "rounds", "start": "random", "seed": seed, "weights": weights, **found}


def nearer(seed: int, weights: tuple[float, ...]) -> dict[str, Any]:
    """Rounds from where L-BFGS ended, and kink Newton from there."""
    near = lbfgs(start_of(posed(seed, weights), "random", seed=seed), iterations=3000)
    found = rounds(near, LIMIT / 2.0)
    del found["point"]
    found["newton"] = newton(near, time.process_time())
    return {"what": "rounds", "start": "L-BFGS", "seed": seed, "weights": weights, **found}


def at_time(seen: list[tuple[float, NetworkPoint]], t: float) -> list[float] | None:
    """J and residual of the last point before a time, None where all was over."""
    if t > seen[-1][0] and t != TIMES[0]:
        return None
    point = [each for spent, each in seen if spent <= t][-1]
    return [point.objective, residuals(point).relative]


class _TimeUp(Exception):
    """The seconds of kink Newton are spent."""


def newton(start: NetworkPoint, began: float) -> dict[str, float]:
    """Where kink Newton ends."""
    points = [start]

    def observe(point: NetworkPoint, engine: str) -> None:
        points.append(point)
        if time.process_time() - began > NEWTON:
            raise _TimeUp

    with contextlib.suppress(_TimeUp):
        points.append(refine(start, tol=1e-10, observe=observe).point)
    return told(points[-1], began)


def told(point: NetworkPoint, began: float) -> dict[str, float]:
    return {
        "objective": point.objective,
        "seconds": time.process_time() - began,
        "residual": residuals(point).relative,
        "live": int(point.live.sum()),
    }


def measure(*, only: str = "") -> None:
    """What is not in the file yet; all, or only "steps", "rounds", or those from "random" or "L-BFGS"."""
    there = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    logging.disable()  # of what solvers did not reach: the table says it

    def add(found: dict[str, Any]) -> None:
        with LINES.open("a") as file:
            file.write(json.dumps({**found, "machine": machine()}) + "\n")

    done = {(row["d"], row["k"], row["solver"]) for row in there if row["what"] == "step"}
    for size in SIZES if only in ("", "steps") else ():
        for solver in SOLVERS:
            if (*size, solver) not in done:
                for row in steps(size, solver):
                    add(row)
    done = {(row["start"], row["seed"], *row["weights"]) for row in there if row["what"] == "rounds"}
    for begun, run in (("random", rounded), ("L-BFGS", nearer)):
        for seed, weights in product(range(2), SETTINGS):
            if only in ("", "rounds", begun) and (begun, seed, *weights) not in done:
                add(run(seed, weights))


if __name__ == "__main__":
    if "--page" not in sys.argv:
        measure(only=sys.argv[2] if "--only" in sys.argv[1:2] else "")
    PAGE.write_text(page([json.loads(line) for line in LINES.read_text().splitlines()]), encoding="utf-8")
