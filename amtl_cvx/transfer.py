r"""Transfer penalties: what an edge of B costs.

B (T, T) holds the directed graph of transfer, ``B[s, t]`` is how much of w_s enters the reconstruction of
w_t: edge s -> t, "task s helps task t". A penalty is a function R(B; l) that is

    convex in B over its feasible set ({B >= 0, diag(B) = 0}, or a part of it),
    affine and non-decreasing in the losses l >= 0

and that is all the rest of the toolkit needs: the B-step is ``coupling ||W - W B||_F^2 + R(B; c*l)``, and in
the W-step loss t carries the weight ``c_t (1 + R(B; e_t) - R(B; 0))``. The penalty of [L16] is

    LossWeightedL1   R = mu * sum_s l_s sum_t B[s, t]        an edge out of s costs mu times the loss of s

so that unreliable tasks (high loss) find it dear to teach. Source: Lee, Yang, Hwang, ICML 2016, eq. 1.

A new penalty is one frozen dataclass with a field `mu`, the three methods `expression`, `value` and `prox`,
an entry in `TRANSFERS`, and an instance in ``tests/cases.py``, where one battery checks it. A penalty with
another feasible set (symmetric B, say) adds `constraints` and `project`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.tasks import Array


class TransferPenalty(abc.ABC):
    """What edges cost: R(B; losses), convex in B (T, T), affine and non-decreasing in the losses (T,).

    A penalty is a frozen dataclass with a field `mu` and the methods `expression`, `value` and `prox`; one
    with another feasible set adds `constraints` and `project`, one that is linear in B `prices`.
    """

    name: ClassVar[str]
    row_steps: ClassVar[bool] = False
    """True where `prox` takes one step per row, which makes the residual of theory.md section 4 sharper."""
    mu: float

    @abc.abstractmethod
    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        """The penalty as a convex CVXPY scalar, DPP when `losses` is a `cp.Parameter(nonneg=True)`."""

    @abc.abstractmethod
    def value(self, B: Array, losses: Array) -> float:
        """The penalty in NumPy, written apart from `expression`."""

    @abc.abstractmethod
    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        """The prox of the penalty at V (T, T), (T, T).

        The argmin over the feasible set of ``R(B; losses) + sum (B - V)^2 / (2 step)``. `step` is a positive
        number or, with `row_steps`, (T, 1): one step for each row of B (each source).
        """

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        """Constraints on B besides B >= 0 and diag(B) = 0."""
        return []

    def project(self, V: Array) -> Array:
        """The nearest point of the feasible set, (T, T)."""
        return project_transfer(V)

    def prices(self, losses: Array) -> Array | None:
        """Row prices p (T,) if ``R(B; losses) = sum_s p_s sum_t B[s, t]``, else None.

        A linear penalty has a gradient and a duality gap in closed form (certificate), splits into columns
        (B-step by column) and can be refined by Newton's method.
        """
        return None

    def weights(self, B: Array) -> Array:
        """How much each loss is raised by what its task gives, (T,): R(B; e_t) - R(B; 0)."""
        zero = np.zeros(len(B))
        base = self.value(B, zero)
        return np.array([self.value(B, unit) - base for unit in np.eye(len(B))])


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

    def prices(self, losses: Array) -> Array:
        return self.mu * losses

    def weights(self, B: Array) -> Array:
        sums: Array = B.sum(axis=1)
        return self.mu * sums


TRANSFERS: dict[str, type[LossWeightedL1]] = {cls.name: cls for cls in (LossWeightedL1,)}
"""Every transfer penalty by the name that the command line and run.json use."""


def project_transfer(V: Array) -> Array:
    """The nearest matrix with B >= 0 and diag(B) = 0."""
    B = np.maximum(V, 0.0)
    np.fill_diagonal(B, 0.0)
    return B


def check_mu(mu: object) -> None:
    """Raise `ModelError` unless mu is a finite number >= 0."""
    if not (is_number(mu) and np.isfinite(float(mu)) and float(mu) >= 0):
        raise ModelError(f"mu (the price of transfer) must be a finite number >= 0, got {mu!r}")
