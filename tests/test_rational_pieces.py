"""W-steps over the rationals of every loss of polynomial pieces: the conditions by Python's fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, loss_id, random_transfer, tasks_for
from proven import quantile_saddle, support_vector

from amtl_cvx import LossWeightedL1, Model, Poisson, TaskSet
from amtl_cvx.digits import exact_prices, exact_transfer, exact_weights, pieces, weightstep
from amtl_cvx.digits.rational import ExactWeights
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import LOSSES, Hinge, Huber, Loss, Quantile, Squared, SquaredHinge

LOSSES_OF_PIECES: tuple[Loss, ...] = (
    Squared(),
    Huber(threshold=0.8),
    Huber(threshold=0.8, reduction="sum"),
    SquaredHinge(),
    Hinge(),
    Hinge(reduction="sum"),
    Quantile(tau=0.3),
    Quantile(tau=0.3, reduction="sum"),
)
every_loss = pytest.mark.parametrize("loss", LOSSES_OF_PIECES, ids=loss_id)


def row(loss: Loss, z: Fraction, y: float) -> tuple[Fraction, Fraction, Fraction]:
    """phi and its left and right derivative at z, by the formulas."""
    r, sign = z - Fraction(y), 1 if y > 0 else -1
    if isinstance(loss, Squared):
        return r * r, 2 * r, 2 * r
    if isinstance(loss, Huber):
        K = Fraction(loss.threshold)
        slope = min(max(2 * r, -2 * K), 2 * K)
        return (r * r if abs(r) <= K else 2 * K * abs(r) - K * K), slope, slope
    if isinstance(loss, Quantile):
        tau = Fraction(loss.tau)
        return max(-tau * r, (1 - tau) * r), (1 - tau if r > 0 else -tau), (-tau if r < 0 else 1 - tau)
    short = 1 - sign * z
    if isinstance(loss, SquaredHinge):
        return max(short, Fraction(0)) ** 2, *(2 * (-2 * sign * max(short, Fraction(0)),))[:2]
    ends = sorted((-sign if short >= 0 else 0, -sign if short > 0 else 0))
    return max(short, Fraction(0)), Fraction(ends[0]), Fraction(ends[1])


def conditions(tasks: TaskSet, model: Model, B: Sequence[Sequence[Fraction]], found: ExactWeights) -> None:
    """Every u is a subgradient at z and G_W = 0, from the definition."""
    T, d, W, u = tasks.T, tasks.d, found.W, found.multipliers
    lam, mu = Fraction(model.coupling), Fraction(model.mu)
    M = [[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)]
    R = [[sum(W[i][s] * M[s][t] for s in range(T)) for t in range(T)] for i in range(d)]
    for t, task in enumerate(tasks):
        c = Fraction(model.task_weights[t]) if isinstance(model.task_weights, tuple) else Fraction(1)
        weight = c * (1 + mu * sum(B[t])) / (len(task.y) if model.loss.reduction == "mean" else 1)
        slope = [2 * lam * sum(R[i][v] * M[t][v] for v in range(T)) for i in range(d)]
        for x, y, v in zip(task.X.tolist(), task.y.tolist(), u[t], strict=True):
            z = sum(Fraction(a) * W[i][t] for i, a in enumerate(x))
            _, left, right = row(model.loss, z, y)
            assert left <= v <= right
            slope = [s + weight * v * Fraction(a) for s, a in zip(slope, x, strict=True)]
        assert slope == [0] * d
    assert found.gap == 0 == found.gradient


def fractions(array: Array) -> list[list[Fraction]]:
    return [[Fraction(x) for x in row] for row in array.tolist()]


def problem(loss: Loss, rng: np.random.Generator) -> tuple[TaskSet, Model, Array]:
    tasks = tasks_for(loss, rng, d=3, counts=(7, 12, 9))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.125, task_weights=(0.5, 2.0, 1.0))
    return tasks, model, random_transfer(rng, 3)


@every_loss
def test_the_step_is_exact_and_that_of_a_solver(loss: Loss, rng: np.random.Generator) -> None:
    tasks, model, B = problem(loss, rng)
    found = exact_weights(tasks, model, B)
    conditions(tasks, model, fractions(B), found)
    W = cp.Variable((3, 3))
    weights = model.loss_weight(tasks, B)
    terms = [
        a * loss.expression(task, W[:, t]) for t, (task, a) in enumerate(zip(tasks, weights, strict=True))
    ]
    cp.Problem(cp.Minimize(cp.sum(terms) + model.coupling * cp.sum_squares(W @ (np.eye(3) - B)))).solve(
        solver=cp.CLARABEL
    )
    assert np.array([[float(x) for x in r] for r in found.W]) == pytest.approx(W.value, abs=1e-4)


@every_loss
def test_prices_are_those_of_the_rows(loss: Loss, rng: np.random.Generator) -> None:
    tasks, model, B = problem(loss, rng)
    W = exact_weights(tasks, model, B).W
    prices = exact_prices(tasks, model, W)
    assert isinstance(model.task_weights, tuple)
    for t, (task, c, price) in enumerate(zip(tasks, model.task_weights, prices, strict=True)):
        rows = [
            row(loss, sum(Fraction(a) * W[i][t] for i, a in enumerate(x)), y)[0]
            for x, y in zip(task.X.tolist(), task.y.tolist(), strict=True)
        ]
        scale = Fraction(1, len(rows)) if loss.reduction == "mean" else 1
        assert price == Fraction(0.3) * Fraction(c) * scale * sum(rows)


def test_by_hand() -> None:
    vector = support_vector(0.25)
    found = exact_weights(vector.tasks, vector.model, vector.B)
    assert found.W == ((1,),) and found.multipliers == ((Fraction(-1, 4), 1),)
    tasks = TaskSet.from_arrays([np.ones((3, 1))], [[0.0, 1.0, 10.0]])
    huber = Model(loss=Huber(threshold=1.0, reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    assert ((Fraction(4, 5),),) == exact_weights(tasks, huber, np.zeros((1, 1))).W
    saddle = quantile_saddle()
    found = exact_weights(saddle.tasks, saddle.model, saddle.B)
    assert ((1, 1, 1), (1, 1, Fraction(5, 2))) == found.W
    assert found.multipliers == (2 * ((Fraction(-3, 16), Fraction(-1, 2)),)) + ((Fraction(-1, 2),),)
    assert exact_prices(saddle.tasks, saddle.model, found.W) == (Fraction(5, 2), Fraction(5, 2), 18)
    assert exact_transfer(found.W, (Fraction(5, 2), Fraction(5, 2), 18), 0.5, support=saddle.B).gap == 0


@pytest.mark.parametrize(
    "loss", [Huber(threshold=1.0), SquaredHinge(), Hinge(), Quantile(tau=0.25)], ids=loss_id
)
def test_ties_dependent_rows_and_any_start_lead_to_the_minimum(
    loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small integers: rows twice, rows of zeros, many on their kinks; any start."""
    draw = np.random.default_rng(5)
    for _ in range(12):
        X = [draw.integers(-1, 2, size=(6, 2)).astype(float) for _ in range(2)]
        y = [np.r_[1.0, -1.0, draw.choice([-1.0, 1.0], size=4)] for _ in range(2)]
        if not loss.classification:
            y = [draw.integers(-2, 3, size=6).astype(float) for _ in range(2)]
        tasks = TaskSet.from_arrays(X, y)
        model = Model(loss=loss, transfer=LossWeightedL1(mu=0.5), coupling=float(draw.integers(1, 4)) / 16)
        B = np.array([[0.0, float(draw.integers(0, 4)) / 4], [0.0, 0.0]])
        sound = exact_weights(tasks, model, B)
        conditions(tasks, model, fractions(B), sound)
        low, high = loss.domain(np.concatenate(y))
        for _ in range(2):
            sides = draw.integers(-1, 2, size=12)
            sides = np.where((sides < 0) & ~np.isfinite(low), 0, sides)
            sides = np.where((sides > 0) & ~np.isfinite(high), 0, sides)
            middle = 0.5 * (np.maximum(low, -1.0) + np.minimum(high, 1.0))
            start = [pieces.exact(float(u)) for u in middle], sides.tolist()
            with monkeypatch.context() as patch:
                patch.setattr("amtl_cvx.digits.rational.first_duals", lambda *_, s=start: s)
                other = exact_weights(tasks, model, B)
            conditions(tasks, model, fractions(B), other)
            assert other.W == sound.W


