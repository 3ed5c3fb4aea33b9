"""W-steps: the best predictors for a graph that is given, for every loss."""

from __future__ import annotations

import numpy as np

from recipes.designs import Rows
from recipes.integers import Draws, dyadic
from recipes.recipe import Array, Recipe
from recipes.steps import LABELS, TWELVE, step_recipe


def _near_one(draws: Draws, rows: Rows, B: Array) -> tuple[Rows, Array]:
    """A cycle of edges of 1 - 2^-10: the least singular value of I - B is about 2^-10."""
    T = len(rows.X)
    cycle = np.zeros((T, T), dtype=np.int64)
    cycle[np.arange(T), (np.arange(T) + 1) % T] = 1023
    return rows, dyadic(cycle, 10)


def _w(name: str, title: str, grade: str = "easy", traits: tuple[str, ...] = (), **given: object) -> Recipe:
    return step_recipe("w-step", f"step-w-{name}", f"W-step: {title}", grade, traits, None, given)


RECIPES = (
    _w("squared", "four tasks, mean squared loss.", loss="squared", coupling=0.25),
    _w(
        "squared-sum",
        "six tasks, squared loss summed over rows.",
        loss="squared",
        reduction="sum",
        coupling=4.0,
        counts=(12, 9, 16, 10, 14, 8),
        d=5,
    ),
    _w(
        "squared-few-rows",
        "fewer rows than features, mean squared loss.",
        "average",
        ("n < d",),
        loss="squared",
        coupling=0.25,
        counts=(3, 4, 2, 5),
        d=8,
    ),
    _w(
        "squared-near-singular",
        "the edges form a cycle of 1 - 2^-10, mean squared loss.",
        "hard",
        ("near-singular I - B",),
        loss="squared",
        coupling=0.25,
        change=_near_one,
    ),
    _w(
        "squared-twelve",
        "twelve tasks of twenty features, mean squared loss.",
        "average",
        loss="squared",
        coupling=0.25,
        counts=TWELVE,
        d=20,
    ),
    _w(
        "row-weights",
        "rows that count 1/4 to 2 times, mean squared loss.",
        "easy",
        ("row weights",),
        loss="squared",
        coupling=0.25,
        weighted=True,
    ),
    _w(
        "ridge",
        "a ridge, mean squared loss.",
        "easy",
        ("ridge",),
        loss="squared",
        coupling=0.25,
        omega="ridge:rho=0.0625",
    ),
    _w(
        "l21",
        "few features, mean squared loss.",
        "average",
        ("penalty on predictors",),
        loss="squared",
        coupling=0.25,
        omega="l21:rho=0.25",
    ),
    _w("logistic", "four tasks, mean logistic loss.", loss="logistic", coupling=0.03125, counts=LABELS),
    _w(
        "logistic-sum",
        "logistic loss summed over rows.",
        loss="logistic",
        reduction="sum",
        coupling=0.5,
        counts=LABELS,
    ),
    _w(
        "squared-hinge",
        "four tasks, mean squared hinge loss.",
        loss="squared-hinge",
        coupling=0.0625,
        counts=LABELS,
    ),
    _w("hinge", "four tasks, mean hinge loss.", "average", loss="hinge", coupling=0.0625, counts=LABELS),
    _w(
        "huber",
        "four tasks, summed Huber loss, threshold 1/2.",
        loss="huber:0.5",
        reduction="sum",
        coupling=2.0,
    ),
    _w(
        "quantile",
        "four tasks, mean quantile loss, tau 1/4.",
        "average",
        loss="quantile:0.25",
        coupling=0.125,
    ),
    _w("poisson", "four tasks, mean Poisson loss.", loss="poisson", coupling=0.25),
)
