"""Handwritten digits as ten one-vs-rest tasks over the same rows, half of them for training."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from amtl_cvx.data import Dataset
from amtl_cvx.tasks import TaskSet


def make(seed: int) -> Dataset:
    """1797 images of 8x8 pixels (0 to 16), labels 0 to 9; the rows are split by a seeded permutation."""
    X, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    half = len(X) // 2
    train, test = (_tasks(X[part], labels[part]) for part in (order[:half], order[half:]))
    return Dataset(name="digits", train=train, test=test, classes=tuple(str(digit) for digit in range(10)))


def _tasks(X: np.ndarray, labels: np.ndarray) -> TaskSet:
    return TaskSet.from_arrays(
        [X] * 10,
        [np.where(labels == digit, 1.0, -1.0) for digit in range(10)],
        names=[f"digit {digit}" for digit in range(10)],
        feature_names=[f"pixel {row},{column}" for row in range(8) for column in range(8)],
    )
