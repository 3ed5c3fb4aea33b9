# More than 300 lines: a report is one script.
"""Fits of the three hundred random problems with default options, and why some of them have no certificate.

    python reports/random/run.py [--sample N | --problems K ...] [--limit SECONDS] [--jobs N] [--store FILE]

writes README.md and figures.json beside itself. A fit is cut off after SECONDS (default 150) of CPU time.
Every 40 records it is interrupted and goes on from its state, so that the points on its way are known. From
the end of a fit without a certificate the oracle (`further.py`) goes on in 120 digits for ORACLE seconds and
says where that leads. `--sample N` takes N of the problems, drawn by a seed; `--out DIR` writes elsewhere.
With `--store FILE` every result is kept there, a line each, and a problem that is there is not fitted again.
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
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "adversary")]
from arithmetic import reals  # noqa: E402
from further import Exact, Further, Seen, further, seen  # noqa: E402
from machine import machine  # noqa: E402

from amtl_cvx import Options, Solution, fit  # noqa: E402
from problems import COUNT, KINKED, SEED, Problem, problem  # noqa: E402

EVERY, PROBE = 40, 30
ORACLE, BRIEF = 30.0, 10.0
"""CPU seconds that the oracle goes on, and after a limit, where it has to show a fall and no more.

Rounds that are begun are ended.
"""
LIMIT = 150.0
"""CPU seconds of a fit."""
TOLERANCE = 1e-8
NEAR_SINGULAR = 1e-5
"""Smallest singular value of I - B below which a certified fit is pushed on, to see whether it escapes."""
SINGULAR = 1e-12
"""The same, below which I - B is singular for doubles."""
ROUNDING = 1e-14
"""Of J(0, 0): J >= 0, so below this it is 0."""
CAUSES = {
    "escapes": "J goes on falling while W grows, by a thousand times and more",
    "turns singular": "J goes on falling while I - B turns singular, by a thousand times and more",
    "grows": "the fit or its certificate says that J falls where predictors grow, or that I - B is singular"
    " and nothing bounds W; J is proved to fall while predictors grow tenfold and more",
    "said to fall": "the fit or its certificate says that J falls where predictors grow or along a valley; J"
    " is proved to fall by more than the tolerance, predictors and I - B stay",
    "rounding": "the certificate says that rounding leaves more open than the limit; the residual is within"
    " the tolerance, and J falls by no more than ten of it",
    "valley": "the fit stops at its own limit of steps, as its status says: from there J is proved to fall by"
    " more than the tolerance",
    "cut off": "this report cut the fit off, so that it names no cause of its own; from there J is proved to"
    " fall by more than the tolerance",
    "falls on": "J goes on falling, W and I - B stay, and the status does not say so",
    "settles": "J falls no more: the fit ends beside a first-order point",
}
RUNS_OFF = ("escapes", "turns singular")
EXPLAINED = (*RUNS_OFF, "grows", "said to fall", "rounding", "valley")
LIMITS = {"round limit": "valley", "interrupted": "cut off"}
ASKED = (62, 79, 142, 184, 206, 247)
"""Certified fits from which the oracle goes on whatever doubles say: other points of theirs ran off."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One problem."""

    number: int
    loss: str
    T: int
    d: int
    certified: bool
    status: str
    ends: str
    """Where the oracle gets from its end, "" for a certified fit."""
    pushed: str
    """Of a certified fit with I - B nearly singular: what it does when it is pushed on."""
    fell: float
    """In parts of J, from the end of the fit to the end of the oracle's sequence."""
    reason: str
    said: str
    """What fit and certificate say of growing predictors and of valleys, "" where they say nothing."""
    rounding: bool
    """Whether the certificate says that rounding alone leaves the gains open, the residual being small."""
    seconds: float
    path: tuple[Seen, ...]
    further: tuple[Seen, ...]
    """From the end of the fit, in 120 digits."""


def cause(each: Fitted) -> str:
    """Which of the `CAUSES` it is; "" for a certified fit."""
    if each.certified or each.ends in RUNS_OFF:
        return "" if each.certified else each.ends
    unbounded = "nothing is proved" in each.reason and each.further[0].singular <= SINGULAR
    if each.ends == "grows" and (each.said or unbounded):
        return "grows"
    if each.said and each.fell > TOLERANCE:
        return "said to fall"
    if each.rounding and each.fell <= 10 * TOLERANCE:
        return "rounding"
    if each.status in LIMITS and each.fell > TOLERANCE:
        return LIMITS[each.status]
    return "falls on" if each.ends == "grows" else each.ends


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
        points.append(seen(exact(case), reals(found.W), reals(found.B), len(found.history)))
        spent = time.process_time() - begun
        if found.status.value != "interrupted" or spent > limit or found.state is None:
            return found, points, spent
        options = replace(options, start=found.state)


