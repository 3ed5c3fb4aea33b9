r"""Answers that are not wrong but not good enough: in float32, or on their way and stopped.

float32     the right residual is not that of float64, but that of sums in float32
early stop  of a joint fit: one block is exactly the best for the other, which is not the best for it; or it
            is a point that plain alternation passes. Of a step: most of the way from the start to the best
            value is done, and what is left lies along the flat directions of J, as it does for an iteration.

What is no equality is said last, and only where no mistake gives the answer.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.case import Case, Match
from amtl_cvx.reference.judge.causes.residual import difference, ratio_B, ratio_W
from amtl_cvx.reference.judge.causes.solving import best_B, best_W
from amtl_cvx.reference.judge.causes.variation import Point

_ROUNDING = 1e-5  # of sums in float32, relative to their terms
_EXACT = 1e-12
_LEFT = 0.25  # of the way from the start, at most
_ROUNDS = 60


def quality(case: Case, point: Point) -> list[Match]:
    """float32 or an early stop, where the answer looks like it."""
    if _worst(case, point) <= float(np.max(case.limit)):
        return []  # stationary enough: it is another point, and none that stopped
    found = _single(case, point)
    stop = {"fit": _of_fit, "b_step": _of_graph}.get(case.quantity, _of_predictors)
    if not found or not _is_single(case):
        found += stop(case, point)
    return found


def _worst(case: Case, point: Point) -> float:
    task = case.question.task
    tasks = (task,) if case.quantity == "one_task" and task is not None else None
    of_W = ratio_W(case.right, point, tasks=tasks) if case.quantity != "b_step" else 0.0
    of_B = ratio_B(case.right, point) if case.quantity in ("b_step", "fit") else 0.0
    return max(of_W, of_B)


def _is_single(case: Case) -> bool:
    """Whether every number that was answered is one of float32."""
    return all(bool((np.float32(array) == array).all()) for array in case.answer.values())


def _single(case: Case, point: Point) -> list[Match]:
    if case.single or not _EXACT < _worst(case, point) <= _ROUNDING:
        return []
    held = ", and its numbers are all of float32" if _is_single(case) else ""
    words = (
        f"your answer is right to about {_worst(case, point):.1g} of its terms, as sums in float32 are{held}"
    )
    return [Match(name="float32 accumulation", words=words, loose=True)]


def _of_predictors(case: Case, point: Point) -> list[Match]:
    """A step in W or of one task."""
    right, W, B = case.right, *point
    task = case.question.task if case.quantity == "one_task" else None
    best = best_W(right, B, case.start.W, task=task)
    if best is None:
        return []
    floor = right.objective(best, B)
    columns = slice(None) if task is None else [task]
    zero = case.start.W.copy()
    zero[:, columns] = 0.0
    left = _left(right.objective(W, B) - floor, [right.objective(V, B) - floor for V in (case.start.W, zero)])
    if left is None or not _is_flat(case, best, W, B, columns):
        return []
    what = "W" if task is None else "w"
    return [_stopped(f"your {what} is on the way to the best one, {left:.1g} of the way in J is left")]


def _left(gap: float, gaps: list[float]) -> float | None:
    """The part of the way that is left, by the start that is the farther."""
    whole = max(gaps)
    return gap / whole if whole > 0.0 and 0.0 < gap <= _LEFT * whole else None


def _is_flat(case: Case, best: Array, W: Array, B: Array, columns: slice | list[int]) -> bool:
    """Whether J is flatter along what is left than along nearly all directions."""
    error = np.zeros_like(W)
    error[:, columns] = (W - best)[:, columns]
    size = float(np.linalg.norm(error))
    if size <= 0.0:
        return False
    draws = np.random.default_rng(0).standard_normal((100, *W.shape))
    curvatures = []
    for direction in (error, *draws):
        move = np.zeros_like(W)
        move[:, columns] = direction[:, columns]
        move *= 1e-4 * max(1.0, float(np.linalg.norm(best))) / float(np.linalg.norm(move))
        bent = case.right.gradient_W(best + move, B) - case.right.gradient_W(best - move, B)
        curvatures.append(float((bent * move).sum()))
    own, others = curvatures[0], np.array(curvatures[1:])
    return bool(own <= np.quantile(others, 0.05)) or error[:, columns].size == 1


def _of_graph(case: Case, point: Point) -> list[Match]:
    """A step in B."""
    right, (W, B) = case.right, point
    best = best_B(right, W)
    if best is None or (B < 0.0).any() or np.abs(np.diag(B)).max() > 0.0:
        return []
    floor = right.objective(W, best)
    starts = [right.objective(W, V) - floor for V in (np.maximum(case.start.B, 0.0), np.zeros_like(B))]
    left = _left(right.objective(W, B) - floor, starts)
    if left is None:
        return []
    error = B - best
    draws = np.random.default_rng(0).standard_normal((100, *B.shape)) * (1.0 - np.eye(len(B)))
    steep = [float(np.linalg.norm(W @ V) / np.linalg.norm(V)) for V in (error, *draws)]
    if not steep[0] <= np.quantile(steep[1:], 0.05):
        return []
    return [_stopped(f"your B is on the way to the best one, {left:.1g} of the way in J is left")]


def _of_fit(case: Case, point: Point) -> list[Match]:
    """A joint fit: a half-step that is exact, or a point of plain alternation."""
    if (point.B < 0.0).any() or np.abs(np.diag(point.B)).max() > 0.0:
        return []
    rounds = _passed(case, point)
    if rounds is not None:
        return [_stopped(f"your point is that of plain alternation after {rounds} rounds")]
    right = case.right
    of_W, of_B = ratio_W(right, point), ratio_B(right, point)
    there, first = right.objective(*point), right.objective(*case.start)
    exact = 1e-4 if case.single else 1e-7
    if there > first:
        return []
    if (of_W <= exact < of_B or of_B <= exact < of_W) and _moves_little(case, point):
        best, other = ("W", "B") if of_W <= exact else ("B", "W")
        said = (
            f"your {best} is the best one for your {other}, and {other} not for {best}: it stopped in between"
        )
        return [_stopped(said)]
    return _on_the_way(case, point, there)


def _moves_little(case: Case, point: Point) -> bool:
    """Whether a further exact round leaves both blocks about where they are, B with edges."""
    W = best_W(case.right, point.B, point.W)
    B = None if W is None else best_B(case.right, W)
    if W is None or B is None or not point.B.any():
        return False
    return all(
        float(np.linalg.norm(new - old)) <= _LEFT * float(np.linalg.norm(old))
        for new, old in ((W, point.W), (B, point.B))
    )


def _on_the_way(case: Case, point: Point, there: float) -> list[Match]:
    """Further rounds lower J by a small part of what was gained since the start."""
    now, right = point, case.right
    for _ in range(_ROUNDS):
        W = best_W(right, now.B, now.W)
        B = None if W is None else best_B(right, W)
        if W is None or B is None:
            return []
        now = Point(W, B)
    left = there - right.objective(*now)
    whole = max(right.objective(*case.start), right.objective(np.zeros_like(point.W), now.B * 0.0)) - there
    moved = difference(point.W, now.W, np.abs(now.W))
    near = 0.0 < left <= 0.01 * whole and moved <= 0.1
    if not near or not _is_flat(case, now.W, point.W, now.B, slice(None)):
        return []
    return [_stopped(f"further rounds lower J by {left / there:.1g} of it: it stopped before the end")]


def _passed(case: Case, point: Point) -> int | None:
    """After how many rounds plain alternation from the start is here."""
    right, B = case.right, case.start.B
    W, near = case.start.W, 1e-3 if case.single else 1e-6
    for k in range(1, _ROUNDS + 1):
        found = best_W(right, B, W)
        if found is None:
            return None
        W = found
        if difference(point.W, W, np.abs(W)) <= near and difference(point.B, B, np.abs(B) + 1e-12) <= near:
            return k
        after = best_B(right, W)
        if after is None:
            return None
        B = after
        if difference(point.W, W, np.abs(W)) <= near and difference(point.B, B, np.abs(B) + 1e-12) <= near:
            return k
    return None


def _stopped(words: str) -> Match:
    return Match(name="early stop", words=words, loose=True)
