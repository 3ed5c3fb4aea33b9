r"""The steps of a formula, solved: dense and small, to recompute what a mistaken method would have given.

W-step     Newton on G_W = 0; its matrix blockdiag(Hess) + Q' (x) I, Q = 2 coupling first second'
B-step     columns by the active-set method, or by least squares where B may be negative
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.problem.active_set import nonnegative_columns
from amtl_cvx.reference.judge.causes.formula import Formula

LARGEST = 400
"""Most unknowns of W that are solved for."""
_STEPS = 60
_ENOUGH = 1e-13


def best_W(formula: Formula, B: Array, start: Array, *, task: int | None = None) -> Array | None:
    """The W (d, T) with G_W = 0, that of `task` alone where one is given; None where it is not found."""
    d, T = start.shape
    if d * T > LARGEST or formula.norm != "squared":
        return None
    W = np.array(start, dtype=float)
    columns = range(T) if task is None else (task,)
    for _ in range(_STEPS):
        G = formula.gradient_W(W, B)[:, list(columns)]
        miss = float(np.abs(G).max())
        if not np.isfinite(miss):
            return None
        if miss <= _ENOUGH * float(formula.size_W(W, B)[:, list(columns)].max()):
            return W
        try:
            solved = np.linalg.solve(_matrix(formula, W, B, tuple(columns)), -G.T.ravel())
        except np.linalg.LinAlgError:
            return None
        move: Array = solved.reshape(len(columns), d).T.astype(np.float64)
        W, moved = _moved(formula, W, B, tuple(columns), move, miss)
        if not moved:
            return W if miss <= 1e-9 * float(formula.size_W(W, B)[:, list(columns)].max()) else None
    return None


def _moved(
    formula: Formula, W: Array, B: Array, columns: tuple[int, ...], move: Array, miss: float
) -> tuple[Array, bool]:
    """W after the longest part of the move that makes the gradient smaller."""
    length = 1.0
    while length > 1e-6:
        trial = W.copy()
        trial[:, list(columns)] += length * move
        now = float(np.abs(formula.gradient_W(trial, B)[:, list(columns)]).max())
        if now < miss:
            return trial, True
        length /= 2.0
    return W, False


def _matrix(formula: Formula, W: Array, B: Array, columns: tuple[int, ...]) -> Array:
    """The derivative of the stacked columns of G_W by the stacked columns of W."""
    d = len(W)
    first, second = formula.between(B)
    Q = 2.0 * formula.coupling * formula.slope_of_coupling * (first @ second.T)
    H: Array = np.kron(Q.T[np.ix_(columns, columns)], np.eye(d)).astype(np.float64)
    H += 2.0 * formula.ridge * np.eye(len(H))
    sums = formula.edges(B)
    for k, t in enumerate(columns):
        H[k * d : (k + 1) * d, k * d : (k + 1) * d] += formula.curvature(t, W, float(sums[t]))
    return H


def best_B(formula: Formula, W: Array, *, free: bool = False) -> Array | None:
    """The best B (T, T) for W, without B >= 0 where `free`; None where it is not found."""
    T = formula.T
    if formula.coupling <= 0.0:
        return np.zeros((T, T))
    if formula.norm != "squared" or T == 1:
        return None
    prices = formula.price_matrix(W)
    K = W.T @ W
    Q = K - (prices.T if formula.transposed else prices) / (
        2.0 * formula.coupling * formula.slope_of_coupling
    )
    if free:
        B = np.zeros((T, T))
        for t in range(T):
            others = np.arange(T) != t
            B[others, t] = np.linalg.lstsq(K[np.ix_(others, others)], Q[others, t], rcond=1e-12)[0]
    else:
        B, settled = nonnegative_columns(K, Q, np.zeros((T, T)))
        if not settled:
            return None
    return B.T if formula.transposed else B
