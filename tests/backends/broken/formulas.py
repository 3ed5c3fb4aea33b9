"""A term of J or a derivative is another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.broken.listed import Alternating, listed
from backends.dense import Dense
from backends.terms import Array, Given


@listed("transposed B", "L0/*", "L1/*", "L3/*")
class MatrixOfReceivers(Dense):
    """B[t, s] is the edge from s to t, in what is read and what is handed back."""

    def start(self, asked: Any) -> tuple[Given, Array, Array]:
        p, W, B = super().start(asked)
        return p, W, B.T.copy()

    def evaluate(self, asked: Any) -> dict[str, Any]:
        found = super().evaluate(asked)
        return {**found, "gradient_B": found["gradient_B"].T}

    def b_step(self, asked: Any) -> Array:
        return super().b_step(asked).T

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W, B.T


@listed("transposed B", "L0/*", "L1/*")
class MixedByRows(Dense):
    """The reconstruction of w_t is W b_t with the row of B."""

    def residual(self, W: Array, B: Array) -> Array:
        return W - W @ B.T

    def mix(self, B: Array) -> Array:
        return np.eye(len(B), dtype=B.dtype) - B.T

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        G = prices[:, None] - 2 * p.coupling * (W.T @ self.residual(W, B)).T
        np.fill_diagonal(G, 0)
        return G

    fit = None  # type: ignore[assignment]


@listed("transposed B", "L0/*")
class BackWithoutTranspose(Dense):
    """R (I - B) where R (I - B)' is the gradient of the coupling."""

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        back = self.residual(W, B) @ self.mix(B)
        return self.shares(p, B) * self.slopes(p, W) + 2 * p.coupling * back

    w_step = one_task = rounds = fit = None  # type: ignore[assignment]


@listed("incoming for outgoing", "L0/*", "L1/*", "L3/*", on="sums")
class PaysForWhatItTakes(Alternating):
    """a_t = c_t (1 + mu sum_s B[s, t])."""

    def shares(self, p: Given, B: Array) -> Array:
        return p.c * (1 + p.mu * B.sum(axis=0))

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        G = prices[None, :] - 2 * p.coupling * (W.T @ self.residual(W, B))
        np.fill_diagonal(G, 0)
        return G


@listed("incoming for outgoing", "L0/*", "L1/*")
class IncomingInTheGradient(Alternating):
    """The published slip: J is right, the gradient in W has incoming weights."""

    def shares(self, p: Given, B: Array) -> Array:
        return p.c * (1 + p.mu * B.sum(axis=0))

    def objective(self, p: Given, W: Array, B: Array) -> float:
        return Dense().objective(p, W, B)


@listed("incoming for outgoing", "L0/*", "L1/*")
class PricedByTheReceiver(Alternating):
    """An edge s -> t costs mu c_t L_t."""

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        G = prices[None, :] - 2 * p.coupling * (W.T @ self.residual(W, B))
        np.fill_diagonal(G, 0)
        return G


class _Scaled(Dense):
    """The losses times a number."""

    factor = 1.0

    def scale(self, p: Given, t: int) -> float:
        return self.factor * super().scale(p, t)


@listed("factor 2 in the loss", "L0/*", "L1/*", "L3/*")
class HalfTheSquares(_Scaled):
    """The losses have a factor 1/2."""

    factor = 0.5


@listed("factor 2 in the loss", "L0/*", "L1/*", "L3/*", on="labels")
class TwiceTheDeviance(_Scaled):
    """The logistic losses are deviances, twice what they should be."""

    factor = 2.0


class _Coupled(Dense):
    """The coupling times a number."""

    factor = 1.0

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, coupling=self.factor * p.coupling)


@listed("factor 2 in the coupling", "L0/*", "L1/*", "L3/*", on="sums")
class HalfTheCoupling(_Coupled):
    """The coupling has a factor 1/2."""

    factor = 0.5


@listed("factor 2 in the coupling", "L0/*", "L1/*", "L3/*", on="sums of labels")
class CouplingCountedTwice(_Coupled):
    """Every pair of the coupling is counted twice."""

    factor = 2.0


