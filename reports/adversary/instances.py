"""Random and crafted problems, all tiny; nothing of the package.

Every kind takes a generator and a loss and gives the problem, with how many powers of ten its rows, features
and tasks span to either side of 1 (`reach` in its notes), and where the kind is about points, these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from arithmetic import doubles, reals, zeros
from blocks import best_B, best_W, best_W_held
from draws import Case, Given, Rng, draw, targets
from joint import Point, first_order_point, newton
from problem import LABELS, NUMBERS, PARAMETERS, Floats, Problem

REACHES = (0.0, 2.0, 4.0, 7.0, 10.0)


def random(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=0.0), [])


def scaled_rows(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=_reach(rng), rows=True), [])


def scaled_features(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=_reach(rng), features=True), [])


def scaled_tasks(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=_reach(rng), tasks=True), [])


def scaled_all(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=_reach(rng), rows=True, features=True, tasks=True), [])


def free_tasks(rng: Rng, loss: str) -> Case:
    """Tasks with few rows and a small coupling: nearly fitted, so nearly free to help."""
    return Case(draw(rng, loss, reach=0.0, few=True), [])


def one_task(rng: Rng, loss: str) -> Case:
    return Case(draw(rng, loss, reach=_reach(rng), features=True, T=1), [])


def twins(rng: Rng, loss: str) -> Case:
    """Two tasks of the same rows, a feature that is always 0."""
    problem = draw(rng, loss, reach=0.0, T=int(rng.integers(2, 5)))
    X, y = [x.copy() for x in problem.X], list(problem.y)
    X[1], y[1] = X[0].copy(), y[0].copy()
    for x in X:
        x[:, 0] = 0.0
    return Case(replace(problem, X=X, y=y), [])


def exact_data(rng: Rng, loss: str) -> Case:
    """Data that one w fits without loss in two tasks that explain each other: J = 0."""
    d, n = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    w = 2.0 ** rng.integers(-2, 3, size=d) * rng.choice([-1, 1], size=d)
    factor = float(2.0 ** rng.integers(-3, 4))
    X = [rng.integers(1, 9, size=(n, d)) * 1.0 for _ in range(2)]
    if loss in LABELS:
        w = np.abs(w) * 4
        X = [np.vstack([x, -x]) for x in X]
        y = [np.r_[np.ones(n), -np.ones(n)]] * 2
    elif loss == "poisson":
        y = [np.exp(np.clip(x @ w, -3, 3)).round() for x in X]
    else:
        y = [X[0] @ w, X[1] @ w * factor]
    B = np.array([[0.0, factor], [1.0 / factor, 0.0]])
    W = np.column_stack([w, w * factor])
    problem = Problem(
        X=X, y=y, loss=loss, parameter=PARAMETERS.get(loss), mu=0.1, coupling=1.0, notes={"reach": 0.0}
    )
    size = 10.0 ** rng.uniform(-12, -1)
    near = W * (1 + size * rng.normal(size=W.shape))
    return Case(problem, [Given("exact", W, B), Given("near exact", near, B)])


def zero_targets(rng: Rng, loss: str) -> Case:
    """All targets 0 (labels: rows of 0; counts: 1): nothing to learn."""
    problem = draw(rng, loss, reach=0.0)
    X, y = problem.X, problem.y
    if loss in LABELS:
        X = [0.0 * x for x in X]
    else:
        y = [np.full_like(v, float(loss == "poisson")) for v in y]
    d, T = problem.d, problem.T
    size = 10.0 ** rng.uniform(-10, 0)
    points = [
        Given("zero", np.zeros((d, T)), np.zeros((T, T))),
        Given("off zero", size * rng.normal(size=(d, T)), np.zeros((T, T))),
    ]
    return Case(replace(problem, X=X, y=y), points)


def two_sizes(rng: Rng, loss: str) -> Case:
    """One task, one feature, rows of K and of 1, and points that only the rows of K like."""
    K = 10.0 ** rng.uniform(5, 12)
    if loss in LABELS:
        X, y = np.array([[K], [-K], [1.0], [-1.0]]), np.array([1.0, -1.0, 1.0, -1.0])
    elif loss == "poisson":
        X, y = np.array([[-K], [1.0]]), np.array([0.0, 5.0])
    else:
        X, y = np.array([[K], [1.0], [1.0]]), np.array([1.0, 3.0, 3.5])
    problem = Problem(
        X=[X],
        y=[y],
        loss=loss,
        parameter=PARAMETERS.get(loss),
        mu=0.1,
        coupling=10.0 ** rng.uniform(-5, -3),
        notes={"reach": float(np.log10(K))},
    )
    at = rng.uniform(10, 40, size=6)
    if loss in ("squared-hinge", "hinge"):
        at[::2] = 1 - 10.0 ** rng.uniform(-14, -6, size=3)
    elif loss in NUMBERS:
        at = rng.uniform(0.9, 1.1, size=2)
    return Case(problem, [Given("liked by large rows", np.array([[z / K]]), np.zeros((1, 1))) for z in at])


def beside_the_kink(rng: Rng, loss: str) -> Case:
    """Squared hinge: task 1 has its rows a hair inside their kink, task 0 and B are stationary for that."""
    if loss != "squared-hinge":
        return Case(draw(rng, loss, reach=0.0, few=True), [])
    eps, lam = 10.0 ** rng.uniform(-13, -10), 10.0 ** rng.uniform(-11, -8)
    A0, A1 = np.array([[0.0, -1.0], [-1.0, -2.0]]), np.array([[1.0, -1.0], [1.5, -2.0]])
    A0, A1 = (A * (1 + 0.02 * rng.uniform(-1, 1, size=A.shape)) for A in (A0, A1))
    w1, w0, b = np.linalg.solve(A1, [1 - eps, 1 - eps]), np.array([1.0, -1.0]), np.array([0.5, 0.2])
    for _ in range(500):
        r0, r1 = w0 - b[1] * w1, w1 - b[0] * w0
        short = np.linalg.solve(A0.T, 2 * lam * (r0 - b[0] * r1) / (1 + b[0]))
        w0 = np.linalg.solve(A0, 1 - short)
        prices = np.array([(short**2).sum() / 2, eps**2]) / (2 * lam)
        b = np.maximum(0.0, (w0 @ w1 - prices) / np.array([w0 @ w0, w1 @ w1]))
    y = np.r_[np.ones(2), -np.ones(2)]
    problem = Problem(
        X=[np.vstack([A, -A]) for A in (A0, A1)],
        y=[y, y],
        loss=loss,
        mu=1.0,
        coupling=lam,
        notes={"reach": 0.0},
    )
    point = Given("a hair inside", np.column_stack([w0, w1]), np.array([[0.0, b[0]], [b[1], 0.0]]))
    return Case(problem, [point])


def small_task(rng: Rng, loss: str) -> Case:
    """Task 2 in units of 1e-9, one feature unseen by it; its column of B removed, the rest stationary."""
    s, n = 10.0 ** rng.uniform(-10, -6), 8
    w = np.array([[1.0, 0, 1], [0.2, 1, 0.3], [1, 0.3, 1]]) + 0.1 * rng.normal(size=(3, 3))
    X = [rng.normal(size=(n, 3)) for _ in range(3)]
    X[2][:, 2] = 0
    scores = [x @ v for x, v in zip(X, w, strict=True)]
    c, parameter = (1.0, 1.0, float(s**-1.5)), PARAMETERS.get(loss)
    if loss in NUMBERS:
        noise = (1e-6, 1e-6, 0.3)
        y = [z + e * rng.normal(size=n) for z, e in zip(scores, noise, strict=True)]
        y[2] = s * y[2]
    else:
        y, c = [targets(rng, loss, z) for z in scores], (1.0, 1.0, float(s))
    problem = Problem(
        X=X,
        y=y,
        loss=loss,
        parameter=parameter,
        mu=1e-6,
        coupling=1e-4,
        weights=c,
        notes={"reach": float(-np.log10(s))},
    )
    W, B = zeros(3, 3), zeros(3, 3)
    for _ in range(12 if problem.kinked else 60):
        best = best_W(problem, W, B)
        W, B = best.W, best_B(problem, best.W)
        B[:, 2] = zeros(3)
    best = best_W(problem, W, B)
    found = newton(problem, Point(best.W, B, best.kinks, best.u)) or Point(best.W, B, [], [])
    return Case(problem, [Given("column removed, the rest refitted", doubles(found.W), doubles(found.B))])


def large_feature(rng: Rng, loss: str) -> Case:
    """A feature in units of 1e8, a task in units of 1e-6: its other coefficient with a wrong sign."""
    size, n = 10.0 ** rng.uniform(6, 9.5), 8
    X = [np.column_stack([size * (1 + 0.1 * rng.normal(size=n)), rng.normal(size=n)]) for _ in range(2)]
    unit = 10.0 ** rng.uniform(-8, -4)
    z = [X[0][:, 1], 5 - 3 * X[1][:, 1]]
    weights: str | tuple[float, ...] = "equal"
    if loss in NUMBERS:
        y: list[Floats] = [z[0] + rng.normal(size=n), unit * (z[1] + 0.1 * rng.normal(size=n))]
    else:
        y, weights = [targets(rng, loss, v) for v in z], (1.0, unit)
    problem = Problem(
        X=X,
        y=y,
        loss=loss,
        parameter=PARAMETERS.get(loss),
        mu=10.0 ** rng.uniform(-1, 3),
        coupling=1e-3,
        weights=weights,
        notes={"reach": float(np.log10(size))},
    )
    found = first_order_point(problem, zeros(2, 2), zeros(2, 2))
    if found is None or problem.kinked:
        return Case(problem, [])
    W, B = doubles(found.W), doubles(found.B)
    W[1, 1] *= -0.8
    return Case(
        problem,
        [
            Given(
                "wrong sign, the rest refitted", doubles(best_W_held(problem, reals(W), reals(B), (1, 1))), B
            )
        ],
    )


def nearly_singular(rng: Rng, loss: str) -> Case:
    """I - B all but singular, W the best for it, and W longer along what the coupling does not see."""
    problem = draw(rng, loss, reach=0.0, T=2, few=True)
    gap, b = 10.0 ** rng.uniform(-12, -2), float(2.0 ** rng.uniform(-2, 2))
    B = np.array([[0.0, b], [(1 - gap) / b, 0.0]])
    best = best_W(problem, zeros(problem.d, 2), reals(B))
    W = doubles(best.W)
    long = np.outer(rng.normal(size=problem.d), [1.0, b])
    size = 10.0 ** rng.uniform(-6, 1)
    return Case(problem, [Given("best for a singular B", W, B), Given("longer", W + size * long, B)])


KINDS: dict[str, Callable[[Rng, str], Case]] = {
    each.__name__.replace("_", " "): each
    for each in (
        random,
        scaled_rows,
        scaled_features,
        scaled_tasks,
        scaled_all,
        free_tasks,
        one_task,
        twins,
        exact_data,
        zero_targets,
        two_sizes,
        beside_the_kink,
        small_task,
        large_feature,
        nearly_singular,
    )
}


def _reach(rng: Rng) -> float:
    return float(rng.choice(REACHES[1:]))
