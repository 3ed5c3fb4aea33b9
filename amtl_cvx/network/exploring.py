r"""Networks explored: starts, and when two results are one point.

Starts: the SVD of predictors learned alone, which is where a fit begins by itself, and random ones.

J is the same with the units of a layer in another order, together with what enters and leaves them. So units
of two results are matched first, layer by layer from below: those of layer l by what they get from the units
of layer l - 1, which are matched, and, in the last layer, by what S and A do with them. A unit has no sign,
for max(u, 0) has a side. With x_j the parts of a unit, each over the length of the longest such part,

    distance  =  max over matched units of all layers of  ||x_j - x'_j||

for the matching whose sum is least. In a network of several layers units of a lower layer that get the same,
and differ in what they give, can be matched the wrong way: two results then count as different points, never
two points as one. Where feedback is free (alpha = 0) A is not unique, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.explore.base import Exploration
from amtl_cvx.features.exploring import FeatureStart, svd_and_random
from amtl_cvx.network.certificate import certify, strict_local
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.starts import start_of
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

SECOND_ORDER_LIMIT = 1000
"""Weights up to which each point's second order is looked at."""


class NetworkExploration(Exploration):
    """Many drawn networks, each a fit."""

    also = ("deep-amtfl",)
    columns = ("active_kinks", "live_features")
    counted = "live_features"
    default = ("svd", "at the SVD of single-task predictors")
    mark = "the svd start"
    measured = "matched units"

    def starts(
        self,
        tasks: TaskSet,
        model: NetworkModel,
        count: int,
        *,
        rng: np.random.Generator,
        options: Options,
        executor: Executor | None,
    ) -> Sequence[FeatureStart]:
        return svd_and_random(NetworkProblem(tasks, model), start_of, count, rng)

    def options(self, start: FeatureStart, tasks: TaskSet, options: Options) -> Options:
        return replace(options, start=dict(start.blocks))

    def distance(self, first: Solution, second: Solution) -> float:
        return distance(first.blocks, second.blocks, feedback=getattr(first.model, "alpha", 0.0) > 0.0)

    def matrices(self) -> Callable[[Any], Any] | None:
        return None

    def curvature(self, tasks: TaskSet, solution: Solution) -> str | None:
        model: Any = solution.model
        point = NetworkProblem(tasks, model).at(**solution.blocks)
        if point.problem.size > SECOND_ORDER_LIMIT:
            return None
        try:
            found = strict_local(certify(point, tol=solution.certificate.tol), point)
        except NotCertifiable:
            return None
        return "strict local minimum" if found.has("C3") else None


def distance(first: Mapping[str, Array], second: Mapping[str, Array], *, feedback: bool) -> float:
    """How far two networks of the same layers are from each other; see the module essay."""
    depth = sum(name.startswith("W") for name in first)
    order: Indices = np.arange(first["W1"].shape[0])
    worst = 0.0
    for number in range(1, depth + 1):
        mine, others = [_entering(first, number, np.arange(len(order)))], [_entering(second, number, order)]
        if number == depth:
            mine += [first["S"], *_fed(first, feedback)]
            others += [second["S"], *_fed(second, feedback)]
        apart = _apart(mine, others)
        rows, order = linear_sum_assignment(apart)
        worst = max(worst, float(apart[rows, order].max()))
    return worst


def _entering(blocks: Mapping[str, Array], number: int, order: Indices) -> Array:
    """What enters each unit of a layer from units in this order, and its bias, a row a unit."""
    W = blocks[f"W{number}"][order].T
    bias = blocks.get(f"bias{number}")
    return W if bias is None else np.column_stack([W, bias])


def _fed(blocks: Mapping[str, Array], feedback: bool) -> list[Array]:
    """What is given back to each unit of the last layer, a row a unit."""
    if not feedback:
        return []
    bias = blocks.get("bias_feedback")
    return [blocks["A"].T if bias is None else np.column_stack([blocks["A"].T, bias])]


def _apart(one: Sequence[Array], other: Sequence[Array]) -> Array:
    """Distances between the units of both, each part over the length of the longest one."""
    scaled: list[list[Array]] = [[], []]
    for pair in zip(one, other, strict=True):
        unit = max(float(np.linalg.norm(part, axis=1).max()) for part in pair) or 1.0
        for parts, part in zip(scaled, pair, strict=True):
            parts.append(part / unit)
    a, b = np.hstack(scaled[0]), np.hstack(scaled[1])
    found: Array = np.linalg.norm(a[:, None] - b[None], axis=2)
    return found
