r"""The price from which on the graph is empty, in closed form: at it, just above it, just below it.

Two tasks of one feature, mean squared loss, coupling 1. With m = mean(x^2) and v_t = mean(x y_t), at B = 0

    w_t = v_t / (m + 1),    l_t = mean(y_t^2) - 2 w_t v_t + m w_t^2,    G_B[s, t] = mu l_s - 2 w_s w_t

x = (15, 5, 1, 1), y_1 = (15, 5, 5, 1) and y_2 = 2 y_1 have w = (1, 2) and l = (4, 16): below mu = 1 task 1
teaches task 2, from 1 on no task teaches another. With "sum" and coupling 4 all is four times that. A third
task, -y_1, neither teaches nor is taught.

x = (1, 1, 1, 1), y_1 = (3, 1, 3, 1) and y_2 = 2 y_1 have w = (1, 2) and l = (2, 8), but the rows hold the
predictors less: both tasks teach each other where that is lowest, and B = 0, a first-order point from mu = 2
on, is not the lowest one. There the graph does not shrink to nothing as mu grows, it jumps.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from recipes.integers import Draws
from recipes.recipe import Recipe, Stated
from recipes.rows import task_set
from recipes.states import stated

EMPTIES = 1.0
"""mu from which on B = 0 is a first-order point."""
_SIGNS = (1, 2, -1)


def priced(draws: Draws, *, mu: float, T: int = 2, reduction: str = "mean", loose: bool = False) -> Stated:
    """The tasks of the module's essay; nothing is drawn."""
    x, first = ((1, 1, 1, 1), (3, 1, 3, 1)) if loose else ((15, 5, 1, 1), (15, 5, 5, 1))
    X = [np.array(x).reshape(4, 1)] * T
    y = [k * np.array(first) for k in _SIGNS[:T]]
    coupling = 1.0 if reduction == "mean" else 4.0
    return stated(task_set(X, y, x_shift=0, y_shift=0), mu=mu, coupling=coupling, reduction=reduction)


def at(name: str, title: str, state: partial[Stated], *traits: str, enclosed: bool = True) -> Recipe:
    """A recipe of this module."""
    return Recipe(
        name=f"price-{name}",
        title=title,
        grade="average",
        traits=("one feature", *traits),
        state=state,
        enclosed=enclosed,
        source="written down: nothing is drawn",
    )


_AT, _ABOVE, _BELOW = (
    f"mu {where} the value where the graph empties" for where in ("at", "just above", "just below")
)

# fmt: off
RECIPES = (
    at("at", "mu exactly where the graph empties: a multiplier is 0.", partial(priced, mu=EMPTIES), _AT, "empty graph"),
    at("above", "mu 2^-20 above the value where the graph empties.", partial(priced, mu=EMPTIES * (1 + 2.0 ** (-20))), _ABOVE, "empty graph"),
    at("below", "mu 2^-20 below the value where the graph empties: one edge of 1e-6.", partial(priced, mu=EMPTIES * (1 - 2.0 ** (-20))), _BELOW),
    at("below-more", "mu 1 % below the value where the graph empties.", partial(priced, mu=EMPTIES * (1 - 2.0 ** (-7))), _BELOW),
    at("at-sum", "mu exactly where the graph empties, loss summed over rows.", partial(priced, mu=EMPTIES, reduction="sum"), _AT, "empty graph"),
    at("below-sum", "mu 2^-12 below the value where the graph empties, loss summed over rows.", partial(priced, mu=EMPTIES * (1 - 2.0 ** (-12)), reduction="sum"), _BELOW),
    at("above-three", "Three tasks, mu 2^-12 above the value where the graph empties.", partial(priced, mu=EMPTIES * (1 + 2.0 ** (-12)), T=3), _ABOVE, "empty graph"),
    at("below-three", "Three tasks, mu 2^-12 below the value where the graph empties.", partial(priced, mu=EMPTIES * (1 - 2.0 ** (-12)), T=3), _BELOW),
    at("jump", "mu where B = 0 becomes a first-order point, which is not the lowest one.", partial(priced, mu=2.0, loose=True), "several known minima"),
    at("far-above", "mu 64 times the value where the graph empties.", partial(priced, mu=64 * EMPTIES), "empty graph"),
)
