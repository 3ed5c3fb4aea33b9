"""The problems of `networks.py`: groups, weights, seeds, and what is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkProblem

SETTINGS = ((0.1, 0.02, 0.002, 0.01), (0.1, 0.005, 0.01, 0.003), (0.01, 0.1, 0.001, 0.02))
"""alpha, mu, gamma, decay of one hidden layer, gamma in total, as the issue has them."""
LENGTH = 10.0
"""Standard deviation of the inputs of logistic fits, 1 for squared ones. A mean logistic loss is log 2 at
most: at the third setting features of inputs of 1 cost more, so that none or one is live, and features that
tasks can share are few. Length and labels were chosen on seeds from 1000."""
DEEP = (0.1, 0.02, 0.002, 0.01)
DIGITS = (0.1, 0.003, 1e-5, 0.003)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fit: which group, loss and weights, which seed, which residual is asked for, and within how long."""

    group: str
    loss: str
    weights: tuple[float, float, float, float]
    layers: tuple[int, ...]
    seed: int
    tol: float
    limit: float

    @property
    def name(self) -> str:
        return f"{self.group}, {self.loss}, {self.weights}, seed {self.seed}"


def cases() -> Iterator[Case]:
    """All of them: all settings of a seed before the next seed."""
    for seed in range(20):
        for loss in ("squared", "logistic"):
            for weights in SETTINGS:
                yield Case(
                    group="one layer",
                    loss=loss,
                    weights=weights,
                    layers=(10,),
                    seed=seed,
                    tol=1e-8,
                    limit=120,
                )
        if seed < 10:
            yield Case(
                group="deep", loss="squared", weights=DEEP, layers=(10, 8), seed=seed, tol=1e-8, limit=120
            )
    for seed in range(3):
        yield Case(
            group="digits", loss="logistic", weights=DIGITS, layers=(22, 14), seed=seed, tol=1e-6, limit=900
        )


def planted(rng: np.random.Generator, N: int, widths: tuple[int, ...], T: int) -> tuple[Any, Any]:
    """X (N, d) of standard normals and F (N, T), a ReLU network on it with noise.

    Each task is on half of the features of the last layer, with weights whose sum is 0.
    """
    X = rng.standard_normal((N, widths[0]))
    Z, k = X, widths[-1]
    for below, above in zip(widths, widths[1:], strict=False):
        Z = np.maximum(Z @ rng.standard_normal((below, above)) * np.sqrt(2.0 / below), 0.0)
    S = np.zeros((k, T))
    for t in range(T):
        weights = rng.choice([-1.0, 1.0], k // 2) * rng.uniform(1.0, 2.0, k // 2)
        S[rng.choice(k, k // 2, replace=False), t] = weights - weights.mean()
    F = Z @ S
    return X, F + 0.1 * F.std() * rng.standard_normal((N, T))


def apart(rng: np.random.Generator, N: int, d: int, T: int) -> tuple[Any, Any]:
    """X (N, d) and F (N, T) along T orthogonal directions: each task needs features of its own.

    One sign in twenty is turned round: where hardly any row is on the wrong side losses are next to nothing,
    and so are the prices of feedback.
    """
    X = LENGTH * rng.standard_normal((N, d))
    F = X @ np.linalg.qr(rng.standard_normal((d, T)))[0]
    return X, np.where(rng.random((N, T)) < 0.05, -F, F)


def posed(case: Case) -> NetworkProblem:
    """The problem of a case."""
    rng = np.random.default_rng(case.seed)
    if case.group == "digits":
        X, labels = load_digits(return_X_y=True)
        X, y = X[:500] / 16.0, np.where(labels[:500, None] == np.arange(10), 1.0, -1.0)
    elif case.group == "deep":
        X, y = planted(rng, 200, (15, 10, 8), 6)
    elif case.loss == "squared":
        X, y = planted(rng, 300, (20, 10), 6)
    else:
        X, y = apart(rng, 300, 20, 6)
    if case.group != "digits":
        y = (y - y.mean(axis=0)) / y.std(axis=0) if case.loss == "squared" else np.where(y > 0.0, 1.0, -1.0)
    alpha, mu, gamma, decay = case.weights
    model = NetworkModel(
        loss=make_loss(case.loss), layers=case.layers, alpha=alpha, mu=mu, gamma=gamma, decay=decay
    )
    return NetworkProblem(TaskSet.from_arrays([X] * y.shape[1], list(y.T)), model)
