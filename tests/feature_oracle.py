"""The linear feature family in many digits, by loops over its definition: shares nothing with the package.

SPEC section 9, eq. 6 without sigma, Z = P L over the rows P of the reconstruction, c_t task weights,
n_t = sum of the row weights v, floor_t = price_floor / sqrt(n_t / mean n), gamma / N for gamma per row:

    J = sum_t c_t l_t + sum_t alpha (c_t l_t + floor_t) ||a_t||_1 + mu ||S||_1 + gamma ||Z - Z S A||_F^2
        + decay ||L||_F^2,        l_t = sum_i v_i phi(x_i'L s_t; y_i) / n_t

    found = Oracle(X, y, k=2, loss="logistic", alpha=.1, mu=.05, gamma=.1, decay=.02).first_order_point(seed)
    found.L, found.S, found.A    # mpf in object arrays, right to 50 digits; `.astype(float)` for the package

In doubles (`mp=mpmath.fp`) the same lines compute with floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import mpmath
import numpy as np
from scipy.optimize import minimize

Array = np.ndarray[Any, Any]
MANY = mpmath.MPContext()
MANY.dps = 60


class Blocks(NamedTuple):
    """L (d, k), S (k, T), A (T, k)."""

    L: Array
    S: Array
    A: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """One problem; X, y, v by task, the labelled rows only. `pool` is P, by default the rows of all tasks."""

    X: Sequence[Array]
    y: Sequence[Array]
    k: int
    loss: str = "squared"
    alpha: float = 0.0
    mu: float
    gamma: float = 0.0
    decay: float
    per_row: bool = False
    signed: bool = True
    price_floor: float = 0.0
    c: Sequence[float] | str | None = None
    v: Sequence[Array] | None = None
    pool: Array | None = None
    reduction: str = "mean"
    mp: Any = MANY

    @classmethod
    def of(cls, tasks: Any, model: Any, *, pool: Array | None = None) -> Oracle:
        """The numbers in tasks and a model; `pool` where it is not all rows of all tasks."""
        given = model.task_weights
        return cls(
            X=[task.X for task in tasks],
            y=[task.y for task in tasks],
            v=[task.weights for task in tasks],
            c=given if isinstance(given, tuple) else "inverse-sqrt" if given == "inverse-sqrt" else None,
            k=model.features,
            loss=model.loss.label,
            reduction=model.loss.reduction,
            mu=model.mu,
            decay=model.decay,
            alpha=getattr(model, "alpha", 0.0),
            gamma=getattr(model, "gamma", 0.0),
            per_row=getattr(model, "gamma_per", "total") == "row",
            signed=getattr(model, "feedback", "signed") == "signed",
            price_floor=getattr(model, "price_floor", 0.0),
            pool=pool,
        )

    # numbers

    def exact(self, values: Any) -> Array:
        """Doubles as numbers to compute with, entry by entry."""
        values = np.asarray(values)
        if self.mp is mpmath.fp:
            return values.astype(float)
        found = np.empty(values.shape, dtype=object)
        for place, value in np.ndenumerate(values):
            found[place] = self.mp.mpf(value)
        return found

    @property
    def T(self) -> int:
        return len(self.X)

    @cached_property
    def data(self) -> list[Array]:
        """X by task."""
        return [self.exact(X) for X in self.X]

    @cached_property
    def rows(self) -> Array:
        """P."""
        return self.exact(np.vstack(self.X) if self.pool is None else self.pool)

    def weights(self, t: int) -> Array:
        return np.ones(len(self.y[t])) if self.v is None else np.asarray(self.v[t], dtype=float)

    def count(self, t: int) -> Any:
        """n_t."""
        return sum(self.exact(self.weights(t)).tolist())

    def task_weight(self, t: int) -> Any:
        given = 1 if self.c is None else self.c[t]
        return 1 / self.mp.sqrt(self.count(t)) if self.c == "inverse-sqrt" else self.mp.mpf(given)

    def floor(self, t: int) -> Any:
        mean = sum(self.count(u) for u in range(self.T)) / self.T
        return self.mp.mpf(self.price_floor) / self.mp.sqrt(self.count(t) / mean)

    @property
    def strength(self) -> Any:
        """gamma, the number that stands before the reconstruction."""
        return self.mp.mpf(self.gamma) / (len(self.rows) if self.per_row else 1)

    # J

    def row(self, z: Any, y: float) -> tuple[Any, Any]:
        """phi and phi' of one row."""
        name, _, parameter = self.loss.partition(":")
        mp, sign, r = self.mp, 1 if y > 0 else -1, z - self.mp.mpf(y)
        if name == "squared":
            return r * r, 2 * r
        if name == "huber":
            K = mp.mpf(float(parameter))
            if abs(r) <= K:
                return r * r, 2 * r
            return K * (2 * abs(r) - K), 2 * K * (1 if r > 0 else -1)
        if name == "squared-hinge":
            m = 1 - sign * z
            return (m * m, -2 * sign * m) if m > 0 else (0 * z, 0 * z)
        assert name == "logistic"
        m = -sign * z  # log(1 + e^m), with no overflow
        share = 1 / (1 + mp.exp(-m)) if m > 0 else mp.exp(m) / (1 + mp.exp(m))
        return (m if m > 0 else 0) + mp.log1p(mp.exp(-abs(m))), -sign * share

    def task_loss(self, t: int, w: Array) -> tuple[Any, Array]:
        """l_t and its gradient in w_t."""
        X, y = self.data[t], self.y[t]
        found = [self.row(*pair) for pair in zip(X @ w, map(float, y), strict=True)]
        share = self.exact(self.weights(t)) / (self.count(t) if self.reduction == "mean" else 1)
        value = sum(part * phi for part, (phi, _) in zip(share, found, strict=True))
        return value, X.T @ (share * np.array([slope for _, slope in found]))

    def prices(self, L: Array, S: Array) -> list[Any]:
        """p_t = alpha (c_t l_t + floor_t)."""
        W, alpha = L @ S, self.mp.mpf(self.alpha)
        return [
            alpha * (self.task_weight(t) * self.task_loss(t, W[:, t])[0] + self.floor(t))
            for t in range(self.T)
        ]

    def objective(self, L: Array, S: Array, A: Array) -> Any:
        return self.derivatives(L, S, A)[0]

    def derivatives(
        self, L: Array, S: Array, A: Array, norms: Sequence[Any] | None = None
    ) -> tuple[Any, Blocks]:
        """J, and the gradients of its smooth part: without mu ||S||_1, and in A without the prices.

        `norms` stand for ||a_t||_1 where A is a difference of two parts.
        """
        L, S, A = self.exact(L), self.exact(S), self.exact(A)
        mp, P, W = self.mp, self.rows, L @ S
        Z = P @ L
        E = Z - Z @ S @ A
        J = mp.mpf(self.mu) * np.abs(S).sum() + mp.mpf(self.decay) * (L * L).sum()
        J = J + self.strength * (E * E).sum()
        toward_Z = 2 * self.strength * (E - E @ A.T @ S.T)
        G_L = P.T @ toward_Z + 2 * mp.mpf(self.decay) * L
        G_S = -2 * self.strength * (Z.T @ E @ A.T)
        for t in range(self.T):
            value, slope = self.task_loss(t, W[:, t])
            norm = np.abs(A[t]).sum() if norms is None else norms[t]
            c, alpha = self.task_weight(t), mp.mpf(self.alpha)
            J = J + c * value + alpha * (c * value + self.floor(t)) * norm
            slope = c * (1 + alpha * norm) * slope
            G_L = G_L + np.outer(slope, S[:, t])
            G_S[:, t] = G_S[:, t] + L.T @ slope
        return J, Blocks(G_L, G_S, -2 * self.strength * (S.T @ Z.T @ E))

    # first-order conditions

    def violations(self, L: Array, S: Array, A: Array) -> Blocks:
        """How far each entry is from its condition; inf for an entry of A below 0 that must not be."""
        _, G = self.derivatives(L, S, A)
        mu, prices = self.mp.mpf(self.mu), self.prices(self.exact(L), self.exact(S))
        off_S = [_off(value, G.S[place], mu, signed=True) for place, value in np.ndenumerate(S)]
        off_A = [_off(value, G.A[t, j], prices[t], signed=self.signed) for (t, j), value in np.ndenumerate(A)]
        return Blocks(abs(G.L), np.array(off_S).reshape(S.shape), np.array(off_A).reshape(A.shape))

    def residual(self, L: Array, S: Array, A: Array) -> Any:
        return max(part.max() for part in self.violations(L, S, A))

    def slack(self, L: Array, S: Array, A: Array) -> Any:
        """The smallest room of a zero of S or A within its box, or size of another entry; no A in GO-MTL."""
        _, G = self.derivatives(L, S, A)
        prices, found = self.prices(self.exact(L), self.exact(S)), []
        for place, value in np.ndenumerate(S):
            found.append(abs(value) if value else self.mp.mpf(self.mu) - abs(G.S[place]))
        for (t, j), value in np.ndenumerate(A if self.alpha or self.gamma else A[:0]):
            pull = abs(G.A[t, j]) if self.signed else -G.A[t, j]
            found.append(abs(value) if value else prices[t] - pull)
        return min(found)

    # a solver

    def first_order_point(self, seed: int = 0, *, start: Blocks | None = None, small: float = 1e-6) -> Blocks:
        """One of the first-order points, it may be 0: L-BFGS-B from a random start, Newton on its signs."""
        d, k = self.X[0].shape[1], self.k
        rng = np.random.default_rng(seed)
        if start is None:
            A = 0.1 * np.abs(rng.normal(size=(self.T, k))) * (self.gamma > 0)
            start = Blocks(rng.normal(size=(d, k)), rng.normal(size=(k, self.T)), A)
        L, S, A = self._descended(start)
        S, A = np.where(abs(S) > small, S, 0.0), np.where(abs(A) > small, A, 0.0)
        live = Blocks(np.where(S.any(axis=1), L, 0.0), S, A)  # dead features exactly 0
        return self._newton(live) if S.any() else Blocks(*map(self.exact, live))

    def _descended(self, start: Blocks) -> Blocks:
        """In doubles, on S and A as differences of entries >= 0."""
        fast = replace(self, mp=mpmath.fp)
        shapes = [block.shape for block in (start.L, start.S, start.S, start.A, start.A)]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])

        def parts(x: Array) -> list[Array]:
            return [x[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]

        def objective(x: Array) -> tuple[float, Array]:
            L, up, down, more, less = parts(x)
            J, G = fast.derivatives(L, up - down, more - less, (more + less).sum(axis=1))
            price = np.array(fast.prices(L, up - down))[:, None] + 0 * G.A
            slopes = (G.L, G.S + self.mu, self.mu - G.S, G.A + price, price - G.A)
            both = 2 * self.mu * np.minimum(up, down).sum()
            return float(J + both), np.concatenate([part.ravel() for part in slopes])

        plus = [start.L, start.S.clip(0), (-start.S).clip(0), start.A.clip(0), (-start.A).clip(0)]
        above, below = self.gamma > 0, self.gamma > 0 and self.signed
        tops = [None, None, None, None if above else 0.0, None if below else 0.0]
        bounds = [
            (None if part is start.L else 0.0, top)
            for part, top in zip(plus, tops, strict=True)
            for _ in range(part.size)
        ]
        options = {"maxiter": 20000, "maxfun": 20000, "maxcor": 30, "ftol": 1e-16, "gtol": 1e-11}
        x0 = np.concatenate([part.ravel() for part in plus])
        found = minimize(objective, x0, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        L, up, down, more, less = parts(found)
        return Blocks(L, up - down, more - less)

    def _newton(self, rough: Blocks) -> Blocks:
        """The root of the conditions on the entries that are not 0, by chords from doubles."""
        masks, fast = [block != 0 for block in rough], replace(self, mp=mpmath.fp)

        def put(x: Array) -> Blocks:
            blocks = [0 * rough.L + 0 * x[0], 0 * rough.S + 0 * x[0], 0 * rough.A + 0 * x[0]]
            ends = np.cumsum([mask.sum() for mask in masks])
            for mask, block, part in zip(masks, blocks, np.split(x, ends[:-1]), strict=True):
                block[mask] = part
            return Blocks(*blocks)

        def conditions(oracle: Oracle, x: Array) -> Array:
            point = put(x)
            G, price = oracle.derivatives(*point)[1], np.array(oracle.prices(point.L, point.S))[:, None]
            mu = oracle.mp.mpf(self.mu)
            G = G._replace(S=G.S + mu * np.sign(rough.S), A=G.A + price * np.sign(rough.A))
            return np.concatenate([part[mask] for mask, part in zip(masks, G, strict=True)])

        near = np.concatenate([block[mask] for mask, block in zip(masks, rough, strict=True)])
        moves = 1e-5 * np.eye(near.size)
        columns = [(conditions(fast, near + e) - conditions(fast, near - e)) / 2e-5 for e in moves]
        inverse = self.exact(np.linalg.inv(np.array(columns).T))
        x = self.exact(near)
        for _ in range(60):
            step = inverse @ conditions(self, x)
            x = x - step
            if (size := max(abs(step))) < self.mp.mpf(10) ** (5 - self.mp.dps):
                return put(x)
            assert size < 1e3
        raise AssertionError("Newton's method does not converge")


def _off(value: Any, slope: Any, price: Any, *, signed: bool) -> Any:
    if value and not signed and value < 0:
        return MANY.inf
    if value:
        return abs(slope + price * (1 if value > 0 else -1))
    return max((abs(slope) if signed else -slope) - price, 0 * price)
