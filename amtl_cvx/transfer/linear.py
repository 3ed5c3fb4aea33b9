"""Penalties with a price on each source's edges: AMTL's and its kin.

    LossWeightedL1   R = mu sum_s l_s sum_t B[s, t]                          [L16, eq. 1]
    L1               R = mu sum_s sum_t B[s, t]                              AMTL-noLoss of [L16]
    SizePricedL1     R = mu sum_s l_s (n_max / n_s)^power sum_t B[s, t]      n_s rows of task s
    Symmetric        the first over B = B'

With D = S - prices off the diagonal R*(S) is 0 where D <= 0 (over B = B': where D + D' <= 0), else infinite.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer.atoms import Atoms, entry_atoms
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import Mutual


class RowPriced(TransferPenalty):
    """``sum_s p_s sum_t B[s, t]`` over the penalty's set; p_s = mu l_s unless the class has other prices."""

    row_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_mu(self.mu)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def value(self, B: Array, losses: Array) -> float:
        return float(self.prices(losses) @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.prices(losses)[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        allowed = self.feasible(len(S)).allowed(len(S))
        D = S - self.prices(losses)[:, None]
        return 0.0 if (D[allowed] <= 0.0).all() else np.inf

    def margin(self, V: Array, step: float, losses: Array) -> float | None:
        found = self.feasible(len(V)).margin(V - step * self.prices(losses)[:, None])
        return None if found is None else 0.5 * found  # V and the prices may both move

    def atoms(self, T: int) -> Atoms | None:
        allowed = self.feasible(T).allowed(T)
        if allowed is None:
            return None
        return entry_atoms(allowed, rates=self._rates(T), fixed=self.prices(np.zeros(T)))

    def weights(self, B: Array) -> Array:
        sums: Array = B.sum(axis=1)
        return self._rates(len(B)) * sums

    def _rates(self, T: int) -> Array:
        """d p_s / d l_s, (T,): p_s depends on the loss of its own task alone."""
        return self.prices(np.ones(T)) - self.prices(np.zeros(T))


@dataclass(frozen=True, kw_only=True)
class LossWeightedL1(RowPriced):
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
    mu: float


@dataclass(frozen=True, kw_only=True)
class L1(RowPriced):
    """AMTL without the losses in the price, ``mu * sum_s sum_t B[s, t]``.

    An unreliable task teaches as cheaply as any other. Source: Lee, Yang, Hwang, ICML 2016, AMTL-noLoss.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0, in units of J.

    Raises
    ------
    ModelError
        For a mu that is no price.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import L1
    >>> L1(mu=0.5).value(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 3.0]))
    1.5
    """

    name: ClassVar[str] = "l1"
    mu: float

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * cp.sum(B)

    def prices(self, losses: Array) -> Array:
        return np.full(len(losses), float(self.mu))


@dataclass(frozen=True, kw_only=True)
class SizePricedL1(RowPriced):
    """AMTL's penalty with a dearer price for tasks of few rows.

    ``mu * sum_s losses[s] * (n_max / n_s) ** power * sum_t B[s, t]``, n_s the rows of task s and n_max those
    of the largest task, whose edges cost what they cost in AMTL.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    power : float
        How much the number of rows counts, >= 0.
    counts : tuple of int, optional
        n_s; `bind` fills it in.

    Raises
    ------
    ModelError
        For a parameter that is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import SizePricedL1
    >>> SizePricedL1(mu=0.5, counts=(100, 25)).prices(np.array([1.0, 3.0]))
    array([0.5, 6. ])
    """

    name: ClassVar[str] = "size-priced-l1"
    mu: float
    power: float = 1.0
    counts: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_mu(self.mu)
        check_weight("power", self.power)

    def bind(self, tasks: TaskSet) -> Self:
        return replace(self, counts=tuple(float(n) for n in tasks.counts))

    def parameters(self) -> dict[str, Any]:
        return {"power": self.power}

    def _factors(self, T: int) -> Array:
        if self.counts is None:
            raise ModelError("size-priced-l1 needs the rows of the tasks: use bind(tasks)")
        counts = np.array(self.counts, dtype=float)
        if len(counts) != T:
            raise ModelError(f"size-priced-l1 knows the rows of {len(counts)} tasks, not of {T}: bind(tasks)")
        return np.asarray((counts.max() / counts) ** self.power)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (cp.multiply(self._factors(B.shape[0]), losses) @ cp.sum(B, axis=1))

    def prices(self, losses: Array) -> Array:
        return self.mu * self._factors(len(losses)) * losses


@dataclass(frozen=True, kw_only=True)
class Symmetric(RowPriced):
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
    row_steps: ClassVar[bool] = False
    mu: float

    def feasible(self, T: int) -> Mutual:
        return Mutual()

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.mu * losses[:, None]
        D = D + D.T
        np.fill_diagonal(D, 0.0)
        return 0.0 if (D <= 0.0).all() else np.inf

    def atoms(self, T: int) -> Atoms:
        s, t = np.triu_indices(T, 1)
        k = len(s)
        places = np.concatenate([s * T + t, t * T + s])
        E = sp.csc_array((np.ones(2 * k), (places, np.tile(np.arange(k), 2))), shape=(T * T, k))
        P, each = np.zeros((k, T)), np.arange(k)
        P[each, s], P[each, t] = self.mu, self.mu
        none = np.zeros(k)
        return Atoms(E=E, P=P, p0=none, Q=np.zeros((k, T)), q0=none, lo=none, base=np.zeros((T, T)))
