"""Graded problems, T to 40 and d to 100: what is hard about a problem, one thing at a time, and sizes.

Digits are proven where a proof is small enough (500 unknowns); the larger ones stand on their first-order
certificate and on digits that two ways to the answer share.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from recipes.recipe import Recipe
from recipes.states import (
    copied,
    counted,
    grouped,
    idle,
    multiples,
    noiseless,
    perfect,
    plain,
    scaled,
    signed,
)


def recipe(
    name: str, title: str, grade: str, state: Any, *traits: str, starts: int = 6, digits: bool = True
) -> Recipe:
    """A recipe of this module."""
    return Recipe(
        name=name, title=title, grade=grade, traits=traits, state=state, starts=starts, digits=digits
    )


# fmt: off
SIZES = (
    recipe("sizes-t4-d4", "Four tasks of four features.", "easy", partial(plain, rows=(12, 10, 14, 9), d=4, mu=0.25, coupling=1.0)),
    recipe("sizes-t5-d8", "Five tasks of eight features.", "average", partial(plain, rows=(14, 12, 20, 11, 16), d=8, mu=0.125, coupling=1.0)),
    recipe("sizes-t8-d6-sum", "Eight tasks of six features, loss summed over rows.", "average", partial(plain, rows=(8, 9, 10, 11, 12, 13, 14, 15), d=6, mu=0.0625, coupling=8.0, reduction="sum")),
    recipe("sizes-t12-d20", "Two groups of six tasks, three reliable ones in each: the shape of the synthetic data of the AMTL paper.", "average", partial(grouped, groups=(6, 6), rows=(30,), d=20, mu=0.5, coupling=1.0, noise=(60, 60, 60, 300, 300, 300)), starts=3),
    recipe("sizes-t10-d40", "Ten tasks of forty features.", "average", partial(grouped, groups=(5, 5), rows=(60, 24), d=40, mu=0.25, coupling=1.0, noise=(60, 200)), starts=2),
    recipe("sizes-t1-d100", "One task of a hundred features: ridge regression.", "average", partial(plain, rows=(150,), d=100, mu=0.25, coupling=1.0), "one task", "many features", starts=1),
    recipe("sizes-t2-d100", "Two tasks of a hundred features, 120 and 40 rows.", "hard", partial(plain, rows=(120, 40), d=100, mu=0.25, coupling=1.0), "many features", "n < d", starts=3),
    recipe("sizes-t4-d100", "Four tasks of a hundred features, 24 rows each; a ridge of 1/4.", "hard", partial(plain, rows=(24,) * 4, d=100, mu=0.25, coupling=1.0, ridge=0.25), "many features", "n < d", "ridge", starts=3),
    recipe("sizes-t40-d1", "Forty tasks of one feature.", "hard", partial(plain, rows=(6,) * 40, d=1, mu=0.25, coupling=1.0), "many tasks", "one feature", starts=2),
    recipe("sizes-t40-d8", "Forty tasks of eight features in four groups.", "hard", partial(grouped, groups=(10,) * 4, rows=(20, 9, 12), d=8, mu=0.25, coupling=1.0, noise=(40, 160, 80)), "many tasks", starts=2),
    recipe("sizes-t24-d30", "24 tasks of thirty features in three groups.", "hard", partial(grouped, groups=(8,) * 3, rows=(45, 16), d=30, mu=0.25, coupling=1.0, noise=(60, 160)), "many tasks", starts=2, digits=False),
    recipe("sizes-t12-d80", "Twelve tasks of eighty features in two groups, 100 and 24 rows; a ridge of 1/4.", "hard", partial(grouped, groups=(6, 6), rows=(100, 24), d=80, mu=1.0, coupling=1.0, noise=(80, 200), ridge=0.25), "many features", "n < d", "ridge", starts=1, digits=False),
)

ROWS = (
    recipe("rows-few-t6-d30", "Six tasks of thirty features, 8 to 14 rows; a ridge of 1/4.", "hard", partial(plain, rows=(8, 9, 10, 12, 13, 14), d=30, mu=0.25, coupling=1.0, ridge=0.25), "n < d", "ridge", starts=4),
    recipe("rows-few-one-t3-d10", "Two tasks with rows enough, one with seven rows for ten features; no ridge.", "hard", partial(plain, rows=(40, 30, 7), d=10, mu=1.0, coupling=1.0), "n < d"),
    recipe("rows-two-t8-d6", "Two rows in each of eight tasks, six features; a ridge of 1/2.", "hard", partial(plain, rows=(2,) * 8, d=6, mu=1.0, coupling=1.0, ridge=0.5), "n < d", "ridge", starts=8),
    recipe("rows-unbalanced-t6-d4", "512, 128, 32, 8, 4 and 2 rows.", "hard", partial(plain, rows=(512, 128, 32, 8, 4, 2), d=4, mu=0.25, coupling=1.0), "unbalanced n_t", "n < d"),
    recipe("rows-unbalanced-inverse-sqrt", "400 to 4 rows, summed, with weights 1/sqrt(n_t).", "hard", partial(plain, rows=(400, 100, 25, 9, 4), d=3, mu=0.0625, coupling=4.0, reduction="sum", task_weights="inverse-sqrt"), "unbalanced n_t", "task weights"),
    recipe("rows-weights-t4-d5", "Four tasks, rows that count 0 to 3 times.", "average", partial(counted, rows=(14, 12, 10, 16), d=5, mu=0.25, coupling=1.0), "row weights"),
    recipe("rows-weights-wide-t4-d3", "Row weights from 2^-17 to 2^17.", "hard", partial(counted, rows=(14, 12, 10, 16), d=3, mu=0.25, coupling=1.0, orders=17), "row weights", "weights over ten orders of magnitude"),
    recipe("rows-weights-wide-sum", "Row weights from 2^-17 to 2^17, loss summed over rows.", "hard", partial(counted, rows=(12, 10, 14), d=2, mu=0.0625, coupling=4.0, orders=17, reduction="sum"), "row weights", "weights over ten orders of magnitude"),
    recipe("tasks-weights-wide-t5-d4", "Task weights from 2^-17 to 2^17.", "hard", partial(plain, rows=(9, 8, 12, 10, 11), d=4, mu=0.125, coupling=1.0, task_weights=(2.0 ** (-17), 2.0 ** (-8), 1.0, 2.0 ** 8, 2.0 ** 17)), "task weights", "weights over ten orders of magnitude"),
)

FEATURES = (
    recipe("columns-collinear-t5-d12", "Of twelve features three are copies and one is a sum; no ridge.", "hard", partial(copied, rows=(20, 15, 18, 14, 25), d=12, copies=3, mu=0.25, coupling=1.0), "collinear features"),
    recipe("columns-collinear-ridge", "Of eight features two are copies and one is a sum; a ridge of 1/16.", "average", partial(copied, rows=(14, 12, 10, 15), d=8, copies=2, mu=0.25, coupling=1.0, ridge=0.0625), "collinear features", "ridge"),
    recipe("columns-units-t4-d6", "Features in units from 2^-5 to 2^5.", "hard", partial(scaled, rows=(14, 12, 16, 11), d=6, mu=0.25, coupling=1.0, powers=(-5, -3, 0, 1, 3, 5)), "features in other units"),
    recipe("columns-offset-t4-d4", "Features far from 0.", "average", partial(plain, rows=(14, 12, 10, 9), d=4, mu=0.25, coupling=1.0, offset=160)),
)

ALIKE = (
    recipe("alike-t6-d5", "Targets that are multiples of one of two, row by row.", "hard", partial(multiples, rows=16, d=5, factors=(1, 1, 2, 3, 3, 2), mu=0.25, coupling=1.0), "collinear tasks", "shared rows"),
    recipe("alike-near-singular-t6-d4", "Tasks nearly alike and nearly free edges.", "hard", partial(multiples, rows=16, d=4, factors=(1, 1, 1, 2, 2, 1), mu=2.0 ** (-12), coupling=4.0, own=6), "near-singular I - B", "shared rows"),
    recipe("alike-near-singular-t4-d2", "Four tasks nearly alike, edges of price 2^-16.", "hard", partial(multiples, rows=12, d=2, factors=(1, 1, 1, 2), mu=2.0 ** (-16), coupling=8.0, own=4), "near-singular I - B", "shared rows"),
    recipe("alike-t10-d8", "Ten targets over the same rows.", "average", partial(multiples, rows=30, d=8, factors=(1,) * 10, mu=0.25, coupling=1.0, own=60), "shared rows", starts=4),
    recipe("perfect-pair-t3-d2", "Two tasks have the same exact X w: they rebuild each other without loss, I - B is nearly singular.", "hard", partial(perfect, rows=(8, 9, 7), d=2, exact=2, mu=0.25, coupling=1.0), "perfectly fitted task", "near-singular I - B", "collinear tasks"),
    recipe("perfect-noiseless-t4-d3", "Two of four tasks have targets X w exactly: their losses are small, their edges cheap.", "average", partial(noiseless, rows=(8, 9, 7, 10), d=3, exact=2, mu=0.25, coupling=1.0)),
    recipe("perfect-zero-t3-d2", "A task with targets 0 is fitted perfectly by w = 0: a first-order point, and a saddle.", "hard", partial(idle, rows=(8, 9, 7), d=2, mu=0.25, coupling=1.0), "perfectly fitted task", starts=1),
    recipe("free-t5-d2", "mu = 0, more tasks than features: many B have W B = W.", "hard", partial(plain, rows=(9, 8, 7, 10, 9), d=2, mu=0.0, coupling=1.0), "mu = 0", "non-unique B with unique W B"),
    recipe("free-t4-d1", "mu = 0, four tasks of one feature.", "hard", partial(plain, rows=(6, 8, 7, 5), d=1, mu=0.0, coupling=1.0), "mu = 0", "non-unique B with unique W B", "one feature"),
)

LABELS = (
    recipe("labels-separable-t3-d3", "Labels that a plane separates, no ridge.", "hard", partial(signed, rows=(14, 10, 12), d=3, mu=4.0, coupling=0.015625), "separable labels", starts=1),
    recipe("labels-separable-ridge-t3-d3", "Labels that a plane separates, a ridge of 1/64.", "average", partial(signed, rows=(14, 10, 12), d=3, mu=0.125, coupling=0.015625, ridge=0.015625), "separable labels", "separable labels with ridge", "ridge"),
    recipe("labels-separable-hinge-t3-d3", "Labels that a plane separates, squared hinge.", "hard", partial(signed, rows=(14, 10, 12), d=3, mu=2.0, coupling=0.015625, loss="squared-hinge"), "separable labels"),
    recipe("labels-few-rows-t6-d20", "Logistic loss, 8 rows for twenty features; a ridge of 1/64.", "hard", partial(signed, rows=(8,) * 6, d=20, mu=0.25, coupling=0.03125, ridge=0.015625), "separable labels", "separable labels with ridge", "n < d", "ridge", starts=3),
    recipe("labels-noisy-t8-d10", "Logistic loss, one label in six turned.", "average", partial(signed, rows=(40, 20, 30, 25, 24, 36, 28, 22), d=10, mu=0.25, coupling=0.0625, flips=6), starts=3),
)

MINIMA = (
    recipe("minima-t5-d2", "Five tasks with few rows: many first-order points.", "hard", partial(plain, rows=(4, 3, 4, 5, 3), d=2, mu=0.125, coupling=2.0, noise=80, likeness=12), "several known minima", starts=24),
    recipe("minima-t6-d3", "Six tasks with few rows: many first-order points.", "hard", partial(plain, rows=(5, 4, 6, 5, 4, 5), d=3, mu=0.125, coupling=2.0, noise=80, likeness=12), "several known minima", starts=24),
)

RECIPES = (*SIZES, *ROWS, *FEATURES, *ALIKE, *LABELS, *MINIMA)
