r"""What conjugate gradients of the W-step start from: systems near to H that are solved at once.

    H = blockdiag(H_t) + 2 coupling P (x) I,    H_t = a_t Hess L_t,  P = K K'

Tasks whose H_t are alike (`Alike`): with H_t = alpha_t Hbar for all t, D = diag(alpha), and

    Hbar = Q diag(h) Q',    2 coupling D^-1/2 P D^-1/2 = U diag(lambda) U',    G = D^-1/2 U

H is diag(lambda_i + h_j) in the coordinates Y of V = G Y Q': two small eigenproblems, and an exact inverse.
Elsewhere that is the preconditioner, and H is diag(lambda) + G' blockdiag(Q'H_t Q) G there, so that a product
needs two products with (T, T) and none with K.

Tasks that differ (`Apart`), of few rows each, say: every task by itself (block Jacobi), and on top of it an
exact solve on the modes u of P that cost next to nothing,

    M^-1 = blockdiag(H_t + 2 coupling P_tt I)^-1 + C E^-1 C',    C = U_m (x) I,    E = C'H C

Measured, steps to 1e-12: T = 60 and 120, 40 rows for d = 20: 90 of block Jacobi alone, 40 of `Alike`. School
(139 tasks of rank 5 to 16, d = 28) with the mean penalty: 320, 600 of `Alike`, 110 of `Apart` with the mean
of the tasks as its one mode; without a penalty, I - B nearly singular: not within 1600, 100 with 12 modes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.tasks import Array

_FLAT = 1e-10  # of the largest eigenvalue of Hbar: below it a direction is seen by no task
_ALIKE = 1.0  # mean square of H_t / alpha_t - Hbar in units of Hbar, per feature, up to which H_t are alike
_CHEAP = 1e-2  # of the mean eigenvalue of P: modes that cost less are solved for exactly
_MODES = 500
"""Largest number of unknowns of those modes together."""
_UNSEEN = 1e-12  # of E's largest eigenvalue: below it there is no curvature, but for rounding


class Preconditioner(Protocol):
    """H in some coordinates Y of V, with an approximation of its inverse there; (T, d) each."""

    def right(self, R: Array) -> Array:
        """The right side of H V = R in these coordinates."""

    def product(self, Y: Array) -> Array:
        """H Y."""

    def inverse(self, Y: Array) -> Array:
        """About H^-1 Y."""

    def rest(self, Y: Array) -> Array:
        """R whose `right` is Y."""

    def back(self, Y: Array) -> Array:
        """V of the coordinates Y."""


def preconditioner(blocks: Array, K: Array, coupling: float) -> Preconditioner:
    """The one that suits the blocks H_t (T, d, d)."""
    return Alike.of(blocks, K, coupling) or Apart.of(blocks, K, coupling)


@dataclass(frozen=True, kw_only=True, eq=False)
class Alike:
    """H where all H_t are near multiples of one matrix; see the module essay."""

    blocks: Array
    """Q'H_t Q, (T, d, d)."""
    Q: Array
    G: Array
    alpha: Array
    values: Array
    """lambda, (T,)."""
    reciprocal: Array
    """1 / (lambda_i + h_j), (T, d)."""

    @classmethod
    def of(cls, blocks: Array, K: Array, coupling: float) -> Alike | None:
        """None where the H_t differ too much."""
        trace = np.einsum("tii->t", blocks)
        if not (trace > 0.0).all():
            return None
        mean = (blocks / trace[:, None, None]).mean(axis=0)
        if not np.diag(mean).min() > 0.0:  # known before the eigenvalues
            return None
        h, Q = np.linalg.eigh(mean)
        if not h[0] > _FLAT * h[-1]:
            return None
        turned = Q.T @ blocks @ Q
        alpha = (np.einsum("tii->ti", turned) / h).mean(axis=1)
        off = turned / (alpha[:, None, None] * np.sqrt(np.outer(h, h))) - np.eye(len(h))
        if not (off * off).sum(axis=(1, 2)).mean() <= _ALIKE * len(h):
            return None
        root = np.sqrt(alpha)
        scaled = K / root[:, None]
        values, U = np.linalg.eigh(2.0 * coupling * (scaled @ scaled.T))
        values = np.maximum(values, 0.0)
        return cls(
            blocks=turned,
            Q=Q,
            G=U / root[:, None],
            alpha=alpha,
            values=values,
            reciprocal=1.0 / (values[:, None] + h),
        )

    def right(self, R: Array) -> Array:
        found: Array = self.G.T @ (R @ self.Q)
        return found

    def product(self, Y: Array) -> Array:
        spread = (self.blocks @ (self.G @ Y)[:, :, None])[:, :, 0]
        found: Array = self.G.T @ spread + self.values[:, None] * Y
        return found

    def inverse(self, Y: Array) -> Array:
        return self.reciprocal * Y

    def rest(self, Y: Array) -> Array:
        found: Array = (self.alpha[:, None] * (self.G @ Y)) @ self.Q.T
        return found

    def back(self, Y: Array) -> Array:
        found: Array = (self.G @ Y) @ self.Q.T
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Apart:
    """H where they are not; see the module essay."""

    blocks: Array
    K: Array
    coupling: float
    own: Array
    """(H_t + 2 coupling P_tt I)^-1, (T, d, d)."""
    modes: Array
    """U_m (T, m)."""
    common: Callable[[Array], Array]
    """E^-1 of a vector, (m d,)."""

    @classmethod
    def of(cls, blocks: Array, K: Array, coupling: float) -> Apart:
        """With as many modes as are cheap, and no more than can be solved for at once."""
        (T, d, _), each = blocks.shape, np.arange(blocks.shape[1])
        own = blocks.copy()
        own[:, each, each] += 2.0 * coupling * (K * K).sum(axis=1)[:, None]
        values, U = np.linalg.eigh(K @ K.T)
        m = min(int(np.count_nonzero(values < _CHEAP * values.mean())), _MODES // d)
        U, pairs = U[:, :m], np.arange(m)
        E = ((U[:, :, None] * U[:, None, :]).reshape(T, m * m).T @ blocks.reshape(T, d * d)).reshape(
            m, m, d, d
        )
        E = E.transpose(0, 2, 1, 3)
        E[pairs[:, None], each, pairs[:, None], each] += 2.0 * coupling * np.maximum(values[:m], 0.0)[:, None]
        return cls(
            blocks=blocks,
            K=K,
            coupling=coupling,
            own=np.asarray(np.linalg.inv(own), dtype=np.float64),
            modes=U,
            common=_solver(np.ascontiguousarray(E).reshape(m * d, m * d)),
        )

    def right(self, R: Array) -> Array:
        return R

    def product(self, Y: Array) -> Array:
        found: Array = (self.blocks @ Y[:, :, None])[:, :, 0] + 2.0 * self.coupling * (
            self.K @ (self.K.T @ Y)
        )
        return found

    def inverse(self, Y: Array) -> Array:
        m, d = self.modes.shape[1], Y.shape[1]
        alone = (self.own @ Y[:, :, None])[:, :, 0]
        common = self.common((self.modes.T @ Y).ravel()).reshape(m, d)
        found: Array = alone + self.modes @ common
        return found

    def rest(self, Y: Array) -> Array:
        return Y

    def back(self, Y: Array) -> Array:
        return Y


def _solver(E: Array) -> Callable[[Array], Array]:
    """E^-1 by its factor; where it has none, but on what no task sees in a mode that costs nothing."""
    try:
        return partial(solved, factored(E.copy()))
    except np.linalg.LinAlgError:
        inverse: Array = np.asarray(np.linalg.pinv(E, rcond=_UNSEEN, hermitian=True), dtype=np.float64)
        return inverse.__matmul__
