r"""Whether the answer of a step is the only one.

W-step: J(., B) is strictly convex where coupling ||W K||_F^2 is, K of full row rank beyond rounding, or where
the Hessian at the answer is positive definite: it is convex, so that a strict minimum is the only one.

B-step: with q = G_B the multipliers and F_t what of column t has q = 0, b is another answer if and only if
b = b* + v with A_F v = 0, v_j >= 0 where b*_j = 0 (for j in F p_j = 2 coupling A_j'r, so that v costs
nothing). W b* itself is unique. In exact rationals: no such v where A_F has full column rank; one where the
kernel is a line and one of its two ways keeps b >= 0. What is between is not decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from amtl_cvx.errors import AMTLError, NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.condition import local_model
from amtl_cvx.reference.claims.response import Response

Unique = tuple[dict[str, bool | None], str]


def unique_weights(point: Point, response: Response | None) -> Unique:
    """Of the W-step."""
    if point.least_of_K > 0.0:
        return {
            "W": True
        }, "coupling and penalty are strictly convex in W: I - B, or what joins it, is regular"
    if response is not None:
        return {"W": True}, "the Hessian at the answer is positive definite, and the step is convex"
    if (why := _another(point)) is not None:
        return {"W": False}, why
    return {"W": None}, "the Hessian at the answer is singular up to rounding"


def unique_task() -> Unique:
    """Of one task."""
    return {"w": True}, "the coupling is strictly convex in the predictor of one task"


def unique_transfer(point: Point, error: float | None, response: Response | None, *, extras: bool) -> Unique:
    """Of the B-step; `error` bounds how far any best B is from this one."""
    product = {"W B": True}
    told = "W B is unique, as the coupling is strictly convex in it"
    if error is not None and np.isfinite(error):
        why = "the predictors that may help a task are linearly independent"
        return {"B": True, **product}, f"{why}; {told}"
    values = np.linalg.svd(point.W, compute_uv=False)
    if len(values) == point.tasks.T and values[-1] > 64.0 * np.finfo(np.float64).eps * values[0]:
        return {"B": True, **product}, f"the predictors are linearly independent; {told}"
    if response is not None and strict_minimum(point):
        return {"B": True, **product}, f"a strict minimum of the step, which is convex; {told}"
    if point.row_prices is None or not extras:
        return {"B": None, **product}, f"not known to be the only one; {told}"
    try:
        found = _exactly(point)
    except (NotCertifiable, AMTLError) as refusal:
        return {"B": None, **product}, f"{refusal}; {told}"
    words = {
        True: "the predictors that may help a task are linearly independent, exactly",
        False: "another B costs as much, exactly: predictors that may help depend on each other",
        None: "predictors that may help depend on each other, and it is not decided whether B can move",
    }
    return {"B": found, **product}, f"{words[found]}; {told}"


def strict_minimum(point: Point) -> bool:
    """Whether everything at its bound is held there beyond rounding, beside a Hessian that is definite."""
    local = local_model(point)
    return local.relative_multiplier > 1e3 * float(np.finfo(np.float64).eps)


def _another(point: Point) -> str | None:
    """That W can move along the null space of the Hessian without a change of J, in words; None otherwise."""
    if not point.model.smooth_in_W or point.W.size > 1000:
        return None
    H = point.smooth_hessian_W()
    values, vectors = np.linalg.eigh(H)
    if values[0] > 64.0 * len(H) * np.finfo(np.float64).eps * values[-1]:
        return None
    move = vectors[:, 0].reshape(point.W.shape[::-1]).T * (1.0 + float(np.abs(point.W).max()))
    ends = [point.at(W=point.W + way * move).objective for way in (1.0, -1.0)]
    if max(abs(end - point.objective) for end in ends) <= 1e-12 * abs(point.objective):
        return "another W costs as much, up to rounding: the Hessian is singular along a move of W"
    return None


def _exactly(point: Point) -> bool | None:
    """Whether B is unique by the rationals; None where that is not decided."""
    from flint import fmpq_mat

    from amtl_cvx.digits import exact_prices, exact_transfer
    from amtl_cvx.digits.pieces import exact

    tasks, model = point.tasks, point.model
    prices = exact_prices(tasks, model, point.W)
    found = exact_transfer(point.W, prices, model.coupling, support=point.B)
    if found.unique:
        return True
    W = [[Fraction(value) for value in row] for row in point.W.tolist()]
    open_: bool | None = True
    for t in range(tasks.T):
        b = [found.B[s][t] for s in range(tasks.T)]
        r = [row[t] - sum((row[s] * b[s] for s in range(tasks.T)), Fraction(0)) for row in W]
        twice = 2 * Fraction(model.coupling)
        q = [
            prices[s] - twice * sum((row[s] * each for row, each in zip(W, r, strict=True)), Fraction(0))
            for s in range(tasks.T)
        ]
        free = [s for s in range(tasks.T) if s != t and q[s] == 0]
        if not free:
            continue
        A = fmpq_mat([[exact(row[s]) for s in free] for row in W])
        if (nullity := len(free) - A.rank()) == 0:
            continue
        if nullity > 1:
            open_ = None
        elif _may_move(_kernel_line(A, len(free)), [b[s] for s in free]):
            return False
    return open_


def _kernel_line(A: Any, n: int) -> list[Fraction]:
    """The vector that spans the kernel of a matrix of rank n - 1."""
    reduced, rank = A.rref()
    pivots: list[int] = []
    for i in range(rank):
        pivots.append(next(j for j in range(n) if reduced[i, j] != 0))
    loose = next(j for j in range(n) if j not in pivots)
    found = [Fraction(0)] * n
    found[loose] = Fraction(1)
    for i, j in enumerate(pivots):
        entry = reduced[i, loose]
        found[j] = -Fraction(int(entry.p), int(entry.q))
    return found


def _may_move(line: Sequence[Fraction], b: Sequence[Fraction]) -> bool:
    """Whether b + s line >= 0 for some s that is not 0."""
    held = [v for v, value in zip(line, b, strict=True) if value == 0 and v != 0]
    return all(v > 0 for v in held) or all(v < 0 for v in held)
