"""Verdicts do not depend on units: points of the oracle pass at every scale, and wrong ones are refused.

`multiprecision` finds first-order points in 90 digits; rounded to doubles they are the truth here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache

import literal
import numpy as np
import pytest
from cases import Array, at
from multiprecision import Oracle, Problem

from amtl_cvx.certificate import Certificate, certify, residuals, second_order
from amtl_cvx.losses import SquaredHinge
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

LOSSES = ("squared", "huber:0.5", "logistic", "squared-hinge", "poisson")
COUPLING = {"logistic": 0.02, "squared-hinge": 0.1}
FACTORS = (1e-10, 1e-4, 1e4, 1e10)
"""Factors of one unit; good points pass at all of them, wrong ones are refused."""


def base(loss: str, *, noise: float = 0.5) -> Problem:
    """Three related tasks of two features, most with edges."""
    rng = np.random.default_rng(0)
    w, counts = rng.normal(size=2), (5, 7, 6)
    X = tuple(rng.normal(size=(n, 2)) for n in counts)
    z = [x @ (w + 0.4 * rng.normal(size=2)) for x in X]
    if loss == "poisson":
        y = tuple(rng.poisson(np.exp(v)).astype(float) for v in z)
    elif loss in ("logistic", "squared-hinge"):
        signs = [np.where(v + noise * rng.normal(size=len(v)) > 0, 1.0, -1.0) for v in z]
        y = tuple(np.r_[1.0, -1.0, v[2:]] for v in signs)
    else:
        y = tuple(v + noise * rng.normal(size=len(v)) for v in z)
    return Problem(X=X, y=y, loss=loss, mu=0.1, coupling=COUPLING.get(loss, 0.3), c=(1.0, 0.5, 2.0))


def in_other_units(loss: str, factor: float) -> Iterator[Problem]:
    """One task's targets, one feature of all tasks, one feature of one task."""
    if loss in ("squared", "huber:0.5"):
        yield base(loss).targets(factor, 1)
    yield base(loss).feature(factor, 1)
    yield base(loss).feature(factor, 0, 2)


@cache
def truth(problem_of: tuple[str, float, int]) -> tuple[Problem, Array, Array]:
    loss, factor, k = problem_of
    problem = list(in_other_units(loss, factor))[k]
    return problem, *Oracle(problem).first_order_point()


def judged(problem: Problem, W: Array, B: Array) -> Certificate:
    return certify(at(problem.tasks(), problem.model(), W, B))


def wrong(W: Array, B: Array) -> Iterator[tuple[Array, Array]]:
    """One sign flipped, or one edge removed."""
    for entry in np.ndindex(W.shape):
        V = W.copy()
        V[entry] *= -1.0
        yield V, B
    for entry in zip(*np.nonzero(B), strict=True):
        C = B.copy()
        C[entry] = 0.0
        yield W, C


def check(loss: str, factor: float) -> None:
    for k in range(len(list(in_other_units(loss, factor)))):
        problem, W, B = truth((loss, factor, k))
        found = judged(problem, W, B)
        assert found.passes and found.relative < 1e-11, (factor, k, found)
        for point in wrong(W, B):
            refused = judged(problem, *point)
            assert not refused.passes and refused.relative > 1e-6, (factor, k, refused)


FAST = (
    ("squared", 1e10),
    ("logistic", 1e-10),
    ("squared-hinge", 1e-4),
)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("loss", "factor"), FAST)
def test_the_oracle_passes_and_flips_do_not(loss: str, factor: float) -> None:
    check(loss, factor)


@pytest.mark.slow
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_oracle_passes_and_flips_do_not_at_every_scale(loss: str, factor: float) -> None:
    if (loss, factor) not in FAST:
        check(loss, factor)


@pytest.mark.parametrize("loss", ("squared", "huber:0.5"))
def test_units_of_all_targets_change_nothing(loss: str) -> None:
    before = fit(base(loss).tasks(), base(loss).model(), options=Options(engine="fast"))
    for factor in (1e-5, 1e5):
        problem = base(loss).targets(factor)
        found = fit(problem.tasks(), problem.model(), options=Options(engine="fast"))
        assert found.certificate.passes and before.certificate.passes
        assert np.array_equal(found.B > 0, before.B > 0)
        assert np.allclose(found.B, before.B, rtol=1e-9)
        moved = factor * before.W * (1 + 1e-4), before.B
        same, other = judged(problem, *moved), judged(base(loss), before.W * (1 + 1e-4), before.B)
        assert same.relative == pytest.approx(other.relative, rel=1e-6) and same.level == other.level


