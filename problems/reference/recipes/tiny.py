"""Tiny problems of squared loss, T <= 3: digits proven and the global minimum enclosed."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from amtl_cvx import LossWeightedL1, Model, Squared
from recipes.integers import Draws
from recipes.recipe import Recipe, Stated
from recipes.rows import linear_tasks


def plain(
    draws: Draws,
    *,
    rows: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    noise: int | Sequence[int] = 40,
    likeness: int = 4,
    reduction: str = "mean",
) -> Stated:
    """Linear tasks that share a base."""
    tasks = linear_tasks(draws, rows=rows, d=d, noise=noise, likeness=likeness)
    loss = Squared(reduction=reduction)
    return Stated(tasks=tasks, model=Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling))


RECIPES = (
    Recipe(
        name="tiny-t2-d1-mean",
        title="Two tasks of one feature, mean squared loss.",
        grade="easy",
        traits=("one feature",),
        state=functools.partial(plain, rows=(10, 10), d=1, mu=0.25, coupling=1.0),
        enclosed=True,
    ),
    Recipe(
        name="tiny-t2-d2-sum",
        title="Two tasks of two features, squared loss summed over rows.",
        grade="easy",
        traits=(),
        state=functools.partial(plain, rows=(9, 6), d=2, mu=0.125, coupling=4.0, reduction="sum"),
        enclosed=True,
    ),
    Recipe(
        name="tiny-t3-d1-mean",
        title="Three tasks of one feature, mean squared loss.",
        grade="easy",
        traits=("one feature",),
        state=functools.partial(plain, rows=(8, 10, 6), d=1, mu=0.25, coupling=1.0),
        enclosed=True,
    ),
)
