r"""Shared features explored: starts, and when two results are one point.

Starts: the SVD of predictors learned alone, which is where a fit begins by itself, and random ones.

Features have no order, and where A may be negative no sign: J is the same with feature j's column of L, row
of S and column of A all negated. So features of two results are matched first. With x_j the parts of a
feature in L, S and A, each over the length of the longest such part,

    distance  =  max over matched features of  min(||x_j - x'_j||, ||x_j + x'_j||)

for the matching whose sum is least. Where feedback is free (alpha = 0) A is not unique, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.arrays import Array
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.explore.base import Exploration
from amtl_cvx.families import Named
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.features.second_order import second_order
from amtl_cvx.features.starts import start_of
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

SECOND_ORDER_LIMIT = 1000
"""Entries of L, S and A up to which each point's reduced Hessian is looked at."""


@dataclass(frozen=True, eq=False)
class FeatureStart(Named):
    """Where a fit begins: the blocks under a name of their own."""

    name: str
    blocks: Mapping[str, Array]


class FeatureExploration(Exploration):
    """Many L, S and A, each a fit."""

    counted = "live_features"
    default = ("svd", "at the SVD of single-task predictors")
    mark = "the svd start"
    measured = "matched features"

    def __init__(self, blocks: Sequence[str]) -> None:
        self.columns = (*(f"gap_{name}" for name in blocks), self.counted)

    def starts(
        self,
        tasks: TaskSet,
        model: FeatureModel,
        count: int,
        *,
        rng: np.random.Generator,
        options: Options,
        executor: Executor | None,
    ) -> Sequence[FeatureStart]:
        return svd_and_random(FeatureProblem(tasks, model), start_of, count, rng)

    def options(self, start: FeatureStart, tasks: TaskSet, options: Options) -> Options:
        return replace(options, start=dict(start.blocks))

    def distance(self, first: Solution, second: Solution) -> float:
        model: Any = first.model
        names = [name for name in first.blocks if name != "A" or model.alpha > 0.0]
        one, other, signs = [], [], not model.has_feedback or model.signed
        for name in names:
            pair = [each.blocks[name] if name == "S" else each.blocks[name].T for each in (first, second)]
            unit = max(float(np.linalg.norm(part, axis=1).max()) for part in pair) or 1.0
            one.append(pair[0] / unit)
            other.append(pair[1] / unit)
        return matched(np.hstack(one), np.hstack(other), signs=signs)

    def matrices(self) -> Callable[[Any], Any]:
        from amtl_cvx.plotting.features.points import Points  # matplotlib

        return Points

    def curvature(self, tasks: TaskSet, solution: Solution) -> str | None:
        point = FeatureProblem(tasks, solution.model).at(**solution.blocks)  # type: ignore[arg-type]
        if sum(block.size for block in point.blocks.values()) > SECOND_ORDER_LIMIT:
            return None
        try:
            return second_order(point).verdict
        except NotCertifiable:
            return None


def svd_and_random(
    problem: Any, start_of: Callable[..., Any], count: int, rng: np.random.Generator
) -> list[FeatureStart]:
    """Where a fit begins by itself, and random starts, `count` in all; `start_of` as that of the family."""
    problem.check()
    found = [FeatureStart("svd", start_of(problem).blocks)]
    for number in range(1, count):
        drawn = start_of(problem, "random", seed=int(rng.integers(2**31)))
        found.append(FeatureStart(f"random {number}", drawn.blocks))
    return found


def matched(a: Array, b: Array, *, signs: bool) -> float:
    """The distance of the module essay between features in rows, of any sign with `signs`."""
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    if signs:
        apart = np.minimum(apart, np.linalg.norm(a[:, None] + b[None], axis=2))
    return float(apart[linear_sum_assignment(apart)].max())
