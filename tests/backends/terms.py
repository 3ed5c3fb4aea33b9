r"""The terms of J in NumPy, one method each, so that a broken back end can change one and keep the rest.

    J(W, B) = sum_t a_t L_t(w_t) + coupling ||W - W B||_F^2,    a_t = c_t (1 + mu sum_u B[t, u])
    G_W     = a_t grad L_t(w_t) + 2 coupling (W P)_t,           P = (I - B)(I - B)'
    G_B     = mu c_s L_s - 2 coupling w_s'(w_t - W b_t)         off the diagonal

L_t is the sum over rows of v_i phi(x_i'w; y_i), over the sum of the v_i where the reduction is "mean".
Nothing here is taken from amtl_cvx: a back end is judged by it and cannot lean on it.

Every array has the dtype that was asked for and every number is a Python float, so float32 stays float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Given:
    """What a back end is asked, as arrays of its dtype: rows, their weights, the options of the model."""

    X: list[Array]
    y: list[Array]
    v: list[Array]
    c: Array
    coupling: float
    mu: float
    loss: str
    mean: bool

    @property
    def T(self) -> int:
        return len(self.X)

    @property
    def d(self) -> int:
        return int(self.X[0].shape[1])

    @property
    def eps(self) -> float:
        return float(np.finfo(self.c.dtype).eps)


def square(z: Array, y: Array) -> Array:
    return (z - y) ** 2


def square_slope(z: Array, y: Array) -> Array:
    return 2 * (z - y)


def square_curvature(z: Array, y: Array) -> Array:
    return np.full_like(z, 2)


def logistic(z: Array, y: Array) -> Array:
    return np.logaddexp(0, -y * z).astype(z.dtype)


def _sigmoid(m: Array) -> Array:
    return np.exp(-np.logaddexp(0, -m)).astype(m.dtype)


def logistic_slope(z: Array, y: Array) -> Array:
    return -y * _sigmoid(-y * z)


def logistic_curvature(z: Array, y: Array) -> Array:
    return y**2 * _sigmoid(y * z) * _sigmoid(-y * z)


ROWS: dict[str, tuple[Callable[[Array, Array], Array], ...]] = {
    "squared": (square, square_slope, square_curvature),
    "logistic": (logistic, logistic_slope, logistic_curvature),
}
"""phi, phi' and phi'' of one row."""


class Terms:
    """J and its derivatives, each from the terms above it."""

    def given(self, asked: Any) -> Given:
        """The problem in the dtype asked for; `ValueError` where it is none."""
        kind = np.dtype(asked.dtype)
        weights = asked.sample_weight
        ones = [np.ones(len(y)) for y in asked.y]
        X, y, v = (
            [np.array(each, dtype=kind) for each in arrays]
            for arrays in (asked.X, asked.y, ones if weights is None else weights)
        )
        c = np.array(asked.task_weights, dtype=kind)
        options = (float(asked.coupling), float(asked.mu), str(asked.loss), asked.reduction == "mean")
        p = Given(X, y, v, c, *options)
        self.check(p, np.array(asked.W, dtype=kind), np.array(asked.B, dtype=kind))
        return p

    def check(self, p: Given, W: Array, B: Array) -> None:
        """Refuse what has no meaning."""
        T, d = p.T, p.d
        rows = list(zip(p.X, p.y, p.v, strict=True))
        if not all(x.ndim == 2 and y.shape == v.shape == (len(x),) and x.shape[1] == d for x, y, v in rows):
            raise ValueError("X, y and the weights of the rows do not belong together")
        if W.shape != (d, T) or B.shape != (T, T) or p.c.shape != (T,):
            raise ValueError(f"W must be ({d}, {T}), B ({T}, {T}) and the task weights ({T},)")
        for each in (*p.X, *p.y, *p.v, p.c, W, B):
            if not np.isfinite(each).all():
                raise ValueError("a number is not finite")
        if not (math.isfinite(p.mu) and p.mu >= 0 and math.isfinite(p.coupling) and p.coupling > 0):
            raise ValueError("mu must be >= 0 and coupling > 0")
        if (B < 0).any() or np.diag(B).any():
            raise ValueError("B must be >= 0 with a diagonal of 0")
        if (p.c <= 0).any() or any((v < 0).any() or v.sum() <= 0 for v in p.v):
            raise ValueError("weights must be positive")
        if p.loss == "logistic" and not all(np.isin(y, (-1, 1)).all() for y in p.y):
            raise ValueError("labels must be -1 or +1")
        if p.loss not in ROWS:
            raise ValueError(f"no such loss: {p.loss}")

    def scale(self, p: Given, t: int) -> float:
        return 1.0 / float(p.v[t].sum()) if p.mean else 1.0

    def total(self, values: Array) -> Any:
        """The sum of the losses of the rows of a task."""
        return values.sum()

    def values(self, p: Given, W: Array) -> Array:
        """L_t(w_t) of every task, (T,)."""
        phi = ROWS[p.loss][0]
        scores = self.scores(p, W)
        each = [self.total(v * phi(z, y)) for v, y, z in zip(p.v, p.y, scores, strict=True)]
        return np.array([self.scale(p, t) * value for t, value in enumerate(each)], dtype=W.dtype)

    def scores(self, p: Given, W: Array) -> list[Array]:
        """The scores X_t w_t."""
        return [p.X[t] @ W[:, t] for t in range(p.T)]

    def slopes(self, p: Given, W: Array) -> Array:
        """grad L_t(w_t) in column t, (d, T)."""
        slope = ROWS[p.loss][1]
        rows = [v * slope(z, y) for v, y, z in zip(p.v, p.y, self.scores(p, W), strict=True)]
        return np.stack([self.scale(p, t) * (p.X[t].T @ r) for t, r in enumerate(rows)], axis=1)

    def curvature(self, p: Given, t: int, w: Array) -> Array:
        """The Hessian of L_t at w, (d, d)."""
        bend = p.v[t] * ROWS[p.loss][2](p.X[t] @ w, p.y[t])
        return self.scale(p, t) * ((p.X[t].T * bend) @ p.X[t])

    def shares(self, p: Given, B: Array) -> Array:
        """a_t = c_t (1 + mu sum_u B[t, u]): what t gives."""
        return p.c * (1 + p.mu * B.sum(axis=1))

    def prices(self, p: Given, losses: Array) -> Array:
        """mu c_s L_s, what an edge out of s costs."""
        return p.mu * p.c * losses

    def mix(self, B: Array) -> Array:
        """I - B."""
        return np.eye(len(B), dtype=B.dtype) - B

    def residual(self, W: Array, B: Array) -> Array:
        """W - W B."""
        return W - W @ B

    def objective(self, p: Given, W: Array, B: Array) -> float:
        paid = self.shares(p, B) @ self.values(p, W)
        return float(paid + p.coupling * (self.residual(W, B) ** 2).sum())

    def pull(self, p: Given, B: Array) -> Array:
        """2 coupling P: the coupling's gradient in W is W times it."""
        M = self.mix(B)
        return 2 * p.coupling * (M @ M.T)

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        back = self.residual(W, B) @ self.mix(B).T
        return self.shares(p, B) * self.slopes(p, W) + 2 * p.coupling * back

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        """G_B, with 0 on the diagonal."""
        G = prices[:, None] - 2 * p.coupling * (W.T @ self.residual(W, B))
        np.fill_diagonal(G, 0)
        return G