def exact(case: Problem) -> Exact:
    """The problem in the oracle's own terms."""
    name, _, parameter = case.loss.partition(":")
    model, weights = case.model, case.model.task_weights
    return Exact(
        X=[task.X for task in case.tasks],
        y=[task.y for task in case.tasks],
        loss=name,
        parameter=float(parameter) if parameter else None,
        mu=model.mu,
        coupling=model.coupling,
        reduction=model.loss.reduction,
        weights=weights if isinstance(weights, str) else tuple(weights),
    )


def onward(case: Problem, found: Solution) -> Further:
    """Where the oracle gets from the end of a fit."""
    seconds = BRIEF if found.status.value in LIMITS else ORACLE
    return further(exact(case), reals(found.W), reals(found.B), seconds=seconds)


def pushed(case: Problem, found: Solution) -> Further | None:
    """The oracle's sequence, where J falls by more than the tolerance while W grows in doubles already."""
    if found.certificate.sigma_min > NEAR_SINGULAR:
        return None
    count = [0]

    def stop(record: object) -> None:
        count[0] += 1
        if count[0] >= PROBE:
            raise Cut

    after = fit(case.tasks, case.model, options=Options(start=found, tol=1e-14, engine="fast", callback=stop))
    problem = exact(case)
    before, now = (float(problem.J(reals(each.W), reals(each.B))) for each in (found, after))
    grew = np.abs(after.W).max() > 1.1 * np.abs(found.W).max()
    least = max(10 * TOLERANCE * now, ROUNDING * float(problem.J0))
    return onward(case, found) if before - now > least and grew else None


def said(found: Solution) -> str:
    """What fit and certificate say of growing predictors and of valleys."""
    reasons = found.certificate.reasons
    words = [reasons[key] for key in ("minimum", "growth", "valley") if key in reasons]
    return "; ".join(words)


def rounding(found: Solution) -> bool:
    """Whether all that stands between the point and the certificate is said to be rounding."""
    judged, reasons = found.certificate, found.certificate.reasons
    gains = {"gain_W": judged.gain_W, "gap_B": judged.gap_B}
    wide = [name for name, gain in gains.items() if gain is None or not gain <= judged.limit]
    named = all("rounding" in reasons.get(name, "") for name in wide)
    return judged.relative <= TOLERANCE and bool(wide) and named


def judged(number: int, *, limit: float) -> Fitted:
    """One problem, fitted and explained."""
    warnings.simplefilter("ignore")
    case = problem(number)
    found, points, spent = way(case, limit)
    certified = found.status.value == "certified"
    asked = not certified or number in ASKED
    shown = onward(case, found) if asked else pushed(case, found)
    near = certified and (asked or found.certificate.sigma_min <= NEAR_SINGULAR)
    return Fitted(
        number=number,
        loss=case.loss,
        T=case.tasks.T,
        d=case.tasks.d,
        certified=certified,
        status=found.status.value,
        ends="" if certified or shown is None else shown.word,
        pushed="" if not near else "stays" if shown is None else shown.word,
        fell=0.0 if shown is None else shown.fell,
        reason=found.certificate.verdict(),
        said=said(found),
        rounding=rounding(found),
        seconds=spent,
        path=tuple(points),
        further=() if shown is None else shown.path,
    )


def counted(results: list[Fitted]) -> dict[str, int]:
    """The figures that the issue asks for."""
    kinked = [each for each in results if each.loss in KINKED]
    return {
        "problems": len(results),
        "certified": sum(each.certified for each in results),
        "hinge and quantile": len(kinked),
        "of these certified": sum(each.certified for each in kinked),
        "explained": sum(cause(each) in EXPLAINED for each in results),
        "cut off by this report, J proved to fall": sum(cause(each) == "cut off" for each in results),
        "unexplained": sum(cause(each) not in ("", "cut off", *EXPLAINED) for each in results),
        "certified, J proved to fall by ten tolerances as W runs off": sum(
            each.pushed in RUNS_OFF and each.fell > 10 * TOLERANCE for each in results
        ),
    }


