"""Run an entrant on a problem in a process of its own, and judge every point that it recorded.

The judge is `amtl_cvx.certificate.residuals`, the same for everybody, on points made feasible first (B
clipped at 0, its diagonal zeroed). The entrants run on one thread. While one runs, its newest point is looked
at a few times a second, and it is stopped once it is done; what it needs for a level is read off its own
clock afterwards, so neither looking nor judging is in anybody's seconds.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from entrants import Command
from instances import Problem

import amtl_cvx
from amtl_cvx import certify
from amtl_cvx.certificate import residuals
from amtl_cvx.tasks import Array

LEVELS = (1e-3, 1e-6, 1e-9, 1e-10, 1e-12)
"""Relative residuals whose seconds are noted; tables show the first three."""
DONE = 1e-11
"""An entrant that does not stop by itself is stopped there."""
REPEATED_BELOW = 3.0
"""Seconds: shorter runs are made three times, and the one with the median time counts."""
_GRACE = 30.0  # seconds beyond the limit for starting up and for ending a step that cannot be interrupted
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Point:
    """What an entrant recorded after a round; `relative` is the judge's word."""

    round: int
    seconds: float
    relative: float
    W: Array | None = None
    B: Array | None = None


class Judge:
    """The residuals of a problem's points."""

    def __init__(self, problem: Problem) -> None:
        self.original, self.model = problem.tasks, problem.model
        self.tasks = self.model.compress(self.original)
        self.problem = amtl_cvx.Problem(self.tasks, self.model)
        self.length = 2 + self.tasks.d * self.tasks.T + self.tasks.T**2

    def read(self, path: Path, *, last: bool = False) -> list[Point]:
        """The complete records of points.f64, or the last of them, judged."""
        whole = path.stat().st_size // (8 * self.length) if path.exists() else 0
        first = max(whole - 1, 0) if last else 0
        raw = (
            np.fromfile(
                path, dtype="<f8", count=(whole - first) * self.length, offset=8 * first * self.length
            )
            if whole
            else np.empty(0)
        )
        return [self._point(record) for record in raw.reshape(-1, self.length)]

    def _point(self, record: Array) -> Point:
        d, T = self.tasks.d, self.tasks.T
        W = record[2 : 2 + d * T].reshape(d, T, order="F")
        B = record[2 + d * T :].reshape(T, T, order="F")
        return Point(round=int(record[0]), seconds=float(record[1]), relative=self.relative(W, B), W=W, B=B)

    def relative(self, W: Array, B: Array) -> float:
        """The joint relative residual; infinite for a point that is no point."""
        if not (np.isfinite(W).all() and np.isfinite(B).all()):
            return math.inf
        return residuals(self.problem.at(W, _feasible(B))).relative

    def half_steps(self, points: list[Point]) -> tuple[float, float]:
        """Largest residual that a W-step left at the previous B, and a B-step at its W."""
        worst_W = worst_B = 0.0
        for before, point in zip([None, *points], points, strict=False):
            assert point.W is not None and point.B is not None
            B = np.zeros_like(point.B) if before is None else before.B
            if point.round != (0 if before is None else before.round) + 1:
                continue
            assert B is not None
            worst_W = max(worst_W, residuals(self.problem.at(point.W, _feasible(B))).relative_W)
            worst_B = max(worst_B, residuals(self.problem.at(point.W, _feasible(point.B))).relative_B)
        return worst_W, worst_B


def measure(problem: Problem, command: Command, limit: float, *, repeats: int = 3) -> Figures:
    """The figures of one entrant on one problem."""
    judge = Judge(problem)
    found = [_once(problem, judge, command, limit)]
    while found[0]["seconds"] < REPEATED_BELOW and found[0]["seconds"] < limit and len(found) < repeats:
        found.append(_once(problem, judge, command, limit))
    found.sort(key=lambda figures: figures["seconds_to"]["1e-06"] or figures["seconds"])
    return found[len(found) // 2] | {"runs": len(found)}


def _once(problem: Problem, judge: Judge, command: Command, limit: float) -> Figures:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        problem.write(folder / "problem.npz")
        load = os.getloadavg()[0]
        ended = _run(
            [*command, str(folder / "problem.npz"), place, "--limit", str(limit)], judge, limit, folder
        )
        facts = json.loads(path.read_text()) if (path := folder / "run.json").exists() else {}
        points = judge.read(folder / "points.f64")
        lines = path.read_text().splitlines() if (path := folder / "history.jsonl").exists() else []
    facts["status"] = facts.get("status") or ended
    return _figures(judge, facts, points, [json.loads(line) for line in lines]) | {"load": load}


def _run(command: Command, judge: Judge, limit: float, folder: Path) -> str:
    """Start the entrant, watch it, stop it when it is done or late; how it ended."""
    environment = os.environ | dict.fromkeys(_THREADS, "1")
    with (folder / "log.txt").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        started = time.perf_counter()
        while process.poll() is None:
            time.sleep(0.25)
            newest = judge.read(folder / "points.f64", last=True)
            late = time.perf_counter() - started > limit + _GRACE
            if late or (newest and newest[0].relative <= DONE):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1.0)  # it may be about to end by itself
                process.kill()
                process.wait()
                return "time limit, had to be ended" if late else "done"
        log.seek(0)
        lines = log.read().strip().splitlines()
    return f"failed: {lines[-1] if lines else 'no message'}" if process.returncode else "ended"


