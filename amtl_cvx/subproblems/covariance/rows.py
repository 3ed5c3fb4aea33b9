"""The ridge regressions of `sides` on the rows themselves, with more digits than a double has.

With W = R C they are R'F'(R C) + 2 rho C = 0. What is next to 0 there is the sum of what is not: with scores
of 50 and an input of 91 doubles leave 3e-13 of F', R and R' spread that over all features, also over one that
a task does not see, where F' is exactly 0. And W itself, rounded, has as much. So C, the scores and F' are
summed in the longest floats of the machine (64 bits of mantissa on x86), what is missing is solved for in
doubles, and W is rounded at the end, once: F' moves then by no more than eps of what it is summed from.
Where the longest floats are doubles nothing is gained and nothing lost.

Source: Wilkinson, Rounding Errors in Algebraic Processes, 1963 (iterative refinement).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.problem import Point
from amtl_cvx.problem.scores import scores

Linear = Callable[[Any], Any]
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Rows:
    """The losses, near a point."""

    point: Point

    def slope(self, W: Array) -> Array:
        """F'(W), (d, T), in the floats of W."""
        point = self.point
        pull = [each.pull for each in scores(point.model.loss, point.tasks.stacks, W)]
        found: Array = point.loss_weight * point.problem.loss_scales * np.hstack(pull)
        return found

    def refined(
        self, C: Array, rho: float, *, lift: Linear, drop: Linear, solve: Linear
    ) -> tuple[Array, Array]:
        """W = lift(C) and -F'(W), (d, T) each, from a C near the minimum; `drop` is the transpose of `lift`.

        `solve` takes what is missing of the conditions to what C is off by, in the second-order model.
        """
        C = C.astype(np.longdouble)
        for _ in range(_ROUNDS):
            miss = drop(self.slope(lift(C))) + 2.0 * rho * C
            C = C - solve(miss.astype(np.float64))
        W = lift(C)
        return W.astype(np.float64), -self.slope(W).astype(np.float64)