@pytest.mark.parametrize("noise", (1e-9, 1e-13))
def test_rounding_fails_no_point_of_a_nearly_perfect_fit(noise: float) -> None:
    """phi' is rounding of z and y, 1e-16, where it is 1e-9 itself; what is wrong beyond it is seen."""
    problem = base("squared", noise=noise)
    W, B = Oracle(problem).first_order_point()
    assert residuals(at(problem.tasks(), problem.model(), W, B)).relative < 1e-10
    for point in wrong(W, B):
        assert residuals(at(problem.tasks(), problem.model(), *point)).relative > 1e-5


@pytest.mark.parametrize("coupling", (1e-9, 1e9))
def test_rounding_fails_no_point_of_a_strong_coupling(coupling: float) -> None:
    """W - W B is 1e-9 of W; its digits are those that W leaves."""
    problem = replace(base("squared"), coupling=coupling)
    W, B = Oracle(problem).first_order_point()
    assert residuals(at(problem.tasks(), problem.model(), W, B)).relative < 1e-10
    for point in wrong(W, B):
        assert not judged(problem, *point).passes


def test_nothing_is_asked_of_what_only_rounding_holds() -> None:
    """A feature that is 0 in all tasks: 0 is right, rounding too; a task without targets: only 0 is."""
    problem = base("squared")
    X, y = tuple(np.column_stack([rows, 0 * rows[:, 0]]) for rows in problem.X), problem.y
    problem = replace(problem, X=X, y=(*y[:2], 0 * y[2]))
    tasks, model = problem.tasks(), problem.model()
    W, B = fit(tasks, model, options=Options(engine="fast")).W, np.zeros((3, 3))
    W = fit(tasks, replace(model, transfer=LossWeightedL1(mu=1e9)), options=Options(engine="fast")).W
    assert certify(at(tasks, model, W, B), kind="single-task").passes
    for task, size, passes in ((0, 1e-16, True), (0, 1e-6, False), (2, 0.0, True), (2, 1e-20, False)):
        V = W.copy()
        V[2, task] = size
        assert certify(at(tasks, model, V, B), kind="single-task").passes == passes, (task, size)


def test_a_price_is_not_0_where_rounding_says_so() -> None:
    """One row, fitted to its last digit: its loss, (1e-16 y)^2, is 0 in doubles, its price is not."""
    x, y, coupling, mu = 0.3, 7e7, 1e-24, 1e28
    W = np.array([[y / x, 1.0]])
    model = Model(transfer=LossWeightedL1(mu=mu), coupling=coupling)
    tasks = TaskSet.from_arrays([np.array([[x]]), np.array([[1.0], [-1.0]])], [np.array([y]), np.ones(2)])
    assert model.losses(tasks, W)[0] <= 0.0
    lost = (Fraction(x) * Fraction(float(W[0, 0])) - Fraction(y)) ** 2
    assert Fraction(mu) * lost > 10**6 * 2 * Fraction(coupling) * Fraction(float(W[0, 0]))
    assert residuals(at(tasks, model, W, np.zeros((2, 2)))).relative_B < 1e-10


def test_second_order_refuses_a_wrong_sign_in_small_units() -> None:
    """A task of size 1e-5 and a feature of size 1e8; its other feature is best for the wrong coefficient."""
    rng = np.random.default_rng(0)
    X = [np.column_stack([1e8 * (1 + 0.1 * rng.normal(size=40)), rng.normal(size=40)]) for _ in range(2)]
    y = [X[0][:, 1] + rng.normal(size=40), 1e-5 * (5 - 3 * X[1][:, 1] + 0.1 * rng.normal(size=40))]
    tasks, model = TaskSet.from_arrays(X, y), Model(transfer=LossWeightedL1(mu=1e3), coupling=1e-3)
    W, B = fit(tasks, model, options=Options(engine="fast")).W, np.zeros((2, 2))
    assert second_order(at(tasks, model, W, B)).verdict == "strict local minimum"
    V, x = W.copy(), X[1][:, 0]
    V[1, 1] *= -0.8
    V[0, 1] = (x @ (y[1] - X[1][:, 1] * V[1, 1]) / 40) / (x @ x / 40 + 1e-3)
    found = second_order(at(tasks, model, V, B))
    assert found.verdict == "degenerate" and "moves w of 'task 1'" in found.reason
    assert not certify(at(tasks, model, V, B)).passes


