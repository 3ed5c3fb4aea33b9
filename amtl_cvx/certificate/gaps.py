"""Duality gaps: how much a move of one block alone can still gain (see the package's essay)."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg as sl

from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet

DENSE_LIMIT = 6000
"""Largest T*d for which the exact gap of the W-step (a dense T*d factorisation) is computed."""


def weight_gap(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[float | None, bool, str]:
    """How much a move of W alone can gain: the gap, whether it is exact, the reason where there is none."""
    if model.loss.quadratic:
        exact = weight_gain(tasks, model, W, B)
        if exact is not None and math.isfinite(exact):
            return exact, True, ""
    M = np.eye(tasks.T) - B
    singular = np.linalg.svd(M, compute_uv=False)
    if singular[-1] <= tasks.T * np.finfo(float).eps * singular[0]:
        return (
            None,
            False,
            f"I - B is singular (smallest singular value {singular[-1]:.1e}), the bound is infinite",
        )
    gradient = model.gradient_W(tasks, W, B)
    return float((np.linalg.solve(M, gradient.T) ** 2).sum()) / (4.0 * model.coupling), False, ""


def weight_gain(tasks: TaskSet, model: Model, W: Array, B: Array) -> float | None:
    """(1/2) g'H^-1 g: what a move of W alone gains, exact for a quadratic loss, else to second order.

    Infinite where H is numerically singular along g; None above `DENSE_LIMIT`.
    """
    if tasks.T * tasks.d > DENSE_LIMIT:
        return None
    H = model.hessian_W(tasks, W, B)
    g = model.gradient_W(tasks, W, B).T.ravel()
    try:
        return 0.5 * float(g @ sl.cho_solve(sl.cho_factor(H, lower=True), g))
    except sl.LinAlgError:
        values, vectors = np.linalg.eigh(H)
        parts = vectors.T @ g
        kept = values > len(g) * np.finfo(float).eps * values[-1]
        noise = len(g) * np.finfo(float).eps * float(np.abs(H @ W.T.ravel()).max())
        if np.abs(parts[~kept]).max(initial=0.0) > noise:
            return math.inf
        return 0.5 * float((parts[kept] ** 2 / values[kept]).sum())


def transfer_gap(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[float | None, str]:
    """How much a move of B alone can gain, summed over columns; None with the reason where not available."""
    prices = model.transfer.prices(model.weighted_losses(tasks, W))
    if prices is None:
        return None, f"{type(model.transfer).__name__} has no closed-form dual"
    total = 0.0
    for t in range(tasks.T):
        others = np.arange(tasks.T) != t
        total += _column_gap(W[:, others], W[:, t], B[others, t], prices[others], model.coupling)
    return total, ""


def _column_gap(A: Array, w: Array, b: Array, p: Array, coupling: float) -> float:
    """Gap of one B-step column, the best of three dual bounds.

    Two are those of CERTIFICATES section 2: the residual scaled until it is dual feasible, and the unscaled
    one with a box for b. The third moves theta = 2 coupling r by the shortest delta with A'delta = v, v the
    excess of A'theta over p: theta - delta is feasible, and with q = p - A'theta
    P - D = b'max(q, 0) + ||delta||^2 / (4 coupling).
    """
    if not len(b):
        return 0.0
    b = np.maximum(b, 0.0)
    r = w - A @ b
    rr = float(r @ r)
    slope = 2.0 * coupling * (A.T @ r)
    scale = max(0.0, float(r @ w) / rr) if rr > 0 else 0.0
    if (slope > 0).any():
        scale = min(scale, float((p[slope > 0] / slope[slope > 0]).min()))
    scaled = coupling * (1.0 - scale) ** 2 * rr + float(b @ np.maximum(p - scale * slope, 0.0))
    if scale >= 1.0:
        return scaled
    excess = np.maximum(slope - p, 0.0)
    bound = np.divide(coupling * float(w @ w), p, out=np.full_like(p, np.inf), where=p > 0)
    shifted = math.inf
    if len(b) <= len(w):
        delta, _, rank, singular = np.linalg.lstsq(A.T, excess, rcond=None)
        if rank == len(b):
            bound = np.minimum(bound, float(np.linalg.norm(w)) / float(singular[-1]))
            shifted = float(b @ np.maximum(p - slope, 0.0)) + float(delta @ delta) / (4.0 * coupling)
    boxed = float(b @ (p - slope)) + float((bound[excess > 0] * excess[excess > 0]).sum())
    return min(scaled, max(boxed, 0.0), shifted)


def free_edges(tasks: TaskSet, model: Model, W: Array, B: Array) -> str:
    """Why J may have no minimum near this point, "" where there is no sign of it.

    A task that can be fitted without loss (separable labels, n_t < d) has edges that cost nothing in the
    limit; a cycle among such tasks drives the spectral radius of B to 1, I - B to a singular matrix and W to
    infinity.
    """
    at_zero = model.losses(tasks, np.zeros_like(W))
    perfect = [tasks.names[t] for t in np.flatnonzero(model.losses(tasks, W) <= 1e-2 * at_zero)]
    smallest = float(np.linalg.svd(np.eye(tasks.T) - B, compute_uv=False)[-1])
    if not perfect or smallest > 1e-3:
        return ""
    names = ", ".join(repr(name) for name in perfect[:3]) + (", ..." if len(perfect) > 3 else "")
    return (
        f"{names} can be fitted almost without loss, so edges out of it cost nothing, and I - B is nearly"
        f" singular ({smallest:.1e}): J may have no minimum here; give the task more rows, fewer features, or"
        " drop it"
    )
