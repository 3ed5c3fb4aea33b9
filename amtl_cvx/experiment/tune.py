"""Tune: coupling and mu for a data set, from a short path of couplings and the price of the empty graph.

The path is a grid of one axis (`tuning.search`), each value with its own mu, for a few rounds on one split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.jobs import fitted
from amtl_cvx.experiment.scales import mean_curvature, mu_max
from amtl_cvx.experiment.tuning.axes import Axis
from amtl_cvx.experiment.tuning.search import Point, search
from amtl_cvx.holdout import Split, hold_out
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.parallel import ordered_map
from amtl_cvx.problem import Model, check_problem
from amtl_cvx.scoring import check_labels
from amtl_cvx.scoring import score as score
from amtl_cvx.solvers import GpuChoice
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import Array, TaskSet

COUPLING_PATH = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Couplings that are tried, in units of the mean curvature of the weighted losses."""
DECADES = 3
"""Decades by which the path goes on where its end is best."""
PATH_ROUNDS = 5
"""Rounds of alternation that each of them gets."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of the path: the settings and the mean held-out loss."""

    coupling: float
    mu: float
    held_out_loss: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A model with its chosen settings, and what was tried to find them."""

    model: Model
    trials: tuple[Trial, ...] = ()
    mu_max: float | None = None
    judged_on: str = "a held-out fifth of every task's rows"

    @property
    def at_an_end(self) -> bool:
        """Whether the coupling is the first or the last one that was tried."""
        ends = {trial.coupling for trial in (*self.trials[:1], *self.trials[-1:])}
        return bool(ends) and self.model.coupling in ends

    def sentence(self, *, further: bool = True) -> str:
        """What was chosen and from what; `further` advises to look beyond a path whose end is best."""
        parts = []
        if self.trials:
            tried = f"{len(self.trials)} values on {self.judged_on}"
            decades = len(self.trials) - len(COUPLING_PATH)
            on = f", the path went on by {decades} decade{'s' if decades > 1 else ''}" if decades > 0 else ""
            advice = ": give --coupling a value beyond it to look further" if further else ""
            where = f"{on}, at the end of the path{advice}" if self.at_an_end else on
            parts.append(f"coupling {self.model.coupling:.4g} (best of {tried}{where})")
        if self.mu_max is not None:
            how = f"a tenth of mu_max {self.mu_max:.4g} of the single-task fit"
            none = "any price: no task can help another at the single-task fit"
            parts.append(f"mu {self.model.mu:.4g} ({how if self.mu_max > 0 else none})")
        return "chose " + ", ".join(parts)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def choose(
    tasks: TaskSet,
    model: Model,
    *,
    coupling: bool,
    mu: bool,
    rng: np.random.Generator,
    observe: Callable[[Trial], None] | None = None,
    solver: str = "auto",
    gpu: GpuChoice = "auto",
    solve_limit: float | None = None,
    split: Callable[[TaskSet, Loss, np.random.Generator], Split] | None = None,
    executor: Executor | None = None,
) -> Choice:
    """Choose coupling and/or mu for `model` from the data; what is not chosen keeps its value.

    Parameters
    ----------
    tasks, model
        The problem; the settings that are to be chosen may have any value.
    coupling, mu : bool
        What to choose.
    rng : numpy.random.Generator
        Of the rows that are held out.
    observe : callable(Trial), optional
        Called after each coupling that was tried.
    solver, gpu, solve_limit
        As in `Options`.
    split : callable, optional
        Draws the held-out part where the tasks do not hold the rows themselves; default: `hold_out`.
    executor : concurrent.futures.Executor, optional
        The couplings are tried side by side (see `parallel`).

    Returns
    -------
    Choice
        Its `model` has the chosen settings, its `trials` say what was tried.

    Raises
    ------
    DataError
        If no task has a row to spare for the held-out part.
    """
    model = check_problem(tasks, model)
    options = Options(
        max_rounds=PATH_ROUNDS,
        refine=False,
        solver=solver,
        gpu=gpu,
        solve_limit=solve_limit,
        problems=Problems(),
    )
    trials: tuple[Trial, ...] = ()
    if coupling:
        trials = _path((split or hold_out)(tasks, model.loss, rng), model, mu, options, observe, executor)
        best = min(trials, key=_loss_of)
        model = replace(model, coupling=best.coupling)
    largest = None
    if mu:
        model.check_coupled("the choice of mu")
        largest = mu_max(tasks, model, fitted(tasks, model, "stl", options).W)
        model = _with_mu(model, largest)
    return Choice(model=model, trials=trials, mu_max=largest)


class Apart(Protocol):
    """A model, and the rows that are kept apart to judge it on."""

    @property
    def split(self) -> Split: ...

    @property
    def model(self) -> Model: ...


class _Path(NamedTuple):
    """What every point of the path needs."""

    split: Split
    model: Model
    mu: bool
    options: Options


def _path(
    split: Split,
    model: Model,
    mu: bool,
    options: Options,
    observe: Callable[[Trial], None] | None,
    executor: Executor | None,
) -> tuple[Trial, ...]:
    split, unit = kept_apart(split, model, "coupling")
    path = _Path(split, model, mu, options)
    told = None if observe is None else lambda number, found: observe(found[0])

    def tried(couplings: Sequence[float]) -> list[Trial]:
        found = ordered_map(
            _try,
            couplings,
            shared=path,
            executor=executor,
            observe=told,
            accept=lambda number, found: _tried(path, couplings[number], *found),
        )
        return [trial for trial, _ in found]

    return along("coupling", unit, tried)


class Judged(Protocol):
    """What was tried somewhere on a path."""

    @property
    def held_out_loss(self) -> float: ...


Tried = TypeVar("Tried", bound=Judged)


def kept_apart(split: Split, model: Model, weight: str) -> tuple[Split, float]:
    """A split whose training rows are as the fits take them, and the unit of the values of a weight.

    Raises
    ------
    DataError
        If no task has a row to spare, or the squares of the features overflow.
    """
    train, held, index = split
    if held is None:
        raise DataError(f"no task has a row to hold out: give --{weight} a number")
    model.check(train)
    if model.loss.classification:
        check_labels(held, train.labels)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = mean_curvature(train, model)
    if not unit * COUPLING_PATH[-1] * 10.0**DECADES < np.inf:
        raise DataError("the squares of the features overflow: give them in other units, or --standardize")
    return (model.compress(train), held, index), unit


def along(weight: str, unit: float, tried: Callable[[Sequence[float]], Sequence[Tried]]) -> tuple[Tried, ...]:
    """What is tried on the path of a weight, which goes on beyond an end that is best (`tuning.search`)."""
    found: dict[Point, Tried] = {}

    def evaluate(points: Sequence[Point]) -> list[float]:
        trials = tried([float(factor) * unit for (factor,) in points])
        found.update(zip(points, trials, strict=True))
        return [trial.held_out_loss for trial in trials]

    path = search([Axis(weight, COUPLING_PATH)], evaluate, widen=DECADES, plateaus=True)
    return tuple(found[point] for point in path.errors)


def _loss_of(trial: Trial) -> float:
    return trial.held_out_loss


def _tried(path: _Path, coupling: float, trial: Trial, W: Array) -> tuple[Trial, Array] | None:
    """What a worker found, with the loss of its W in this process."""
    train = path.split[0]
    if W.shape != (train.d, train.T) or trial.coupling != coupling or not 0.0 <= trial.mu < np.inf:
        return None
    loss = held_out_loss(path, W)
    return (replace(trial, held_out_loss=loss), W) if np.isfinite(loss) else None


def held_out_loss(path: Apart, W: Array) -> float:
    """The mean over tasks of the mean loss on the rows that are kept apart."""
    (_, held, index), mean_loss = path.split, replace(path.model.loss, reduction="mean")
    assert held is not None
    return float(np.mean([mean_loss.value(task, W[:, t]) for task, t in zip(held, index, strict=True)]))


def _try(path: _Path, coupling: float) -> tuple[Trial, Array]:
    """One point of the path, and its W."""
    (train, _, _), model, mu, options = path
    candidate = replace(model, coupling=coupling)
    if mu:
        single = fitted(train, candidate, "stl", options).W
        candidate = _with_mu(candidate, mu_max(train, candidate, single))
    W = fitted(train, candidate, "alternating", options).W
    return Trial(coupling=coupling, mu=candidate.mu, held_out_loss=held_out_loss(path, W)), W


def _with_mu(model: Model, largest: float) -> Model:
    return replace(model, transfer=replace(model.transfer, mu=0.1 * largest if largest > 0 else 1.0))  # type: ignore[type-var]
