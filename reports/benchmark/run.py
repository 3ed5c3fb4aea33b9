"""Benchmark of AMTL: one problem, many solvers, one judge.

    python reports/benchmark/run.py [--problems NAME ...] [--entrants NAME ...] [--quick] [--school]

writes figures.json, README.md and <problem>.png beside itself (or into --out). Figures of problems and
entrants that were not asked for stay as they are; README.md says from how many runs its figures come.
`--problems` without a name measures nothing and writes the page again. The environments of dbcp and UNO and
the compiled rival are built once, in --cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import environments  # noqa: E402
import page  # noqa: E402
from entrants import ENTRANTS, Entrant  # noqa: E402
from instances import PROBLEMS, QUICK, Absent, Problem  # noqa: E402
from machine import machine  # noqa: E402
from measure import Figures, measure  # noqa: E402


def main() -> None:
    """Measure and write."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "figures.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"problems": {}}
    if arguments.problems:
        stored |= {"machine": machine(), "compiler": _compiler()}
    run = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    for name in arguments.problems:
        try:
            problem = PROBLEMS[name]()
        except Absent as reason:
            stored["problems"].setdefault(name, {"title": name, "note": "", "entrants": {}})["skipped"] = str(
                reason
            )
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        entry = stored["problems"].setdefault(name, {"entrants": {}})
        entry |= {"title": problem.title, "note": problem.note, "known": problem.known, "T": problem.tasks.T}
        entry.pop("skipped", None)
        for entrant in ENTRANTS:
            if entrant.name in arguments.entrants:
                figures = _measured(problem, entrant, arguments)
                entry["entrants"][entrant.name] = figures | {"run": run}
                path.write_text(json.dumps(stored, indent=1) + "\n")
                print(f"{name}, {entrant.name}: {page.summary(figures)}", flush=True)
    path.write_text(json.dumps(stored, indent=1) + "\n")
    page.write(stored, arguments.out)


def _measured(problem: Problem, entrant: Entrant, arguments: argparse.Namespace) -> Figures:
    try:
        command = entrant.command(arguments.cache)
    except environments.Unavailable as reason:
        return {"skipped": str(reason)}
    return measure(problem, command, arguments.limit, repeats=1 if arguments.quick else 3)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Benchmark of AMTL solvers, judged by one certificate.")
    names = [entrant.name for entrant in ENTRANTS]
    parser.add_argument("--problems", nargs="*", choices=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--entrants", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--limit", type=float, help="seconds per entrant and problem (60; quick: 10)")
    parser.add_argument("--quick", action="store_true", help="small problems, one run of each, 10 seconds")
    parser.add_argument("--school", action="store_true", help="the School data too")
    parser.add_argument(
        "--cache", type=Path, default=environments.default_cache(), help="what has to be built"
    )
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    if arguments.problems is None:
        chosen = list(QUICK) if arguments.quick else [name for name in PROBLEMS if name != "school"]
        arguments.problems = [*chosen, "school"] if arguments.school else chosen
    if arguments.limit is None:
        arguments.limit = 10.0 if arguments.quick else 60.0
    return arguments


def _compiler() -> str:
    try:
        return environments.compiler_version()
    except environments.Unavailable as reason:
        return str(reason)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s")
