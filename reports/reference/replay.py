r"""The two steps of the AMTL authors' MATLAB code in NumPy, from its update formulas, and what it saved.

With delta_t half the mean squared residual of task t (or the mean logistic loss over all rows), lambda the
coupling of that code and E the off-diagonal entries of B as one vector,

    B-step   g = lambda W'(W B - W) + delta^2 * B               (the square of the loss, half the coupling)
             the reduced gradient of g on {sum(B) = T}; a line search on lambda ||W B - W||^2 + sum delta |B|
             (another objective); then B is divided by its sum and multiplied by T
    W-step   G_t = -(1 + sum_u B[t, u]) x_1 (y_1 - x_1' w_t) / n_t + lambda (W (I - B)(I - B)')_t
             W <- W - 0.005 G / ||G||, x_1 the first row of the task; of every 50th iterate the best is kept

Nothing in it is random: `length(idx.tr(t+1) - idx.tr(t))` is the length of one number, so the sample of a
task has one row, and `randperm(1, 1)` is 1. The W-step of the classification code does draw rows, and is
not replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io as sio
from numpy.typing import NDArray

Array = NDArray[np.float64]
KEPT, STEP = 951, 0.005
"""The last of 1000 iterates of a W-step that is compared, and the length of each step."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A saved run: rows of each task, and W and B of every round; `W[0]` is single-task learning."""

    X: list[Array]
    y: list[Array]
    W: list[Array]
    B: list[Array]
    coupling: float

    @classmethod
    def regression(cls, path: Path) -> Saved:
        """result_synthetic_dataset.mat."""
        found = sio.loadmat(path)
        ends = [*(found["trindex"].ravel().astype(int) - 1), len(found["train_y"])]
        parts = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
        X, y = found["train_x"].astype(float), found["train_y"].ravel().astype(float)
        return cls._of(found, [X[part] for part in parts], [y[part] for part in parts], "lambda_ridge")

    @classmethod
    def classification(cls, path: Path) -> Saved:
        """result_usps1.mat, one class against the others; labels 0 and 1."""
        found = sio.loadmat(path)
        X, label = found["train_x"].astype(float), found["train_y"].ravel()
        T = int(found["T"].item())
        return cls._of(found, [X] * T, [(label == t + 1).astype(float) for t in range(T)], "lambda_ridge")

    @classmethod
    def _of(cls, found: dict[str, Array], X: list[Array], y: list[Array], coupling: str) -> Saved:
        W = [found["W_old"], *found["W_cell"][:, 0]]
        return cls(X=X, y=y, W=W, B=list(found["B_cell"][:, 0]), coupling=float(found[coupling].item()))

    def halves(self, W: Array) -> Array:
        """Half the mean squared residual of every task."""
        return np.array([np.mean((y - X @ w) ** 2) / 2 for X, y, w in zip(self.X, self.y, W.T, strict=True)])

    def logistic(self, W: Array) -> Array:
        """Mean logistic loss of every task."""
        Z = [(X @ w, y) for X, y, w in zip(self.X, self.y, W.T, strict=True)]
        return np.array([np.mean(np.logaddexp(0.0, z) - y * z) for z, y in Z])


def weights(saved: Saved, W: Array, B: Array) -> Array:
    """Where the W-step of the regression code ends."""
    first = [(X[0] / len(X), X[0], y[0]) for X, y in zip(saved.X, saved.y, strict=True)]
    given, W = 1.0 + B.sum(axis=1), W.copy()
    for _ in range(KEPT):
        residual = W - W @ B
        G = saved.coupling * (residual - residual @ B.T)
        for t, (scaled, x, y) in enumerate(first):
            G[:, t] -= given[t] * scaled * (y - x @ W[:, t])
        W = W - STEP / np.linalg.norm(G) * G
    return W


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a B-step goes: its first step length, how many rounds, where it stops, what it does first."""

    length: float
    rounds: int
    stop: float
    clips_first: bool


REGRESSION = Search(length=1e-6, rounds=501, stop=1e-3, clips_first=False)
CLASSIFICATION = Search(length=1e-4, rounds=1001, stop=-1.0, clips_first=True)


def transfer(saved: Saved, W: Array, delta: Array, B: Array | None, how: Search) -> tuple[Array, list[float]]:
    """Where the B-step ends, and the length of each of its steps."""
    T = W.shape[1]
    beta, off = (np.ones((T, T)) / T if B is None else B).copy(), ~np.eye(T, dtype=bool)
    np.fill_diagonal(beta, 0.0)
    G, lengths = np.ones((T, T)), []

    def price(B: Array) -> float:
        return float(saved.coupling * np.linalg.norm(W @ B - W) ** 2 + (delta[:, None] * np.abs(B)).sum())

    for _ in range(how.rounds):
        g = saved.coupling * W.T @ (W @ beta - W) + delta[:, None] ** 2 * beta
        before, (G, lost) = G, _reduced(np.where(off, g, G), beta)
        length, value = how.length, price(beta)
        for _ in range(100):
            if price(beta - length * G) <= value:
                break
            length /= 2
        beta = beta - length * G
        beta[lost] = 0.0
        beta = np.maximum(beta, 0.0) if how.clips_first else beta
        beta = T * (beta / beta.sum())
        beta[beta < 0] = 0.0
        lengths.append(length)
        if np.linalg.norm(G - before) <= how.stop:
            break
    return beta, lengths


def _reduced(gradient: Array, B: Array) -> tuple[Array, tuple[int, int]]:
    """The reduced gradient on a fixed sum, and the entry that is set to 0; column by column as in MATLAB."""
    g, beta = gradient.flatten(order="F"), B.flatten(order="F")
    largest = int(beta.argmax())
    reduced = np.where(beta > 0, g - g[largest], 0.0)
    rising = np.nonzero(g > 0)[0]
    lost = int(rising[(beta[rising] / g[rising]).argmin()])
    reduced[largest] = g[largest] - g[lost]
    return reduced.reshape(B.shape, order="F"), (lost % len(B), lost // len(B))
