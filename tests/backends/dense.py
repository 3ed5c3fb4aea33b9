r"""A correct back end in NumPy: Newton steps by Cholesky for W, FISTA and an active set for B.

W-step      G_W = 0 by Newton on the joint Hessian blockdiag(a_t H_t) + 2 coupling P (x) I, one step for the
            squared loss (and two that refine it). For the logistic loss a step is cut to log(1 + m)/m, m the
            largest move of a score: |phi'''| <= phi'', so J falls without a look at its values.
B-step      FISTA on all columns at once, and after ever more rounds of it a primal active set on the support
            of each column, by Cholesky, which ends it where it finds the minimum.
fit         alternation, then `finish`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

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
            if np.abs(B - before).max(initial=0) <= self.moved * np.abs(B).max(initial=0):
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
        """The active set of each column, solved for exactly; B itself where Cholesky fails."""
        Q = 2 * p.coupling * (W.T @ W)
        B = B.copy()
        for t in range(p.T):
            free = B[:, t] > 0
            for _ in range(3 * p.T):
                g = self.gradient_B(p, W, B, prices)[:, t]
                try:
                    move = -cho_solve(cho_factor(Q[np.ix_(free, free)]), g[free]) if free.any() else g[free]
                except LinAlgError:
                    break
                at = B[free, t]
                hit = np.flatnonzero(at + move < 0)
                if len(hit):
                    reach = at[hit] / -move[hit]
                    first = hit[np.argmin(reach)]
                    at = at + float(reach.min()) * move
                    at[first] = 0
                    B[free, t] = np.maximum(at, 0)
                    free[np.flatnonzero(free)[first]] = False
                    continue
                B[free, t] = at + move
                g = np.where(free, 0, self.gradient_B(p, W, B, prices)[:, t])
                g[t] = 0
                if g.min() >= -8 * p.eps * (prices.max() + np.abs(Q[:, t]).max()):
                    break
                free[int(np.argmin(g))] = True
        return B
