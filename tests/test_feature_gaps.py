"""Gaps of the blocks of shared features: never below what other solvers gain, and nothing at solutions."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import Array
from feature_points import drawn_problem, first_order

from amtl_cvx.features import FeaturePoint, FeatureProblem
from amtl_cvx.features.gaps import gap

SMOOTH = ("squared", "logistic", "huber:0.8", "squared-hinge", "poisson")


def anywhere(problem: FeatureProblem, seed: int, *, sparse: bool = True) -> FeaturePoint:
    rng = np.random.default_rng(seed)
    blocks = {name: 0.4 * rng.normal(size=shape) for name, shape in problem.shapes.items()}
    if sparse:
        blocks = {name: block * (rng.random(block.shape) < 0.7) for name, block in blocks.items()}
    if "A" in blocks and not problem.model.signed:
        blocks["A"] = np.abs(blocks["A"])
    return problem.at(**blocks)


def rows_of(problem: FeatureProblem) -> Array:
    return np.vstack([task.X for task in problem.tasks])


def gained(name: str, point: FeaturePoint) -> float:
    """What a move of one block gains, by Clarabel from the definition of J."""
    model, problem, T = point.model, point.problem, point.tasks.T
    X, variable = rows_of(problem), cp.Variable(point.blocks[name].shape)
    L, S, A = (variable if name == each else getattr(point, each) for each in ("L", "S", "A"))
    c, price = problem.task_weight, model.alpha * problem.floor
    given = [cp.norm1(A[t, :]) for t in range(T)]
    losses = [model.loss.expression(task, L @ S[:, t]) for t, task in enumerate(point.tasks)]
    if name == "A":
        terms = [(1.0 + model.alpha * given[t]) * c[t] * float(point.losses[t]) for t in range(T)]
    else:
        terms = [c[t] * (1.0 + model.alpha * given[t].value) * losses[t] for t in range(T)]
    J = sum(terms) + sum(price[t] * given[t] for t in range(T)) + model.mu * cp.sum(cp.abs(S))
    J += problem.gamma * cp.sum_squares(X @ L - X @ L @ S @ A) + model.decay * cp.sum_squares(L)
    signs = [variable >= 0] if name == "A" and not model.signed else []
    accuracy = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)
    cp.Problem(cp.Minimize(J), signs).solve("CLARABEL", **accuracy)
    best = np.maximum(variable.value, 0.0) if signs else variable.value
    return point.objective - point.at(**{name: best}).objective  # attained, however well it was solved


def gained_by_least_squares(point: FeaturePoint) -> float:
    """What a move of L gains under the squared loss: one least-squares problem in all its entries."""
    model, problem = point.model, point.problem
    c, given = problem.task_weight, np.abs(point.A).sum(axis=1)
    M = np.eye(len(point.S)) - point.S @ point.A
    parts, targets = [], []
    for t, task in enumerate(point.tasks):
        root = np.sqrt(c[t] * (1.0 + model.alpha * given[t]) / len(task.y))
        parts.append(root * np.kron(point.S[:, t], task.X))  # vec(L), column after column
        targets.append(root * task.y)
    parts.append(np.sqrt(problem.gamma) * np.kron(M.T, rows_of(problem)))
    parts.append(np.sqrt(model.decay) * np.eye(point.L.size))
    design = np.vstack(parts)
    target = np.concatenate([*targets, np.zeros(len(design) - sum(map(len, targets)))])
    best = np.linalg.lstsq(design, target, rcond=None)[0]
    return float(((design @ point.L.T.ravel() - target) ** 2).sum() - ((design @ best - target) ** 2).sum())


@pytest.mark.parametrize("decay", [0.02, 0.0])
def test_the_gap_of_L_is_exact_for_the_squared_loss(decay: float) -> None:
    point = anywhere(drawn_problem(decay=decay, price_floor=0.1, gamma_per="row", gamma=2.0), 0)
    found = gap("L", point)
    true = gained_by_least_squares(point)
    assert found.by == "curvature" and found.value == pytest.approx(true, rel=1e-9) and found.value >= true


def test_the_gap_of_L_sees_only_what_rows_see() -> None:
    """Five columns, the last two of them sums of others, and no decay: H is singular, the gain is not."""
    problem = drawn_problem(d=5, decay=0.0)
    X = [
        np.column_stack([task.X[:, :3], task.X[:, :3] @ [[1.0, 0], [1, 2], [0, 1e3]]])
        for task in problem.tasks
    ]
    tasks = type(problem.tasks).from_arrays(X, [task.y for task in problem.tasks])
    point = anywhere(FeatureProblem(tasks, problem.model), 1)
    found = gap("L", point)
    assert found.value == pytest.approx(gained_by_least_squares(point), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("L", {"loss": "logistic"}),
        ("S", {}),
        ("S", {"loss": "logistic", "go_mtl": True}),
        ("A", {"price_floor": 0.1, "gamma": 0.3}),
        ("A", {"feedback": "nonnegative", "gamma": 0.3}),
    ],
    ids=str,
)
def test_a_gap_is_no_less_than_what_clarabel_gains(name: str, options: dict[str, Any]) -> None:
    point = anywhere(drawn_problem(**options), 2)
    found, true = gap(name, point).value, gained(name, point)
    assert found is not None and true > 1e-3 and found >= true * (1.0 - 1e-7)


@pytest.mark.parametrize(
    "options", [{}, {"loss": "logistic", "feedback": "nonnegative"}, {"go_mtl": True}], ids=str
)
def test_gaps_are_nothing_at_a_first_order_point(options: dict[str, Any]) -> None:
    point = first_order(**options)
    for name in point.blocks:
        found = gap(name, point).value
        assert found is not None and 0.0 <= found < 1e-10 * point.objective


def test_free_feedback_gains_a_projection() -> None:
    """alpha = 0: the best A is least squares, column by column."""
    point = anywhere(drawn_problem(alpha=0.0, features=4, gamma=0.7), 3, sparse=False)
    Z = rows_of(point.problem) @ point.L
    best = np.linalg.lstsq(Z @ point.S, Z, rcond=None)[0]
    true = 0.7 * float(((Z - Z @ point.S @ point.A) ** 2).sum() - ((Z - Z @ point.S @ best) ** 2).sum())
    assert gap("A", point).value == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-12, 1e-15, 1e-18, 1e-300])
def test_free_feedback_makes_use_of_what_is_next_to_nothing(size: float) -> None:
    """A row of S may be as small as rounding: a large A makes up for it, and all of E is there to gain."""
    problem = drawn_problem(alpha=0.0, features=2, gamma=0.7)
    point = anywhere(problem, 3, sparse=False)
    S = point.S * np.array([[1.0], [size]])
    A = np.outer(S[0] / (S[0] @ S[0]), [1.0, 0.0])  # the first feature is reconstructed, the second is not
    there = point.at(S=S, A=A)
    true = 0.7 * float((there.E**2).sum())
    found = gap("A", there).value
    assert found is not None and true > 0.1 and true * (1.0 - 1e-9) <= found <= true * (1.0 + 1e-6)


def test_free_feedback_that_must_not_be_negative_gains_no_more() -> None:
    point = anywhere(drawn_problem(alpha=0.0, features=4, gamma=0.7, feedback="nonnegative"), 3, sparse=False)
    found, true = gap("A", point).value, gained("A", point)
    assert found == pytest.approx(true, rel=1e-6)


def test_a_task_without_loss_gives_for_free() -> None:
    """l_0 = 0 beside tasks with a price: its part is projected out, the others keep their boxes."""
    problem = drawn_problem(gamma=0.7, features=4)
    point = anywhere(problem, 4, sparse=False)
    y = [task.X @ point.W[:, t] if t == 0 else task.y for t, task in enumerate(problem.tasks)]
    tasks = type(problem.tasks).from_arrays([task.X for task in problem.tasks], y)
    point = FeatureProblem(tasks, problem.model).at(**point.blocks)
    found, true = gap("A", point).value, gained("A", point)
    assert point.prices[0] < 1e-25 and found is not None and true * (1 - 1e-7) <= found < 2.0 * true


def test_what_there_is_no_bound_for_is_said() -> None:
    assert gap("A", first_order(go_mtl=True)).reason == "GO-MTL has no A"
    problem = drawn_problem("logistic", gamma=0.0, decay=0.0, d=5, rows=2)
    found = gap("L", anywhere(problem, 0))
    assert found.value is None and "decay is 0" in found.reason


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("loss", SMOOTH)
def test_no_gap_is_below_what_clarabel_gains(loss: str) -> None:
    for seed in range(100):
        go_mtl, nonnegative = seed % 5 == 4, seed % 2 == 1
        options = {"go_mtl": go_mtl, "feedback": "nonnegative" if nonnegative else "signed", "gamma": 0.2}
        point = anywhere(drawn_problem(loss, seed=seed, **options), seed)
        name = (("L", "S", "A"), ("L", "S"))[go_mtl][seed % (3 - go_mtl)]
        found = gap(name, point).value
        assert found is not None and found >= gained(name, point) - 1e-10 * point.objective
