"""Tiny problems of squared loss, T <= 3: digits proven and the global minimum enclosed.

Plain ones of all sizes; row weights and task weights; ridge, with fewer rows than features; likeness from
none to exact; more than one minimum. Those about the price of the graph are in `thresholds`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from recipes.recipe import Recipe
from recipes.states import alike, counted, plain, repeated, scaled


def easy(
    name: str, title: str, state: Any, *traits: str, grade: str = "easy", enclosed: bool = True
) -> Recipe:
    """A recipe of this module."""
    return Recipe(
        name=f"tiny-{name}", title=title, grade=grade, traits=traits, state=state, enclosed=enclosed
    )


# fmt: off
SIZES = (
    easy("t1-d1", "One task of one feature: ridge regression.", partial(plain, rows=(7,), d=1, mu=0.25, coupling=0.5), "one task", "one feature"),
    easy("t1-d4", "One task of four features: ridge regression.", partial(plain, rows=(12,), d=4, mu=0.25, coupling=0.5), "one task"),
    easy("t2-d1-mean", "Two tasks of one feature, mean squared loss.", partial(plain, rows=(10, 10), d=1, mu=0.25, coupling=1.0), "one feature"),
    easy("t2-d1-sum", "Two tasks of one feature, squared loss summed over rows.", partial(plain, rows=(5, 9), d=1, mu=0.0625, coupling=2.0, reduction="sum"), "one feature"),
    easy("t2-d2-mean", "Two tasks of two features, mean squared loss.", partial(plain, rows=(8, 12), d=2, mu=0.125, coupling=0.5)),
    easy("t2-d2-sum", "Two tasks of two features, squared loss summed over rows.", partial(plain, rows=(9, 6), d=2, mu=0.125, coupling=4.0, reduction="sum")),
    easy("t2-d3-mean", "Two tasks of three features, mean squared loss.", partial(plain, rows=(14, 10), d=3, mu=0.125, coupling=1.0)),
    easy("t2-d3-sum", "Two tasks of three features, squared loss summed over rows.", partial(plain, rows=(9, 11), d=3, mu=0.0625, coupling=8.0, reduction="sum")),
    easy("t2-d5", "Two tasks of five features.", partial(plain, rows=(16, 12), d=5, mu=0.125, coupling=1.0)),
    easy("t2-d8", "Two tasks of eight features.", partial(plain, rows=(20, 14), d=8, mu=0.25, coupling=2.0), grade="average"),
    easy("t3-d1-mean", "Three tasks of one feature, mean squared loss.", partial(plain, rows=(8, 10, 6), d=1, mu=0.25, coupling=1.0), "one feature"),
    easy("t3-d1-sum", "Three tasks of one feature, squared loss summed over rows.", partial(plain, rows=(5, 8, 6), d=1, mu=0.125, coupling=4.0, reduction="sum"), "one feature"),
    easy("t3-d2-mean", "Three tasks of two features, mean squared loss.", partial(plain, rows=(9, 8, 12), d=2, mu=0.25, coupling=1.0)),
    easy("t3-d2-sum", "Three tasks of two features, squared loss summed over rows.", partial(plain, rows=(7, 8, 9), d=2, mu=0.125, coupling=4.0, reduction="sum")),
    easy("t3-d3", "Three tasks of three features.", partial(plain, rows=(14, 10, 12), d=3, mu=0.25, coupling=1.0), grade="average"),
    easy("t2-weak-coupling", "A coupling of 2^-8: the tasks are nearly alone.", partial(plain, rows=(9, 7), d=2, mu=0.015625, coupling=0.00390625)),
    easy("t2-strong-coupling", "A coupling of 64: w_t is hardly more than what its teacher gives.", partial(plain, rows=(9, 7), d=2, mu=0.25, coupling=64.0)),
    easy("t3-cheap-graph", "mu = 2^-8: teaching costs next to nothing.", partial(plain, rows=(9, 7, 8), d=1, mu=0.00390625, coupling=1.0), "one feature", grade="average"),
    easy("t3-reliable-teacher", "One task with little noise and many rows, two noisy ones: who teaches whom.", partial(plain, rows=(24, 6, 5), d=2, mu=0.25, coupling=1.0, noise=(8, 120, 120), likeness=2)),
    easy("t2-offset", "Features far from 0: the columns of X are nearly the constant.", partial(plain, rows=(8, 10), d=2, mu=0.125, coupling=1.0, offset=160), grade="average"),
    easy("t2-unbalanced", "200 rows beside 4.", partial(plain, rows=(200, 4), d=2, mu=0.25, coupling=1.0), "unbalanced n_t"),
    easy("t3-unbalanced", "128, 12 and 3 rows.", partial(plain, rows=(128, 12, 3), d=1, mu=0.25, coupling=1.0, reduction="sum"), "unbalanced n_t", "one feature"),
)

WEIGHTED = (
    easy("t2-row-weights", "Rows that count 0 to 3 times.", partial(counted, rows=(10, 8), d=2, mu=0.25, coupling=1.0), "row weights"),
    easy("t2-row-weights-sum", "Rows that count 0 to 3 times, loss summed over rows.", partial(counted, rows=(9, 7), d=1, mu=0.0625, coupling=4.0, reduction="sum"), "row weights", "one feature"),
    easy("t3-row-weights", "Three tasks, rows that count 0 to 3 times.", partial(counted, rows=(7, 8, 6), d=1, mu=0.25, coupling=1.0), "row weights", "one feature"),
    easy("t2-row-weights-wide", "Row weights from 2^-17 to 2^17.", partial(counted, rows=(10, 12), d=2, mu=0.25, coupling=1.0, orders=17), "row weights", "weights over ten orders of magnitude", grade="hard"),
    easy("t2-task-weights", "Task weights 4 and 1/2.", partial(plain, rows=(9, 8), d=2, mu=0.125, coupling=1.0, task_weights=(4.0, 0.5)), "task weights"),
    easy("t3-task-weights", "Task weights 1/4, 1 and 3.", partial(plain, rows=(8, 7, 9), d=1, mu=0.25, coupling=1.0, task_weights=(0.25, 1.0, 3.0)), "task weights", "one feature"),
    easy("t2-inverse-sqrt", "AMTL-imbalanced: loss summed over rows, task weights 1/sqrt(n_t), 1/3 and 1/4.", partial(plain, rows=(9, 16), d=2, mu=0.125, coupling=1.0, reduction="sum", task_weights="inverse-sqrt"), "task weights"),
    easy("t3-inverse-sqrt", "AMTL-imbalanced with irrational weights 1/sqrt(n_t).", partial(plain, rows=(5, 8, 12), d=1, mu=0.125, coupling=1.0, reduction="sum", task_weights="inverse-sqrt"), "task weights", "one feature"),
    easy("t2-task-weights-wide", "Task weights 2^-17 and 2^17.", partial(plain, rows=(9, 8), d=1, mu=0.125, coupling=1.0, task_weights=(2.0 ** (-17), 2.0 ** 17)), "task weights", "weights over ten orders of magnitude", "one feature", grade="hard", enclosed=False),
    easy("t3-task-weights-wide", "Task weights 2^-17, 1 and 2^17.", partial(plain, rows=(9, 8, 7), d=1, mu=0.125, coupling=1.0, task_weights=(2.0 ** (-17), 1.0, 2.0 ** 17)), "task weights", "weights over ten orders of magnitude", "one feature", grade="hard", enclosed=False),
)

RIDGE = (
    easy("t2-ridge", "A ridge of 1/2 beside the coupling.", partial(plain, rows=(8, 9), d=2, mu=0.125, coupling=1.0, ridge=0.5), "ridge"),
    easy("t3-ridge", "Three tasks with a ridge of 1/4.", partial(plain, rows=(8, 9, 6), d=1, mu=0.25, coupling=1.0, ridge=0.25), "ridge", "one feature"),
    easy("t2-few-rows", "Two rows and three rows for four features; a ridge of 1/4.", partial(plain, rows=(2, 3), d=4, mu=0.5, coupling=1.0, ridge=0.25), "ridge", "n < d", grade="average", enclosed=False),
    easy("t3-few-rows", "One row and two rows for three features beside a task of ten; a ridge of 1.", partial(plain, rows=(10, 1, 2), d=3, mu=1.0, coupling=1.0, ridge=1.0), "ridge", "n < d", grade="average", enclosed=False),
    easy("t2-collinear-features", "The second feature is twice the first: the ridge alone tells them apart.", partial(repeated, rows=(9, 7), mu=0.25, coupling=1.0, ridge=0.0625), "ridge", "collinear features", grade="average", enclosed=False),
    easy("t3-collinear-features", "Three tasks whose second feature is twice the first.", partial(repeated, rows=(9, 7, 8), mu=0.25, coupling=1.0, ridge=0.125), "ridge", "collinear features", grade="average", enclosed=False),
)

ALIKE = (
    easy("t2-collinear-tasks", "The second target is twice the first, row by row.", partial(alike, rows=10, d=2, factors=(1, 2), mu=0.25, coupling=1.0), "collinear tasks", "shared rows", grade="average"),
    easy("t3-collinear-tasks", "Targets 1, 2 and 3 times the same.", partial(alike, rows=10, d=2, factors=(1, 2, 3), mu=0.25, coupling=1.0), "collinear tasks", "shared rows", grade="average"),
    easy("t3-opposite-task", "Targets 1, 2 and -1 times the same: the third one cannot be taught.", partial(alike, rows=9, d=2, factors=(1, 2, -1), mu=0.25, coupling=1.0), "collinear tasks", "shared rows"),
    easy("t2-near-singular", "Two tasks nearly alike and nearly free edges: B[1, 2] B[2, 1] is nearly 1.", partial(alike, rows=12, d=2, factors=(1, 1), mu=2.0 ** (-14), coupling=4.0, own=6), "near-singular I - B", "shared rows", grade="hard"),
    easy("t3-near-singular", "Three tasks nearly alike and nearly free edges.", partial(alike, rows=10, d=1, factors=(1, 2, 1), mu=2.0 ** (-12), coupling=4.0, own=6), "near-singular I - B", "shared rows", "one feature", grade="hard"),
    easy("t2-units", "Features in units 2^10 apart.", partial(scaled, rows=(9, 8), d=2, mu=0.25, coupling=1.0, powers=(0, 10)), "features in other units", grade="average"),
    easy("t3-shared-rows", "Three targets over the same rows.", partial(alike, rows=10, d=2, factors=(1, 1, 1), mu=0.25, coupling=1.0, own=40), "shared rows"),
)
FEW = {"noise": 80, "likeness": 12}

MINIMA = (
    easy("t2-minima-a", "Two minima; fits from B = 0 end 14 % above the lower one.", partial(plain, rows=(3, 4), d=1, mu=0.25, coupling=2.0, other=1, **FEW), "several known minima", "one feature", grade="average"),
    easy("t2-minima-b", "Two minima; fits from B = 0 end at twice the lower one.", partial(plain, rows=(3, 4), d=1, mu=0.25, coupling=2.0, other=6, **FEW), "several known minima", "one feature", grade="average"),
    easy("t2-minima-c", "Two minima, the one that fits from B = 0 reach half as much again as the other.", partial(plain, rows=(3, 4), d=1, mu=0.25, coupling=2.0, other=6, **FEW), "several known minima", "one feature", grade="average"),
    easy("t3-minima-a", "Three minima of three tasks.", partial(plain, rows=(3, 4, 3), d=1, mu=0.25, coupling=2.0, other=12, **FEW), "several known minima", "one feature", grade="average"),
    easy("t3-minima-b", "Three minima; fits from B = 0 end at the highest of them.", partial(plain, rows=(3, 4, 3), d=1, mu=0.25, coupling=2.0, other=5, **FEW), "several known minima", "one feature", grade="average"),
    easy("t3-minima-c", "Four minima of three tasks with two features.", partial(plain, rows=(5, 6, 4), d=2, mu=0.125, coupling=2.0, other=6, **FEW), "several known minima", grade="hard", enclosed=False),
    easy("t3-minima-d", "Two minima of three tasks with two features.", partial(plain, rows=(5, 6, 4), d=2, mu=0.125, coupling=2.0, other=5, **FEW), "several known minima", grade="hard"),
)

RECIPES = (*SIZES, *WEIGHTED, *RIDGE, *ALIKE, *MINIMA)
