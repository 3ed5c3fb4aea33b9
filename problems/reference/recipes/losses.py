"""Every loss, summed and averaged over rows, with and without row weights; the digits of all are proven.

Three to six tasks of `designs.related` and AMTL's price.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from amtl_cvx import LossWeightedL1, Model
from amtl_cvx.losses import make_loss
from recipes.answers import of_fit
from recipes.designs import related
from recipes.integers import Draws
from recipes.recipe import Answer, Recipe, Stated

KINDS: Mapping[str, str] = {
    "squared": "numbers",
    "huber": "numbers",
    "quantile": "numbers",
    "poisson": "counts",
    "logistic": "labels",
    "squared-hinge": "labels",
    "hinge": "labels",
}
"""What the targets of each loss are."""
STARTS = 6
"""Of how many B the fits of a joint problem begin."""
_NOISE: Mapping[str, tuple[int, ...]] = {"numbers": (16, 64), "counts": (16, 64), "labels": (64, 256)}


def of_zero(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """The point that the fit leads to from where it begins by itself."""
    return of_fit(recipe, stated)


def joint(
    draws: Draws,
    *,
    loss: str,
    counts: Sequence[int],
    d: int,
    mu: float,
    coupling: float,
    reduction: str = "mean",
    weighted: bool = False,
    noise: Sequence[int] | None = None,
    omega: str | None = None,
    task_weights: str | tuple[float, ...] = "equal",
) -> Stated:
    """Related tasks with a loss and AMTL's price."""
    kind = KINDS[loss.partition(":")[0]]
    rows = related(draws, counts=counts, d=d, noise=noise or _NOISE[kind], weighted=weighted)
    model = Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=LossWeightedL1(mu=mu),
        coupling=coupling,
        omega=omega,
        task_weights=task_weights,
    )
    return Stated(tasks=rows.tasks(kind), model=model)


