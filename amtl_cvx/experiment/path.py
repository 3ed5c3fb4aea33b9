"""One weight of a method from a path of values: each fitted by that method, judged on rows kept apart.

    coupling   the ridge of single tasks, and the weight of a chain of tasks (`stl`, `curriculum-simple`)
    rho        the weight of a penalty on the predictors, where no edge helps: the convex problem of J at
               coupling 0 (`mean`, `mtfl`; for `amtl-mean` it is chosen there, before coupling and mu)

Values are 1e-4 to 10 times the mean curvature of the losses, and the path goes on for up to three decades
where its end is best, as for the coupling of AMTL (`tune`); the loss on the rows kept apart is the mean over
tasks. What is chosen so is a start: a grid over all parameters of a method is `tuning.tune`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.experiment.jobs import fitted
from amtl_cvx.experiment.tune import COUPLING_PATH, along, held_out_loss, kept_apart
from amtl_cvx.holdout import Split
from amtl_cvx.options import Options
from amtl_cvx.parallel import ordered_map
from amtl_cvx.problem import Model

Weight = Literal["coupling", "rho"]
HELD_OUT = "a held-out fifth of every task's rows"


class Tried(NamedTuple):
    """A value of the path, and the mean loss on the rows kept apart."""

    value: float
    held_out_loss: float


@dataclass(frozen=True, kw_only=True)
class WeightPath:
    """What was tried for a weight, in rising order of its values.

    Parameters
    ----------
    weight : {"coupling", "rho"}
    trials : tuple of Tried
    judged_on : str
        Which rows were kept apart, in words.
    """

    weight: Weight
    trials: tuple[Tried, ...]
    judged_on: str = HELD_OUT

    @property
    def value(self) -> float:
        """The value of the least loss, the smallest one where several have it."""
        return min(self.trials, key=lambda trial: trial.held_out_loss).value

    @property
    def at_an_end(self) -> bool:
        """Whether it is the first or the last one that was tried."""
        return self.value in (self.trials[0].value, self.trials[-1].value)

    def sentence(self, *, further: bool = True) -> str:
        """What was chosen and from what; `further` advises to look beyond a path whose end is best."""
        decades = len(self.trials) - len(COUPLING_PATH)
        on = f", the path went on by {decades} decade{'s' if decades > 1 else ''}" if decades > 0 else ""
        advice = f": give --{self.weight} a value beyond it to look further" if further else ""
        where = f"{on}, at the end of the path{advice}" if self.at_an_end else on
        tried = f"{len(self.trials)} values on {self.judged_on}"
        return f"chose {self.weight} {self.value:.4g} (best of {tried}{where})"


class _Path(NamedTuple):
    """What every point of the path needs."""

    split: Split
    model: Model
    weight: Weight
    method: str
    options: Options


def choose_weight(
    model: Model,
    split: Split,
    *,
    weight: Weight,
    method: str,
    options: Options,
    observe: Callable[[str], object] | None = None,
    executor: Executor | None = None,
) -> WeightPath:
    """Choose one weight of `model` on the rows that a split keeps apart.

    Parameters
    ----------
    model : Model
        Its own value of the weight does not matter.
    split : Split
        As `holdout.hold_out` gives it.
    weight : {"coupling", "rho"}
        What is chosen; rho is chosen at coupling 0.
    method : str
        The method that fits every value.
    options : Options
        How each is fitted.
    observe : callable(str), optional
        Called with a line after each value.
    executor : concurrent.futures.Executor, optional
        The values are tried side by side (see `parallel`).

    Raises
    ------
    DataError
        If no task has a row to spare, or the squares of the features overflow.
    SolveError
        If a value of the path cannot be fitted.
    """
    split, unit = kept_apart(split, model, weight)
    path = _Path(split, model, weight, method, options)

    def tried(values: Sequence[float]) -> list[Tried]:
        found = ordered_map(
            _try,
            values,
            shared=path,
            executor=executor,
            observe=lambda number, W: _tell(observe, path, values[number], W),
        )
        return [Tried(value, _loss(path, W)) for value, W in zip(values, found, strict=True)]

    return WeightPath(weight=weight, trials=along(weight, unit, tried))


def with_weight(model: Model, weight: Weight, value: float) -> Model:
    """The model with another value of a weight."""
    if weight == "coupling":
        return replace(model, coupling=value)
    return replace(model, omega=replace(model.omega, rho=value))  # type: ignore[type-var]


def _try(path: _Path, value: float) -> Array:
    """W at a value of the path."""
    candidate = with_weight(path.model, path.weight, value)
    if path.weight == "rho":
        candidate = replace(candidate, coupling=0.0)
    return fitted(path.split[0], candidate, path.method, path.options).W


def _loss(path: _Path, W: Array) -> float:
    """The mean loss over tasks on the rows kept apart, infinite where it is no number."""
    found = held_out_loss(path, W)
    return found if np.isfinite(found) else np.inf


def _tell(observe: Callable[[str], object] | None, path: _Path, value: float, W: Array) -> None:
    if observe is not None:
        observe(f"{path.weight} {value:.3g}: held-out loss {_loss(path, W):.5g}")
