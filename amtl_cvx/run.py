"""The running record of a fit: its point, its history, where the time went, and where it can go on from.

After every step `Run.note` takes down a `State`, all that the next decision needs; it costs next to nothing,
for no array is changed in place. Where the fit is given somewhere to save it, that is done after the first
round and then so that no step is lost that was finished `INTERVAL` seconds ago: what the next step may take,
judged by those before it, must still fit in, and where the kind of the steps changes (`Run.enter`) nothing is
known of their length.

A fit that begins at a state takes the same decisions as one that was never interrupted: the steps keep
nothing but what is in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.families import Family, Memory
from amtl_cvx.problem import Blocks
from amtl_cvx.solution import Record, Solution, State, Status
from amtl_cvx.solvers import Backend, Solved
from amtl_cvx.tasks import TaskSet

Callback = Callable[[Record], None]
Checkpoint = Callable[[Solution], object]
Iterate = Callable[[int, str, Mapping[str, Array]], object]

INTERVAL = 30.0
"""Seconds that a finished step may be away from being saved."""
_MARGIN = 2.0  # how much longer than the steps before it a step may take
_SETTLED = 1.0  # seconds without a save after which a change of the kind of steps calls for one
_LARGEST = 1e150  # J of a start, beyond which squares of its terms overflow
_SAME = 1e-6  # relative difference of J up to which a state belongs to this problem
_UNJUDGED = "not computed at a checkpoint: certify judges it"
_TRIAL = "not computed: a trial is scored, what it leads to is judged"


@dataclass(kw_only=True)
class Run:
    """The running record of a fit; a method's steps change it, `note` takes them down."""

    family: Family
    problem: Any
    """Of the family; its tasks may be compressed."""
    method: str
    kind: str
    """What the method's certificate judges."""
    backend: Backend
    tol: float
    callback: Callback | None = None
    checkpoint: Checkpoint | None = None
    iterate: Iterate | None = None
    judged: bool = True
    """Whether the end of the fit is judged."""
    memory: Memory = field(default_factory=Memory)
    """What the method carries from one step to the next."""
    point: Any = field(init=False)
    round: int = 0
    phase: str = ""
    moved: bool = False
    history: list[Record] = field(default_factory=list)
    compile_seconds: float = 0.0
    solver_seconds: float = 0.0
    alternated: float | None = None
    started: float = field(default_factory=time.perf_counter)
    _taken: State | None = None
    _steps: int = 0
    _saved: float | None = None
    _stepped: float = field(default_factory=time.monotonic)
    _pace: float = 0.0

    def __post_init__(self) -> None:
        self.point = self.problem.at(**self.family.start(self.problem))

    @property
    def tasks(self) -> TaskSet:
        tasks: TaskSet = self.problem.tasks
        return tasks

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def begin(self, start: Blocks | Solution | State | Mapping[str, Array]) -> None:
        """Take up a point, or a state with all that it holds.

        Raises
        ------
        DataError, ModelError
            For blocks that do not fit or are not feasible, or a state of another method or problem.
        """
        self.point = self.problem.at(**self.family.prepare_start(self.problem, start))
        with np.errstate(over="ignore", invalid="ignore"):
            J = self.point.objective
        if not J < _LARGEST:
            names = " or ".join(self.point.blocks)
            raise ModelError(
                f"J of the start must be below {_LARGEST:.0e}, it is {J:.3g}: scale {names} down"
            )
        if isinstance(start, State):
            self._check(start, J)
            self._restore(start)
            self.started -= start.seconds["total"]

    def enter(self, phase: str) -> str:
        """Begin a part of the fit, or go on in it: the step that was the last one there, "" for none."""
        if self.phase == phase:
            return self.history[-1].step if self.history else ""
        if self.history and self._waited() > _SETTLED:
            self._save()
        self.phase = phase
        self.memory.enter(phase)
        self._stepped = time.monotonic()
        return ""

    def note(self, step: str, solved: Solved) -> None:
        """Add the current point to the history."""
        self.compile_seconds += solved.compile_seconds
        self.solver_seconds += solved.seconds
        found = self.family.evidence(self.point)
        record = Record(
            round=self.round,
            step=step,
            objective=self.point.objective,
            stationarity=found.stationarity,
            relative=found.relative,
            seconds=self.elapsed,
            solver=solved.solver,
            solver_status=solved.status,
            solver_seconds=solved.seconds,
        )
        self.history.append(record)
        self._taken, self._steps = self._state(), len(self.history)
        if self.callback is not None:
            self.callback(record)
        if self.iterate is not None:
            self.iterate(self.round, step, self.point.blocks)
        if self._due(step, time.monotonic() - solved.compile_seconds):
            self._save()

    @property
    def state(self) -> State | None:
        """Where the run stood after its last finished step, None before the first."""
        taken = self._taken
        return None if taken is None else replace(taken, history=tuple(self.history[: self._steps]))

    def back(self) -> None:
        """To the last finished step, from wherever an interrupt came."""
        if (state := self.state) is not None:
            self._restore(state)

    def seconds(self, **parts: float) -> dict[str, float]:
        """Where the time went; refinement counts from `alternated`, the seconds before it."""
        total = self.elapsed
        return {
            "total": total,
            "compile": self.compile_seconds,
            "solvers": self.solver_seconds,
            "refine": 0.0 if self.alternated is None else total - self.alternated,
            **parts,
        }

    def _state(self) -> State:
        """The state but for the history, which only grows: a copy a step would cost more the longer it is."""
        return State(
            family=self.family.name,
            method=self.method,
            blocks=self.point.blocks,
            history=(),
            phase=self.phase,
            moved=self.moved,
            facts=self.memory.facts(),
            arrays=self.memory.arrays(),
            seconds=self.seconds(),
        )

    def _restore(self, state: State) -> None:
        self.point = self.problem.at(**state.blocks)
        self._taken, self._steps = state, len(state.history)
        self.history, self.round = list(state.history), state.history[-1].round
        self.phase, self.moved = state.phase, state.moved
        self.memory.restore(state.facts, state.arrays)
        spent = state.seconds
        self.compile_seconds, self.solver_seconds = spent["compile"], spent["solvers"]
        self.alternated = spent["total"] - spent["refine"] if spent["refine"] > 0.0 else None

    def _check(self, state: State, J: float) -> None:
        """Raise `ModelError` for the state of another fit; J is that of its point here."""
        if (state.family, state.method) != (self.family.name, self.method):
            raise ModelError(f"the start is a state of {state.method!r}, not of {self.method!r}")
        known = state.history[-1].objective
        if not abs(J - known) <= _SAME * abs(known):
            raise ModelError(
                f"the start is a state of another problem (J = {known:.6g} there, {J:.6g} here): begin at its"
                " point, its blocks"
            )

    def _waited(self) -> float:
        """Seconds since the last save."""
        return time.monotonic() - (-np.inf if self._saved is None else self._saved)

    def _due(self, step: str, now: float) -> bool:
        """Whether to save now: after the first round, and before the next step could take too long."""
        self._pace, self._stepped = max(now - self._stepped, 0.5 * self._pace), now
        if self._saved is None:
            return step != next(iter(self.point.blocks)) or _MARGIN * self._pace >= INTERVAL
        return now - self._saved + _MARGIN * self._pace >= INTERVAL

    def _save(self) -> None:
        if self.checkpoint is not None:
            self.checkpoint(self._unfinished())
            self._saved = self._stepped = time.monotonic()

    def verdict(self, judge: Callable[[], Any]) -> Any:
        """What `judge` says of the point; where the fit is not judged, what is known of it without work."""
        if self.judged:
            return judge()
        return self.family.unjudged(self.point, kind=self.kind, tol=self.tol, reason=_TRIAL)

    def _unfinished(self) -> Solution:
        """The point as it stands; its certificate holds what is known without further work, and fails."""
        certificate = self.family.unjudged(self.point, kind=self.kind, tol=self.tol, reason=_UNJUDGED)
        return finish(self.tasks, self, certificate, status=Status.INTERRUPTED, seconds=self.seconds())


def finish(
    tasks: TaskSet, run: Run, certificate: Any, *, status: Status, seconds: dict[str, float]
) -> Solution:
    """The solution at the run's current point."""
    model, blocks = run.problem.model, run.point.blocks
    return Solution(
        blocks=blocks,
        losses=run.family.losses(tasks, model, blocks),
        objective=certificate.objective,
        certificate=certificate,
        status=status,
        history=tuple(run.history),
        method=run.method,
        model=model,
        task_names=tasks.names,
        feature_names=tasks.feature_names,
        facts=run.memory.told(),
        labels=tasks.labels if model.loss.classification else None,
        seconds=seconds,
        gpu=run.backend.gpu.sentence(),
        state=run.state if status is Status.INTERRUPTED else None,
    )
