"""Claims of packs against closed forms, perturbed data and exact arithmetic of the tests' own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.arrays import Array
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims import claims_of, digits_of

B = np.array([[0.0, 0.25, 0.0], [0.5, 0.0, 0.125], [0.0, 0.25, 0.0]])


def tasks_of(seed: int = 0, *, T: int = 3, d: int = 2, n: int = 5) -> tuple[list[Array], list[Array]]:
    """Features and targets in sixteenths."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(-32, 33, size=(n, d)) / 16.0 for _ in range(T)]
    return X, [x @ np.ones(d) + rng.integers(-16, 17, size=n) / 16.0 for x in X]


def problem_of(X: list[Array], y: list[Array], *, mu: float = 0.5, coupling: float = 2.0) -> Problem:
    return Problem(TaskSet.from_arrays(X, y), Model(transfer=LossWeightedL1(mu=mu), coupling=coupling))


def best_weights(X: list[Array], y: list[Array], *, mu: float = 0.5, coupling: float = 2.0) -> Array:
    """The W-step at B in closed form (SPEC section 3)."""
    T, d = len(X), X[0].shape[1]
    a, M = 1.0 + mu * B.sum(axis=1), np.eye(T) - B
    H = coupling * np.kron(M @ M.T, np.eye(d))
    right = np.zeros(T * d)
    for t in range(T):
        own = slice(t * d, (t + 1) * d)
        H[own, own] += a[t] / len(y[t]) * X[t].T @ X[t]
        right[own] = a[t] / len(y[t]) * X[t].T @ y[t]
    return np.linalg.solve(H, right).reshape(T, d).T


def test_no_change_of_the_data_moves_the_answer_by_more_than_kappa(rng: np.random.Generator) -> None:
    X, y = tasks_of()
    W = best_weights(X, y)
    claims = claims_of(problem_of(X, y), "w-step", {"W": W}, given={"B": B}, extras=False)
    kappa, unit, worst = claims["condition"]["kappa"], 1e-7, 0.0
    for _ in range(40):
        changed = [x * (1.0 + unit * rng.choice([-1.0, 1.0], size=x.shape)) for x in X]
        targets = [z * (1.0 + unit * rng.choice([-1.0, 1.0], size=z.shape)) for z in y]
        moved = np.abs(best_weights(changed, targets) - W).max() / np.abs(W).max() / unit
        worst = max(worst, moved)
    assert kappa / 50.0 < worst <= kappa
    assert claims["tolerances"]["float32"]["x"] == pytest.approx(32.0 * kappa * 2.0**-23)
    assert claims["tolerances"]["float64"]["x"] == pytest.approx(32.0 * kappa * 2.0**-52)


def test_digits_of_a_step_are_those_of_the_rationals() -> None:
    X, y = [np.array([[1.0], [2.0]]), np.array([[0.5], [1.0]])], [np.array([1.0, 3.0]), np.array([1.0, 0.25])]
    edges = np.array([[0.0, 0.5], [0.25, 0.0]])
    problem = problem_of(X, y)
    a = [Fraction(1) + Fraction(1, 2) * Fraction(e) for e in (0.5, 0.25)]
    M = [[Fraction(1), Fraction(-1, 2)], [Fraction(-1, 4), Fraction(1)]]
    P = [[2 * sum(M[s][u] * M[t][u] for u in range(2)) for t in range(2)] for s in range(2)]
    gram = [sum(Fraction(x) ** 2 for x in rows.ravel().tolist()) / 2 for rows in X]
    pull = [
        sum(Fraction(x) * Fraction(z) for x, z in zip(rows.ravel().tolist(), z.tolist(), strict=True)) / 2
        for rows, z in zip(X, y, strict=True)
    ]
    H = [[P[s][t] + (a[s] * gram[s] if s == t else 0) for t in range(2)] for s in range(2)]
    det = H[0][0] * H[1][1] - H[0][1] * H[1][0]
    b = [a[t] * pull[t] for t in range(2)]
    exact = [(H[1][1] * b[0] - H[0][1] * b[1]) / det, (H[0][0] * b[1] - H[1][0] * b[0]) / det]
    W = np.array([[float(w) for w in exact]])
    found, why = digits_of(problem, "w-step", {"W": W}, given={"B": edges})
    assert found is not None, why
    for text, w in zip(found["W"][0], exact, strict=True):
        assert abs(Fraction(text) - w) <= abs(w) * Fraction(1, 10**39)
    claims = claims_of(problem, "w-step", {"W": W}, given={"B": edges}, digits=found)
    assert claims["digits"]["proven"] == 40 and all(claims["checks"].values())
    assert claims["routes"]["digits"] >= 30