def test_exact_alternation_of_a_hinge_never_rises() -> None:
    tasks = tasks_for(Hinge(), np.random.default_rng(2), d=2, counts=(5, 6, 5))
    model = Model(loss=Hinge(), transfer=LossWeightedL1(mu=1 / 64), coupling=0.0625)
    B: Sequence[Sequence[Fraction]] = fractions(np.zeros((3, 3)))
    values = []
    for _ in range(3):
        W = exact_weights(tasks, model, B).W
        prices = exact_prices(tasks, model, W)
        values.append(objective(W, B, prices))
        B = exact_transfer(W, prices, model.coupling).B
        values.append(objective(W, B, prices))
    assert values == sorted(values, reverse=True) and values[-1] < values[0]


def objective(
    W: Sequence[Sequence[Fraction]], B: Sequence[Sequence[Fraction]], prices: Sequence[Fraction]
) -> Fraction:
    """J of that model: losses are prices over mu = 1/64."""
    T = len(B)
    total = sum((64 + sum(B[s])) * prices[s] for s in range(T))
    for r in W:
        total += sum((r[t] - sum(r[s] * B[s][t] for s in range(T))) ** 2 for t in range(T)) / 16
    return total


def test_what_has_no_exact_step_is_refused() -> None:
    point = support_vector(0.25)
    assert set(LOSSES) - set(pieces.NAMES) == {"logistic", "poisson"}
    counts = TaskSet.from_arrays([task.X for task in point.tasks], [np.abs(task.y) for task in point.tasks])
    with pytest.raises(NotCertifiable, match="polynomial pieces .*, this is poisson"):
        exact_weights(counts, replace(point.model, loss=Poisson()), point.B)
    saddle = quantile_saddle()
    B = np.zeros((3, 3))
    B[0, 1] = B[1, 0] = 1.0
    with pytest.raises(NotCertifiable, match="I - B is singular"):
        exact_weights(saddle.tasks, saddle.model, B)


