"""Fits of the three hundred random problems with default options, and why some of them have no certificate.

    python reports/random/run.py [--sample N | --problems K ...] [--limit SECONDS] [--jobs N]

writes README.md and figures.json beside itself. A fit is cut off after SECONDS (default 75) of CPU time.
Every 40 records it is interrupted and goes on from its state, so that the points on its way are known; the
oracle (`oracle.py`) judges them. `--sample N` takes N of the problems, drawn by a seed; `--out DIR` writes
elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import Pool
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from machine import machine  # noqa: E402
from oracle import TOLERANCE, Seen, objective, seen, shown  # noqa: E402

from amtl_cvx import Options, Solution, fit  # noqa: E402
from problems import COUNT, KINKED, SEED, Problem, problem  # noqa: E402

EVERY, PROBE = 40, 30
NEAR_SINGULAR = 1e-5
"""Smallest singular value of I - B below which a certified fit is pushed on, to see whether it escapes."""
ROUNDING = 1e-14
"""Of J(0, 0): J >= 0, so below this it is 0."""
CAUSES = {
    "escapes": "J goes on falling while W grows",
    "turns singular": "J goes on falling while I - B turns singular",
    "ends singular": "J falls no more, I - B is singular: nothing bounds what W can gain",
    "cut off": "cut off at the time limit before anything showed",
    "falls on": "J goes on falling, W and I - B stay: the limit of steps",
    "settles": "J falls no more",
}
EXPLAINED = ("escapes", "turns singular", "ends singular")


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One problem."""

    number: int
    loss: str
    T: int
    d: int
    certified: bool
    status: str
    cause: str
    pushed: str
    """Of a certified fit with I - B nearly singular: whether it escapes when it is pushed on."""
    reason: str
    seconds: float
    path: tuple[Seen, ...]


class Cut(KeyboardInterrupt):
    """Ends a part of a fit."""


def way(case: Problem, limit: float) -> tuple[Solution, list[Seen], float]:
    """The fit, the points on its way and its CPU seconds."""
    begun, options, points = time.process_time(), Options(), []
    while True:
        count = [0]

        def stop(record: object, count: list[int] = count) -> None:
            count[0] += 1
            if count[0] >= EVERY:
                raise Cut

        found = fit(case.tasks, case.model, options=replace(options, callback=stop))
        points.append(seen(case, found.W, found.B, len(found.history)))
        spent = time.process_time() - begun
        if found.status.value != "interrupted" or spent > limit or found.state is None:
            return found, points, spent
        options = replace(options, start=found.state)


def pushed(case: Problem, found: Solution) -> str:
    """Whether J falls by more than the tolerance while W grows, from a certified point at a sharper one."""
    if found.certificate.sigma_min > NEAR_SINGULAR:
        return ""
    count = [0]

    def stop(record: object) -> None:
        count[0] += 1
        if count[0] >= PROBE:
            raise Cut

    further = fit(
        case.tasks, case.model, options=Options(start=found, tol=1e-14, engine="fast", callback=stop)
    )
    before, after = objective(case, found.W, found.B), objective(case, further.W, further.B)
    grew = np.abs(further.W).max() > 1.1 * np.abs(found.W).max()
    zero = objective(case, 0.0 * found.W, 0.0 * found.B)
    least = max(10 * TOLERANCE * abs(after), ROUNDING * zero)
    return "escapes" if before - after > least and grew else "stays"


def judged(number: int, *, limit: float) -> Fitted:
    """One problem, fitted and explained."""
    warnings.simplefilter("ignore")
    case = problem(number)
    found, points, spent = way(case, limit)
    certified = found.status.value == "certified"
    cause = "" if certified else shown(points)
    if cause in ("settles", "falls on") and found.status.value == "interrupted":
        cause = "cut off"
    return Fitted(
        number=number,
        loss=case.loss,
        T=case.tasks.T,
        d=case.tasks.d,
        certified=certified,
        status=found.status.value,
        cause=cause,
        pushed=pushed(case, found) if certified else "",
        reason=found.certificate.reasons.get("minimum", ""),
        seconds=spent,
        path=tuple(points),
    )


