"""Penalties that say how much may be given.

Each has AMTL's price, R = mu sum_s l_s sum_t B[s, t], where mu may be 0, over another set:

    RowBudget     sum_t B[s, t] <= budget                        no task gives more than a budget
    DegreeCap     B[s, t] <= cap, sum_t B[s, t] <= degree cap    a task teaches few others: the hull of it
    TotalBudget   sum B = total                                  all edges together sum to a total

With D = S - prices off the diagonal, R* is finite everywhere:

    budget sum_s max(0, max_t D[s, t])      cap sum_s (sum of the `degree` largest of max(D[s, :], 0))
    total max_st D[s, t]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import check_weight
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer.base import check_mu
from amtl_cvx.transfer.budget_sets import DegreeHull, RowBudgets, TotalSum
from amtl_cvx.transfer.linear import RowPriced
from amtl_cvx.transfer.sets import project_transfer


@dataclass(frozen=True, kw_only=True)
class RowBudget(RowPriced):
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
    mu: float
    budget: float = 1.0

    def __post_init__(self) -> None:
        check_mu(self.mu)
        check_weight("budget", self.budget, positive=True)

    def feasible(self, T: int) -> RowBudgets:
        return RowBudgets(self.budget)

    def conjugate(self, S: Array, losses: Array) -> float:
        D = project_transfer(S - self.mu * losses[:, None])
        return float(self.budget * D.max(axis=1, initial=0.0).sum())


@dataclass(frozen=True, kw_only=True)
class DegreeCap(RowPriced):
    """AMTL's penalty where a task teaches about `degree` others, each edge at most `cap`.

    At most `degree` edges a row is no convex set. This is its convex hull, ``0 <= B <= cap`` with row sums of
    at most ``degree * cap``, so that a row can have more edges than `degree`: a report says how many rows do.

    Parameters
    ----------
    mu : float
        Price of transfer; 0 leaves the hull alone to decide.
    degree : int
        How many others a task may teach at the full `cap`, >= 1.
    cap : float
        The largest edge, > 0.

    Raises
    ------
    ModelError
        For a parameter that is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import DegreeCap
    >>> DegreeCap(mu=0.0, degree=1, cap=1.0).project(np.array([[0.0, 2.0, 0.5], [0.0] * 3, [3.0, 0.0, 0.0]]))
    array([[0., 1., 0.],
           [0., 0., 0.],
           [1., 0., 0.]])
    """

    name: ClassVar[str] = "degree-cap"
    mu: float
    degree: int = 2
    cap: float = 1.0

    def __post_init__(self) -> None:
        check_mu(self.mu)
        check_weight("cap", self.cap, positive=True)
        if not is_number(self.degree) or not np.isfinite(self.degree) or self.degree % 1 or self.degree < 1:
            raise ModelError(f"degree must be a whole number >= 1, got {self.degree!r}")
        object.__setattr__(self, "degree", int(self.degree))

    def feasible(self, T: int) -> DegreeHull:
        return DegreeHull(self.degree, self.cap)

    def conjugate(self, S: Array, losses: Array) -> float:
        D = project_transfer(S - self.mu * losses[:, None])
        return float(self.cap * np.sort(D, axis=1)[:, -self.degree :].sum())


@dataclass(frozen=True, kw_only=True)
class TotalBudget(RowPriced):
    """AMTL's penalty where all edges together sum to `total`, the constraint of the AMTL authors' code.

    There is no empty graph: a fit starts at one with all edges from earlier to later tasks, and there is no
    mu from which on no task helps another.

    Parameters
    ----------
    mu : float
        Price of transfer; 0 leaves the total alone to decide.
    total : float, optional
        The sum of B, > 0; by default the number of tasks.

    Raises
    ------
    ModelError
        For a parameter that is not such a number, and for a single task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TotalBudget
    >>> TotalBudget(mu=0.0, total=1.0).project(np.array([[0.0, 2.0], [1.5, 0.0]]))
    array([[0.  , 0.75],
           [0.25, 0.  ]])
    """

    name: ClassVar[str] = "total-budget"
    mu: float
    total: float | None = None

    def __post_init__(self) -> None:
        check_mu(self.mu)
        if self.total is not None:
            check_weight("total", self.total, positive=True)

    def bind(self, tasks: TaskSet) -> Self:
        if tasks.T < 2:
            raise ModelError("total-budget needs two tasks or more: one alone has no edge to spend it on")
        return self

    def feasible(self, T: int) -> TotalSum:
        return TotalSum(self.total)

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.feasible(len(V)).nearest(V - step * self.mu * losses[:, None], step)

    def conjugate(self, S: Array, losses: Array) -> float:
        D = (S - self.mu * losses[:, None])[~np.eye(len(S), dtype=bool)]
        return float(self.feasible(len(S)).limit(len(S)) * D.max(initial=-np.inf))
