"""Points with structure in W, and second derivatives of J there by differences along what keeps it."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
from cases import Array

from amtl_cvx import LossWeightedL1, Model, Options, Problem, TaskSet, fit
from amtl_cvx.problem import Point
from amtl_cvx.weights import TraceNorm, TraceNormSquared, WeightPenalty

FAST = Options(engine="fast", tol=1e-11)


def problem_of(omega: WeightPenalty) -> Problem:
    """Three tasks with structure to find: a feature of none, equal neighbours, one rank."""
    rng = np.random.default_rng(8)
    X = [rng.normal(size=(20, 3)) for _ in range(3)]
    w = np.outer([2.0, -1.0, 0.0], [1.0, 1.0, 1.5])
    y = [x @ v + 0.5 * rng.normal(size=20) for x, v in zip(X, w.T, strict=True)]
    return Problem(
        TaskSet.from_arrays(X, y), Model(transfer=LossWeightedL1(mu=0.2), coupling=0.2, omega=omega)
    )


STRONG = {"l1": 0.3, "l21": 0.5, "trace": 0.5, "trace-squared": 0.1, "fused": 0.2}


@functools.cache
def solved(omega: WeightPenalty) -> Point:
    problem = problem_of(replace(omega, rho=STRONG[omega.name]))
    found = fit(problem.tasks, problem.model, options=FAST)
    assert found.certificate.passes and found.certificate.edges > 0
    return problem.at(found.W, found.B)


def kept(omega: WeightPenalty, W: Array, moved: Array) -> Array:
    """The point near `moved` that has the structure of W: zeros, a rank; groups are kept by the moves."""
    if isinstance(omega, TraceNorm | TraceNormSquared):
        U, s, Q = np.linalg.svd(moved)
        k = np.linalg.matrix_rank(W, tol=1e-9)
        return (U[:, :k] * s[:k]) @ Q[:k]
    return np.where(W == 0.0, 0.0, moved)


def curvatures(point: Point) -> Array:
    """Eigenvalues of the Hessian of J along the moves that keep the structure of W, and on the edges."""
    omega, (d, T), h = point.model.omega, point.W.shape, point.prox_rate
    assert omega is not None
    N = omega.tangent(point.W - point.smooth_gradient_W / h, 1.0 / h).moves
    places = np.argwhere(point.B > 0.0)
    n, step = N.shape[1] + len(places), 2e-4
    assert N.shape[1] < d * T

    def J(x: Array) -> float:
        B = point.B.copy()
        B[tuple(places.T)] += x[N.shape[1] :]
        moved = point.W + (N @ x[: N.shape[1]]).reshape(T, d).T
        return point.at(W=kept(omega, point.W, moved), B=B).objective

    H, E = np.empty((n, n)), step * np.eye(n)
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        ends = J(E[i] + E[j]) - J(E[i] - E[j]) - J(E[j] - E[i]) + J(-E[i] - E[j])
        H[i, j] = H[j, i] = ends / (4.0 * step * step)
    return np.linalg.eigvalsh(H)
