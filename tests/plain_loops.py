"""The named methods once more, in plain NumPy from the rows X_t, y_t and numbers alone.

Convex ones by a closed form or the paper's own loop; alternations of W and B round by round, W by one linear
system, B by trying every support; shared features and networks by descent from a point nearby.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize

Array = np.ndarray[Any, np.dtype[np.float64]]
Rows = Sequence[tuple[Array, Array]]


def mean_regularised(rows: Rows, rho: float) -> Array:
    """The linear system of sum_t ||y_t - X_t w_t||^2 / n_t + rho sum_t ||w_t - mean||^2."""
    T, d = len(rows), rows[0][0].shape[1]
    H = rho * np.kron(np.eye(T) - 1.0 / T, np.eye(d))
    for t, (X, y) in enumerate(rows):
        H[t * d : (t + 1) * d, t * d : (t + 1) * d] += X.T @ X / len(y)
    return np.linalg.solve(H, np.concatenate([X.T @ y / len(y) for X, y in rows])).reshape(T, d).T


def argyriou(rows: Rows, rho: float) -> Array:
    """Algorithm 1 of the paper: ||W||_*^2 is the least tr(W' D^-1 W) over D > 0 of trace 1."""
    d = rows[0][0].shape[1]
    D = np.eye(d) / d
    for _ in range(2000):
        inverse = np.linalg.inv(D)
        columns = [np.linalg.solve(X.T @ X / len(y) + rho * inverse, X.T @ y / len(y)) for X, y in rows]
        W = np.array(columns).T
        values, vectors = np.linalg.eigh(W @ W.T)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        D = root / np.trace(root)
    return W


@dataclass(frozen=True, kw_only=True)
class Alternation:
    """sum_t c_t l_t + sum_st p_s B_st + coupling ||W - W B||^2 + rho sum_t ||w_t - mean||^2, by rounds.

    l_t are sums of squares over n_t^mean; p_s = mu c_s l_s dear_s, or mu where edges do not go by losses.
    """

    rows: Rows
    coupling: float
    mu: float
    rho: float = 0.0
    mean: bool = True
    c: Array
    dear: Array
    by_loss: bool = True
    mutual: bool = False

    def losses(self, W: Array) -> Array:
        sums = [(((y - X @ w) ** 2).sum(), len(y)) for (X, y), w in zip(self.rows, W.T, strict=True)]
        return np.array([total / n if self.mean else total for total, n in sums])

    def prices(self, W: Array) -> Array:
        return self.mu * (self.c * self.losses(W) * self.dear if self.by_loss else np.ones(len(self.rows)))

    def objective(self, W: Array, B: Array) -> float:
        J = self.c @ self.losses(W) + self.prices(W) @ B.sum(axis=1)
        J += self.coupling * ((W - W @ B) ** 2).sum()
        return float(J + self.rho * ((W - W.mean(axis=1, keepdims=True)) ** 2).sum())

    def best_W(self, B: Array) -> Array:
        """One system of all predictors; what a task teaches adds to the weight of its loss."""
        T, d = len(self.rows), self.rows[0][0].shape[1]
        M = np.eye(T) - B
        H = np.kron(self.coupling * M @ M.T + self.rho * (np.eye(T) - 1.0 / T), np.eye(d))
        right = np.zeros(T * d)
        for t, (X, y) in enumerate(self.rows):
            taught = self.mu * self.dear[t] * B[t].sum() if self.by_loss else 0.0
            a = self.c[t] * (1.0 + taught) / (len(y) if self.mean else 1.0)
            own = slice(t * d, (t + 1) * d)
            H[own, own] += a * X.T @ X
            right[own] = a * X.T @ y
        return np.linalg.solve(H, right).reshape(T, d).T

    def best_B(self, W: Array) -> Array:
        """The least over B >= 0 without a diagonal, B = B' where edges are mutual."""
        T, G, p = len(self.rows), self.coupling * W.T @ W, self.prices(W)
        if not self.mutual:
            B = np.zeros((T, T))
            for t in range(T):
                others = [s for s in range(T) if s != t]
                B[others, t] = least(2.0 * G[np.ix_(others, others)], p[others] - 2.0 * G[others, t])
            return B
        moves = []
        for s in range(T):
            for t in range(s):
                moves.append(np.zeros((T, T)))
                moves[-1][s, t] = moves[-1][t, s] = 1.0
        Q = np.array([[2.0 * np.trace(E.T @ G @ F) for F in moves] for E in moves])
        q = np.array([(E * (p[:, None] - 2.0 * G)).sum() for E in moves])
        return np.tensordot(least(Q, q), np.array(moves), axes=1)

    def after(self, rounds: int) -> tuple[Array, Array]:
        """W and B after so many rounds from the empty graph."""
        B = np.zeros((len(self.rows), len(self.rows)))
        for _ in range(rounds):
            W = self.best_W(B)
            B = self.best_B(W)
        return W, B


def least(Q: Array, q: Array) -> Array:
    """argmin x'Qx / 2 + q'x over x >= 0: the best of all supports whose own minimum is feasible."""
    best, value = np.zeros(len(q)), 0.0
    for chosen in product([False, True], repeat=len(q)):
        S = np.flatnonzero(chosen)
        x = np.linalg.solve(Q[np.ix_(S, S)], -q[S])
        if (x >= 0.0).all() and 0.5 * q[S] @ x < value:
            best, value = np.zeros(len(q)), 0.5 * float(q[S] @ x)
            best[S] = x
    return best


def dictionary(rows: Rows, D: Array, G: Array, radius: float) -> tuple[Array, Array]:
    """sum_t mean (y - X D g_t)^2, columns of D in the unit ball, ||g_t||_1 <= radius: projected gradients."""
    H = np.array([2.0 * X.T @ X / len(y) for X, y in rows])
    b = np.array([2.0 * X.T @ y / len(y) for X, y in rows])
    steep = float(np.linalg.eigvalsh(H).max())
    for _ in range(1500):
        slope = np.einsum("tij,jt->it", H, D @ G) - b.T
        D = D - slope @ G.T / (steep * np.linalg.norm(G, 2) ** 2)
        D = D / np.maximum(np.linalg.norm(D, axis=0), 1.0)
        slope = np.einsum("tij,jt->it", H, D @ G) - b.T
        G = G - D.T @ slope / (steep * np.linalg.norm(D, 2) ** 2)
        G = np.array([_into_ball(g, radius) for g in G.T]).T
    return D, G


def _into_ball(g: Array, radius: float) -> Array:
    """The nearest point with ||.||_1 <= radius: entries shortened by one cut."""
    sizes = np.sort(np.abs(g))[::-1]
    if sizes.sum() <= radius:
        return g
    cuts = (np.cumsum(sizes) - radius) / np.arange(1, len(g) + 1)
    cut = cuts[np.flatnonzero(sizes > cuts)[-1]]
    return np.sign(g) * np.maximum(np.abs(g) - cut, 0.0)


@dataclass(frozen=True, kw_only=True)
class Features:
    """sum_t (1 + ||a_t||_1) l_t + mu ||S||_1 + gamma ||Z - f(Z S A)||^2 + decay sum ||V||^2 of layers V.

    Z = f(... f(X V_1) ... V_h) over the rows of all tasks, f = max(., 0) or nothing; l_t = mean (y - Z s_t)^2
    over those of task t. Without gamma there is no A (GO-MTL).
    """

    rows: Rows
    mu: float
    decay: float
    gamma: float = 0.0
    relu: bool = False

    def value(self, layers: list[Array], S: Array, A: Array, sizes: Array) -> tuple[float, list[Array]]:
        """J but for mu ||S||_1, `sizes` (T,) in place of ||a_t||_1, and its gradients."""
        bend: Callable[[Array], Array] = (lambda U: np.maximum(U, 0.0)) if self.relu else (lambda U: U)
        on: Callable[[Array], Array] = (lambda U: (U > 0.0) * 1.0) if self.relu else np.ones_like
        t = np.repeat(np.arange(len(self.rows)), [len(y) for _, y in self.rows])
        y, at, n = np.concatenate([y for _, y in self.rows]), np.arange(len(t)), np.bincount(t)
        Z, U = [np.vstack([X for X, _ in self.rows])], list[Array]()
        for V in layers:
            U.append(Z[-1] @ V)
            Z.append(bend(U[-1]))
        F = Z[-1] @ S
        R = F @ A
        E, r = Z[-1] - bend(R), F[at, t] - y
        losses = np.bincount(t, r * r) / n
        J = float(((1.0 + sizes) * losses).sum() + self.decay * sum((V * V).sum() for V in layers))
        to_R = -2.0 * self.gamma * E * on(R)
        to_F = to_R @ A.T
        to_F[at, t] += 2.0 * r * ((1.0 + sizes) / n)[t]
        to_Z, slopes = 2.0 * self.gamma * E + to_F @ S.T, list[Array]()
        for V, below, inside in zip(layers[::-1], Z[-2::-1], U[::-1], strict=True):
            to_U = to_Z * on(inside)
            slopes.insert(0, below.T @ to_U + 2.0 * self.decay * V)
            to_Z = to_U @ V.T
        return J + self.gamma * float((E * E).sum()), [*slopes, Z[-1].T @ to_F, F.T @ to_R, losses]

    def descended(self, layers: list[Array], S: Array, A: Array) -> tuple[float, list[Array]]:
        """J and its blocks at the end of L-BFGS, S and A as differences of entries >= 0."""
        parts = [*layers, np.maximum(S, 0.0), np.maximum(-S, 0.0), np.maximum(A, 0.0), np.maximum(-A, 0.0)]
        ends, h = np.cumsum([0, *(part.size for part in parts)]), len(layers)

        def split(x: Array) -> list[Array]:
            return [x[a:b].reshape(M.shape) for a, b, M in zip(ends, ends[1:], parts, strict=False)]

        def whole(x: Array) -> tuple[float, Array]:
            *V, up, down, more, less = split(x)
            J, slopes = self.value(V, up - down, more - less, (more + less).sum(axis=1))
            *to_V, to_S, to_A, losses = slopes
            dear = losses[:, None] + 0.0 * to_A
            found = [*to_V, to_S + self.mu, self.mu - to_S, to_A + dear, dear - to_A]
            return J + self.mu * float((up + down).sum()), np.concatenate([M.ravel() for M in found])

        held = (0.0, 0.0) if not self.gamma else (0.0, None)
        bounds = [(None, None)] * int(ends[h]) + [(0.0, None)] * (2 * S.size) + [held] * (2 * A.size)
        start = np.concatenate([part.ravel() for part in parts])
        close = {"maxiter": 20000, "maxfun": 40000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
        found = minimize(whole, start, jac=True, method="L-BFGS-B", bounds=bounds, options=close)
        *V, up, down, more, less = split(found.x)
        return float(found.fun), [*V, up - down, more - less]
