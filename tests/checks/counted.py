"""Weights of rows, held against what they mean: weight 2 is the row twice, weight 0 its absence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
from cases import LOSS_CASES, NONSMOOTH_CASES, Array, at, tasks_for

from amtl_cvx import Options, fit
from amtl_cvx.certificate import certify
from amtl_cvx.certificate.room import loss_room
from amtl_cvx.enclosure import Enclosure, checked_bounds, checker, enclose
from amtl_cvx.enclosure.box import box_of
from amtl_cvx.enclosure.exact import ExactProblem
from amtl_cvx.enclosure.proof import problem_of
from amtl_cvx.enclosure.stored import difference
from amtl_cvx.holdout import draw
from amtl_cvx.losses import Loss, Quantile, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def twice(tasks: TaskSet, weights: list[Array]) -> tuple[TaskSet, TaskSet]:
    """The tasks with whole weights, and with every row as often as its weight says."""
    often = [v.astype(int) for v in weights]
    X, y = [task.X for task in tasks], [task.y for task in tasks]
    rows = [np.repeat(x, k, axis=0) for x, k in zip(X, often, strict=True)]
    targets = [np.repeat(each, k) for each, k in zip(y, often, strict=True)]
    return TaskSet.from_arrays(X, y, sample_weight=weights), TaskSet.from_arrays(rows, targets)


@cache
def counted(loss: Loss) -> tuple[TaskSet, TaskSet, Model]:
    """Three tasks of weights 0 to 3, and the same in rows; both labels of each task are there."""
    rng = np.random.default_rng(11)
    tasks = tasks_for(loss, rng, counts=(7, 10, 12), d=3)
    weights = [rng.integers(0, 4, size=len(task.y)).astype(float) for task in tasks]
    for task, v in zip(tasks, weights, strict=True):
        v[[int(np.argmin(task.y)), int(np.argmax(task.y))]] = 2.0, 3.0
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.7, task_weights="inverse-sqrt")
    return *twice(tasks, weights), model


def pairs() -> Iterator[tuple[TaskSet, TaskSet, Model, Array, Array]]:
    for loss in (*LOSS_CASES, *NONSMOOTH_CASES):
        weighted, repeated, model = counted(loss)
        rng = np.random.default_rng(5)
        W, B = rng.normal(size=(3, 3)), 0.3 * rng.random((3, 3)) * (1.0 - np.eye(3))
        yield weighted, repeated, model, W, B


def weights_are_rows() -> None:
    """J, its derivatives, residuals and gaps of weighted rows are those of rows that stand there as often."""
    for weighted, repeated, model, W, B in pairs():
        one, other = (at(TaskSet(tasks=each.tasks), model, W, B) for each in (weighted, repeated))
        np.testing.assert_allclose(one.objective, other.objective, rtol=1e-13)
        np.testing.assert_allclose(one.gradient_W, other.gradient_W, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(one.loss_hessians, other.loss_hessians, rtol=1e-12, atol=1e-13)
        for t, task in enumerate(repeated):
            for name in ("value", "gradient", "hessian"):
                found = (getattr(model.loss, name)(each, W[:, t]) for each in (weighted[t], task))
                np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-13)
        known, found = (certify(each, tol=1e-8) for each in (other, one))
        assert (found.level, found.passes) == (known.level, known.passes)
        for figure in ("gap_W", "gap_B", "gain_W", "stationarity_W", "relative_B"):
            np.testing.assert_allclose(getattr(found, figure), getattr(known, figure), rtol=1e-8)
        np.testing.assert_allclose(found.relative_W, known.relative_W, rtol=1e-3)  # with room for rounding


def weighted_factors_keep_the_objective() -> None:
    """A factor of weighted rows stands for them."""
    rng = np.random.default_rng(2)
    weighted, _, model = counted(Squared())
    for W in rng.normal(size=(3, 3, 3)):
        B = 0.3 * rng.random((3, 3)) * (1.0 - np.eye(3))
        factors = model.compress(weighted)
        assert all(task.compressed and task.sample_weight is None for task in factors)
        assert abs(model.objective(factors, W, B) / model.objective(weighted, W, B) - 1.0) <= 1e-13


def weighted_conjugates_are_suprema() -> None:
    """phi_v*(u) is the largest u z - v phi(z) on a grid of z; inf outside the domain, finite at its ends."""
    z, v = np.linspace(-30.0, 30.0, 1201), np.array([0.25, 3.0])
    for loss in (case for case in (*LOSS_CASES, *NONSMOOTH_CASES) if case.reduction == "mean"):
        y = np.array([1.0, -1.0]) if loss.classification else np.array([1.0, 2.0])
        phi = loss.on(v)
        low, high = (np.clip(end, -4.0, 4.0) for end in phi.domain(y))
        values = np.array([v * loss.rows(np.full(2, each), y) for each in z])
        for share in (0.1, 0.5, 0.8):
            u = low + share * (high - low)
            sup = (u * z[:, None] - values).max(axis=0)
            np.testing.assert_allclose(phi.conjugate(u, y), sup, rtol=5e-3, atol=5e-3)
        end = phi.domain(y)[1]
        beyond = np.where(np.isfinite(end), end + 1.0, 0.0)
        assert np.isinf(phi.conjugate(beyond, y)[np.isfinite(end)]).all()
        assert np.isfinite(phi.conjugate(phi.clip(np.full(2, 1e3), y), y)).all()


def lengthened(rng: np.random.Generator, d: int) -> tuple[TaskSet, TaskSet]:
    """Rows of weight v, and the rows v [x y]: the same for a sum of v max(tau r, (tau - 1) r)."""
    v = [2.0 ** rng.integers(-2, 4, size=n) for n in (6, 7)]
    X, y = [rng.normal(size=(len(w), d)) for w in v], [rng.normal(size=len(w)) for w in v]
    longer = [w[:, None] * x for w, x in zip(v, X, strict=True)]
    targets = [w * t for w, t in zip(v, y, strict=True)]
    return TaskSet.from_arrays(X, y, sample_weight=v), TaskSet.from_arrays(longer, targets)


def weighted_digits_are_those_of_rows() -> None:
    """The proofs in balls, of squares by rows, of quantiles by lengths."""
    from amtl_cvx.digits import prove

    kinked = Model(loss=Quantile(tau=0.7, reduction="sum"), transfer=LossWeightedL1(mu=0.1), coupling=0.5)
    lengths = lengthened(np.random.default_rng(4), 2)
    weighted, repeated, model = counted(Squared())
    for one, other, of in ((weighted, repeated, model), (*lengths, kinked)):
        at_ = fit(other, of, options=Options(engine="fast"))
        found, known = (prove(tasks, of, at_.W, at_.B, digits=30) for tasks in (one, other))
        assert (found.W, found.B, found.strict_local_min) == (known.W, known.B, known.strict_local_min)


def weighted_rationals_are_those_of_rows() -> None:
    """The exact W-step and prices; in one dimension rows on kinks depend on each other."""
    from amtl_cvx.digits import exact_prices, exact_weights
    from amtl_cvx.digits.pieces import exact
    from amtl_cvx.digits.weightstep import WeightStep

    sound = WeightStep._exchange

    def exchange_that_keeps_the_pull(step: WeightStep, j: int, along: Any) -> None:
        pulls = [step._pull(t, step.of_task[t]) for t in range(step.T)]
        sound(step, j, along)
        assert pulls == [step._pull(t, step.of_task[t]) for t in range(step.T)]

    rng, kinked = np.random.default_rng(8), Quantile(tau=0.7, reduction="sum")
    cases = [(kinked, lengthened(rng, 1)) for _ in range(4)]
    for loss, (one, other) in [(Squared(), counted(Squared())[:2]), *cases]:
        model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.5)
        B = np.triu(np.full((one.T, one.T), 0.25), 1)
        found, known = (exact_weights(tasks, model, B) for tasks in (one, other))
        assert found.W == known.W and found.gap == found.gradient == 0
        if not loss.smooth:
            ends = [exact(0.0)] * 13, [-1] * 13
            with (
                mock.patch("amtl_cvx.digits.rational.first_duals", lambda *_, ends=ends: ends),
                mock.patch.object(WeightStep, "_exchange", exchange_that_keeps_the_pull),
            ):
                assert exact_weights(one, model, B).W == known.W
        assert exact_prices(one, model, known.W) == exact_prices(other, model, known.W)


def weighted_kinks_have_room() -> None:
    """What rounding can hide beside a kink is that of rows that stand there as often."""
    for loss in NONSMOOTH_CASES:
        weighted, repeated, model = counted(loss)
        W = np.random.default_rng(5).normal(size=(3, 3))
        found, known = (loss_room(at(tasks, model, W, np.zeros((3, 3)))) for tasks in (weighted, repeated))
        np.testing.assert_allclose(found, known, rtol=1e-12)


def weighted_parts_keep_their_weights() -> None:
    """Rows that are drawn have their weights with them."""
    v = np.arange(1.0, 21.0)
    tasks = TaskSet.from_arrays([v[:, None]], [v], sample_weight=[v])
    for part in draw(tasks, 0.3, np.random.default_rng(0)):
        assert part[0].weights.tolist() == part[0].y.tolist()


@cache
def bounded() -> tuple[TaskSet, TaskSet, Model, Enclosure]:
    """Two tasks of one feature with weights, the same in rows, and the enclosure of the first."""
    rng = np.random.default_rng(3)
    X = [rng.normal(size=(n, 1)) for n in (6, 7)]
    tasks = TaskSet.from_arrays(X, [x[:, 0] + 0.3 * rng.normal(size=len(x)) for x in X])
    weights = [np.array([1.0, 2.0, 0.0, 3.0, 1.0, 1.0]), np.array([2.0, 1.0, 1.0, 1.0, 3.0, 2.0, 0.0])]
    weighted, repeated = twice(tasks, weights)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=0.5, task_weights="inverse-sqrt")
    at_ = fit(repeated, model, options=Options(engine="fast"))
    return weighted, repeated, model, enclose(weighted, model, at_.W, at_.B)


def weighted_bounds_are_those_of_rows() -> None:
    """Exact J, its box and the checker's bounds are those of rows that stand there as often."""
    weighted, repeated, model, found = bounded()
    one, other = (ExactProblem.read(tasks, model) for tasks in (weighted, repeated))
    W, B = ((Fraction(1, 3), Fraction(-2, 7)),), ((Fraction(0), Fraction(1, 5)), (Fraction(0), Fraction(0)))
    assert one.objective(W, B) == other.objective(W, B) and one.gradients(W, B) == other.gradients(W, B)
    assert box_of(one, Fraction(2)) == box_of(other, Fraction(2))
    assert checked(found.proof) == (found.lower, found.upper)
    rows = {**found.proof, "tasks": problem_of(Problem(repeated, model))["tasks"]}
    assert checked(rows) == (found.lower, found.upper)
    assert checked_bounds(found.proof, weighted, model) == (found.lower, found.upper)


