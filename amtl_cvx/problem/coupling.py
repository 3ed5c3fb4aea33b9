r"""The coupling term and what makes it: coupling ||W M||_F^2, M = I - B.

    R = W - W B                          what the term makes small, (d, T)
    slope in W    2 coupling R M'        = 2 coupling W P,  P = M M'
    slope in B    -2 coupling W'R
    curvature     2 coupling P (x) I     in vec(W), tasks stacked

`Point` keeps each of them, so that one point computes it once.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.tasks import Array

NEARLY_SINGULAR = 1e-3
"""Smallest singular value of I - B from which on the blocks may hide what a move of both gains."""


def difference(B: Array) -> Array:
    """M = I - B, (T, T)."""
    M: Array = np.eye(len(B)) - B
    return M


def residual(W: Array, B: Array) -> Array:
    """R = W - W B, (d, T)."""
    R: Array = W - W @ B
    return R


def slope_W(coupling: float, R: Array, M: Array) -> Array:
    """The gradient of the term in W, (d, T)."""
    slope: Array = 2.0 * coupling * (R @ M.T)
    return slope


def slope_B(coupling: float, W: Array, R: Array) -> Array:
    """The gradient of the term in B, (T, T)."""
    slope: Array = -2.0 * coupling * (W.T @ R)
    return slope


def between_tasks(M: Array, coupling: float) -> Array:
    """2 coupling M M', (T, T): times I it stands between the tasks, M (T, k)."""
    P: Array = 2.0 * coupling * (M @ M.T)
    return P


def stacked_hessian(blocks: Array, M: Array, coupling: float) -> Array:
    """blockdiag(blocks) + 2 coupling M M' (x) I, (T d, T d), of blocks (T, d, d), M (T, k)."""
    T, d, _ = blocks.shape
    H = np.zeros((T, d, T, d), dtype=blocks.dtype)
    tasks, features = np.arange(T), np.arange(d)
    H[:, features, :, features] = between_tasks(M, coupling)
    H[tasks, :, tasks, :] += blocks
    return H.reshape(T * d, T * d)
