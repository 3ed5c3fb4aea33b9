"""Experiments: hold out rows, choose coupling and mu, score predictions.

`--coupling auto` and `--mu auto` mean, for a given data set (SPEC section 10):

    mu        a tenth of mu_max, the price from which the graph stays empty, at the single-task W
    coupling  from a short path of ridge weights (the mean curvature of the losses times 1e-4 ... 10), each
              tried with its own mu for a few rounds of the alternation, judged on a held-out fifth of every
              task's rows

mu_max = max over edges s -> t of 2 coupling w_s'w_t / (c_s l_s) at the W of B = 0: from there on the first
B-step gives B = 0 (SPEC section 3). It is defined for the loss-weighted L1 penalty and used as a scale for
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.coordinator import Options
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Loss
from amtl_cvx.methods import fit
from amtl_cvx.model import Model
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import Array, Task, TaskSet

COUPLING_PATH = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Couplings that are tried, in units of the mean curvature of the weighted losses."""
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

    def sentence(self) -> str:
        """What was chosen and from what."""
        parts = []
        if self.trials:
            tried = f"{len(self.trials)} values on a held-out fifth of every task's rows"
            ends = self.trials[0].coupling, self.trials[-1].coupling
            further = ", at the end of the path: give --coupling a value beyond it to look further"
            where = further if self.model.coupling in ends else ""
            parts.append(f"coupling {self.model.coupling:.4g} (best of {tried}{where})")
        if self.mu_max is not None:
            how = f"a tenth of mu_max {self.mu_max:.4g} of the single-task fit"
            none = "any price: no task can help another at the single-task fit"
            parts.append(f"mu {self.model.mu:.4g} ({how if self.mu_max > 0 else none})")
        return "chose " + ", ".join(parts)


def choose(
    tasks: TaskSet,
    model: Model,
    *,
    coupling: bool,
    mu: bool,
    rng: np.random.Generator,
    observe: Callable[[Trial], None] | None = None,
    solver: str = "auto",
) -> Choice:
    """Choose coupling and/or mu for `model` from the data; what is not chosen keeps its value.

    Raises
    ------
    DataError
        If no task has a row to spare for the held-out part.
    """
    options = Options(max_rounds=PATH_ROUNDS, refine=False, solver=solver)
    trials: tuple[Trial, ...] = ()
    if coupling:
        trials = _path(tasks, model, mu, rng, options, observe)
        best = min(trials, key=lambda trial: trial.held_out_loss)
        model = replace(model, coupling=best.coupling)
    largest = None
    if mu:
        largest = mu_max(tasks, model, _fitted(tasks, model, "stl", options).W)
        model = _with_mu(model, largest)
    return Choice(model=model, trials=trials, mu_max=largest)


def mu_max(tasks: TaskSet, model: Model, W: Array) -> float:
    """The price from which the first B-step at the single-task W (d, T) gives the empty graph."""
    losses = model.weighted_losses(tasks, W)
    gain = 2.0 * model.coupling * np.maximum(W.T @ W, 0.0)
    np.fill_diagonal(gain, 0.0)
    usable = losses > 0
    return float((gain[usable] / losses[usable, None]).max(initial=0.0))


def hold_out(
    tasks: TaskSet, loss: Loss, rng: np.random.Generator
) -> tuple[TaskSet, TaskSet | None, tuple[int, ...]]:
    """A fifth of every task's rows, drawn within classes for a classification loss.

    Returns
    -------
    train : TaskSet
        All tasks, without the held-out rows; every task and every class keeps a row.
    held_out : TaskSet or None
        The tasks that had rows to spare.
    index : tuple of int
        Their numbers.
    """
    kept, held, index = [], [], []
    for t, task in enumerate(tasks):
        groups = [task.y > 0, task.y <= 0] if loss.classification else [np.ones(len(task.y), dtype=bool)]
        out = np.concatenate([_fifth(np.flatnonzero(group), rng) for group in groups])
        mask = np.zeros(len(task.y), dtype=bool)
        mask[out] = True
        kept.append(_rows(task, ~mask))
        if mask.any():
            held.append(_rows(task, mask))
            index.append(t)
    train = replace(tasks, tasks=tuple(kept))
    return train, replace(tasks, tasks=tuple(held)) if held else None, tuple(index)


