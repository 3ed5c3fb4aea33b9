"""Problems of networks with few rows, for the package and the oracle: random points, points on kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
from network_oracle import Oracle

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkPoint, NetworkProblem
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.vertex import vertex

WEIGHTS = {"mu": 0.11, "alpha": 0.4, "gamma": 0.23, "decay": 0.07}
DEEP = {"layers": (3, 2), "fit_bias": True, "feedback_bias": True, "price_floor": 0.2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "squared": ("own rows, weights", DEEP),
    "squared sum": ("shared rows", {"layers": (3,), "gamma_per": "row"}),
    "squared labelled": ("no labels", {"layers": (3,), "reconstruct": "labelled", "feedback_bias": True}),
    "logistic": ("own rows, weights", {"layers": (2,), "task_weights": "inverse-sqrt", "price_floor": 0.2}),
    "logistic sum": ("duplicates", {"layers": (2,), "feedback": "nonnegative", "price_floor": 0.3}),
    "huber:0.8": ("no labels", {"layers": (3, 3, 2), "fit_bias": True, "gamma_per": "row"}),
    "squared-hinge": ("duplicates", {"layers": (2,), "fit_bias": True}),
    "squared-hinge sum": ("shared rows", DEEP),
    "poisson": ("own rows, weights", {"layers": (2, 2), "fit_bias": True, "task_weights": (0.5, 2.0, 1.25)}),
}


def posed(rng: np.random.Generator, case: str) -> tuple[NetworkProblem, Oracle]:
    """Three tasks with three inputs and few rows, as the product and as the oracle have them."""
    rows, settings = CASES[case]
    label, *_ = case.split()
    n, pool, v = 4, None, None
    X = rng.normal(size=(n, 3))
    Y = rng.normal(size=(n, 3))
    if label in ("logistic", "squared-hinge"):
        Y = np.where(Y - np.median(Y, axis=0) >= 0.0, 1.0, -1.0)
    elif label == "poisson":
        Y = np.round(np.exp(Y))
    if rows == "no labels":
        Y[0], Y[1, 0], Y[2, 1:] = np.nan, np.nan, np.nan
        pool = X[1:] if settings.get("reconstruct") == "labelled" else X
        tasks = TaskSet.from_matrix(X, Y)
    elif rows == "shared rows":
        pool, tasks = X, TaskSet.from_matrix(X, Y)
    else:
        own = [rng.normal(size=(n, 3)) for _ in range(3)]
        if rows == "duplicates":
            own[0][1] = own[0][0]
            own[2][:2] = own[0][0], own[1][3]
        else:
            v = [rng.uniform(0.5, 2.0, size=n) for _ in range(3)]
        tasks = TaskSet.from_arrays(own, list(Y.T), sample_weight=v)
    loss = make_loss(label, reduction="sum" if case.endswith("sum") else "mean")
    model = NetworkModel(**WEIGHTS, loss=loss, **settings)
    problem = NetworkProblem(tasks, model)
    return problem, Oracle.of(tasks, model, pool=pool)


def somewhere(problem: NetworkProblem, rng: np.random.Generator) -> NetworkPoint:
    x = rng.normal(size=problem.size)
    if not problem.model.signed:
        x[problem.layout.A] = np.abs(x[problem.layout.A])
    return problem.from_vector(x)


def kinked(rng: np.random.Generator, *, deep: bool) -> NetworkPoint:
    """Numbers of few bits, so that kinks are exact: of the layers, of the reconstruction, zeros of S and A.

    On row 3 two units of the first layer are on their kinks, and of a deep one a unit above them too. The
    first task uses feature 0 alone and gives to feature 1; the second is 0 on row 5 and gives to feature 0;
    nobody gives to the last one.
    """

    def few(*shape: int) -> np.ndarray:
        return rng.integers(-8, 9, size=shape) / 4.0

    X, W, blocks = few(7, 3), few(3, 3), {}
    W[2] = 1.0, -1.0, 0.5
    X[:2, 2] = -(X[:2, :2] @ W[:2, 0]) / W[2, 0]
    X[2, 2] = -(X[2, :2] @ W[:2, 2]) / W[2, 2]
    X[3] = np.cross(W[:, 0], W[:, 1]) / 2.0
    z = np.maximum(X @ W, 0.0)
    if deep:
        above, bias = few(3, 3), few(3)
        bias[0], bias[1] = -z[3] @ above[:, 0], -z[4] @ above[:, 1]
        blocks = {"bias1": np.zeros(3), "W2": above, "bias2": bias, "bias_feedback": [0.0, 0.0, 0.5]}
        z = np.maximum(z @ above + bias, 0.0)
    S, A = few(3, 3), np.zeros((3, 3))
    S[1:, 0], S[:, 1] = 0.0, [0.0, z[5, 2], -z[5, 1]]
    S[0, 0] = -abs(S[0, 0])
    A[0, 1], A[1, 0] = -0.75, 0.5
    layers = (3, 3) if deep else (3,)
    model = NetworkModel(**WEIGHTS, layers=layers, fit_bias=deep, feedback_bias=deep, price_floor=0.2)
    problem = NetworkProblem(TaskSet.from_matrix(X, few(7, 3)), model)
    return problem.at(W1=W, S=S, A=A, **blocks)


def rich(rng: np.random.Generator, *, deep: bool) -> tuple[NetworkPoint, Oracle]:
    """One with many kinks of every kind, and its oracle."""
    while True:
        point = kinked(rng, deep=deep)
        active = kinks(point)
        nested = not deep or (active.counts[1] >= 3 and active.crossed.any())
        found = vertex(point)
        concave = min(found.protected, found.unprotected, np.count_nonzero(found.kinks))
        if active.counts[0] >= 4 and nested and concave > 0 and point.rebuilding.any():
            assert len(point.problem.rows.X) == 7
            return point, Oracle.of(point.tasks, point.model, pool=point.problem.rows.X)


def alone(X: Any, y: Any, V: Any, S: Any, **settings: Any) -> NetworkPoint:
    """A point with one hidden layer V (d, k) and no feedback; column t of y is a task."""
    S, y = np.array(S, dtype=float), np.array(y, dtype=float).reshape(len(X), -1)
    given = {"mu": 0.5, "alpha": 0.0, "gamma": 0.0, "decay": 0.125, "layers": (len(S),)} | settings
    problem = NetworkProblem(TaskSet.from_matrix(np.array(X, dtype=float), y), NetworkModel(**given))
    return problem.at(W1=V, S=S, A=np.zeros(S.T.shape))


def on_a_kink(weight: float, *, mu: float = 0.5, decay: float = 0.125) -> NetworkPoint:
    """Row (1, 1) is on the kink of the unit (1, -1), theta = 2 decay, w = s weight, s = 4 decay / mu."""
    s = 4.0 * decay / mu
    return alone([[1, 0], [1, 1]], [s + mu, -weight], [[1.0], [-1.0]], [[s]], mu=mu, decay=decay)


def tiny() -> dict[str, tuple[NetworkPoint, str]]:
    """First-order points whose second order is found on paper.

    (s v - y)^2 + mu |s| + decay v^2 at v = 1: s = 2 decay / mu, y = s + mu / 2, and its Hessian is
    [[2, 2 s + 2 (s - y)], [., 2 s^2 + 2 decay]]: positive definite where 4 (s^2 + decay) > (2 s - mu)^2.
    """
    strict, one = "strict local minimum", {"decay": 0.25}
    unit = ([[1.0]], [1.25], [[1.0]], [[1.0]])
    both = ([[1.0]], [[1.25, 0.0]], [[1.0]], [[1.0, 0.0]])
    return {
        "no kink": (alone(*unit, **one), strict),
        "saddle": (alone([[1.0]], [0.52], [[1.0]], [[0.02]], mu=1.0, decay=0.01), "saddle"),
        "kink": (on_a_kink(1.0), strict),
        "theta = w": (on_a_kink(0.25), "degenerate"),
        "theta near w": (on_a_kink(0.3), strict),
        "theta = 0": (alone([[1, 0], [0, 1]], [1.0, -1.0], [[1.0], [0.0]], [[0.5]]), "degenerate"),
        "saddle on a kink": (on_a_kink(1.0, mu=1.0, decay=0.01), "saddle"),
        "zero of S with room": (alone(*both, **one), strict),
        "zero of S without": (
            alone([[1.0]], [[1.25, 0.25]], [[1.0]], [[1.0, 0.0]], **one), "degenerate"
        ),
        "price of an empty column": (alone(*unit, gamma=0.125, alpha=8.0), strict),
        "without room": (alone(*unit, gamma=0.125, alpha=4.0), "degenerate"),
    }  # fmt: skip
