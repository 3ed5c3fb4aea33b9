"""Penalties with the squares of edges: many small edges rather than few.

    SquaredTransfer   R = sum_s mu l_s sum_t B[s, t]^2
    ElasticNet        R = mu sum_s l_s sum_t B[s, t] + rho ||B||_F^2

With D = S - prices off the diagonal R*(S) is sum max(S, 0)^2 / (4 mu l_s) for the first (infinite where that
divides by 0), and sum max(D, 0)^2 / (4 rho) for the second.

The code of [L16] has mu l_s^2 B^2. That is not affine in the losses: the weight of a loss in the W-step would
depend on the loss itself, J would not be convex in W, and so it is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array
from amtl_cvx.transfer.atoms import Atoms, entry_atoms
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import project_transfer


@dataclass(frozen=True, kw_only=True)
class SquaredTransfer(TransferPenalty):
    """Squares of edges, weighted by losses: ``mu * sum_s losses[s] * sum_t B[s, t]**2``.

    No price keeps an edge away that helps at all, it only makes it smaller.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    loss_power : float
        1, and nothing else: the 2 of the authors' code is not affine in the losses.

    Raises
    ------
    ModelError
        For a mu that is no price, and another power of the losses.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import SquaredTransfer
    >>> SquaredTransfer(mu=0.5).value(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 3.0]))
    6.5
    """

    name: ClassVar[str] = "squared"
    row_steps: ClassVar[bool] = True
    mu: float
    loss_power: float = 1.0

    def __post_init__(self) -> None:
        check_mu(self.mu)
        if self.loss_power != 1:
            raise ModelError(
                f"loss_power must be 1, got {self.loss_power!r}: mu l^2 B^2, as the authors' code has it, is"
                " not affine in the losses, so that J would not be convex in W"
            )

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(cp.square(B), axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ (B**2).sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return project_transfer(V / (1.0 + 2.0 * step * self.mu * losses[:, None]))

    def conjugate(self, S: Array, losses: Array) -> float:
        squares, q = (project_transfer(S) ** 2).sum(axis=1), self.mu * losses
        if (squares[q <= 0.0] > 0.0).any():
            return np.inf
        return float((squares[q > 0.0] / (4.0 * q[q > 0.0])).sum())

    def atoms(self, T: int) -> Atoms:
        rates = np.full(T, float(self.mu))
        return entry_atoms(~np.eye(T, dtype=bool), rates=np.zeros(T), square_rates=rates)

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray((B**2).sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class ElasticNet(TransferPenalty):
    """AMTL's penalty and ``rho * ||B||_F^2``: many small edges rather than few.

    Parameters
    ----------
    mu : float
        Price of transfer, >= 0.
    rho : float
        Weight of the squares, > 0.

    Raises
    ------
    ModelError
        For a parameter that is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import ElasticNet
    >>> penalty = ElasticNet(mu=0.5, rho=0.25)
    >>> penalty.value(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 3.0]))
    4.75
    """

    name: ClassVar[str] = "elastic-net"
    row_steps: ClassVar[bool] = True
    mu: float
    rho: float = 1.0

    def __post_init__(self) -> None:
        check_mu(self.mu)
        check_weight("rho", self.rho, positive=True)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1)) + self.rho * cp.sum_squares(B)

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1)) + self.rho * float((B**2).sum())

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return project_transfer((V - step * self.mu * losses[:, None]) / (1.0 + 2.0 * step * self.rho))

    def conjugate(self, S: Array, losses: Array) -> float:
        D = project_transfer(S - self.mu * losses[:, None])
        return float((D**2).sum()) / (4.0 * self.rho)

    def atoms(self, T: int) -> Atoms:
        return entry_atoms(~np.eye(T, dtype=bool), rates=np.full(T, float(self.mu)), square=self.rho)

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray(B.sum(axis=1))
