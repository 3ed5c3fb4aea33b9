"""Level C4 on random problems: how many strict minima are proved, and why the other points are refused.

    python reports/proofs/run.py [--sample N] [--jobs N] [--out DIR]

takes for each loss the first N (default 20) of the random problems (`reports/random/problems.py`) whose fit
with default options is certified and climbs to C4. A point that is refused is refined as the words of C3
say, to the tolerance 1e-13, and tried once more. Both points are judged by the oracle (`strictness.py`).
Writes README.md and figures.json beside itself; exits 1 if a loss has fewer than 8 of 10 of its strict
minima proved, if a refusal is not confirmed, or if a proof is of what the oracle finds to be no strict
minimum, or another point.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("adversary", "random", ""))]

import strictness  # noqa: E402
from arithmetic import arb, size  # noqa: E402
from machine import machine  # noqa: E402
from problem import Problem  # noqa: E402

from amtl_cvx import Options, fit  # noqa: E402
from amtl_cvx.digits import ProvenPoint  # noqa: E402
from amtl_cvx.ladder import Climb, climb  # noqa: E402
from problems import COUNT, LOSSES, SEED, problem  # noqa: E402
from problems import Problem as Case  # noqa: E402

JUDGED = ("hinge", "quantile:0.3", "huber:0.5", "poisson")
SAMPLE = 20
LEAST = 0.8
REFINED = 1e-13
DIGITS = 40
APART = arb("1e-35")
"""How far a proven point may be from the oracle's root, of 1 and of the entry: 40 digits are given."""
CONFIRM = ("far", "degenerate", "saddle")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One certified fit."""

    number: int
    loss: str
    T: int
    d: int
    edges: int
    rows: int
    """On their kinks, by the oracle."""
    level: str
    at_first: str
    """The reason at the default point where it was refused and refined, "" where it was not."""
    oracle_at_first: str
    """What the oracle says of that point."""
    reason: str
    oracle: str
    why: str
    margins: dict[str, float | None]
    apart: bool
    seconds: float

    @property
    def strict(self) -> bool:
        return self.oracle == "strict"

    @property
    def proved(self) -> bool:
        return self.level >= "C4"

    @property
    def fault(self) -> str:
        """What is wrong with the answer; "" where nothing is."""
        if self.proved and not self.strict:
            return "proved, and no strict minimum by the oracle"
        if self.proved and self.apart:
            return "the proven point is not the oracle's"
        if not self.proved and self.oracle not in CONFIRM:
            return "refused, not confirmed"
        if self.at_first and not self.oracle_at_first.startswith(CONFIRM):
            return "refused before it was refined, not confirmed"
        return ""


def tried(number: int) -> Tried | None:
    """One problem; None where the default fit is not certified."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    case, begun = problem(number), time.process_time()
    point = fit(case.tasks, case.model)
    if not point.certificate.passes:
        return None
    climbed = climb(point.certificate, case.tasks, case.model, point.W, point.B, level="C4", digits=DIGITS)
    at_first, oracle_at_first = reason(climbed), ""
    if at_first:
        before = strictness.nearest(written(case), point.W, point.B)
        oracle_at_first = f"{before.word}: {before.why}"
        finer = fit(case.tasks, case.model, options=Options(start=point, tol=REFINED))
        again = climb_at(case, finer.W, finer.B)
        if again.certificate.passes:
            point, climbed = finer, again
    spent = time.process_time() - begun
    found = strictness.nearest(written(case), point.W, point.B)
    return Tried(
        number=number,
        loss=case.loss,
        T=case.tasks.T,
        d=case.tasks.d,
        edges=int((point.B > 0).sum()),
        rows=sum(map(len, found.root.kinks)) if found.root else 0,
        level=climbed.certificate.level or "",
        at_first=at_first,
        oracle_at_first=oracle_at_first,
        reason=reason(climbed),
        oracle=found.word,
        why=found.why,
        margins={name: None if value == float("inf") else value for name, value in found.margins.items()},
        apart=apart(climbed.proven, found),
        seconds=spent,
    )


def reason(climbed: Climb) -> str:
    """Why it is not at C4, "" where it is."""
    reasons = climbed.certificate.reasons
    return reasons.get("C3") or reasons.get("C4") or ""


def climb_at(case: Case, W, B):  # type: ignore[no-untyped-def]
    """Up to C4 from the default tolerance."""
    from amtl_cvx.certificate import certify

    certificate = certify(Problem(case.tasks, case.model).at(W, B))
    return climb(certificate, case.tasks, case.model, W, B, level="C4", digits=DIGITS)


def written(case: Case) -> Problem:
    """The problem for the oracle: data and numbers alone."""
    name, _, parameter = case.loss.partition(":")
    return Problem(
        X=[task.X for task in case.tasks],
        y=[task.y for task in case.tasks],
        loss=name,
        parameter=float(parameter) if parameter else None,
        mu=float(case.model.mu),
        coupling=float(case.model.coupling),
        reduction=case.model.loss.reduction,
        weights=case.model.task_weights,
    )


