"""The problems of shared features that refinement is measured on: planted ones, digits, and random ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from amtl_cvx import TaskSet  # noqa: E402
from amtl_cvx.features import FeatureModel, FeatureProblem  # noqa: E402
from amtl_cvx.losses import make_loss  # noqa: E402

T, D, K, ROWS = 12, 20, 6, 30
NOISE = (1.0, 5.0)  # of the first half of the tasks and of the others
SETTINGS = (
    {"alpha": 0.1, "mu": 0.1, "gamma": 0.001, "decay": 0.1},
    {"alpha": 1.0, "mu": 0.1, "gamma": 0.001, "decay": 0.1},
    {"alpha": 0.3, "mu": 0.03, "gamma": 0.003, "decay": 0.03},
    {"alpha": 0.3, "mu": 0.3, "gamma": 0.0003, "decay": 0.3},
    {"alpha": 0.1, "mu": 0.03, "gamma": 0.01, "decay": 0.1},
    {"alpha": 1.0, "mu": 0.03, "gamma": 0.0003, "decay": 0.03},
    {"alpha": 0.1, "mu": 0.01, "gamma": 0.001, "decay": 0.01},
    {"alpha": 0.03, "mu": 0.01, "gamma": 0.0003, "decay": 0.01},
)
"""Written before anything was timed; the last two are very weak, gamma is the weight in total."""
DIGITS = (
    {"alpha": 0.3, "mu": 0.01, "gamma": 1e-5, "decay": 0.001},
    {"alpha": 0.3, "mu": 0.003, "gamma": 1e-5, "decay": 0.001},
)
FEEDBACKS = ("signed", "nonnegative")
SEEDS = range(3)
RANDOM = range(100)
LOSSES = ("squared", "logistic", "huber:0.7", "squared-hinge")


def shared(rng: np.random.Generator, T: int, d: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """X (T, n, d) and y (T, n): k features of standard normals, each task uses about half of them."""
    L = rng.standard_normal((d, k))
    S = rng.standard_normal((k, T)) * (rng.random((k, T)) < 0.5)
    X = rng.standard_normal((T, n, d))
    more = np.where(np.arange(T) < T // 2, *NOISE)[:, None]
    y = np.einsum("tnd,dt->tn", X, L @ S) + more * rng.standard_normal((T, n))
    return X, (y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True)


def planted(seed: int) -> TaskSet:
    """Six features, the first six tasks reliable; y standardised by task."""
    X, y = shared(np.random.default_rng(seed), T, D, K, ROWS)
    return TaskSet.from_arrays(list(X), list(y))


def random_problem(seed: int) -> FeatureProblem:
    """Sizes, weights, loss and feedback by the seed."""
    rng = np.random.default_rng(seed)
    tasks, d, k, n = (int(rng.integers(*ends)) for ends in ((2, 13), (2, 21), (1, 9), (4, 40)))
    alpha, mu, gamma, decay = 10.0 ** rng.uniform((-2.0, -3.0, -4.0, -3.0), (0.5, -0.7, 0.0, -0.7))
    loss = make_loss(LOSSES[seed % 4])
    X, y = shared(rng, tasks, d, min(k, 4), n)
    y = np.where(y > 0.0, 1.0, -1.0) if loss.classification else y
    model = FeatureModel(
        loss=loss, features=k, alpha=alpha, mu=mu, gamma=gamma, decay=decay,
        feedback=FEEDBACKS[seed // 4 % 2], price_floor=0.001 * (seed // 8 % 2),
    )  # fmt: skip
    return FeatureProblem(TaskSet.from_arrays(list(X), list(y)), model)


def digits() -> TaskSet:
    """All 1797 images, pixels from 0 to 1, one task a digit."""
    X, labels = load_digits(return_X_y=True)
    return TaskSet.from_arrays([X / 16.0] * 10, [np.where(labels == k, 1.0, -1.0) for k in range(10)])
