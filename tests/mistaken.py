"""A small question, and AMTL written once more in plain loops with places for mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import nnls

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.reference.judge.asked import Asked

Array = np.ndarray[Any, Any]


def asked(ask: str, *, loss: str = "squared", reduction: str = "mean", **given: Any) -> Asked:
    """Four tasks of different sizes, three features, weights of rows and tasks; edges everywhere."""
    rng = np.random.default_rng(7)
    sizes, d = (4, 6, 7, 5), 3
    X = [rng.integers(-16, 17, (n, d)) / 8.0 for n in sizes]
    W = rng.integers(4, 17, (d, 1)) / 8.0 + rng.integers(-4, 5, (d, 4)) / 8.0
    y = [x @ w + rng.integers(-2, 3, len(x)) / 8.0 for x, w in zip(X, W.T, strict=True)]
    if loss != "squared":
        y = [np.where(each > np.median(each), 1.0, -1.0) for each in y]
    tasks = TaskSet.from_arrays(X, y, sample_weight=[rng.integers(1, 4, n).astype(float) for n in sizes])
    model = Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=LossWeightedL1(mu=0.0625 if reduction == "mean" else 0.015625),
        coupling=0.75,
        task_weights=(1.0, 1.5, 0.75, 2.0),
    )
    B = rng.integers(1, 7, (4, 4)) / 16.0
    np.fill_diagonal(B, 0.0)
    points = {"W": W + rng.integers(-2, 3, (d, 4)) / 8.0, "B": B, **given}
    return Asked.of(Problem(tasks, model), ask, **points)


def total(
    question: Asked,
    W: Array,
    B: Array,
    *,
    row: Callable[[Array, Array], Array] | None = None,
    scale: Callable[[Array], float] | None = None,
    price: Callable[[float], float] = lambda value: value,
    edges: int = 1,
    mu: float | None = None,
    own: float = 1.0,
    coupling: float = 1.0,
    power: float = 2.0,
    seen: Callable[[Array], Array] = lambda B: B,
    weights: bool = True,
    first: bool = False,
) -> float:
    """J as it is written, with places for mistakes."""
    losses = []
    for t in range(question.T):
        X, y = question.X[t], question.y[t]
        v = np.ones(len(y)) if question.sample_weight is None else question.sample_weight[t]
        v = v if weights else np.ones(len(y))
        z = X @ W[:, t]
        phi = _row(question, row)(z, y)
        by = (1.0 / v.sum() if question.reduction == "mean" else 1.0) if scale is None else scale(v)
        losses.append(own * (float(phi[0]) if first else float(by * (v @ phi))))
    mu = question.mu if mu is None else mu
    c, out = question.task_weights, B.sum(axis=edges)
    J = sum(c[t] * (losses[t] + mu * price(losses[t]) * out[t]) for t in range(question.T))
    R = W - W @ seen(B)
    return float(J + coupling * question.coupling * np.sqrt((R**2).sum()) ** power)


def _row(question: Asked, row: Callable[[Array, Array], Array] | None) -> Callable[[Array, Array], Array]:
    if row is not None:
        return row
    if question.loss == "squared":
        return lambda z, y: (z - y) ** 2
    return lambda z, y: np.log1p(np.exp(-y * z))


def slopes(value: Callable[[Array], float], at: Array) -> Array:
    """Central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(*at.shape):
        moved = np.zeros_like(at)
        moved[place] = 2.0**-14
        found[place] = (value(at + moved) - value(at - moved)) / 2.0**-13
    return found


def best_W(question: Asked, B: Array, a: Array, *, cross: bool = True, coupling: float = 1.0) -> Array:
    """The W-step of the squared loss in one system of equations."""
    d, T = question.W.shape
    M = np.eye(T) - B
    H = np.kron(coupling * question.coupling * (M @ M.T if cross else M.T), np.eye(d))
    right = np.zeros(d * T)
    for t in range(T):
        v = question.sample_weight[t] if question.sample_weight else np.ones(len(question.y[t]))
        part, own = slice(t * d, t * d + d), a[t] * v / v.sum()
        H[part, part] += question.X[t].T @ (own[:, None] * question.X[t])
        right[part] = question.X[t].T @ (own * question.y[t])
    return np.linalg.solve(H, right).reshape(T, d).T


def weights(question: Asked, B: Array, axis: int = 1, mu: float | None = None) -> Array:
    """a_t."""
    found: Array = question.task_weights * (1.0 + (question.mu if mu is None else mu) * B.sum(axis=axis))
    return found


def best_B(question: Asked, W: Array, *, price: float = 1.0, mu: float = 1.0, free: bool = False) -> Array:
    """The B-step: each column a problem of non-negative least squares, the prices as further rows."""
    T, found = question.T, np.zeros((question.T, question.T))
    p = mu * question.mu * question.task_weights * losses(question, W) * price
    for t in range(T):
        others = [s for s in range(T) if s != t]
        A, q = W[:, others], W[:, others].T @ W[:, t] - p[others] / (2.0 * question.coupling)
        if free:
            found[others, t] = np.linalg.pinv(A.T @ A) @ q
            continue
        L = np.linalg.cholesky(A.T @ A + 1e-13 * np.eye(T - 1))
        found[others, t] = nnls(L.T, np.linalg.solve(L, q), maxiter=1000)[0]
    return found


def losses(question: Asked, W: Array) -> Array:
    """l_t of the squared loss."""
    found = []
    for t in range(question.T):
        v = question.sample_weight[t] if question.sample_weight else np.ones(len(question.y[t]))
        found.append(float(v @ (question.X[t] @ W[:, t] - question.y[t]) ** 2 / v.sum()))
    return np.array(found)


def alternated(question: Asked, rounds: int, **mistakes: Any) -> tuple[Array, Array, list[float]]:
    """Exact half-steps from B, some with a mistake."""
    W, B, said = question.W, question.B, []
    axis, price, stale = mistakes.get("axis", 1), mistakes.get("price", 1.0), mistakes.get("stale", False)
    for _ in range(rounds):
        before, last = W, B
        W = best_W(question, B, weights(question, B, axis=axis))
        said.append(total(question, W, B))
        ratio = losses(question, before) / losses(question, W) if stale else np.ones(4)
        B = best_B(question, W, price=price * ratio)
        said.append(total(question, W, B))
        if np.abs(B - last).max() < 1e-14:
            break
    return W, B, said


def empty(ask: str, **given: Any) -> Asked:
    """Begun at the empty graph."""
    return asked(ask, B=np.zeros((4, 4)), **given)
