"""What is compiled once, skipped afterwards and shared between fits, against CVXPY's own way through."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, TOLERANCE, Array, loss_id, random_tasks, random_transfer, tasks_for
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ConeMatrixStuffing
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from amtl_cvx import LossWeightedL1, Model, Options, fit
from amtl_cvx.errors import DataError
from amtl_cvx.estimators import AMTLClassifier
from amtl_cvx.estimators import compiled as estimators_compiled
from amtl_cvx.experiment import choose
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Problem, make_model
from amtl_cvx.solvers import AUTO, Backend, Compiled, Solved, solving
from amtl_cvx.solvers import compiled as compiled_problems
from amtl_cvx.solvers.program import Answer, Program
from amtl_cvx.subproblems import Problems, TaskWeightStep, WeightStep, compile_transfer_step
from amtl_cvx.tasks import TaskSet

Values = Mapping[cp.Parameter, Array]
KINDS = ("joint", "task", "whole", "columns", "columns of few rows")
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[cp.Problem]:
    """Every problem that CVXPY compiles."""
    found: list[cp.Problem] = []
    original = ConeMatrixStuffing.apply

    def counted(self: ConeMatrixStuffing, problem: cp.Problem) -> object:
        found.append(problem)
        return original(self, problem)

    monkeypatch.setattr(ConeMatrixStuffing, "apply", counted)
    return found


def quick(**settings: Any) -> Options:
    return Options(max_rounds=6, refine=False, **settings)


def model_of(loss: Loss, *, mu: float = 0.05, coupling: float = 0.7) -> Model:
    return Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling)


def step_of(kind: str, tasks: TaskSet, model: Model, *, problems: Problems | None = None) -> Any:
    if kind == "joint":
        return WeightStep.compile(tasks, model, problems=problems)
    if kind == "task":
        return TaskWeightStep.compile(tasks, model, problems=problems)
    return compile_transfer_step(tasks, model, columns=kind != "whole", problems=problems)


def instance(kind: str, loss: Loss, rng: np.random.Generator) -> tuple[TaskSet, Model, Array, Array]:
    """Tasks and a point (W, B); for "columns of few rows" d is below half the other tasks."""
    if kind == "columns of few rows":
        tasks = random_tasks(rng, loss=loss.name, d=2, counts=(9, 14, 20, 8, 12, 11))
    else:
        tasks = tasks_for(loss, rng)
    W = rng.normal(size=(tasks.d, 1)) + 0.5 * rng.normal(size=(tasks.d, tasks.T))
    return tasks, model_of(loss), W, random_transfer(rng, tasks.T)


@pytest.mark.parametrize("T", [4, 60])
def test_two_problems_are_compiled_in_a_fit_however_many_rounds(
    T: int, compiled: list[cp.Problem], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, d=3, counts=(9,) * T)
    solution = fit(tasks, make_model(mu=0.05, coupling=0.7), options=quick())
    assert len(compiled) == 2 and {record.round for record in solution.history} == set(range(1, 7))


def test_cvxpy_is_asked_for_problem_data_once_a_problem(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for place, name in ((cp.Problem, "get_problem_data"), (compiled_problems, "quadratic_data")):
        original = getattr(place, name)

        def counted(self: cp.Problem, *rest: Any, original: Any = original, **settings: Any) -> Any:
            asked.append(self)
            return original(self, *rest, **settings)

        monkeypatch.setattr(place, name, counted)
    fit(random_tasks(rng), make_model(mu=0.05, coupling=0.7), options=quick())
    assert len(asked) == 2


def test_two_problems_serve_tuning_and_fits_that_share_them(
    compiled: list[cp.Problem], rng: np.random.Generator
) -> None:
    """Whatever the coupling, mu (free transfer included) and the scale of the data."""
    tasks, problems = random_tasks(rng, counts=(20, 14, 20, 16)), Problems()
    choose(tasks, make_model(mu=0.1, coupling=1.0), coupling=True, mu=True, rng=rng)
    assert len(compiled) == 2
    compiled.clear()
    scaled = TaskSet.from_arrays([task.X for task in tasks], [1e5 * task.y for task in tasks])
    for data, mu, coupling in (
        (tasks, 0.05, 0.7),
        (tasks, 0.0, 0.7),
        (tasks, 2.0, 30.0),
        (scaled, 0.05, 0.7),
    ):
        fit(data, make_model(mu=mu, coupling=coupling), options=quick(problems=problems))
    fit(tasks, make_model(mu=0.05, coupling=0.7), method="stl", options=quick(problems=problems))
    assert len(compiled) == 2


def test_a_shared_problem_gives_what_an_own_one_gives(rng: np.random.Generator) -> None:
    problems = Problems()
    for mu, coupling in ((0.05, 0.7), (0.5, 7.0), (0.0, 0.7)):
        tasks, model = random_tasks(rng), make_model(mu=mu, coupling=coupling)
        shared, own = (fit(tasks, model, options=quick(problems=kept)) for kept in (problems, None))
        assert np.array_equal(shared.W, own.W) and np.array_equal(shared.B, own.B)


def test_a_search_of_scikit_learn_compiles_two_problems(
    compiled: list[cp.Problem], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many points and folds, and none in the next search; a fit is what it is by itself."""
    monkeypatch.setattr(estimators_compiled, "_KEPT", estimators_compiled._Kept())
    X, y = rng.normal(size=(46, 3)), np.arange(46) % 3
    grid = {"mu": [0.1, 1.0], "coupling": [0.05, 0.2]}
    for _ in range(2):
        search = GridSearchCV(AMTLClassifier(), grid, cv=2).fit(X, y)
        assert len(compiled) == 2
    monkeypatch.setattr(estimators_compiled, "_KEPT", estimators_compiled._Kept())
    alone = clone(search.best_estimator_).fit(X, y)
    assert len(compiled) == 4 and np.array_equal(alone.coef_, search.best_estimator_.coef_)


