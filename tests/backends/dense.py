r"""A correct back end in NumPy: Newton steps by Cholesky for W, FISTA and an active set for B.

W-step      G_W = 0 by Newton on the joint Hessian blockdiag(a_t H_t) + 2 coupling P (x) I, one step for the
            squared loss (and two that refine it). For the logistic loss a step is cut to log(1 + m)/m, m the
            largest move of a score: |phi'''| <= phi'', so J falls without a look at its values.
B-step      FISTA on all columns at once, and after ever more rounds of it the active set of each column, by
            the triangular factor of its predictors, which ends it where it finds the minimum.
fit         alternation, then `finish`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular

from backends.finish import finish
from backends.terms import Array, Given, Terms


class Dense(Terms):
    """All of it in the dtype that is asked for: float64, or float32 throughout."""

    losses: ClassVar = ("squared", "logistic")
    reductions: ClassVar = ("mean", "sum")
    transfers: ClassVar = ("loss-weighted-l1",)
    omegas: ClassVar = ()
    row_weights: ClassVar = True
    alternations, moved = 60, 1e-3

    def __init__(self, dtype: str = "float64", name: str = "NumPy") -> None:
        self.name, self.dtype = name, dtype

    # what is asked

    def evaluate(self, asked: Any) -> dict[str, Any]:
        p, W, B = self.start(asked)
        losses = self.values(p, W)
        return {
            "objective": self.objective(p, W, B),
            "gradient_W": self.gradient_W(p, W, B),
            "gradient_B": self.gradient_B(p, W, B, self.prices(p, losses)),
            "losses": losses,
        }

    def w_step(self, asked: Any) -> Array:
        return self.best_W(*self.start(asked))

    def one_task(self, asked: Any) -> Array:
        p, W, B = self.start(asked)
        return self.best_w(p, W, B, int(asked.task))

    def b_step(self, asked: Any) -> Array:
        return self.best_B(*self.start(asked))

    def rounds(self, asked: Any) -> Array:
        p, W, B = self.start(asked)
        objectives = []
        for _ in range(int(asked.count)):
            W = self.best_W(p, W, B)
            objectives.append(self.objective(p, W, B))
            B = self.best_B(p, W, B)
            objectives.append(self.objective(p, W, B))
        return np.array(objectives, dtype=W.dtype)

    def fit(self, asked: Any) -> tuple[Array, Array]:
        p, W, B = self.start(asked)
        W, B = self.alternate(p, W, B)
        return finish(self, p, W, B)

    # how it is done

    def start(self, asked: Any) -> tuple[Given, Array, Array]:
        p = self.given(asked)
        return p, np.array(asked.W, dtype=p.c.dtype), np.array(asked.B, dtype=p.c.dtype)

    def alternate(self, p: Given, W: Array, B: Array) -> tuple[Array, Array]:
        """Exact half-steps until nothing moves by much."""
        for _ in range(self.alternations):
            before = B
            W = self.best_W(p, W, B)
            B = self.best_B(p, W, B)
            if np.abs(B - before).max(initial=0) <= max(self.moved, 4 * p.eps) * np.abs(B).max(initial=0):
                break
        return self.best_W(p, W, B), B

    def hessian_W(self, p: Given, W: Array, B: Array) -> Array:
        """The Hessian of J in vec(W), columns of W one after the other, (T d, T d)."""
        d, a = p.d, self.shares(p, B)
        H = np.kron(self.pull(p, B), np.eye(d, dtype=W.dtype))
        for t in range(p.T):
            at = slice(t * d, t * d + d)
            H[at, at] += a[t] * self.curvature(p, t, W[:, t])
        return H

    def best_W(self, p: Given, W: Array, B: Array) -> Array:
        """W with G_W(W, B) = 0."""
        H = self.factored(self.hessian_W(p, W, B)) if p.loss == "squared" else None
        least, best = np.inf, W
        for _ in range(4 if p.loss == "squared" else 60):
            G = self.gradient_W(p, W, B)
            size = float(np.abs(G).max())
            if size < least:
                least, best = size, W
            elif size < 1e3 * p.eps * self.terms_W(p, W, B):
                break
            factor = H if H is not None else self.factored(self.hessian_W(p, W, B))
            step = cho_solve(factor, G.T.reshape(-1)).reshape(p.T, p.d).T
            W = W - self.cut(p, step) * step
        return best

    def factored(self, H: Array) -> tuple[Array, bool]:
        """Cholesky's factor of H, shifted as far as it needs to be positive definite to rounding."""
        unit, shift = float(np.finfo(H.dtype).eps) * float(np.abs(H).max()) or 1.0, 0.0
        while True:
            try:
                factor: tuple[Array, bool] = cho_factor(H + shift * np.eye(len(H), dtype=H.dtype))
                return factor
            except LinAlgError:
                shift = max(10 * shift, unit)

    def terms_W(self, p: Given, W: Array, B: Array) -> float:
        """The largest of the numbers that G_W is summed from."""
        parts = (self.shares(p, B) * self.slopes(p, 0 * W), W @ self.pull(p, B))
        return float(max(np.abs(part).max() for part in parts))

    def cut(self, p: Given, step: Array) -> float:
        """How much of a Newton step is taken."""
        if p.loss == "squared":
            return 1.0
        m = float(max(np.abs(z).max() for z in self.scores(p, step)))
        return float(np.log1p(m) / m) if m > 0 else 1.0

    def best_w(self, p: Given, W: Array, B: Array, t: int) -> Array:
        """The w_t with column t of G_W at 0, the others fixed."""
        a, kappa = float(self.shares(p, B)[t]), float(self.pull(p, B)[t, t])
        least, best = np.inf, W[:, t]
        for _ in range(4 if p.loss == "squared" else 60):
            g = self.gradient_W(p, W, B)[:, t]
            size = float(np.abs(g).max())
            if size < least:
                least, best = size, W[:, t]
            elif size < 1e3 * p.eps * self.terms_W(p, W, B):
                break
            H = a * self.curvature(p, t, W[:, t]) + kappa * np.eye(p.d, dtype=W.dtype)
            step = np.zeros_like(W)
            step[:, t] = cho_solve(self.factored(H), g)
            W = W - self.cut(p, step) * step
        return best

    def best_B(self, p: Given, W: Array, B: Array) -> Array:
        """B >= 0 with a diagonal of 0 that is best for W."""
        prices = self.prices(p, self.values(p, W))
        top = float(np.linalg.norm(W, 2)) ** 2 * 2 * p.coupling
        if top <= 0:
            return np.zeros_like(B)
        step, count = 1 / top, 10
        best, least = B, np.inf
        while count <= 5000:
            V, inertia = B, 1.0
            for _ in range(count):
                new = self.project(V - step * self.gradient_B(p, W, V, prices))
                if float(((V - new) * (new - B)).sum()) > 0:
                    inertia = 1.0  # it overshoots: restart
                after = (1 + (1 + 4 * inertia**2) ** 0.5) / 2
                V, B, inertia = new + (inertia - 1) / after * (new - B), new, after
            for candidate in (B, self.polished(p, W, B, prices)):
                error = self.error_B(p, W, candidate, prices)
                if error < least:
                    best, least = candidate, error
            if least <= 16 * p.eps:
                break
            B, count = best, 2 * count
        return best

    def project(self, B: Array) -> Array:
        """The nearest B that is feasible."""
        B = np.maximum(B, 0)
        np.fill_diagonal(B, 0)
        return B

    def error_B(self, p: Given, W: Array, B: Array, prices: Array) -> float:
        """max |min(h_s B, G_B)| of a row over the numbers that G_B is summed from."""
        G = self.gradient_B(p, W, B, prices)
        h = 2 * p.coupling * (W**2).sum(axis=0)
        gram = np.abs(2 * p.coupling * (W.T @ W))
        np.fill_diagonal(gram, 0)
        size = prices + gram.max(axis=1)
        bent = np.abs(np.minimum(h[:, None] * B, G)).max(axis=1)
        return float(np.divide(bent, size, out=np.zeros_like(size), where=size > 0).max())

    def polished(self, p: Given, W: Array, B: Array, prices: Array) -> Array:
        """The exact B of a column's active set, one column after the other."""
        G = self.gradient_B(p, W, np.zeros_like(B), prices)
        gram = 2 * p.coupling * (W.T @ W)
        np.fill_diagonal(gram, 2 * p.coupling * (W**2).sum(axis=0))
        return np.stack([column(W, gram, G[:, t], t, [t], p) for t in range(p.T)], axis=1)


