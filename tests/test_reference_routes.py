"""Second derivations and digits of steps, against fractions of the tests' own; kappa against refits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from amtl_cvx import ElasticNet, LossWeightedL1, Model, Options, Problem, SquaredTransfer, TaskSet, fit
from amtl_cvx.reference.claims import claims_of, digits_of
from amtl_cvx.reference.claims.numbers import proven_digits, shared, shared_objective, significant
from amtl_cvx.reference.claims.routes import second_route
from amtl_cvx.reference.claims.routes.again import moved
from amtl_cvx.refine import refine

pytest.importorskip("flint")
X = [np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [0.5]])]
y = [np.array([1.0, 2.5, 2.0]), np.array([1.25, 2.0, 1.0])]
TASKS = TaskSet.from_arrays(X, y)
HALF = Fraction(1, 2)


def close(text: str, value: Fraction, digits: int = 39) -> bool:
    """Whether a decimal is a fraction to that many digits."""
    return abs(Fraction(text) - value) <= abs(value) / 10**digits


def sums(t: int) -> tuple[Fraction, Fraction, Fraction]:
    """x'x, x'y and y'y of a task over its rows, means."""
    x, z = ([Fraction(v) for v in each.ravel().tolist()] for each in (X[t], y[t]))
    pairs = [(x, x), (x, z), (z, z)]
    xx, xy, yy = (sum((a * b for a, b in zip(*pair, strict=True)), Fraction(0)) / 3 for pair in pairs)
    return xx, xy, yy


def loss_at(t: int, w: Fraction) -> Fraction:
    xx, xy, yy = sums(t)
    return xx * w * w - 2 * xy * w + yy


def test_digits_of_a_curriculum_are_those_of_the_recursion_in_fractions() -> None:
    mu, lam = Fraction(1, 8), Fraction(1)
    W = [xy / (xx + lam) for xx, xy, _ in map(sums, range(2))]

    def row(t: int) -> Fraction:
        return max(Fraction(0), (W[1 - t] * W[t] - mu * loss_at(t, W[t]) / (2 * lam)) / (W[t] * W[t]))

    def cost(t: int) -> Fraction:
        return (1 + mu * row(t)) * loss_at(t, W[t]) + lam * (W[1 - t] - row(t) * W[t]) ** 2

    first = min((0, 1), key=cost)
    last, edge = 1 - first, row(first)
    xx, xy, _ = sums(first)
    W[first] = (1 + mu * edge) * xy / ((1 + mu * edge) * xx + lam)
    xx, xy, _ = sums(last)
    W[last] = (xy + lam * W[first] * edge) / (xx + lam)
    problem = Problem(TASKS, Model(transfer=LossWeightedL1(mu=0.125), coupling=1.0))
    B = np.zeros((2, 2))
    B[first, last] = float(edge)
    solution = {"W": np.array([[float(w) for w in W]]), "B": B, "order": np.array([first, last])}
    found, why = digits_of(problem, "curriculum", solution)
    assert found is not None, why
    assert found["order"] == [first, last] and edge > 0
    assert all(close(text, w) for text, w in zip(found["W"][0], W, strict=True))
    assert close(found["B"][first][last], edge) and proven_digits(found) == 40
    claims = claims_of(problem, "curriculum", solution, digits=found)
    assert all(claims["checks"].values()) and claims["unique"]["order"] is True


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_digits_of_edges_that_cost_their_squares(rho: float) -> None:
    """Column t of two tasks: b = max(0, coupling w_s w_t - p / 2) / (coupling w_s^2 + q)."""
    w = [Fraction(3, 4), Fraction(5, 4)]
    transfer = ElasticNet(mu=0.25, rho=rho) if rho else SquaredTransfer(mu=0.25)
    problem = Problem(TASKS, Model(transfer=transfer, coupling=2.0))
    price = [Fraction(1, 4) * loss_at(s, w[s]) for s in range(2)]
    edges = {}
    for s, t in ((0, 1), (1, 0)):
        p, q = (price[s], Fraction(rho)) if rho else (Fraction(0), price[s])
        edges[s, t] = max(Fraction(0), 2 * w[s] * w[t] - p / 2) / (2 * w[s] ** 2 + q)
    B = np.array([[0.0, float(edges[0, 1])], [float(edges[1, 0]), 0.0]])
    given = {"W": np.array([[0.75, 1.25]])}
    found, why = digits_of(problem, "b-step", {"B": B}, given=given)
    assert found is not None, why
    assert all(close(found["B"][s][t], edge) for (s, t), edge in edges.items())
    claims = claims_of(problem, "b-step", {"B": B}, given=given, digits=found)
    assert all(claims["checks"].values()) and claims["unique"]["B"] is True


def test_a_wrong_answer_shares_no_digits_with_the_second_derivation() -> None:
    problem = Problem(TASKS, Model(transfer=LossWeightedL1(mu=0.125), coupling=1.0))
    found = fit(TASKS, problem.model, options=Options(tol=1e-13, engine="fast"))
    answer = {"W": found.W, "B": found.B}
    assert (second_route(problem, "joint", answer, {}).digits or 0) >= 11
    off = {**answer, "W": found.W * (1.0 + 1e-6)}
    route = second_route(problem, "joint", off, {})
    assert route.digits is not None and 4 <= route.digits <= 6
    claims = claims_of(problem, "joint", off)
    assert claims["checks"]["routes"] is True or claims["unique"]["W"] is not True
    assert not claims["checks"]["first-order"]


