"""Edges of any sign, with a price on their size.

    SignedL1   R = mu sum_s l_s sum_t |B[s, t]|, diag(B) = 0

An edge below 0 says that -w_s helps to rebuild w_t. R*(S) is 0 where |S| <= mu l_s off the diagonal, else
infinite. As atoms every entry is split, B = P - N with P, N >= 0 and the same price on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.tasks import Array
from amtl_cvx.transfer.atoms import Atoms, entry_atoms
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import AnySign


@dataclass(frozen=True, kw_only=True)
class SignedL1(TransferPenalty):
    """AMTL's price on the size of edges of any sign, ``mu * sum_s losses[s] * sum_t |B[s, t]|``.

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
    >>> from amtl_cvx import SignedL1
    >>> SignedL1(mu=0.5).value(np.array([[0.0, -1.0], [2.0, 0.0]]), np.array([1.0, 3.0]))
    3.5
    """

    name: ClassVar[str] = "signed-l1"
    row_steps: ClassVar[bool] = True
    mu: float

    def __post_init__(self) -> None:
        check_mu(self.mu)

    def feasible(self, T: int) -> AnySign:
        return AnySign()

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(cp.abs(B), axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ np.abs(B).sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        kept = np.maximum(np.abs(V) - step * self.mu * losses[:, None], 0.0)
        return self.project(np.copysign(kept, V))

    def conjugate(self, S: Array, losses: Array) -> float:
        over = np.abs(self.project(S)) > self.mu * losses[:, None]
        return np.inf if over.any() else 0.0

    def atoms(self, T: int) -> Atoms:
        return entry_atoms(~np.eye(T, dtype=bool), rates=np.full(T, float(self.mu)), split=True)

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray(np.abs(B).sum(axis=1))
