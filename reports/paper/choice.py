"""Choice: the parameters of a method by its error on the rows that choose, on a grid that widens itself.

A grid is all combinations of its values. Where the method goes in rounds and `rounds` is in the grid, one fit
gives the error of every round up to the largest. Where the best value of a number is the first or last one
that was tried, the next one beyond it (by the ratio of the last two) is tried with the neighbours of the
best in the other axes, until it is not, three times at most. Of equal errors the smaller logistic loss
counts, then the first one in the order of the grid. Trials are not certified; what was chosen is, on all
training rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from paper.data import Part
from paper.errors import MEASURES, Errors, errors, scores

from amtl_cvx import Options, TaskSet
from amtl_cvx.errors import AMTLError
from amtl_cvx.experiment.candidate import ROUNDS, Candidate
from amtl_cvx.families import family_named
from amtl_cvx.families.settings.named import named
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import Array

WIDENED = 3
_FAILED = Errors(np.inf, np.inf, np.empty(0), [])


class Contender(NamedTuple):
    """A row of a table: a method, what is held, and the grid; `rounds` in it is the most that are tried."""

    name: str
    method: str
    grid: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, Any]
    rounds: int = 0
    engine: str = "fast"
    widens: tuple[str, ...] = ("coupling", "mu", "rho", "decay", "gamma", "radius")


class Choice(NamedTuple):
    """The parameters, their error on the rows that chose, and how they were found."""

    parameters: dict[str, Any]
    error: float
    trials: int
    edges: list[str]
    axes: dict[str, list[Any]]


def options(contender: Contender, **more: Any) -> Options:
    """Those of all its fits."""
    return replace(Options(engine=contender.engine), **more)  # type: ignore[arg-type]


def choose(contender: Contender, part: Part) -> Choice:
    """The point of least error."""
    axes = {name: list(values) for name, values in contender.grid.items()}
    found: dict[tuple[Any, ...], list[Errors]] = {}
    problems = Problems()
    points = list(product(*axes.values()))
    for _ in range(WIDENED + 1):
        for values in points:
            if values not in found:
                found[values] = trial(contender, dict(zip(axes, values, strict=True)), part, problems)
        best, rounds = _best(found)
        beyond = dict(_beyond(contender, axes, dict(zip(axes, best, strict=True))))
        if not beyond:
            break
        points = []
        for name, value in beyond.items():
            around = {other: _near(values, best[k]) for k, (other, values) in enumerate(axes.items())}
            points += list(product(*{**around, name: [value]}.values()))
        for name, value in beyond.items():
            axes[name] = sorted([*axes[name], value])
    chosen: dict[str, Any] = dict(zip(axes, best, strict=True))
    error = found[best][rounds - 1].error
    if contender.rounds:
        chosen[ROUNDS] = rounds
    return Choice(chosen, error, len(found), sorted(beyond), axes)


def _best(found: Mapping[tuple[Any, ...], list[Errors]]) -> tuple[tuple[Any, ...], int]:
    """The point and the round."""
    all_of = [
        (each.error, each.tie, place, number)
        for place, trials in enumerate(found.values())
        for number, each in enumerate(trials, start=1)
    ]
    _, _, place, number = min(all_of)
    return list(found)[place], number


def _near(values: list[Any], value: Any) -> list[Any]:
    """A value with its neighbours."""
    at = values.index(value)
    return values[max(at - 1, 0) : at + 2]


def _beyond(
    contender: Contender, axes: Mapping[str, list[Any]], best: Mapping[str, Any]
) -> Iterator[tuple[str, float]]:
    """The axes at whose end the best point lies, with the value beyond it."""
    for name, values in axes.items():
        if name not in contender.widens or len(values) < 2 or values[0] <= 0:
            continue
        if best[name] == values[-1]:
            yield name, float(f"{values[-1] ** 2 / values[-2]:.4g}")
        elif best[name] == values[0]:
            yield name, float(f"{values[0] ** 2 / values[1]:.4g}")


def trial(contender: Contender, point: dict[str, Any], part: Part, problems: Problems) -> list[Errors]:
    """The errors after each round on the rows that choose; of a method without rounds those of its fit."""
    measure = MEASURES[part.data]
    family = family_named(named(contender.method).family)
    if contender.rounds:
        point = {**point, ROUNDS: contender.rounds}
    rounds: dict[int, Mapping[str, Array]] = {}

    def seen(number: int, step: str, blocks: Mapping[str, Array]) -> None:
        rounds[number] = dict(blocks)

    try:
        solution = fitted(
            contender, point, part.learn, options(contender, judged=False, problems=problems, iterate=seen)
        )
    except (AMTLError, np.linalg.LinAlgError, FloatingPointError):
        last = None
    else:
        last = solution.blocks
    with np.errstate(all="ignore"):
        if not contender.rounds:
            return [
                _FAILED if last is None else errors(scores(family, last, part.judge), part.judge, measure)
            ]
        kept = [rounds[number] for number in sorted(rounds) if number >= 1]
        return [errors(scores(family, each, part.judge), part.judge, measure) for each in kept] or [_FAILED]


def fitted(contender: Contender, point: Mapping[str, Any], tasks: TaskSet, how: Options) -> Any:
    """The fit of a point; warnings of trials that run away are not shown."""
    candidate = Candidate(method=named(contender.method), settings=contender.settings, parameters=dict(point))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return candidate.fit(tasks, how)