def _figures(judge: Judge, facts: Figures, points: list[Point], history: list[Figures]) -> Figures:
    path = points
    if history:  # our own runs: residuals by the same judge, W and B at the end only
        path = [
            Point(round=row["round"], seconds=row["seconds"], relative=row["relative"])
            for row in history
            if row["step"] != "W"
        ]
    nothing = {"seconds": 0.0, "seconds_to": dict.fromkeys(map(_key, LEVELS)), "path": []}
    return {
        **facts,
        **(_of_path(path) if path else nothing),
        **(_of_history(history) if history else {}),
        **(_of_points(judge, points, facts["exact_rounds"]) if points else {}),
    }


def _of_path(path: list[Point]) -> Figures:
    """How far, and how soon."""
    return {
        "rounds": path[-1].round,
        "seconds": path[-1].seconds,
        "seconds_to": {
            _key(level): next((point.seconds for point in path if point.relative < level), None)
            for level in LEVELS
        },
        "relative": min(p.relative for p in path),
        "last_relative": path[-1].relative,
        "path": _thinned(path),
    }


def _of_history(history: list[Figures]) -> Figures:
    """Seconds of our rounds of alternation after the first, and what of them is not the solvers'."""
    spent, rest = [], []
    for before, W, B in zip(history, history[1:], history[2:], strict=False):
        if (before["step"], W["step"], B["step"]) == ("B", "W", "B"):
            spent.append(B["seconds"] - before["seconds"])
            rest.append(spent[-1] - W["solver_seconds"] - B["solver_seconds"])
    figures = {"objective": history[-1]["objective"], "level": "C0"}
    if spent:
        figures |= {
            "seconds_per_round": float(np.median(spent)),
            "overhead_per_round": float(np.median(rest)),
        }
    return figures


def _of_points(judge: Judge, points: list[Point], exact_rounds: int) -> Figures:
    """What the points themselves tell: J, feasibility, certificate, exactness of the half-steps."""
    pairs = [(point.W, point.B) for point in points if point.W is not None and point.B is not None]
    J = [judge.model.objective(judge.tasks, W, _feasible(B)) for W, B in pairs]
    W, B = pairs[-1]
    verdict = certify(judge.original, judge.model, W, _feasible(B), tol=1e-8)
    exact = [point for point in points if exact_rounds < 0 or point.round <= exact_rounds]
    figures = {
        "objective": J[-1],
        "rise_of_J": max([(b - a) / abs(a) for a, b in zip(J, J[1:], strict=False)], default=0.0),
        "infeasibility": max(float(np.abs(B - _feasible(B)).max()) for _, B in pairs),
        "level": verdict.level,
        "gap_B": verdict.gap_B,
        "no_minimum": verdict.reasons.get("minimum"),
    }
    if exact:
        figures["half_step_W"], figures["half_step_B"] = judge.half_steps(exact)
    if len(points) > 1:
        figures["seconds_per_round"] = _seconds_per_round(exact if len(exact) > 1 else points)
    return figures


def _feasible(B: Array) -> Array:
    made: Array = np.maximum(B, 0.0)
    np.fill_diagonal(made, 0.0)
    return made


def _key(level: float) -> str:
    return f"{level:.0e}"


def _seconds_per_round(points: list[Point]) -> float:
    """Median over the recorded rounds, the first left out."""
    spent = [(b.seconds - a.seconds) / (b.round - a.round) for a, b in zip(points, points[1:], strict=False)]
    return float(np.median(spent))


def _thinned(path: list[Point], most: int = 150) -> list[list[float]]:
    """At most so many (seconds, residual), dense where the residual changes most in logarithmic time."""
    if len(path) > most:
        chosen = np.unique(np.geomspace(1, len(path), most).astype(int)) - 1
        path = [path[k] for k in chosen]
    return [[float(f"{p.seconds:.4g}"), float(f"{p.relative:.3g}")] for p in path]
