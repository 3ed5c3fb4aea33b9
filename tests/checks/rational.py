"""The exact half-steps, and J in fractions by loops."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import literal
import numpy as np
import proven
from cases import (
    random_tasks,
)
from flint import fmpq, fmpq_mat

from amtl_cvx.digits import exact_transfer, exact_weights
from amtl_cvx.digits.pieces import exact, piecewise
from amtl_cvx.digits.rational import exact_prices
from amtl_cvx.digits.weightstep import ExactRow, WeightStep
from amtl_cvx.losses import Hinge, Huber, Squared
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1
from checks.points import amtl


def fractions(values: Any) -> list[list[Fraction]]:
    return [[Fraction(x) for x in row] for row in (values.tolist() if hasattr(values, "tolist") else values)]


def exact_J(tasks: TaskSet, model: Model, W: Any, B: Any) -> Fraction:
    """J of the squared loss in fractions, by loops; c_t are numbers."""
    W, B, T, d = fractions(W), fractions(B), tasks.T, tasks.d
    total = Fraction(0)
    for t, task in enumerate(tasks):
        rows = zip(fractions(task.X), task.y.tolist(), strict=True)
        loss = sum((sum(x[i] * W[i][t] for i in range(d)) - Fraction(y)) ** 2 for x, y in rows)
        loss = loss / len(task.y) if model.loss.reduction == "mean" else loss
        loss *= Fraction(literal.price_weights(tasks, model)[t])
        total += (1 + Fraction(model.mu) * sum(B[t])) * loss
        for i in range(d):
            total += Fraction(model.coupling) * (W[i][t] - sum(W[i][s] * B[s][t] for s in range(T))) ** 2
    return total


def exact_slopes(tasks: TaskSet, model: Model, W: Any, B: Any) -> tuple[list[Fraction], dict[Any, Fraction]]:
    """dJ/dW and dJ/dB off the diagonal, exactly: J is quadratic in every single entry."""

    def slope(block: list[list[Fraction]], i: int, j: int) -> Fraction:
        kept, values = block[i][j], []
        for side in (1, -1):
            block[i][j] = kept + side
            values.append(exact_J(tasks, model, V, C))
        block[i][j] = kept
        return (values[0] - values[1]) / 2

    V, C = fractions(W), fractions(B)
    T, d = tasks.T, tasks.d
    return (
        [slope(V, i, t) for i in range(d) for t in range(T)],
        {(s, t): slope(C, s, t) for s in range(T) for t in range(T) if s != t},
    )


def rational_pieces_are_exact() -> None:
    """W-steps by hand, from the fit in doubles and from every first face; a row twice has any split."""
    vector, saddle = proven.support_vector(0.25), proven.quantile_saddle()
    found = exact_weights(vector.tasks, vector.model, vector.B)
    assert found.W == ((1,),) and found.multipliers == ((Fraction(-1, 4), 1),)
    assert found.gap == 0 == found.gradient
    assert exact_prices(vector.tasks, vector.model, found.W) == (Fraction(3, 4),)
    tasks = TaskSet.from_arrays([np.ones((4, 1))], [[0.0, 1.0, 10.0, -10.0]])
    huber = Model(loss=Huber(threshold=1.0, reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    found = exact_weights(tasks, huber, np.zeros((1, 1)))  # 2 w + 2 (w - 1) - 2 + 2 + w = 0
    assert ((Fraction(2, 5),),) == found.W and found.gap == 0
    assert exact_prices(tasks, huber, found.W) == (Fraction(4 + 9, 25) + 4 * 10 - 2,)
    found = exact_weights(saddle.tasks, saddle.model, saddle.B)
    assert ((1, 1, 1), (1, 1, Fraction(5, 2))) == found.W and found.gap == 0
    for pairs, w in (([(1, 1), (Fraction(-1, 4), -1)], 1), ([(1, 1), (1, 1), (Fraction(-1, 4), -1)], 1)):
        rows = [ExactRow(0, [exact(x)], piecewise(Hinge(), y), fmpq(1)) for x, y in pairs]
        for u in itertools.product((-1, 0, 1), repeat=len(rows)):
            step = WeightStep(rows, fmpq_mat([[fmpq(1, 4)]]), 1)
            step.start([fmpq(y * v - y, 2) for v, (_, y) in zip(u, pairs, strict=True)], u)
            W = step.minimise()
            assert W[0, 0] == w and step.mismatch(W) == 0 and step.gradient(W)[0, 0] == 0


def rational_steps_are_exact() -> None:
    """KKT conditions of the B-step and the gradient of the W-step in fractions, exactly."""
    rng = np.random.default_rng(15)
    for reduction in ("mean", "sum"):
        tasks = random_tasks(rng, d=2, counts=(3, 4, 3))
        model = amtl(Squared(reduction=reduction), mu=0.02, coupling=0.8)  # type: ignore[arg-type]
        W = rng.integers(-8, 12, size=(2, 3)) / 8
        p, lam = exact_prices(tasks, model, W), Fraction(model.coupling)
        V = fractions(W)
        empty = [[Fraction(0)] * 3 for _ in range(3)]
        inner = [[sum(V[i][s] * V[i][t] for i in range(2)) for t in range(3)] for s in range(3)]
        slopes = exact_slopes(tasks, model, W, empty)[1]
        assert all(p[s] - 2 * lam * inner[s][t] == slope for (s, t), slope in slopes.items())
        step = exact_transfer(W, p, model.coupling)
        slopes, edges = exact_slopes(tasks, model, W, step.B)[1], 0
        for (s, t), slope in slopes.items():
            assert step.B[s][t] >= 0 and slope >= 0 and step.B[s][t] * slope == 0
            edges += step.B[s][t] > 0
        assert 0 < edges < 6 and step.gap == 0 and all(step.B[t][t] == 0 for t in range(3))
        back = exact_weights(tasks, model, step.B)
        assert back.gradient == 0 and not any(exact_slopes(tasks, model, back.W, step.B)[0])
    for _ in range(4):  # edges that enter and leave again
        V = fractions(rng.integers(-8, 12, size=(4, 5)) / 8)
        p = [Fraction(int(k), 16) for k in rng.integers(1, 9, size=5)]
        B = exact_transfer(V, p, 1.0).B
        R = [[V[i][t] - sum(V[i][s] * B[s][t] for s in range(5)) for t in range(5)] for i in range(4)]
        for s in range(5):
            for t in set(range(5)) - {s}:
                slope = p[s] - 2 * sum(V[i][s] * R[i][t] for i in range(4))
                assert B[s][t] >= 0 and slope >= 0 and slope * B[s][t] == 0
    twins = exact_transfer(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]), (Fraction(1, 10),) * 3, 1.0)
    assert not twins.unique and twins.gap == 0
