"""Answers that are right in another order of tasks or features, or transposed.

The order is proposed by an assignment of columns or rows to those of the best answer (or tried, for few
tasks); the residuals of the right formula at the arranged point decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.reference.judge.causes.case import CLEAR, Case, Match, orders, told
from amtl_cvx.reference.judge.causes.evaluated import assigned
from amtl_cvx.reference.judge.causes.residual import ratio_W
from amtl_cvx.reference.judge.causes.solving import best_B, best_W
from amtl_cvx.reference.judge.causes.variation import Point

Misses = Callable[[Point], float]


def arranged(case: Case, point: Point, misses: Misses) -> list[Match]:
    """What makes the answer right; one of each name."""
    proposals = {
        "w_step": _predictors,
        "one_task": _predictor,
        "b_step": _graph,
        "fit": _points,
    }[case.quantity]
    worst = misses(point)
    found: dict[str, Match] = {}
    for name, words, other in proposals(case, point):
        if name in found:
            continue
        there = misses(other)
        if there <= case.small and there * CLEAR <= worst:
            found[name] = Match(name=name, words=words)
    return list(found.values())


def _is_order(order: Indices) -> bool:
    return not np.array_equal(order, np.arange(len(order)))


def _predictors(case: Case, point: Point) -> Iterator[tuple[str, str, Point]]:
    W, B = point
    d, T = W.shape
    best = best_W(case.right, B, case.start.W)
    for other, words in _layouts(W):
        yield "W transposed", f"your W is the right one {words}", Point(other, B)
    if best is not None:
        order = assigned(best, W)
        if _is_order(order):
            said = f"your W is right with its columns in the order {told(order)}"
            yield "tasks permuted", said, Point(W[:, order], B)
        order = assigned(best.T, W.T)
        if _is_order(order):
            said = f"your W is right with its rows in the order {told(order)}"
            yield "features permuted", said, Point(W[order], B)
    for order in orders(T):
        both = np.ix_(order, order)
        said = f"your W is the best one for B with its tasks in the order {told(order)}"
        yield "tasks permuted", said, Point(W, B[both])
        yield "tasks permuted", said, Point(W[:, order], B[both])


def _predictor(case: Case, point: Point) -> Iterator[tuple[str, str, Point]]:
    W, B = point
    t = case.question.task
    assert t is not None
    best = best_W(case.right, B, W, task=t)
    if best is not None:
        order = np.empty(len(W), dtype=int)
        order[np.argsort(best[:, t], kind="stable")] = np.argsort(W[:, t], kind="stable")
        if _is_order(order):
            moved = W.copy()
            moved[:, t] = W[order, t]
            yield (
                "features permuted",
                f"your w is right with its entries in the order {told(order)}",
                Point(moved, B),
            )
    start = case.start.W
    for s in range(W.shape[1]):
        if s == t:
            continue
        other = start.copy()
        other[:, s] = W[:, t]
        if ratio_W(case.right, Point(other, B), tasks=(s,)) <= case.small:
            right = best if best is not None else start
            yield "tasks permuted", f"your w is that of task {s}, asked for was task {t}", Point(right, B)


def _graph(case: Case, point: Point) -> Iterator[tuple[str, str, Point]]:
    W, B = point
    for order in [*orders(len(B)), *_by_rows(case, point)]:
        both = np.ix_(order, order)
        yield (
            "tasks permuted",
            f"your B is right with its tasks in the order {told(order)}",
            Point(W, B[both]),
        )
        said = f"your B is the best one for W with its tasks in the order {told(order)}"
        yield "tasks permuted", said, Point(W[:, order], B)
    d, T = W.shape
    for other, words in _layouts(W):
        yield "W transposed", f"your B is the best one for W {words}", Point(other, B)


def _points(case: Case, point: Point) -> Iterator[tuple[str, str, Point]]:
    W, B = point
    T = len(B)
    for other, words in _layouts(W):
        yield "W transposed", f"your W is right {words}", Point(other, B)
    for order in [*orders(T), *_by_slopes(case, point), *_by_rows(case, point)]:
        both, said = np.ix_(order, order), f"in the order {told(order)}"
        yield "tasks permuted", f"your W and B are right with their tasks {said}", Point(W[:, order], B[both])
        yield "tasks permuted", f"your W and B are right with the columns of W {said}", Point(W[:, order], B)
        yield "tasks permuted", f"your W and B are right with the tasks of B {said}", Point(W, B[both])
    best = best_W(case.right, B, W)
    if best is not None:
        order = assigned(best.T, W.T)
        if _is_order(order):
            yield (
                "features permuted",
                f"your W is right with its rows in the order {told(order)}",
                Point(W[order], B),
            )


def _by_slopes(case: Case, point: Point) -> list[Indices]:
    """The order in which the gradient of every task cancels its column of the coupling, where one does."""
    W, B = point
    right = case.right
    coupled = right.coupling_slope(W, B)
    cost = np.empty((len(B), len(B)))
    for s in range(len(B)):
        slopes = right.loss_slopes(np.repeat(W[:, s : s + 1], len(B), axis=1), np.zeros_like(B))
        paid = 1.0 + right.mu * float(B[s].sum())
        cost[:, s] = np.linalg.norm(paid * slopes + coupled[:, s : s + 1], axis=0)
    order: Indices = linear_sum_assignment(np.where(np.isfinite(cost), cost, 1e300))[1]
    return [order] if _is_order(order) else []


def _by_rows(case: Case, point: Point) -> list[Indices]:
    """The order in which rows and columns of B hold the numbers of those of the best B."""
    best = best_B(case.right, point.W)
    if best is None:
        return []
    theirs, mine = (np.vstack([np.sort(B, axis=1).T, np.sort(B, axis=0)]) for B in (best, point.B))
    order = assigned(theirs, mine)
    return [order] if _is_order(order) else []


def _layouts(W: Array) -> Iterator[tuple[Array, str]]:
    d, T = W.shape
    if d == T:
        yield W.T, "transposed"
    if min(d, T) > 1:
        yield W.reshape(T, d).T, "laid out as (T, d)"
        yield W.T.reshape(d, T), "read as (T, d)"