@listed("gradient without its factor 2", "L0/*", "L1/*")
class ResidualsAsSlopes(Alternating):
    """The slope of a square is the residual itself."""

    def slopes(self, p: Given, W: Array) -> Array:
        return super().slopes(p, W) / 2

    def curvature(self, p: Given, t: int, w: Array) -> Array:
        return super().curvature(p, t, w) / 2


@listed("gradient without its factor 2", "L0/*", "L1/*")
class CouplingAsSlope(Alternating):
    """The gradient of the coupling has no factor 2."""

    def pull(self, p: Given, B: Array) -> Array:
        return super().pull(p, B) / 2

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        return self.shares(p, B) * self.slopes(p, W) + W @ self.pull(p, B)

    def gradient_B(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        return super().gradient_B(replace(p, coupling=p.coupling / 2), W, B, prices)

    def polished(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        return super().polished(replace(p, coupling=p.coupling / 2), W, B, prices)


@listed("gradient without its factor 2", "L0/*")
class HalfTheGradientOfEdges(Dense):
    """G_B alone has no factor 2, and no step uses it."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        p, W, B = self.start(asked)
        G = self.gradient_B(replace(p, coupling=p.coupling / 2), W, B, self.prices(p, self.values(p, W)))
        return {**super().evaluate(asked), "gradient_B": G}


@listed("no cross terms", "L0/*", "L1/*")
class OwnResidualAlone(Alternating):
    """The gradient of w_t forgets the residuals of the tasks that t helps; the W-step goes task by task."""

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        return self.shares(p, B) * self.slopes(p, W) + 2 * p.coupling * self.residual(W, B)

    def best_W(self, p: Given, W: Array, B: Array) -> Array:
        for _ in range(500):
            before = W
            for t in range(p.T):
                W = W.copy()
                W[:, t] = self.best_w(p, W, B, t)
            if np.abs(W - before).max() <= 4 * p.eps * np.abs(W).max():
                break
        return W

    def pull(self, p: Given, B: Array) -> Array:
        return 2 * p.coupling * np.eye(p.T, dtype=B.dtype)


@listed("no cross terms", "L1/*")
class OneTaskAlone(Dense):
    """The joint W-step is right, that of one task has its own residual alone."""

    def one_task(self, asked: Any) -> Array:
        p, W, B = self.start(asked)
        return OwnResidualAlone().best_w(p, W, B, int(asked.task))


@listed("coupling 0", "L0/*", "L1/*")
class Uncoupled(Alternating):
    """Parameters are passed by position, shifted by one: the coupling of the W-step is 0."""

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        return self.shares(p, B) * self.slopes(p, W)

    def pull(self, p: Given, B: Array) -> Array:
        return np.zeros_like(B)


@listed("norm not squared", "L0/*")
class NormNotSquared(Dense):
    """J has coupling ||W - W B||_F, and its gradients are those."""

    def norm(self, W: Array, B: Array) -> float:
        return max(float(np.linalg.norm(self.residual(W, B))), 1e-30)

    def objective(self, p: Given, W: Array, B: Array) -> float:
        return float(self.shares(p, B) @ self.values(p, W)) + p.coupling * self.norm(W, B)

    def gradient_W(self, p: Given, W: Array, B: Array) -> Array:
        back = p.coupling / self.norm(W, B) * (self.residual(W, B) @ self.mix(B).T)
        return self.shares(p, B) * self.slopes(p, W) + back

    w_step = one_task = b_step = rounds = fit = None  # type: ignore[assignment]


@listed("norm not squared", "L0/*", on="labels")
class NormsOfColumns(Dense):
    """J has coupling sum_t ||w_t - W b_t||; nothing but its value is offered."""

    def objective(self, p: Given, W: Array, B: Array) -> float:
        lengths = np.linalg.norm(self.residual(W, B), axis=0)
        return float(self.shares(p, B) @ self.values(p, W) + p.coupling * lengths.sum())

    w_step = one_task = b_step = rounds = fit = None  # type: ignore[assignment]
