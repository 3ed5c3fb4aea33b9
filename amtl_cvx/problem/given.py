"""What the maker of a model is given: checked, and a name made what it names."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Loss, make_loss
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import WeightPenalty, make_omega

Term = TypeVar("Term")


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