def test_each_thread_keeps_its_own_problems() -> None:
    with ThreadPoolExecutor(1) as other:
        there = other.submit(estimators_compiled.compiled).result()
    assert estimators_compiled.compiled() is estimators_compiled.compiled() is not there


def test_the_problem_that_was_asked_for_least_recently_goes() -> None:
    problems, made = Problems(most=2), list[str]()

    def get(key: str) -> None:
        problems.get(key, lambda: made.append(key))

    for key in "abacab":
        get(key)
    assert made == ["a", "b", "c", "b"] and len(problems) == 2
    assert len(pickle.loads(pickle.dumps(problems))) == 0


def test_compiled_problems_stay_in_their_process() -> None:
    problems = Problems()
    first = problems.get("key", lambda: [1])
    assert problems.get("key", lambda: [2]) is first
    assert pickle.loads(pickle.dumps(problems)).get("key", lambda: [3]) == [3]


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Compiled, Values]]:
    """Every compiled problem that is solved, with its values."""
    calls: list[tuple[Compiled, Values]] = []
    original = Compiled.solve

    def record(self: Compiled, values: Values, backend: Backend) -> Solved:
        calls.append((self, {p: np.array(value) for p, value in values.items()}))
        return original(self, values, backend)

    monkeypatch.setattr(Compiled, "solve", record)
    return calls


@pytest.mark.sampled(7)
@every_kind
@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
@pytest.mark.parametrize("solver", list(TOLERANCE))
def test_as_data_and_through_cvxpy_a_problem_has_one_answer(
    kind: str, loss: Loss, solver: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model, W, B = instance(kind, loss, rng)
    calls = recorded(monkeypatch)
    found = step_of(kind, tasks, model).solve(Problem(tasks, model).at(W, B))
    assert found.solved.solver == "CLARABEL" and calls
    for compiled, values in (calls[0], calls[-1]):
        answer = Compiled.solve(compiled, values, AUTO)
        assert answer.status == "optimal"
        variables = compiled.problem.variables()
        as_data = [np.array(variable.value) for variable in variables]
        for parameter, value in values.items():
            parameter.value = value
        accuracy: dict[str, dict[str, Any]] = {
            "CLARABEL": {},
            "OSQP": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 100_000},
            "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9},
        }
        compiled.problem.solve(solver=solver, enforce_dpp=True, **accuracy[solver])
        for ours, variable in zip(as_data, variables, strict=True):
            size = max(float(np.abs(ours).max()), 1e-2)  # a column may be empty; entries are of order 1
            assert np.abs(ours - variable.value).max() <= TOLERANCE[solver] * size


