"""L1: one W-step and one task of it, judged by gap and residual; by the answer where a pack has it.

The gap is what W alone can still gain, proved without the answer (`certificate.weight_evidence`), the
residual the gradient beside its terms (`tolerance`). The W-step is strictly convex, its answer the only
one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import weight_evidence
from amtl_cvx.reference.judge.asked import Asked, doubles
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.held import Step, distance
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.misses import misses_W
from amtl_cvx.subproblems.numpy_steps import minimised


def asked_about(case: Case, block: str, place: str) -> Array:
    """The block that is given; of a pack of one step as it stands there."""
    given = case.pack.given.get(block)
    if place == "answer" and given is not None:
        return np.asarray(given)
    return case.W[place] if block == "W" else case.B[place]


def best_W(case: Case, B: Array) -> Any:
    """The point with the best W for some B; kept."""
    key = f"best W {B.tobytes().hex()}"
    if key not in case.kept:
        case.kept[key] = minimised(case.problem.at(np.zeros((case.problem.tasks.d, case.T)), B))
    return case.kept[key]


def gap_W(point: Any, best: Any) -> float:
    """What W can gain at most: as proved, or beside the best W that is known and what that can gain."""
    with np.errstate(all="ignore"):
        if not math.isfinite(point.objective):
            return math.inf
        judged = weight_evidence(point.reduced).judged
        left = weight_evidence(best.reduced).judged
        return min(judged, max(float(point.objective - best.objective), 0.0) + left)


# ------------------------------------------------------------------------------------- all predictors


def _step(case: Case, place: str) -> tuple[Step, Any, Any]:
    """The step, the point of the answer, and the right one."""
    asked = case.asked("w-step", B=asked_about(case, "B", place))
    answer = case.answer(asked)
    best = best_W(case, doubles(asked.B))
    step = Step(
        case=case,
        quantity="w_step",
        asked=asked,
        answer=answer,
        right={"W": best.W},
        limits=case.limits(best),
    )
    return step, case.point(asked, W=answer["W"]), best


def _gap(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point, best = _step(case, place)
        return step.held("gap", gap_W(point, best), step.limits.gap_W(step.residual))

    return run


def _residual(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point, _ = _step(case, place)
        return step.held("residual", misses_W(point).relative, step.residual)

    return run


def _answer(case: Case) -> Outcome:
    step, _, _ = _step(case, "answer")
    return step.held("distance", distance(step.answer["W"], case.pack.solution["W"]), step.distance)


# ------------------------------------------------------------------------------------------- one task


def _one(case: Case) -> tuple[Step, Any, int]:
    """The step of one task, the point of its answer, and the task: the one that gives most unless named."""
    alone = case.pack.ask == "one-task"
    place = "answer" if alone else "generic"
    t = int(case.pack.task) if alone else int(case.B["generic"].sum(axis=1).argmax())
    W, B = asked_about(case, "W", place), asked_about(case, "B", place)
    asked = case.asked("one-task", W=W, B=B, task=t)
    answer = case.answer(asked)
    best = _best_of_task(case, asked, t)
    placed = doubles(asked.W).copy()
    placed[:, t] = answer["w"]
    limits, right = case.limits(best), {"w": best.W[:, t]}
    step = Step(case=case, quantity="one_task", asked=asked, answer=answer, right=right, limits=limits)
    return step, case.point(asked, W=placed), t


def _best_of_task(case: Case, asked: Asked, t: int) -> Any:
    """The point with the best w of a task, by Newton's method with halved steps; kept."""
    if "best w" not in case.kept:
        point = case.point(asked)
        for _ in range(100):
            W, length = point.W.copy(), 1.0
            step = np.linalg.solve(_hessian(point, t), point.smooth_gradient_W[:, t])
            while length > 1e-9:
                W[:, t] = point.W[:, t] - length * step
                if (moved := point.at(W=W)).objective <= point.objective:
                    break
                length /= 2.0
            else:
                break
            small = np.abs(step).max() <= 4e-16 * np.abs(W[:, t]).max()
            point = moved
            if small:
                break
        case.kept["best w"] = point
    return case.kept["best w"]


