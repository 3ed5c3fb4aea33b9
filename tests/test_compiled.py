"""Steps are compiled once for their shapes, and no problem grows with the rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import (
    random_tasks,
    random_transfer,
)
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ConeMatrixStuffing
from step_cases import both_losses, correlated

from amtl_cvx.problem import Problem, make_model
from amtl_cvx.solvers import compiled as compiled_problems
from amtl_cvx.subproblems import (
    TaskWeightStep,
    WeightStep,
    compile_transfer_step,
    weights,
)
from amtl_cvx.subproblems.transfer import ColumnProblem
from amtl_cvx.subproblems.weights import WeightProblem


@both_losses
def test_a_step_is_compiled_once(
    loss: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = random_tasks(rng, loss=loss)
    compiled = []
    original = ConeMatrixStuffing.apply

    def counted(self: ConeMatrixStuffing, problem: cp.Problem) -> object:
        compiled.append(problem)
        return original(self, problem)

    monkeypatch.setattr(ConeMatrixStuffing, "apply", counted)
    model = make_model(loss=loss, mu=0.05, coupling=0.7)
    steps = [
        WeightStep.compile(tasks, model),
        TaskWeightStep.compile(tasks, model),
        compile_transfer_step(tasks, model),
        compile_transfer_step(tasks, model, columns=True),
    ]
    for _ in range(3):  # and along a grid of tuning values: no point recompiles anything
        grid = make_model(loss=loss, mu=0.05 * rng.uniform(0.5, 2), coupling=rng.uniform(0.5, 2))
        for step in steps:
            step.solve(Problem(tasks, grid).at(correlated(rng, 6, 4), random_transfer(rng, 4)))
    assert len(compiled) == len(steps)


def parameter_sizes(step: WeightStep) -> list[tuple[int, ...]]:
    return [p.shape for p in step.problem.compiled.problem.parameters()]  # type: ignore[attr-defined]


@both_losses
def test_no_problem_grows_with_the_number_of_rows(loss: str, rng: np.random.Generator) -> None:
    model = make_model(loss=loss, mu=0.05, coupling=0.7)
    small, large = (random_tasks(rng, loss=loss, counts=(n, n)) for n in (10, 1000))
    assert parameter_sizes(WeightStep.compile(small, model)) == parameter_sizes(
        WeightStep.compile(large, model)
    )


def test_an_executor_gets_the_hessians_from_a_number_of_multiplications_on(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven rows in all, 2 x 2 products each: 28."""
    tasks, model = (
        random_tasks(rng, loss="logistic", d=2, counts=(3, 4)),
        make_model(loss="logistic", mu=1, coupling=1),
    )
    with ThreadPoolExecutor(1) as executor:
        for least, sent in ((28, True), (29, False)):
            monkeypatch.setattr(weights, "SPREAD_SIZE", least)
            assert (WeightStep.compile(tasks, model, executor=executor).spread is not None) is sent


@pytest.mark.parametrize("sent", [False, True])
def test_a_step_takes_the_rows_and_the_loss_that_it_is_given(
    sent: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled for other rows of the same shapes, or for means instead of sums: the gradient vanishes."""
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    first, second = (random_tasks(rng, loss="logistic", counts=(9, 14)) for _ in range(2))
    mean, total = (
        make_model(loss="logistic", mu=0.1, coupling=0.7, reduction=each) for each in ("mean", "sum")
    )
    B = random_transfer(rng, 2)
    with ThreadPoolExecutor(1) as executor:
        step = WeightStep.compile(first, mean, executor=executor if sent else None)
        for tasks, model in ((first, mean), (second, mean), (first, total)):
            W = step.solve(Problem(tasks, model).at(np.zeros((6, 2)), B)).value
            assert np.abs(model.gradient_W(tasks, W, B)).max() <= 1e-9


@pytest.mark.parametrize("given", ["joint", "one task", "whole", "columns", "columns of few rows"])
def test_the_data_of_a_quadratic_program_are_those_of_cvxpys_own_door(given: str) -> None:
    problem = {
        "joint": lambda: WeightProblem(T=3, d=2),
        "one task": lambda: WeightProblem(T=1, d=2),
        "whole": lambda: ColumnProblem(T=4, single=False),
        "columns": lambda: ColumnProblem(T=4, single=True),
        "columns of few rows": lambda: ColumnProblem(T=9, single=True, rows=3),
    }[given]().compiled.problem
    assert problem.is_dpp(quad_form_dpp="qp")
    found = compiled_problems.quadratic_data(problem)
    for parameter in problem.parameters():
        parameter.value = np.ones(parameter.shape)
    expected = compiled_problems.cone_data(problem)
    for name in ("P", "q", "A"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.shape == theirs.shape and abs(mine - theirs).max() <= 0.0
    assert [getattr(found.cone_dims, cone) for cone in ("zero", "nonneg", "exp", "soc", "psd")] == [
        getattr(expected.cone_dims, cone) for cone in ("zero", "nonneg", "exp", "soc", "psd")
    ]
    assert found.param_id_to_col == expected.param_id_to_col
    for variable in problem.variables():
        assert found.var_id_to_col[variable.id] == expected.var_id_to_col[variable.id]


@pytest.mark.parametrize("step", ["W", "B"])
def test_a_quadratic_program_that_cvxpy_changed_goes_by_its_own_door(
    step: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = correlated(rng, 6, 4), random_transfer(rng, 4)
    make = WeightStep.compile if step == "W" else compile_transfer_step
    expected = make(tasks, model).solve(Problem(tasks, model).at(W, B)).value

    def other(problem: cp.Problem) -> Any:
        raise AttributeError("reduced_P")

    monkeypatch.setattr(compiled_problems, "quadratic_data", other)
    found = make(tasks, model).solve(Problem(tasks, model).at(W, B))
    assert found.solved.solver == "CLARABEL" and np.array_equal(found.value, expected)