def counted(results: list[Fitted]) -> dict[str, int]:
    """The figures that the issue asks for."""
    kinked = [each for each in results if each.loss in KINKED]
    return {
        "problems": len(results),
        "certified": sum(each.certified for each in results),
        "hinge and quantile": len(kinked),
        "of these certified": sum(each.certified for each in kinked),
        "explained": sum(each.cause in EXPLAINED for each in results),
        "unexplained": sum(not each.certified and each.cause not in EXPLAINED for each in results),
        "certified that escape": sum(each.pushed == "escapes" for each in results),
    }


def page(results: list[Fitted], command: str) -> str:
    """README.md."""
    lines = [
        "# Random problems: how many are certified, and why the others are not",
        "",
        f"Written by `{command}`; do not edit. Seeds [{SEED}, k], default options, tolerance"
        f" {TOLERANCE:.0e}.",
        f"Machine: {machine()}",
        "",
        *(f"- {name}: {count}" for name, count in counted(results).items()),
        "",
        "A certified fit whose I - B is nearly singular is pushed on at the tolerance 1e-14; it escapes if J"
        " falls by more than ten tolerances while W grows by a tenth. The oracle computes J in 50 digits.",
        "",
        "| loss | problems | certified | CPU s, median | CPU s, largest |",
        "|---|---|---|---|---|",
    ]
    for loss in sorted({each.loss for each in results}):
        own = [each for each in results if each.loss == loss]
        times = sorted(each.seconds for each in own)
        certified = sum(each.certified for each in own)
        lines.append(
            f"| {loss} | {len(own)} | {certified} | {times[len(times) // 2]:.2f} | {times[-1]:.1f} |"
        )
    lines += ["", "## Without a certificate", ""]
    causes = Counter(each.cause for each in results if not each.certified)
    lines += [f"- {CAUSES[cause]}: {count}" for cause, count in causes.most_common()]
    lines += [
        "",
        "From the middle of the fit to its end (the whole sequence is in figures.json):",
        "",
        "| problem | loss, T x d | records | J | max W | sigma_min(I - B) | oracle | certificate |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        if not each.certified:
            a, b = each.path[len(each.path) // 2], each.path[-1]
            lines.append(
                f"| {each.number} | {each.loss}, {each.T} x {each.d} | {a.records} to {b.records}"
                f" | {float(a.J):.8g} to {float(b.J):.8g} | {a.largest:.2g} to {b.largest:.2g}"
                f" | {a.singular:.1e} to {b.singular:.1e} | {each.cause} | {each.reason[:90]} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="so many problems, drawn by a seed")
    parser.add_argument("--problems", type=int, nargs="+", metavar="K", help="these problems")
    parser.add_argument("--limit", type=float, default=75.0, metavar="SECONDS", help="CPU time of a fit")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--out", type=Path, default=HERE, help="where README.md and figures.json go")
    given = parser.parse_args()
    numbers = given.problems or list(range(COUNT))
    if given.sample is not None:
        numbers = sorted(np.random.default_rng(SEED).permutation(COUNT)[: given.sample].tolist())
    results = []
    with Pool(given.jobs) as pool:
        for last in pool.imap(partial(judged, limit=given.limit), numbers):
            results.append(last)
            words = (last.number, last.loss, last.status, last.cause, last.pushed)
            print(*words, f"{last.seconds:.1f} s", flush=True)
    command = "python reports/random/run.py"
    if given.sample is not None:
        command += f" --sample {given.sample}"
    if given.limit != 75.0:
        command += f" --limit {given.limit:g}"
    if given.problems:
        command += " --problems " + " ".join(map(str, numbers))
    (given.out / "README.md").write_text(page(results, command))
    figures = {"command": command, "machine": machine(), "counts": counted(results)}
    rows = [asdict(each) for each in results]
    (given.out / "figures.json").write_text(json.dumps({**figures, "problems": rows}, indent=1) + "\n")
    print(json.dumps(counted(results)))


if __name__ == "__main__":
    main()
