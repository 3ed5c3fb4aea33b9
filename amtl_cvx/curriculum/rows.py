"""Eq. 5 and eq. 6 of a curriculum as data: the outgoing row of a task in closed form, and its refit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
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
    others = [s for s in range(len(B)) if s != t and s not in learned]
    price = float(_prices(model, c * losses)[t])
    R = W - W[:, learned] @ B[learned]
    size = float(W[:, t] @ W[:, t])
    row = np.zeros(len(B))
    if size > 0:
        row[others] = np.maximum(0.0, (R[:, others].T @ W[:, t] - price / (2.0 * model.coupling)) / size)
    return Choice(row, outgoing_cost(model, c, losses, W, B, t, learned, row))


def outgoing_cost(
    model: Model, c: Array, losses: Array, W: Array, B: Array, t: int, learned: list[int], row: Array
) -> float:
    """The objective of eq. 5 at an outgoing row of task t."""
    others = [s for s in range(len(B)) if s != t and s not in learned]
    R = W - W[:, learned] @ B[learned]
    misfit = R[:, others] - np.outer(W[:, t], row[others])
    price = float(_prices(model, c * losses)[t])
    return float(c[t] * losses[t] + price * row.sum() + model.coupling * (misfit**2).sum())


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


def check_model(model: Model) -> None:
    """`ModelError` for a loss with kinks, no coupling, or a penalty that is no price on outgoing edges."""
    model.check_coupled("the curriculum")
    if not model.loss.smooth:
        raise ModelError(
            f"the curriculum needs a loss with a gradient, the {model.loss.name} loss has kinks: use"
            " 'alternating' or 'stl'"
        )
    if model.omega is not None:
        raise ModelError(
            f"the curriculum learns task by task, it knows no penalty on W ({model.omega.name}): use"
            " 'alternating' or 'stl'"
        )
    _prices(model, np.zeros(1))


def _prices(model: Model, weighted_losses: Array) -> Array:
    prices = model.transfer.row_prices(weighted_losses)
    if prices is None:
        raise ModelError(
            f"the curriculum needs a linear transfer penalty, {type(model.transfer).__name__} is not:"
            " use 'alternating'"
        )
    return prices
