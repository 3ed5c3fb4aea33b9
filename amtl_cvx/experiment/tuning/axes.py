"""Axes: the values that a parameter takes in a grid, how they are written, and what lies beyond them.

    mu=.01,.1,1         these values
    mu=1e-3:1e1:9       nine of them from 1e-3 to 10, each as many times the one before it
    rounds=1:10         the whole numbers from 1 to 10
    reading=zero,single words; separated by ; where they have commas, layers=16,8;8,4

A logarithmic axis goes on beyond an end by the ratio of its last two values there, a linear one by their
difference; neither changes its sign, and 0 is an end. Words do not go on, nor do rounds: more of them are
another fit of every point. What is drawn at random lies between the ends, log-uniformly or uniformly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError

Value = float | int | str
Scale = Literal["log", "linear", "choice"]
End = Literal["low", "high"]

ROUNDS = "rounds"
"""The parameter whose values all come from one fit."""
WHOLE = (ROUNDS, "features")
"""Parameters that are whole numbers: what lies between LOW and HIGH is rounded."""
_DIGITS = 12  # of values that are computed, so that .01 times 10 is .1
_DRAWN = 4  # digits of values that are drawn
_MOST = 10_000
"""Values of an axis, at most."""


@dataclass(frozen=True)
class Axis:
    """A parameter and its values, numbers in rising order.

    Parameters
    ----------
    name : str
    values : sequence of float, int or str
        At least one, each once.
    scale : {"log", "linear", "choice"}, optional
        Default: "choice" for words, "log" for numbers >= 0, "linear" for others and for rounds.

    Raises
    ------
    ModelError
        For values that are no such list.

    Examples
    --------
    >>> from amtl_cvx.experiment.tuning import Axis
    >>> Axis.parse("mu=1e-2:1:3").values
    (0.01, 0.1, 1.0)
    >>> Axis("coupling", [10, 1]).beyond("high").values
    (1, 10, 100)
    """

    name: str
    values: Sequence[Value]
    scale: Scale | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        values = [each.item() if isinstance(each, np.generic) else each for each in self.values]
        if not values:
            raise ModelError(f"{self.name} has no values: give one at least")
        if all(isinstance(each, str) for each in values):
            scale: Scale = "choice"
        elif all(is_number(each) and math.isfinite(each) for each in values):
            values = sorted(values)
            scale = "log" if values[0] >= 0 and self.name != ROUNDS else "linear"  # type: ignore[operator]
        else:
            raise ModelError(f"values of {self.name} must be numbers, or words, got {_shown(values)}")
        if len(set(values)) < len(values):
            raise ModelError(f"a value of {self.name} is there twice: {_shown(values)}")
        asked = scale if self.scale is None else self.scale
        if asked not in ("log", "linear", "choice") or (scale == "choice") > (asked == "choice"):
            raise ModelError(f"the scale of {self.name} must be {scale!r} or one that fits, got {asked!r}")
        if asked == "log" and scale != "log" and self.name != ROUNDS:
            raise ModelError(f"{self.name} goes below 0, its scale cannot be 'log': choose 'linear'")
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "scale", asked)

    @classmethod
    def parse(cls, text: str) -> Axis:
        """The axis that a text says, such as "mu=.01,.1,1"; `ModelError` for anything else."""
        name, sign, said = (part.strip() for part in text.partition("="))
        if not sign or not name or not said:
            raise ModelError(f"a grid is NAME=VALUE,VALUE,... or NAME=LOW:HIGH:COUNT, got {text!r}")
        name = name.replace("-", "_")
        if ":" in said and "," not in said:
            return cls(name, _between(name, [part.strip() for part in said.split(":")]))
        if ";" in said:
            return cls(name, [part.strip() for part in said.split(";")])
        return cls(name, [_value(part.strip()) for part in said.split(",")])

    def of_kind(self, kind: type) -> Axis:
        """The same with values of a parameter's kind: float, int or str; whole numbers are rounded to.

        Raises
        ------
        ModelError
            For a word where a number is wanted, or a number that is not whole.
        """
        if kind is str:
            return replace(self, values=[str(each) for each in self.values], scale="choice")
        if self.scale == "choice" and any(isinstance(each, str) for each in self.values):
            raise ModelError(f"{self.name} is a number, got {_shown(self.values)}")
        if kind is float:
            return replace(self, values=[float(each) for each in self.values])
        if any(isinstance(each, float) and not each.is_integer() for each in self.values):
            raise ModelError(f"{self.name} is a whole number, got {_shown(self.values)}")
        return replace(self, values=[int(each) for each in self.values])

    def times(self, unit: float) -> Axis:
        """The same with every value times a unit, to two digits."""
        return replace(self, values=[float(f"{float(each) * unit:.2g}") for each in self.values])

    def beyond(self, end: End) -> Axis | None:
        """The axis with one more value beyond an end; None where there is none."""
        if self.scale == "choice" or self.name == ROUNDS or len(self.values) < 2:
            return None
        numbers = [float(each) for each in self.values]
        last, before = (numbers[-1], numbers[-2]) if end == "high" else (numbers[0], numbers[1])
        if self.scale == "log":
            if last == 0.0 or before == 0.0:
                return None
            found = float(f"{last * (last / before):.{_DIGITS}g}")
        else:
            found = float(f"{last + (last - before):.{_DIGITS}g}")
            if found <= 0.0 <= numbers[0]:
                return None
        value: Value = round(found) if self._whole else found
        if value in self.values or not math.isfinite(found) or found == 0.0 or value == 0:
            return None
        return replace(self, values=[*self.values, value])

    def at_end(self, value: Value) -> End | None:
        """The end at which a value is; None inside, and on an axis of one value or of words."""
        if self.scale == "choice" or len(self.values) < 2:
            return None
        return {self.values[-1]: "high", self.values[0]: "low"}.get(value)  # type: ignore[return-value]

    def draws(self, rng: np.random.Generator, count: int) -> list[Value]:
        """Values at random between the ends, or of the words."""
        if self.scale == "choice":
            return [self.values[k] for k in rng.integers(len(self.values), size=count)]
        positive = [float(each) for each in self.values if float(each) > 0.0]
        if self.scale == "log" and positive:
            found = np.exp(rng.uniform(np.log(positive[0]), np.log(positive[-1]), size=count))
        else:
            found = rng.uniform(float(self.values[0]), float(self.values[-1]), size=count)
        return [round(each) if self._whole else float(f"{each:.{_DRAWN}g}") for each in found.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"name": self.name, "values": list(self.values), "scale": self.scale}

    @property
    def _whole(self) -> bool:
        return all(isinstance(each, int) for each in self.values)


Grid = Mapping[str, Iterable[Value] | str | float] | Iterable[Axis | str]
"""What `tune` takes: values by name, axes, or text that `Axis.parse` reads."""


def axes_of(grid: Grid | None) -> tuple[Axis, ...]:
    """The axes of a grid in any form; `ModelError` where a name is there twice."""
    if grid is None:
        return ()
    if isinstance(grid, Mapping):
        found = [_axis(name, values) for name, values in grid.items()]
    else:
        parts = [grid] if isinstance(grid, str | Axis) else grid
        found = [each if isinstance(each, Axis) else Axis.parse(each) for each in parts]
    names = [axis.name for axis in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ModelError(f"{twice[0]} is twice in the grid: give all its values at once")
    return tuple(found)


def _axis(name: str, values: Any) -> Axis:
    if isinstance(values, Axis):
        return replace(values, name=name)
    if isinstance(values, str):
        return Axis.parse(f"{name}={values}")
    return Axis(name, list(values) if isinstance(values, Iterable) else [values])


def _between(name: str, parts: list[str]) -> list[Value]:
    """Values from low to high: as many as are asked for, or the whole numbers."""
    ends = [_value(part) for part in parts]
    if any(isinstance(each, str) for each in ends) or len(ends) not in (2, 3):
        raise ModelError(f"{name} goes from LOW:HIGH:COUNT in numbers, got {':'.join(parts)}")
    low, high = ends[:2]
    if len(ends) == 2:
        if name not in WHOLE:
            said = ":".join(parts)
            raise ModelError(
                f"{name}={said} does not say how many values: write {name}={said}:9 for nine with"
                f" logarithmic steps, or all of them; LOW:HIGH alone is for {' and '.join(WHOLE)}"
            )
        if not (isinstance(low, int) and isinstance(high, int) and low <= high < low + _MOST):
            raise ModelError(f"{name}=LOW:HIGH is for whole numbers, got {':'.join(parts)}: say how many")
        return list(range(low, high + 1))
    count = ends[2]
    if not (isinstance(count, int) and 2 <= count <= _MOST and 0.0 < low < high):  # type: ignore[operator]
        raise ModelError(f"{name}=LOW:HIGH:COUNT needs 0 < LOW < HIGH and COUNT >= 2, got {':'.join(parts)}")
    inner = np.geomspace(float(low), float(high), count)[1:-1].tolist()
    if name in WHOLE:
        return list(dict.fromkeys(round(float(each)) for each in (low, *inner, high)))
    return [float(low), *(float(f"{each:.{_DIGITS}g}") for each in inner), float(high)]


def _value(text: str) -> Value:
    """A number if it is one, else a word."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if value == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
            raise ModelError(f"{text} is too small for a number, it would be 0: give a larger value, or 0")
        return value
    if not text:
        raise ModelError("a value of the grid is empty: separate values by single commas")
    return text


def _shown(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")
