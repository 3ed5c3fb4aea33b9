"""Proven digits of a single step, in balls or over the rationals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from flint import arb, arb_mat, ctx

from amtl_cvx.arrays import Array
from amtl_cvx.digits.decimals import decimal
from amtl_cvx.digits.proof import check_rows
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.balls import DIGITS, DPS, ball, named, smooth_weights
from amtl_cvx.reference.claims.edge_balls import best_edges
from amtl_cvx.reference.claims.point import point_of

RATIONAL = 60
"""Entries of W up to which a loss with kinks is solved over the rationals."""


def step_digits(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    *,
    task: int | None,
) -> dict[str, Any]:
    """What digits.json holds of a step; `NotCertifiable` with the reason where it is not proved."""
    point = point_of(problem, ask, solution, given, task=task)
    check_rows(point.tasks, point.model.loss)
    with ctx.workdps(DPS):
        if ask == "b-step":
            return best_edges(point)
        if point.model.loss.smooth:
            return smooth_weights(point, task)
        return _rational_weights(point)


def _rational_weights(point: Point) -> dict[str, Any]:
    """The w-step of a loss with kinks over the rationals."""
    from amtl_cvx.digits import exact_weights

    if point.W.size > RATIONAL:
        raise NotCertifiable(f"a loss with kinks is solved exactly up to {RATIONAL} entries of W")
    found = exact_weights(point.tasks, point.model, point.B)
    if found.gap != 0 or found.gradient != 0:
        raise NotCertifiable("the exact W-step did not end at a gap of 0")
    W = [[ball(value) for value in row] for row in found.W]
    J = _kinked_objective(point, found.W)
    return named(
        point,
        {
            "W": [[decimal(value, DIGITS) for value in row] for row in W],
            "objective": decimal(J, DIGITS),
            "radius": 0.0,
            "method": "exact rationals",
            "dps": DPS,
        },
    )


def _kinked_objective(point: Point, W: Sequence[Sequence[Fraction]]) -> arb:
    """J at exact weights, of a loss of polynomial pieces."""
    from amtl_cvx.digits.atoms import exact_atoms
    from amtl_cvx.digits.counts import exact_count, row_counts
    from amtl_cvx.digits.gram import exact_gram
    from amtl_cvx.digits.pieces import exact, piecewise
    from amtl_cvx.digits.rows import exact_task_weights

    tasks, model, T = point.tasks, point.model, point.tasks.T
    c = exact_task_weights(tasks, model.task_weights, model.task_weight(tasks))
    weighted = []
    for t, task in enumerate(tasks):
        total = arb(0)
        for x, y, v in zip(task.X.tolist(), task.y.tolist(), row_counts(task), strict=True):
            z = sum((exact(a) * exact(W[i][t]) for i, a in enumerate(x)), exact(0))
            total += arb(v * piecewise(model.loss, y).value(z))
        weighted.append(c[t] * total / (arb(exact_count(task)) if model.loss.reduction == "mean" else 1))
    atoms, _ = exact_atoms(model.transfer, T)
    costs = (atom.cost(weighted, arb(float(x))) for atom, x in zip(atoms, point.coefficients, strict=True))
    total = sum(weighted, arb(0)) + sum(costs, arb(0))
    balls = arb_mat([[ball(value) for value in row] for row in W])
    M = arb_mat([[arb(int(s == t)) - arb(float(point.B[s, t])) for t in range(T)] for s in range(T)])
    R = balls * M
    gram = arb_mat(exact_gram(model, T))
    pairs = zip((balls * gram).entries(), balls.entries(), strict=True)
    omega = sum((a * b for a, b in pairs), arb(0))
    return total + arb(float(model.coupling)) * sum((r * r for r in R.entries()), arb(0)) + omega