def test_B_that_may_move_is_not_unique_and_its_product_is() -> None:
    X, y = tasks_of(T=3, d=2)
    W = np.array([[1.0, 2.0, 4.0], [0.5, 1.0, 2.0]])  # predictors on a line: one may stand for another
    problem = problem_of(X, [x @ w for x, w in zip(X, W.T, strict=True)], mu=0.0)
    edges = np.array([[0.0, 1.0, 2.0], [0.25, 0.0, 1.0], [0.125, 0.25, 0.0]])
    assert np.array_equal(W @ edges, W)
    claims = claims_of(problem, "b-step", {"B": edges}, given={"W": W})
    assert claims["unique"] == {"B": False, "W B": True}
    alone = claims_of(problem_of(X, y, mu=0.01), "b-step", {"B": best_edges(X, y)}, given={"W": PAIR})
    assert alone["unique"]["B"] is True and alone["checks"]["first-order"]


PAIR = np.array([[1.0, 0.75, 0.0], [0.0, 0.25, 1.0]])


def best_edges(X: list[Array], y: list[Array], *, mu: float = 0.01, coupling: float = 2.0) -> Array:
    """The B-step at `PAIR` by trying every support of two edges or fewer."""
    T = len(X)
    price = [mu * float(((x @ w - z) ** 2).mean()) for x, w, z in zip(X, PAIR.T, y, strict=True)]
    found = np.zeros((T, T))
    for t in range(T):
        others, best = [s for s in range(T) if s != t], (np.inf, np.zeros(T))
        for support in ([], [others[0]], [others[1]], others):
            b = np.zeros(T)
            if support:
                A = PAIR[:, support]
                right = A.T @ PAIR[:, t] - np.array([price[s] for s in support]) / (2.0 * coupling)
                b[support] = np.linalg.solve(A.T @ A, right)
            value = coupling * float(((PAIR[:, t] - PAIR @ b) ** 2).sum()) + float(np.dot(price, b))
            if (b >= 0.0).all() and value < best[0]:
                best = value, b
        found[:, t] = best[1]
    return found


def test_a_wrong_answer_is_not_of_first_order() -> None:
    X, y = tasks_of()
    W = best_weights(X, y)
    off = W.copy()
    off[0, 0] += 1e-6
    assert claims_of(problem_of(X, y), "w-step", {"W": W}, given={"B": B}, extras=False)["checks"][
        "first-order"
    ]
    for wrong in (off, -W, W[:, ::-1].copy()):
        claims = claims_of(problem_of(X, y), "w-step", {"W": wrong}, given={"B": B}, extras=False)
        assert not claims["checks"]["first-order"] and claims["level"] == "C0"


def test_objective_and_terms_are_sums() -> None:
    X, y = tasks_of()
    W = best_weights(X, y)
    point: Point = problem_of(X, y).at(W, B)
    claims = claims_of(problem_of(X, y), "w-step", {"W": W}, given={"B": B}, extras=False)
    assert float.fromhex(claims["objective"]["hex"]) == point.objective
    assert claims["objective"]["terms"] >= point.objective
    assert claims["tolerances"]["float32"]["objective"] >= 8.0 * 2.0**-23 * point.objective
