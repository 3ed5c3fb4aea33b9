"""Penalties with a price on each source's edges: AMTL's, over all graphs and over smaller sets.

    LossWeightedL1   R = mu sum_s l_s sum_t B[s, t]          [L16, eq. 1]
    Forbidden        the same, some edges barred
    Symmetric        the same over B = B'

With D = S - prices off the diagonal R*(S) is 0 where D <= 0 (on the edges that may be; for B = B' where
D + D' <= 0), else infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.errors import ModelError
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer.base import Atoms, TransferPenalty, check_mu, entry_atoms
from amtl_cvx.transfer.edges import Pairs, as_pairs, read_edges
from amtl_cvx.transfer.sets import Masked, Mutual, project_transfer


@dataclass(frozen=True, kw_only=True)
class LossWeightedL1(TransferPenalty):
    """The penalty of AMTL, ``mu * sum_s losses[s] * sum_t B[s, t]``.

    A task of high loss finds it dear to teach. Source: Lee, Yang, Hwang, ICML 2016, eq. 1.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0: an edge of weight 1 costs mu times the loss of its source.

    Raises
    ------
    ModelError
        For a mu that is not a finite number >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1
    >>> penalty = LossWeightedL1(mu=0.5)
    >>> penalty.value(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 3.0]))
    3.5
    """

    name: ClassVar[str] = "loss-weighted-l1"
    row_steps: ClassVar[bool] = True
    mu: float

    def __post_init__(self) -> None:
        check_mu(self.mu)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return project_transfer(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.mu * losses[:, None]
        np.fill_diagonal(D, 0.0)
        return 0.0 if (D <= 0.0).all() else np.inf

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def atoms(self, T: int) -> Atoms:
        return entry_atoms(~np.eye(T, dtype=bool), rates=np.full(T, self.mu))

    def weights(self, B: Array) -> Array:
        sums: Array = B.sum(axis=1)
        return self.mu * sums


@dataclass(frozen=True, kw_only=True)
class Forbidden(TransferPenalty):
    """AMTL's penalty where some edges may not be.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    edges : sequence of (source, target), or (T, T) array of bool
        The edges that may not be, by number or by name of the tasks; a mask is True where an edge is barred.
    order : tuple of str, optional
        The names of the tasks in their order, where edges go by name; `bind` fills it in.

    Raises
    ------
    ModelError
        For a mu that is no price, edges that are none, repeated, or from a task to itself.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Forbidden
    >>> Forbidden(mu=0.5, edges=[(0, 1)]).project(np.ones((2, 2)))
    array([[0., 0.],
           [1., 0.]])
    """

    name: ClassVar[str] = "forbidden"
    row_steps: ClassVar[bool] = True
    mu: float
    edges: Pairs
    order: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_mu(self.mu)
        object.__setattr__(self, "edges", as_pairs(self.edges))

    def bind(self, tasks: TaskSet) -> Self:
        names = tasks.names
        pairs = self._numbers(names)
        if pairs and max(map(max, pairs)) >= len(names):
            raise ModelError(f"forbidden edges: there is no task {max(map(max, pairs))} of {len(names)}")
        named = tuple((names[s], names[t]) for s, t in pairs)
        return replace(self, edges=named, order=names)

    def parameters(self) -> dict[str, Any]:
        return {"edges": self.edges}

    @classmethod
    def options(cls, words: Mapping[str, str]) -> dict[str, Any]:
        rest = {name: text for name, text in words.items() if name != "file"}
        if "file" not in words:
            raise ModelError("forbidden needs file=edges.csv, with the columns source,target by task name")
        return {**super().options(rest), "edges": read_edges(words["file"])}

    def _numbers(self, names: tuple[str, ...] | None) -> tuple[tuple[int, int], ...]:
        """The barred edges by number, in the order of `names`."""

        def number(task: int | str) -> int:
            if isinstance(task, int):
                return task if self.order is None or names is None else names.index(self.order[task])
            if names is None:
                raise ModelError("forbidden edges by name need the names of the tasks: use bind(tasks)")
            if task not in names:
                raise ModelError(
                    f"forbidden edges: there is no task {task!r}: the names are {', '.join(names)}"
                )
            return names.index(task)

        return tuple((number(s), number(t)) for s, t in self.edges)

    def feasible(self, T: int) -> Masked:
        return Masked(self._numbers(self.order))

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.mu * losses[:, None]
        return 0.0 if (D[self.feasible(len(S)).allowed(len(S))] <= 0.0).all() else np.inf

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def atoms(self, T: int) -> Atoms:
        return entry_atoms(self.feasible(T).allowed(T), rates=np.full(T, self.mu))

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray(B.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class Symmetric(TransferPenalty):
    """AMTL's penalty where two tasks help each other equally, B = B'.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.

    Raises
    ------
    ModelError
        For a mu that is no price.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Symmetric
    >>> Symmetric(mu=0.5).project(np.array([[0.0, 1.0], [3.0, 0.0]]))
    array([[0., 2.],
           [2., 0.]])
    """

    name: ClassVar[str] = "symmetric"
    mu: float

    def __post_init__(self) -> None:
        check_mu(self.mu)

    def feasible(self, T: int) -> Mutual:
        return Mutual()

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.mu * losses[:, None]
        D = D + D.T
        np.fill_diagonal(D, 0.0)
        return 0.0 if (D <= 0.0).all() else np.inf

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def atoms(self, T: int) -> Atoms:
        s, t = np.triu_indices(T, 1)
        k = len(s)
        places = np.concatenate([s * T + t, t * T + s])
        E = sp.csc_array((np.ones(2 * k), (places, np.tile(np.arange(k), 2))), shape=(T * T, k))
        P, each = np.zeros((k, T)), np.arange(k)
        P[each, s], P[each, t] = self.mu, self.mu
        none = np.zeros(k)
        return Atoms(E=E, P=P, p0=none, Q=np.zeros((k, T)), q0=none, lo=none, base=np.zeros((T, T)))

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray(B.sum(axis=1))
