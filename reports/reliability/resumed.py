"""Long fits, killed after their first checkpoint and continued with --start, against fits left alone.

    python resumed.py WORK SEED FIRST STEP COUNT

runs the fits FIRST, FIRST + STEP, ... below COUNT, each in a process of its own, and prints a JSON line for
each. The moment of the kill is drawn between the first checkpoint and the end. The continued fit must be
certified, with J to 1e-10 of that of the fit left alone, and W and B to 1e-8 where both are strict local
minima.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from amtl_cvx import certify, read
from amtl_cvx.runfolder import read_run
from amtl_cvx.tasks import Array

LONG = 60.0
"""Seconds that a fit has to take to count."""


_ATTEMPTS = 4


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A family of long fits: data from a generator, and how they are fitted."""

    name: str
    make: Callable[[np.random.Generator, float], tuple[Array, Array, Array]]
    """From a generator and how many times as many tasks as usual."""
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """One fit: how long it took, when it was killed, how far the continued one is from it."""

    number: int
    kind: str
    seconds: float
    killed: float
    resumed_seconds: float
    objective: float
    difference_J: float
    difference_W: float
    difference_B: float
    levels: tuple[str, str]
    faults: tuple[str, ...]


def low_rank(T: int, d: int, n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Weights of rank 3 and noise of unequal size per task."""
    W = rng.normal(size=(d, 3)) @ rng.normal(size=(3, T)) / 3**0.5
    X, task = rng.normal(size=(T * n, d)), np.repeat(np.arange(T), n)
    noise = rng.uniform(0.1, 2.0, size=T)[task] * rng.normal(size=T * n)
    return X, np.einsum("nd,dn->n", X, W[:, task]) + noise, task


def labelled(T: int, d: int, n: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """The same with the sign of the target, a tenth of them wrong."""
    X, y, task = low_rank(T, d, n, rng)
    return X, np.where(rng.random(len(y)) < 0.1, -1.0, 1.0) * np.where(y > 0, 1.0, -1.0), task


KINDS = (
    Kind(
        name="squared, CVXPY steps and refinement",
        make=lambda rng, more: low_rank(round(110 * more), 20, 40, rng),
        options=("--coupling", "1", "--mu", "0.1"),
    ),
    Kind(
        name="squared, fast engine",
        make=lambda rng, more: low_rank(round(118 * more), 20, 40, rng),
        options=("--coupling", "1", "--mu", "0.1", "--engine", "fast"),
    ),
    Kind(
        name="squared, tasks weighted by their rows, summed",
        make=lambda rng, more: low_rank(round(150 * more), 20, 40, rng),
        options=("--coupling", "10", "--mu", "0.3", "--reduction", "sum", "--task-weights", "inverse-sqrt"),
    ),
    Kind(
        name="logistic, exponential cones",
        make=lambda rng, more: labelled(round(13 * more), 10, 150, rng),
        options=("--coupling", "0.1", "--mu", "0.1", "--loss", "logistic", "--definition", "--no-refine"),
    ),
)


def resumed(folder: Path, number: int, seed: int) -> Resumed:
    """One fit left alone, one killed, one continued."""
    kind = KINDS[number % len(KINDS)]
    for more in (1.0, 1.2, 1.5):  # a fit that is too short is none, a larger one takes its place
        rng = np.random.default_rng([seed, number])
        X, y, task = kind.make(rng, more)
        np.savez(folder / "data.npz", X=X, y=y, task=task)
        shutil.rmtree(folder / "whole", ignore_errors=True)
        began = time.perf_counter()
        faults = [] if _fit(folder, "whole", kind).wait() == 0 else ["the fit left alone is not certified"]
        seconds = time.perf_counter() - began
        if seconds >= LONG:
            break
    else:
        faults.append(f"only {seconds:.0f} s")
    killed = _killed(folder, kind, seconds, rng)
    if killed is None:
        faults.append(f"not killed: each of {_ATTEMPTS} fits had ended before")
    began = time.perf_counter()
    if code := _fit(folder, "again", kind, "--start", "cut.interrupted").wait():
        faults.append(f"the continued fit ended with {code}: {(folder / 'again.log').read_text().strip()}")
    again = time.perf_counter() - began
    return _compared(folder, number, kind, (seconds, killed or math.inf, again), faults)


def _killed(folder: Path, kind: Kind, seconds: float, rng: np.random.Generator) -> float | None:
    """Kill a fit at a moment drawn between its first checkpoint and `seconds`; the moment, None if never.

    The fit may be quicker than the one left alone was, and end before: then again, sooner.
    """
    for attempt in range(_ATTEMPTS):
        for place in ("cut", "cut.interrupted"):
            shutil.rmtree(folder / place, ignore_errors=True)
        process, began, moment = _fit(folder, "cut", kind), time.perf_counter(), math.inf
        while process.poll() is None:
            now = time.perf_counter() - began
            if moment == math.inf and (folder / "cut.interrupted" / "run.json").exists():
                moment = now + 0.8 * 0.5**attempt * float(rng.uniform(0.0, max(seconds - now, 0.0)))
            if now >= moment:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05)
        if process.wait() == -signal.SIGKILL:
            return time.perf_counter() - began
    return None


def _fit(folder: Path, out: str, kind: Kind, *more: str) -> subprocess.Popen[bytes]:
    words = [
        sys.executable,
        "-m",
        "amtl_cvx",
        "fit",
        "data.npz",
        "--out",
        out,
        "--quiet",
        *kind.options,
        *more,
    ]
    log = (folder / f"{out}.log").open("wb")
    return subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)


def _compared(
    folder: Path, number: int, kind: Kind, times: tuple[float, float, float], faults: list[str]
) -> Resumed:
    """The two results, judged here on the data; infinitely far apart where a fit left no run."""
    missing = [name for name in ("whole", "again") if not (folder / name).exists()]
    J, differences, levels = [math.inf, math.inf], [math.inf, math.inf], ("none", "none")
    if missing:
        left = sorted(path.name for path in folder.iterdir())
        faults.append(f"no folder {' and '.join(missing)}, only {left}")
    else:
        tasks = read(folder / "data.npz").train
        runs = [read_run(folder / name) for name in ("whole", "again")]
        found = [certify(tasks, run.model, run.W, run.B, level="C3") for run in runs]
        J, levels = [each.objective for each in found], (str(found[0].level), str(found[1].level))
        differences = [_relative(getattr(runs[1], name), getattr(runs[0], name)) for name in "WB"]
        if not found[1].passes:
            faults.append("the continued point does not pass")
    apart = math.inf if missing else abs(J[1] - J[0]) / abs(J[0])
    if apart > 1e-10:
        faults.append(f"J differs by {apart:.1e}")
    if levels == ("C3", "C3") and max(differences) > 1e-8:
        faults.append(f"W or B differ by {max(differences):.1e}")
    return Resumed(
        number=number,
        kind=kind.name,
        seconds=times[0],
        killed=times[1],
        resumed_seconds=times[2],
        objective=J[0],
        difference_J=apart,
        difference_W=differences[0],
        difference_B=differences[1],
        levels=levels,
        faults=tuple(faults),
    )


def _relative(value: Array, reference: Array) -> float:
    return float(np.abs(value - reference).max() / (np.abs(reference).max() or 1.0))


def main(arguments: list[str]) -> None:
    """The share of this process."""
    work, (seed, first, step, count) = Path(arguments[0]), (int(word) for word in arguments[1:])
    for number in range(first, count, step):
        folder = work / str(number)
        folder.mkdir(parents=True)
        print(json.dumps(asdict(resumed(folder, number, seed))), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
