"""The three convex steps: against J as it is written, a second solver, closed forms; compiled once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from feature_draws import LOSSES, drawn_point, drawn_problem, drawn_tasks, without_feedback

from amtl_cvx.errors import DataError
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem
from amtl_cvx.features.gram import GramProblem, Quadratic, polished
from amtl_cvx.features.steps import Definition, FeedbackStep, LossStep
from amtl_cvx.solvers import Backend, compiled
from amtl_cvx.subproblems import HalfStep, Problems

ROWS: dict[str, Any] = {
    "squared": lambda z, y: cp.square(z - y),
    "logistic": lambda z, y: cp.logistic(cp.multiply(-y, z)),
    "huber:0.5": lambda z, y: cp.huber(z - y, 0.5),
    "squared-hinge": lambda z, y: cp.square(cp.pos(1 - cp.multiply(y, z))),
}


SHARED = Problems()  # each size is compiled once


def step_of(point: FeaturePoint, block: str, **how: Any) -> HalfStep:
    problem, how = point.problem, {"problems": SHARED, **how}
    if block == "A":
        return FeedbackStep.compile(problem, **how).solve(point)
    return LossStep.compile(problem, block, **how).solve(point)  # type: ignore[arg-type]


def plain_minimum(point: FeaturePoint, block: str) -> float:
    """min J over a block by CVXPY, on all rows, as SPEC section 9 has it with the others as numbers."""
    problem, model = point.problem, point.model
    x = cp.Variable(point.blocks[block].shape)
    blocks: dict[str, Any] = {**{"A": point.A}, **point.blocks, block: x}
    L, S, A = (blocks[name] for name in "LSA")
    X = np.vstack([task.X for task in problem.tasks])
    given = cp.sum(cp.abs(A), axis=1)
    losses = [
        cp.sum(ROWS[model.loss.label](task.X @ L @ S[:, t], task.y)) / task.n
        for t, task in enumerate(problem.tasks)
    ]
    J = model.mu * cp.norm1(S) + model.decay * cp.sum_squares(L)
    for t, loss in enumerate(losses):
        price = 1.0 + model.alpha * given[t] if block == "A" else 1.0 + model.alpha * np.abs(A[t]).sum()
        J += price * (float(loss.value) if block == "A" else loss)
    J += model.gamma * cp.sum_squares(X @ L - X @ L @ S @ A)
    limits = [x >= 0] if block == "A" and not model.signed else []
    return float(cp.Problem(cp.Minimize(J), limits).solve(solver="CLARABEL"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("block", ["L", "S", "A"])
def test_a_step_ends_at_the_minimum_of_J_as_it_is_written(loss: str, block: str) -> None:
    for seed, feedback in ((0, "signed"), (1, "nonnegative")):
        problem = drawn_problem(loss, seed, feedback=feedback, n=8)
        point = drawn_point(problem, seed)
        found = step_of(point, block)
        after = point.at(**{block: found.value})
        assert after.objective < point.objective and found.solved.status == "optimal"
        assert after.objective == pytest.approx(plain_minimum(point, block), rel=1e-7)
        assert problem.model.signed or (after.A >= 0.0).all()


@pytest.mark.parametrize(
    ("loss", "block", "solver"),
    [
        ("squared", "L", "SCS"),
        ("logistic", "L", "OSQP"),
        ("squared", "S", "SCS"),
        ("huber:0.5", "S", "OSQP"),
        ("squared-hinge", "S", "OSQP"),
        ("logistic", "A", "OSQP"),
    ],
)
def test_two_solvers_agree(loss: str, block: str, solver: str) -> None:
    point = drawn_point(drawn_problem(loss), 3)
    first, second = (step_of(point, block, backend=Backend(solver=name)) for name in ("CLARABEL", solver))
    assert (first.solved.solver, second.solved.solver) == ("CLARABEL", solver)
    np.testing.assert_allclose(first.value, second.value, atol=1e-6)
    np.testing.assert_array_equal(first.value == 0.0, second.value == 0.0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("block", ["L", "S"])
def test_the_definition_with_the_atom_of_the_loss_ends_there_too(loss: str, block: str) -> None:
    problem = drawn_problem(loss, 2)
    problem = problem if (loss in ("squared", "huber:0.5")) == (block == "L") else without_feedback(problem)
    point = drawn_point(problem, 2)
    fast, slow = step_of(point, block), Definition.compile(problem, block).solve(point)  # type: ignore[arg-type]
    np.testing.assert_allclose(fast.value, slow.value, atol=1e-6)
    lower, higher = (point.at(**{block: each.value}).objective for each in (fast, slow))
    assert lower <= higher * (1.0 + 1e-14)


def test_the_step_of_L_at_one_feature_a_task_is_ridge_with_weight_decay() -> None:
    tasks = drawn_tasks("squared")
    model = FeatureModel(features=tasks.T, mu=0.2, alpha=0.4, gamma=0.03, decay=0.7)
    for gamma in (0.0, 0.03):
        problem = FeatureProblem(tasks, replace(model, gamma=gamma))
        start = problem.at(L=np.ones((tasks.d, tasks.T)), S=np.eye(tasks.T), A=np.zeros((tasks.T, tasks.T)))
        found = step_of(start, "L").value
        X = np.vstack([task.X for task in tasks])
        for t, task in enumerate(tasks):
            H = task.X.T @ task.X / task.n + gamma * X.T @ X + 0.7 * np.eye(tasks.d)
            ridge = np.linalg.solve(H, task.X.T @ task.y / task.n)
            np.testing.assert_allclose(found[:, t], ridge, rtol=1e-11, atol=1e-13)


def test_the_problems_are_dpp_and_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], compiled.problem_data
    monkeypatch.setattr(compiled, "problem_data", lambda *a, **k: made.append(a[0]) or real(*a, **k))
    for problem, blocks in ((drawn_problem("logistic"), "LSA"), (without_feedback(drawn_problem()), "LS")):
        made.clear()
        point, problems = drawn_point(problem), Problems()
        for _ in range(3):
            for block in blocks:
                point = point.at(**{block: step_of(point, block, problems=problems).value})
        assert len(made) == len(problems) == len(blocks)
        assert all(each.is_dpp(quad_form_dpp="qp") for each in made)
    assert all(Definition.compile(problem, block).problem.is_dpp() for block in ("L", "S"))  # type: ignore[arg-type]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "odd",
    [
        {"k": 7, "d": 3},
        {"k": 6, "T": 3},
        {"alpha": 0.0},
        {"gamma": 0.0},
        {"alpha": 0.0, "gamma": 0.0},
        {"decay": 0.0},
        {"feedback": "nonnegative", "k": 6, "alpha": 0.0},
    ],
)
def test_steps_at_the_edges_of_a_model(odd: dict[str, Any]) -> None:
    loss = LOSSES[2 * (odd.get("gamma") is None)]
    point = drawn_point(drawn_problem(loss, 4, **odd), 4)
    for block in "LSA":
        after = point.at(**{block: step_of(point, block).value})
        assert after.objective <= point.objective
        assert after.objective == pytest.approx(plain_minimum(point, block), rel=1e-6)
        point = after
    if odd.get("gamma") == 0.0:
        assert not point.A.any()


def test_feedback_that_costs_nothing_and_tasks_that_nobody_can_read() -> None:
    tasks = drawn_tasks("squared", T=3, n=4)
    exact = [np.linalg.lstsq(task.X, task.y, rcond=None)[0] for task in tasks]  # 4, 5, 6 rows of 5 columns
    problem = FeatureProblem(tasks, FeatureModel(features=3, mu=0.1, alpha=0.3, gamma=0.5, decay=0.1))
    point = problem.at(L=np.column_stack(exact), S=np.eye(3), A=np.zeros((3, 3)))
    assert (point.prices[:2] < 1e-25).all() and point.prices[2] > 0.01
    after = point.at(A=step_of(point, "A").value)
    assert after.objective == pytest.approx(plain_minimum(point, "A"), rel=1e-8)
    np.testing.assert_allclose(after.E[:, :2], 0.0, atol=1e-9)
    dead = point.at(S=np.diag([1.0, 1.0, 0.0]), L=point.L * [1.0, 1.0, 0.0])
    for block in "LSA":
        found = step_of(dead, block).value
        assert np.isfinite(found).all() and not {"L": found[:, 2], "S": found[2], "A": found[2]}[block].any()


def test_rows_far_out_of_the_huber_loss_have_no_curvature() -> None:
    tasks = drawn_tasks("squared", T=2, n=6)
    far = [replace(task, y=1e3 + task.y) for task in tasks]
    problem = drawn_problem("huber:0.5", T=2, n=6, k=2, alpha=0.0, gamma=0.0)
    point = drawn_point(FeatureProblem(replace(tasks, tasks=tuple(far)), problem.model))
    assert not any(each.curvatures.any() for each in point.scores)
    for block in "LS":
        after = point.at(**{block: step_of(point, block).value})
        assert after.objective == pytest.approx(plain_minimum(point, block), rel=1e-7)


def test_a_step_that_does_not_fit_into_memory_is_refused() -> None:
    with pytest.raises(DataError, match="L-step with 1000000 unknowns .* learn fewer features"):
        GramProblem(10**6, step="L", priced=False)


def test_a_polish_makes_exact_what_a_solver_leaves_near_zero() -> None:
    rng = np.random.default_rng(5)
    for signed in (True, False):
        B = rng.normal(size=(6, 9))
        B /= np.linalg.norm(B, axis=1, keepdims=True)
        H, price = B @ B.T, np.full(6, 0.6)
        truth = np.array([0.7, 0.0, -0.4 if signed else 0.4, 0.0, 0.0, 1.2])
        inside = rng.uniform(-0.5, 0.5, size=6)
        g = H @ truth + 0.5 * price * np.where(
            truth != 0.0, np.sign(truth), inside
        )  # its first-order conditions
        for noise in (1e-9, 1e-3):
            rough = truth + noise * rng.normal(size=6)
            found = polished(Quadratic(H, g), price, rough, signed=signed)
            np.testing.assert_allclose(found, truth, atol=1e-14)
            np.testing.assert_array_equal(found == 0.0, truth == 0.0)


def test_a_singular_quadratic_has_an_answer() -> None:
    problem = GramProblem(3, step="L", priced=False)
    B = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    found = problem.minimise(Quadratic(B.T[:, :1] @ B[:1], np.array([2.0, 2.0, 0.0])), Backend()).value
    assert found[0] + found[1] == pytest.approx(2.0, rel=1e-8) and found[2] == 0.0