def column(W: Array, gram: Array, g: Array, t: int, barred: list[int], p: Given) -> Array:
    """The b >= 0, 0 at what is barred, that is best where the gradient is g + gram b, gram = 2 coupling W'W.

    Source: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23. A predictor that depends on
    those of the support enters along the direction in which W b does not move, until one of them leaves.
    """
    b, on = np.zeros_like(g), []
    floor = 4 * p.eps * float(np.abs(g + gram[:, t]).max() + np.abs(gram[:, t]).max())
    for _ in range(10 * p.T):
        slope = g + gram @ b
        slope[[*barred, *on]] = 0
        j = int(slope.argmin())
        if slope[j] >= -floor:
            break
        basis, R = np.linalg.qr(W[:, on])
        left = W[:, j] - basis @ (basis.T @ W[:, j])
        if float(np.linalg.norm(left)) <= 1e3 * p.eps * float(np.linalg.norm(W[:, j])):
            d = np.zeros_like(b)
            d[on], d[j] = -solve_triangular(R, basis.T @ W[:, j]), 1
            falls = [s for s in on if d[s] < 0]
            if not falls:
                break
            first = min(falls, key=lambda s: float(b[s] / -d[s]))
            b = np.maximum(b + float(b[first] / -d[first]) * d, 0)
            b[first] = 0
            on.remove(first)
        on.append(j)
        b = _solved(W, gram, g, b, on, t, p)
    return b


def _solved(W: Array, gram: Array, g: Array, b: Array, on: list[int], t: int, p: Given) -> Array:
    """The best b on the support, which loses what would be negative."""
    while on:
        basis, R = np.linalg.qr(W[:, on])
        price = solve_triangular(R, (g + gram[:, t])[on] / (2 * p.coupling), trans=1)
        x = np.zeros_like(b)
        x[on] = solve_triangular(R, basis.T @ W[:, t] - price)
        low = [s for s in on if x[s] <= 0]
        if not low:
            return x
        part = min(float(b[s] / (b[s] - x[s])) if b[s] > 0 else 0.0 for s in low)
        b = b + part * (x - b)
        for s in low:
            if b[s] <= p.eps * float(np.abs(b).max()):
                b[s] = 0
                on.remove(s)
    return np.zeros_like(b)
