"""g(D), its gradient and its curvature, for D the covariance of the features or of the tasks.

F is quadratic, F'(W)_t = H_t w_t - b_t. With D = R R' and W = R C the ridge regressions are

    (2 rho I + R'H_t R) c_t = R'b_t,    2 rho Z = b - H W,    2 rho P = H - H R (2 rho I + R'H R)^-1 R'H

one of r unknowns for every task. Of the tasks, W = C R' and H = blockdiag(H_t), they are one of r d unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.arrays.cholesky import factored, halved, solved
from amtl_cvx.subproblems.covariance.rows import Rows
from amtl_cvx.subproblems.covariance.symmetric import Symmetric


class Ridge(NamedTuple):
    """The minimum over W for a D = R R'."""

    W: Array
    """(d, T)"""
    gradient: Array
    """g'(D), (p, p)"""
    curvature: Array
    """g''(D) in coordinates of `Symmetric`, (n, n)"""


class Side(Protocol):
    """The covariance of the features or of the tasks."""

    @property
    def pull(self) -> Array: ...

    @property
    def space(self) -> Symmetric: ...

    def at(self, R: Array) -> Ridge:
        """What there is at D = R R', R (p, r)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OfFeatures:
    """W = D Z: every task by itself.

    Parameters
    ----------
    blocks : (T, d, d) ndarray
        H_t.
    pull : (d, T) ndarray
        b.
    rho : float
    rows : Rows, optional
        The losses whose second-order model this is: W and Z are theirs then, to the last digit.
    """

    blocks: Array
    pull: Array
    rho: float
    rows: Rows | None = None

    @property
    def space(self) -> Symmetric:
        return Symmetric(len(self.pull))

    def at(self, R: Array) -> Ridge:
        HR = self.blocks @ R
        inner = R.T @ HR + 2.0 * self.rho * np.eye(R.shape[1])
        right = np.concatenate([(self.pull.T @ R)[:, :, None], HR.transpose(0, 2, 1)], axis=2)
        found = np.linalg.solve(inner, right)
        W = R @ found[:, :, 0].T
        left = self.pull - (self.blocks @ W.T[:, :, None])[:, :, 0].T
        if self.rows is not None:
            W, left = self.rows.refined(
                found[:, :, 0].T,
                self.rho,
                lift=lambda C: R @ C,
                drop=lambda slope: R.T @ slope,
                solve=lambda miss: np.linalg.solve(inner, miss.T[:, :, None])[:, :, 0].T,
            )
        Z = left / (2.0 * self.rho)
        P = self.blocks - HR @ found[:, :, 1:]
        p = len(Z)
        pairs = (Z.T[:, :, None] * Z.T[:, None, :]).reshape(-1, p * p)
        F = (P.reshape(-1, p * p).T @ pairs).reshape(p, p, p, p)  # i, k of P; j, l of Z Z'
        return Ridge(W, -self.rho * (Z @ Z.T), self.space.form(F.transpose(0, 2, 1, 3)))


@dataclass(frozen=True, kw_only=True, eq=False)
class OfTasks:
    """W = Z D: all tasks together; parameters of `OfFeatures`."""

    blocks: Array
    pull: Array
    rho: float
    rows: Rows | None = None

    @property
    def space(self) -> Symmetric:
        return Symmetric(self.pull.shape[1])

    def at(self, R: Array) -> Ridge:
        (d, T), r = self.pull.shape, R.shape[1]
        inner = np.einsum("ta,tb,tij->aibj", R, R, self.blocks, optimize=True).reshape(r * d, r * d)
        inner.flat[:: r * d + 1] += 2.0 * self.rho
        lower = factored(inner)
        C = solved(lower, (self.pull @ R).T.ravel()).reshape(r, d).T
        W = C @ R.T
        left = self.pull - np.einsum("tij,jt->it", self.blocks, W)
        if self.rows is not None:
            W, left = self.rows.refined(
                C,
                self.rho,
                lift=lambda C: C @ R.T,
                drop=lambda slope: slope @ R,
                solve=lambda miss: solved(lower, miss.T.ravel()).reshape(r, d).T,
            )
        Z = left / (2.0 * self.rho)
        HZ = self.blocks @ Z  # t, i, k: H_t z_k
        inside = np.einsum("la,lik->aikl", R, HZ).reshape(r * d, T * T)
        below = halved(lower, inside)
        F = -(below.T @ below).reshape(T, T, T, T)
        own = np.einsum("tik,im->tkm", HZ, Z)
        for t in range(T):
            F[:, t, :, t] += own[t]
        return Ridge(W, -self.rho * (Z.T @ Z), self.space.form(F))