@pytest.mark.parametrize("loss", ("quantile:0.3", "hinge"))
@pytest.mark.parametrize("share", (1e-4, 1e-9))
def test_kinked_losses_hide_no_task_with_a_small_share(loss: str, share: float) -> None:
    """Targets of a task in small units (quantile) or its weight small (hinge): flips cost little of J."""
    rng = np.random.default_rng(3)
    X = [rng.normal(size=(12, 2)) for _ in range(2)]
    z = [x @ [1.0, -0.7] + 0.5 * rng.normal(size=12) for x in X]
    y = [z[0], share * z[1]] if loss != "hinge" else [np.where(v > 0, 1.0, -1.0) for v in z]
    tasks = TaskSet.from_arrays(X, y)
    model = Model(
        loss=loss,
        transfer=LossWeightedL1(mu=1e3),
        coupling=1e-2 * share,
        task_weights=(1.0, share) if loss == "hinge" else "equal",
    )
    found = fit(tasks, model, options=Options(engine="fast"))
    assert found.certificate.passes
    for i in range(2):
        V = found.W.copy()
        V[i, 1] *= -1.0
        assert literal.losses(tasks, model, V)[1] > 1.5 * literal.losses(tasks, model, found.W)[1]
        refused = certify(at(tasks, model, V, found.B))
        assert not refused.passes and refused.relative > 1e-3


def test_the_entry_that_keeps_a_point_from_passing_is_named() -> None:
    """A flip by its place; what may be rounding beside larger terms, 1e-4 of an entry of 1e-10, as that."""
    problem = base("squared").feature(1e-10, 1)
    W, B = Oracle(problem).first_order_point()
    flipped, close, rewired = W.copy(), W.copy(), B.copy()
    flipped[0, 2] *= -1.0
    close[1, 2] *= 1.0 + 1e-4
    s, t = (int(k[0]) for k in np.nonzero(B))
    rewired[s, t] = 0.0
    why = judged(problem, flipped, B).reasons["relative_W"]
    assert why.startswith("w of 'task 2' for feature 0 is off by") and "rounding" not in why
    why = judged(problem, close, B).reasons["relative_W"]
    assert why.startswith("w of 'task 2' for feature 1 is off by") and "rounding" in why
    why = judged(problem, W, rewired).reasons["relative_B"]
    assert why.startswith(f"B[{s}, {t}] ('task {s}' helps 'task {t}') is off by")


@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e5])
def test_a_small_edge_does_not_hide_behind_its_price(unit: float) -> None:
    """Half the part of its column's natural edge that removing an edge gains, by hand; its price is 5e7."""
    b, w, K = 1e-7, 0.5, 1e4
    X, y = np.array([[1.0], [0.0]]), unit * np.array([1.0, K])
    tasks = TaskSet.from_arrays([X, X], [y, y])
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    W, B = unit * np.array([[w, w]]), np.array([[0.0, b], [0.0, 0.0]])
    price, r = (w * w + K * K) / 2.0, w + w * b
    slope = price - w * (w - w * b)
    own = 0.5 * r * r + price * r / w
    assert residuals(at(tasks, model, W, B)).relative_B == pytest.approx(slope * b / (2.0 * own), rel=1e-4)
    assert residuals(at(tasks, model, W, 0.0 * B)).relative_B == 0.0


def test_a_slope_that_only_rounding_of_the_score_makes_is_called_so() -> None:
    """A squared hinge of x = 1e7: w = (1 - 2 c/x^2) / x, a score of 1 - 2e-17; at w = 2/x it is flat."""
    tasks = TaskSet.from_arrays([np.array([[1e7], [-2e7]])], [np.array([1.0, -1.0])])
    model = Model(loss=SquaredHinge(), transfer=LossWeightedL1(mu=1.0), coupling=1e-3)
    for w, rounded in ((1e-7 * (1.0 + 2.0**-51), True), (2e-7, False)):
        found = certify(at(tasks, model, np.array([[w]]), np.zeros((1, 1))))
        assert not found.passes and ("rounding" in found.reasons["relative_W"]) is rounded
