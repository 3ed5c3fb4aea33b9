r"""A shared dictionary explored: starts, and when two results are one point.

Starts: the singular vectors of predictors learned alone, where a fit begins by itself, and random ones.

Features have no order and no sign: J is the same with column k of D and row k of G negated. So features of
two results are matched first. With x_k the parts of a feature in D and G, each over that of the longest,

    distance  =  max over matched features of  min(||x_k - x'_k||, ||x_k + x'_k||)

for the matching whose sum is least. Where no code has its whole radius D and G are not unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.problem import DictionaryProblem
from amtl_cvx.dictionary.starts import start_of
from amtl_cvx.explore.base import Exploration
from amtl_cvx.features.exploring import FeatureStart, matched, svd_and_random
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


class DictionaryExploration(Exploration):
    """Many D and G, each a fit."""

    counted = "live_features"
    default = ("svd", "at the SVD of single-task predictors")
    mark = "the svd start"
    measured = "matched features"
    columns = ("gap_D", "gap_G", "live_features")

    def starts(
        self,
        tasks: TaskSet,
        model: DictionaryModel,
        count: int,
        *,
        rng: np.random.Generator,
        options: Options,
        executor: Executor | None,
    ) -> Sequence[FeatureStart]:
        return svd_and_random(DictionaryProblem(tasks, model), start_of, count, rng)

    def options(self, start: FeatureStart, tasks: TaskSet, options: Options) -> Options:
        return replace(options, start=dict(start.blocks))

    def distance(self, first: Solution, second: Solution) -> float:
        parts = []
        for name in ("D", "G"):
            pair = [each.blocks[name].T if name == "D" else each.blocks[name] for each in (first, second)]
            unit = max(float(np.linalg.norm(part, axis=1).max()) for part in pair) or 1.0
            parts.append([part / unit for part in pair])
        a, b = (np.hstack([part[i] for part in parts]) for i in (0, 1))
        return matched(a, b, signs=True)

    def curvature(self, tasks: TaskSet, solution: Solution) -> str | None:
        return None  # no test of second order knows balls
