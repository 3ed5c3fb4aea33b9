"""Penalties that cap what a task may give.

    RowBudget   R = mu sum_s l_s sum_t B[s, t] over sum_t B[s, t] <= budget

With D = S - prices off the diagonal, R*(S) = budget sum_s max(0, max_t D[s, t]): finite everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import RowBudgets, project_transfer


@dataclass(frozen=True, kw_only=True)
class RowBudget(TransferPenalty):
    """AMTL's penalty where no task gives more than `budget` in total.

    Parameters
    ----------
    mu : float
        Price of transfer; 0 leaves the budget alone to decide.
    budget : float
        The largest sum of a row of B, > 0.

    Raises
    ------
    ModelError
        For a parameter that is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import RowBudget
    >>> RowBudget(mu=0.0, budget=1.0).project(np.array([[0.0, 2.0], [0.5, 0.0]]))
    array([[0. , 1. ],
           [0.5, 0. ]])
    """

    name: ClassVar[str] = "row-budget"
    row_steps: ClassVar[bool] = True
    mu: float
    budget: float = 1.0

    def __post_init__(self) -> None:
        check_mu(self.mu)
        check_weight("budget", self.budget, positive=True)

    def feasible(self, T: int) -> RowBudgets:
        return RowBudgets(self.budget)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = project_transfer(S - self.mu * losses[:, None])
        return float(self.budget * D.max(axis=1, initial=0.0).sum())

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def weights(self, B: Array) -> Array:
        return self.mu * np.asarray(B.sum(axis=1))
