"""L0: J, its losses and its gradients at three points, each within what its rounding can be (`tolerance`).

zero, where every predictor is 0; generic, where every term counts; answer, where the gradients are small
beside their terms. The diagonal of gradient_B is not looked at: B has none. Where a loss has kinks, every
subgradient is right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.compared import compare
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.failure import Failure, Quantity
from amtl_cvx.reference.judge.tolerance import Limits

PLACES = {
    "zero": "W = 0 and the empty graph",
    "generic": "a point in general position",
    "answer": "the reference answer",
}
ASKS = ("joint", "w-step", "b-step", "one-task")
QUANTITIES: tuple[Quantity, ...] = ("objective", "losses", "gradient_W", "gradient_B")


def _applies(quantity: str, place: str) -> Callable[[Case], str]:
    def why_not(case: Case) -> str:
        if place not in case.W or place not in case.B:
            return "the pack has no such point"
        model = case.problem.model
        if quantity == "gradient_W" and model.prox_omega is not None:
            return "J has no gradient in W"
        if quantity == "gradient_B" and model.transfer.prices(np.ones(case.T)) is None:
            return "J has no gradient in B"
        return "one task has no edges" if quantity == "gradient_B" and case.T == 1 else ""

    return why_not


def _judged(quantity: Quantity, place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        asked = case.asked("evaluate", W=case.W[place], B=case.B[place])
        found = case.answer(asked)
        if quantity not in found:
            return Outcome("skipped", f"evaluate does not give {quantity}")
        point = case.point(asked)
        limits = case.limits(point)
        low, high, limit = right_values(quantity, limits)
        answer = found[quantity]
        if quantity == "gradient_B":
            answer = answer - np.diag(np.diag(answer))
        seen = compare(quantity, answer, low, high, limit)
        figures = {"ratio": seen.ratio, "off": seen.off}
        evidence = {"answer": answer, "right": low, "limit": np.broadcast_to(limit, np.shape(answer))}
        if seen.within:
            return Outcome("passed", seen.words, figures)
        failure = Failure(
            check="",
            asked=asked,
            problem=case.problem,
            quantity=quantity,
            answer=found,
            right={quantity: low},
            limit=limit,
            pack=case.pack,
            figures=figures,
        )
        return Outcome("failed", seen.words, figures, evidence, failure)

    return run


def right_values(quantity: str, limits: Limits) -> tuple[Array, Array, Array]:
    """The least and the largest right value of a quantity at a point, and its limit, entry by entry."""
    point = limits.point
    if quantity == "objective":
        right = np.array(point.objective)
        return right, right, np.array(limits.objective)
    if quantity == "losses":
        return point.losses, point.losses, limits.losses
    if quantity == "gradient_B":
        return point.gradient_B, point.gradient_B, limits.gradient_B
    if point.model.loss.smooth:
        return point.smooth_gradient_W, point.smooth_gradient_W, limits.gradient_W
    low, high = _subgradients(limits)
    return low, high, limits.gradient_W


def _subgradients(limits: Limits) -> tuple[Array, Array]:
    """The ends of the subgradients in W, entry by entry, a score being known up to its rounding."""
    point = limits.point
    low, high = point.square_gradient_W.copy(), point.square_gradient_W.copy()
    weight = point.loss_weight * point.problem.loss_scales
    for t, task in enumerate(point.tasks):
        own, w = point.model.loss.on(task.sample_weight), point.W[:, t]
        moved = float(limits.units[t]) * (np.abs(task.X) @ np.abs(w) + np.abs(task.y))
        least = own.subgradients(task.X @ w - moved, task.y)[0][:, None] * task.X
        most = own.subgradients(task.X @ w + moved, task.y)[1][:, None] * task.X
        low[:, t] += weight[t] * np.minimum(least, most).sum(axis=0)
        high[:, t] += weight[t] * np.maximum(least, most).sum(axis=0)
    return low, high


for _place, _where in PLACES.items():
    for _quantity in QUANTITIES:
        check(
            "L0",
            f"{_quantity.replace('_', '-')}-{_place}",
            needs="evaluate",
            title=f"{_quantity} at {_where}",
            asks=ASKS,
            applies=_applies(_quantity, _place),
        )(_judged(_quantity, _place))
