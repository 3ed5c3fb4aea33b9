"""The simple curriculum against a plain loop over tasks, and what its certificate must reject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import WEIGHT_CASES, Array, random_tasks, task_weights, weight_id
from command_line import GIVEN, Run, arrays
from scipy.optimize import minimize

from amtl_cvx import Hinge, LossWeightedL1, MeanRegularised, Model, Options, TaskSet, fit
from amtl_cvx.curriculum import certify_simple, simple_curriculum
from amtl_cvx.curriculum.minima import Minima, Near
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.families.settings.named import named
from amtl_cvx.losses import Logistic
from amtl_cvx.problem import Problem, make_model
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.subproblems import Problems

READINGS = ("greedy", "fixed")
each_reading = pytest.mark.parametrize("reading", READINGS)


def loss_and_slope(tasks: TaskSet, model: Model, t: int, w: Array) -> tuple[float, Array]:
    """L_t(w) and its gradient, squared or logistic."""
    X, y = tasks[t].X, tasks[t].y
    scale = 1.0 / len(y) if model.loss.reduction == "mean" else 1.0
    if model.loss.name == "squared":
        r = X @ w - y
        return scale * float(r @ r), 2.0 * scale * X.T @ r
    z = y * (X @ w)
    return scale * float(np.log1p(np.exp(-z)).sum()), scale * X.T @ (-y / (1.0 + np.exp(z)))


def nearest(tasks: TaskSet, model: Model, t: int, target: Array, weight: float) -> tuple[Array, float]:
    """argmin c_t L_t(w) + weight ||w - target||^2 and its value, by SciPy."""
    c = task_weights(tasks, model)[t]

    def value(w: Array) -> tuple[float, Array]:
        loss, slope = loss_and_slope(tasks, model, t, w)
        gap = w - target
        return c * loss + weight * float(gap @ gap), c * slope + 2.0 * weight * gap

    found = minimize(value, target, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    return found.x, float(found.fun)


def literal(
    tasks: TaskSet,
    model: Model,
    reading: str,
    *,
    ridge: float | None = None,
    first: int | None = None,
) -> tuple[Array, Array, list[int], float]:
    """W, B, the order and the sum of the values, task by task; `first` overrides the first choice."""
    T, start = tasks.T, model.coupling if ridge is None else ridge
    c, zero = task_weights(tasks, model), np.zeros(tasks.d)
    alone = [nearest(tasks, model, t, zero, start)[0] for t in range(T)]
    single = [c[t] * loss_and_slope(tasks, model, t, alone[t])[0] for t in range(T)]
    W, B, order, total = np.zeros((tasks.d, T)), np.zeros((T, T)), list[int](), 0.0
    while len(order) < T:
        target, weight = (W[:, order[-1]], model.coupling) if order else (zero, start)
        found = {t: nearest(tasks, model, t, target, weight) for t in range(T) if t not in order}
        chosen = min(found, key=lambda t: found[t][1] if reading == "greedy" else single[t])
        if not order and first is not None:
            chosen = first
        W[:, chosen] = found[chosen][0]
        total += found[chosen][1]
        if order:
            B[order[-1], chosen] = 1.0
        order.append(chosen)
    return W, B, order, total


@each_reading
@pytest.mark.parametrize("weights", WEIGHT_CASES[1:], ids=weight_id)
def test_the_result_is_the_plain_loop(
    reading: Any, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.0, coupling=0.7, reduction="sum", task_weights=weights)
    W, B, order, total = literal(tasks, model, reading)
    for engine in ("cvxpy", "fast"):
        options = Options(engine=engine, reading=reading)  # type: ignore[arg-type]
        solution = fit(tasks, model, method="curriculum-simple", options=options)
        assert solution.status is Status.CERTIFIED and solution.order == tuple(order)
        np.testing.assert_array_equal(solution.B, B)
        assert np.abs(solution.W - W).max() <= 1e-7 * np.abs(W).max()
        assert solution.objective == pytest.approx(total, rel=1e-8)  # J of AMTL at mu = 0


@each_reading
def test_another_loss_and_another_ridge(reading: Any, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss="logistic", counts=(12, 9, 20, 11))
    model = make_model(loss="logistic", mu=0.3, coupling=0.1)
    W, B, order, _ = literal(tasks, model, reading, ridge=0.02)
    solution = fit(tasks, model, method="curriculum-simple", options=Options(reading=reading, ridge=0.02))
    assert solution.status is Status.CERTIFIED and solution.order == tuple(order)
    np.testing.assert_array_equal(solution.B, B)
    assert np.abs(solution.W - W).max() <= 1e-6 * np.abs(W).max()
    assert solution.model.mu == 0.0 and solution.facts["reading"] == reading


def test_the_readings_differ_where_a_small_loss_needs_a_large_predictor() -> None:
    """One feature and row: min (x w - y)^2 + w^2 is y^2 / (x^2 + 1), the loss there y^2 / (x^2 + 1)^2."""
    x, y = np.array([3.0, 1.0]), np.array([2.1, 1.0])
    tasks = TaskSet.from_arrays([[[value]] for value in x], [[value] for value in y])
    model = make_model(mu=0.0, coupling=1.0)
    assert np.argmin(y**2 / (x**2 + 1)) == np.argmin(y**2 / (x**2 + 1) ** 2) == 0
    y[0] = 2.5
    tasks = TaskSet.from_arrays([[[value]] for value in x], [[value] for value in y])
    assert np.argmin(y**2 / (x**2 + 1)) == 1 and np.argmin(y**2 / (x**2 + 1) ** 2) == 0
    orders = [simple_curriculum(tasks, model, Options(reading=reading)).order for reading in READINGS]  # type: ignore[arg-type]
    assert orders == [(1, 0), (0, 1)]


@pytest.fixture(scope="module", params=READINGS)
def learned(request: pytest.FixtureRequest) -> tuple[TaskSet, Model, Solution]:
    tasks = random_tasks(np.random.default_rng(3), loss="logistic", counts=(12, 14, 20, 9))
    model = make_model(loss="logistic", mu=0.0, coupling=0.2)
    return tasks, model, simple_curriculum(tasks, model, Options(reading=request.param))


def judged(tasks: TaskSet, model: Model, solution: Solution, W: Array, B: Array, order: Any) -> Any:
    return certify_simple(tasks, model, W, B, order, reading=solution.facts["reading"])


def test_a_changed_result_is_rejected(learned: tuple[TaskSet, Model, Solution]) -> None:
    tasks, model, solution = learned
    W, B, order = solution.W, solution.B, solution.order or ()
    found = judged(tasks, model, solution, W, B, order)
    assert found.passes and any(line.startswith("No other choice") for line in found.sentences())
    for t in range(4):
        moved = W.copy()
        moved[:, t] *= 1 + 1e-6
        assert not judged(tasks, model, solution, moved, B, order).passes
    chain = list(zip(order, order[1:], strict=False))
    changes = [(chain[0], 1 - 1e-9), (chain[-1], 0.0), ((order[0], order[2]), 0.1), ((order[1], order[0]), 1)]
    for place, value in changes:
        other = B.copy()
        other[place] = value
        found = judged(tasks, model, solution, W, other, order)
        assert not found.passes and found.level is None and "an edge of 1" in found.verdict()
    for other_order in (order[::-1], order[:-1], (order[1], order[0], *order[2:])):
        assert not judged(tasks, model, solution, W, B, other_order).passes
    assert not certify_simple(
        tasks, replace(model, coupling=0.21), W, B, order, reading=solution.facts["reading"]
    ).passes


@each_reading
def test_a_wrong_choice_is_rejected_though_every_step_is_right(
    reading: str, rng: np.random.Generator
) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.0, coupling=0.7)
    W, B, order, _ = literal(tasks, model, reading)
    assert certify_simple(tasks, model, W, B, tuple(order), reading=reading, tol=1e-6).passes
    for first in order[1:]:
        W, B, other, _ = literal(tasks, model, reading, first=first)
        found = certify_simple(tasks, model, W, B, tuple(other), reading=reading, tol=1e-6)
        assert not found.passes and found.relative_W <= 1e-6 < found.relative_B and found.gap_B > 0.0


def test_the_bound_of_a_waiting_task_is_none_above_its_minimum(rng: np.random.Generator) -> None:
    """Where no row says anything, value - ||gradient||^2 / (4 weight) is the minimum, c_t L_t(0)."""
    tasks, model = random_tasks(rng), make_model(mu=0.0, coupling=0.7)
    empty = TaskSet(tasks=tuple(replace(task, X=0.0 * task.X) for task in tasks))
    near, W = Near(rng.normal(size=6), 0.7), rng.normal(size=(6, 4))
    bound = Minima(Problem(empty, model)).least(near, W, range(4))
    np.testing.assert_allclose(bound, [float(np.mean(task.y**2)) for task in tasks], rtol=1e-12)
    bound = Minima(Problem(tasks, model)).least(near, W, [2, 0])
    least = [nearest(tasks, model, t, near.target, 0.7)[1] for t in (2, 0)]
    assert (bound <= least).all() and (bound > -np.inf).all()


def test_ties_go_to_the_smallest_index(rng: np.random.Generator) -> None:
    one = random_tasks(rng, counts=(9,))[0]
    tasks = TaskSet(tasks=tuple(replace(one, name=f"copy {t}") for t in range(3)))
    for reading in READINGS:
        solution = simple_curriculum(tasks, make_model(mu=0.0, coupling=0.7), Options(reading=reading))  # type: ignore[arg-type]
        assert solution.order == (0, 1, 2) and solution.status is Status.CERTIFIED


def test_no_step_compiles_anew(rng: np.random.Generator) -> None:
    problems = Problems()
    tasks = random_tasks(rng)
    for coupling in (0.1, 1.0):
        options = Options(problems=problems)
        solution = simple_curriculum(tasks, make_model(mu=0.0, coupling=coupling), options)
        assert solution.status is Status.CERTIFIED and len(problems) == 1


def test_an_interruption_is_a_status_and_goes_on(rng: np.random.Generator) -> None:
    def stop(record: Record) -> None:
        if record.round == 2:
            raise KeyboardInterrupt

    tasks, model = random_tasks(rng), make_model(mu=0.0, coupling=0.7)
    half = simple_curriculum(tasks, model, Options(callback=stop, reading="fixed"))
    assert half.status is Status.INTERRUPTED and len(half.order or ()) == 2 and not half.certificate.passes
    whole = simple_curriculum(tasks, model, Options(reading="fixed"))
    on = simple_curriculum(tasks, model, Options(start=half.state, reading="fixed"))
    np.testing.assert_array_equal(on.W, whole.W)
    assert on.order == whole.order
    with pytest.raises(ModelError, match="learned with reading 'fixed'"):
        simple_curriculum(tasks, model, Options(start=half.state))


def test_what_it_cannot_learn_is_refused(rng: np.random.Generator) -> None:
    tasks, edges = random_tasks(rng, loss="logistic"), LossWeightedL1(mu=0.0)
    for model, words in (
        (Model(loss=Hinge(), transfer=edges, coupling=1.0), "needs a loss with a gradient"),
        (Model(loss=Logistic(), coupling=0.0), "needs a coupling > 0"),
        (
            Model(loss=Logistic(), transfer=edges, coupling=1.0, omega=MeanRegularised(rho=1.0)),
            "knows no penalty on W",
        ),
    ):
        with pytest.raises(ModelError, match=words):
            simple_curriculum(tasks, model, Options())
    with pytest.raises(ModelError, match="reading must be 'greedy' or 'fixed', got 'lazy'"):
        Options(reading="lazy")  # type: ignore[arg-type]
    model = make_model(loss="logistic", mu=0.0, coupling=1.0)
    with pytest.raises(DataError, match="order must list"):
        certify_simple(tasks, model, np.zeros((6, 4)), np.zeros((4, 4)), (0, 0, 1, 2))


def test_by_its_name_with_its_parameters(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    method, parameters = named("curriculum-simple"), {"coupling": 0.7, "reading": "fixed"}
    found = Candidate(method=method, parameters=parameters, settings={"ridge": 0.1}).fit(tasks)
    _, _, order, _ = literal(tasks, make_model(mu=0.0, coupling=0.7), "fixed", ridge=0.1)
    assert found.order == tuple(order) and found.facts["reading"] == "fixed" and found.ridge == 0.1


def test_on_the_command_line(run: Run) -> None:
    np.savez("a.npz", **arrays())
    how = ("--method", "curriculum-simple", "--reading", "fixed", "--ridge", "0.3")
    answer = run("fit", "a.npz", "--out", "chain", *GIVEN, *how)
    assert answer.code == 0 and "2 edges" in answer.out
    assert run("certify", "a.npz", "chain").code == 0
    assert run("certify", "a.npz", "chain", "--ridge", "0.9").code == 1
    Path("chain/run.json").write_text(Path("chain/run.json").read_text().replace('"fixed"', '"sorted"'))
    answer = run("certify", "a.npz", "chain")
    assert answer.code == 2 and "arguments.reading must be greedy or fixed" in answer.err
