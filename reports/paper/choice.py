"""Choice: the parameters of a method by its error on the rows that choose, by `tune`.

A grid is all combinations of its values; it goes on beyond an end that is best. Where the method goes in
rounds, one fit gives the error of every round up to `Contender.rounds`. Of equal errors the simplest point
counts: the larger weights, then fewer rounds. Trials are not certified; what was chosen is, on all training
rows. The journal of a choice that was ended lies beside its cell, so that the same run goes on with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from paper.data import Part
from paper.errors import MEASURES

from amtl_cvx import Options, TaskSet
from amtl_cvx.experiment.candidate import ROUNDS, Candidate
from amtl_cvx.experiment.tuning import Splits, Tuning, tune
from amtl_cvx.families.settings.named import named
from amtl_cvx.solution import Solution


class Contender(NamedTuple):
    """A row of a table: a method, its grid, what is held, the most rounds (0: to the end), and how often a
    grid goes on beyond an end that is best.
    """

    name: str
    method: str
    grid: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, Any]
    rounds: int = 0
    widen: int = 0


class Choice(NamedTuple):
    """The parameters, their error on the rows that chose, and how they were found."""

    tuning: Tuning
    parameters: dict[str, Any]
    error: float
    points: int
    edges: list[str]
    widened: list[str]


def choose(contender: Contender, part: Part, journal: Path | None = None) -> Choice:
    """The point of least error."""
    grid: dict[str, Any] = dict(contender.grid)
    if contender.rounds:
        grid[ROUNDS] = range(1, contender.rounds + 1)
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
    if part.folds:
        rows, splits = part.train, Splits.folds(part.train, part.folds, seed=0)
    else:
        rows, splits = part.learn, Splits.validation(part.learn, part.judge)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of trials that run away
        found = tune(
            rows,
            contender.method,
            grid,
            settings=contender.settings,
            splits=splits,
            widen=contender.widen,
            measure=MEASURES[part.data],
            journal=journal,
        )
    points, chosen = len(found.trials) // max(contender.rounds, 1), found.chosen
    error = chosen.mean * (100.0 if MEASURES[part.data] == "class error" else 1.0)
    return Choice(found, dict(chosen.parameters), error, points, list(found.edges), list(found.widened))


def fitted(tuning: Tuning, tasks: TaskSet, **how: Any) -> Solution:
    """A fit of the chosen point, with the engine of the trials; what runs away warns."""
    return _fit(tuning.candidate, tasks, replace(tuning.options, **how))


def at_point(contender: Contender, point: Mapping[str, Any], tasks: TaskSet, **how: Any) -> Solution:
    """A fit at parameters that were chosen before."""
    method = named(contender.method)
    candidate = Candidate(method=method, settings=contender.settings, parameters=dict(point))
    return _fit(candidate, tasks, replace(Options(engine="fast"), **how))


def _fit(candidate: Candidate, tasks: TaskSet, options: Options) -> Solution:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return candidate.fit(tasks, options)
