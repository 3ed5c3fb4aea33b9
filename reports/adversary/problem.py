r"""The problem, written down again from its definition; nothing of the package.

    J(W, B) = sum_t a_t L_t(w_t) + coupling ||W M||_F^2,   a_t = c_t (1 + mu sum_u B[t, u]),   M = I - B
    L_t(w) = s_t sum_i phi(x_ti'w; y_ti),                  s_t = 1/n_t ("mean") or 1 ("sum")

Rows of hinge and quantile: phi(z) = max(low (z - kink), high (z - kink)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, reals, total, zeros
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LOSSES = ("squared", "logistic", "hinge", "squared-hinge", "huber", "quantile", "poisson")
KINKED = ("hinge", "quantile")
LABELS = ("logistic", "hinge", "squared-hinge")
NUMBERS = ("squared", "huber", "quantile")
PARAMETERS = {"huber": 0.5, "quantile": 0.3}
Row = tuple[arb, arb, arb]
"""phi, phi', phi''."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Data of doubles and what to do with them."""

    X: list[Floats]
    y: list[Floats]
    loss: str
    mu: float
    coupling: float
    parameter: float | None = None
    reduction: str = "mean"
    weights: str | tuple[float, ...] = "equal"
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def T(self) -> int:
        return len(self.X)

    @property
    def d(self) -> int:
        return int(self.X[0].shape[1])

    @property
    def kinked(self) -> bool:
        return self.loss in KINKED

    @cached_property
    def lam(self) -> arb:
        return arb(self.coupling)

    @cached_property
    def price(self) -> arb:
        return arb(self.mu)

    @cached_property
    def rows(self) -> list[Reals]:
        return [reals(X) for X in self.X]

    @cached_property
    def targets(self) -> list[Reals]:
        return [reals(y) for y in self.y]

    @cached_property
    def scale(self) -> list[arb]:
        return [ONE / len(y) if self.reduction == "mean" else ONE for y in self.y]

    @cached_property
    def c(self) -> list[arb]:
        if self.weights == "equal":
            return [ONE] * self.T
        if self.weights == "inverse-sqrt":
            return [1 / arb(len(y)).sqrt() for y in self.y]
        return [arb(float(c)) for c in self.weights]

    def a(self, B: Reals) -> list[arb]:
        return [c * (1 + self.price * total(B[t])) for t, c in enumerate(self.c)]

    def row(self, z: arb, y: arb) -> Row:
        return _ROWS[self.loss](z, y, arb(self.parameter or 0))

    def ends(self, y: arb) -> tuple[arb, arb, arb]:
        """low, high, kink of a row of hinge or quantile."""
        if self.loss == "hinge":
            return (-ONE, ZERO, ONE) if y > 0 else (ZERO, ONE, -ONE)
        tau = arb(self.parameter or 0)
        return -tau, 1 - tau, y

    def scores(self, W: Reals) -> list[Reals]:
        return [X @ W[:, t] for t, X in enumerate(self.rows)]

    def row_values(self, W: Reals) -> list[list[Row]]:
        pairs = zip(self.scores(W), self.targets, strict=True)
        return [[self.row(z, y) for z, y in zip(zt, yt, strict=True)] for zt, yt in pairs]

    def losses(self, W: Reals) -> list[arb]:
        pairs = zip(self.row_values(W), self.scale, strict=True)
        return [s * sum((row[0] for row in rows), ZERO) for rows, s in pairs]

    def J(self, W: Reals, B: Reals) -> arb:
        losses = sum((a * loss for a, loss in zip(self.a(B), self.losses(W), strict=True)), ZERO)
        return losses + self.lam * total(_square(W - W @ B))

    @cached_property
    def J0(self) -> arb:
        return self.J(zeros(self.d, self.T), zeros(self.T, self.T))

    def pull(self, W: Reals, B: Reals) -> Reals:
        """2 coupling W M M', (d, T)."""
        M = np.eye(self.T, dtype=int) - B
        return 2 * self.lam * ((W @ M) @ M.T)

    def gradient_W(self, W: Reals, B: Reals) -> Reals:
        """G_W of a smooth loss, (d, T)."""
        G, a = self.pull(W, B), self.a(B)
        for t, rows in enumerate(self.row_values(W)):
            G[:, t] += (
                a[t] * self.scale[t] * (np.array([row[1] for row in rows], dtype=object) @ self.rows[t])
            )
        return G

    def hessian_W(self, W: Reals, B: Reals) -> Reals:
        """In vec(W) by tasks, (T d, T d); the smaller curvature where phi'' jumps within the ball."""
        M = np.eye(self.T, dtype=int) - B
        H, a, d = np.kron(2 * self.lam * (M @ M.T), np.eye(self.d, dtype=int)), self.a(B), self.d
        for t, rows in enumerate(self.row_values(W)):
            phi = a[t] * self.scale[t] * np.array([row[2] for row in rows], dtype=object)
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += (self.rows[t].T * phi) @ self.rows[t]
        return H

    def prices(self, W: Reals) -> list[arb]:
        return [self.price * c * loss for c, loss in zip(self.c, self.losses(W), strict=True)]

    def gradient_B(self, W: Reals, B: Reals) -> Reals:
        """G_B, (T, T), 0 on the diagonal."""
        G = -2 * self.lam * (W.T @ (W - W @ B)) + np.array(self.prices(W), dtype=object)[:, None]
        for t in range(self.T):
            G[t, t] = ZERO
        return G


def _square(value: Any) -> Any:
    """value^2; `**` of a ball around 0 is no number."""
    return value * value


def _positive(m: arb) -> arb:
    return (m + abs(m)) / 2


def _squared(z: arb, y: arb, _: arb) -> Row:
    return _square(z - y), 2 * (z - y), arb(2)


def _logistic(z: arb, y: arb, _: arb) -> Row:
    s = ONE if y > 0 else -ONE
    m = s * z
    e = (-abs(m)).exp()
    low = e / (1 + e)  # the smaller of both probabilities
    return _positive(-m) + e.log1p(), -s * (low if m >= 0 else 1 - low), e / _square(1 + e)


def _squared_hinge(z: arb, y: arb, _: arb) -> Row:
    s = ONE if y > 0 else -ONE
    short = _positive(1 - s * z)
    return _square(short), -2 * s * short, arb(2) if short > 0 else ZERO


def _hinge(z: arb, y: arb, _: arb) -> Row:
    s = ONE if y > 0 else -ONE
    m = 1 - s * z
    return _positive(m), -s if m > 0 else ZERO, ZERO


def _huber(z: arb, y: arb, K: arb) -> Row:
    r = z - y
    if abs(r) <= K:
        return r * r, 2 * r, arb(2)
    return K * (2 * abs(r) - K), 2 * K if r > 0 else -2 * K, ZERO


def _quantile(z: arb, y: arb, tau: arb) -> Row:
    r = y - z
    return tau * _positive(r) + (1 - tau) * _positive(-r), -tau if r > 0 else 1 - tau, ZERO


def _poisson(z: arb, y: arb, _: arb) -> Row:
    e = z.exp()
    return e - y * z + (y * y.log() - y if y > 0 else ZERO), e - y, e


_ROWS: dict[str, Callable[[arb, arb, arb], Row]] = {
    "squared": _squared,
    "logistic": _logistic,
    "hinge": _hinge,
    "squared-hinge": _squared_hinge,
    "huber": _huber,
    "quantile": _quantile,
    "poisson": _poisson,
}
