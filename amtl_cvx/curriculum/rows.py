"""Eq. 5 and eq. 6 of a curriculum as data: the outgoing row of a task in closed form, and its refit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.arrays.gate import Mask
from amtl_cvx.certificate.misses import ROOM
from amtl_cvx.errors import ModelError
from amtl_cvx.problem import Model, Point
from amtl_cvx.subproblems import Coupled, one_task


class Choice(NamedTuple):
    """Eq. 5 for one task: its outgoing row (T,) and its cost."""

    row: Array
    cost: float


def outgoing(model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int]) -> Choice:
    """Eq. 5 in closed form; columns of `W` are refitted for learned tasks, single-task for others."""
    return _choices(model, c, losses, W, B, learned, [t])[t]


def all_outgoing(
    model: Model, c: Array, losses: Array, W: Array, B: Array, learned: list[int]
) -> dict[int, Choice]:
    """That of every task that waits."""
    waiting = [t for t in range(len(B)) if t not in learned]
    return _choices(model, c, losses, W, B, learned, waiting)


def _choices(
    model: Model, c: Array, losses: Array, W: Array, B: Array, learned: list[int], tasks: list[int]
) -> dict[int, Choice]:
    """Eq. 5 for some tasks; what is left of the others is the same for all."""
    R, prices = W - W[:, learned] @ B[learned], _prices(model, c * losses)
    others, found = _waiting(len(B), learned), dict[int, Choice]()
    slopes = W[:, tasks].T @ R
    for t, slope in zip(tasks, slopes, strict=True):
        size, price, mine = float(W[:, t] @ W[:, t]), float(prices[t]), others.copy()
        row, mine[t] = np.zeros(len(B)), False
        if size > 0:
            row = np.where(mine, np.maximum(0.0, (slope - price / (2.0 * model.coupling)) / size), 0.0)
        found[t] = Choice(row, float(c[t] * losses[t]) + _cost(model.coupling, price, W[:, t], R, row, mine))
    return found


def _cost(coupling: float, price: float, w: Array, R: Array, row: Array, others: Mask) -> float:
    misfits = ((R - np.outer(w, row)) ** 2).sum(axis=0)
    return price * float(row.sum()) + coupling * float(misfits[others].sum())


def _waiting(T: int, learned: list[int]) -> Mask:
    others = np.ones(T, dtype=bool)
    others[learned] = False
    return others


def outgoing_cost(
    model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int], row: Array
) -> float:
    """The objective of eq. 5 at an outgoing row of task t."""
    R, price = W - W[:, learned] @ B[learned], float(_prices(model, c * losses)[t])
    others = _waiting(len(B), learned)
    others[t] = False
    return float(c[t] * losses[t]) + _cost(model.coupling, price, W[:, t], R, row, others)


def row_sizes(model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int]) -> Array:
    """What 2 coupling ||w_t||^2 times the outgoing row of task t in eq. 5 is summed from, (T,)."""
    inner = np.abs(W[:, t] @ W) + ROOM * (np.abs(W[:, t]) @ np.abs(W))
    price = float(_prices(model, c * losses)[t])
    sizes: Array = price + 2.0 * model.coupling * (inner + inner[learned] @ np.abs(B[learned]))
    return sizes


def refit_step(point: Point, t: int, learned: list[int]) -> Coupled:
    """Eq. 6 as data of the one-task W-problem."""
    model, B = point.model, point.B
    c = point.problem.task_weight
    row = np.zeros_like(B)
    row[t] = B[t]
    a = c[t : t + 1] * (1.0 + model.transfer.weights(row)[t : t + 1])
    k = math.sqrt(model.coupling)
    target = point.W[:, learned] @ B[learned, t]
    return one_task(point.tasks, model, t, a=a, k=k, target=target)


def check_alone(model: Model, what: str) -> None:
    """`ModelError` for a loss with kinks, no coupling, or a penalty on W: tasks are learned one by one."""
    model.check_coupled(what)
    if not model.loss.smooth:
        raise ModelError(
            f"{what} needs a loss with a gradient, the {model.loss.name} loss has kinks: use 'alternating' or"
            " 'stl'"
        )
    if model.omega is not None:
        raise ModelError(
            f"{what} learns task by task, it knows no penalty on W ({model.omega.name}): use 'alternating' or"
            " 'stl'"
        )


def check_model(model: Model) -> None:
    """The same, and for a penalty that is no price on outgoing edges."""
    check_alone(model, "the curriculum")
    _prices(model, np.zeros(1))


def _prices(model: Model, weighted_losses: Array) -> Array:
    prices = model.transfer.row_prices(weighted_losses)
    if prices is None:
        raise ModelError(
            f"the curriculum needs a linear transfer penalty, {type(model.transfer).__name__} is not:"
            " use 'alternating'"
        )
    return prices
