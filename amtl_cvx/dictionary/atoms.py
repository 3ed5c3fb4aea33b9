r"""A quadratic over columns in the unit ball, by the multipliers of the balls: the atoms of a quadratic loss.

    min over x of   x'H x - 2 g'x,      ||x_k||_2 <= 1         x = vec(D), columns stacked

For multipliers lambda >= 0, one a column, x(lambda) = (H + diag(lambda) (x) I)^-1 g, and the minimum has
lambda_k (||x_k|| - 1) = 0. They maximise the concave dual

    q(lambda) = -g'x(lambda) - sum_k lambda_k,     dq/dlambda_k = ||x_k||^2 - 1,     Hessian -2 C,
    C_kl = x_k' [(H + ...)^-1]_kl x_l

whose Newton steps over lambda >= 0 (`refine.boxqp`) cost a Cholesky factor each. As for one ball (More,
Sorensen 1983) the equations are written as 1 - 1/||x_k|| = 0, which are nearly linear: C step = ||x||^2
(||x|| - 1) in place of (||x||^2 - 1) / 2. A step that does not raise q is cut.

Source: More, Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4, 1983.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.refine.boxqp import box_minimum

_RIDGE = 1e-13  # of the largest diagonal entry of H
_STEPS = 40
_MET = 1e-14
_SHORTEST = 1e-4


class Held(NamedTuple):
    """The minimum (K, d), an atom a row, and the multipliers of the balls (K,)."""

    atoms: Array
    multipliers: Array


class _Dual(NamedTuple):
    """x(lambda) by atoms, (K, d), with q and the factor."""

    at: Array
    x: Array
    value: float
    factor: Array

    @property
    def lengths(self) -> Array:
        return np.asarray(np.linalg.norm(self.x, axis=1))


def atom_minimum(H: Array, g: Array, start: Array) -> Held:
    """The minimum over K columns of d entries: H (K d, K d) semidefinite, g (K, d).

    `start` (K,) are multipliers to begin at.
    """
    K, d = g.shape
    ridge = _RIDGE * max(float(np.diag(H).max(initial=0.0)), 1e-300)

    def at(multipliers: Array) -> _Dual:
        M = H.copy()
        M.flat[:: K * d + 1] += np.repeat(multipliers, d) + ridge
        factor = factored(M)
        x = solved(factor, g.ravel()).reshape(K, d)
        return _Dual(multipliers, x, -float(np.vdot(g, x)) - float(multipliers.sum()), factor)

    here = at(np.maximum(start, 0.0))
    for _ in range(_STEPS):
        length = here.lengths
        if _off(here) <= _MET * (K * d):
            break
        spread = np.zeros((K * d, K), order="F")
        for k in range(K):
            spread[k * d : (k + 1) * d, k] = here.x[k]
        C = spread.T @ solved(here.factor, spread)
        C.flat[:: K + 1] += 1e-14 * np.diag(C).max(initial=0.0) + 1e-300
        better = None
        for right in (length**2 * (length - 1.0), 0.5 * (length**2 - 1.0)):
            better = _along(here, at, box_minimum(0.5 * (C + C.T), -right, -here.at))
            if better is not None:
                break
        if better is None:
            break
        here = better
    return Held(here.x / np.maximum(here.lengths, 1.0)[:, None], here.at)


def _off(dual: _Dual) -> float:
    """How far the conditions on lengths and multipliers are off."""
    over = dual.lengths - 1.0
    return float(np.where(dual.at > 0.0, np.abs(over), np.maximum(over, 0.0)).max(initial=0.0))


def _along(here: _Dual, at: Callable[[Array], _Dual], step: Array) -> _Dual | None:
    """The first of half as long steps that raises q, or at rounding lessens what is off."""
    length, rounding = 1.0, 1e-14 * abs(here.value)
    while length > _SHORTEST:
        new = at(np.maximum(here.at + length * step, 0.0))
        if new.value > here.value + rounding or (
            new.value >= here.value - rounding and _off(new) < 0.9 * _off(here)
        ):
            return new
        length *= 0.5
    return None
