r"""The scale of each feature: the D-step, and the balance that holds where it has nothing left to do.

L_j times d, row j of S over d, column j of A times d: L S, Z S and all losses stay, and so do the features
but j. What is left of J is a function of d alone,

    q d^2 + b d + m / d    q = decay ||L_j||^2 + gamma ||E_j||^2,   b = sum_t p_t |A_tj|,   m = mu ||S_j.||_1

for E_j = Z_j - (Z S) A_j is scaled with Z_j and A_j. It has one minimum over d > 0, the root of
2 q d^3 + b d^2 = m; the step takes it for all features at once and costs nothing. At d = 1 this root says

    2 decay ||L_j||^2 + 2 gamma ||E_j||^2 + sum_t p_t |A_tj| = mu ||S_j.||_1

which follows from the first-order conditions and so holds at every certified point. A feature that no task
uses, S_j. = 0, has its least at d = 0: it is dead, L_j = 0 and A_j = 0, as it is from then on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.features.point import FeaturePoint

_NEUTRAL = 1e-14
_STEPS = 10  # of Newton's method, which needs five


class Balance(NamedTuple):
    """The parts of J that a scale of feature j moves, (k,) each: q d^2 + b d + m / d at d = 1."""

    squares: Array
    """decay ||L_j||^2 + gamma ||E_j||^2"""
    feedback: Array
    """sum_t p_t |A_tj|"""
    sparsity: Array
    """mu ||S_j.||_1"""

    @property
    def miss(self) -> Array:
        """2 q + b - m, (k,): 0 where the scale of a feature is the best."""
        return 2.0 * self.squares + self.feedback - self.sparsity

    @property
    def relative(self) -> Array:
        """The miss over the size of its terms, (k,); 0 for a dead feature."""
        size = 2.0 * self.squares + self.feedback + self.sparsity
        return np.divide(np.abs(self.miss), size, out=np.zeros_like(size), where=size > 0.0)


def balance(point: FeaturePoint) -> Balance:
    """The parts at a point."""
    model = point.model
    reconstruction = point.problem.gamma * (point.E**2).sum(axis=0)
    return Balance(
        model.decay * (point.L**2).sum(axis=0) + reconstruction,
        point.prices @ np.abs(point.A),
        model.mu * np.abs(point.S).sum(axis=1),
    )


def best_scales(parts: Balance) -> Array:
    """argmin over d >= 0 of q d^2 + b d + m / d, (k,).

    1 where that is 0 for every d, or falls for ever (q = b = 0): nothing is gained by any one d.

    With u = min((m / 2q)^(1/3), (m / b)^(1/2)) and d = u x the root is that of a x^3 + c x^2 = 1, the larger
    of a, c <= 1 being 1: it lies in [.75, 1], and Newton's method from 1 falls to it.
    """
    q, b, m = parts
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cubic = np.where(q > 0.0, np.cbrt(m) / np.cbrt(2.0 * q), np.inf)
        square = np.where(b > 0.0, np.sqrt(m) / np.sqrt(b), np.inf)
        u = np.minimum(cubic, square)
        a, c = (u / cubic) ** 3, (u / square) ** 2
    inside = (u > 0.0) & np.isfinite(u)
    a, c, x = np.where(inside, a, 1.0), np.where(inside, c, 0.0), np.ones_like(u)
    for _ in range(_STEPS):
        x = x - (a * x**3 + c * x**2 - 1.0) / (3.0 * a * x**2 + 2.0 * c * x)
    unused = (m == 0.0) & ((q > 0.0) | (b > 0.0))
    return np.where(inside, u * x, np.where(unused, 0.0, 1.0))


def balanced(point: FeaturePoint) -> FeaturePoint:
    """The point with every feature at its best scale; the point itself where that gains nothing."""
    d = best_scales(balance(point))
    if (np.abs(d - 1.0) <= _NEUTRAL).all():
        return point
    blocks = {"L": point.L * d, "S": point.S / np.where(d > 0.0, d, 1.0)[:, None], "A": point.A * d}
    new = point.at(**{name: blocks[name] for name in point.blocks})
    return new if new.objective < point.objective else point
