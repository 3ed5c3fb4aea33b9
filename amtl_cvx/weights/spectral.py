r"""Penalties on the singular values s of W: predictors in few dimensions.

    TraceNorm          rho sum_k s_k            ||W||_* = sum s
    TraceNormSquared   rho (sum_k s_k)^2        the form of multi-task feature learning (MTFL)

With V = U diag(s) Q' the prox is U diag(max(s - cut, 0)) Q'. For the norm cut = step rho, for its square

    cut = 2 step rho sum of what is kept = 2 step rho S_k / (1 + 2 step rho k),   S_k = s_1 + ... + s_k

with the largest k for which s_k > cut. The conjugates are 0 for ||V||_op <= rho, else infinite, and
||V||_op^2 / (4 rho). Both turn with the features.

Source: Argyriou, Evgeniou, Pontil, Convex multi-task feature learning, 2008.
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

_RANK = 1e-9  # of the largest singular value: what counts as 0
_ROUNDING = 1e-14  # of the largest entry


@dataclass(frozen=True, kw_only=True)
class TraceNorm(WeightPenalty):
    """The sum of the singular values, ``rho * ||W||_*``: predictors in few dimensions.

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
    >>> from amtl_cvx.weights import TraceNorm
    >>> TraceNorm(rho=0.5).value(np.diag([3.0, 1.0]))
    2.0
    """

    name: ClassVar[str] = "trace"
    rotation_invariant: ClassVar[bool] = True
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * cp.normNuc(W)

    def value(self, W: Array) -> float:
        return self.rho * float(_values(W).sum())

    def prox(self, V: Array, step: float) -> Array:
        return _shortened(V, step * self.rho)

    def subgradient(self, V: Array, step: float) -> Array:
        return self.clip(V / step)

    def subgradient_after(self, W: Array, slope: Array, rate: float) -> Array:
        return _pulled(W, slope, rate, cut=self.rho / rate)

    def conjugate(self, V: Array) -> float:
        room = 1.0 + 8.0 * max(V.shape) * np.finfo(np.float64).eps
        return 0.0 if _values(V).max(initial=0.0) <= self.rho * room else np.inf

    def clip(self, Z: Array) -> Array:
        return _cut_off(Z, self.rho)

    def tangent(self, V: Array, step: float) -> Tangent:
        return _tangent(V, step * self.rho, 0.0)

    def told(self, W: Array) -> str:
        return _rank(W)

    def radius(self, value: float) -> float:
        return value / self.rho  # ||W||_* >= ||W||_F

    def margin(self, V: Array, step: float) -> float:
        return float(np.abs(_values(V) - step * self.rho).min())

    def bounds_W(self, T: int) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class TraceNormSquared(WeightPenalty):
    """The square of the sum of the singular values, ``rho * ||W||_*^2``: multi-task feature learning.

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
    >>> from amtl_cvx.weights import TraceNormSquared
    >>> TraceNormSquared(rho=0.5).value(np.diag([3.0, 1.0]))
    8.0
    """

    name: ClassVar[str] = "trace-squared"
    rotation_invariant: ClassVar[bool] = True
    rho: float

    def __post_init__(self) -> None:
        check_weight("rho", self.rho, positive=True)

    def expression(self, W: cp.Expression) -> cp.Expression:
        return self.rho * cp.square(cp.normNuc(W))

    def value(self, W: Array) -> float:
        return self.rho * float(_values(W).sum()) ** 2

    def prox(self, V: Array, step: float) -> Array:
        return _shortened(V, self._cut(V, step))

    def subgradient(self, V: Array, step: float) -> Array:
        return _cut_off(V / step, self._cut(V, step) / step)

    def subgradient_after(self, W: Array, slope: Array, rate: float) -> Array:
        return _pulled(W, slope, rate, cut=self._cut(W - slope / rate, 1.0 / rate))

    def tangent(self, V: Array, step: float) -> Tangent:
        return _tangent(V, self._cut(V, step), 2.0 * step * self.rho)

    def told(self, W: Array) -> str:
        return _rank(W)

    def margin(self, V: Array, step: float) -> float:
        """Values move by no more than V does, the cut by rate sqrt(k) / (1 + rate k) of that."""
        values, cut, rate = _values(V), self._cut(V, step), 2.0 * step * self.rho
        k = int((values > cut).sum())
        return float(np.abs(values - cut).min()) / (1.0 + rate * float(np.sqrt(k)) / (1.0 + rate * k))

    def conjugate(self, V: Array) -> float:
        return float(_values(V).max(initial=0.0)) ** 2 / (4.0 * self.rho)

    def radius(self, value: float) -> float:
        return float(np.sqrt(value / self.rho))  # ||W||_* >= ||W||_F

    def bounds_W(self, T: int) -> bool:
        return True

    def _cut(self, V: Array, step: float) -> float:
        """What the prox takes from every singular value."""
        values, rate = _values(V), 2.0 * step * self.rho
        cuts = rate * np.cumsum(values) / (1.0 + rate * np.arange(1, len(values) + 1))
        return float(cuts[max(int((values > cuts).sum()) - 1, 0)])


def _values(W: Array) -> Array:
    return np.asarray(np.linalg.svd(W, compute_uv=False), dtype=np.float64)


def _rank(W: Array) -> str:
    """The rank beyond rounding, in words."""
    values = _values(W)
    rank = int((values > _RANK * values.max(initial=0.0)).sum())
    return f"W has rank {rank} of {min(W.shape)}"


def _shortened(V: Array, cut: float) -> Array:
    """V with every singular value less `cut`, down to 0."""
    U, values, Q = np.linalg.svd(V, full_matrices=False)
    kept = values > cut
    W: Array = (U[:, kept] * (values[kept] - cut)) @ Q[kept]
    return W


def _cut_off(V: Array, most: float) -> Array:
    """V with every singular value at most `most`."""
    U, values, Q = np.linalg.svd(V, full_matrices=False)
    W: Array = (U * np.minimum(values, most)) @ Q
    return W


def _pulled(W: Array, slope: Array, rate: float, *, cut: float) -> Array:
    """The subgradient at the prox of V = W - slope / rate, in the space of the values it keeps and beside it.

    In that space it is rate cut U Q', beside it what V is there, which is -slope where W is nothing but
    rounding: rate times V would have digits of W, not of the slope.
    """
    U, values, Q = np.linalg.svd(W - slope / rate, full_matrices=False)
    kept = values > cut
    U, Q = U[:, kept], Q[kept]
    rest, pull = (_beside(U, Q, M) for M in (W, slope))
    size = float(np.abs(W).max(initial=0.0))
    rest = rate * rest if float(np.abs(rest).max(initial=0.0)) > _ROUNDING * size else np.zeros_like(rest)
    Z: Array = rate * cut * (U @ Q) + _cut_off(rest - pull, rate * cut)
    return Z


def _beside(U: Array, Q: Array, M: Array) -> Array:
    """(I - U U') M (I - Q'Q)."""
    M = M - U @ (U.T @ M)
    return M - (M @ Q.T) @ Q


def _tangent(V: Array, cut: float, rate: float) -> Tangent:
    """Moves of a matrix that keep its rank: of its singular values s, and of its singular vectors.

    With f(s) = max(s - cut, 0) the derivative of the prox has, for every pair of which one is kept, the
    eigenvectors u_i q_j' + u_j q_i' and u_i q_j' - u_j q_i' with [f(s_i) - f(s_j)] / (s_i - s_j) and
    [f(s_i) + f(s_j)] / (s_i + s_j), f(s_i) / s_i for vectors beyond the values; for u_i q_i', i kept, 1, or
    with a cut that follows their sum at this `rate` 1 / (1 + rate k) along the sum of all k.
    """
    U, values, Q = np.linalg.svd(V)
    d, T = V.shape
    k, most = int((values > cut).sum()), min(d, T)
    moves, eigen = [np.empty((0, d, T))], [np.empty(0)]
    if k:
        level = np.linalg.qr(np.ones((k, 1)), mode="complete")[0]
        moves.append(np.einsum("ik,kj,kt->jit", U[:, :k], level, Q[:k]))
        eigen.append(np.r_[1.0 / (1.0 + rate * k), np.ones(k - 1)])
    f = np.maximum(values - cut, 0.0)
    for i in range(k):
        later = slice(i + 1, most)
        one = np.einsum("i,jt->jit", U[:, i], Q[later])
        other = np.einsum("ij,t->jit", U[:, later], Q[i])
        moves += [(one + other) * 0.5**0.5, (one - other) * 0.5**0.5]
        apart = np.where(f[later] > 0.0, 1.0, values[i] - values[later])
        eigen.append(np.where(f[later] > 0.0, 1.0, (f[i] - f[later]) / apart))
        eigen.append((f[i] + f[later]) / (values[i] + values[later]))
        moves.append(np.einsum("i,jt->jit", U[:, i], Q[most:]))
        moves.append(np.einsum("ij,t->jit", U[:, most:], Q[i]))
        eigen.append(np.full(d + T - 2 * most, f[i] / values[i]))
    return Tangent.of(np.concatenate(moves), np.concatenate(eigen))
