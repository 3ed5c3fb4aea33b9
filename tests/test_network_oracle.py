"""J of a network and its derivatives are those of plain loops in sixty digits, at kinks and off them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_oracle import Cell, Oracle, exact

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkPoint, NetworkProblem
from amtl_cvx.network.hessian import hessian
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.vertex import concave

WEIGHTS = {"mu": 0.11, "alpha": 0.4, "gamma": 0.23, "decay": 0.07}
DEEP = {"layers": (3, 2), "fit_bias": True, "feedback_bias": True}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "squared": ("own rows, weights", {"layers": (3,)}),
    "squared sum": ("shared rows", {"layers": (3,), "gamma_per": "row"}),
    "logistic": ("own rows, weights", DEEP),
    "logistic sum": ("duplicates", {"layers": (2,), "feedback": "nonnegative", "price_floor": 0.3}),
    "huber:0.8": ("no labels", {"layers": (3, 3, 2), "fit_bias": True, "gamma_per": "row"}),
    "squared-hinge": (
        "own rows, weights",
        {"layers": (2,), "fit_bias": True, "task_weights": "inverse-sqrt"},
    ),
    "squared-hinge sum": ("shared rows", DEEP),
    "poisson": ("duplicates", {"layers": (2, 2), "fit_bias": True, "task_weights": (0.5, 2.0, 1.25)}),
    "squared labelled": ("no labels", {"layers": (3,), "reconstruct": "labelled", "feedback_bias": True}),
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


def with_prices(point: NetworkPoint) -> np.ndarray:
    """The gradient, with the prices of S and A where these are not 0."""
    layout, whole = point.problem.layout, point.gradient().vector.copy()
    whole[layout.S] += point.model.mu * np.sign(point.S).ravel()
    priced = np.zeros_like(point.A_plus)
    priced[: point.tasks.T] = point.prices[:, None] * np.sign(point.A)
    whole[layout.A] += priced.ravel()
    return whole


def close(found: Any, expected: Any, tolerance: float) -> None:
    expected = np.array(expected, dtype=float)
    assert np.abs(np.asarray(found) - expected).max() <= tolerance * np.abs(expected).max()


def test_the_oracle_on_paper() -> None:
    """Rows (1, 0) and (0, 1), w = (1, -1), s = 2, a = 1/4, targets 1 and 0: z = (1, 0), R = (1/2, 0)."""
    paper = Oracle(
        X=[[[1.0, 0.0], [0.0, 1.0]]], y=[[1.0, 0.0]], layers=(1,), mu=1.0, alpha=0.5, gamma=2.0, decay=0.25
    )
    assert [float(term) for term in paper.terms(exact([1.0, -1.0, 2.0, 0.25]))] == [
        0.5,
        0.0625,
        2.0,
        0.5,
        0.5,
    ]


@pytest.mark.parametrize("case", CASES)
def test_J_and_its_derivatives_away_from_kinks(case: str, rng: np.random.Generator) -> None:
    problem, oracle = posed(rng, case)
    point = somewhere(problem, rng)
    x = exact(point.vector)
    assert oracle.size == problem.size and not any(at.any() for at in point.touching)
    close(point.terms, oracle.terms(x), 1e-13)
    close(with_prices(point), oracle.gradient(x), 1e-12)
    d = rng.normal(size=problem.size)
    close(hessian(point) @ d, oracle.hessian_times(x, exact(d)), 1e-11)
    slopes = point.gradient().kinks
    for layer, w in enumerate(slopes):
        for i in (0, len(w) - 1):
            row = tuple(exact(problem.rows.X[i]))
            found = [oracle.kink_weight(x, row, layer, j) for j in range(w.shape[1])]
            assert np.abs(w[i] - np.array(found, dtype=float)).max() <= 1e-12 * np.abs(w).max()


def kinked(rng: np.random.Generator, *, deep: bool) -> NetworkPoint:
    """Numbers of few bits, so that kinks are exact: of the layers, of the reconstruction, zeros of S and A.

    On row 3 two units of the first layer are on their kinks, and of a deep one a unit above them too. The
    first task uses feature 0 alone and gives to feature 1; nobody gives to the last feature.
    """

    def few(*shape: int) -> np.ndarray:
        return rng.integers(-8, 9, size=shape) / 4.0

    X, W, blocks = few(7, 3), few(3, 3), {}
    W[2] = 1.0, -1.0, 0.5
    X[:2, 2] = -(X[:2, :2] @ W[:2, 0]) / W[2, 0]
    X[2, 2] = -(X[2, :2] @ W[:2, 2]) / W[2, 2]
    X[3] = np.cross(W[:, 0], W[:, 1]) / 2.0
    if deep:
        z, above, bias = np.maximum(X @ W, 0.0), few(3, 3), few(3)
        bias[0], bias[1] = -z[3] @ above[:, 0], -z[4] @ above[:, 1]
        blocks = {"bias1": np.zeros(3), "W2": above, "bias2": bias, "bias_feedback": [0.5, 0.0, 0.0]}
    S, A = few(3, 3), np.zeros((3, 3))
    S[1:, 0], S[0, 1] = 0.0, 0.0
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
        if active.counts[0] >= 4 and nested and (concave(point) > 0.0).sum() >= 6 and point.rebuilding.any():
            assert len(point.problem.rows.X) == 7
            return point, Oracle.of(point.tasks, point.model, pool=point.problem.rows.X)


def slope(point: NetworkPoint, d: np.ndarray, R: np.ndarray) -> float:
    """J'(x; d) by the formula of `kinks` and `vertex`; R is R'(x; d)."""
    active, problem, T = kinks(point), point.problem, point.tasks.T
    *_, dS, dA = problem.layout.split(d)
    w = np.concatenate([w[place] for w, place in zip(point.gradient().kinks, active.places, strict=True)])
    moved = active.normals @ d
    for m in range(len(moved)):  # from below: what stands below m comes before it
        moved[m] += active.crossed[m] @ np.maximum(moved, 0.0)
    feedback = point.prices[:, None] * np.where(point.A == 0.0, np.abs(dA[:T]), np.sign(point.A) * dA[:T])
    size = point.model.mu * np.where(point.S == 0.0, np.abs(dS), np.sign(point.S) * dS)
    smooth = point.gradient().vector @ d + feedback.sum() + size.sum()
    return float(smooth + w @ np.maximum(moved, 0.0) - (concave(point) * np.maximum(R, 0.0)).sum())


@pytest.mark.parametrize("number", [150, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("deep", [False, True], ids=["one layer", "deep"])
def test_one_sided_slopes_at_kinks_are_the_formula(deep: bool, number: int, rng: np.random.Generator) -> None:
    point, oracle = rich(rng, deep=deep)
    directions = rng.normal(size=(number, point.problem.size))
    directions[::2] *= rng.random(directions[::2].shape) < 0.15
    x, exactly = exact(point.vector), exact(directions)
    R = oracle.slopes_of_R(x, exactly, [tuple(exact(row)) for row in point.problem.rows.X])
    found = [slope(point, d, np.array(of, dtype=float)) for d, of in zip(directions, R, strict=True)]
    assert found == pytest.approx([float(each) for each in oracle.slopes(x, exactly)], rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("deep", [False, True], ids=["one layer", "deep"])
def test_masks_and_signs_name_a_piece_of_J(deep: bool, rng: np.random.Generator) -> None:
    """Gradient, kink weights and Hessian with fractional masks of the kinks and a side for every zero."""
    point, oracle = rich(rng, deep=deep)
    problem, layout, x = point.problem, point.problem.layout, exact(point.vector)
    rows = [tuple(exact(row)) for row in problem.rows.X]
    share = [np.where(at, rng.random(at.shape), on) for at, on in zip(point.touching, point.on, strict=True)]
    signs = np.where(point.vector == 0.0, rng.choice([-1.0, 1.0], problem.size), np.sign(point.vector))
    cell = Cell(
        masks=[dict(zip(rows, exact(mask), strict=True)) for mask in share],
        rebuilt=dict(zip(rows, point.rebuilding.tolist(), strict=True)),
        signs=[int(sign) for sign in signs],
    )
    gradient, T = point.gradient(share), point.tasks.T
    whole, price = gradient.vector.copy(), np.zeros_like(point.A_plus)
    price[:T] = point.prices[:, None]
    whole[layout.S] += point.model.mu * signs[layout.S]
    whole[layout.A] += price.ravel() * signs[layout.A]
    close(whole, oracle.gradient(x, cell), 1e-12)
    for layer, unit in ((0, 0), (len(point.V) - 1, 1)):
        w = [oracle.kink_weight(x, row, layer, unit, cell) for row in rows]
        close(gradient.kinks[layer][:, unit], w, 1e-12)
    sides = signs[layout.A].reshape(point.A_plus.shape)[:T]
    for d in rng.normal(size=(2, problem.size)):
        H = hessian(point, masks=share, signs=sides)
        close(H @ d, oracle.hessian_times(x, exact(d), cell), 1e-11)
