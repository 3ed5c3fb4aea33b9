r"""The Newton step of the W-step, H x = g: what it gains to second order, its length, the condition of H.

H = blockdiag(blocks) + 2 coupling K K' (x) I is factored in doubles (`factor`). Nothing that is proved needs
this factor where the duality gap is next to nothing; then a factor in single precision, which takes half the
time, does for a large H that is known not to be badly conditioned: the step is refined in doubles,

    x <- x + (L L')^-1 r,   r = g - H x,    until r is rounding,    g'H^-1 g = (g + r)'x + r'H^-1 r

(Wilkinson's iterative refinement), and the condition is estimated from L to its first digits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays.cholesky import solved
from amtl_cvx.certificate.factor import Factor, cholesky_factor
from amtl_cvx.certificate.slope import EPS
from amtl_cvx.problem.coupling import stacked_hessian
from amtl_cvx.tasks import Array

ROUGH_SIZE = 800
"""T d from which on single precision saves time."""
_ROUGH = 1e5  # condition up to which it has digits to spare
_REFINED = 8
_REST = 1e-13  # of the largest entry of g: what is left when a step is refined


class Newton(NamedTuple):
    """H^-1 g and what comes with it; `gain` is infinite where H is singular along g."""

    gain: float
    step: float
    condition: float
    smallest: float
    """About the smallest eigenvalue of H, from below."""
    factor: Factor | None


def newton_step(blocks: Array, K: Array, coupling: float, gradient: Array, W: Array) -> Newton:
    """The Newton step of the W-step and the condition of its system."""
    H, g = stacked_hessian(blocks, K, coupling), gradient.T.ravel()
    if not (np.isfinite(g).all() and np.isfinite(H).all()):
        return Newton(math.inf, math.inf, math.inf, 0.0, None)
    factor = cholesky_factor(H)
    if factor is None:
        singular = _singular_gain(blocks, K, coupling, gradient, W)
        return Newton(singular, math.inf, math.inf, 0.0, None)
    step = solved(factor.lower, g)
    gain = 0.5 * float(g @ step)
    return Newton(gain, float(np.linalg.norm(step)), factor.condition, factor.smallest, factor)


def _singular_gain(blocks: Array, K: Array, coupling: float, gradient: Array, W: Array) -> float:
    """(1/2) g'H^+ g of a numerically singular H; infinite where g has a part in its kernel.

    A large H is not taken apart into eigenvalues: without what joins tasks every block is, else a factor
    with pivots tells the kernel from the rest.
    """
    (T, d, _), joined = blocks.shape, coupling > 0.0 and K.any()
    if not joined:
        image = (blocks @ W.T[:, :, None])[:, :, 0]
        values, vectors = np.linalg.eigh(blocks)
        parts = np.einsum("tij,it->tj", vectors, gradient)
        return _gain_of(values, parts, T * d, float(np.abs(image).max()))
    H, g = stacked_hessian(blocks, K, coupling), gradient.T.ravel()
    most = float(np.abs(H @ W.T.ravel()).max())
    if len(g) <= ROUGH_SIZE:
        values, vectors = np.linalg.eigh(H)
        return _gain_of(values, vectors.T @ g, len(g), most)
    return _pivoted_gain(H, g, most)


def _gain_of(values: Array, parts: Array, n: int, most: float) -> float:
    """The same from eigenvalues and the parts of g along them; `most` is the largest entry of H W."""
    kept = values > n * EPS * values.max()
    if np.abs(parts[~kept]).max(initial=0.0) > n * EPS * most:
        return math.inf
    return 0.5 * float((parts[kept] ** 2 / values[kept]).sum())


def _pivoted_gain(H: Array, g: Array, most: float) -> float:
    """The same by a Cholesky factor with pivots, P'HP = L L' but for its last rows, which are rounding."""
    n = len(g)
    lower, pivots, rank, _ = sl.lapack.dpstrf(H.T, lower=1, tol=n * EPS * float(np.diag(H).max()))
    places, step = pivots[:rank] - 1, np.zeros(n)
    step[places] = solved(np.asfortranarray(lower[:rank, :rank]), g[places])
    rest = g - H @ step
    if np.abs(rest).max() > n * EPS * (most + float(np.abs(H @ np.abs(step)).max())):
        return math.inf
    return 0.5 * float((g + rest) @ step)


def rough_newton(blocks: Array, K: Array, coupling: float, gradient: Array, roots: Array) -> Newton | None:
    """The same without a factor, from one in single precision; None where H may be too badly conditioned.

    `roots` (T, d, d) are those of bounds of the blocks of H^-1 (`gains.block_decrement`), so that no
    eigenvalue of H is below 1 / max ||K_t||^2.
    """
    single = np.float32
    H = stacked_hessian(blocks.astype(single), K.astype(single), coupling)
    norm = float(sl.lapack.slange("1", H.T))
    g, size = gradient.T, float(np.abs(gradient).max())
    if not (math.isfinite(size) and norm * float((roots * roots).sum(axis=(1, 2)).max()) <= _ROUGH):
        return None
    lower, failed = sl.lapack.spotrf(H.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        return None
    inverse, _ = sl.lapack.spocon(lower, norm, uplo="L")
    step, rest, left = np.zeros_like(g), g, size
    for _ in range(_REFINED):
        if left <= _REST * size:
            gain = 0.5 * float(((g + rest) * step).sum())
            return Newton(
                gain, float(np.linalg.norm(step)), 1.0 / float(inverse), norm * float(inverse), None
            )
        move, _ = sl.lapack.spotrs(lower, (rest / left).astype(single).ravel(), lower=1)
        step = step + left * np.asarray(move, dtype=np.float64).reshape(g.shape)
        rest = g - (blocks @ step[:, :, None])[:, :, 0] - 2.0 * coupling * (K @ (K.T @ step))
        left = float(np.abs(rest).max())
    return None
