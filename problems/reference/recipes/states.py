"""States: the ways in which recipes make a problem of squared loss, or of labels, out of draws.

Each takes the draws of a name and numbers that are written down, and gives a `Stated`. `plain` has linear
tasks that share a base; the others change one thing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Ridge, Squared, TaskSet
from amtl_cvx.losses import make_loss
from recipes.integers import Draws, dyadic
from recipes.recipe import Stated
from recipes.rows import X_SHIFT, Y_SHIFT, features, linear_tasks, targets, task_set, weights


def plain(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    noise: int | Sequence[int] = 40,
    likeness: int = 4,
    offset: int = 0,
    reduction: str = "mean",
    task_weights: Any = "equal",
    ridge: float | None = None,
    other: int = 0,
) -> Stated:
    """Linear tasks that share a base; `other` numbers draws of the same kind."""
    draws = Draws(f"{draws.name}/{other}") if other else draws
    tasks = linear_tasks(draws, rows=rows, d=d, noise=noise, likeness=likeness, offset=offset)
    return stated(
        tasks, mu=mu, coupling=coupling, reduction=reduction, task_weights=task_weights, ridge=ridge
    )


def stated(
    tasks: TaskSet,
    *,
    mu: float,
    coupling: float,
    reduction: str = "mean",
    task_weights: Any = "equal",
    ridge: float | None = None,
) -> Stated:
    """Squared loss and the penalty of AMTL."""
    model = Model(
        loss=Squared(reduction=reduction),
        transfer=LossWeightedL1(mu=mu),
        coupling=coupling,
        task_weights=task_weights,
        omega=None if ridge is None else Ridge(rho=ridge),
    )
    return Stated(tasks=tasks, model=model)


def counted(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    orders: int = 0,
    reduction: str = "mean",
) -> Stated:
    """Rows that count 0 to 3 times, or 2^-orders to 2^orders times."""
    tasks = linear_tasks(draws, rows=rows, d=d, noise=40)
    often = []
    for t, n in enumerate(rows):
        if orders:
            power = draws.integers(f"weight {t}", n, -orders, orders)
            power[:2] = (-orders, orders)
            often.append(np.ldexp(1.0, power))
        else:
            often.append(
                np.maximum(draws.integers(f"weight {t}", n, 0, 3), np.arange(n) < d + 1).astype(float)
            )
    again = TaskSet.from_arrays(
        [task.X for task in tasks], [task.y for task in tasks], names=tasks.names, sample_weight=often
    )
    return stated(again, mu=mu, coupling=coupling, reduction=reduction)


def alike(
    draws: Draws,
    *,
    rows: int,
    d: int,
    factors: Sequence[int],
    mu: float,
    coupling: float,
    noise: int = 40,
    own: int = 0,
    ridge: float | None = None,
) -> Stated:
    """Tasks over the same rows, y_t = factor_t y + own noise: predictors that are multiples of each other."""
    X = features(draws, (rows,), d)[0]
    y = targets(draws, [X], weights(draws, 1, d, likeness=0), noise=[noise])[0]
    each = [k * y + (draws.bell(f"own noise {t}", rows, own) if own else 0) for t, k in enumerate(factors)]
    shared = dyadic(X, X_SHIFT)
    tasks = TaskSet.from_arrays(
        [shared] * len(factors),
        [dyadic(yt, Y_SHIFT) for yt in each],
        names=[f"task {t + 1}" for t in range(len(factors))],
    )
    return stated(tasks, mu=mu, coupling=coupling, ridge=ridge)


def scaled(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    powers: Sequence[int],
    noise: int = 40,
) -> Stated:
    """Feature j in units 2^powers[j] times smaller."""
    X = features(draws, rows, d)
    y = targets(draws, X, weights(draws, len(rows), d), noise=[noise] * len(rows))
    tasks = task_set(X, y)
    units = np.ldexp(1.0, np.array(powers))
    again = TaskSet.from_arrays(
        [task.X * units for task in tasks], [task.y for task in tasks], names=tasks.names
    )
    return stated(again, mu=mu, coupling=coupling)


def repeated(
    draws: Draws, *, rows: Sequence[int], mu: float, coupling: float, ridge: float, noise: int = 40
) -> Stated:
    """Two features, the second twice the first one: only the ridge tells their weights apart."""
    X = [np.column_stack([x, 2 * x]) for x in (each[:, 0] for each in features(draws, rows, 1))]
    y = targets(draws, X, weights(draws, len(rows), 2), noise=[noise] * len(rows))
    return stated(task_set(X, y), mu=mu, coupling=coupling, ridge=ridge)


def grouped(
    draws: Draws,
    *,
    groups: Sequence[int],
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    noise: Sequence[int],
    ridge: float | None = None,
) -> Stated:
    """Groups of tasks with a base of their own; rows and noise go round within a group."""
    T = sum(groups)
    base = draws.bell("base of a group", (d, len(groups)), 8)
    W = np.repeat(base, groups, axis=1) + draws.bell("own", (d, T), 2)
    place = np.concatenate([np.arange(size) for size in groups])
    X = features(draws, [rows[k % len(rows)] for k in place], d)
    y = targets(draws, X, W, noise=[noise[k % len(noise)] for k in place])
    return stated(task_set(X, y), mu=mu, coupling=coupling, ridge=ridge)


def copied(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    copies: int,
    mu: float,
    coupling: float,
    ridge: float | None = None,
) -> Stated:
    """The last features are the first ones again, and one is the sum of two others."""
    X = features(draws, rows, d)
    for Xt in X:
        Xt[:, d - copies :] = Xt[:, :copies]
        Xt[:, d - copies - 1] = Xt[:, 0] + Xt[:, 1]
    y = targets(draws, X, weights(draws, len(rows), d), noise=[40] * len(rows))
    return stated(task_set(X, y), mu=mu, coupling=coupling, ridge=ridge)


def multiples(
    draws: Draws,
    *,
    rows: int,
    d: int,
    factors: Sequence[int],
    mu: float,
    coupling: float,
    own: int = 0,
    noise: int = 40,
) -> Stated:
    """Over the same rows every target is a multiple of one of two, with a little noise of its own or none."""
    X = features(draws, (rows,), d)[0]
    W = weights(draws, 2, d, likeness=8)
    pair = [X @ W[:, k] + draws.bell(f"noise {k}", rows, noise) for k in range(2)]
    y = [
        k * pair[t % 2] + (draws.bell(f"own noise {t}", rows, own) if own else 0)
        for t, k in enumerate(factors)
    ]
    shared = dyadic(X, X_SHIFT)
    names = [f"task {t + 1}" for t in range(len(factors))]
    tasks = TaskSet.from_arrays([shared] * len(factors), [dyadic(yt, Y_SHIFT) for yt in y], names=names)
    return stated(tasks, mu=mu, coupling=coupling)


def signed(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    loss: str = "logistic",
    ridge: float | None = None,
    flips: int = 0,
) -> Stated:
    """Labels -1 and +1: the signs of X w, both of them in every task; one label in `flips` turned."""
    T = len(rows)
    X, W = features(draws, rows, d), weights(draws, T, d)
    y = []
    for t, Xt in enumerate(X):
        sign = np.where(Xt @ W[:, t] >= 0, 1, -1)
        sign[:2] = np.where((sign[:2] == sign[0]).all(), (1, -1), sign[:2])
        Xt[:2] = np.where((sign[:2] * (Xt[:2] @ W[:, t]) < 0)[:, None], -Xt[:2], Xt[:2])
        if flips:
            sign = np.where(draws.integers(f"flip {t}", len(Xt), 1, flips) == 1, -sign, sign)
        y.append(sign)
    tasks = task_set(X, y, y_shift=0)
    model = Model(
        loss=make_loss(loss),
        transfer=LossWeightedL1(mu=mu),
        coupling=coupling,
        omega=None if ridge is None else Ridge(rho=ridge),
    )
    return Stated(tasks=tasks, model=model)


def perfect(draws: Draws, *, rows: Sequence[int], d: int, exact: int, mu: float, coupling: float) -> Stated:
    """The first `exact` tasks have one predictor and no noise, the last one has the opposite predictor."""
    X, W = features(draws, rows, d), weights(draws, len(rows), d)
    W[:, :exact], W[:, -1] = W[:, :1], -W[:, 0]
    y = targets(draws, X, W, noise=[0] * exact + [40] * (len(rows) - exact))
    return stated(task_set(X, y), mu=mu, coupling=coupling)


def noiseless(draws: Draws, *, rows: Sequence[int], d: int, exact: int, mu: float, coupling: float) -> Stated:
    """The first `exact` tasks have no noise."""
    noise = [0] * exact + [40] * (len(rows) - exact)
    return stated(linear_tasks(draws, rows=rows, d=d, noise=noise), mu=mu, coupling=coupling)


def idle(draws: Draws, *, rows: Sequence[int], d: int, mu: float, coupling: float) -> Stated:
    """The first task has targets 0: w_1 = 0 fits it perfectly, its edges are free and worth nothing."""
    tasks = linear_tasks(draws, rows=rows, d=d, noise=40)
    y = [np.zeros_like(tasks[0].y), *(task.y for task in tasks.tasks[1:])]
    again = TaskSet.from_arrays([task.X for task in tasks], y, names=tasks.names)
    return stated(again, mu=mu, coupling=coupling)
