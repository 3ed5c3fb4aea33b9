r"""Tasks in a row, with few changes from one to the next: rho sum_t ||w_t - w_(t+1)||_1.

With D the differences of neighbours, Omega = rho ||W D||_1, and its subgradients are Z = U D', |U| <= rho,
U = rho sign where neighbours differ. So U_t = z_1 + ... + z_t along the row and z_1 + ... + z_T = 0: the
conjugate is 0 for such Z, else infinite. The prox is that of total variation, feature by feature
(`variation`).

Source: Tibshirani, Saunders, Rosset, Zhu, Knight, Sparsity and smoothness via the fused lasso, 2005.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array, Indices, TaskSet
from amtl_cvx.transfer.edges import read_order
from amtl_cvx.weights.base import WeightPenalty
from amtl_cvx.weights.tangent import Tangent
from amtl_cvx.weights.variation import least_variation


@dataclass(frozen=True, kw_only=True)
class Fused(WeightPenalty):
    """The changes along a row of tasks, ``rho * sum_t ||w_t - w_(t+1)||_1``: few of them.

    Parameters
    ----------
    rho : float
        Its weight, > 0.
    order : sequence of str or int, optional
        The tasks in their row, every one once, by name or by number; as in the data without it.
    names : tuple of str, optional
        The names of the tasks in their order, where the row goes by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a rho that is no such number and an order that does not have every task once.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.weights import Fused
    >>> Fused(rho=0.5).value(np.array([[1.0, 4.0, 4.0]])), Fused(rho=0.5, order=(1, 0, 2)).value(
    ...     np.array([[1.0, 4.0, 4.0]])
    ... )
    (1.5, 3.0)
    """

    name: ClassVar[str] = "fused"
    rho: float
    order: tuple[str | int, ...] | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)
        if self.order is not None:
            object.__setattr__(self, "order", _as_order(self.order))

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        rest = {name: text for name, text in words.items() if name != "file"}
        given = {"order": read_order(words["file"])} if "file" in words else {}
        return {**super().options(rest), **given}

    def bind(self, tasks: TaskSet) -> Self:
        if self.order is None:
            return self
        names = tasks.names if self.names is None else self.names
        order = tuple(
            names[task] if isinstance(task, int) and task < len(names) else task for task in self.order
        )
        bound = replace(self, order=order, names=tasks.names)
        bound.check(tasks.T)
        return bound

    def parameters(self) -> dict[str, Any]:
        return {"rho": self.rho, **({} if self.order is None else {"order": self.order})}

    def check(self, T: int) -> None:
        self._row(T)
        super().check(T)

    def expression(self, W: cp.Expression) -> cp.Expression:
        T = W.shape[1]
        if T < 2:
            return cp.Constant(0.0)
        row = self._row(T)
        differences = np.zeros((T, T - 1))
        differences[row[:-1], np.arange(T - 1)] = 1.0
        differences[row[1:], np.arange(T - 1)] = -1.0
        return self.rho * cp.sum(cp.abs(W @ differences))

    def value(self, W: Array) -> float:
        return self.rho * float(np.abs(np.diff(W[:, self._row(W.shape[1])], axis=1)).sum())

    def prox(self, V: Array, step: float) -> Array:
        row, W = self._row(V.shape[1]), np.empty_like(V)
        W[:, row] = least_variation(V[:, row], step * self.rho)
        return W

    def subgradient(self, V: Array, step: float) -> Array:
        return self.clip(super().subgradient(V, step))

    def conjugate(self, V: Array) -> float:
        U = np.cumsum(V[:, self._row(V.shape[1])], axis=1)
        room = 4.0 * V.shape[1] * np.finfo(np.float64).eps * max(self.rho, float(np.abs(V).max(initial=0.0)))
        inside = (np.abs(U[:, :-1]) <= self.rho + room).all() and (np.abs(U[:, -1]) <= room).all()
        return 0.0 if inside else np.inf

    def spread(self, value: float, T: int) -> float:
        return math.sqrt(T) * value / self.rho  # no two tasks are further apart than all steps together

    def clip(self, Z: Array) -> Array:
        row, within = self._row(Z.shape[1]), np.empty_like(Z)
        U = np.clip(np.cumsum(Z[:, row], axis=1)[:, :-1], -self.rho, self.rho)
        within[:, row] = np.diff(U, axis=1, prepend=0.0, append=0.0)
        return within

    def tangent(self, V: Array, step: float) -> Tangent:
        """Neighbours that are equal move together."""
        (d, T), row = V.shape, self._row(V.shape[1])
        W, moves = self.prox(V, step)[:, row], list[Array]()
        for i in range(d):
            for group in np.split(np.arange(T), np.flatnonzero(np.diff(W[i])) + 1):
                move = np.zeros((d, T))
                move[i, row[group]] = len(group) ** -0.5
                moves.append(move)
        return Tangent.of(np.array(moves), np.ones(len(moves)))

    def told(self, W: Array) -> str:
        steps = np.diff(W[:, self._row(W.shape[1])], axis=1)
        return f"{int((steps == 0.0).sum())} of {steps.size} steps between neighbours are 0"

    def margin(self, V: Array, step: float) -> float:
        """Means of groups move by no more than V does, their sums by no more than sqrt(T) times that."""
        row, cut = self._row(V.shape[1]), step * self.rho
        W = self.prox(V, step)
        U = np.abs(np.cumsum((V - W)[:, row], axis=1)[:, :-1])
        steps = np.abs(np.diff(W[:, row], axis=1))
        apart = np.where(steps > 0.0, 0.5 * steps, (cut - U) / len(row) ** 0.5)
        return float(apart.min(initial=np.inf))

    def _row(self, T: int) -> Indices:
        """The numbers of the tasks along the row, (T,)."""
        if self.order is None:
            return np.arange(T)
        places = {name: t for t, name in enumerate(self.names or ())}
        row = [places.get(task, -1) if isinstance(task, str) else task for task in self.order]
        if sorted(row) != list(range(T)):
            strange = [task for task, t in zip(self.order, row, strict=True) if not 0 <= t < T]
            what = f"there is no task {strange[0]!r}" if strange else f"{len(row)} of {T} tasks are there"
            raise ModelError(f"fused: its order must have every task once, {what}; names need bind(tasks)")
        return np.array(row)


def _as_order(given: Sequence[object]) -> tuple[str | int, ...]:
    """Names or numbers; `ModelError` for anything else and for repetitions."""
    order = tuple(task if isinstance(task, str) else _number(task) for task in given)
    if len(set(order)) < len(order):
        raise ModelError(f"fused: {next(task for task in order if order.count(task) > 1)!r} is there twice")
    return order


def _number(task: object) -> int:
    if isinstance(task, bool) or not isinstance(task, int | np.integer):
        raise ModelError(f"fused: its order must be names or numbers of tasks, got {task!r}")
    return int(task)
