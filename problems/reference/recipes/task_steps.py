"""One task: its best predictor, the other predictors and the graph as they are given."""

from __future__ import annotations

from recipes.recipe import Recipe
from recipes.steps import LABELS, step_recipe


def _one(name: str, title: str, task: int, traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return step_recipe("one-task", f"step-one-{name}", f"One task: {title}", "easy", traits, task, given)


RECIPES = (
    _one("squared", "the second of four, mean squared loss.", 1, loss="squared", coupling=0.25),
    _one(
        "squared-sum",
        "the third of six, squared loss summed over rows.",
        2,
        loss="squared",
        reduction="sum",
        coupling=4.0,
        counts=(12, 9, 16, 10, 14, 8),
        d=5,
    ),
    _one(
        "logistic",
        "the first of four, mean logistic loss.",
        0,
        loss="logistic",
        coupling=0.03125,
        counts=LABELS,
    ),
    _one(
        "squared-hinge",
        "the last of four, mean squared hinge loss.",
        3,
        loss="squared-hinge",
        coupling=0.0625,
        counts=LABELS,
    ),
    _one("huber", "the second of four, mean Huber loss.", 1, loss="huber:0.5", coupling=0.25),
    _one("poisson", "the third of four, mean Poisson loss.", 2, loss="poisson", coupling=0.25),
)
