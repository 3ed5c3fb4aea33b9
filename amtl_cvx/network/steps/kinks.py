r"""The joint model of a point near its kinks as a CVXPY problem: the definition of what `kink_qp` solves.

    min over d of   g'd + 1/2 d'H d + sum_m w_m max(u_m + a_m'd, 0) + sum_e p_e |x_e + d_e|

H (n, n) is positive definite, w >= 0 are the weights of kinks with the values u and the normals a. At the
minimum  g + H d + sum_m theta_m a_m + p-part = 0  with theta_m in [0, w_m]: theta are the multipliers of
max >= u + a'd, those of max >= 0 are w - theta.
"""

from __future__ import annotations

from typing import NamedTuple

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.solvers import AUTO, Backend, Solved, check_dpp, solve


class KinkModel(NamedTuple):
    """The numbers of the problem."""

    H: Array
    """(n, n)"""
    g: Array
    """(n,)"""
    normals: Array
    """a, (m, n)"""
    values: Array
    """u, (m,)"""
    weights: Array
    """w >= 0, (m,)"""
    x: Array
    """(n,)"""
    prices: Array
    """p >= 0, (n,)"""

    def value(self, d: Array) -> float:
        """What is minimised, at d (n,)."""
        kinks = self.weights @ np.maximum(self.values + self.normals @ d, 0.0)
        return float(self.g @ d + 0.5 * d @ self.H @ d + kinks + self.prices @ np.abs(self.x + d))


class KinkMinimum(NamedTuple):
    """The minimum (n,), the multipliers theta (m,), and how it was solved."""

    d: Array
    theta: Array
    solved: Solved


class KinkProblem:
    """The compiled problem of n unknowns and m kinks."""

    def __init__(self, n: int, m: int) -> None:
        self.H, self.g, self.x, self.p = (cp.Parameter(shape) for shape in ((n, n), n, n, n))
        self.a, self.u, self.w = (
            cp.Parameter((max(m, 1), n)),
            cp.Parameter(max(m, 1)),
            cp.Parameter(max(m, 1)),
        )
        self.d, size, over = cp.Variable(n), cp.Variable(n), cp.Variable(max(m, 1))
        e = cp.Variable()
        self.above = over >= self.u + self.a @ self.d
        limits = [
            e == self.g @ self.d + self.p @ size + self.w @ over,
            self.x + self.d <= size,
            -size <= self.x + self.d,
            self.above,
            over >= 0,
        ]
        objective = 0.5 * cp.quad_form(self.d, cp.psd_wrap(self.H)) + e
        self.kinks = m
        self.problem = check_dpp(cp.Problem(cp.Minimize(objective), limits), "the kink problem")

    def minimise(self, model: KinkModel, backend: Backend = AUTO) -> KinkMinimum:
        """Its minimum; `SolveError` if no solver of the chain gives an answer."""
        self.H.value, self.g.value, self.x.value, self.p.value = model.H, model.g, model.x, model.prices
        none = not self.kinks
        self.a.value = np.zeros(self.a.shape) if none else model.normals
        self.u.value = np.zeros(1) if none else model.values
        self.w.value = np.zeros(1) if none else model.weights
        solved = solve(self.problem, step="kinks", backend=backend)
        theta = np.asarray(self.above.dual_value, dtype=float).reshape(-1)[: self.kinks]
        return KinkMinimum(np.array(self.d.value, dtype=float), theta, solved)
