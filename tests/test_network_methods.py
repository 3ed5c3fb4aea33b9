"""Fits of networks: certified, J never rises, honest statuses, an interrupt loses nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_network_newton import problem_of

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.errors import ModelError
from amtl_cvx.methods import fit
from amtl_cvx.network import NetworkProblem, methods
from amtl_cvx.network.certificate import strict_local
from amtl_cvx.network.lbfgs import lbfgs
from amtl_cvx.network.methods import Amtfl, DeepAmtfl
from amtl_cvx.network.starts import start_of
from amtl_cvx.options import Options
from amtl_cvx.solution import Record, Solution, Status


def fitted(problem: NetworkProblem, how: dict[str, Any] | None = None, **options: Any) -> Solution:
    kind = Amtfl if len(problem.model.layers) == 1 else DeepAmtfl
    return fit(problem.tasks, problem.model, method=kind(**(how or {})), options=Options(**options))


def never_rises(found: Solution) -> bool:
    J = [record.objective for record in found.history]
    return all(after <= before + 1e-12 * abs(before) for before, after in itertools.pairwise(J))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("init", ["svd", "random"])
def test_a_fit_is_certified_and_J_never_rises(loss: str, init: str) -> None:
    problem = problem_of(loss, fit_bias=loss == "logistic")
    found = fitted(problem, {"init": init, "seed": 2})
    assert found.status is Status.CERTIFIED and found.certificate.passes and never_rises(found)
    assert found.objective == pytest.approx(problem.at(**found.blocks).objective, rel=1e-14)
    steps = [record.step for record in found.history]
    assert steps == sorted(steps) and set(steps) == {"lbfgs", "refine"}  # one phase after the other
    assert found.history[-1].relative < 1e-10 and found.objective < problem.zero.objective
    assert [record.round for record in found.history] == list(range(1, len(steps) + 1))


def test_a_certified_point_is_a_start_that_stays() -> None:
    problem = problem_of()
    first = fitted(problem)
    again = fitted(problem, start={name: np.array(block) for name, block in first.blocks.items()})
    assert again.status is Status.CERTIFIED
    assert all(np.allclose(again.blocks[name], block, atol=1e-10) for name, block in first.blocks.items())


def test_without_refinement_it_says_what_it_is() -> None:
    found = fitted(problem_of(), {"refine": False}, max_rounds=3)
    assert found.status in (Status.ROUND_LIMIT, Status.STALLED) and not found.certificate.passes
    assert {record.step for record in found.history} == {"lbfgs"} and len(found.history) <= 3


def test_what_is_too_large_for_a_hessian_is_not_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "LARGEST", 10)
    found = fitted(problem_of(), max_rounds=2)
    assert {record.step for record in found.history} == {"lbfgs"} and not found.certificate.passes


def test_a_limit_of_steps_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "NEWTON_STEPS", 1)
    found = fitted(problem_of())
    assert found.status is Status.ROUND_LIMIT and not found.certificate.passes


@pytest.mark.parametrize("at", [1, 4])
def test_an_interrupt_keeps_the_point_and_the_fit_goes_on_as_it_would_have(at: int) -> None:
    problem, seen = problem_of(seed=1), []
    whole = fitted(problem)

    def interrupt(record: Record) -> None:
        seen.append(record)
        if len(seen) == at:
            raise KeyboardInterrupt

    half = fitted(problem, callback=interrupt)
    assert half.status is Status.INTERRUPTED and half.state is not None and len(half.history) == at
    assert half.objective == half.history[-1].objective
    rest = fitted(problem, start=half.state)
    assert rest.status is Status.CERTIFIED and len(rest.history) == len(whole.history)
    assert all(np.array_equal(rest.blocks[name], block) for name, block in whole.blocks.items())


@pytest.mark.parametrize("steps", [0, 6])
def test_a_deep_fit_goes_on_after_its_last_part_and_between_steps(steps: int) -> None:
    """By the whole history: that L-BFGS came to rest is kept, and no feature is dropped anew."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 4))
    Y = np.maximum(X @ rng.normal(size=(4, 3)), 0) @ rng.normal(size=(3, 3)) + 0.3 * rng.normal(size=(40, 3))
    prices = {"mu": 0.01, "alpha": 0.1, "gamma": 0.01, "decay": 0.005}
    model = NetworkModel(layers=(4, 3), fit_bias=True, feedback_bias=True, **prices)
    problem, seen = NetworkProblem(TaskSet.from_matrix(X, Y), model), itertools.count(1)
    whole = fitted(problem)
    at = steps + sum(record.step == "lbfgs" for record in whole.history)
    assert whole.history[at].step == "refine"

    def interrupt(record: Record) -> None:
        if next(seen) == at:
            raise KeyboardInterrupt

    half = fitted(problem, callback=interrupt)
    rest = fitted(problem, start=half.state)
    told = [[replace(r, seconds=0.0, solver_seconds=0.0) for r in each.history] for each in (whole, rest)]
    assert told[0] == told[1]


def test_layers_are_those_of_the_method() -> None:
    problem = problem_of(layers=(4, 3))
    with pytest.raises(ModelError, match="take deep-amtfl"):
        fit(problem.tasks, problem.model, method=Amtfl())
    one = problem_of()
    assert fit(one.tasks, replace(one.model), method=DeepAmtfl()).certificate.passes


def test_a_deep_fit_is_certified() -> None:
    problem = problem_of(layers=(5, 4), mu=0.005, decay=0.005)
    found = fitted(problem, {"init": "random", "seed": 1})
    assert found.status is Status.CERTIFIED and never_rises(found)


SETTINGS = ((0.1, 0.02, 0.002, 0.01), (0.1, 0.005, 0.01, 0.003), (0.01, 0.1, 0.001, 0.02))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("weights", SETTINGS)
def test_300_rows_of_20_columns_10_units_and_6_tasks(loss: str, weights: tuple[float, ...]) -> None:
    """Shared rows, targets of ten ReLUs that tasks use in part, noise; labels are the side of the median."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, 20))
        Z = np.maximum(X @ rng.normal(size=(20, 10)) / np.sqrt(20.0), 0.0)
        Y = Z @ (rng.normal(size=(10, 6)) * (rng.random((10, 6)) < 0.6)) + 0.3 * rng.normal(size=(300, 6))
        if loss == "logistic":
            Y = np.where(np.median(Y, axis=0) < Y, 1.0, -1.0)
        alpha, mu, gamma, decay = weights
        model = NetworkModel(loss=loss, features=10, alpha=alpha, mu=mu, gamma=gamma, decay=decay)
        problem = NetworkProblem(TaskSet.from_arrays([X] * 6, list(Y.T)), model)
        found = fitted(problem)
        assert found.status is Status.CERTIFIED and found.certificate.relative <= 1e-8
        point = problem.at(**found.blocks)
        assert strict_local(found.certificate, point).has("C3") and point.live.sum() >= 5
        other = lbfgs(start_of(problem), iterations=3000)
        assert found.objective < min(other.objective, problem.zero.objective)
