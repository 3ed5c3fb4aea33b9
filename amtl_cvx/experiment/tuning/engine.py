"""Engine: the fits of a tuning as jobs that know nothing of each other, done once each.

    job = (split, points)     points of a chain, fitted one after another on the training rows of a split

A chain has one point, or, where fits begin at the one before (`warm`), all new points that differ in the last
axis alone, the largest value first. `rounds` is no axis of the jobs: one fit of the most rounds gives, by
`Options.iterate`, the predictors after every one of them, which are scored apart. Trials are not judged.
Compiled problems are kept by each worker (`Problems`), so that no point of the grid compiles anything anew.

A trial is bounded: one whose predictors only grow (separable labels) ends there, and one that finds no end
within its steps where it is then (`amtl.refining`); it says so, and its error is that of this point.

A solver that fails makes an error infinite, with the reason, and ends nothing else. Errors that a worker
found are taken for what they say they are, if they are errors at all: they choose a point, whose fit is done
and judged in this process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.console import one_line
from amtl_cvx.errors import SolveError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.tuning.axes import ROUNDS, Axis
from amtl_cvx.experiment.tuning.journal import Journal
from amtl_cvx.experiment.tuning.scoring import error_of
from amtl_cvx.experiment.tuning.search import Point
from amtl_cvx.experiment.tuning.splits import Part
from amtl_cvx.experiment.tuning.trial import Trial
from amtl_cvx.families import family_named
from amtl_cvx.families.settings.named import NamedMethod, named
from amtl_cvx.options import Options
from amtl_cvx.parallel import SharedMap
from amtl_cvx.solution import Solution, Status
from amtl_cvx.subproblems import Problems

GROWING, BOUNDED = "growing", "bounded"
_ENDS = {Status.GROWING: GROWING, Status.ROUND_LIMIT: BOUNDED}
Observe = Callable[[int, int, float], object]
"""Called after each fitted job with how many points and splits are done, how many there are, and the least
mean error of the points all of whose splits are done (infinite before the first)."""


class Bench(NamedTuple):
    """What all jobs need."""

    parts: tuple[Part, ...]
    method: str | NamedMethod
    settings: Mapping[str, Any]
    held: Mapping[str, Any]
    """Parameters that are no axis."""
    names: tuple[str, ...]
    """The axes but for rounds."""
    rounds: tuple[int, ...]
    """The rounds that are scored; empty where a fit goes to its end."""
    measure: str
    options: Options
    warm: bool
    problems: Problems


class Job(NamedTuple):
    """Fits on one split."""

    split: int
    points: tuple[Point, ...]

    @property
    def key(self) -> str:
        """What the journal calls it."""
        return json.dumps([self.split, *self.points])


class Outcome(NamedTuple):
    """What a fit said: an error for each of the rounds, or the one of its end."""

    errors: tuple[float, ...]
    seconds: float
    failed: str = ""
    ended: str = ""
    """"growing" or "bounded" where the fit ended short of a first-order point, unasked."""


@dataclass(kw_only=True)
class Engine:
    """Does the jobs of points, once each, and keeps what they said.

    `of` holds the outcome of every (split, point) so far, `resumed` is how many of them the journal had.
    """

    bench: Bench
    executor: Executor | None = None
    journal: Journal | None = None
    observe: Observe | None = None
    of: dict[tuple[int, Point], Outcome] = field(default_factory=dict)
    resumed: int = 0

    def __post_init__(self) -> None:
        self._spread = SharedMap(self.bench, self.executor)
        self._points: dict[Point, None] = {}

    def errors(self, points: Sequence[Point]) -> list[float]:
        """The least mean error of each point over its rounds; fits what is new."""
        self._points |= dict.fromkeys(points)
        jobs = _jobs(points, len(self.bench.parts), chained=self.bench.warm)
        todo = [job for job in jobs if not self._known(job)]

        def done(number: int, outcomes: list[Outcome]) -> None:
            self._take(todo[number], outcomes)
            if self.journal is not None:
                self.journal.add(todo[number].key, [list(each) for each in outcomes])
            self._tell()

        if todo:
            self._spread(
                fit_job, todo, observe=done, accept=lambda number, found: self._sound(todo[number], found)
            )
        return [self._least(point) for point in points]

    def trial(self, point: Point, place: int, parameters: Mapping[str, Any]) -> Trial:
        """The trial of a point at the place of its rounds."""
        found = [self.of[split, point] for split in range(len(self.bench.parts))]
        return Trial(
            parameters=parameters,
            errors=tuple(each.errors[place] for each in found),
            seconds=sum(each.seconds for each in found),
            failed=next((each.failed for each in found if each.failed), ""),
            growing=sum(each.ended == GROWING for each in found),
            bounded=sum(each.ended == BOUNDED for each in found),
        )

    def _known(self, job: Job) -> bool:
        """Whether the journal knows a job, which is then taken up."""
        if all((job.split, point) in self.of for point in job.points):
            return True
        noted = None if self.journal is None else self.journal.get(job.key)
        try:
            found = None if noted is None else self._sound(job, noted)
        except (IndexError, TypeError, ValueError):  # done again, as what a worker garbled
            found = None
        if found is not None:
            self._take(job, found)
            self.resumed += len(found)
        return found is not None

    def _take(self, job: Job, outcomes: Sequence[Outcome]) -> None:
        self.of |= {(job.split, point): each for point, each in zip(job.points, outcomes, strict=True)}

    def _sound(self, job: Job, found: Any) -> list[Outcome] | None:
        """Outcomes from elsewhere, None where they are not those of the job."""
        wanted = max(len(self.bench.rounds), 1)
        outcomes = [
            Outcome(tuple(map(float, each[0])), float(each[1]), str(each[2]), str(each[3])) for each in found
        ]
        numbers = [error for each in outcomes for error in each.errors]
        fits = len(outcomes) == len(job.points) and all(len(each.errors) == wanted for each in outcomes)
        return outcomes if fits and not np.isnan(numbers).any() and min(numbers) >= 0.0 else None

    def _least(self, point: Point) -> float:
        parts = [self.of[split, point].errors for split in range(len(self.bench.parts))]
        return float(np.mean(parts, axis=0).min())

    def _tell(self) -> None:
        if self.observe is None:
            return
        splits = range(len(self.bench.parts))
        whole = [point for point in self._points if all((split, point) in self.of for split in splits)]
        least = min(map(self._least, whole), default=np.inf)
        self.observe(len(self.of), len(self._points) * len(splits), least)


def _jobs(points: Sequence[Point], splits: int, *, chained: bool) -> list[Job]:
    """Jobs of all points on all splits."""
    chains: dict[Point, list[Point]] = {}
    for point in points:
        chains.setdefault(point[:-1] if chained else point, []).append(point)
    ordered = [tuple(reversed(chain)) for chain in chains.values()]
    return [Job(split, chain) for chain in ordered for split in range(splits)]


def fit_job(bench: Bench, job: Job) -> list[Outcome]:
    """The fits of a job, scored on the held-out rows of its split."""
    part, outcomes, start = bench.parts[job.split], [], None
    for point in job.points:
        begun = time.perf_counter()
        parameters = {**bench.held, **dict(zip(bench.names, point, strict=True))}
        solution, errors, failed = _fitted(bench, part, parameters, start)
        start = solution if bench.warm else None
        ended = "" if bench.rounds or solution is None else _ENDS.get(solution.status, "")
        outcomes.append(Outcome(errors, time.perf_counter() - begun, failed, ended))
    return outcomes


def _fitted(
    bench: Bench, part: Part, parameters: Mapping[str, Any], start: Solution | None
) -> tuple[Solution | None, tuple[float, ...], str]:
    """The fit of one point, its errors, and what a solver said that failed."""
    seen: dict[int, Mapping[str, Array]] = {}

    def keep(number: int, step: str, blocks: Mapping[str, Array]) -> None:
        seen[number] = blocks

    options = replace(bench.options, problems=bench.problems, start=start)
    if bench.rounds:
        options = replace(options, iterate=keep)
        parameters = {**parameters, ROUNDS: max(bench.rounds)}
    candidate = Candidate(method=named(bench.method), settings=bench.settings, parameters=parameters)
    try:
        solution = candidate.fit(part.train, options)
    except SolveError as error:
        most, last = max(bench.rounds, default=0), max(seen, default=0)
        before = tuple(number for number in bench.rounds if number <= last and number < most)
        ended, errors = None, tuple[float, ...]()
        if before:  # what is left of the rounds is a fit that ends before
            ended, errors, _ = _fitted(bench._replace(rounds=before), part, parameters, start)
        failed = (np.inf,) * (max(len(bench.rounds), 1) - len(errors))
        return ended, (*errors, *failed), one_line(str(error))
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if not bench.rounds:
        return solution, (error_of(solution, solution.blocks, part, bench.measure),), ""
    blocks = [seen.get(number, solution.blocks) for number in bench.rounds]  # one that ended stays there
    return solution, tuple(error_of(solution, each, part, bench.measure) for each in blocks), ""


def takes_start(method: NamedMethod) -> bool:
    """Whether fits of a method may begin at another fit."""
    return family_named(method.family).methods[method.method].takes_start


def rounds_of(axes: Sequence[Axis]) -> tuple[int, ...]:
    """The values of the axis of rounds, if there is one."""
    found = [axis for axis in axes if axis.name == ROUNDS]
    return tuple(int(value) for axis in found for value in axis.values)
