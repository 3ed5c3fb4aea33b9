"""First-order points of small problems in many digits, by code that shares nothing with the package.

J in mpmath numbers for every smooth loss: alternation from B = 0 (Newton's method on W, every support tried
for a column of B), then Newton's method on W and the positive entries of B together. `DIGITS` are worked
with, so that 50 are left where units differ by 1e10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, combinations

import mpmath as mp
import numpy as np
from cases import Array

from amtl_cvx.losses import Huber, Loss, make_loss
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

DIGITS = 90
ROUNDS = 100
Matrix = list[list[mp.mpf]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem in doubles, which the oracle takes as they are; loss by its label, mean over rows."""

    X: tuple[Array, ...]
    y: tuple[Array, ...]
    loss: str
    mu: float
    coupling: float
    c: tuple[float, ...]

    def tasks(self) -> TaskSet:
        return TaskSet.from_arrays(list(self.X), list(self.y))

    def model(self) -> Model:
        transfer = LossWeightedL1(mu=self.mu)
        return Model(loss=self._loss(), transfer=transfer, coupling=self.coupling, task_weights=self.c)

    def _loss(self) -> Loss:
        name, _, threshold = self.loss.partition(":")
        return Huber(threshold=float(threshold)) if name == "huber" else make_loss(self.loss)

    def targets(self, factor: float, task: int | None = None) -> Problem:
        """With the targets of a task in another unit; of all, and Huber's threshold, without `task`."""
        chosen = range(len(self.y)) if task is None else (task,)
        y = tuple(factor * v if t in chosen else v for t, v in enumerate(self.y))
        name, _, threshold = self.loss.partition(":")
        scaled = f"{name}:{factor * float(threshold)!r}" if threshold and task is None else self.loss
        return replace(self, y=y, loss=scaled)

    def feature(self, factor: float, i: int, task: int | None = None) -> Problem:
        """With a feature in another unit, in one task or in all."""
        X = []
        for t, rows in enumerate(self.X):
            scaled = rows.copy()
            scaled[:, i] *= factor if task in (None, t) else 1.0
            X.append(scaled)
        return replace(self, X=tuple(X))


