r"""A curriculum: the gap of every step, one choice after the other, and how its data move all of it.

The answer is a recursion of convex steps in a fixed order. With e the largest change of what a step is given,
absolute values throughout,

    start     e(w_t) = |H_t^-1| t_t
    row       B[t, s] = r_s'w_t / ||w_t||^2 - p_t / (2 coupling ||w_t||^2), its own partial derivatives
    refit     e(w_t) = |H_t^-1| (t_t + 2 coupling (e(W) B + |W| e(B))_t + |grad L_t| c_t k_t sum e(B[t, .]))

in units of eps of the data: kappa is the largest e over the largest entry of W or B. Unique is the answer
where every refit is strictly convex (coupling > 0) and no choice of a task is within rounding of another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.curriculum.audit import _ridge_start, certify_curriculum
from amtl_cvx.curriculum.rows import outgoing, refit_step
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.facts import Facts
from amtl_cvx.reference.claims.proving import with_digits
from amtl_cvx.reference.claims.response import Response
from amtl_cvx.reference.claims.terms import FIRST_ORDER, Terms

TIE = 1e-9
"""By which part of a cost the next best task is above the chosen one at least, for the order to be unique."""


def curriculum_facts(problem: Any, solution: Mapping[str, Array], *, extras: bool) -> Facts:
    """Of W, B and the order."""
    if "order" not in solution:
        raise DataError("a curriculum has an order of its tasks: give W, B and order")
    order = tuple(int(t) for t in np.asarray(solution["order"]).tolist())
    point = problem.at(solution["W"], solution["B"])
    tasks, model = point.tasks, point.model
    tol = FIRST_ORDER
    certificate = certify_curriculum(tasks, model, point.W, point.B, order, tol=tol)
    while not certificate.passes and tol < 1e-10:
        tol *= 4.0
        certificate = certify_curriculum(tasks, model, point.W, point.B, order, tol=tol)
    errors, margin = _recursion(point, order)
    unique = margin > TIE
    why = (
        f"every refit is strictly convex, and the next best task costs more by {TIE:g} of its cost at least"
        if unique
        else "two tasks cost the same within rounding: the order is not unique"
    )
    terms = Terms(point)
    found = Facts(
        objective=point.objective,
        terms=terms.objective,
        certificate=certificate.to_dict(),
        passes=certificate.passes,
        level=certificate.level,
        tol=tol,
        gap=(certificate.gain_W or 0.0) + (certificate.gap_B or 0.0),
        shares=terms.shares(),
        curved=terms.shares(),
        response=_response(point, errors),
        unique={"W": True if unique else None, "B": True if unique else None, "order": unique},
        unique_why=why,
        support=[[int(s), int(t)] for s, t in np.argwhere(point.B != 0.0)],
        min_positive_B=float(point.B[point.B > 0.0].min()) if (point.B > 0.0).any() else None,
        no_bound="a curriculum minimises step by step, there is no J that it minimises",
        figures={"margin": margin} if np.isfinite(margin) else {},
    )
    return with_digits(found, problem, "curriculum", solution, {}, task=None, extras=extras)


def _response(point: Point, errors: tuple[Array, Array]) -> Response:
    """The errors of the recursion as a response: C diag(t) summed already."""
    W, B = (np.abs(block) for block in (point.W, point.B))
    moved = np.r_[errors[0].T.ravel(), errors[1].ravel()]
    n = W.size
    return Response(
        blocks={"W": slice(0, n), "B": slice(n, n + B.size)},
        sizes={"W": float(W.max()), "B": float(B.max(initial=0.0))},
        terms=np.ones(len(moved)),
        values=np.r_[W.T.ravel(), B.ravel()],
        apply=lambda v: moved * float(np.abs(v).max(initial=0.0)),
        curve=np.zeros_like,
        moved=moved,
    )


def _recursion(point: Point, order: tuple[int, ...]) -> tuple[tuple[Array, Array], float]:
    """What relative changes of the data do to W and B, over eps; the least margin of a choice, relative."""
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    T, twice = tasks.T, 2.0 * model.coupling
    c = point.problem.task_weight
    start = _ridge_start(tasks, model)
    alone = point.problem.at(start, np.zeros((T, T)))
    terms = Terms(alone).W
    errors, edges = np.zeros_like(W), np.zeros_like(B)
    for t in range(T):
        H = c[t] * model.loss.hessian(tasks[t], start[:, t]) + twice * np.eye(tasks.d)
        errors[:, t] = np.abs(np.linalg.inv(H)) @ terms[:, t]
    current, partial, learned = start.copy(), np.zeros_like(B), list[int]()
    margin = np.inf
    for t in order:
        at = point.problem.at(current, partial)
        losses = at.losses
        waiting = [s for s in range(T) if s not in learned]
        costs = sorted(outgoing(model, c, losses, current, partial, s, learned).cost for s in waiting)
        if len(costs) > 1:
            margin = min(margin, (costs[1] - costs[0]) / max(abs(costs[0]), 1e-300))
        edges[t] = _row_errors(at, Terms(at), B[t], t, learned, errors, edges)
        partial[t] = B[t]
        step = refit_step(point.at(B=partial), t, learned)
        w = W[:, t]
        a = float(step.a[0])
        own = Terms(point.problem.at(W, partial)).W[:, t] + twice * (
            np.abs(w) + np.abs(W[:, learned]) @ np.abs(B[learned, t])
        )
        pulled = twice * (
            errors[:, learned] @ np.abs(B[learned, t]) + np.abs(W[:, learned]) @ edges[learned, t]
        )
        priced = np.abs(model.loss.gradient(tasks[t], w)) * c[t] * _rate(point, t) * edges[t].sum()
        H = a * model.loss.hessian(tasks[t], w) + twice * np.eye(tasks.d)
        errors[:, t] = np.abs(np.linalg.inv(H)) @ (own + pulled + priced)
        current[:, t] = w
        learned.append(t)
    return (errors, edges), float(margin)


def _row_errors(
    at: Point, terms: Terms, row: Array, t: int, learned: list[int], errors: Array, edges: Array
) -> Array:
    """e of an outgoing row on its support."""
    W, model = at.W, at.model
    w = np.abs(W[:, t])
    size = float(w @ w)
    found = np.zeros_like(row)
    if not size > 0.0:
        return found
    prices = model.transfer.row_prices(terms.losses)
    price = 0.0 if prices is None else float(prices[t])
    slope = _rate(at, t) * np.abs(at.problem.task_weight[t] * at.loss_gradient[:, t]) @ errors[:, t]
    for s in np.flatnonzero(row > 0.0).tolist():
        r = np.abs(W[:, s]) + np.abs(W[:, learned]) @ np.abs(at.B[learned, s])
        moved_r = (
            errors[:, s]
            + errors[:, learned] @ np.abs(at.B[learned, s])
            + np.abs(W[:, learned]) @ edges[learned, s]
        )
        top = moved_r @ w + (r + 2.0 * row[s] * w) @ errors[:, t]
        rounding = r @ w + price / (2.0 * model.coupling)
        found[s] = (top + rounding + slope / (2.0 * model.coupling)) / size
    return found


def _rate(point: Point, t: int) -> float:
    """d p_t / d(c_t l_t)."""
    one = np.zeros_like(point.B)
    one[t, 0 if t else len(one) - 1] = 1.0
    return abs(float(point.model.transfer.weights(one)[t]))