def checked(proof: dict[str, Any]) -> tuple[Fraction, Fraction] | str:
    """What the checker finds, or what it says."""
    try:
        return checker.check(proof)
    except ValueError as refusal:
        return str(refusal)


def other_weights_are_another_problem() -> None:
    """A proof of other weights is refused, and one whose weights were changed is not accepted."""
    weighted, repeated, model, found = bounded()
    changed = [task.weights + (t == 0) * (np.arange(len(task.y)) == 1) for t, task in enumerate(weighted)]
    X, y = [task.X for task in weighted], [task.y for task in weighted]
    numbers = replace(model, task_weights=(0.5, 0.5))
    of = enclose(weighted, numbers, *(np.array(block, dtype=float) for block in (found.W, found.B)))
    for tasks in (TaskSet.from_arrays(X, y), TaskSet.from_arrays(X, y, sample_weight=changed)):
        assert "have other weights there" in difference(of.proof, tasks, numbers)
    known = found.proof["tasks"][0]["weights"]
    for weights, version in ((["0x1p+0"] * 5, 4), (["-0x1p+0", *known[1:]], 4), (known, 2)):
        first = {**found.proof["tasks"][0], "weights": weights}
        forged = {**found.proof, "tasks": [first, found.proof["tasks"][1]]}
        said = checked({**forged, "format": f"amtl-cvx global minimum {version}"})
        assert isinstance(said, str) and any(word in said for word in ("J(W, B)", "misfit", "unknown format"))
