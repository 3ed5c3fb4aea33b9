"""Every loss, summed and averaged over rows, with and without row weights: joint problems whose digits are proven.

Three to eight tasks of `designs.related`; AMTL's price, and a ridge where it says so. The point is the one that
the fit from B = 0 leads to.
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


def _joint(name: str, title: str, grade: str, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    state = functools.partial(joint, **given)  # type: ignore[arg-type]
    return Recipe(name=name, title=title, grade=grade, traits=traits, state=state, answer=of_zero)


T3, T4 = (10, 14, 8), (12, 9, 16, 10)
L3, L4 = (18, 22, 16), (20, 17, 24, 18)  # of labels: more rows, or they are separable

RECIPES = (
    _joint("squared-mean-t5-d4", "Five tasks of four features, mean squared loss.", "average",
           loss="squared", counts=(12, 9, 16, 10, 14), d=4, mu=2.0, coupling=0.125),
    _joint("squared-sum-t6-d5", "Six tasks of five features, squared loss summed over rows.", "average",
           loss="squared", reduction="sum", counts=(12, 9, 16, 10, 14, 8), d=5, mu=4.0, coupling=1.0),
    _joint("squared-row-weights-t4", "Four tasks, mean squared loss of rows that count 1/4 to 2 times.", "easy",
           ("row weights",), loss="squared", counts=T4, d=4, mu=2.0, coupling=0.0625, weighted=True),
    _joint("logistic-mean-t3-d3", "Three tasks of three features, mean logistic loss.", "easy",
           loss="logistic", counts=L3, d=3, mu=0.125, coupling=0.0078125),
    _joint("logistic-sum-t4-d4", "Four tasks of four features, logistic loss summed over rows.", "easy",
           loss="logistic", reduction="sum", counts=L4, d=4, mu=0.125, coupling=0.5),
    _joint("logistic-row-weights", "Three tasks, mean logistic loss of rows that count 1/4 to 2 times.", "easy",
           ("row weights",), loss="logistic", counts=L3, d=3, mu=0.125, coupling=0.015625, weighted=True),
    _joint("squared-hinge-mean-t3-d3", "Three tasks of three features, mean squared hinge loss.", "easy",
           loss="squared-hinge", counts=L3, d=3, mu=0.5, coupling=0.125),
    _joint("squared-hinge-sum-t4-d4", "Four tasks of four features, squared hinge loss summed over rows.", "easy",
           loss="squared-hinge", reduction="sum", counts=L4, d=4, mu=0.25, coupling=2.0),
    _joint("squared-hinge-row-weights", "Three tasks, summed squared hinge loss, rows count 1/4 to 2 times.", "easy",
           ("row weights",), loss="squared-hinge", reduction="sum", counts=L3, d=3, mu=0.25, coupling=1.0,
           weighted=True),
    _joint("hinge-mean-t3-d3", "Three tasks of three features, mean hinge loss.", "average",
           loss="hinge", counts=L3, d=3, mu=2.0, coupling=0.0625),
    _joint("hinge-sum-t4-d4", "Four tasks of four features, hinge loss summed over rows.", "average",
           loss="hinge", reduction="sum", counts=L4, d=4, mu=0.5, coupling=0.5),
    _joint("hinge-row-weights", "Three tasks, mean hinge loss of rows that count 1/4 to 2 times.", "average",
           ("row weights",), loss="hinge", counts=L3, d=3, mu=0.125, coupling=0.03125, weighted=True),
    _joint("huber-mean-t3-d3", "Three tasks of three features, mean Huber loss, threshold 1/2.", "easy",
           loss="huber:0.5", counts=T3, d=3, mu=2.0, coupling=0.125),
    _joint("huber-sum-t4-d4", "Four tasks of four features, Huber loss summed over rows, threshold 1/2.", "easy",
           loss="huber:0.5", reduction="sum", counts=T4, d=4, mu=1.0, coupling=0.5),
    _joint("huber-row-weights", "Three tasks, summed Huber loss of rows that count 1/4 to 2 times.", "average",
           ("row weights",), loss="huber:0.5", reduction="sum", counts=T3, d=3, mu=2.0, coupling=0.5,
           weighted=True),
    _joint("quantile-mean-t3-d3", "Three tasks of three features, mean quantile loss, tau 1/4.", "average",
           loss="quantile:0.25", counts=T3, d=3, mu=1.0, coupling=0.0625),
    _joint("quantile-sum-t4-d4", "Four tasks of four features, quantile loss summed over rows, tau 1/4.", "average",
           loss="quantile:0.25", reduction="sum", counts=T4, d=4, mu=2.0, coupling=0.125),
    _joint("quantile-row-weights", "Three tasks, mean quantile loss of rows that count 1/4 to 2 times.", "average",
           ("row weights",), loss="quantile:0.25", counts=T3, d=3, mu=2.0, coupling=0.125, weighted=True),
    _joint("poisson-mean-t3-d3", "Three tasks of three features, mean Poisson loss of counts.", "easy",
           loss="poisson", counts=T3, d=3, mu=0.5, coupling=0.25),
    _joint("poisson-sum-t4-d4", "Four tasks of four features, Poisson loss summed over rows.", "easy",
           loss="poisson", reduction="sum", counts=T4, d=4, mu=1.0, coupling=2.0),
    _joint("poisson-row-weights", "Three tasks, summed Poisson loss of rows that count 1/4 to 2 times.", "easy",
           ("row weights",), loss="poisson", reduction="sum", counts=T3, d=3, mu=0.125, coupling=0.5,
           weighted=True),
    _joint("logistic-separable-ridge", "Three tasks whose labels are separable, mean logistic loss with a ridge.",
           "average", ("separable labels with ridge", "ridge"), loss="logistic", counts=(10, 8, 6), d=4, mu=0.5,
           coupling=0.0078125, noise=(0,), omega="ridge:rho=0.0078125"),
    _joint("hinge-separable-ridge", "Three tasks whose labels are separable, mean hinge loss with a ridge.", "hard",
           ("separable labels with ridge", "ridge", "near-singular I - B"), loss="hinge", counts=(10, 8, 6), d=4,
           mu=4.0, coupling=0.125, noise=(0,), omega="ridge:rho=0.0078125"),
    _joint("logistic-separable-dear", "Three tasks whose labels are separable, no ridge, and no edge that pays.",
           "average", ("separable labels", "empty graph"), loss="logistic", counts=(10, 8, 6), d=4, mu=1.0,
           coupling=0.0625, noise=(0,)),
    _joint("logistic-unbalanced", "Tasks of 60 to 6 rows, summed logistic loss, weights n^-1/2.", "average",
           ("unbalanced n_t", "task weights"), loss="logistic", reduction="sum", counts=(64, 36, 16, 9, 9), d=3,
           mu=0.125, coupling=0.125, noise=(64, 256), task_weights="inverse-sqrt"),
    _joint("huber-few-rows", "Four tasks, three of them with fewer rows than features, Huber loss.", "average",
           ("n < d",), loss="huber:0.5", counts=(4, 5, 4, 12), d=6, mu=1.0, coupling=0.25),
    _joint("squared-hinge-few-rows", "Four tasks, three with no more rows than features, squared hinge.", "average",
           ("n < d", "ridge"), loss="squared-hinge", counts=(5, 4, 6, 14), d=6, mu=2.0, coupling=0.125,
           omega="ridge:rho=0.03125"),
    _joint("poisson-unbalanced", "Tasks of 40 and of 6 rows, mean Poisson loss.", "average", ("unbalanced n_t",),
           loss="poisson", counts=(40, 6, 20, 6), d=3, mu=0.5, coupling=0.25),
    _joint("quantile-median-t4", "Four tasks, absolute deviations (quantile loss, tau 1/2).", "average",
           loss="quantile:0.5", counts=(9, 13, 7, 11), d=3, mu=1.0, coupling=0.125),
    _joint("huber-threshold-two", "Four noisy tasks, Huber loss with threshold 2.", "easy",
           loss="huber:2", counts=(9, 13, 7, 11), d=3, mu=0.5, coupling=0.25, noise=(64, 256)),
    _joint("hinge-t5-d3", "Five tasks of three features, mean hinge loss.", "average",
           loss="hinge", counts=(16, 20, 14, 18, 12), d=3, mu=1.0, coupling=0.0625, noise=(64, 256)),
    _joint("logistic-t8-d4", "Eight tasks of four features, mean logistic loss.", "average",
           loss="logistic", counts=(20, 24, 18, 30, 16, 22, 26, 20), d=4, mu=0.25, coupling=0.015625,
           noise=(64, 256)),
    _joint("poisson-task-weights", "Three tasks of weights 1/2, 2 and 1, mean Poisson loss.", "easy",
           ("task weights",), loss="poisson", counts=(12, 16, 10), d=4, mu=0.5, coupling=0.25,
           task_weights=(0.5, 2.0, 1.0)),
)  # fmt: skip
