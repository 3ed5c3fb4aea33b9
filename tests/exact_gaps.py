"""Gaps in 50 digits: the W-step and the columns of B, their primal and dual values apart from the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from cases import LOSS_CASES, NONSMOOTH_CASES, Array, loss_id
from mpmath import mp, mpf

from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

mp.dps = 50


Exact = np.ndarray[Any, np.dtype[np.object_]]


exact: Callable[[Any], Exact] = np.vectorize(mpf, otypes=[object])


smooth_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


kinked_loss = pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)


def solved(A: Exact, b: Exact) -> Exact:
    """A^-1 b for b (n,) or (n, k)."""
    columns = b.reshape(len(b), -1).T
    answers = [list(mp.lu_solve(mp.matrix(A.tolist()), mp.matrix(column.tolist()))) for column in columns]
    return np.array(answers, dtype=object).T.reshape(b.shape)


def phi(loss: Loss, z: Any, y: Any) -> Any:
    """One row: the left column of the table of CERTIFICATES section 1."""
    s, r = mp.sign(y) or -1, z - y
    match loss:
        case Squared():
            return r**2
        case Huber(threshold=K):
            return r**2 if abs(r) <= mpf(K) else 2 * mpf(K) * abs(r) - mpf(K) ** 2
        case Quantile(tau=tau):
            return -mpf(tau) * r if r <= 0 else (1 - mpf(tau)) * r
        case Poisson():
            return mp.exp(z) - y * z + (y * mp.log(y) - y if y > 0 else 0)
        case Logistic():
            return mp.log(1 + mp.exp(-s * z))
        case SquaredHinge():
            return max(mpf(0), 1 - s * z) ** 2
        case Hinge():
            return max(mpf(0), 1 - s * z)
    raise NotImplementedError(f"write phi of {loss.name} here")


def conjugate(loss: Loss, v: Any, y: Any) -> Any:
    """One row: the second column of that table; v inside of the domain."""
    label = mp.sign(y) or -1
    s = -label * v
    match loss:
        case Squared() | Huber():
            return v**2 / 4 + v * y
        case Quantile():
            return v * y
        case Poisson():
            m = v + y
            return (m * mp.log(m) if m > 0 else 0) - m - (y * mp.log(y) - y if y > 0 else 0)
        case Logistic():
            return sum(x * mp.log(x) for x in (s, 1 - s) if x > 0)
        case SquaredHinge():
            return -s + s**2 / 4
        case Hinge():
            return -s
    raise NotImplementedError(f"write phi* of {loss.name} here")


def natural(loss: Loss, z: Any, y: Any) -> Any:
    """One row: phi', the last column."""
    s, r = mp.sign(y) or -1, z - y
    match loss:
        case Squared():
            return 2 * r
        case Huber(threshold=K):
            return max(-2 * mpf(K), min(2 * mpf(K), 2 * r))
        case Poisson():
            return mp.exp(z) - y
        case Logistic():
            return -s / (1 + mp.exp(s * z))
        case SquaredHinge():
            return -2 * s * max(mpf(0), 1 - s * z)
    raise NotImplementedError(f"write phi' of {loss.name} here")


def curvature(loss: Loss, z: Any, y: Any) -> Any:
    """One row: phi'' away from its jumps."""
    match loss:
        case Squared():
            return mpf(2)
        case Huber(threshold=K):
            return mpf(2) if abs(z - y) <= mpf(K) else mpf(0)
        case Poisson():
            return mp.exp(z)
        case Logistic():
            return 1 / (2 + mp.exp(z) + mp.exp(-z))
        case SquaredHinge():
            return mpf(2) if (mp.sign(y) or -1) * z < 1 else mpf(0)
    raise NotImplementedError(f"write phi'' of {loss.name} here")


