# More than 300 lines: the tests of seven losses.
"""Losses: values against the printed formula, derivatives and differences, conjugates and suprema."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    NONSMOOTH_CASES,
    Array,
    central_gradient,
    literal_row,
    loss_id,
    missing,
    random_tasks,
    tasks_for,
)
from scipy.optimize import minimize_scalar

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import (
    LOSSES,
    Hinge,
    Huber,
    Logistic,
    Loss,
    Poisson,
    Quantile,
    Squared,
    SquaredHinge,
    make_loss,
)
from amtl_cvx.tasks import Task

ALL_CASES = (*LOSS_CASES, *NONSMOOTH_CASES)
every_loss = pytest.mark.parametrize("loss", ALL_CASES, ids=loss_id)
every_formula = pytest.mark.parametrize(
    "loss", [loss for loss in ALL_CASES if loss.reduction == "mean"], ids=loss_id
)


def rows(loss: Loss, rng: np.random.Generator, n: int = 40) -> tuple[Array, Array]:
    """Scores, and targets that suit the loss, 0 counts among them; some rows stand exactly on a kink."""
    z = rng.uniform(-3.0, 3.0, size=n)
    if loss.classification:
        y = rng.choice([-1.0, 1.0], size=n)
    elif isinstance(loss, Poisson):
        y = rng.poisson(2.0, size=n).astype(float)
    else:
        y = rng.uniform(-3.0, 3.0, size=n)
    z[:3] = y[:3] if not isinstance(loss, Huber) else y[:3] + loss.threshold
    return z, y


def test_every_loss_and_reduction_has_a_case() -> None:
    assert not missing(LOSSES, ALL_CASES)
    assert all(loss.smooth for loss in LOSS_CASES) and not any(loss.smooth for loss in NONSMOOTH_CASES)
    assert {(loss.name, loss.reduction) for loss in ALL_CASES} == {
        (n, r) for n in LOSSES for r in ("mean", "sum")
    }


@every_loss
def test_gradient_and_hessian_are_central_differences(loss: Loss, rng: np.random.Generator) -> None:
    for task in tasks_for(loss, rng, counts=(3, 9, 14)):
        w = rng.normal(size=task.X.shape[1])
        gradient, hessian = loss.gradient(task, w), loss.hessian(task, w)
        slope = central_gradient(lambda v, task=task: loss.value(task, v), w)
        assert np.abs(gradient - slope).max() <= 1e-7 * np.abs(gradient).max()
        rows = [
            central_gradient(lambda v, i=i, task=task: loss.gradient(task, v)[i], w) for i in range(len(w))
        ]
        assert np.abs(hessian - np.array(rows)).max() <= 1e-7 * np.abs(hessian).max()


@every_loss
def test_value_is_the_convex_expression(loss: Loss, rng: np.random.Generator) -> None:
    for task in tasks_for(loss, rng, counts=(3, 9, 14)):
        w = cp.Variable(task.X.shape[1])
        expression = loss.expression(task, w)
        assert expression.is_convex() and expression.is_scalar()
        assert expression.is_nonneg() or isinstance(loss, Poisson)  # a difference, that the rules cannot see
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
        w = 10.0 ** rng.uniform(-3, 2) * rng.normal(size=task.X.shape[1])
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
@pytest.mark.parametrize("cls", [Logistic, SquaredHinge, Hinge])
def test_labels_zero_one_are_minus_one_one(cls: type[Loss], reduction: str, rng: np.random.Generator) -> None:
    loss = cls(reduction=reduction)  # type: ignore[arg-type]
    task = random_tasks(rng, loss="logistic")[0]
    other = Task(X=task.X, y=(task.y + 1.0) / 2.0)
    loss.check(other)
    w, v = rng.normal(size=6), cp.Constant(rng.normal(size=6))
    assert loss.value(other, w) == loss.value(task, w)
    assert np.array_equal(loss.gradient(other, w), loss.gradient(task, w))
    assert np.array_equal(loss.hessian(other, w), loss.hessian(task, w))
    u = loss.slopes(task.X @ w, task.y)
    assert np.array_equal(loss.conjugate(u, other.y), loss.conjugate(u, task.y))
    assert loss.expression(other, v).value == pytest.approx(float(loss.expression(task, v).value), rel=1e-14)


@every_formula
def test_rows_are_the_printed_formula(loss: Loss, rng: np.random.Generator) -> None:
    z, y = rows(loss, rng)
    expected = [literal_row(loss, *pair) for pair in zip(z.tolist(), y.tolist(), strict=True)]
    assert loss.rows(z, y) == pytest.approx(expected, rel=1e-13, abs=1e-14)


@every_formula
def test_rows_may_come_in_batches(loss: Loss, rng: np.random.Generator) -> None:
    z, y = rows(loss, rng)
    batch = z.reshape(4, 10), y.reshape(4, 10)
    for method in (loss.rows, loss.slopes, loss.curvatures):
        assert np.array_equal(method(*batch).ravel(), method(z, y))
    u = loss.slopes(z, y)
    assert np.array_equal(loss.conjugate(u.reshape(4, 10), batch[1]).ravel(), loss.conjugate(u, y))
    for bounds in (loss.domain(batch[1]), loss.subgradients(*batch)):
        assert [bound.shape for bound in bounds] == [(4, 10), (4, 10)]


@every_formula
def test_the_conjugate_is_the_supremum(loss: Loss, rng: np.random.Generator) -> None:
    """sup over z of v z - phi(z) by a scalar search."""
    _, y = rows(loss, rng)
    low, high = (np.clip(bound, -4.0, 4.0) for bound in loss.domain(y))
    v = low + rng.uniform(0.02, 0.98, size=len(y)) * (high - low)
    for vi, yi, found in zip(v.tolist(), y.tolist(), loss.conjugate(v, y).tolist(), strict=True):
        search = minimize_scalar(
            lambda z, vi=vi, yi=yi: literal_row(loss, z, yi) - vi * z,
            bounds=(-12.0, 12.0),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert found == pytest.approx(-search.fun, rel=1e-7, abs=1e-7)


@every_formula
def test_outside_its_domain_the_conjugate_is_infinite(loss: Loss, rng: np.random.Generator) -> None:
    """Past the end of the domain v z - phi(z) grows without bound along z, at the end it does not."""
    _, targets = rows(loss, rng)
    for end, past in zip(loss.domain(targets), (-1e-6, 1e-6), strict=True):
        v, y = end[np.isfinite(end)], targets[np.isfinite(end)]
        assert np.isinf(loss.conjugate(v + past, y)).all() and np.isfinite(loss.conjugate(v, y)).all()
        side = np.sign(past) * np.ones_like(v)
        at_end = [v * z - loss.rows(z, y) for z in (10.0 * side, 1e4 * side, 1e8 * side)]
        assert (np.max(at_end, axis=0) <= loss.conjugate(v, y) + 1e-6).all()
        outside = [(v + past) * z - loss.rows(z, y) for z in (1e8 * side, 1e9 * side)]
        assert (outside[1] >= outside[0] + 100.0).all()


@every_formula
def test_fenchel_and_young(loss: Loss, rng: np.random.Generator) -> None:
    """phi(z) + phi*(v) >= v z for any v, with equality at every subgradient."""
    z, y = rows(loss, rng, 400)
    for v in (rng.normal(size=400), 100.0 * rng.normal(size=400)):
        clipped = loss.clip(v, y)
        assert np.array_equal(clipped == v, np.isfinite(loss.conjugate(v, y)))
        gap = loss.rows(z, y) + loss.conjugate(clipped, y) - clipped * z
        assert (gap >= -1e-13 * (1.0 + clipped**2)).all() and gap.max() > 0.1
    low, high = loss.subgradients(z, y)
    assert (low <= high).all() and np.array_equal(low < high, np.zeros(400, dtype=bool)) is loss.smooth
    for u in (low, high, loss.slopes(z, y), 0.3 * low + 0.7 * high):
        gap = loss.rows(z, y) + loss.conjugate(u, y) - u * z
        assert np.abs(gap).max() <= 1e-13 * (1.0 + np.abs(u * z).max())


@every_formula
def test_subgradients_are_the_one_sided_slopes(loss: Loss, rng: np.random.Generator) -> None:
    z, y = rows(loss, rng)
    h = 1e-6
    left, right = (loss.rows(z, y) - loss.rows(z - h, y)) / h, (loss.rows(z + h, y) - loss.rows(z, y)) / h
    low, high = loss.subgradients(z, y)
    assert low == pytest.approx(left, abs=1e-4) and high == pytest.approx(right, abs=1e-4)


def test_poisson_keeps_its_digits_near_the_minimum() -> None:
    """At z = log y + s the loss is y (e^s - 1 - s) = y s^2 / 2 + ..., where the printed formula cancels."""
    y, s = np.array([1.0, 3.0, 5000.0]), 1e-6
    expected = y * (s**2 / 2 + s**3 / 6)
    assert Poisson().rows(np.log(y) + s, y) == pytest.approx(expected, rel=1e-3)
    assert Poisson().rows(np.array([-800.0, 0.5]), np.zeros(2)) == pytest.approx([0.0, np.exp(0.5)])


def test_poisson_predicts_the_mean_and_needs_counts() -> None:
    assert Poisson().decide(np.array([0.0, 2.0])) == pytest.approx([1.0, np.exp(2.0)])
    Poisson().check(Task(X=np.eye(2), y=[0.0, 2.5]))
    with pytest.raises(DataError, match="targets >= 0, 'a' has -1"):
        Poisson().check(Task(X=np.eye(2), y=[3.0, -1.0], name="a"))


@pytest.mark.parametrize("label", [*LOSSES, "huber:1.5", "huber:1e-3", "quantile:0.1", "quantile:0.9"])
def test_a_label_names_a_loss_and_its_parameter(label: str) -> None:
    loss = make_loss(label, reduction="sum")
    assert loss.name == label.partition(":")[0] and loss.reduction == "sum"
    assert make_loss(loss.label, reduction="sum") == loss
    if ":" in label:
        assert loss.parameter is not None
        assert getattr(loss, loss.parameter) == float(label.partition(":")[2])


def test_labels_keep_every_digit() -> None:
    third = Huber(threshold=np.float64(1.0) / 3.0)
    assert make_loss(third.label) == third and third.label == f"huber:{1 / 3!r}"
    assert Huber(threshold=2).label == "huber:2.0"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("absolute", "unknown loss 'absolute'"),
        ("", "unknown loss ''"),
        ("squared:2", "no parameter, got 'squared:2'"),
        ("huber:", "expected huber:NUMBER, the number being its threshold, got 'huber:'"),
        ("huber:wide", "got 'huber:wide'"),
        ("huber:0", "threshold of the huber loss must be a finite number > 0, got 0.0"),
        ("huber:inf", "must be a finite number > 0, got inf"),
        ("huber:nan", "must be a finite number > 0, got nan"),
        ("quantile:1", "tau of the quantile loss must be between 0 and 1, got 1.0"),
        ("quantile:-0.5", "between 0 and 1, got -0.5"),
    ],
)
def test_other_labels_of_losses_are_refused(label: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        make_loss(label)


def test_a_parameter_must_be_a_number() -> None:
    with pytest.raises(ModelError, match="threshold of the huber loss must be a finite number > 0, got '1'"):
        Huber(threshold="1")  # type: ignore[arg-type]


def test_huber_is_squared_inside_its_threshold(rng: np.random.Generator) -> None:
    task = tasks_for(Squared(), rng)[0]
    w = rng.normal(size=task.X.shape[1])
    assert Huber(threshold=1e6).value(task, w) == pytest.approx(Squared().value(task, w), rel=1e-14)
    assert 2.0 * Quantile(tau=0.5, reduction="sum").value(task, w) == pytest.approx(
        float(np.abs(task.y - task.X @ w).sum()), rel=1e-14
    )


@pytest.mark.parametrize("labels", [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0], [1.0, 2.0, 2.0], [0.5, 1.0, 0.0]])
def test_other_labels_are_refused(labels: list[float]) -> None:
    with pytest.raises(DataError, match="labels -1/\\+1 or 0/1, 'a' has"):
        Logistic().check(Task(X=np.eye(3), y=labels, name="a"))
    with pytest.raises(DataError, match="the squared-hinge loss needs labels"):
        SquaredHinge().check(Task(X=np.eye(3), y=labels, name="a"))


@pytest.mark.parametrize("label", [-1.0, 0.0, 1.0])
def test_one_class_is_refused(label: float) -> None:
    with pytest.raises(DataError, match="both classes.*'a'"):
        Logistic().check(Task(X=np.eye(3), y=np.full(3, label), name="a"))


def test_decisions_are_numbers_or_labels() -> None:
    z = np.array([-2.0, 0.5])
    assert np.array_equal(Squared().decide(z), z)
    assert np.array_equal(Logistic().decide(z), [-1.0, 1.0])


@pytest.mark.parametrize("cls", LOSSES.values())
def test_an_unknown_reduction_is_refused(cls: type[Loss]) -> None:
    with pytest.raises(ModelError, match="'mean' or 'sum'"):
        cls(reduction="average")  # type: ignore[arg-type]