def apart(proven: ProvenPoint | None, found: strictness.Found) -> bool:
    """Whether an entry of the proven point is not the one of the oracle's root."""
    if proven is None or found.root is None:
        return proven is not None
    for shown, block in ((proven.W, found.root.W), (proven.B, found.root.B)):
        reach = APART * (1 + size(block))
        for row, true in zip(shown, block, strict=True):
            if any(abs(arb(text) - value).mid() > reach for text, value in zip(row, true, strict=True)):
                return True
    return False


def collected(loss: str, sample: int) -> tuple[list[Tried], int]:
    """The first certified problems of a loss, and how many were fitted for that."""
    found, fitted = list[Tried](), 0
    for number in range(LOSSES.index(loss), COUNT, len(LOSSES)):
        each, fitted = tried(number), fitted + 1
        if each is not None:
            found.append(each)
            print(each.number, loss, each.level, each.oracle, each.why, each.fault, flush=True)
        if len(found) == sample:
            break
    return found, fitted


def counted(found: list[Tried], fitted: int) -> dict[str, int]:
    """The figures of one loss."""
    strict = [each for each in found if each.strict]
    return {
        "fitted": fitted,
        "certified": len(found),
        "strict": len(strict),
        "strict and proved": sum(each.proved for each in strict),
        "refused": sum(not each.proved for each in found),
        "confirmed": sum(not each.proved and not each.fault for each in found),
        "faults": sum(bool(each.fault) for each in found),
    }


def holds(counts: dict[str, dict[str, int]]) -> bool:
    """Whether the acceptance is met."""
    return all(c["strict and proved"] >= LEAST * c["strict"] and not c["faults"] for c in counts.values())


def page(found: dict[str, list[Tried]], counts: dict[str, dict[str, int]], command: str) -> str:
    """README.md."""
    lines = [
        "# Proofs of level C4 on random problems",
        "",
        f"Written by `{command}`; do not edit. Problems [{SEED}, k] of reports/random, default fits.",
        f"Machine: {machine()}",
        "",
        f"C4 at 8 of 10 strict minima or more for every loss, every refusal confirmed by the oracle:"
        f" {'holds' if holds(counts) else 'DOES NOT HOLD'}.",
        "",
        '"strict": by the oracle (120 digits, nothing of the package) the point belongs to a strictly'
        " complementary first-order point with positive curvature; margins up to"
        f" {strictness.NOTHING:g} of their own scale count as 0.",
        "",
        "| loss | fitted | certified | strict by the oracle | of these proved | refused | confirmed |",
        "|---|---|---|---|---|---|---|",
    ]
    for loss, c in counts.items():
        shown = (c["fitted"], c["certified"], c["strict"], c["strict and proved"], c["refused"])
        lines.append(f"| {loss} | {' | '.join(map(str, shown))} | {c['confirmed']} |")
    every = [each for one in found.values() for each in one]
    proved = [each for each in every if each.proved]
    refined = sum(bool(each.at_first) for each in proved)
    least = min((v for each in proved for v in each.margins.values() if v is not None), default=1.0)
    lines += [
        "",
        f"Proved were points with up to {max((e.edges for e in proved), default=0)} edges and"
        f" {max((e.rows for e in proved), default=0)} rows on their kinks, with a smallest margin down to"
        f" {least:.1g}; {refined} of {len(proved)} after they were refined to the"
        f" tolerance {REFINED:g}. No entry of them is apart from the oracle's root in 35 digits.",
        "",
        "## Proved once they were refined",
        "",
        "| problem | loss, T x d | certificate of the default fit | oracle |",
        "|---|---|---|---|",
        *(
            f"| {e.number} | {e.loss}, {e.T} x {e.d} | {e.at_first} | {e.oracle_at_first} |"
            for e in proved
            if e.at_first
        ),
        "",
        "## Certified, without C4",
        "",
        "| problem | loss, T x d | certificate | oracle |",
        "|---|---|---|---|",
        *(
            f"| {e.number} | {e.loss}, {e.T} x {e.d} | {e.reason} | {e.oracle}: {e.why} |"
            for e in every
            if not e.proved
        ),
    ]
    faults = [f"- problem {e.number}, {e.loss}: {e.fault}" for e in every if e.fault]
    return "\n".join(lines + (["", "## Faults", "", *faults] if faults else [])) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help="certified fits of each loss")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--out", type=Path, default=HERE, help="where README.md and figures.json go")
    given = parser.parse_args()
    with Pool(given.jobs) as pool:
        results = pool.map(partial(collected, sample=given.sample), JUDGED, chunksize=1)
    found = {loss: each for loss, (each, _) in zip(JUDGED, results, strict=True)}
    counts = {loss: counted(*each) for loss, each in zip(JUDGED, results, strict=True)}
    command = "python reports/proofs/run.py" + f" --sample {given.sample}" * (given.sample != SAMPLE)
    (given.out / "README.md").write_text(page(found, counts, command))
    figures = {"command": command, "machine": machine(), "holds": holds(counts), "counts": counts}
    rows = [asdict(each) | {"fault": each.fault} for one in found.values() for each in one]
    (given.out / "figures.json").write_text(json.dumps({**figures, "points": rows}, indent=1) + "\n")
    print(json.dumps(counts))
    return 0 if holds(counts) else 1


if __name__ == "__main__":
    sys.exit(main())
