"""Kink Newton on networks: residual, level, seconds and J beside L-BFGS, as the issue of this family asks.

    python reports/features/networks.py               what is not in the file yet
    python reports/features/networks.py --only deep   one group
    python reports/features/networks.py --page        only the page, of what is there

adds a line a fit to networks.jsonl beside itself and writes networks.md and networks.png. Groups:

    one layer   n = 300 rows, d = 20, k = 10, T = 6, three weight settings, squared and logistic, 20 seeds
    deep        15-10-8-6, 326 weights, N = 200, squared, 10 seeds
    digits      64-22-14-10, 1,996 weights, the first 500 of scikit-learn's digits, logistic,
                mu = decay = .003, 3 starts

A fit is L-BFGS (3,000 iterations; `training.py`) from where `fit` begins, or with several layers from random
weights, then kink Newton from there, where it stalls with a part of L-BFGS in between, until it ends or its
CPU seconds are spent, then the certificate at the tolerance that is asked for. Beside it stands `fit` as it
is, but for the digits. Of five seeds kink Newton is tried after 300 iterations as well. Seconds are
CPU seconds of the process on one thread. Points after every step of the first seed of each setting are kept,
and judged afterwards, for the picture.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from lines import read  # noqa: E402
from machine import machine  # noqa: E402
from networks_cases import Case, cases, posed  # noqa: E402
from networks_page import drawn, text  # noqa: E402
from training import random_start, trained  # noqa: E402

from amtl_cvx import Options  # noqa: E402
from amtl_cvx.network import NetworkProblem  # noqa: E402
from amtl_cvx.network.certificate import certify, strict_local  # noqa: E402
from amtl_cvx.network.lbfgs import lbfgs  # noqa: E402
from amtl_cvx.network.methods import PART, TURNS, Amtfl, DeepAmtfl  # noqa: E402
from amtl_cvx.network.newton import refine  # noqa: E402
from amtl_cvx.network.point import NetworkPoint  # noqa: E402
from amtl_cvx.network.residuals import residuals  # noqa: E402
from amtl_cvx.network.starts import start_of  # noqa: E402

LONG, SHORT, AIM = 3000, 300, 1e-11
"""Iterations of L-BFGS before kink Newton, and the residual at which kink Newton ends."""


class _TimeUp(Exception):
    """The seconds of a fit are spent."""


class Watch:
    """What is seen of kink Newton: the point after each step, and when."""

    def __init__(self, limit: float) -> None:
        self.begun, self.limit = time.process_time(), limit
        self.points: list[tuple[float, NetworkPoint]] = []

    def __call__(self, point: NetworkPoint, engine: str = "") -> None:
        spent = time.process_time() - self.begun
        self.points.append((spent, point))
        if spent > self.limit:
            raise _TimeUp


def newton(start: NetworkPoint, limit: float) -> tuple[NetworkPoint, Watch, str]:
    """Where kink Newton ends, what was seen, and why it ended.

    Where it stalls a part of L-BFGS and kink Newton follow once more, at most twice, as in a fit.
    """
    watch, point, again = Watch(limit), start, 0
    try:
        found = refine(point, tol=AIM, observe=watch)
        while found.ended == "stalled" and again < TURNS:
            again += 1
            found = refine(lbfgs(found.point, iterations=PART), tol=AIM, observe=watch)
    except _TimeUp:
        return watch.points[-1][1], watch, "time"
    return found.point, watch, found.ended + (f" in turn {again + 1}" if again else "")


def measured(case: Case) -> dict[str, Any]:
    """One fit; of the first seeds also what was seen, times by part, and a fit with a shorter start."""
    problem, first = posed(case), case.seed == 0
    x0 = start_of(problem).vector
    if case.group != "one layer":
        x0 = random_start(problem, np.random.default_rng((case.seed, 1)))
    long = trained(problem, x0, iterations=LONG)
    beside, before = problem.from_vector(long.x), long.seconds
    profile = cProfile.Profile(time.process_time)
    if first:
        profile.enable()
    point, watch, ended = newton(beside, case.limit - before)
    seconds = before + time.process_time() - watch.begun
    profile.disable()
    begun = time.process_time()
    judged = strict_local(certify(point, tol=case.tol), point)
    told = {
        **asdict(case), "machine": machine(), "size": problem.size, "ended": ended,
        "steps": len(watch.points), "start seconds": before, "seconds": seconds,
        "judge seconds": time.process_time() - begun, "residual": judged.relative, "level": judged.level,
        "passes": judged.passes, "objective": judged.objective, "zero": judged.zero_objective,
        "live": judged.live_features, "features": judged.features, "kinks": judged.active_kinks,
        "concave": judged.concave_kinks, "likq": judged.likq, "A": judged.fed_back,
        "why": judged.reasons.get("C2") or judged.reasons.get("C3"),
        "start objective": beside.objective, "start residual": residuals(beside).relative,
    }  # fmt: skip
    if case.group != "digits":
        told["fit"] = as_it_is(problem, case)
    if case.seed < 5 and case.group != "digits":
        told["short"] = short(problem, x0, case)
    if first:
        told["newton"] = thinned([(before + t, p) for t, p in watch.points])
        told["lbfgs"] = [*by_iterations(problem, x0), [before, told["start residual"], beside.objective]]
        told["parts"] = parts(profile)
    return told


def as_it_is(problem: NetworkProblem, case: Case) -> dict[str, Any]:
    """What `fit` makes of it by itself."""
    begun = time.process_time()
    method = DeepAmtfl(seed=case.seed) if len(case.layers) > 1 else Amtfl(seed=case.seed)
    found = method.run(problem.tasks, problem.model, Options(tol=case.tol))
    seconds = time.process_time() - begun
    judged = strict_local(found.certificate, problem.at(**found.blocks))
    return {
        "status": str(found.status.value), "seconds": seconds, "residual": judged.relative,
        "level": judged.level, "passes": judged.passes, "live": judged.live_features,
        "features": judged.features, "objective": judged.objective, "zero": judged.zero_objective,
    }  # fmt: skip


def short(problem: NetworkProblem, x0: np.ndarray, case: Case) -> dict[str, Any]:
    """A fit that leaves L-BFGS early, which may lead to another minimum."""
    start = trained(problem, x0, iterations=SHORT)
    point, watch, ended = newton(problem.from_vector(start.x), case.limit - start.seconds)
    seconds = start.seconds + time.process_time() - watch.begun
    judged = certify(point, tol=case.tol)
    return {
        "ended": ended, "seconds": seconds, "steps": len(watch.points), "residual": judged.relative,
        "objective": judged.objective, "live": judged.live_features,
    }  # fmt: skip


def by_iterations(problem: NetworkProblem, x0: np.ndarray) -> Iterator[list[float]]:
    """Seconds, residual and J of L-BFGS after so many iterations."""
    for iterations in (30, 100, 300, 1000, 2000):
        found = trained(problem, x0, iterations=iterations)
        yield [found.seconds, residuals(problem.from_vector(found.x)).relative, found.objective]


def thinned(points: list[tuple[float, NetworkPoint]], most: int = 40) -> list[list[float]]:
    """Seconds, residual and J of at most so many points, the last one among them."""
    kept = sorted({round(i) for i in np.linspace(0, len(points) - 1, min(most, len(points)))})
    return [[points[i][0], residuals(points[i][1]).relative, points[i][1].objective] for i in kept]


def parts(profile: cProfile.Profile) -> dict[str, float]:
    """CPU seconds by module of the network, what each calls outside of it included, and of all."""
    found: dict[str, float] = {}
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        path = Path(file)
        if "amtl_cvx" in path.parts and path.parent.name == "network":
            found[path.stem] = found.get(path.stem, 0.0) + own
            continue
        for (caller, _, _), (_, _, _, spent) in callers.items():
            by = Path(caller)
            if "amtl_cvx" in by.parts and by.parent.name == "network":
                found[by.stem] = found.get(by.stem, 0.0) + spent
    return {
        name: round(spent, 3) for name, spent in sorted(found.items(), key=lambda e: -e[1]) if spent > 0.01
    }


def name_of(row: dict[str, Any]) -> str:
    return f"{row['group']}, {row['loss']}, {tuple(row['weights'])}, seed {row['seed']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("one layer", "deep", "digits"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    stored = given.out / "networks.jsonl"
    done = {name_of(row) for row in read(stored)}
    for case in cases():
        wanted = given.only in (None, case.group) and case.seed < given.seeds
        if given.page or not wanted or case.name in done:
            continue
        row = measured(case)
        with stored.open("a") as file:
            file.write(json.dumps(row) + "\n")
        fall = row["start objective"] - row["objective"]
        print(
            case.name, row["ended"], f"{row['residual']:.1e}", row["level"], f"{row['seconds']:.1f} s",
            f"{row['live']} live, J - {fall:.1e}", flush=True,
        )  # fmt: skip
    rows = read(stored)
    (given.out / "networks.md").write_text(text(rows))
    drawn(rows, given.out / "networks.png")


if __name__ == "__main__":
    main()
