"""What an edge costs is another number, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.broken.listed import Alternating, listed
from backends.dense import Dense
from backends.terms import Array, Given


@listed("squared loss in the penalty", "L0/*", "L1/*")
class PricedBySquares(Dense):
    """An edge out of s costs mu c_s L_s^2, in J and its gradients."""

    def prices(self, p: Given, losses: Array) -> Array:
        return p.mu * p.c * losses**2

    def objective(self, p: Given, W: Array, B: Array) -> float:
        losses = self.values(p, W)
        paid = p.c @ losses + self.prices(p, losses) @ B.sum(axis=1)
        return float(paid + p.coupling * (self.residual(W, B) ** 2).sum())

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        back = 2 * p.coupling * (self.residual(W, B) @ self.mix(B).T)
        return p.c * (1 + 2 * p.mu * self.values(p, W) * B.sum(axis=1)) * self.slopes(p, W) + back

    w_step = one_task = rounds = fit = None  # type: ignore[assignment]


@listed("squared loss in the penalty", "L0/*", "L1/*", on="sums")
class EdgesPricedBySquares(Alternating):
    """The B-step alone squares the loss."""

    def prices(self, p: Given, losses: Array) -> Array:
        return p.mu * p.c * losses**2


@listed("other loss in the penalty", "L0/*", "L1/*", on="labels")
class EdgesPricedBySquaredErrors(Alternating):
    """The prices of edges are squared errors, the loss is logistic."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        p, W, B = self.start(asked)
        found = super().evaluate(asked)
        return {**found, "gradient_B": self.gradient_B(p, W, B, self.wrong_prices(p, W))}

    def wrong_prices(self, p: Given, W: Array) -> Array:
        return self.prices(p, self.values(replace(p, loss="squared"), W))

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        mistaken = Dense()
        mistaken.prices = lambda *_: self.wrong_prices(p, W)  # type: ignore[method-assign]
        return mistaken.best_B(p, W, B)


@listed("other loss in the penalty", "L1/*", on="labels")
class EdgesPricedByHinges(EdgesPricedBySquaredErrors):
    """The prices of edges are hinge losses."""

    def wrong_prices(self, p: Given, W: Array) -> Array:
        rows = zip(p.v, p.y, self.scores(p, W), strict=True)
        hinges = [float((v * np.maximum(0, 1 - y * z)).sum()) for v, y, z in rows]
        return self.prices(p, np.array([self.scale(p, t) * h for t, h in enumerate(hinges)]))


@listed("mu ignored", "L0/*", "L1/*", "L3/*")
class WithoutPrices(Dense):
    """Mu is not read."""

    def given(self, asked: Any) -> Given:
        return replace(super().given(asked), mu=0.0)


@listed("mu ignored", "L0/*", "L1/*")
class UnweightedLosses(Alternating):
    """The W-step has the loss of a task once, whatever it gives."""

    def shares(self, p: Given, B: Array) -> Array:
        return p.c

    def objective(self, p: Given, W: Array, B: Array) -> float:
        return Dense().objective(p, W, B)
