r"""Second order where a penalty on W has kinks: W is held to what the penalty has made of it.

Let W = prox(V, 1/h), V = W - g/h, g the gradient in W of the rest of J. Along the tangent of the prox
(`weights.tangent`: weights that are not 0, a rank, groups of equal tasks) J is smooth; across it J grows with
the first power of the distance as long as V keeps its distance from where the prox changes its structure
(strict complementarity: |z| < rho at a weight of 0, say). So strict local minimum means: H on the tangent,

    N'H N + C,    C = diag(h (1/e - 1)),    e the eigenvalues of the prox along N

and on the edges is positive definite, beside that margin and strict complementarity of edges.

In lengths (`curvature`), with D^1/2 N = Q R the restricted S is Q'S Q + R^-T C R^-1; the Newton step is
p + Q q with p = W+ - W, W+ the prox, and q from the gradient with Z, the subgradient at W+. Over a step the
tangent turns and C changes; both are computed anew where it leads and count as changes of S.

Source: Lewis, Active sets, nonsmoothness, and sensitivity, 2002.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.problem import Point

_EPS = float(np.finfo(np.float64).eps)


class _Space(NamedTuple):
    """The tangent at a point."""

    moves: Array
    """N (T d, m), orthonormal"""
    Q: Array
    """The same in lengths, (T d, m), orthonormal."""
    bend: Array
    """h (1/e - 1), (m,)"""
    C: Array
    """R^-T diag(bend) R^-1, (m, m)"""
    noise: float
    """What rounding can do to it."""


class HeldWeights:
    """J around a point with W held to the tangent; see the module essay."""

    count = 0
    """Rows that are held."""

    def __init__(self, point: Point) -> None:
        omega = point.model.prox_omega
        assert omega is not None
        self.point, self.omega, self.h = point, omega, point.prox_rate
        self.local = AtomModel(point)
        self.root = self.local.root[: point.W.size]
        self.space = self._space(point)
        edges = np.eye(len(self.local.root) - len(self.root))
        self.N = sl.block_diag(self.space.Q, edges)
        raw = sl.block_diag(self.space.moves, edges)
        none = np.zeros_like(edges)
        self.H = raw.T @ self.local.H @ raw + sl.block_diag(np.diag(self.space.bend), none)
        self.S = self.N.T @ self.local.S @ self.N + sl.block_diag(self.space.C, none)
        slope = (point.smooth_gradient_W + point.subgradient_W).T.ravel()
        self.gradient = np.r_[slope, self.local.multipliers[self.local.free]] / self.local.root

    def _before(self, point: Point) -> Array:
        """V, (d, T)."""
        V: Array = point.W - point.smooth_gradient_W / self.h
        return V

    def _space(self, point: Point) -> _Space:
        moves, values = self.omega.tangent(self._before(point), 1.0 / self.h)
        Q, R = np.linalg.qr(self.root[:, None] * moves)
        inverse = sl.solve_triangular(R, np.eye(len(values))) if len(values) else R
        bend = self.h * (1.0 / values - 1.0)
        terms = np.linalg.norm((inverse.T * (self.h / values)) @ inverse) if len(values) else 0.0
        return _Space(moves, Q, bend, (inverse.T * bend) @ inverse, 64.0 * _EPS * float(terms))

    @property
    def along(self) -> str:
        """The moves that are left, in words."""
        return f" along the {len(self.space.bend)} moves that keep what {self.omega.name} has made of W"

    @property
    def kept(self) -> str:
        """What was found of the rest, in words."""
        return f", and {self.omega.name} keeps what it has made of W"

    def noise(self) -> float:
        """What rounding can do to an eigenvalue of S."""
        return self.local.noise() + self.space.noise

    def dependent(self) -> str:
        """Nothing: a subgradient is unique."""
        return ""

    def _across(self) -> Array:
        """p of the module essay in lengths, (n,)."""
        after = self.omega.prox(self._before(self.point), 1.0 / self.h)
        p = np.zeros(len(self.local.root))
        p[: len(self.root)] = self.root * (after - self.point.W).T.ravel()
        return p

    def newton(self) -> Array:
        """The Newton step in lengths; S is definite."""
        p = self._across()
        if not self.N.shape[1]:
            return p
        right = self.N.T @ (self.gradient + self.local.S @ p)
        step: Array = p - self.N @ sl.solve(self.S, right, assume_a="pos", check_finite=False)
        return step

    def change(self, step: Array) -> float:
        """By how much S changes over a step: that of the rest of J, of C, and of the tangent that turns."""
        there = self._space(self.local.moved(step))
        if len(there.bend) != len(self.space.bend):
            return math.inf
        here, away = ((space.Q @ space.C) @ space.Q.T for space in (self.space, there))
        turned = np.linalg.norm(self.space.Q @ self.space.Q.T - there.Q @ there.Q.T)
        bent = float(np.linalg.norm(here - away)) + 2.0 * self._norm() * float(turned)
        return self.local.change(step) + bent

    def rounding(self, smallest: float) -> float:
        """How far the point of the Newton step can be off by rounding, in lengths."""
        W, g, Z = self.point.W, self.point.smooth_gradient_W, self.point.subgradient_W
        sizes = (np.abs(W) + (np.abs(g) + np.abs(Z)) / self.h).T.ravel()
        across = 4.0 * _EPS * float(np.linalg.norm(self.root * sizes))
        pull = 16.0 * _EPS * float(np.linalg.norm(Z.T.ravel() / self.root))
        along = self.local.gradient_rounding() + pull + self._norm() * across
        return across + (along / smallest if self.N.shape[1] else 0.0)

    def touching(self, reach: float) -> str:
        """That the prox may change its structure within `reach`, in words; "" where it may not."""
        margin = self.omega.margin(self._before(self.point), 1.0 / self.h)
        if margin is None:
            return f"how far {self.omega.name} is from another structure of W is not known (`margin`)"
        move = reach * (1.0 / float(self.root.min()) + self._norm() * float(self.root.max()) / self.h)
        if margin > move:
            return ""
        return (
            f"{self.omega.name} keeps what it has made of W while W less its gradient over {self.h:.2g} moves"
            f" by less than {margin:.1g}, and within twice the Newton step it can by up to"
            f" {rounded_up(move, 1)}: strict complementarity is not certain"
        )

    def _norm(self) -> float:
        """A bound of |S| of the rest of J."""
        return self.local.norm
