"""The certificate: its figures against literal loops and second solvers, and what it must reject."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import literal
import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    Array,
    loss_id,
    random_tasks,
    random_transfer,
    ridge,
    single_task_W,
    tasks_for,
)
from certified_points import Point, amtl, certified_point, concluded, every_loss
from scipy.optimize import nnls

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import (
    certify,
    residuals,
    transfer_gap,
)
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Problem, make_model
from amtl_cvx.subproblems import WeightStep, compile_transfer_step
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture(params=LOSS_CASES, ids=loss_id)
def certified(request: pytest.FixtureRequest) -> Point:
    return certified_point(request.param)


@every_loss
def test_residuals_are_the_literal_loops(loss: Loss, rng: np.random.Generator) -> None:
    tasks, model = tasks_for(loss, rng, counts=(4, 9, 14, 3)), amtl(loss)
    W, B = rng.normal(size=(6, 4)), random_transfer(rng, 4)
    assert literal.residual(tasks, model, W, B).agrees(residuals(Problem(tasks, model).at(W, B)))


def on_an_edge(B: Array, change: Callable[[float], float]) -> Array:
    C = B.copy()
    place = np.unravel_index(np.argmax(C), C.shape)
    C[place] = change(float(C[place]))
    return C


def test_the_certificate_of_a_first_order_point(certified: Point) -> None:
    tasks, model, W, B = certified
    found = certify(Problem(tasks, model).at(W, B))
    assert found.passes and found.level == "C2" and found.kind == "joint"
    assert found.objective == pytest.approx(model.objective(tasks, W, B), rel=1e-14)
    assert found.sigma_min == pytest.approx(np.linalg.norm(np.eye(4) - B, -2), rel=1e-9)
    assert found.gap_W_exact == (model.loss.name == "squared")
    assert "passes" in found.verdict()


REJECTED: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "W moved": lambda W, B: (W * (1 + 1e-5), B),
    "one weight moved": lambda W, B: (W + 1e-5 * np.eye(*W.shape) * np.abs(W).max(), B),
    "sign of W flipped": lambda W, B: (-W, B),
    "sign of a predictor flipped": lambda W, B: (W * np.array([1, -1, 1, 1]), B),
    "B moved": lambda W, B: (W, B * (1 + 1e-5)),
    "one edge moved": lambda W, B: (W, on_an_edge(B, lambda b: b * (1 + 1e-4))),
    "one edge dropped": lambda W, B: (W, on_an_edge(B, lambda b: 0.0)),
    "sign of an edge flipped": lambda W, B: (W, on_an_edge(B, lambda b: -b)),
    "B transposed": lambda W, B: (W, B.T),
    "no edges": lambda W, B: (W, 0 * B),
    "negative entry": lambda W, B: (W, on_an_edge(B, lambda b: b) - 1e-12 * (B <= 0) * (1 - np.eye(4))),
    "diagonal": lambda W, B: (W, B + 1e-12 * np.eye(4)),
    "tasks of W exchanged": lambda W, B: (W[:, [1, 0, 2, 3]], B),
    "zero": lambda W, B: (0 * W, 0 * B),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("change", list(REJECTED))
def test_a_changed_point_is_rejected(certified: Point, change: str) -> None:
    tasks, model, W, B = certified
    V, C = REJECTED[change](W, B)
    found = certify(Problem(tasks, model).at(V, C))
    assert not found.passes and found.level != "C2"
    if change in ("negative entry", "diagonal", "sign of an edge flipped"):
        assert found.feasibility > 0 and found.level is None and found.gap_B is None
        assert "not feasible" in found.verdict()


def test_another_problem_is_rejected(certified: Point) -> None:
    tasks, model, W, B = certified
    other = "sum" if model.loss.reduction == "mean" else "mean"
    changed = [
        replace(model, coupling=1.01 * model.coupling),
        replace(model, transfer=LossWeightedL1(mu=1.01 * model.mu)),
        replace(model, task_weights="inverse-sqrt"),
        replace(model, loss=replace(model.loss, reduction=other)),  # type: ignore[type-var]
    ]
    for another in changed:
        assert not certify(Problem(tasks, another).at(W, B)).passes


def test_prices_of_stale_losses_are_rejected(certified: Point) -> None:
    """B from the losses of the single-task W, W for that B: both steps right, the pair wrong."""
    tasks, model, _, _ = certified
    start = single_task_W(tasks, model)
    B = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(start, np.zeros((4, 4)))).value
    W = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(start, B)).value
    found = certify(Problem(tasks, model).at(W, B))
    assert found.relative_W <= 1e-8 < found.relative_B and not found.passes


def test_permuting_the_tasks_changes_nothing(certified: Point) -> None:
    tasks, model, W, B = certified
    order = np.array([2, 0, 3, 1])
    permuted = TaskSet(tasks=tuple(tasks[t] for t in order))
    for V, C in ((W, B), (W * 1.1, B), (W, B * 1.1)):
        before, after = (
            certify(Problem(tasks, model).at(V, C)),
            certify(Problem(permuted, model).at(V[:, order], C[np.ix_(order, order)])),
        )
        assert after.passes == before.passes and after.edges == before.edges
        assert after.objective == pytest.approx(before.objective, rel=1e-12)
        assert after.relative == pytest.approx(before.relative, rel=1e-3, abs=1e-12)
        assert after.gap_B == pytest.approx(before.gap_B, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_scaling_y_changes_no_verdict(scale: float, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.02, coupling=0.7)
    scaled = TaskSet(tasks=tuple(replace(task, y=scale * task.y) for task in tasks))
    solution = alternate(tasks, model, Options(max_rounds=25))
    for W, B in (
        (solution.W, solution.B),
        (solution.W * (1 + 1e-6), solution.B),
        (solution.W, solution.B * 1.01),
    ):
        before, after = (
            certify(Problem(tasks, model).at(W, B)),
            certify(Problem(scaled, model).at(scale * W, B)),
        )
        assert after.passes == before.passes and after.level == before.level
        assert after.relative == pytest.approx(before.relative, rel=1e-4, abs=1e-12)


def test_an_edge_out_of_a_task_without_predictor_is_rejected(rng: np.random.Generator) -> None:
    """w_s = 0, p_s > 0: the edge costs p_s B[s, t] and helps nobody."""
    tasks, model = random_tasks(rng, counts=(9, 14)), make_model(mu=10.0, coupling=0.7)
    X, y = np.round(tasks[0].X[:6]), np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    balanced = replace(
        tasks[0], X=np.vstack([X, X]), y=np.concatenate([y, -y]), count=12
    )  # X'y = 0, so w = 0
    tasks = TaskSet(tasks=(balanced, tasks[1]))
    W = ridge(tasks, model)
    assert np.abs(W[:, 0]).max() <= 1e-15
    W[:, 0] = 0.0
    assert certify(Problem(tasks, model).at(W, np.zeros((2, 2)))).passes
    found = certify(Problem(tasks, model).at(W, np.array([[0.0, 0.1], [0.0, 0.0]])))
    assert not found.passes and found.relative_B > 1e-3 and found.gap_B is not None
    assert found.gap_B >= 0.1 * model.mu * model.losses(tasks, W)[0] * (1 - 1e-9)


@pytest.mark.parametrize(
    ("W", "B"),
    [
        (np.full((6, 4), np.nan), np.zeros((4, 4))),
        (np.zeros((6, 4)), np.full((4, 4), np.inf)),
        (np.zeros((4, 6)), np.zeros((4, 4))),
        (np.zeros((6, 4)), np.zeros((3, 3))),
        (np.zeros(24), np.zeros((4, 4))),
    ],
)
def test_wrong_shapes_and_numbers_are_bad_data(W: Array, B: Array, rng: np.random.Generator) -> None:
    with pytest.raises(DataError):
        certify(Problem(random_tasks(rng), make_model(mu=0.1, coupling=1.0)).at(W, B))


def test_settings_out_of_range_are_refused(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.1, coupling=1.0)
    with pytest.raises(ModelError, match="tol"):
        certify(Problem(tasks, model).at(np.zeros((6, 4)), np.zeros((4, 4))), tol=0.0)
    with pytest.raises(ModelError, match="kind"):
        certify(Problem(tasks, model).at(np.zeros((6, 4)), np.zeros((4, 4))), kind="global")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_single_task_is_judged_as_ridge(reduction: str, rng: np.random.Generator) -> None:
    tasks, zero = random_tasks(rng), np.zeros((4, 4))
    model = make_model(mu=0.001, coupling=0.7, reduction=reduction)
    W = ridge(tasks, model)
    found = certify(Problem(tasks, model).at(W, zero), kind="single-task")
    assert (
        found.passes
        and found.level == "C5"
        and found.gap_B is None
        and "fixed at 0" in found.reasons["gap_B"]
    )
    assert found.relative <= 1e-12 < found.joint_relative
    assert not certify(Problem(tasks, model).at(W, zero), kind="joint").passes
    assert not certify(Problem(tasks, model).at(W * (1 + 1e-6), zero), kind="single-task").passes
    edge = zero.copy()
    edge[0, 1] = 1e-9
    assert not certify(Problem(tasks, model).at(W, edge), kind="single-task").passes


@pytest.mark.parametrize(
    ("changed", "level", "passes"),
    [
        ({}, "C2", True),
        ({"feasibility": 1e-300}, None, False),
        ({"relative": 2e-8}, "C1", False),
        ({"relative": math.inf}, "C1", False),
        ({"relative": math.nan}, "C1", False),
        ({"gaps": (9e-8, 2e-8), "gain_W": 9e-8}, "C0", False),
        ({"gaps": (1.0, 1e-9), "gain_W": 1.0}, "C0", False),
        ({"gaps": (1.0, 1e-9), "gap_W_exact": False}, "C2", True),
        ({"gain_W": None}, "C0", False),
        ({"gain_W": math.inf}, "C0", False),
        ({"gaps": (None, 1e-9)}, "C2", True),
        ({"gaps": (None, 1e-9), "relative": 1.0}, "C1", False),
        ({"gaps": (None, 1e-9), "relative": 1.0, "gain_W": None}, "C0", False),
        ({"gaps": (1e-9, None), "relative": 1.0}, "C0", False),
        ({"gaps": (1e-9, None), "relative": 1.0, "kind": "single-task"}, "C1", False),
        ({"gaps": (1e-9, math.nan)}, "C0", False),
    ],
)
def test_levels(changed: dict[str, object], level: str | None, passes: bool) -> None:
    found = concluded(**changed)
    assert (found.level, found.passes) == (level, passes)


def test_the_dictionary_is_json(certified: Point) -> None:
    tasks, model, W, B = certified
    for found in (
        certify(Problem(tasks, model).at(W, B)),
        certify(Problem(tasks, model).at(W, -B)),
        concluded(relative=math.inf),
    ):
        data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        figures = [
            "stationarity_W",
            "stationarity_B",
            "relative_W",
            "relative_B",
            "relative",
            "feasibility",
            "gap_W",
            "gap_B",
            "gain_W",
        ]
        assert {"kind", "objective", "tol", "passes", "level", "edges", *figures} <= set(data)
    assert data["relative"] is None


def test_a_perfect_fit_at_mu_zero_is_judged(rng: np.random.Generator) -> None:
    """J is small but no figure divides by zero: every column is the non-negative least-squares solution."""
    tasks, model = random_tasks(rng), make_model(mu=0.0, coupling=0.7)
    W, B = ridge(tasks, model), np.zeros((4, 4))
    for t in range(4):
        others = np.arange(4) != t
        B[others, t] = nnls(W[:, others], W[:, t])[0]
    gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
    assert gap is not None and gap <= 1e-10
    assert residuals(Problem(tasks, model).at(W, B)).relative_B <= 1e-12
