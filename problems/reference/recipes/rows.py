"""Rows of linear tasks: X and w are whole numbers over a power of two, y = X w + noise is exact.

    tasks = linear_tasks(draws, rows=(12, 9), d=2, noise=20)

In units of 2^-4 an entry of X is a bell of standard deviation 18 (1.15 when divided), in units of 2^-3 a
weight one of 9: a base that all tasks share and a part of their own. y and its noise are in units of 2^-7.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.tasks import TaskSet
from recipes.integers import Draws, Integers, dyadic

X_SHIFT, W_SHIFT = 4, 3
Y_SHIFT = X_SHIFT + W_SHIFT


def features(draws: Draws, rows: Sequence[int], d: int, *, size: int = 16, offset: int = 0) -> list[Integers]:
    """X_t (n_t, d) in units of 2^-4; `offset` moves the features of all rows."""
    return [offset + draws.bell(f"X {t}", (n, d), size) for t, n in enumerate(rows)]


def weights(draws: Draws, T: int, d: int, *, likeness: int = 4, size: int = 8) -> Integers:
    """W (d, T) in units of 2^-3: a base that all tasks share, and a bell of size `likeness` for each."""
    own = draws.bell("own", (d, T), likeness) if likeness else np.zeros((d, T), dtype=np.int64)
    return np.asarray(draws.bell("base", (d, 1), size) + own)


def targets(draws: Draws, X: Sequence[Integers], W: Integers, *, noise: Sequence[int]) -> list[Integers]:
    """y_t = X_t w_t + noise in units of 2^-7, exact."""
    return [
        Xt @ W[:, t] + (draws.bell(f"noise {t}", len(Xt), noise[t]) if noise[t] else 0)
        for t, Xt in enumerate(X)
    ]


def task_set(
    X: Sequence[Integers], y: Sequence[Integers], *, x_shift: int = X_SHIFT, y_shift: int = Y_SHIFT
) -> TaskSet:
    """Whole numbers as tasks "task 1" to "task T"."""
    return TaskSet.from_arrays(
        [dyadic(Xt, x_shift) for Xt in X],
        [dyadic(yt, y_shift) for yt in y],
        names=[f"task {t + 1}" for t in range(len(X))],
    )


def linear_tasks(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    noise: int | Sequence[int],
    likeness: int = 4,
    offset: int = 0,
) -> TaskSet:
    """Linear tasks that share a base; noise is of all tasks, or of each."""
    T = len(rows)
    X = features(draws, rows, d, offset=offset)
    each = [noise] * T if isinstance(noise, int) else noise
    return task_set(X, targets(draws, X, weights(draws, T, d, likeness=likeness), noise=each))
