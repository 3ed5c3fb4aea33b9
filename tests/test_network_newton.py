"""Kink Newton and its start: judged by random moves, by points made backwards, by what is known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from network_points import planted as made

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.network import NetworkPoint, NetworkProblem, newton
from amtl_cvx.network.balance import balance, balanced, lower_balance
from amtl_cvx.network.lbfgs import lbfgs
from amtl_cvx.network.newton import Progress, newton_step, refine
from amtl_cvx.network.pruning import escaped, tidied
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.second_order import second_order
from amtl_cvx.network.starts import start_of
from amtl_cvx.refine.local import Trust

WEIGHTS: dict[str, Any] = {"alpha": 0.1, "mu": 0.02, "gamma": 0.005, "decay": 0.01}


def problem_of(
    loss: str = "squared", *, seed: int = 0, layers: tuple[int, ...] = (4,), N: int = 40, **settings: Any
) -> NetworkProblem:
    """Tasks whose targets three ReLUs make, and noise; labels are the side of their median."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 5))
    Z = np.maximum(X @ rng.normal(size=(5, 3)), 0.0)
    Y = Z @ rng.normal(size=(3, 3)) + 0.3 * rng.normal(size=(N, 3))
    if loss == "logistic":
        Y = np.where(np.median(Y, axis=0) < Y, 1.0, -1.0)
    model = NetworkModel(loss=loss, layers=layers, **{**WEIGHTS, **settings})
    return NetworkProblem(TaskSet.from_arrays([X] * 3, list(Y.T)), model)


def begun(problem: NetworkProblem, *, init: Any = "random", seed: int = 1) -> NetworkPoint:
    return lbfgs(start_of(problem, init, seed=seed), iterations=100)


def rises(point: NetworkPoint, *, length: float = 1e-4, many: int = 200) -> bool:
    """Whether J rises in random directions, most of which are sparse."""
    rng, n = np.random.default_rng(7), point.problem.size
    bounded = (point.vector == 0.0) & (np.arange(n) >= point.problem.layout.A.start)
    bounded &= not point.model.signed
    for _ in range(many):
        d = rng.normal(size=n) * (rng.random(n) < rng.choice([1.0, 0.1, 2.0 / n]))
        d, size = np.where(bounded, np.abs(d), d), np.linalg.norm(d)
        if size > 0.0 and point.problem.from_vector(point.vector + length * d / size).objective <= (
            point.objective
        ):
            return False
    return True


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "how",
    [
        {"loss": "squared"},
        {"loss": "logistic", "fit_bias": True, "feedback_bias": True},
        {"loss": "squared", "feedback": "nonnegative", "price_floor": 0.01},
        {"loss": "squared", "layers": (5, 4), "mu": 0.005, "decay": 0.005},
    ],
)
def test_they_end_at_a_stationary_point_around_which_J_rises(how: dict[str, Any]) -> None:
    start = begun(problem_of(**how))
    seen = [start]
    found = refine(start, observe=lambda point, _: seen.append(point))
    assert found.ended == "converged" and found.steps == len(seen) - 1 < 60
    J = [point.objective for point in seen]
    assert all(after <= before + 1e-12 * abs(before) for before, after in itertools.pairwise(J))
    assert residuals(found.point).relative < 1e-10
    assert found.point.live.sum() >= 2 and found.point.objective < 0.9 * start.problem.zero.objective
    assert rises(found.point)
    assert start.model.signed or (found.point.A >= 0.0).all()
    assert balance(found.point).relative.max() < 1e-9
    for inward, outward in lower_balance(found.point):
        assert np.abs(inward - outward).max() < 1e-9


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_a_strict_minimum_that_was_made_backwards_is_found_again(seed: int) -> None:
    point = made(np.random.default_rng(seed), layers=(4,)).point
    assert second_order(point).verdict == "strict local minimum"
    rng, x = np.random.default_rng(0), point.vector
    start = point.problem.from_vector(x + 1e-4 * (x != 0.0) * rng.normal(size=len(x)))
    assert residuals(start).relative > 1e-3
    found = refine(start).point
    assert residuals(found).relative < 1e-10
    assert np.abs(found.vector - x).max() < 1e-8
    for at, again in zip(point.touching, found.touching, strict=True):
        assert at.any() and np.array_equal(at, again)


def test_weights_that_leave_nothing_end_at_the_zero_point() -> None:
    problem = problem_of(mu=30.0, decay=30.0)
    found = refine(begun(problem))
    assert found.ended == "converged" and not found.point.live.any()
    assert refine(problem.zero) == (problem.zero, 0, "converged")


def test_steps_go_on_from_any_of_them() -> None:
    start, progress = begun(problem_of()), Progress()
    points, states, point = [start], [Progress()], start
    for _ in range(6):
        found = newton_step(point, progress)
        assert found is not None
        point = found
        points.append(point)
        states.append(replace(progress, trust=replace(progress.trust)))
    again, state = points[3], states[3]
    for expected in points[4:]:
        found = newton_step(again, state)
        assert found is not None and np.array_equal(found.vector, expected.vector)
        again = found


