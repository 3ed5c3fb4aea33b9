"""The point of AMTL that an answer and what a step is given make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Point


def point_of(
    problem: Any, ask: str, solution: Mapping[str, Array], given: Mapping[str, Array], *, task: int | None
) -> Point:
    """The point of AMTL that an answer and what is given make together.

    Raises
    ------
    DataError
        Where a block is absent, or the task is none.
    """
    T = problem.tasks.T
    blocks = {**given, **solution}
    if ask == "single-task":
        blocks.setdefault("B", np.zeros((T, T)))
    if ask == "one-task":
        if task is None or not 0 <= task < T or "w" not in solution or "W" not in given:
            raise DataError(f"one task needs its number 0..{T - 1}, w, and the W that is given, got {task}")
        W = np.array(given["W"], dtype=np.float64)
        W[:, task] = np.asarray(solution["w"]).reshape(-1)
        blocks["W"] = W
    if missing := [name for name in ("W", "B") if name not in blocks]:
        raise DataError(
            f"the answer to {ask!r} needs {' and '.join(missing)}: give solution and given blocks"
        )
    found: Point = problem.at(blocks["W"], blocks["B"])
    return found