def _hessian(point: Any, t: int) -> Array:
    """The Hessian in the predictor of task t, (d, d)."""
    found: Array = point.loss_hessians[t] + _modulus(point, t) * np.eye(len(point.W))
    return found


def _modulus(point: Any, t: int) -> float:
    """2 coupling P_tt: the curvature that the coupling gives the predictor of task t."""
    return 2.0 * float(point.square_weight) * float((point.K[t] ** 2).sum())


def _least(H: Array) -> float:
    """The smallest eigenvalue of H in units of its diagonal."""
    root = np.sqrt(np.diag(H))
    return max(float(np.linalg.eigvalsh(H / np.outer(root, root))[0]), 1e-300)


def _one_residual(case: Case) -> Outcome:
    step, point, t = _one(case)
    return step.held("residual", float(misses_W(point).ratios[:, t].max()), step.residual)


def _one_gap(case: Case) -> Outcome:
    """Squared loss: (1/2) g'H^-1 g; else ||g||^2 / (2 m), m the curvature that the coupling gives."""
    step, point, t = _one(case)
    limits, g, H = step.limits, point.smooth_gradient_W[:, t], _hessian(point, t)
    size = (step.residual * limits.size_W[:, t]) ** 2
    if point.model.loss.quadratic:
        gap = 0.5 * float(g @ np.linalg.solve(H, g))
        missed = float((size / np.diag(H)).sum()) / _least(H)
    else:
        gap = float(g @ g) / (2.0 * _modulus(point, t))
        missed = float(size.sum()) / _modulus(point, t)
    return step.held("gap", gap, limits.rounding_of_J + 0.5 * missed)


def _one_answer(case: Case) -> Outcome:
    step, _, _ = _one(case)
    return step.held("distance", distance(step.answer["w"], case.pack.solution["w"]), step.distance)


# ------------------------------------------------------------------------------------------- registry


def smooth(case: Case) -> str:
    """Why there is no gradient in W."""
    return "" if case.problem.model.smooth_in_W else "J has no gradient in W"


def known(block: str) -> Callable[[Case], str]:
    """Why the answer of a pack of one step cannot be compared."""

    def why_not(case: Case) -> str:
        if not case.exact:
            return f"{case.dtype} does not hold the data"
        return "" if case.unique(block) else "the answer is not the only one"

    return why_not


def _known_W(case: Case) -> str:
    return smooth(case) or known("W")(case)


def _known_w(case: Case) -> str:
    return smooth(case) or known("w")(case)


_PLACES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "generic": (("joint",), "in general position"),
    "answer": (("joint", "w-step"), "of the pack"),
}
for _place, (_asks, _where) in _PLACES.items():
    check("L1", f"w-step-gap-{_place}", needs="w-step", title=f"gap of the W-step, B {_where}", asks=_asks)(
        _gap(_place)
    )
    check(
        "L1",
        f"w-step-residual-{_place}",
        needs="w-step",
        title=f"gradient after the W-step, B {_where}",
        asks=_asks,
        applies=smooth,
    )(_residual(_place))
check("L1", "w-step-answer", needs="w-step", title="the W of one W-step", asks=("w-step",), applies=_known_W)(
    _answer
)
check(
    "L1",
    "one-task-residual",
    needs="one-task",
    title="gradient after the W-step of one task",
    asks=("joint", "one-task"),
    applies=smooth,
)(_one_residual)
check(
    "L1",
    "one-task-gap",
    needs="one-task",
    title="gap of the W-step of one task",
    asks=("joint", "one-task"),
    applies=smooth,
)(_one_gap)
check(
    "L1", "one-task-answer", needs="one-task", title="the w of one task", asks=("one-task",), applies=_known_w
)(_one_answer)
