"""Single tasks and the curriculum: what the tables of the paper stand beside."""

from __future__ import annotations

import functools

import numpy as np

from recipes.answers import fitted
from recipes.losses import joint
from recipes.recipe import Answer, Recipe, Stated
from recipes.steps import LABELS, with_digits


def alone(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """Every task by itself."""
    found = fitted(stated, method="stl")
    return with_digits(recipe, stated, {"W": found.W}, method="stl")


def learned_in_turn(recipe: Recipe, stated: Stated, proof: object = None) -> Answer:
    """Algorithm 2, with the order in which the tasks were learned."""
    found = fitted(stated, method="curriculum")
    order = np.array(found.facts["order"], dtype=np.int64)
    return with_digits(recipe, stated, {"W": found.W, "B": found.B, "order": order}, method="curriculum")


def _alone(name: str, title: str, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    state = functools.partial(joint, mu=1.0, **given)
    return Recipe(
        name=f"single-task-{name}",
        title=f"Each task alone: {title}",
        grade="easy",
        traits=traits,
        state=state,
        ask="single-task",
        answer=alone,
    )


def _in_turn(name: str, title: str, grade: str, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    state = functools.partial(joint, **given)
    return Recipe(
        name=f"curriculum-{name}",
        title=f"Curriculum: {title}",
        grade=grade,
        traits=traits,
        state=state,
        ask="curriculum",
        answer=learned_in_turn,
    )


FIVE = (12, 9, 16, 10, 14)

RECIPES = (
    _alone(
        "squared", "ridge regression, mean squared loss.", loss="squared", counts=FIVE, d=4, coupling=0.125
    ),
    _alone(
        "squared-sum",
        "ridge regression of summed squared loss, fewer rows than features.",
        ("n < d",),
        loss="squared",
        reduction="sum",
        counts=(3, 5, 2, 6),
        d=7,
        coupling=1.0,
    ),
    _alone(
        "logistic",
        "mean logistic loss with a ridge of the coupling.",
        loss="logistic",
        counts=LABELS,
        d=4,
        coupling=0.03125,
    ),
    _alone(
        "logistic-separable",
        "separable labels, the coupling is the ridge.",
        ("separable labels with ridge",),
        loss="logistic",
        counts=(10, 8, 6),
        d=4,
        coupling=0.015625,
        noise=(0,),
    ),
    _alone("poisson", "mean Poisson loss.", loss="poisson", counts=FIVE, d=3, coupling=0.125),
    _alone(
        "hinge",
        "mean hinge loss, support vector machines.",
        loss="hinge",
        counts=LABELS,
        d=3,
        coupling=0.0625,
    ),
    _in_turn(
        "squared",
        "five tasks, mean squared loss.",
        "easy",
        loss="squared",
        counts=FIVE,
        d=4,
        mu=1.0,
        coupling=0.25,
    ),
    _in_turn(
        "squared-sum",
        "six tasks, squared loss summed over rows.",
        "average",
        loss="squared",
        reduction="sum",
        counts=(*FIVE, 8),
        d=5,
        mu=1.0,
        coupling=2.0,
    ),
    _in_turn(
        "logistic",
        "four tasks, mean logistic loss.",
        "average",
        loss="logistic",
        counts=LABELS,
        d=4,
        mu=0.25,
        coupling=0.03125,
    ),
    _in_turn(
        "poisson",
        "five tasks, mean Poisson loss.",
        "average",
        loss="poisson",
        counts=FIVE,
        d=3,
        mu=0.5,
        coupling=0.25,
    ),
    _in_turn(
        "unbalanced",
        "tasks of 40 and of 6 rows, mean squared loss.",
        "average",
        ("unbalanced n_t",),
        loss="squared",
        counts=(40, 6, 24, 6, 32, 6),
        d=4,
        mu=1.0,
        coupling=0.25,
    ),
)
