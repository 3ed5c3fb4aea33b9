r"""Sums of norms of parts of W: which weights, and which features, are none.

    L1     rho sum_it |W_it|        one weight at a time
    L21    rho sum_i ||W_i.||_2     one feature at a time, for all tasks

The prox shortens each part by step rho, down to 0. The conjugate of a norm is 0 where the dual norm, the
largest of the parts, is at most rho, else infinite.

Sources: Tibshirani, 1996; Obozinski, Taskar, Jordan, Joint covariate selection, 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array
from amtl_cvx.weights.base import WeightPenalty
from amtl_cvx.weights.tangent import Tangent


@dataclass(frozen=True, kw_only=True)
class L1(WeightPenalty):
    """The sum of the sizes of all weights, ``rho * ||W||_1``: few of them.

    Parameters
    ----------
    rho : float
        Its weight, > 0.

    Raises
    ------
    ModelError
        For a rho that is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.weights import L1
    >>> L1(rho=0.5).prox(np.array([[1.0, -3.0], [0.2, 0.0]]), 1.0)
    array([[ 0.5, -2.5],
           [ 0. ,  0. ]])
    """

    name: ClassVar[str] = "l1"
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * cp.sum(cp.abs(W))

    def value(self, W: Array) -> float:
        return self.rho * float(np.abs(W).sum())

    def prox(self, V: Array, step: float) -> Array:
        W: Array = V - np.clip(V, -step * self.rho, step * self.rho)
        return W

    def subgradient(self, V: Array, step: float) -> Array:
        return self.clip(V / step)

    def conjugate(self, V: Array) -> float:
        return 0.0 if (np.abs(V) <= self.rho).all() else np.inf

    def clip(self, Z: Array) -> Array:
        return np.clip(Z, -self.rho, self.rho)

    def tangent(self, V: Array, step: float) -> Tangent:
        """The weights that are not 0."""
        kept = np.flatnonzero(np.abs(V.T.ravel()) > step * self.rho)
        moves = np.zeros((V.size, len(kept)))
        moves[kept, np.arange(len(kept))] = 1.0
        return Tangent(moves, np.ones(len(kept)))

    def told(self, W: Array) -> str:
        return f"{int((W == 0.0).sum())} of {W.size} weights are 0"

    def radius(self, value: float) -> float:
        return value / self.rho  # no such norm is below ||W||_F

    def margin(self, V: Array, step: float) -> float:
        return float(np.abs(np.abs(V) - step * self.rho).min())

    def bounds_W(self, T: int) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class L21(WeightPenalty):
    """The sum of the lengths of the rows of W, ``rho * sum_i ||W_i.||_2``: few features, for all tasks.

    Parameters
    ----------
    rho : float
        Its weight, > 0.

    Raises
    ------
    ModelError
        For a rho that is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.weights import L21
    >>> L21(rho=0.5).value(np.array([[3.0, -4.0], [0.0, 0.0]]))
    2.5
    """

    name: ClassVar[str] = "l21"
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * cp.sum(cp.norm(W, 2, axis=1))

    def value(self, W: Array) -> float:
        return self.rho * float(np.linalg.norm(W, axis=1).sum())

    def prox(self, V: Array, step: float) -> Array:
        length = np.linalg.norm(V, axis=1, keepdims=True)
        kept = np.maximum(length - step * self.rho, 0.0)
        W: Array = V * np.divide(kept, length, out=np.zeros_like(length), where=length > 0.0)
        return W

    def subgradient(self, V: Array, step: float) -> Array:
        return self.clip(V / step)

    def conjugate(self, V: Array) -> float:
        longest = float(np.linalg.norm(V, axis=1).max(initial=0.0))
        return 0.0 if longest <= self.rho * (1.0 + 4.0 * V.shape[1] * np.finfo(np.float64).eps) else np.inf

    def clip(self, Z: Array) -> Array:
        length = np.linalg.norm(Z, axis=1, keepdims=True)
        within: Array = Z * (self.rho / np.maximum(length, self.rho))
        return within

    def tangent(self, V: Array, step: float) -> Tangent:
        """Rows that are not 0: along themselves, and turned, which the prox shortens."""
        (d, T), length = V.shape, np.linalg.norm(V, axis=1)
        kept = np.flatnonzero(length > step * self.rho)
        moves, values = np.zeros((len(kept), T, d, T)), np.ones((len(kept), T))
        for place, i in enumerate(kept):
            moves[place, :, i] = np.linalg.qr(V[i][:, None], mode="complete")[0].T
        values[:, 1:] -= step * self.rho / length[kept, None]
        return Tangent.of(moves.reshape(-1, d, T), values.ravel())

    def told(self, W: Array) -> str:
        return f"{int((~W.any(axis=1)).sum())} of {len(W)} features have no weight"

    def radius(self, value: float) -> float:
        return value / self.rho  # no such norm is below ||W||_F

    def margin(self, V: Array, step: float) -> float:
        return float(np.abs(np.linalg.norm(V, axis=1) - step * self.rho).min())

    def bounds_W(self, T: int) -> bool:
        return True
