"""What the tests of arrays share: one table, as every kind of array and frame."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from amtl_cvx.data import ChunkedRows, factor
from amtl_cvx.losses import Squared
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

N, NAMES = 12, ("a", "b", "c")


RNG = np.random.default_rng(3)


ROWS, Y = RNG.normal(size=(N, 3)), RNG.normal(size=N)


HALVES = np.repeat([0, 1], N // 2)


MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@functools.cache
def a_solution() -> Solution:
    return fit(TaskSet.from_stacked(ROWS, Y, HALVES, feature_names=NAMES), MODEL)


def frame(order: str = "abc") -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=list(NAMES))[list(order)]


WAYS_IN: dict[str, Callable[[Any, Solution], object]] = {
    "Task": lambda X, s: Task(X=X, y=Y),
    "from_arrays": lambda X, s: TaskSet.from_arrays([ROWS, X], [Y, Y]),
    "from_stacked": lambda X, s: TaskSet.from_stacked(X, Y, HALVES),
    "from_matrix": lambda X, s: TaskSet.from_matrix(X, np.column_stack([Y, -Y])),
    "one_vs_rest": lambda X, s: TaskSet.one_vs_rest(X, HALVES),
    "predict": lambda X, s: s.predict(0, X),
    "scores": lambda X, s: s.scores(X),
    "apply": lambda X, s: Preparation(center=np.zeros(3), scale=np.ones(3), intercept=True).apply(X),
    "stream": lambda X, s: factor(ChunkedRows(make=lambda: [(X, Y, HALVES)])),
}
