"""Penalties on W with kinks: formulas in loops and a conic solver against what the package makes of them."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from omega_cases import KINKED, literal

from amtl_cvx.weights import Fused
from checks.points import close


def kinked_omegas_are_their_formulas() -> None:
    """Value, expression, prox, subgradient, conjugate and what is clipped into its domain."""
    rng = np.random.default_rng(4)
    for omega in KINKED:
        W, V = rng.normal(size=(2, 4, 3))
        assert close(omega.value(W), literal(omega, W), 1e-12)
        assert close(omega.expression(W).value, literal(omega, W), 1e-12)
        U = cp.Variable((4, 3))
        cp.Problem(cp.Minimize(omega.expression(U) + cp.sum_squares(U - V) / 0.6)).solve(solver="CLARABEL")
        P, Z = omega.prox(V, 0.3), omega.subgradient(V, 0.3)
        assert np.abs(P - U.value).max() <= 1e-6 and np.abs(V - P - 0.3 * Z).max() <= 1e-13
        assert abs(literal(omega, P) + omega.conjugate(Z) - float((Z * P).sum())) <= 1e-12
        norm = omega.name != "trace-squared"  # of a norm the conjugate is 0 or infinite
        assert not norm or omega.conjugate(1.01 * Z + 1e-3) == np.inf
        inside = omega.clip(5.0 * V)
        assert np.isfinite(omega.conjugate(inside)) and np.abs(omega.clip(inside) - inside).max() <= 1e-13


def lines_of_steps_are_least() -> None:
    """Total variation by its optimality: the sums U of v - x are within the cut, at it where x steps."""
    rng = np.random.default_rng(6)
    for T in (2, 3, 9, 40):
        for cut in (0.05, 0.6, 30.0):
            V = np.cumsum(rng.normal(size=(5, T)), axis=1)
            X = Fused(rho=cut).prox(V, 1.0)
            U, steps = np.cumsum(V - X, axis=1), np.sign(np.diff(X, axis=1))
            assert np.abs(U[:, -1]).max() <= 1e-12 * T and np.abs(U).max() <= cut + 1e-12
            assert np.abs((U[:, :-1] + cut * steps)[steps != 0.0]).max(initial=0.0) <= 1e-12
