"""Second-order verdicts against differences and points known by symmetry."""

from __future__ import annotations

from dataclasses import replace
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
    spectrum,
)
from amtl_cvx.certificate.held import HeldRows
from amtl_cvx.certificate.hessian import BlockHessian, extremes, lowest
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


def written_out(H: BlockHessian) -> Array:
    """All of it by Kronecker products, (n, n)."""
    T, d = H.unit.shape
    WW = np.kron(H.P, np.eye(d)) / np.outer(H.unit.ravel(), H.unit.ravel())
    for t in range(T):
        WW[t * d : (t + 1) * d, t * d : (t + 1) * d] += H.blocks[t]
    return np.vstack([np.hstack([WW, H.BW.T]), np.hstack([H.BW, H.BB])])


def block_hessians() -> tuple[BlockHessian, BlockHessian, BlockHessian]:
    """A definite one, another near to it in the same units, and one with a negative eigenvalue."""
    rng, (T, d, k) = np.random.default_rng(8), (4, 3, 5)
    X, K, E = rng.normal(size=(T, 6, d)), rng.normal(size=(T, T)), rng.normal(size=(k, k))
    first = BlockHessian(
        blocks=X.transpose(0, 2, 1) @ X,
        P=K @ K.T,
        BW=0.3 * rng.normal(size=(k, T * d)),
        BB=E @ E.T + np.eye(k),
        unit=rng.uniform(0.5, 2.0, size=(T, d)),
    )
    moved = replace(first, blocks=0.7 * first.blocks, P=first.P + 0.1, BW=1.1 * first.BW, BB=0.9 * first.BB)
    return first, moved, replace(first, BB=E @ E.T - 4.0 * np.eye(k))


def schur_form_is_that_of_the_matrix() -> None:
    """Sums, differences, solutions and eigenvalues of block Hessians against the matrix written out."""
    first, moved, bent = block_hessians()
    rng = np.random.default_rng(1)
    for each in (first, moved, bent):
        H, root = written_out(each), rng.uniform(0.5, 2.0, size=each.n)
        S, scaled = H / np.outer(root, root), each.scaled(root)
        assert close(scaled.whole(), S, 1e-12) and close(scaled.diagonal(), np.diag(S), 1e-12)
        x = rng.normal(size=each.n)
        assert close(scaled.product(x), S @ x, 1e-11)
        assert close(scaled.largest_sum(), np.abs(S).sum(axis=1).max(), 1e-12)
        apart = S - written_out(first) / np.outer(root, root)
        assert close(scaled.distance(first.scaled(root)), np.linalg.norm(apart), 1e-12, 1e-12)
        values, factor = np.linalg.eigvalsh(S), scaled.factor()
        assert (factor is None) == (values[0] < 0.0)
        found = extremes(each, scaled, root, factor)
        raw = np.linalg.eigvalsh(H)
        assert close(found.least, raw[0], 1e-7) and close(found.largest, raw[-1], 1e-7)
        if factor is None:
            assert close(found.scaled.value, values[0], 1e-7) and found.scaled.vector is not None
            assert close(found.scaled.vector @ S @ found.scaled.vector, values[0], 1e-7)
        else:
            assert close(factor.solve(x), np.linalg.solve(S, x), 1e-10)
            assert 0.99 * values[0] <= found.scaled.value <= values[0]  # proved from below


def unproved_eigenvalues_are_not_claimed() -> None:
    """Only what a factor proves counts: inverse iteration that names another eigenvalue is found out."""
    first, _, _ = block_hessians()
    root = np.sqrt(first.diagonal())
    S, factor = first.scaled(root), first.scaled(root).factor()
    assert factor is not None
    values, vectors = np.linalg.eigh(S.whole())
    lower = factor._replace(
        lower=2.0 * factor.lower, half=2.0 * factor.half
    )  # of another matrix, far above S
    for wrong in (lower, lower._replace(rest=2.0 * factor.rest)):
        assert lowest(S, wrong).value <= values[0]


def schur_form_has_the_verdicts_of_the_matrix() -> None:
    """Points that are solved, and a saddle known by symmetry: the same verdict, the eigenvalue from below."""
    for point in (proven.split_duplicates(), *solved()):
        whole, limit = second_order(at(*point)), spectrum.DENSE
        spectrum.DENSE = 0
        try:
            found = second_order(at(*point))
        finally:
            spectrum.DENSE = limit
        assert found.verdict == whole.verdict and found.definite == whole.definite
        assert close(found.reduced_hessian_min, whole.reduced_hessian_min, 1e-6)
        assert close(found.reduced_hessian_max, whole.reduced_hessian_max, 1e-6)
        assert close(found.scaled_hessian_min, whole.scaled_hessian_min, 2e-3)
        assert found.verdict == "saddle" or found.scaled_hessian_min <= whole.scaled_hessian_min
