"""What the maker of a model is given: checked, and a name made what it names."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from amtl_cvx.arrays import Array, is_number, nameless, numbers
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Loss, make_loss
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import WeightPenalty, make_omega

Term = TypeVar("Term")
TASK_WEIGHTS = ("equal", "inverse-sqrt")


def check_squares(tasks: TaskSet) -> None:
    """`DataError` where sums of squares of features or targets are no numbers: every step works with them."""
    with np.errstate(over="ignore"):
        seen: dict[int, bool] = {}
        for task in tasks:
            for array, what in ((task.X, "features"), (task.y, "targets")):
                if id(array) not in seen:  # one-vs-rest tasks share their rows
                    seen[id(array)] = bool(np.isfinite(4.0 * np.vdot(array, array)))
                if not seen[id(array)]:
                    raise DataError(
                        f"the squares of the {what} of {task.name!r} overflow: give them in other units"
                    )


def loss_of(loss: object) -> Loss:
    """A loss, also by its label ("squared", "huber:1.5")."""
    if isinstance(loss, str):
        return make_loss(loss)
    if not isinstance(loss, Loss):
        raise ModelError(f"loss must be a loss such as Squared(), or its name, got {shown(loss)}")
    return loss


def check_targets(loss: Loss, tasks: TaskSet, *, one_class: bool = False) -> None:
    """`DataError` where the targets are not legal for the loss, labels are mixed, or rows are absent.

    `one_class`: a task may have labels of one class alone.
    """
    for task in tasks:
        if task.compressed and not loss.quadratic:
            raise DataError(
                f"the {loss.name} loss needs the rows of {task.name!r}, it has a factor of them:"
                " read the data with keep_rows=True"
            )
    check_squares(tasks)
    texts = tasks.labels if tasks.labels is not None and isinstance(tasks.labels[0], str) else None
    if texts is not None and not loss.classification:
        raise DataError(
            f"the {loss.name} loss needs numbers, the targets are the texts {texts}: use the logistic loss"
        )
    try:
        for task in tasks:
            (loss.check_targets if one_class else loss.check)(task)
    except DataError as error:
        if texts is None:
            raise
        raise DataError(f"{error} (-1 is {texts[0]!r}, +1 is {texts[1]!r})") from error
    mixed = tasks.labels == (-1, 1) and any(0.0 in task.y for task in tasks)
    if loss.classification and mixed:
        raise DataError(
            f"the {loss.name} loss needs the same labels in every task, some have 0/1 and some -1/+1"
        )


def task_weights_of(given: object) -> str | tuple[float, ...]:
    """Task weights: "equal", "inverse-sqrt", or T positive numbers."""
    if isinstance(given, str):
        if given not in TASK_WEIGHTS:
            raise ModelError(f"task_weights must be one of {TASK_WEIGHTS} or T numbers, got {given!r}")
        return given
    try:
        found = numbers(nameless(given, "task_weights"), "task_weights")
        weights = tuple(float(c) for c in found.tolist())
    except (TypeError, DataError) as error:
        got = f"{error}" if isinstance(error, DataError) else shown(given)
        raise ModelError(f"expected task_weights of T numbers or one of {TASK_WEIGHTS}: {got}") from error
    if not all(np.isfinite(c) and c > 0 for c in weights):
        raise ModelError(f"task weights must be positive and finite, got {weights}")
    return weights


def weights_as_numbers(given: str | tuple[float, ...], tasks: TaskSet) -> Array:
    """The task weights c of these tasks, (T,); `DataError` where there are more or fewer than tasks."""
    if given == "equal":
        return np.ones(tasks.T)
    if given == "inverse-sqrt":
        return np.asarray(1.0 / np.sqrt(tasks.counts), dtype=np.float64)
    if len(given) != tasks.T:
        raise DataError(f"expected {tasks.T} task weights, one per task, got {len(given)}")
    return np.array(given, dtype=float)


def coupling_of(coupling: object) -> float:
    """A coupling: 0, or a number of which 1 / coupling and 2 coupling are numbers."""
    if not (is_number(coupling) and np.isfinite(float(coupling)) and float(coupling) >= 0.0):
        raise ModelError(
            f"coupling must be a finite number > 0, got {coupling!r} (0 is for the method 'stl' alone)"
        )
    if float(coupling) > 0.0 and not 1e-300 <= float(coupling) <= 1e300:
        raise ModelError(f"coupling must lie between 1e-300 and 1e300, got {coupling!r}")
    return float(coupling) + 0.0  # of -0.0 too


def omega_of(omega: object) -> WeightPenalty | None:
    """A penalty on W, also by its term ("ridge:0.1")."""
    found = make_omega(omega) if isinstance(omega, str) else omega
    if found is not None and not isinstance(found, WeightPenalty):
        raise ModelError(
            f"omega must be a penalty on W such as Ridge(rho=0.1), its term, or None, got {shown(omega)}"
        )
    return None if found is None else plain(found)


def plain(term: Term) -> Term:
    """A term with its numbers as Python's: one of 32 bits makes J one of 32 bits, of 8 bits it overflows."""
    found = {
        field.name: float(value)
        for field in dataclasses.fields(term)  # type: ignore[arg-type]
        if field.init and is_number(value := getattr(term, field.name)) and type(value) not in (int, float)
    }
    return dataclasses.replace(term, **found) if found else term  # type: ignore[type-var]


def shown(value: object) -> str:
    """A wrong argument, short."""
    words = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
    return words if len(words) <= 60 and "\n" not in words else f"a {type(value).__name__}"
