"""Plan: what a tuning is going to do, all of it settled before the first fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.scales import suggest_loss
from amtl_cvx.experiment.tuning.axes import ROUNDS, Axis, Grid, axes_of
from amtl_cvx.experiment.tuning.engine import Bench, rounds_of, takes_start
from amtl_cvx.experiment.tuning.scoring import measure_for
from amtl_cvx.experiment.tuning.search import Point
from amtl_cvx.experiment.tuning.splits import Splits, splits_of
from amtl_cvx.experiment.tuning.tuned import plain
from amtl_cvx.experiment.tuning.units import apart, grid_of
from amtl_cvx.families import settings_of
from amtl_cvx.families.settings.named import NAMED, NamedMethod, named
from amtl_cvx.options import Options
from amtl_cvx.parallel.worker import versions_here
from amtl_cvx.problem import Model
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import TaskSet, check_tasks

EngineChoice = Literal["auto", "cvxpy", "fast"]
CARRIED = (
    "tol", "max_rounds", "refine", "handover", "sweep", "definition", "ridge", "solver", "gpu", "solve_limit",
    "engine",
)  # fmt: skip
"""Options on which it depends where a fit ends."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Method, grid, splits and fits of a tuning."""

    method: NamedMethod
    settings: Mapping[str, Any]
    axes: tuple[Axis, ...]
    """Rounds last, where they are tuned."""
    splits: Splits
    bench: Bench
    options: Options
    """Of the fit of the chosen point."""

    @property
    def job_axes(self) -> tuple[Axis, ...]:
        """The axes but for rounds."""
        return tuple(axis for axis in self.axes if axis.name != ROUNDS)

    def draws(self, number: int, seed: int) -> list[Point]:
        """Points at random, each once."""
        rng = np.random.default_rng(seed)
        columns = [axis.draws(rng, number) for axis in self.job_axes]
        return list(dict.fromkeys(zip(*columns, strict=True))) if columns else [()]

    def about(self, *, widen: int, random: int | None, seed: int) -> dict[str, Any]:
        """What makes it another tuning, as JSON can hold it."""
        options = {name: getattr(self.bench.options, name) for name in CARRIED}
        settings = {**self.method.fixed, **self.settings}
        return {
            "data": self.splits.fingerprint(),
            "method": [self.method.name, self.method.family, self.method.method],
            "settings": {name: plain(value) for name, value in settings.items()},
            "grid": [axis.to_dict() for axis in self.axes],
            "widening": widen if random is None else None,
            "random points": None if random is None else [random, seed],
            "measure": self.bench.measure,
            "warm starts": self.bench.warm,
            "options": options,
            "versions": list(versions_here()),
        }


def plan(
    tasks: TaskSet,
    method: str | NamedMethod,
    grid: Grid | None,
    *,
    settings: Mapping[str, Any] | None,
    splits: Any,
    seed: int,
    warm: bool | None,
    measure: str,
    options: Options | None,
    engine: EngineChoice,
) -> Plan:
    """What `tune` was asked for, checked and completed."""
    check_tasks(tasks)
    method, said = named(method), dict(settings or {})
    if said.get("loss", "auto") == "auto":
        said["loss"] = suggest_loss(tasks)
    options = options or Options()
    if options.start is not None:
        raise ModelError("every fit of a tuning begins by itself: leave out the start")
    parted = splits_of(tasks, splits, seed=seed)
    axes = _axes(tasks, method, grid, said, Options(engine="fast", judged=False, tol=options.tol))
    rest, held = apart(method, said)
    first = {axis.name: axis.values[0] for axis in axes}
    model = Candidate(method=method, settings=rest, parameters={**held, **first}).model(tasks)
    options = _with_engine(options, engine, model, method, tasks)
    bench = Bench(
        parts=parted.parts,
        method=method.name if NAMED.get(method.name) is method else replace(method, fixed=dict(method.fixed)),
        settings=rest,
        held=held,
        names=tuple(axis.name for axis in axes if axis.name != ROUNDS),
        rounds=rounds_of(axes),
        measure=measure_for(measure, model.loss, parted),
        options=_of_trials(options),
        warm=_warm(method, axes, warm),
        problems=Problems(),
    )
    return Plan(method=method, settings=said, axes=axes, splits=parted, bench=bench, options=options)


def count(name: str, value: object, *, least: int) -> int:
    """A whole number from `least` on; `ModelError` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise ModelError(f"{name} must be a whole number >= {least}, got {value!r}")


def _axes(
    tasks: TaskSet, method: NamedMethod, grid: Grid | None, said: Mapping[str, Any], options: Options
) -> tuple[Axis, ...]:
    """The axes that are given and those of the other parameters, rounds last."""
    axes: dict[str, Axis] = {}
    for axis in axes_of(grid):
        if axis.name in said:
            raise ModelError(f"{axis.name} is held in the settings and in the grid: leave it out of one")
        if axis.name == ROUNDS and method.rounds:
            axes[ROUNDS] = axis.of_kind(int)
            count(ROUNDS, axes[ROUNDS].values[0], least=1)
        else:
            axes[axis.name] = axis.of_kind(method.parameter(axis.name).kind)
    for parameter in method.parameters:
        if parameter.name not in said and parameter.name not in axes:
            middle = {axis.name: axis.values[len(axis.values) // 2] for axis in axes.values()}
            middle.pop(ROUNDS, None)
            axes[parameter.name] = grid_of(parameter, tasks, method, {**middle, **said}, options)
    rounds = axes.pop(ROUNDS, None)
    return (*axes.values(), *([] if rounds is None else [rounds]))


def _warm(method: NamedMethod, axes: tuple[Axis, ...], asked: bool | None) -> bool:
    """Whether a fit begins at the one before."""
    able = takes_start(method)
    if asked is None:
        return method.convex and able
    if asked and not able:
        raise ModelError(f"{method.name} has its own start: leave warm out")
    if asked and rounds_of(axes):
        raise ModelError("rounds are counted from the method's own start: leave out warm, or rounds")
    return asked


def _with_engine(
    options: Options, engine: EngineChoice, model: Any, method: NamedMethod, tasks: TaskSet
) -> Options:
    """The options with the engine that is asked for, or with the fast one where there is one."""
    if engine == "auto":
        asked = options.definition or options.sweep != "joint" or options.solver != "auto"
        table = settings_of(method.family)
        asked = asked or options.gpu == "on" or table is None or "engine" not in table.names
        if asked or (isinstance(model, Model) and model.coupled and direct_step(model, tasks.T) is None):
            return options
        engine = "fast"
    if engine not in ("cvxpy", "fast"):
        raise ModelError(f"engine must be 'auto', 'cvxpy' or 'fast', got {engine!r}")
    return replace(options, engine=engine)


def _of_trials(options: Options) -> Options:
    """How the trials are fitted: unjudged, and nobody is told."""
    return replace(
        options,
        callback=None,
        checkpoint=None,
        iterate=None,
        problems=None,
        executor=None,
        judged=False,
    )
