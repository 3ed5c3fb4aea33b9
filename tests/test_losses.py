"""Losses: derivatives against central differences, values against CVXPY, and what the reductions mean."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, central_gradient, loss_id, missing, random_tasks, tasks_for

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import LOSSES, Logistic, Loss, Squared
from amtl_cvx.tasks import Task

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


def test_every_loss_and_reduction_has_a_case() -> None:
    assert not missing(LOSSES, LOSS_CASES)
    assert {(loss.name, loss.reduction) for loss in LOSS_CASES} == {
        (n, r) for n in LOSSES for r in ("mean", "sum")
    }


@every_loss
def test_gradient_and_hessian_are_central_differences(loss: Loss, rng: np.random.Generator) -> None:
    for task in tasks_for(loss, rng, counts=(3, 9, 14)):
        w = rng.normal(size=task.X.shape[1])
        gradient, hessian = loss.gradient(task, w), loss.hessian(task, w)
        slope = central_gradient(lambda v, task=task: loss.value(task, v), w, 1e-3)
        assert np.abs(gradient - slope).max() <= 1e-7 * np.abs(gradient).max()
        rows = [
            central_gradient(lambda v, i=i, task=task: loss.gradient(task, v)[i], w, 1e-3)
            for i in range(len(w))
        ]
        assert np.abs(hessian - np.array(rows)).max() <= 1e-7 * np.abs(hessian).max()


@every_loss
def test_value_is_the_convex_expression(loss: Loss, rng: np.random.Generator) -> None:
    for task in tasks_for(loss, rng, counts=(3, 9, 14)):
        w = cp.Variable(task.X.shape[1])
        expression = loss.expression(task, w)
        assert expression.is_convex() and expression.is_nonneg() and expression.is_scalar()
        w.value = rng.normal(size=w.size)
        assert loss.value(task, w.value) == pytest.approx(float(expression.value), rel=1e-12)


def test_squared_is_the_mean_of_squares_without_a_half() -> None:
    task = Task(X=[[1.0], [2.0]], y=[3.0, 1.0])
    assert Squared().value(task, np.array([1.0])) == pytest.approx(((3 - 1) ** 2 + (1 - 2) ** 2) / 2)
    assert Squared(reduction="sum").value(task, np.array([1.0])) == pytest.approx((3 - 1) ** 2 + (1 - 2) ** 2)


def test_logistic_is_log_one_plus_exp_of_minus_the_margin() -> None:
    task = Task(X=[[1.0], [2.0]], y=[1.0, -1.0])
    expected = np.log1p(np.exp(-0.5)) + np.log1p(np.exp(1.0))
    assert Logistic(reduction="sum").value(task, np.array([0.5])) == pytest.approx(expected, rel=1e-14)


def test_logistic_stays_finite_far_out() -> None:
    task = Task(X=[[1000.0], [1000.0]], y=[1.0, -1.0])
    assert Logistic().value(task, np.array([10.0])) == pytest.approx(5000.0)
    assert Logistic().gradient(task, np.array([10.0])) == pytest.approx([500.0])
    assert np.isfinite(Logistic().hessian(task, np.array([10.0]))).all()


@every_loss
def test_duplicated_rows_keep_the_mean_and_double_the_sum(loss: Loss, rng: np.random.Generator) -> None:
    task = tasks_for(loss, rng)[0]
    twice = Task(X=np.vstack([task.X, task.X]), y=np.concatenate([task.y, task.y]))
    w, factor = rng.normal(size=task.X.shape[1]), 1.0 if loss.reduction == "mean" else 2.0
    assert loss.value(twice, w) == pytest.approx(factor * loss.value(task, w), rel=1e-13)
    assert loss.gradient(twice, w) == pytest.approx(factor * loss.gradient(task, w), rel=1e-12)
    assert loss.hessian(twice, w) == pytest.approx(factor * loss.hessian(task, w), rel=1e-12)


@every_loss
def test_a_loss_and_its_curvature_are_not_negative(loss: Loss, rng: np.random.Generator) -> None:
    task = tasks_for(loss, rng)[1]
    for _ in range(20):
        w = 10.0 ** rng.uniform(-3, 3) * rng.normal(size=task.X.shape[1])
        assert loss.value(task, w) >= 0.0
        assert (loss.curvatures(task.X @ w, task.y) >= 0.0).all()


@every_loss
@pytest.mark.parametrize("n", [4, 7, 8, 40])
def test_compression_keeps_value_and_gradient(loss: Loss, n: int, rng: np.random.Generator) -> None:
    task = tasks_for(loss, rng, d=6, counts=(n,))[0]
    small = loss.compress(task)
    assert small.n == n
    assert len(small.y) == (min(n, 7) if loss.quadratic else n)
    for _ in range(5):
        w = rng.normal(size=6)
        assert loss.value(small, w) == pytest.approx(loss.value(task, w), rel=1e-12)
        assert (
            np.abs(loss.gradient(small, w) - loss.gradient(task, w)).max() <= 1e-12 * loss.value(task, w) * n
        )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_labels_zero_one_are_minus_one_one(reduction: str, rng: np.random.Generator) -> None:
    loss = Logistic(reduction=reduction)  # type: ignore[arg-type]
    task = random_tasks(rng, loss="logistic")[0]
    other = Task(X=task.X, y=(task.y + 1.0) / 2.0)
    loss.check(other)
    w, v = rng.normal(size=6), cp.Constant(rng.normal(size=6))
    assert loss.value(other, w) == loss.value(task, w)
    assert np.array_equal(loss.gradient(other, w), loss.gradient(task, w))
    assert np.array_equal(loss.hessian(other, w), loss.hessian(task, w))
    assert loss.expression(other, v).value == pytest.approx(float(loss.expression(task, v).value), rel=1e-14)


@pytest.mark.parametrize("labels", [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0], [1.0, 2.0, 2.0], [0.5, 1.0, 0.0]])
def test_other_labels_are_refused(labels: list[float]) -> None:
    with pytest.raises(DataError, match="labels -1/\\+1 or 0/1, 'a' has"):
        Logistic().check(Task(X=np.eye(3), y=labels, name="a"))


@pytest.mark.parametrize("label", [-1.0, 0.0, 1.0])
def test_one_class_is_refused(label: float) -> None:
    with pytest.raises(DataError, match="both classes.*'a'"):
        Logistic().check(Task(X=np.eye(3), y=np.full(3, label), name="a"))


def test_decisions_are_numbers_or_labels() -> None:
    z = np.array([-2.0, 0.5])
    assert np.array_equal(Squared().decide(z), z)
    assert np.array_equal(Logistic().decide(z), [-1.0, 1.0])


@pytest.mark.parametrize("cls", [Squared, Logistic])
def test_an_unknown_reduction_is_refused(cls: type[Squared] | type[Logistic]) -> None:
    with pytest.raises(ModelError, match="'mean' or 'sum'"):
        cls(reduction="average")  # type: ignore[arg-type]
