r"""The last digits of a fit: projected Newton on Phi(B) = min over W of J(W, B).

    grad Phi = G_B at the W of the W-step
    Hessian  = H_BB - H_BW H_WW^-1 H_WB on the free entries, shifted where it is not positive definite
    d^2 J / dB_st dw_u  = [u = s] (mu c_s grad L_s - 2 coupling r_t) - 2 coupling M_ut w_s, M = I - B, R = W M
    d^2 J / dB_st dB_pt = 2 coupling w_s'w_p

An entry is fixed where B <= G_B / h_s, h_s = 2 coupling ||w_s||^2: a step of projected gradients would put it
to 0, which is where it goes. Along the projected step Phi may not rise, so a fit stays in the basin where the
alternation left it, or falls into a lower one beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_solve

from backends.terms import Array, Given


def finish(steps: Any, p: Given, W: Array, B: Array) -> tuple[Array, Array]:
    """The first-order point next to W, B, W being the best for B; the best point seen where there is none."""
    best, least, lowest, idle = (W, B), np.inf, np.inf, 0
    for _ in range(300):
        prices = steps.prices(p, steps.values(p, W))
        error, J = steps.error_B(p, W, B, prices), steps.objective(p, W, B)
        idle = 0 if error < 0.95 * least or lowest - J > 1e3 * p.eps * lowest else idle + 1
        if error < least:
            best, least = (W, B), error
        if error <= 4 * p.eps or idle > 8:
            break
        lowest = min(J, lowest)
        G = steps.gradient_B(p, W, B, prices)
        W, B = _searched(steps, p, W, B, G, _direction(steps, p, W, B, G))
    return best


def _direction(steps: Any, p: Given, W: Array, B: Array, G: Array) -> Array:
    """The Newton step on the free entries, to 0 on the others."""
    h = 2 * p.coupling * (W**2).sum(axis=0)[:, None]
    free = h * B > G
    np.fill_diagonal(free, False)
    D = np.where(free, 0, -B)
    if free.any():
        H = _reduced(steps, p, W, B, np.argwhere(free))
        D[free] = -cho_solve(steps.factored(H), G[free])
    return D


def _reduced(steps: Any, p: Given, W: Array, B: Array, free: Array) -> Array:
    """The Hessian of Phi on the free entries."""
    M, R = steps.mix(B), steps.residual(W, B)
    own = p.mu * p.c * steps.slopes(p, W)
    cross = np.zeros((len(free), p.T, p.d), dtype=W.dtype)
    for k, (s, t) in enumerate(free):
        cross[k] = -2 * p.coupling * np.outer(M[:, t], W[:, s])
        cross[k, s] += own[:, s] - 2 * p.coupling * R[:, t]
    cross = cross.reshape(len(free), -1)
    s, t = free[:, 0], free[:, 1]
    H = 2 * p.coupling * (W.T @ W)[np.ix_(s, s)] * (t[:, None] == t[None, :])
    return H - cross @ cho_solve(steps.factored(steps.hessian_W(p, W, B)), cross.T)


def _searched(steps: Any, p: Given, W: Array, B: Array, G: Array, D: Array) -> tuple[Array, Array]:
    """The first point along the projected step where Phi falls enough, or at least not rises."""
    before = steps.objective(p, W, B)
    length = 1.0
    for _ in range(30):
        new = steps.project(B + length * D)
        best = steps.best_W(p, W, new)
        slope = float((G * (new - B)).sum())
        if steps.objective(p, best, new) <= before + 1e-4 * slope + 16 * p.eps * abs(before):
            return best, new
        length /= 2
    return W, B
