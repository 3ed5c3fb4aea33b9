"""Three hundred random problems over all losses, sizes and scales, none of them made to be easy.

`problem(k)`, k = 0 .. 299, is drawn from the seed [14, k]: up to 8 tasks, 8 features and 20 rows a task, so
that most problems have tasks with fewer rows than features, and

    every 3rd    features with a mean of their own          every 13th   a first task without noise
    every 4th    (k = 1 mod 4) targets in units from 1e-3 to 1e3 of each other (losses of a number)
    every 5th    rows in units from 1e-2 to 1e2             every 17th   two tasks that are the same
    every 11th   a feature that is 0                        every 19th   mu = 0

coupling from 1e-4 to 1e4, mu from 1e-4 to 1e2, targets from 1e-4 to 1e4, task weights equal, 1/sqrt(n_t) or
from 1e-3 to 1e3. Where a task is fitted without loss its edges are free: J need not have a minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtl_cvx import TaskSet
from amtl_cvx.problem import Model, make_model

COUNT = 300
SEED = 14
LOSSES = ("squared", "logistic", "hinge", "squared-hinge", "huber:0.5", "quantile:0.3", "poisson")
LABELS = ("logistic", "hinge", "squared-hinge")
NUMBERS = ("squared", "huber:0.5", "quantile:0.3")
KINKED = ("hinge", "quantile:0.3")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One of them."""

    number: int
    loss: str
    tasks: TaskSet
    model: Model


def problem(k: int) -> Problem:
    """The k-th problem."""
    rng, loss = np.random.default_rng([SEED, k]), LOSSES[k % len(LOSSES)]
    T, d = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    counts = rng.integers(1, 21, size=T)
    if loss in LABELS:
        counts = np.maximum(counts, 2)
    X = [_rows(rng, n, d, scaled=k % 5 == 0, shifted=k % 3 == 0) for n in counts]
    if k % 11 == 0:
        for rows in X:
            rows[:, 0] = 0.0
    base = rng.normal(size=d)
    y = [_targets(rng, rows, base, loss) for rows in X]
    if loss in NUMBERS:
        unit = 10.0 ** rng.uniform(-4, 4)
        y = [each * unit * (10.0 ** rng.uniform(-3, 3) if k % 4 == 1 else 1.0) for each in y]
        if k % 13 == 0:
            y[0] = X[0] @ base * unit
    if k % 17 == 0 and T > 1:
        X[1], y[1] = X[0].copy(), y[0].copy()
    reduction = ("mean", "sum")[int(rng.integers(2))]
    weights = ("equal", "inverse-sqrt", tuple((10.0 ** rng.uniform(-3, 3, size=T)).tolist()))[
        int(rng.integers(3))
    ]
    coupling, mu = float(10.0 ** rng.uniform(-4, 4)), float(10.0 ** rng.uniform(-4, 2))
    model = make_model(
        loss=loss,
        reduction=reduction,
        mu=0.0 if k % 19 == 0 else mu,
        coupling=coupling,
        task_weights=weights,
    )
    return Problem(number=k, loss=loss, tasks=TaskSet.from_arrays(X, y), model=model)


def _rows(rng: np.random.Generator, n: int, d: int, *, scaled: bool, shifted: bool) -> np.ndarray:
    rows = rng.normal(size=(n, d))
    if scaled:
        rows = rows * 10.0 ** rng.uniform(-2, 2)
    return rows + rng.normal(size=d) * 3.0 if shifted else rows


def _targets(rng: np.random.Generator, X: np.ndarray, base: np.ndarray, loss: str) -> np.ndarray:
    w = base * rng.choice([1, 1, 1, -1]) + 0.5 * rng.normal(size=len(base))
    z = X @ w + rng.normal(size=len(X)) * 10.0 ** rng.uniform(-3, 0.5)
    if loss in NUMBERS:
        return z
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)
    labels = np.where(z > 0, 1.0, -1.0)
    labels[:2] = 1.0, -1.0
    return labels