def score(solution: Solution, tasks: TaskSet, *, classes: bool = False) -> Mapping[str, float]:
    """How well a solution predicts prepared tasks.

    Returns
    -------
    mapping
        For a classification loss "accuracy", the mean over tasks, and with `classes` (one-vs-rest over shared
        rows) "class accuracy", the share of rows whose largest score is that of their class. Otherwise
        "rmse", the mean over tasks of the root mean squared error, and "pooled rmse" over all rows.
    """
    scores = [task.X @ w for task, w in zip(tasks, solution.W.T, strict=True)]
    if solution.model.loss.classification:
        right = [np.mean((z > 0) == (task.y > 0)) for z, task in zip(scores, tasks, strict=True)]
        result = {"accuracy": float(np.mean(right))}
        if classes:
            winner, label = np.argmax(scores, axis=0), np.argmax([task.y for task in tasks], axis=0)
            result = {"class accuracy": float(np.mean(winner == label)), **result}
        return result
    errors = [z - task.y for z, task in zip(scores, tasks, strict=True)]
    return {
        "rmse": float(np.mean([np.sqrt(np.mean(error**2)) for error in errors])),
        "pooled rmse": float(np.sqrt(np.mean(np.concatenate(errors) ** 2))),
    }


def suggest_loss(tasks: TaskSet) -> str:
    """What `--loss auto` means.

    "logistic" if every task has labels -1/+1 or 0/1 and one of them has both, else "squared". A task of one
    class among others is left to the error of the logistic loss.
    """
    labels = [set(np.unique(task.y).tolist()) for task in tasks]
    binary = all(found <= {-1.0, 1.0} or found <= {0.0, 1.0} for found in labels)
    return "logistic" if binary and any(len(found) == 2 for found in labels) else "squared"


def _path(
    tasks: TaskSet,
    model: Model,
    mu: bool,
    rng: np.random.Generator,
    options: Options,
    observe: Callable[[Trial], None] | None,
) -> tuple[Trial, ...]:
    train, held, index = hold_out(tasks, model.loss, rng)
    if held is None:
        raise DataError("no task has a row to hold out: give --coupling a number")
    mean_loss = replace(model.loss, reduction="mean")  # type: ignore[type-var]
    trials = []
    for factor in COUPLING_PATH:
        candidate = replace(model, coupling=factor * _curvature(train, model))
        if mu:
            single = _fitted(train, candidate, "stl", options).W
            candidate = _with_mu(candidate, mu_max(train, candidate, single))
        W = _fitted(train, candidate, "alternating", options).W
        loss = np.mean([mean_loss.value(task, W[:, t]) for task, t in zip(held, index, strict=True)])
        trials.append(Trial(coupling=candidate.coupling, mu=candidate.mu, held_out_loss=float(loss)))
        if observe is not None:
            observe(trials[-1])
    return tuple(trials)


def _fitted(tasks: TaskSet, model: Model, method: str, options: Options) -> Solution:
    """A fit whose interrupt ends the experiment too."""
    solution = fit(tasks, model, method=method, options=options)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution


def _with_mu(model: Model, largest: float) -> Model:
    return replace(model, transfer=replace(model.transfer, mu=0.1 * largest if largest > 0 else 1.0))  # type: ignore[type-var]


def _curvature(tasks: TaskSet, model: Model) -> float:
    """Mean over tasks and features of half the second derivative of c_t L_t at 0: the unit of a ridge."""
    zero = np.zeros(tasks.d)
    traces = [
        c * np.trace(model.loss.hessian(task, zero))
        for c, task in zip(model.task_weight(tasks), tasks, strict=True)
    ]
    return 0.5 * float(np.mean(traces)) / tasks.d or 1.0


def _fifth(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fifth of the rows, at least one where there are two."""
    count = max(len(rows) // 5, 1) if len(rows) > 1 else 0
    return rng.permutation(rows)[:count]


def _rows(task: Task, mask: np.ndarray) -> Task:
    return Task(X=task.X[mask], y=task.y[mask], name=task.name)