def test_kappa_of_joint_answers_and_of_curricula_bounds_refits(rng: np.random.Generator) -> None:
    own = [rng.integers(-32, 33, size=(6, 2)) / 16.0 for _ in range(3)]
    targets = [x @ np.array([1.0, 0.5]) + rng.integers(-16, 17, size=6) / 16.0 for x in own]
    model, unit = Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0), 1e-7
    tasks, options = TaskSet.from_arrays(own, targets), Options(tol=1e-12, engine="fast")
    found = fit(tasks, model, options=options)
    learned = fit(tasks, model, method="curriculum", options=Options(tol=1e-12))
    joint = claims_of(Problem(tasks, model), "joint", {"W": found.W, "B": found.B}, extras=False)
    order = np.array(learned.facts["order"])
    steps = claims_of(
        Problem(tasks, model), "curriculum", {"W": learned.W, "B": learned.B, "order": order}, extras=False
    )
    worst = {"joint": 0.0, "curriculum": 0.0}
    for _ in range(4):
        changed = TaskSet.from_arrays(
            [x * (1.0 + unit * rng.choice([-1.0, 1.0], size=x.shape)) for x in own],
            [z * (1.0 + unit * rng.choice([-1.0, 1.0], size=z.shape)) for z in targets],
        )
        again = refine(Problem(changed, model).at(found.W, found.B), tol=1e-13)
        anew = fit(changed, model, method="curriculum", options=Options(tol=1e-12))
        for name, one, other in (("joint", again, found), ("curriculum", anew, learned)):
            for a, b in ((one.W, other.W), (one.B, other.B)):
                worst[name] = max(worst[name], float(np.abs(a - b).max() / np.abs(b).max()) / unit)
    assert joint["condition"]["kappa"] / 1000.0 < worst["joint"] <= joint["condition"]["kappa"]
    assert steps["condition"]["kappa"] / 1000.0 < worst["curriculum"] <= steps["condition"]["kappa"]


def test_digits_are_counted_as_they_are() -> None:
    assert significant("0.00123") == 3 and significant("0") == 40 and significant("12.50") == 4
    assert proven_digits({"W": [["1.2345", "0.0012"]], "B": [["0", "1"], ["0", "0"]]}) == 1
    assert proven_digits({"W": [["1.2345", "0.0012"]], "B": [["0", "0"], ["0", "0"]]}) == 5
    ones = {"W": np.array([[1.0, 0.5]])}
    assert shared(ones, {"W": [["1.0000000001", "0.5"]]}) == 10
    assert shared(ones, {"W": ones["W"]}) == 16 and shared(ones, {"W": [["1"]]}) == 0
    assert shared_objective("1.25", "1.2500000001") == ("1.250000000", 10)
    assert shared_objective(1.25, "1.25")[1] == 15 and shared_objective(1.25, "2.5") == (None, 0)


def test_a_start_is_moved_the_same_way_on_every_machine() -> None:
    block = np.ones((3, 20))
    first = moved(block, 0.25, "W")
    assert np.array_equal(first, moved(block, 0.25, "W"))
    assert not np.array_equal(first, moved(block, 0.25, "B"))
    assert 0.75 <= first.min() < 0.8 and 1.2 < first.max() <= 1.25
    assert np.array_equal(moved(np.zeros(3), 0.25, "W"), np.zeros(3))


def test_W_is_unique_where_edges_may_stand_for_each_other() -> None:
    """mu = 0 and one feature: every task is rebuilt exactly by any other, at its least squares."""
    own = [np.array([[1.0], [2.0]]) * k for k in (1.0, 2.0, 0.5)]
    targets = [np.array([1.0, 3.0]), np.array([2.0, 1.0]), np.array([1.5, 0.5])]
    W = np.array([[float(x[:, 0] @ z / (x[:, 0] @ x[:, 0])) for x, z in zip(own, targets, strict=True)]])
    B = W / (2.0 * W.T) * (1.0 - np.eye(3))  # one half from each of the others
    assert np.allclose(W @ B, W, rtol=1e-15, atol=0.0) and (B >= 0.0).all()
    model = Model(transfer=LossWeightedL1(mu=0.0), coupling=1.0)
    problem = Problem(TaskSet.from_arrays(own, targets), model)
    claims = claims_of(problem, "joint", {"W": W, "B": B}, extras=False)
    assert claims["unique"] == {"W": True, "B": False, "W B": True} and claims["condition"]["kappa"] is None
    saddle = np.array([[0.0, 1.0]])  # a predictor of 0 that fits: any edge out of it may lower J by its slope
    zero = TaskSet.from_arrays([np.ones((1, 1)), np.ones((1, 1))], [[0.0], [2.0]])
    found = claims_of(
        Problem(zero, Model(transfer=LossWeightedL1(mu=1.0), coupling=1.0)),
        "joint",
        {"W": saddle, "B": np.zeros((2, 2))},
        extras=False,
    )
    assert found["checks"]["first-order"] and found["unique"] == {"W": None, "B": None, "W B": None}
