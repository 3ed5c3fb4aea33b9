"""SCIP against every stored enclosure: an independent solver on another formulation of the same problem.

    python reports/enclosure/scip_check.py [--seconds 300] [--from-zero] [NAME ...]

reads proofs/*.json and instances/*.json (as `Enclosure.save` writes them), writes scip.json and scip.md
beside itself; with names, the rows of the other stored instances are those of the last run. SCIP gets the
data and, of the proof, the point of its upper bound; with --from-zero not even that, but a fit from B = 0,
from which the box is larger and the time longer. For each instance

    closed       SCIP finished within the time
    agrees       the minima differ by at most 1e-5, and the proved bound is not above what SCIP claims
    contradicts  SCIP found a point below the proved bound, or claims a bound above a known point

Exit code 0 if SCIP agrees with every instance it closes and contradicts none, else 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, fit
from amtl_cvx.enclosure.scip import claim
from amtl_cvx.problem import Problem

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from machine import machine  # noqa: E402

AGREES = 1e-5
ROUNDING = 1e-9
COLUMNS = (
    "instance",
    "T",
    "d",
    "proved lower",
    "proved upper",
    "SCIP lower",
    "SCIP upper",
    "seconds",
    "verdict",
)


def problem_of(proof: dict[str, Any]) -> tuple[TaskSet, Model]:
    """Tasks and model of a stored proof."""
    numbers = [
        (
            [[float.fromhex(value) for value in row] for row in task["X"]],
            [float.fromhex(v) for v in task["y"]],
        )
        for task in proof["tasks"]
    ]
    model = Model(
        loss=Squared(reduction=proof["reduction"]),
        transfer=LossWeightedL1(mu=float.fromhex(proof["mu"])),
        coupling=float.fromhex(proof["coupling"]),
        task_weights=tuple(float.fromhex(c) for c in proof["task_weights"]),
    )
    return TaskSet.from_arrays(*map(list, zip(*numbers, strict=True))), model


def matrix(rows: list[list[str]]) -> np.ndarray:
    return np.array([[float(Fraction(value)) for value in row] for row in rows])


def check(path: Path, *, seconds: float, from_zero: bool) -> dict[str, Any]:
    """One row of the table."""
    proof = json.loads(path.read_text())
    tasks, model = problem_of(proof)
    start = fit(tasks, model)
    W, B = (start.W, start.B) if from_zero else (matrix(proof["W"]), matrix(proof["B"]))
    found = claim(Problem(tasks, model).at(W, B), seconds=seconds)
    lower, upper = (float(Fraction(proof[end])) for end in ("lower", "upper"))
    below = found.upper < lower - ROUNDING * upper
    above = found.lower > upper * (1.0 + AGREES)
    near = abs(found.upper - upper) <= AGREES * upper and lower <= found.upper + AGREES * upper
    verdict = "contradicts" if below or above else "agrees" if near else "differs"
    return {
        "instance": path.stem,
        "T": tasks.T,
        "d": tasks.d,
        "lower": lower,
        "upper": upper,
        "zero_start": start.objective,
        "scip_lower": found.lower,
        "scip_upper": found.upper,
        "scip_status": found.status,
        "seconds": found.seconds,
        "closed": found.closed,
        "verdict": verdict if found.closed or verdict == "contradicts" else "not closed",
    }


def page(figures: dict[str, Any]) -> str:
    """scip.md."""
    rows = figures["instances"]
    counts = {
        verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("agrees", "contradicts")
    }
    closed = sum(row["closed"] for row in rows)
    lines = [
        "# SCIP against the proofs",
        "",
        f"SCIP closed {closed} of {len(rows)} instances within {figures['limit']:g} s each. It agrees to 1e-5"
        f" with {counts['agrees']}",
        f"and contradicts {counts['contradicts']}. Its bounds are claims in floating point, the proofs are",
        "exact. `python reports/enclosure/scip_check.py` writes this page.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    for row in rows:
        bounds = " | ".join(f"{row[key]:.10g}" for key in ("lower", "upper", "scip_lower", "scip_upper"))
        name = f"| {row['instance']} | {row['T']} | {row['d']} | {bounds}"
        lines.append(f"{name} | {row['seconds']:.1f} | {row['verdict']} |")
    return "\n".join([*lines, "", figures["machine"], ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--from-zero", action="store_true")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    stored = [path for folder in ("proofs", "instances") for path in sorted((HERE / folder).glob("*.json"))]
    paths = [path for path in stored if not given.names or path.stem in given.names]
    if not paths:
        wanted = ", ".join(given.names) or "any"
        print(f"no stored proof beside this script ({wanted}): run measure.py first", file=sys.stderr)
        return 1
    known = {}
    if given.names and (HERE / "scip.json").exists():
        last = json.loads((HERE / "scip.json").read_text())
        if given.from_zero or (last["limit"], last["machine"]) != (given.seconds, machine()):
            print("the last run had another limit, start or machine: check all instances", file=sys.stderr)
            return 1
        known = {row["instance"]: row for row in last["instances"]}
    for path in paths:
        row = known[path.stem] = check(path, seconds=given.seconds, from_zero=given.from_zero)
        print(f"{path.stem}: {row['verdict']}, {row['seconds']:.1f} s", file=sys.stderr)
    rows = [known[path.stem] for path in stored if path.stem in known]
    figures = {"machine": machine(), "limit": given.seconds, "instances": rows}
    (HERE / "scip.json").write_text(json.dumps(figures, indent=1) + "\n")
    (HERE / "scip.md").write_text(page(figures))
    return int(any(row["verdict"] in ("contradicts", "differs") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
