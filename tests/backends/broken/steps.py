"""A step, or the fit, solves another problem or stops too soon."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.broken.listed import listed
from backends.dense import Dense, column
from backends.terms import Array, Given


@listed("early stop", "L3/*")
class StopsOnTheObjective(Dense):
    """Alternation until J moves by less than a thousandth."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        p, W, B = self.start(asked)
        before = np.inf
        while True:
            W = self.best_W(p, W, B)
            B = self.best_B(p, W, B)
            now = self.objective(p, W, B)
            if now > before * (1 - 1e-3):
                return W, B
            before = now


@listed("early stop", "L1/*")
class FewGradientSteps(Dense):
    """The B-step takes a dozen projected gradients."""

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        prices = self.prices(p, self.values(p, W))
        step = 1 / (2 * p.coupling * float(np.linalg.norm(W, 2)) ** 2)
        for _ in range(12):
            B = self.project(B - step * self.gradient_B(p, W, B, prices))
        return B


@listed("early stop", "L1/*", on="labels")
class ThreeNewtonSteps(Dense):
    """The W-step takes three Newton steps."""

    def best_W(self, p: Given, W: Array, B: Array) -> Array:
        for _ in range(3):
            H = self.hessian_W(p, W, B)
            step = np.linalg.solve(H, self.gradient_W(p, W, B).T.reshape(-1)).reshape(p.T, p.d).T
            W = W - self.cut(p, step) * step
        return W


@listed("B not clipped", "L1/*")
class SignedEdges(Dense):
    """The B-step is least squares with prices: B may be negative."""

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        prices = self.prices(p, self.values(p, W))
        Q, B = 2 * p.coupling * (W.T @ W), np.zeros_like(B)
        for t in range(p.T):
            on = np.arange(p.T) != t
            B[on, t] = np.linalg.lstsq(Q[np.ix_(on, on)], Q[on, t] - prices[on], rcond=None)[0]
        return B

    fit = rounds = None  # type: ignore[assignment]


@listed("B not clipped", "L1/*")
class ClippedAfterwards(SignedEdges):
    """The same, and negative entries are put to 0 afterwards."""

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        return np.maximum(super().best_B(p, W, B), 0)


class _Priced(Dense):
    """The B-step with prices times a number."""

    factor = 1.0

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        mistaken = Dense()
        mistaken.prices = lambda p, losses: self.factor * p.mu * p.c * losses  # type: ignore[method-assign]
        return mistaken.best_B(p, W, B)


@listed("threshold", "L1/*")
class ThresholdTwice(_Priced):
    """The threshold is p / coupling, where p / (2 coupling) is right."""

    factor = 2.0


@listed("threshold", "L1/*", on="labels")
class ThresholdHalf(_Priced):
    """The threshold is p / (4 coupling)."""

    factor = 0.5


@listed("mu ignored", "L1/*", on="labels")
class FreeEdges(_Priced):
    """The B-step has mu = 0."""

    factor = 0.0
    fit = rounds = None  # type: ignore[assignment]


@listed("stale losses", "L1/*", on="labels")
class LossesOfNothing(Dense):
    """The B-step prices edges by the losses at W = 0."""

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        mistaken = Dense()
        mistaken.prices = lambda p, _: self.prices(p, self.values(p, 0 * W))  # type: ignore[method-assign]
        return mistaken.best_B(p, W, B)


@listed("stale losses", "L2/*")
class LossesOfTheRoundBefore(Dense):
    """The B-step prices edges by the losses before the W-step of the same round."""

    def rounds(self, asked: Any) -> Array:
        p, W, B = self.start(asked)
        objectives, mistaken = [], Dense()
        for _ in range(int(asked.count)):
            stale = self.prices(p, self.values(p, W))
            mistaken.prices = lambda *_, stale=stale: stale  # type: ignore[method-assign,misc]
            W = self.best_W(p, W, B)
            objectives.append(self.objective(p, W, B))
            B = mistaken.best_B(p, W, B)
            objectives.append(self.objective(p, W, B))
        return np.array(objectives)


@listed("diagonal leak", "L1/*")
class RebuiltFromItself(Dense):
    """The B-step leaves the diagonal free: every task is rebuilt from itself."""

    def project(self, B: Array) -> Array:
        return np.maximum(B, 0)

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        return prices[:, None] - 2 * p.coupling * (W.T @ self.residual(W, B))

    def polished(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        G, gram = self.gradient_B(p, W, 0 * B, prices), 2 * p.coupling * (W.T @ W)
        return np.stack([column(W, gram, G[:, t], t, [], p) for t in range(p.T)], axis=1)

    def evaluate(self, asked: Any) -> dict[str, Any]:
        return Dense().evaluate(asked)

    fit = rounds = None  # type: ignore[assignment]
