r"""AMTL explored: starts, when two results are one point, and what its landscape tells.

Starts: B = 0; "single-task", the B-step at predictors learned alone (ridge weight a thousandth of the
coupling); "curriculum", the B of Algorithm 2; random sparse B, each entry present with probability `density`,
uniform, and of such a length that the other tasks together make `size` times w_t on average, were all of one
direction. W follows from the first W-step.

    distance  =  max over t of max(||w_t - w'_t||, ||W (b_t - b'_t)||, ||W' (b_t - b'_t)||) / ||w_t||

(||w_t|| the larger of the two). Two B that differ without changing W B, as with collinear tasks, count as one
point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from amtl_cvx.amtl.starts import Start, drawn
from amtl_cvx.certificate.second_order import second_order
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.explore.base import Exploration
from amtl_cvx.graph import ORIENTATION
from amtl_cvx.options import Options
from amtl_cvx.problem import Blocks, Model, Problem, check_problem
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

SECOND_ORDER_LIMIT = 600
"""Free variables (W and the edges) up to which each point's reduced Hessian is looked at."""
_NEGLIGIBLE = 1e-8  # a predictor this much shorter than the longest one is rounding


class AmtlExploration(Exploration):
    """Many B, each a fit."""

    columns = ("gap_W", "gap_B", "edges")
    counted = "edges"
    default = ("zero", "B = 0")
    mark = "with B = 0"
    measured = "W and W B"

    def check(self, tasks: TaskSet, model: Model) -> None:
        check_problem(tasks, model).check_coupled("the search for first-order points")

    def starts(
        self,
        tasks: TaskSet,
        model: Model,
        count: int,
        *,
        rng: np.random.Generator,
        options: Options,
        executor: Executor | None,
    ) -> Sequence[Start]:
        return drawn(tasks, model, count, rng=rng, options=options, executor=executor)

    def options(self, start: Start, tasks: TaskSet, options: Options) -> Options:
        return replace(options, start=Blocks(np.zeros((tasks.d, tasks.T)), start.B))

    def distance(self, first: Solution, second: Solution) -> float:
        W, V, change = first.W, second.W, first.B - second.B
        moves = np.stack([W - V, W @ change, V @ change])
        moved = np.linalg.norm(moves, axis=1).max(axis=0)
        lengths = np.maximum(np.linalg.norm(W, axis=0), np.linalg.norm(V, axis=0))
        unit = np.maximum(lengths, _NEGLIGIBLE * lengths.max())
        return float(np.divide(moved, unit, out=np.zeros_like(moved), where=unit > 0).max())

    def curvature(self, tasks: TaskSet, solution: Solution) -> str | None:
        if tasks.T * tasks.d + solution.certificate.edges > SECOND_ORDER_LIMIT:
            return None
        try:
            return second_order(Problem(tasks, solution.model).at(solution.W, solution.B)).verdict
        except NotCertifiable:
            return None

    def told(self) -> Mapping[str, Any]:
        return {"orientation": ORIENTATION}

    def matrices(self) -> Callable[[Any], Any]:
        from amtl_cvx.plotting.graphs import Graphs  # matplotlib

        return Graphs
