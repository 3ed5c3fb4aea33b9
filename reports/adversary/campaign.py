"""The adversary: random points and fits, judged by an oracle in 120 digits; anyone can run it.

    python reports/adversary/campaign.py                 2,000 points, about half an hour on two cores
    python reports/adversary/campaign.py --sample 60     60 points, for CI; writes nothing

Without --sample it writes figures.json and README.md beside itself. It exits 1 if a verdict is wrong: a
false pass, a false C3 or a crash; or if fewer than 95 % of the oracle's own first-order points
(rows, features and tasks of sizes 1e-4 to 1e4) pass, or one of a wider scale is refused in words that do not
name rounding.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import page  # noqa: E402
from arithmetic import doubles, reals, zeros  # noqa: E402
from blocks import best_W  # noqa: E402
from draws import Case, draw  # noqa: E402
from instances import KINDS, REACHES  # noqa: E402
from joint import first_order_point  # noqa: E402
from judge import Verdict, certified, fitted  # noqa: E402
from points import perturbed  # noqa: E402
from problem import KINKED, LOSSES, Floats, Problem  # noqa: E402
from steps import course  # noqa: E402

POINTS, PROCESSES, AROUND = 2000, 2, 3
NAMES = (*KINDS, "single-task", "curriculum")
MOST = 4 * POINTS
"""No more cases than that, however few points each gives."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, metavar="N", help="N points alone; writes nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", type=int, metavar="CASE", help="this case alone, in full")
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(examine((arguments.seed, arguments.one)), indent=1))
        return 0
    wanted, began = arguments.sample or POINTS, time.perf_counter()
    found = collected(arguments.seed, wanted)
    figures = page.figures(found, seed=arguments.seed, seconds=time.perf_counter() - began)
    print(page.text(figures))
    if arguments.sample is None:
        (HERE / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
        (HERE / "README.md").write_text(page.text(figures))
    return int(page.faulty(figures))


def collected(seed: int, wanted: int) -> list[dict[str, Any]]:
    """Verdicts of the cases in their order, until there are as many as `wanted`."""
    found: list[dict[str, Any]] = []
    pool = ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn"))
    try:
        for verdicts in pool.map(examine, ((seed, number) for number in range(MOST))):
            found += verdicts
            for each in verdicts:
                if each["faults"]:
                    words = [str(each[key]) for key in ("number", "kind", "loss", "what", "faults")]
                    print(f"\rwrong: {', '.join(words)}", file=sys.stderr)
            faults = sum(bool(each["faults"]) for each in found)
            print(f"\r{len(found)} of {wanted} points, {faults} wrong", end="", file=sys.stderr, flush=True)
            if len(found) >= wanted:
                break
    finally:  # a process that died is an error here, no silence
        pool.shutdown(cancel_futures=True)
    print(file=sys.stderr)
    return found[:wanted]


def examine(which: tuple[int, int]) -> list[dict[str, Any]]:
    """All verdicts of one case."""
    logging.disable(logging.WARNING)
    seed, number = which
    kind = NAMES[number % len(NAMES)]
    loss = LOSSES[number % len(LOSSES)]  # 7 losses and 17 kinds: every pair comes
    rng = np.random.default_rng([seed, number])
    if kind in KINDS:
        judged, case = "joint", KINDS[kind](rng, loss)
    else:
        reach = float(rng.choice(REACHES))
        case = Case(draw(rng, loss, reach=reach, features=True, tasks=True), [])
        judged = "joint" if kind == "curriculum" and loss in KINKED else kind
    verdicts = _verdicts(rng, case, judged)
    head = {"number": number, "kind": kind, "loss": loss, "reach": case.problem.notes["reach"]}
    return [{**head, **verdict.to_dict()} for verdict in verdicts]


def _verdicts(rng: np.random.Generator, case: Case, judged: str) -> list[Verdict]:
    problem = case.problem
    first, solution = fitted(problem, judged)
    verdicts, order = [first], () if solution is None else solution.order
    verdicts += [certified(problem, judged, f"given: {each.what}", each.W, each.B) for each in case.given]
    start = None if solution is None else (solution.W, solution.B)
    if (exact := _oracle_point(problem, judged)) is not None:
        W, B, order = exact
        verdicts.append(certified(problem, judged, "oracle", W, B, order))
        start = W, B
    if start is not None:
        W, B = start
        for each in perturbed(rng, problem, W, B, AROUND):
            if judged == "single-task" and each.B.any():
                continue
            verdicts.append(certified(problem, judged, each.what, each.W, each.B, order))
    return verdicts


def _oracle_point(problem: Problem, judged: str) -> tuple[Floats, Floats, tuple[int, ...]] | None:
    """A point that solves what is judged, rounded to doubles."""
    d, T = problem.d, problem.T
    if judged == "curriculum":
        found = course(problem)
        return doubles(found.W), doubles(found.B), found.order
    W, B = reals(np.zeros((d, T))), zeros(T, T)
    if judged == "single-task":
        best = best_W(problem, W, B)
        return (doubles(best.W), doubles(B), ()) if best.sure else None
    point = first_order_point(problem, W, B)
    return None if point is None else (doubles(point.W), doubles(point.B), ())


if __name__ == "__main__":
    sys.exit(main())
