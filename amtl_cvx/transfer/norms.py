"""Penalties on the edges of a task as a group.

    SourceGroupL2   R = mu sum_s v_s ||B[s, :]||_2, v = 1 or the losses  a task teaches several others or none
    TargetGroupL2   R = mu sum_t ||B[:, t]||_2                           a task learns from several or none

With S+ = max(S, 0) off the diagonal, R*(S) is 0 where ||S+[s, :]||_2 <= mu v_s for all s, else infinite;
by columns, v = 1, for the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.tasks import Array
from amtl_cvx.transfer.base import TransferPenalty, check_mu
from amtl_cvx.transfer.sets import project_transfer


@dataclass(frozen=True, kw_only=True)
class SourceGroupL2(TransferPenalty):
    """A price on each source's edges as a group, ``mu * sum_s v_s * ||B[s, :]||_2``.

    A task teaches several others or none.

    Parameters
    ----------
    mu : float
        Price of a group, >= 0.
    weighted : bool
        Whether v are the losses, so that an unreliable task pays more as in AMTL, else 1.

    Raises
    ------
    ModelError
        For a mu that is no price.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import SourceGroupL2
    >>> B = np.array([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> SourceGroupL2(mu=0.5).value(B, np.array([2.0, 1.0, 4.0]))
    7.0
    """

    name: ClassVar[str] = "source-group-l2"
    row_steps: ClassVar[bool] = True
    mu: float
    weighted: bool = True

    def __post_init__(self) -> None:
        check_mu(self.mu)
        if not isinstance(self.weighted, bool):
            raise ModelError(f"weighted must be true or false, got {self.weighted!r}")

    def _prices(self, losses: Array) -> Array:
        return self.mu * losses if self.weighted else np.full(len(losses), float(self.mu))

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        sizes = cp.norm(B, 2, axis=1)
        return self.mu * (losses @ sizes if self.weighted else cp.sum(sizes))

    def value(self, B: Array, losses: Array) -> float:
        return float(self._prices(losses) @ np.linalg.norm(B, axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        P = project_transfer(V)  # the norm grows with each |entry|, so projecting first is exact
        size = np.linalg.norm(P, axis=1, keepdims=True)
        kept = np.maximum(size - step * self._prices(losses)[:, None], 0.0)
        B: Array = P * np.divide(kept, size, out=np.zeros_like(size), where=size > 0)
        return B

    def conjugate(self, S: Array, losses: Array) -> float:
        sizes = np.linalg.norm(project_transfer(S), axis=1)
        return 0.0 if (sizes <= self._prices(losses)).all() else np.inf

    def margin(self, V: Array, step: float, losses: Array) -> float:
        return group_margin(V, step * self._prices(losses))

    def mu_max(self, gain: Array, losses: Array) -> float:
        sizes = np.linalg.norm(gain, axis=1)
        return float((sizes / losses if self.weighted else sizes).max(initial=0.0))

    def weights(self, B: Array) -> Array:
        sizes: Array = np.linalg.norm(B, axis=1) if self.weighted else np.zeros(len(B))
        return self.mu * sizes


@dataclass(frozen=True, kw_only=True)
class TargetGroupL2(TransferPenalty):
    """A price on what each target takes as a group, ``mu * sum_t ||B[:, t]||_2``.

    A task learns from several others or from none. There is no form with the losses of the sources:
    ``sqrt(sum_s (l_s B[s, t])^2)`` is convex in B and in the losses but not affine in these, so that what
    B costs would not be a weight of each loss and the W-step another problem.

    Parameters
    ----------
    mu : float
        Price of a group, >= 0.

    Raises
    ------
    ModelError
        For a mu that is no price.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TargetGroupL2
    >>> B = np.array([[0.0, 3.0, 1.0], [0.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    >>> TargetGroupL2(mu=0.5).value(B, np.ones(3))
    3.0
    """

    name: ClassVar[str] = "target-group-l2"
    exact_prox: ClassVar[bool] = True
    mu: float

    def __post_init__(self) -> None:
        check_mu(self.mu)

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * cp.sum(cp.norm(B, 2, axis=0))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(np.linalg.norm(B, axis=0).sum())

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        P = project_transfer(V)
        size = np.linalg.norm(P, axis=0)
        B: Array = P * np.divide(
            np.maximum(size - step * self.mu, 0.0), size, out=np.zeros_like(size), where=size > 0
        )
        return B

    def conjugate(self, S: Array, losses: Array) -> float:
        sizes = np.linalg.norm(project_transfer(S), axis=0)
        return 0.0 if (sizes <= self.mu).all() else np.inf

    def margin(self, V: Array, step: float, losses: Array) -> float:
        return group_margin(V.T, np.full(len(V), step * self.mu))

    def mu_max(self, gain: Array, losses: Array) -> float:
        return float(np.linalg.norm(gain, axis=0).max(initial=0.0))

    def weights(self, B: Array) -> Array:
        return np.zeros(len(B))


def group_margin(V: Array, limits: Array) -> float:
    """How far V and the limits (T,) may move before other rows of max(V, 0) are longer than their limit.

    Nor an entry of such a row changes its sign.
    """
    P, off = project_transfer(V), ~np.eye(len(V), dtype=bool)
    excess = np.linalg.norm(P, axis=1) - limits
    rows = np.abs(excess) / (1.0 + np.sqrt(max(len(V) - 1, 1)))
    entries = np.where(off & (excess > 0.0)[:, None], np.abs(V), np.inf)
    return float(min(rows.min(), entries.min()))
