"""Second-order verdicts against differences and points known by symmetry."""

from __future__ import annotations

from typing import Any

import literal
import numpy as np
import proven
from cases import (
    Array,
    at,
)

from amtl_cvx.certificate import (
    second_order,
)
from amtl_cvx.certificate.held import HeldRows
from amtl_cvx.digits import prove
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from checks.points import close, refused, solved


def curvature_tells_minima_from_saddles() -> None:
    """Signs of eigenvalues of the literal Hessian on the free set; a saddle known by symmetry."""
    point = proven.split_duplicates()
    found = second_order(at(*point))
    assert found.verdict == "saddle" and found.reduced_hessian_min < 0
    assert found.fall is not None and found.direction is not None
    moved = literal.J(point.tasks, point.model, point.W + found.direction[0], point.B + found.direction[1])
    assert close(literal.J(*point) - moved, found.fall, 1e-6)
    kinds = set()
    for tasks, model, W, B in solved():
        free, G_B = B > 0, literal.gradients(tasks, model, W, B)[1]
        x, step, size = np.r_[W.T.ravel(), B[free]], 1e-6, 9 + int(free.sum())

        def gradient(x: Array, tasks: TaskSet = tasks, model: Model = model, free: Any = free) -> Array:
            C = np.zeros((3, 3))
            C[free] = x[9:]
            G_W, G = literal.gradients(tasks, model, x[:9].reshape(3, 3).T, C)
            return np.r_[G_W.T.ravel(), G[free]]

        H = np.column_stack(
            [(gradient(x + step * e) - gradient(x - step * e)) / (2 * step) for e in np.eye(size)]
        )
        values, found = np.linalg.eigvalsh((H + H.T) / 2), second_order(Problem(tasks, model).at(W, B))
        assert found.free == size and close(found.reduced_hessian_max, values[-1], 1e-5)
        assert close(found.reduced_hessian_min, values[0], 1e-4, 1e-6 * values[-1])
        off = ~free & ~np.eye(3, dtype=bool)
        assert close(found.min_multiplier, G_B[off].min(), 1e-6)
        assert close(found.min_positive_B, B[free].min(), 1e-9)
        assert found.verdict == ("strict local minimum" if values[0] > 0 else "saddle")
        kinds.add(found.verdict)
    assert "strict local minimum" in kinds


def held_rows_are_judged() -> None:
    """A support vector by hand and its neighbours; a saddle along kinks."""
    found = second_order(at(*proven.support_vector(0.25)))
    assert found.verdict == "strict local minimum" and found.held == 1
    assert found.reduced_hessian_min == found.scaled_hessian_min == np.inf
    for point, _ in proven.KINK_DEGENERATE.values():
        assert second_order(at(*point)).verdict == "degenerate"
    for near in (proven.support_vector(0.125 + 5e-7), proven.support_vector(0.625 - 5e-7)):
        assert second_order(at(*near)).verdict == "strict local minimum"
        for side in (-1e-5, 1e-5):  # a multiplier that may have reached its end on the way
            assert second_order(at(*near._replace(W=near.W + side))).verdict == "degenerate"
    beside = proven.support_vector(0.25, -0.25, 1.0 + 1e-6)
    assert second_order(at(*beside)).verdict == "strict local minimum"
    for side in (-1e-5, 1e-5):
        assert second_order(at(*beside._replace(W=beside.W + side))).verdict == "degenerate"
    moved = proven.support_vector(0.25)
    held = HeldRows(at(*moved._replace(W=moved.W + 1e-3)))
    assert close(float(held.local.moved(held.newton()).W[0, 0]), 1.0, 1e-14)  # back onto the kink
    saddle = second_order(at(*proven.quantile_saddle()))
    assert saddle.verdict == "saddle" and saddle.held == 2
    # second derivatives in (d, e) of the two copies along (0, 1) and the two edges, by differences of J
    tasks, model, W, B = proven.quantile_saddle()

    def J(x: Array) -> float:
        V, C = W.copy(), B.copy()
        V[1, :2] += x[:2]
        V[:, 2] += x[4:]
        C[:2, 2] += x[2:4]
        return literal.J(tasks, model, V, C)

    step, units = 1e-3, np.eye(6)
    H = [
        [
            (J(step * (a + b)) - J(step * (a - b)) - J(step * (b - a)) + J(-step * (a + b))) / (4 * step**2)
            for a in units
        ]
        for b in units
    ]
    assert close(saddle.reduced_hessian_min, float(np.linalg.eigvalsh(np.array(H))[0]), 1e-4)


def missing_edge_is_no_minimum() -> None:
    """W best at B = 0 with mu below mu_max: some multiplier is negative, whatever the curvature."""
    tasks, model, _, _ = solved()[0]
    B = np.zeros((3, 3))
    W = literal.best_W(tasks, model, B)
    least = literal.gradients(tasks, model, W, B)[1].min()
    found = second_order(Problem(tasks, model).at(W, B))
    assert least < 0 and close(found.min_multiplier, least, 1e-9) and found.verdict == "degenerate"
    refused(lambda: prove(tasks, model, W, B))


def exchangeable_edges_are_degenerate() -> None:
    for point, _ in proven.DEGENERATE.values():
        if point.model.loss.name == "squared":
            assert second_order(at(*point)).verdict == "degenerate"
