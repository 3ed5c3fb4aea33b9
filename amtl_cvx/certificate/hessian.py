r"""The Hessian of J on its free set by its blocks, never as one matrix, and its least eigenvalue.

    H = [[blockdiag(H_t) + P (x) I, BW'], [BW, BB]],    P = 2 coupling K K'

beside W (T d entries) there are k coefficients of B. S = H / (root root') is kept the same way. In Schur form

    S - shift I positive definite   if and only if   L L' = S_WW - shift I  and  S_BB - shift I - N'N  are so,
                                                     N = L^-1 S_BW'

which is the Cholesky factor of S, block by block: one matrix of T d unknowns in memory, and no eigenvalues of
it. Where it ends, S is above shift - noise: with a unit diagonal a factor is that of a matrix whose entries
are off by at most (n + 1) eps / 2, its eigenvalues by n times that (Higham, Accuracy and Stability of
Numerical Algorithms, 10.3; the order of the sums does not count). So:

    definite       S has a factor; inverse iteration (Lanczos) finds its least eigenvalue, and a second factor
                   proves all but a thousandth of it, or less where rounding leaves less
    not definite   S + shift I has one for a shift large enough; the least eigenvalue comes from there, and
                   the Rayleigh quotient of its vector is above the least eigenvalue whatever went wrong
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl
from scipy.sparse.linalg import LinearOperator, eigsh

from amtl_cvx.arrays.cholesky import factored, halved, solved
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)
_PROVEN = (0.999, 0.99, 0.9, 0.5)  # parts of the least eigenvalue that are tried to be proved
_RAISE = 100.0
_LANCZOS = 1e-10  # relative accuracy of an eigenvalue


class Factor(NamedTuple):
    """That of S - shift I in Schur form: L (T d, T d), N (T d, k), the factor of the complement (k, k)."""

    lower: Array
    half: Array
    rest: Array

    def solve(self, right: Array) -> Array:
        """(S - shift I)^-1 right, (n,)."""
        m = len(self.lower)
        top = halved(self.lower, right[:m])
        below = solved(self.rest, right[m:] - self.half.T @ top)
        above = sl.lapack.dtrtrs(self.lower, top - self.half @ below, lower=1, trans=1)[0]
        return np.concatenate([np.asarray(above, dtype=np.float64), below])


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockHessian:
    """H or S by its blocks; see the module essay.

    Parameters
    ----------
    blocks : (T, d, d) ndarray
    P : (T, T) ndarray
    BW, BB : (k, T d), (k, k) ndarray
    unit : (T, d) ndarray
        P (x) I is divided by what belongs to its row and its column of these.
    """

    blocks: Array
    P: Array
    BW: Array
    BB: Array
    unit: Array

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return self.unit.size + len(self.BB)

    def own_blocks(self) -> Array:
        """The diagonal blocks of W-W, (T, d, d)."""
        own, each = self.blocks.copy(), np.arange(self.unit.shape[1])
        own[:, each, each] += np.diag(self.P)[:, None] / self.unit**2
        return own

    def diagonal(self) -> Array:
        """The diagonal, (n,)."""
        return np.concatenate([np.einsum("tii->ti", self.own_blocks()).ravel(), np.diag(self.BB)])

    def scaled(self, root: Array) -> BlockHessian:
        """H / (root root')."""
        above, below = root[: self.unit.size].reshape(self.unit.shape), root[self.unit.size :]
        return replace(
            self,
            blocks=self.blocks / (above[:, :, None] * above[:, None, :]),
            BW=self.BW / below[:, None] / above.ravel(),
            BB=self.BB / np.outer(below, below),
            unit=self.unit * above,
        )

    def WW(self, shift: float = 0.0) -> Array:
        """W-W less shift I, (T d, T d)."""
        T, d = self.unit.shape
        H, tasks = np.zeros((T, d, T, d)), np.arange(T)
        for i in range(d):
            H[:, i, :, i] = self.P / np.outer(self.unit[:, i], self.unit[:, i])
        H[tasks, :, tasks, :] += self.blocks
        whole = H.reshape(T * d, T * d)
        whole.flat[:: T * d + 1] -= shift
        return whole

    def whole(self) -> Array:
        """All of it, (n, n)."""
        H: Array = np.block([[self.WW(), self.BW.T], [self.BW, self.BB]])
        return H

    def product(self, x: Array) -> Array:
        """H x, (n,)."""
        W, y = x[: self.unit.size].reshape(self.unit.shape), x[self.unit.size :]
        above = (self.blocks @ W[:, :, None])[:, :, 0] + (self.P @ (W / self.unit)) / self.unit
        return np.concatenate([above.ravel() + self.BW.T @ y, self.BW @ W.ravel() + self.BB @ y])

    def largest_sum(self) -> float:
        """The largest sum of absolute values of a row: no eigenvalue is above it in size."""
        own = self.own_blocks()
        others = np.abs(self.P - np.diag(np.diag(self.P))) @ (1.0 / self.unit) / self.unit
        above = np.abs(own).sum(axis=2) + others + np.abs(self.BW).sum(axis=0).reshape(self.unit.shape)
        below = np.abs(self.BW).sum(axis=1) + np.abs(self.BB).sum(axis=1)
        return float(max(above.max(), below.max(initial=0.0)))

    def distance(self, other: BlockHessian) -> float:
        """The Frobenius norm of the difference, in the same units."""
        T, _ = self.unit.shape
        own = self.own_blocks() - other.own_blocks()
        weight = 1.0 / self.unit**2
        between = (self.P - other.P) ** 2 * (weight @ weight.T) * (1.0 - np.eye(T))
        crossed = ((self.BW - other.BW) ** 2).sum()
        squares = (own**2).sum() + between.sum() + 2.0 * crossed + ((self.BB - other.BB) ** 2).sum()
        return math.sqrt(float(squares))

    def factor(self, shift: float = 0.0) -> Factor | None:
        """That of S - shift I; None where it has none."""
        with contextlib.suppress(np.linalg.LinAlgError):
            lower = factored(self.WW(shift))
            half = halved(lower, self.BW.T)
            rest = self.BB - half.T @ half
            rest.flat[:: len(rest) + 1] -= shift
            return Factor(lower, half, factored(rest))
        return None


class Lowest(NamedTuple):
    """The least eigenvalue: proved from below where S is definite, else from above, with its vector there."""

    value: float
    vector: Array | None


def proof_noise(n: int) -> float:
    """By how much a factor may be that of another matrix of n unknowns with a unit diagonal."""
    return 0.505 * _EPS * n * (n + 2.0)


def lowest(S: BlockHessian, factor: Factor | None) -> Lowest:
    """The least eigenvalue of S from a factor of it, or from one of S + shift I."""
    if factor is not None:
        value, _ = extreme(factor.solve, S.n)
        proved = (part / value for part in _PROVEN if S.factor(part / value) is not None)
        return Lowest(next(proved, 0.0), None)
    limit = S.largest_sum()
    shift = proof_noise(S.n) * limit
    while (factor := S.factor(-shift)) is None and shift <= 2.0 * limit:
        shift *= _RAISE
    if factor is None:
        return Lowest(-math.inf, None)
    _, vector = extreme(factor.solve, S.n)
    return Lowest(float(vector @ S.product(vector)), vector)


def extreme(product: Callable[[Array], Array], n: int) -> tuple[float, Array]:
    """The largest eigenvalue of a symmetric product and its vector, by Lanczos's method."""
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=n)
    values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=_LANCZOS)
    return float(values[0]), vectors[:, 0]


class Extremes(NamedTuple):
    """The extreme eigenvalues of H, the least one of S, and its vector where it is asked for."""

    least: float
    largest: float
    scaled: Lowest


def extremes(H: BlockHessian, S: BlockHessian, root: Array, factor: Factor | None) -> Extremes:
    """Those of H and S = H / (root root'), in Schur form."""
    found = lowest(S, factor)
    if factor is not None:
        least = 1.0 / extreme(lambda x: factor.solve(x / root) / root, H.n)[0]
    else:
        least = lowest(H, None).value
    return Extremes(least, extreme(H.product, H.n)[0], found)
