"""Choice: which point of a tuning is taken.

    best        the one of least mean error; of equals the simplest
    one-se      the simplest whose mean error is at most that of the best and its standard error

Simpler is a larger weight or price and fewer features and rounds, in the order of `SIMPLER`: first the larger
mu (fewer edges), of equals the larger coupling, and so on. A word is no simpler than another one, there the
order of the axis decides. Source of the rule: Breiman, Friedman, Olshen, Stone, Classification and Regression
Trees, 1984, section 3.4.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.tuning.axes import Axis, Value
from amtl_cvx.experiment.tuning.trial import Trial, shown

Rule = Literal["best", "one-se"]
RULES: tuple[Rule, ...] = ("best", "one-se")

SIMPLER: Mapping[str, int] = {
    "mu": 1,
    "coupling": 1,
    "rho": 1,
    "gamma": 1,
    "decay": 1,
    "power": 1,
    "features": -1,
    "radius": -1,
    "rounds": -1,
}
"""The parameters that make a point simpler, in their order: 1 where a larger value does, -1 a smaller one."""


def chosen(trials: Sequence[Trial], rule: Rule, axes: Sequence[Axis]) -> Trial:
    """The trial that the rule takes.

    Raises
    ------
    ModelError
        For an unknown rule, "one-se" on a single split, and where every fit failed.
    """
    if rule not in RULES:
        raise ModelError(f"the rule must be one of {', '.join(RULES)}, got {rule!r}")
    least = min(trial.mean for trial in trials)
    if not math.isfinite(least):
        failed = next(trial.failed for trial in trials)
        raise ModelError(f"no point of the grid could be fitted on every split ({failed}): choose another")
    best = simplest([trial for trial in trials if trial.mean == least], axes)
    if rule == "best":
        return best
    if best.se is None:
        raise ModelError("the one-standard-error rule needs two splits: take folds, or rule 'best'")
    return simplest([trial for trial in trials if trial.mean <= best.mean + best.se], axes)


def simplest(trials: Sequence[Trial], axes: Sequence[Axis]) -> Trial:
    """The simplest trial; where nothing tells, the first one on the axes."""
    places = {axis.name: {value: k for k, value in enumerate(axis.values)} for axis in axes}

    def order(trial: Trial) -> tuple[float, ...]:
        known = [-sign * _number(trial.parameters[name]) for name, sign in _signs(trial.parameters)]
        others = [places[name].get(value, 0) for name, value in trial.parameters.items() if name in places]
        return (*known, *others)

    return min(trials, key=order)


def _signs(parameters: Mapping[str, Value]) -> list[tuple[str, int]]:
    return [(name, sign) for name, sign in SIMPLER.items() if name in parameters]


def _number(value: Value) -> float:
    return 0.0 if isinstance(value, str) else float(value)


def edges(choice: Trial, trials: Sequence[Trial], axes: Sequence[Axis]) -> tuple[str, ...]:
    """A sentence for each axis at whose end a choice lies, better than its neighbour inside."""
    found = []
    errors = {tuple(trial.parameters.items()): trial.mean for trial in trials}
    for axis in axes:
        value = choice.parameters[axis.name]
        end = axis.at_end(value)
        if end is None or (end == "low" and _number(value) in (0.0, 1.0) and axis.beyond(end) is None):
            continue
        inside = axis.values[-2] if end == "high" else axis.values[1]
        beside = tuple({**choice.parameters, axis.name: inside}.items())
        if choice.mean < errors.get(beside, -math.inf):
            word = "larger" if end == "high" else "smaller"
            found.append(f"{axis.name} {shown(value)} is at the end of its values: try {word} ones")
    return tuple(found)