class Problem(NamedTuple):
    """The W-step for one B in 50 digits: a_t/n_t, X_t, y_t, M, coupling."""

    loss: Loss
    rates: list[Any]
    X: list[Exact]
    y: list[Exact]
    M: Exact
    coupling: Any

    def predictions(self, W: Exact) -> list[Exact]:
        return [X @ w for X, w in zip(self.X, W.T, strict=True)]

    def natural(self, W: Exact) -> list[Exact]:
        rows = zip(self.predictions(W), self.y, strict=True)
        return [np.array([natural(self.loss, *row) for row in zip(z, y, strict=True)]) for z, y in rows]

    def primal(self, W: Exact) -> tuple[Any, Any]:
        """F(W) and the sum of the sizes of its terms."""
        total = self.coupling * ((W @ self.M) ** 2).sum()
        for rate, z, y in zip(self.rates, self.predictions(W), self.y, strict=True):
            total += rate * sum(phi(self.loss, *row) for row in zip(z, y, strict=True))
        return total, total

    def gradient(self, W: Exact) -> Exact:
        rows = zip(self.rates, self.X, self.natural(W), strict=True)
        pull = np.column_stack([rate * (X.T @ u) for rate, X, u in rows])
        return pull + 2 * self.coupling * (W @ self.M @ self.M.T)

    def hessian(self, W: Exact) -> Exact:
        d, T = W.shape
        H = 2 * self.coupling * np.kron(self.M @ self.M.T, exact(np.eye(d)))
        for t, (rate, X, z, y) in enumerate(
            zip(self.rates, self.X, self.predictions(W), self.y, strict=True)
        ):
            curve = np.array([curvature(self.loss, *row) for row in zip(z, y, strict=True)])
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += rate * ((X.T * curve) @ X)
        return H

    def minimum(self, W: Exact) -> Exact:
        """argmin of F by Newton's method from W, gradient below 1e-35."""
        for _ in range(40):
            step = solved(self.hessian(W), self.gradient(W).T.ravel()).reshape(W.T.shape).T
            length = mpf(1)
            while self.primal(W - length * step)[0] > self.primal(W)[0] * (1 + mpf(10) ** -45):
                length /= 2
            W = W - length * step
            if abs(self.gradient(W)).max() <= mpf(10) ** -35:
                return W
        raise AssertionError("Newton's method did not end")

    def dual(self, u: list[Exact]) -> tuple[Any, Any]:
        """D(u) and the sum of the sizes of its terms."""
        G = np.column_stack([rate * (X.T @ v) for rate, X, v in zip(self.rates, self.X, u, strict=True)])
        S = self.coupling * (self.M @ self.M.T)
        square = (G * solved(S, G.T).T).sum() / 4
        value, size = -square, square
        for rate, v, y in zip(self.rates, u, self.y, strict=True):
            rows = [rate * conjugate(self.loss, *row) for row in zip(v, y, strict=True)]
            value, size = value - sum(rows), size + sum(abs(row) for row in rows)
        return value, size


def exact_problem(tasks: TaskSet, model: Model, B: Array) -> Problem:
    assert isinstance(model.task_weights, tuple)
    weights = [
        mpf(c) * (1 + mpf(model.mu) * exact(row).sum()) for c, row in zip(model.task_weights, B, strict=True)
    ]
    rates = [
        a / len(task.y) if model.loss.reduction == "mean" else a
        for a, task in zip(weights, tasks, strict=True)
    ]
    X, y = [exact(task.X) for task in tasks], [exact(task.y) for task in tasks]
    return Problem(model.loss, rates, X, y, exact(np.eye(len(B))) - exact(B), mpf(model.coupling))


def model_of(loss: Loss, *, mu: float = 0.05, coupling: float = 0.7) -> Model:
    transfer = LossWeightedL1(mu=mu)
    return Model(loss=loss, transfer=transfer, coupling=coupling, task_weights=(0.5, 2.0, 1.0))


class Column(NamedTuple):
    """One B-step column in 50 digits."""

    A: Exact
    w: Exact
    b: Exact
    p: Exact
    coupling: Any

    def primal(self, b: Exact) -> Any:
        return self.coupling * ((self.w - self.A @ b) ** 2).sum() + (self.p * b).sum()

    def dual(self, theta: Exact) -> Any:
        return (theta * self.w).sum() - (theta**2).sum() / (4 * self.coupling)

    def minimum(self) -> Exact:
        """b* by trying every support: that whose solution is positive and whose gradient is >= 0 off it."""
        A, p, size = self.A, self.p, len(self.p)
        for count in range(size + 1):
            for support in map(list, itertools.combinations(range(size), count)):
                b = exact(np.zeros(size))
                if support:
                    K = 2 * self.coupling * (A[:, support].T @ A[:, support])
                    b[support] = solved(K, 2 * self.coupling * (A[:, support].T @ self.w) - p[support])
                gradient = p - 2 * self.coupling * (A.T @ (self.w - A @ b))
                off = [j for j in range(size) if j not in support]
                if all(b[support] > 0) and all(gradient[off] >= 0):
                    return b
        raise AssertionError("no support is optimal")


def column(model: Model, W: Array, B: Array, prices: Array, t: int) -> Column:
    others = np.arange(len(B)) != t
    rows = (W[:, others], W[:, t], B[others, t], prices[others])
    return Column(*(exact(x) for x in rows), mpf(model.coupling))
