"""Tasks that are much alike and unequally noisy, so that transfer helps and rounds matter."""

from __future__ import annotations

import numpy as np

from amtl_cvx.tasks import TaskSet


def alike() -> TaskSet:
    """Four tasks in three features; the last two have few and noisy rows."""
    rng = np.random.default_rng(5)
    w, counts, noise = rng.normal(size=3), (16, 14, 7, 8), (0.2, 0.3, 1.5, 1.5)
    X = [rng.normal(size=(n, 3)) for n in counts]
    own = [w + 0.2 * rng.normal(size=3) for _ in counts]
    y = [rows @ v + s * rng.normal(size=len(rows)) for rows, v, s in zip(X, own, noise, strict=True)]
    return TaskSet.from_arrays(X, y)


def classes(rows: int = 30) -> TaskSet:
    """Three classes, one against the rest."""
    rng = np.random.default_rng(8)
    label = np.arange(rows) % 3
    return TaskSet.one_vs_rest(rng.normal(size=(rows, 2)) + np.eye(3)[label][:, :2], label)