class Oracle:
    """A problem in multiple precision."""

    def __init__(self, problem: Problem) -> None:
        self.X = [[[mp.mpf(float(v)) for v in row] for row in X] for X in problem.X]
        self.y = [[mp.mpf(float(v)) for v in y] for y in problem.y]
        self.T, self.d = len(self.X), len(self.X[0][0])
        self.mu, self.coupling = mp.mpf(problem.mu), mp.mpf(problem.coupling)
        self.c = [mp.mpf(v) for v in problem.c]
        self.name, _, threshold = problem.loss.partition(":")
        self.threshold = mp.mpf(float(threshold)) if threshold else mp.mpf(0)

    def row(self, z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
        """phi, phi' and phi''."""
        r, m, K = z - y, 1 - (z if y > 0 else -z), self.threshold
        match self.name:
            case "squared":
                return r * r, 2 * r, mp.mpf(2)
            case "huber":
                far = abs(r) > K
                return (
                    (K * (2 * abs(r) - K), 2 * K * mp.sign(r), mp.mpf(0))
                    if far
                    else (r * r, 2 * r, mp.mpf(2))
                )
            case "squared-hinge":
                slope = -2 * m if y > 0 else 2 * m
                return (m * m, slope, mp.mpf(2)) if m > 0 else (mp.mpf(0), mp.mpf(0), mp.mpf(0))
            case "logistic":
                sign = 1 if y > 0 else -1
                share = 1 / (1 + mp.exp(sign * z))
                return mp.log1p(mp.exp(-sign * z)), -sign * share, share * (1 - share)
            case "poisson":
                mean = mp.exp(z)
                return mean - y * z + (y * mp.log(y) - y if y > 0 else 0), mean - y, mean
        raise NotImplementedError(f"write phi of {self.name} here")

    def task(self, t: int, w: list[mp.mpf]) -> tuple[mp.mpf, list[mp.mpf], Matrix]:
        """L_t, its gradient and Hessian."""
        value, gradient = mp.mpf(0), [mp.mpf(0)] * self.d
        H = [[mp.mpf(0)] * self.d for _ in range(self.d)]
        for x, y in zip(self.X[t], self.y[t], strict=True):
            phi, slope, curve = self.row(mp.fdot(x, w), y)
            value += phi
            for i in range(self.d):
                gradient[i] += slope * x[i]
                for j in range(self.d):
                    H[i][j] += curve * x[i] * x[j]
        n = len(self.y[t])
        return value / n, [g / n for g in gradient], [[h / n for h in row] for row in H]

    def weights(self, B: Matrix) -> list[mp.mpf]:
        return [c * (1 + self.mu * mp.fsum(row)) for c, row in zip(self.c, B, strict=True)]

    def derivatives(
        self, W: Matrix, B: Matrix, edges: list[tuple[int, int]]
    ) -> tuple[mp.mpf, mp.matrix, mp.matrix]:
        """J, its gradient and its Hessian in W, task by task, and B at `edges`; W and B by columns."""
        T, d, twice = self.T, self.d, 2 * self.coupling
        a, parts = self.weights(B), [self.task(t, W[t]) for t in range(T)]
        M = [[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)]
        R = [[mp.fsum(M[s][t] * W[s][i] for s in range(T)) for i in range(d)] for t in range(T)]
        P = [[mp.fdot(M[s], M[t]) for t in range(T)] for s in range(T)]
        size = T * d + len(edges)
        g, H = mp.matrix(size, 1), mp.matrix(size, size)
        J = mp.fsum(a[t] * parts[t][0] for t in range(T)) + self.coupling * mp.fsum(
            v * v for r in R for v in r
        )
        for t in range(T):
            for i in range(d):
                g[t * d + i] = a[t] * parts[t][1][i] + twice * mp.fsum(M[t][u] * R[u][i] for u in range(T))
                for j in range(d):
                    H[t * d + i, t * d + j] = a[t] * parts[t][2][i][j]
                for u in range(T):
                    H[t * d + i, u * d + i] += twice * P[t][u]
        for k, (s, t) in enumerate(edges, T * d):
            g[k] = self.mu * self.c[s] * parts[s][0] - twice * mp.fdot(W[s], R[t])
            for u in range(T):
                for i in range(d):
                    own = self.mu * self.c[s] * parts[s][1][i] - twice * R[t][i] if u == s else mp.mpf(0)
                    H[k, u * d + i] = H[u * d + i, k] = own - twice * M[u][t] * W[s][i]
            for m, (p, u) in enumerate(edges, T * d):
                H[k, m] = twice * mp.fdot(W[s], W[p]) if u == t else mp.mpf(0)
        return J, g, H

    def best_W(self, W: Matrix, B: Matrix) -> Matrix:
        """argmin over W of J(., B), damped Newton."""
        for _ in range(200):
            J, g, H = self.derivatives(W, B, [])
            step = _solve(H, g)
            slope, length = mp.fdot(g, step), mp.mpf(1)
            if slope <= mp.mpf(10) ** (-DIGITS) * J:
                break
            while length > 1e-12:
                new = self._moved(W, step, length)
                if self.derivatives(new, B, [])[0] <= J - length * slope / 10000:
                    break
                length /= 2
            W = self._moved(W, step, length)
        return W

    def _moved(self, W: Matrix, step: mp.matrix, length: mp.mpf) -> Matrix:
        return [[W[t][i] - length * step[t * self.d + i] for i in range(self.d)] for t in range(self.T)]

    def best_B(self, W: Matrix) -> Matrix:
        """argmin over B of J(W, .), every support of a column tried."""
        twice, B = 2 * self.coupling, [[mp.mpf(0)] * self.T for _ in range(self.T)]
        p = [self.mu * self.c[s] * self.task(s, W[s])[0] for s in range(self.T)]
        for t in range(self.T):
            others = [s for s in range(self.T) if s != t]
            for P in chain.from_iterable(combinations(others, k) for k in range(min(self.d, self.T - 1) + 1)):
                K = mp.matrix([[twice * mp.fdot(W[s], W[u]) for u in P] for s in P]) if P else None
                right = mp.matrix([twice * mp.fdot(W[s], W[t]) - p[s] for s in P]) if P else None
                b = list(_solve(K, right)) if P else []
                r = [W[t][i] - mp.fsum(v * W[s][i] for v, s in zip(b, P, strict=True)) for i in range(self.d)]
                q = [p[s] - twice * mp.fdot(W[s], r) for s in others if s not in P]
                if all(v > 0 for v in b) and all(v >= 0 for v in q):
                    for v, s in zip(b, P, strict=True):
                        B[s][t] = v
                    break
            else:
                raise AssertionError("no support is optimal")
        return B

    def settled(self, W: Matrix, B: Matrix) -> tuple[Matrix, Matrix] | None:
        """The first-order point with these edges, by Newton's method with W = argmin J(., B); or None."""
        edges = [(s, t) for s in range(self.T) for t in range(self.T) if B[s][t] > 0]
        first = self.T * self.d
        for _ in range(25):
            _, g, H = self.derivatives(W, B, edges)
            try:
                step, before = _solve(H, g), W
            except ZeroDivisionError:  # singular
                return None
            B = [row[:] for row in B]
            length = min(
                [mp.mpf(1), *(B[s][t] / step[k] / 2 for k, (s, t) in enumerate(edges, first) if step[k] > 0)]
            )
            for k, (s, t) in enumerate(edges, first):
                B[s][t] -= length * step[k]
            W = self.best_W(W, B)
            moved = [abs(step[k] / B[s][t]) for k, (s, t) in enumerate(edges, first)]
            moved += [
                abs(v - w) / abs(w)
                for new, old in zip(W, before, strict=True)
                for v, w in zip(new, old, strict=True)
                if w
            ]
            if max(moved) < mp.mpf(10) ** -55:
                off = [(s, t) for s in range(self.T) for t in range(self.T) if s != t and (s, t) not in edges]
                q = list(self.derivatives(W, B, off)[1])[first:]
                return (W, B) if all(v > 0 for v in q) else None
        return None

    def first_order_point(self) -> tuple[Array, Array]:
        """W (d, T) and B (T, T), rounded to doubles; strictly complementary."""
        with mp.workdps(DIGITS):
            W = [[mp.mpf(0)] * self.d for _ in range(self.T)]
            B = [[mp.mpf(0)] * self.T for _ in range(self.T)]
            for count in range(ROUNDS):
                W = self.best_W(W, B)
                B = self.best_B(W)
                if count % 5 == 4 and (found := self.settled(W, B)) is not None:
                    return np.array(found[0], dtype=float).T, np.array(found[1], dtype=float)
        raise AssertionError(f"no first-order point after {ROUNDS} rounds")


def _solve(H: mp.matrix, g: mp.matrix) -> mp.matrix:
    """H^-1 g for a symmetric H, in units of its diagonal."""
    root = [mp.sqrt(abs(H[i, i])) or mp.mpf(1) for i in range(len(g))]
    scaled = mp.matrix(len(g), len(g))
    for i in range(len(g)):
        for j in range(len(g)):
            scaled[i, j] = H[i, j] / (root[i] * root[j])
    x = mp.lu_solve(scaled, mp.matrix([v / r for v, r in zip(g, root, strict=True)]))
    return mp.matrix([v / r for v, r in zip(x, root, strict=True)])