def page(results: list[Fitted], command: str, *, earlier: int) -> str:
    """README.md."""
    lines = [
        "# Random problems: how many are certified, and why the others are not",
        "",
        f"Written by `{command}`; do not edit. Seeds [{SEED}, k], default options, tolerance"
        f" {TOLERANCE:.0e}.",
        f"Machine: {machine()}",
        f"{earlier} of the results were kept from earlier runs, with states of the package and limits of time"
        " that need not be those of this one.",
        "",
        *(f"- {name}: {count}" for name, count in counted(results).items()),
        "",
        "A certified fit whose I - B is nearly singular is pushed on at the tolerance 1e-14; if J falls by"
        " more than ten tolerances while W grows by a tenth, the oracle goes on from it as from the others."
        f" It goes on in any case from {', '.join(map(str, ASKED))}, of which other points ran off; from no"
        " other certified fit, so that more of them may do what these do.",
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
    lines += ["", "## Without a certificate, or pushed on", ""]
    causes = Counter(cause(each) for each in results if not each.certified)
    lines += [f"- {word}: {CAUSES[word]}: {count}" for word, count in causes.most_common()]
    lines += [
        "",
        "From the end of the fit the oracle goes on in 120 digits: rounds of exact half-steps, extrapolated"
        " as far as J falls. Each point's J is proved to lie below the one before; the sequences are in"
        " figures.json.",
        "",
        "| problem | loss, T x d | points | J at the end of the fit | falls by, of J | max W"
        " | sigma_min(I - B) | oracle | cause | status, certificate |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        if each.further:
            a, b = each.further[0], each.further[-1]
            lines.append(
                f"| {each.number} | {each.loss}, {each.T} x {each.d} | {len(each.further)} | {float(a.J):.8g}"
                f" | {each.fell:.1e} | {a.largest:.2g} to {b.largest:.2g}"
                f" | {a.singular:.1e} to {b.singular:.1e} | {each.ends or each.pushed} | {cause(each)}"
                f" | {each.status}: {each.reason[:90].replace(chr(10), ' ')} |"
            )
    return "\n".join(lines) + "\n"


def kept(store: Path | None) -> dict[int, Fitted]:
    """The results of a store by the number of the problem, the last one of each."""
    if store is None or not store.exists():
        return {}
    found = {}
    for line in store.read_text().splitlines():
        parts = json.loads(line)
        paths = {name: tuple(Seen(**point) for point in parts[name]) for name in ("path", "further")}
        found[parts["number"]] = Fitted(**{**parts, **paths})
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="so many problems, drawn by a seed")
    parser.add_argument("--problems", type=int, nargs="+", metavar="K", help="these problems")
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS", help="CPU time of a fit")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--store", type=Path, metavar="FILE", help="where results are kept, a line each")
    parser.add_argument("--out", type=Path, default=HERE, help="where README.md and figures.json go")
    given = parser.parse_args()
    numbers = given.problems or list(range(COUNT))
    if given.sample is not None:
        numbers = sorted(np.random.default_rng(SEED).permutation(COUNT)[: given.sample].tolist())
    known = kept(given.store)
    todo = [k for k in numbers if k not in known]
    with Pool(given.jobs) as pool:
        for last in pool.imap_unordered(partial(judged, limit=given.limit), todo):
            known[last.number] = last
            words = (last.number, last.loss, last.status, cause(last), last.pushed)
            print(*words, f"{last.seconds:.1f} s", flush=True)
            if given.store is not None:
                with given.store.open("a") as lines:
                    lines.write(json.dumps(asdict(last)) + "\n")
    results = [known[k] for k in numbers]
    command = "python reports/random/run.py"
    if given.sample is not None:
        command += f" --sample {given.sample}"
    if given.limit != LIMIT:
        command += f" --limit {given.limit:g}"
    if given.store is not None:
        command += " --store FILE"
    if given.problems:
        command += " --problems " + " ".join(map(str, numbers))
    (given.out / "README.md").write_text(page(results, command, earlier=len(numbers) - len(todo)))
    figures = {"command": command, "machine": machine(), "counts": counted(results)}
    rows = [{**asdict(each), "cause": cause(each)} for each in results]
    (given.out / "figures.json").write_text(json.dumps({**figures, "problems": rows}, indent=1) + "\n")
    print(json.dumps(counted(results)))


if __name__ == "__main__":
    main()