def joint_recipe(name: str, title: str, grade: str, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    """The recipe of a joint problem; `given` as `joint` has it."""
    state = functools.partial(joint, **given)
    return Recipe(name=name, title=title, grade=grade, traits=traits, state=state, starts=STARTS)


T3, T4 = (10, 14, 8), (12, 9, 16, 10)
L3, L4 = (18, 22, 16), (20, 17, 24, 18)  # of labels: more rows, or they are separable

RECIPES = (
    joint_recipe(
        "squared-mean-t5-d4",
        "Five tasks of four features, mean squared loss.",
        "average",
        loss="squared",
        counts=(12, 9, 16, 10, 14),
        d=4,
        mu=2.0,
        coupling=0.125,
    ),
    joint_recipe(
        "squared-sum-t6-d5",
        "Six tasks of five features, squared loss summed over rows.",
        "average",
        loss="squared",
        reduction="sum",
        counts=(12, 9, 16, 10, 14, 8),
        d=5,
        mu=4.0,
        coupling=1.0,
    ),
    joint_recipe(
        "squared-row-weights-t4",
        "Four tasks, mean squared loss of rows that count 1/4 to 2 times.",
        "easy",
        ("row weights",),
        loss="squared",
        counts=T4,
        d=4,
        mu=2.0,
        coupling=0.0625,
        weighted=True,
    ),
    joint_recipe(
        "logistic-mean-t3-d3",
        "Three tasks of three features, mean logistic loss.",
        "easy",
        loss="logistic",
        counts=L3,
        d=3,
        mu=0.125,
        coupling=0.0078125,
    ),
    joint_recipe(
        "logistic-sum-t4-d4",
        "Four tasks of four features, logistic loss summed over rows.",
        "easy",
        loss="logistic",
        reduction="sum",
        counts=L4,
        d=4,
        mu=0.125,
        coupling=0.5,
    ),
    joint_recipe(
        "logistic-row-weights",
        "Three tasks, mean logistic loss of rows that count 1/4 to 2 times.",
        "easy",
        ("row weights",),
        loss="logistic",
        counts=L3,
        d=3,
        mu=0.125,
        coupling=0.015625,
        weighted=True,
    ),
    joint_recipe(
        "squared-hinge-mean-t3-d3",
        "Three tasks of three features, mean squared hinge loss.",
        "easy",
        loss="squared-hinge",
        counts=L3,
        d=3,
        mu=0.5,
        coupling=0.125,
    ),
    joint_recipe(
        "squared-hinge-sum-t4-d4",
        "Four tasks of four features, squared hinge loss summed over rows.",
        "easy",
        loss="squared-hinge",
        reduction="sum",
        counts=L4,
        d=4,
        mu=0.25,
        coupling=2.0,
    ),
    joint_recipe(
        "squared-hinge-row-weights",
        "Three tasks, summed squared hinge loss, rows count 1/4 to 2 times.",
        "easy",
        ("row weights",),
        loss="squared-hinge",
        reduction="sum",
        counts=L3,
        d=3,
        mu=0.25,
        coupling=1.0,
        weighted=True,
    ),
    joint_recipe(
        "hinge-mean-t3-d3",
        "Three tasks of three features, mean hinge loss.",
        "average",
        loss="hinge",
        counts=L3,
        d=3,
        mu=2.0,
        coupling=0.0625,
    ),
    joint_recipe(
        "hinge-sum-t4-d4",
        "Four tasks of four features, hinge loss summed over rows.",
        "average",
        loss="hinge",
        reduction="sum",
        counts=L4,
        d=4,
        mu=0.5,
        coupling=0.5,
    ),
    joint_recipe(
        "hinge-row-weights",
        "Three tasks, mean hinge loss of rows that count 1/4 to 2 times.",
        "average",
        ("row weights",),
        loss="hinge",
        counts=L3,
        d=3,
        mu=0.125,
        coupling=0.03125,
        weighted=True,
    ),
    joint_recipe(
        "huber-mean-t3-d3",
        "Three tasks of three features, mean Huber loss, threshold 1/2.",
        "easy",
        loss="huber:0.5",
        counts=T3,
        d=3,
        mu=2.0,
        coupling=0.125,
    ),
    joint_recipe(
        "huber-sum-t4-d4",
        "Four tasks of four features, Huber loss summed over rows, threshold 1/2.",
        "easy",
        loss="huber:0.5",
        reduction="sum",
        counts=T4,
        d=4,
        mu=1.0,
        coupling=0.5,
    ),
    joint_recipe(
        "huber-row-weights",
        "Three tasks, summed Huber loss of rows that count 1/4 to 2 times.",
        "average",
        ("row weights",),
        loss="huber:0.5",
        reduction="sum",
        counts=T3,
        d=3,
        mu=2.0,
        coupling=0.5,
        weighted=True,
    ),
    joint_recipe(
        "quantile-mean-t3-d3",
        "Three tasks of three features, mean quantile loss, tau 1/4.",
        "average",
        loss="quantile:0.25",
        counts=T3,
        d=3,
        mu=1.0,
        coupling=0.0625,
    ),
    joint_recipe(
        "quantile-sum-t4-d4",
        "Four tasks of four features, quantile loss summed over rows, tau 1/4.",
        "average",
        loss="quantile:0.25",
        reduction="sum",
        counts=T4,
        d=4,
        mu=2.0,
        coupling=0.125,
    ),
    joint_recipe(
        "quantile-row-weights",
        "Three tasks, mean quantile loss of rows that count 1/4 to 2 times.",
        "average",
        ("row weights",),
        loss="quantile:0.25",
        counts=T3,
        d=3,
        mu=2.0,
        coupling=0.125,
        weighted=True,
    ),
    joint_recipe(
        "poisson-mean-t3-d3",
        "Three tasks of three features, mean Poisson loss of counts.",
        "easy",
        loss="poisson",
        counts=T3,
        d=3,
        mu=0.5,
        coupling=0.25,
    ),
    joint_recipe(
        "poisson-sum-t4-d4",
        "Four tasks of four features, Poisson loss summed over rows.",
        "easy",
        loss="poisson",
        reduction="sum",
        counts=T4,
        d=4,
        mu=1.0,
        coupling=2.0,
    ),
    joint_recipe(
        "poisson-row-weights",
        "Three tasks, summed Poisson loss of rows that count 1/4 to 2 times.",
        "easy",
        ("row weights",),
        loss="poisson",
        reduction="sum",
        counts=T3,
        d=3,
        mu=0.125,
        coupling=0.5,
        weighted=True,
    ),
)
