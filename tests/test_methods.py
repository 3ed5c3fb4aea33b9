"""Every method by name: it runs, it is judged by its own certificate, and unknown names are refused."""

from __future__ import annotations

import numpy as np
import pytest
from cases import METHOD_CASES, missing, random_tasks

from amtl_cvx.certificate import certify
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment import choose
from amtl_cvx.methods import METHODS, fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Problem, make_model
from amtl_cvx.solution import Blocks, Status
from amtl_cvx.tasks import TaskSet

KINDS = {
    "alternating": "joint",
    "curriculum": "curriculum",
    "curriculum-simple": "curriculum-simple",
    "stl": "single-task",
}


def test_every_method_has_a_case() -> None:
    assert not missing(METHODS, METHOD_CASES)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("method", METHOD_CASES)
def test_a_method_is_certified_by_its_own_judge(method: str, loss: str, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, loss=loss), make_model(loss=loss, mu=0.02, coupling=0.3)
    solution = fit(tasks, model, method=method, options=Options(max_rounds=20))
    assert solution.status is Status.CERTIFIED and solution.method == method
    assert solution.certificate.kind == KINDS[method]
    judge = METHODS[method].judge
    again = judge(tasks, model, Blocks(solution.W, solution.B, solution.order), 1e-8)
    assert again.to_dict() == solution.certificate.to_dict()
    moved = Blocks(solution.W * (1 + 1e-4), solution.B, solution.order)
    assert not judge(tasks, model, moved, 1e-8).passes


@pytest.mark.parametrize("method", METHOD_CASES)
def test_a_solution_predicts(method: str, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.02, coupling=0.3)
    solution = fit(tasks, model, method=method, options=Options(max_rounds=20))
    rows = rng.normal(size=(3, 6))
    assert solution.scores(rows) == pytest.approx(rows @ solution.W)
    assert solution.predict("task 1", rows) == pytest.approx(rows @ solution.W[:, 1])
    assert solution.predict(1, rows[0]) == pytest.approx(rows[:1] @ solution.W[:, 1])
    with pytest.raises(DataError, match="6 features"):
        solution.scores(rows[:, :5])


def test_alternating_is_not_above_the_others(rng: np.random.Generator) -> None:
    """Its first half-step is the single-task solution, and J never rises from there."""
    tasks, model = random_tasks(rng), make_model(mu=0.02, coupling=0.3)
    start = fit(tasks, model, method="stl")
    solution = fit(tasks, model, options=Options(max_rounds=20))
    assert solution.history[0].objective == pytest.approx(start.objective, rel=1e-12)
    assert solution.objective < start.objective


def test_an_unknown_method_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ModelError, match="choose one of alternating, curriculum, curriculum-simple, stl"):
        fit(random_tasks(rng), make_model(mu=0.1, coupling=1.0), method="amtll")


def test_a_curriculum_without_its_order_is_bad_data(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="order"):
        point = Blocks(np.zeros((6, 4)), np.zeros((4, 4)))
        METHODS["curriculum"].judge(random_tasks(rng), make_model(mu=0.1, coupling=1.0), point, 1e-8)


def test_what_numpy_does_about_underflow_for_the_caller_changes_nothing(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, counts=(9, 8)), make_model(mu=0.05, coupling=0.7)
    scale = np.r_[1.0, np.full(tasks.d - 1, 1e-170)]
    small = TaskSet.from_arrays([task.X * scale for task in tasks], [t.y for t in tasks])

    def everything() -> tuple[object, ...]:
        solution = fit(small, model)
        chosen = choose(small, model, coupling=True, mu=True, rng=np.random.default_rng(0))
        return solution.certificate, certify(Problem(small, model).at(solution.W, solution.B)), chosen

    expected = everything()
    with np.errstate(all="raise"):
        assert everything() == expected