def test_an_interrupt_passes_through_and_a_limit_is_kept() -> None:
    start = begun(problem_of())

    def interrupt(point: NetworkPoint, solver: str) -> None:
        assert solver == "kink-newton"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(start, observe=interrupt)
    assert refine(start, max_steps=2)[1:] == (2, "limit")


def test_a_trust_term_of_another_point_is_forgotten() -> None:
    progress = Progress(trust=Trust(value=1e25))
    assert refine(begun(problem_of()), progress=progress).ended == "converged"
    assert progress.trust.value < 1.0


def test_what_is_too_large_for_a_hessian_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "LARGEST", 10)
    start = start_of(problem_of())
    assert refine(start) == (start, 0, "too large")


def test_without_gamma_nothing_is_paid_for_feedback() -> None:
    start = begun(problem_of(gamma=0.0))
    found = refine(tidied(start.at(A=np.ones_like(start.A))))
    assert found.ended == "converged" and not found.point.A.any() and rises(found.point)


def test_feedback_that_brings_more_than_it_costs_comes() -> None:
    """A = 0 is first order for every step, and not for J: the escape is exact along its column."""
    start = begun(problem_of())
    empty = start.at(A=np.zeros_like(start.A))
    found = escaped(empty)
    assert found.objective < empty.objective and (np.count_nonzero(found.A, axis=0) <= 1).all()
    column = int(np.argmax(np.abs(found.A).sum(axis=0)))
    task = int(np.argmax(np.abs(found.A[:, column])))

    def J(value: float) -> float:
        A = empty.A.copy()
        A[task, column] = value
        return empty.at(A=A).objective

    best = found.A[task, column]
    assert J(best) < min(J(0.98 * best), J(1.02 * best), J(0.0))
    assert escaped(empty.at(S=np.zeros_like(empty.S))).A.any() == 0


def test_what_is_of_no_use_goes() -> None:
    start = begun(problem_of())
    W, S = start.V[0].copy(), start.S.copy()
    S[1] = 0.0
    found = tidied(start.at(W1=W, S=S, A=np.zeros_like(start.A)))
    assert not found.V[0][:, 1].any() and not found.live[1]
    assert found.objective < start.at(S=S, A=np.zeros_like(start.A)).objective
    deep = start_of(problem_of(layers=(4, 3)), "random", seed=2)
    above = deep.V[1].copy()
    above[2] = 0.0
    assert not tidied(deep.at(W2=above)).V[0][:, 2].any()


@pytest.mark.parametrize("layers", [(4,), (5, 4)])
def test_a_unit_at_its_best_scale_has_no_better_one(layers: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    problem = problem_of(layers=layers, fit_bias=True, feedback_bias=True)
    point = problem.from_vector(rng.normal(size=problem.size))
    found = balanced(point)
    assert found.objective < point.objective and np.abs(found.F - point.F).max() < 1e-10
    for _ in range(3):  # layers meet in the row of V between them
        found = balanced(found)
    for layer, width in enumerate(layers):
        for unit in range(width):
            assert found.objective <= min(_scaled(found, layer, unit, by) for by in (0.9, 1.1))
    assert balance(found).relative.max() < 1e-6


def _scaled(point: NetworkPoint, layer: int, unit: int, by: float) -> float:
    parts = [part.copy() for part in (*point.V, point.S, point.A_plus)]
    parts[layer][:, unit] *= by
    parts[layer + 1][unit] /= by
    if layer == len(point.V) - 1:
        parts[-1][:, unit] *= by
    return point.problem.from_vector(point.problem.layout.joined(*parts)).objective


@pytest.mark.parametrize("init", ["svd", "random"])
@pytest.mark.parametrize("layers", [(4,), (7, 5)])
def test_a_start_predicts_and_has_no_dead_unit(init: Any, layers: tuple[int, ...]) -> None:
    problem = problem_of(layers=layers, fit_bias=True)
    point = start_of(problem, init, seed=3)
    assert point.losses.sum() < 0.95 * problem.zero.losses.sum() and not point.A.any()
    assert all(V.any(axis=0).all() for V in point.V) and point.S.any(axis=1).all()
    again, other = start_of(problem, init, seed=3), start_of(problem, "random", seed=4)
    assert np.array_equal(point.vector, again.vector) and not np.array_equal(point.vector, other.vector)


def test_pairs_of_units_hold_the_linear_predictors() -> None:
    """Targets that are linear, and enough pairs for their rank: what is left is the ridge."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    tasks = TaskSet.from_arrays([X] * 2, list((X @ rng.normal(size=(4, 2))).T))
    model = NetworkModel(layers=(6, 4), **{**WEIGHTS, "decay": 1e-4})
    point = start_of(NetworkProblem(tasks, model))
    assert point.losses.sum() < 1e-2 * point.problem.zero.losses.sum()


@pytest.mark.parametrize("signed", ["signed", "nonnegative"])
def test_lbfgs_lowers_J_and_keeps_signs(signed: str) -> None:
    start = start_of(problem_of(feedback=signed), seed=1)
    start = start.at(A=np.full_like(start.A, 0.1))
    found = lbfgs(start, iterations=60)
    assert found.objective < 0.8 * start.objective
    assert signed == "signed" or (found.A >= 0.0).all()
    assert lbfgs(start, iterations=1).objective <= start.objective
