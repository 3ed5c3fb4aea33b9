"""Penalties on W with kinks, one case each, and their formulas in loops."""

from __future__ import annotations

import numpy as np
from cases import Array

from amtl_cvx.weights import (
    L1,
    L21,
    Fused,
    Laplacian,
    MeanRegularised,
    QuadraticPenalty,
    Ridge,
    TraceNorm,
    TraceNormSquared,
    WeightPenalty,
)

KINKED: tuple[WeightPenalty, ...] = (
    L1(rho=0.4),
    L21(rho=0.4),
    TraceNorm(rho=0.4),
    TraceNormSquared(rho=0.2),
    Fused(rho=0.4),
    Fused(rho=0.4, order=(2, 0, 1)),
)
CHAIN = ((0, 1, 0.3), (2, 1, 2.0))
QUADRATIC: tuple[QuadraticPenalty, ...] = (
    Ridge(rho=0.3),
    MeanRegularised(rho=0.6),
    Laplacian(rho=0.5, edges=CHAIN),
)
EVERY = (*KINKED, *QUADRATIC)


def literal(omega: WeightPenalty, W: Array) -> float:
    """Omega by its formula, in loops."""
    rows, rho = W.tolist(), omega.rho
    if isinstance(omega, L1):
        return rho * sum(abs(w) for row in rows for w in row)
    if isinstance(omega, L21):
        return rho * sum(sum(w * w for w in row) ** 0.5 for row in rows)
    if isinstance(omega, TraceNorm | TraceNormSquared):
        d, T = W.shape
        both = np.block([[np.zeros((d, d)), W], [W.T, np.zeros((T, T))]])  # eigenvalues: +- singular values
        total = 0.5 * float(np.abs(np.linalg.eigvalsh(both)).sum())
        return rho * total if isinstance(omega, TraceNorm) else rho * total**2
    if isinstance(omega, Fused):
        order = omega.order or range(W.shape[1])
        return rho * sum(abs(row[s] - row[t]) for row in rows for s, t in zip(order, order[1:], strict=False))
    if isinstance(omega, Laplacian):
        return rho * sum(a * (row[s] - row[t]) ** 2 for row in rows for s, t, a in CHAIN)
    centre = 0.0 if isinstance(omega, Ridge) else W.mean(axis=1, keepdims=True)
    return rho * float(((W - centre) ** 2).sum())


def gamma(omega: QuadraticPenalty) -> Array:
    """Gamma (3, 3) by its formula."""
    if isinstance(omega, Ridge):
        return np.eye(3)
    if isinstance(omega, MeanRegularised):
        return np.eye(3) - 1.0 / 3.0
    return np.array([[0.3, -0.3, 0.0], [-0.3, 2.3, -2.0], [0.0, -2.0, 2.0]])