def test_rows_are_the_suprema_of_their_conjugates(rng: np.random.Generator) -> None:
    """phi(z) + phi*(u) >= u z, with equality at the slope: for points by the formulas."""
    for loss in LOSSES_OF_PIECES:
        for y in (-1.0, 1.0):
            piece = pieces.piecewise(loss, y)
            for z in [Fraction(k, 4) for k in range(-12, 13)]:
                z_, (value, left, right) = pieces.exact(z), row(loss, z, y)
                assert piece.value(z_) == pieces.exact(value)
                for u in (pieces.exact(left), pieces.exact(right)):
                    assert piece.value(z_) + piece.conjugate(u) == u * z_
                other = piece.clipped(pieces.exact(Fraction(float(rng.normal()))))
                assert piece.value(z_) + piece.conjugate(other) >= other * z_


def test_a_step_that_ends_early_shows_its_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gap is computed from the rows: without the last exchange it is not 0."""
    point = support_vector(0.25)
    start = [pieces.exact(0.0)] * 2, [1, 1]
    monkeypatch.setattr("amtl_cvx.digits.rational.first_duals", lambda *_: start)
    monkeypatch.setattr(weightstep.WeightStep, "_inwards", lambda self, i, W: 0)
    found = exact_weights(point.tasks, point.model, point.B)
    assert found.gradient == 0 and found.gap > 0
