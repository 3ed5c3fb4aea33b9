"""What every entrant reads and writes. NumPy alone, so that it runs in any environment.

    python run_<entrant>.py PROBLEM.npz OUT --limit SECONDS [its own options]

PROBLEM.npz holds `X` (N, d), `y` (N,), `task` (N,), `reduction` ("mean" or "sum"), `coupling`, `mu`. OUT gets

    run.json     set_up_seconds, versions {package: version}, exact_rounds, status
    points.f64   little-endian float64 records: round, seconds, W by columns (d T), B by columns (T T)

The seconds run from the first look at the arrays (imports are over by then) and leave the writing of the
record out. `exact_rounds` counts the leading rounds whose two half-steps claim to be exact minimisers; a
negative number means all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EVERY_ROUND = 300
"""Rounds that are all recorded; later ones when their number or the seconds have grown by one per cent."""


class TimeLimitError(Exception):
    """The entrant's seconds are used up."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """AMTL with the squared loss: data task by task, and the two weights."""

    X: Sequence[Array]
    y: Sequence[Array]
    reduction: str
    coupling: float
    mu: float

    @property
    def T(self) -> int:  # noqa: N802
        return len(self.X)

    @property
    def d(self) -> int:
        return int(self.X[0].shape[1])

    def scale(self, t: int) -> float:
        """The factor in front of task t's sum of squares."""
        return 1.0 / len(self.y[t]) if self.reduction == "mean" else 1.0


def read_problem(path: Path) -> Problem:
    """The problem of PROBLEM.npz."""
    with np.load(path, allow_pickle=False) as stored:
        X, y, task = stored["X"], stored["y"], stored["task"]
        rows = [task == t for t in range(int(task.max()) + 1)]
        return Problem(
            X=[X[chosen] for chosen in rows],
            y=[y[chosen] for chosen in rows],
            reduction=str(stored["reduction"]),
            coupling=float(stored["coupling"]),
            mu=float(stored["mu"]),
        )


class Recorder:
    """The entrant's clock and its two files."""

    def __init__(self, out: Path, limit: float, packages: Sequence[str]) -> None:
        self._out, self._limit = out, limit
        self._facts: dict[str, object] = {"versions": {name: version(name) for name in packages}}
        self._points: BinaryIO = (out / "points.f64").open("wb", buffering=0)
        self._last, self._away = (0, 0.0), 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start, the recording left out."""
        return time.perf_counter() - self._started - self._away

    def describe(self, **facts: object) -> None:
        """Add to run.json."""
        before = time.perf_counter()
        self._facts |= facts
        whole = self._out / "run.json.part"
        whole.write_text(json.dumps(self._facts))
        whole.replace(self._out / "run.json")
        self._away += time.perf_counter() - before

    def point(self, number: int, W: Array, B: Array) -> None:
        """Record the point after round `number`; `TimeLimitError` once the seconds are used up."""
        before = time.perf_counter()
        seconds = before - self._started - self._away
        if number <= EVERY_ROUND or number >= 1.01 * self._last[0] or seconds >= 1.01 * self._last[1]:
            record = np.concatenate([[number, seconds], W.ravel(order="F"), B.ravel(order="F")])
            self._points.write(record.astype("<f8").tobytes())
            self._last = number, seconds
        self._away += time.perf_counter() - before
        if seconds > self._limit:
            raise TimeLimitError


def main(
    work: Callable[[Problem, Recorder, argparse.Namespace], str],
    *,
    packages: Sequence[str],
    options: Mapping[str, object] | None = None,
) -> None:
    """Read the problem, let `work` record its points, note how it ended.

    `options` are the entrant's own, by name with their defaults.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=float, required=True)
    for name, default in (options or {}).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    arguments = parser.parse_args()
    problem = read_problem(arguments.problem)
    recorder = Recorder(arguments.out, arguments.limit, packages)
    try:
        status = work(problem, recorder, arguments)
    except TimeLimitError:
        status = "time limit"
    recorder.describe(status=status)