def test_parameters_and_constants_reach_every_part_of_a_problem(rng: np.random.Generator) -> None:
    """min x'Hx + q'x, Ax <= b, Ex = f, each part a parameter plus a constant."""
    x, y = cp.Variable(3), cp.Variable(2)
    H, q, A, b, f = (cp.Parameter(shape) for shape in ((3, 3), 3, (4, 3), 4, 2))
    E = rng.normal(size=(2, 3))
    objective = cp.quad_form(x, cp.psd_wrap(H + np.eye(3))) + (q + 1.0) @ x + cp.sum_squares(y)
    limits = [(A + 0.5) @ x <= b + 1.0, E @ x + 2.0 * y == f - 1.0]
    compiled = Compiled(cp.Problem(cp.Minimize(objective), limits), step="B", what="a QP")
    for _ in range(3):
        root = rng.normal(size=(3, 3))
        values = {H: root @ root.T, q: rng.normal(size=3), A: rng.normal(size=(4, 3))}
        values |= {b: rng.random(4), f: rng.normal(size=2)}
        assert compiled.solve(values, AUTO).status == "optimal"
        found = np.concatenate([x.value, y.value])
        for parameter, value in values.items():
            parameter.value = value
        compiled.problem.solve(solver="OSQP", eps_abs=1e-10, eps_rel=1e-10, max_iter=100_000)
        assert found == pytest.approx(np.concatenate([x.value, y.value]), abs=1e-7)


@every_kind
def test_an_answer_does_not_depend_on_earlier_ones(kind: str, rng: np.random.Generator) -> None:
    """Zeros come and go between the calls: an empty graph, a task without weights."""
    tasks, model, W, B = instance(kind, LOSS_CASES[0], rng)
    bare = W.copy()
    bare[:, 1] = 0.0
    sparse, half = B.copy(), float(np.median(B))
    sparse[sparse < half] = 0.0
    empty = np.zeros_like(B)
    used = step_of(kind, tasks, model)
    for point in ((bare, empty), (W, B), (W, sparse), (bare, B), (W, B), (W, empty)):
        fresh = step_of(kind, tasks, model).solve(Problem(tasks, model).at(*point)).value
        assert np.array_equal(used.solve(Problem(tasks, model).at(*point)).value, fresh)


@every_kind
@pytest.mark.parametrize("through", ["CVXPY", "the chain"])
def test_what_is_not_solved_as_data_goes_through_cvxpy_and_the_chain(
    kind: str, through: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model, W, B = instance(kind, LOSS_CASES[0], rng)
    expected = step_of(kind, tasks, model).solve(Problem(tasks, model).at(W, B)).value
    monkeypatch.setattr(Program, "solve", lambda self, values, limit: Answer(False, "NumericalError", 0.25))
    attempt = solving._attempt

    def refuse(
        problem: cp.Problem, name: str, options: Mapping[str, Any], limit: float
    ) -> tuple[str, float, float]:
        if through == "the chain" and name == "CLARABEL":
            return "failed (bang)", 0.0, 0.0
        return attempt(problem, name, options, limit)

    monkeypatch.setattr(solving, "_attempt", refuse)
    value, solved = step_of(kind, tasks, model).solve(Problem(tasks, model).at(W, B))
    assert ("CLARABEL" in solved.solver) and (solved.solver != "CLARABEL") == (through == "the chain")
    assert solved.status == "optimal" and solved.seconds > 0.25
    assert np.abs(value - expected).max() <= 2e-4 * np.abs(expected).max()


def test_a_problem_with_a_cone_goes_through_cvxpy() -> None:
    x, p = cp.Variable(2), cp.Parameter(2)
    cone = Compiled(cp.Problem(cp.Minimize(cp.norm(x - p) + cp.sum_squares(x))), step="B", what="a cone")
    for value in ([3.0, 4.0], [0.3, 0.4]):  # shrinks p by what is left of its length, at most 1/2
        solved = cone.solve({p: np.array(value)}, AUTO)
        size = float(np.linalg.norm(value))
        assert solved.status == "optimal"
        assert x.value == pytest.approx(np.array(value) * min(1.0, 0.5 / size), abs=1e-6)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_tasks_of_equal_size_are_evaluated_as_one_block(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = random_tasks(rng, loss=loss.name, counts=(9, 9, 9, 9))
    W = rng.normal(size=(tasks.d, tasks.T))
    point = Problem(tasks, model_of(loss)).at(W, np.zeros((tasks.T, tasks.T)))
    assert tasks.block is not None and random_tasks(rng).block is None
    for found, one in ((point.losses, loss.value), (point.loss_gradient, loss.gradient)):
        single = np.stack([one(task, w) for task, w in zip(tasks, W.T, strict=True)], axis=-1)
        assert found == pytest.approx(single, rel=1e-12, abs=1e-13)


def test_values_that_are_no_numbers_reach_no_solver() -> None:
    x, p = cp.Variable(), cp.Parameter()
    compiled = Compiled(cp.Problem(cp.Minimize(cp.square(x - p))), step="W", what="a test")
    with pytest.raises(DataError, match="the numbers of the W-step overflow"):
        compiled.solve({p: np.array(np.nan)}, AUTO)
