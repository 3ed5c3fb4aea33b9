"""Learned features that are linear: AMTFL without its ReLU, and GO-MTL, digits proven."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from amtl_cvx import FeatureModel, GoMtlModel
from amtl_cvx.losses import make_loss
from recipes.answers import of_fit
from recipes.designs import related
from recipes.integers import Draws
from recipes.losses import KINDS
from recipes.recipe import Answer, Recipe, Stated


def learned(
    draws: Draws,
    *,
    loss: str,
    reduction: str = "mean",
    counts: Sequence[int] = (10, 14, 8, 12),
    d: int = 4,
    features: int = 2,
    weighted: bool = False,
    go_mtl: bool = False,
    **weights: float | str,
) -> Stated:
    """Related tasks with a model of shared features."""
    kind = KINDS[loss.partition(":")[0]]
    noise = (64, 192) if kind == "labels" else (8, 96)
    rows = related(draws, counts=counts, d=d, spread=6, noise=noise, weighted=weighted)
    given = {"loss": make_loss(loss, reduction=reduction), "features": features, **weights}
    made = GoMtlModel if go_mtl else FeatureModel
    return Stated(tasks=rows.tasks(kind), model=made(**given))


def answer(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """One fit from the predictors of single tasks."""
    return of_fit(recipe, stated)


def _learned(
    name: str, title: str, grade: str = "average", traits: tuple[str, ...] = (), **given: object
) -> Recipe:
    state = functools.partial(learned, **given)
    return Recipe(name=name, title=title, grade=grade, traits=traits, state=state, answer=answer)


AMTFL = {"mu": 0.125, "alpha": 0.25, "gamma": 0.0078125, "decay": 0.0625}
OF_LABELS = {"mu": 0.03125, "alpha": 0.125, "gamma": 0.0078125, "decay": 0.015625, "counts": (20, 24, 18, 22)}

RECIPES = (
    _learned(
        "features-squared",
        "AMTFL with two linear features, signed feedback, mean squared loss.",
        loss="squared",
        **AMTFL,
    ),
    _learned(
        "features-nonnegative",
        "AMTFL with two linear features, feedback that is not negative.",
        loss="squared",
        feedback="nonnegative",
        **{**AMTFL, "alpha": 0.125},
    ),
    _learned(
        "features-floor-per-row",
        "AMTFL with three features, gamma by row, a floor of the price.",
        loss="squared",
        features=3,
        gamma_per="row",
        price_floor=0.015625,
        **{**AMTFL, "gamma": 0.5},
    ),
    _learned(
        "features-sum-row-weights",
        "AMTFL with two features, summed squared loss, rows count 1/4 to 2 times.",
        "average",
        ("row weights",),
        loss="squared",
        reduction="sum",
        weighted=True,
        mu=1.0,
        alpha=0.25,
        gamma=0.0625,
        decay=0.5,
    ),
    _learned(
        "features-logistic",
        "AMTFL with two linear features, mean logistic loss.",
        loss="logistic",
        **OF_LABELS,
    ),
    _learned("features-huber", "AMTFL with two linear features, mean Huber loss.", loss="huber:0.5", **AMTFL),
    _learned(
        "features-squared-hinge",
        "AMTFL with two linear features, mean squared hinge loss.",
        loss="squared-hinge",
        **{**OF_LABELS, "mu": 0.0625, "decay": 0.03125},
    ),
    _learned(
        "features-t8-k3",
        "AMTFL with three linear features of eight tasks, mean squared loss.",
        "hard",
        loss="squared",
        counts=(16, 20, 14, 18, 12, 22, 15, 17),
        d=8,
        features=3,
        **AMTFL,
    ),
    _learned(
        "go-mtl-squared",
        "GO-MTL with two features, mean squared loss.",
        "easy",
        loss="squared",
        go_mtl=True,
        mu=0.0625,
        decay=0.03125,
    ),
    _learned(
        "go-mtl-logistic",
        "GO-MTL with two features, mean logistic loss.",
        "easy",
        loss="logistic",
        go_mtl=True,
        mu=0.03125,
        decay=0.015625,
        counts=(20, 24, 18, 22),
    ),
    _learned(
        "go-mtl-poisson-sum",
        "GO-MTL with two features, summed Poisson loss.",
        "easy",
        loss="poisson",
        reduction="sum",
        go_mtl=True,
        mu=0.5,
        decay=0.25,
    ),
)
