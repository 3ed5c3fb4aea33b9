"""Two tasks whose steps are closed forms, as a back end and as a pack; and back ends with one mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.arrays import Array
from amtl_cvx.losses import Squared
from amtl_cvx.reference import Pack, write_pack
from amtl_cvx.reference.judge import Asked


def sound(asked: Asked) -> None:
    """`ValueError` for what is no problem."""
    T, d = len(asked.X), asked.X[0].shape[1]
    weights = [np.ones(len(y)) for y in asked.y] if asked.sample_weight is None else asked.sample_weight
    good = [np.isfinite(part).all() for part in (*asked.X, *asked.y, *weights, asked.W, asked.B)]
    good += [len(X) == len(y) == len(v) > 0 for X, y, v in zip(asked.X, asked.y, weights, strict=True)]
    good += [asked.W.shape == (d, T), asked.B.shape == (T, T), asked.task_weights.shape == (T,)]
    good += [asked.mu >= 0, asked.coupling > 0, (asked.task_weights > 0).all(), min(map(np.min, weights)) > 0]
    if not all(good) or (asked.B < 0).any() or np.diag(asked.B).any():
        raise ValueError("this is no problem")


class Pair:
    """Two tasks, squared loss: W by its normal equations, each column of B has one entry."""

    name = "pair"
    dtype = "float64"
    losses = ("squared",)

    def residuals(self, asked: Asked, W: Array) -> list[Array]:
        return [X @ w - y for X, y, w in zip(asked.X, asked.y, W.T, strict=True)]

    def scales(self, asked: Asked) -> Array:
        one = [1.0 if asked.reduction == "sum" else 1.0 / len(y) for y in asked.y]
        return np.array(one, dtype=asked.dtype)

    def losses_at(self, asked: Asked, W: Array) -> Array:
        return self.scales(asked) * np.array([r @ r for r in self.residuals(asked, W)], dtype=asked.dtype)

    def raised(self, asked: Asked, B: Array) -> Array:
        return asked.task_weights * (1 + asked.W.dtype.type(asked.mu) * B.sum(axis=1))

    def objective(self, asked: Asked, W: Array, B: Array) -> Any:
        coupled = asked.W.dtype.type(asked.coupling) * ((W - W @ B) ** 2).sum()
        return self.raised(asked, B) @ self.losses_at(asked, W) + coupled

    def evaluate(self, asked: Asked) -> dict[str, Any]:
        sound(asked)
        W, B, s = asked.W, asked.B, self.scales(asked)
        lam, M = W.dtype.type(asked.coupling), np.eye(2, dtype=W.dtype) - B
        pulls = [2 * k * (X.T @ r) for k, X, r in zip(s, asked.X, self.residuals(asked, W), strict=True)]
        prices = W.dtype.type(asked.mu) * asked.task_weights * self.losses_at(asked, W)
        return {
            "objective": self.objective(asked, W, B),
            "losses": self.losses_at(asked, W),
            "gradient_W": self.raised(asked, B) * np.column_stack(pulls) + 2 * lam * (W @ M @ M.T),
            "gradient_B": prices[:, None] - 2 * lam * (W.T @ (W - W @ B)),
        }

    def best_W(self, asked: Asked, B: Array) -> Array:
        lam, M = asked.W.dtype.type(asked.coupling), np.eye(2, dtype=asked.W.dtype) - B
        d, rate = len(asked.W), self.raised(asked, B) * self.scales(asked)
        H = np.kron(lam * M @ M.T, np.eye(d, dtype=asked.W.dtype))
        for t in range(2):
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += rate[t] * asked.X[t].T @ asked.X[t]
        pull = [k * X.T @ y for k, X, y in zip(rate, asked.X, asked.y, strict=True)]
        return np.linalg.solve(H, np.concatenate(pull)).reshape(2, d).T

    def w_step(self, asked: Asked) -> Array:
        sound(asked)
        return self.best_W(asked, asked.B)

    def one_task(self, asked: Asked) -> Array:
        sound(asked)
        t, W, B, lam = asked.task, asked.W, asked.B, asked.W.dtype.type(asked.coupling)
        assert t is not None
        P = (np.eye(2, dtype=W.dtype) - B) @ (np.eye(2, dtype=W.dtype) - B).T
        rate = self.raised(asked, B)[t] * self.scales(asked)[t]
        H = rate * asked.X[t].T @ asked.X[t] + lam * P[t, t] * np.eye(len(W), dtype=W.dtype)
        return np.linalg.solve(H, rate * asked.X[t].T @ asked.y[t] - lam * P[t, 1 - t] * W[:, 1 - t])

    def best_B(self, asked: Asked, W: Array) -> Array:
        p = W.dtype.type(asked.mu) * asked.task_weights * self.losses_at(asked, W)
        twice, inner = 2 * W.dtype.type(asked.coupling), W[:, 0] @ W[:, 1]
        B = np.zeros((2, 2), dtype=W.dtype)
        for s in range(2):
            size = W[:, s] @ W[:, s]
            B[s, 1 - s] = max(W.dtype.type(0), (inner - p[s] / twice) / size) if size > 0 else 0
        return B

    def b_step(self, asked: Asked) -> Array:
        sound(asked)
        return self.best_B(asked, asked.W)

    def rounds(self, asked: Asked) -> Array:
        sound(asked)
        B, found = asked.B, []
        for _ in range(asked.count or 0):
            W = self.best_W(asked, B)
            found.append(self.objective(asked, W, B))
            B = self.best_B(asked, W)
            found.append(self.objective(asked, W, B))
        return np.array(found, dtype=asked.dtype)

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        sound(asked)
        B = asked.B
        for _ in range(500):
            W = self.best_W(asked, B)
            before, B = B, self.best_B(asked, W)
            if np.abs(B - before).max() <= 2 * np.finfo(asked.dtype).eps:
                break
        return W, B


def pair_pack(place: Path, *, reduction: str = "mean", mu: float = 0.0625) -> Pack:
    """Two related tasks of dyadic rows; the answer is what closed forms in turn end at."""
    rows = np.array([[1, 2, 0], [0, 1, 3], [2, -1, 1], [1, 1, -2], [3, 0, 1]]) / 4.0
    y = [rows @ [2.0, 1.0, -1.0] + [0.25, -0.25, 0.0, 0.5, 0.0], rows[:4] @ [1.5, 1.25, -1.0] - 0.5]
    tasks = TaskSet.from_arrays([rows, rows[:4]], y)
    model = Model(loss=Squared(reduction=reduction), transfer=LossWeightedL1(mu=mu), coupling=0.5)  # type: ignore[arg-type]
    problem = Problem(tasks, model)
    W, B = Pair().fit(Asked.of(problem, "fit"))
    words = {"title": "A pair", "grade": "easy", "traits": [], "origin": {}, "made": {}}
    claims = {"unique": {"W": True, "B": True, "W B": True}, "condition": {"kappa": 100.0}}
    about = {"name": f"pair-{reduction}", **words}
    return write_pack(
        place / f"pair-{reduction}",
        problem=problem,
        ask="joint",
        solution={"W": W, "B": B},
        claims=claims,
        about=about,
    )


class Transposed(Pair):
    """B[s, t] read as how much t helps s."""

    def evaluate(self, asked: Asked) -> dict[str, Any]:
        return super().evaluate(replace(asked, B=asked.B.T))

    def best_W(self, asked: Asked, B: Array) -> Array:
        return super().best_W(asked, B.T)


class NoCross(Pair):
    """The W of one task without its part in the residuals of others."""

    def one_task(self, asked: Asked) -> Array:
        B = asked.B.copy()
        B[asked.task] = 0.0
        return super().one_task(replace(asked, B=B, mu=asked.mu))


class Unclipped(Pair):
    """A diagonal a hair below 0."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        B = super().best_B(asked, W)
        return B - 1e-13 * np.eye(2)


class Early(Pair):
    """A fit that stops when J moves by less than 1e-4 of itself."""

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        B, before = asked.B, np.inf
        for _ in range(500):
            W = self.best_W(asked, B)
            B = self.best_B(asked, W)
            J = self.objective(asked, W, B)
            if before - J <= 1e-4 * J:
                break
            before = J
        return W, B


class Single(Pair):
    """Sums in single precision, answers in double."""

    def residuals(self, asked: Asked, W: Array) -> list[Array]:
        return [r.astype(np.float32).astype(np.float64) for r in super().residuals(asked, W)]


class Twice(Pair):
    """The coupling counted twice in the B-step."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        return super().best_B(replace(asked, coupling=2.0 * asked.coupling), W)


class Rising(Pair):
    """Reports J of the round before after a W-step."""

    def rounds(self, asked: Asked) -> Array:
        found = super().rounds(asked)
        found[2], found[1] = found[1], found[2]
        return found
