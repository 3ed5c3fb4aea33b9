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
    NONSMOOTH_CASES,
    Array,
    SourceGroupL2,
    loss_id,
    random_tasks,
    random_transfer,
    ridge,
    single_task_W,
    tasks_for,
)
from mpmath import mp
from scipy.optimize import minimize, nnls

from amtl_cvx import certificate
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import (
    Certificate,
    certify,
    conclude,
    residuals,
    transfer_evidence,
    transfer_gap,
    weight_gap,
    weights,
)
from amtl_cvx.certificate.columns import why_gap
from amtl_cvx.certificate.escape import Growth, change
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Hinge, Loss, Poisson, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.subproblems import WeightStep, compile_transfer_step
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
Point = tuple[TaskSet, Model, Array, Array]


def amtl(loss: Loss, mu: float = 0.05, coupling: float = 0.7) -> Model:
    return Model(
        loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling, task_weights=(0.5, 2.0, 1.0, 0.25)
    )


@every_loss
def test_residuals_are_the_literal_loops(loss: Loss, rng: np.random.Generator) -> None:
    tasks, model = tasks_for(loss, rng, counts=(4, 9, 14, 3)), amtl(loss)
    W, B = rng.normal(size=(6, 4)), random_transfer(rng, 4)
    assert literal.residual(tasks, model, W, B).agrees(residuals(Problem(tasks, model).at(W, B)))


def column_dual(model: Model, W: Array, B: Array, prices: Array, t: int) -> tuple[float, float, Array]:
    """Primal and dual value of one column as CERTIFICATES section 2 defines them, and the dual point."""
    lam, others = model.coupling, [s for s in range(len(B)) if s != t]
    A, w, b, p = W[:, others], W[:, t], B[others, t], prices[others]
    r = w - A @ b
    pull = A.T @ r
    s = min([max(0.0, r @ w / (r @ r))] + [p[j] / (2 * lam * pull[j]) for j in range(len(b)) if pull[j] > 0])
    theta = s * 2 * lam * r
    assert (A.T @ theta <= p * (1 + 1e-12)).all()
    return lam * (r @ r) + p @ b, float(theta @ w - theta @ theta / (4 * lam)), theta


@every_loss
def test_gap_B_is_primal_minus_dual_and_bounds_the_distance_to_the_optimum(
    loss: Loss, rng: np.random.Generator
) -> None:
    tasks, model = tasks_for(loss, rng), amtl(loss, mu=0.3)
    for _ in range(5):
        W, B = rng.normal(size=(6, 4)) + 1.0, random_transfer(rng, 4, 0.2)
        prices = model.mu * model.weighted_losses(tasks, W)
        total, least = 0.0, 0.0
        for t in range(4):
            primal, dual, _ = column_dual(model, W, B, prices, t)
            others = np.arange(4) != t
            A, w, p = W[:, others], W[:, t], prices[others]
            shift = A @ np.linalg.solve(A.T @ A, p) / (2.0 * model.coupling)  # the price, squared in
            b = nnls(A, w - shift)[0]
            optimum = model.coupling * float(((w - A @ b) ** 2).sum()) + float(p @ b)
            assert dual <= optimum * (1 + 1e-7)
            total, least = total + primal - dual, least + primal - optimum
        gap, reason = transfer_gap(Problem(tasks, model).at(W, B))
        assert gap is not None and reason == ""
        assert (
            least * (1 - 1e-6) <= gap <= total * (1 + 1e-9)
        )  # the better of two bounds, the first of which is this


def test_weak_duality_of_the_b_step_at_random_points(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), amtl(Squared(), mu=0.2)
    W = rng.normal(size=(6, 4)) + 1.0
    step = compile_transfer_step(tasks, model)
    best = model.objective(tasks, W, step.solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value)
    for _ in range(50):
        B = random_transfer(rng, 4, 10.0 ** rng.uniform(-3, 1))
        gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
        assert gap is not None and model.objective(tasks, W, B) - gap <= best * (1 + 1e-10)


@pytest.mark.parametrize("free", [(0,), (0, 2), (0, 1, 2, 3)])
def test_free_edges_have_a_finite_bound_that_holds(free: tuple[int, ...], rng: np.random.Generator) -> None:
    """Tasks without loss make p_s = 0: the scaled dual point is 0 there, the box bound is not."""
    W = rng.normal(size=(6, 4)) + 1.0
    tasks = random_tasks(rng)
    fitted = [replace(task, y=task.X @ W[:, t]) if t in free else task for t, task in enumerate(tasks)]
    tasks, model = TaskSet(tasks=tuple(fitted)), amtl(Squared(), mu=0.2)
    prices = model.mu * model.weighted_losses(tasks, W)
    assert (prices[list(free)] <= 1e-25).all()
    best = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value
    gap, _ = transfer_gap(Problem(tasks, model).at(W, best))
    assert gap is not None and gap <= 1e-7 * model.objective(tasks, W, best)
    for _ in range(20):
        B = random_transfer(rng, 4, 10.0 ** rng.uniform(-2, 0.5))
        gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
        rise = model.objective(tasks, W, B) - model.objective(tasks, W, best)
        assert gap is not None and gap >= rise * (1 - 1e-9)


def test_collinear_free_edges_have_the_best_bound(rng: np.random.Generator) -> None:
    """T - 1 > d and mu = 0: nothing bounds B, but the gain is known, by non-negative least squares."""
    tasks = random_tasks(rng, d=2, counts=(9, 9, 9, 9))
    for _ in range(10):
        model, W = make_model(mu=0.0, coupling=0.7), rng.normal(size=(2, 4)) + 1.0
        gap, _ = transfer_gap(Problem(tasks, model).at(W, np.zeros((4, 4))))
        others = [[s for s in range(4) if s != t] for t in range(4)]
        rests = [nnls(W[:, kept], W[:, t])[1] for t, kept in enumerate(others)]
        gain = 0.7 * ((W**2).sum() - sum(rest**2 for rest in rests))
        assert gap == pytest.approx(gain, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_squared_loss_is_the_exact_distance_to_the_optimum(
    reduction: str, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.3, coupling=0.7, reduction=reduction)
    B = random_transfer(rng, 4)
    best = literal_minimum(tasks, model, B)
    for _ in range(5):
        W = best + 10.0 ** rng.uniform(-3, 0) * rng.normal(size=best.shape)
        gap, exact, _ = weight_gap(Problem(tasks, model).at(W, B))
        rise = model.objective(tasks, W, B) - model.objective(tasks, best, B)
        assert exact and gap == pytest.approx(rise, rel=1e-6)


def literal_minimum(tasks: TaskSet, model: Model, B: Array) -> Array:
    """argmin over W by least squares on the stacked rows of every term of J."""
    T, d = tasks.T, tasks.d
    rows, right = [], []
    for t, task in enumerate(tasks):
        weight = 1.0 + model.mu * B[t].sum()
        weight /= len(task.y) if model.loss.reduction == "mean" else 1
        block = np.zeros((len(task.y), T * d))
        block[:, t * d : (t + 1) * d] = task.X
        rows.append(math.sqrt(weight) * block)
        right.append(math.sqrt(weight) * task.y)
    rows.append(math.sqrt(model.coupling) * np.kron((np.eye(T) - B).T, np.eye(d)))
    right.append(np.zeros(T * d))
    return np.linalg.lstsq(np.vstack(rows), np.concatenate(right))[0].reshape(T, d).T


def test_gap_W_of_a_large_squared_problem_is_a_bound(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model, B = random_tasks(rng), make_model(mu=0.3, coupling=0.7), random_transfer(rng, 4)
    best = literal_minimum(tasks, model, B)
    W = best + 0.1 * rng.normal(size=best.shape)
    exact, was_exact, _ = weight_gap(Problem(tasks, model).at(W, B))
    monkeypatch.setattr(weights, "DENSE_LIMIT", 0)
    bound, is_exact, _ = weight_gap(Problem(tasks, model).at(W, B))
    assert was_exact and not is_exact and exact is not None and bound is not None and bound >= exact


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_logistic_loss_bounds_the_distance_to_the_optimum(
    reduction: str, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, loss="logistic")
    model = make_model(loss="logistic", reduction=reduction, mu=0.3, coupling=0.7)
    B = random_transfer(rng, 4)

    def value(x: Array) -> float:
        return model.objective(tasks, x.reshape(6, 4), B)

    def slope(x: Array) -> Array:
        return model.gradient_W(tasks, x.reshape(6, 4), B).ravel()

    best = minimize(value, np.zeros(24), jac=slope, method="BFGS", options={"gtol": 1e-6}).fun
    for _ in range(10):
        W = 10.0 ** rng.uniform(-2, 1) * rng.normal(size=(6, 4))
        gap, exact, _ = weight_gap(Problem(tasks, model).at(W, B))
        assert not exact and gap is not None and gap >= (value(W.ravel()) - best) * (1 - 1e-9)
        M = np.eye(4) - B
        G = model.gradient_W(tasks, W, B)
        assert gap == pytest.approx(
            np.trace(G @ np.linalg.inv(M @ M.T) @ G.T) / (4 * model.coupling), rel=1e-9
        )


def test_a_singular_graph_has_no_bound_for_the_logistic_loss(rng: np.random.Generator) -> None:
    tasks, model = (
        random_tasks(rng, loss="logistic", counts=(9, 9)),
        make_model(loss="logistic", mu=0.3, coupling=0.7),
    )
    gap, _, reason = weight_gap(Problem(tasks, model).at(np.ones((6, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert gap is None and "singular" in reason


@pytest.fixture(scope="module", params=LOSS_CASES, ids=loss_id)
def certified(request: pytest.FixtureRequest) -> Point:
    """A first-order point with edges."""
    loss = request.param
    tasks = tasks_for(loss, np.random.default_rng(7))
    mu, coupling = (0.02, 0.7) if loss.name == "squared" else (0.003, 0.2)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling)
    solution = alternate(tasks, model, Options(tol=1e-8, max_rounds=25))
    assert solution.certificate.passes and solution.certificate.edges >= 2
    return tasks, model, solution.W, solution.B


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
        and found.level == "C2"
        and found.gap_B is None
        and "fixed at 0" in found.reasons["gap_B"]
    )
    assert found.relative <= 1e-12 < found.joint_relative
    assert not certify(Problem(tasks, model).at(W, zero), kind="joint").passes
    assert not certify(Problem(tasks, model).at(W * (1 + 1e-6), zero), kind="single-task").passes
    edge = zero.copy()
    edge[0, 1] = 1e-9
    assert not certify(Problem(tasks, model).at(W, edge), kind="single-task").passes


def concluded(**changed: object) -> Certificate:
    figures = {
        "kind": "joint", "objective": 10.0, "tol": 1e-8, "reasons": {}, "B": np.zeros((2, 2)),
        "found": certificate.Residuals(0.0, 0.0, 1e-9, 1e-9), "relative": 1e-9,
        "joint_relative": 1e-9, "feasibility": 0.0, "gaps": (1e-9, 1e-9), "gap_W_exact": True,
        "gain_W": 1e-9,
    }  # fmt: skip
    return conclude(**(figures | changed))  # type: ignore[arg-type]


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


@pytest.mark.slow
def test_a_vanishing_gradient_without_a_minimum_is_rejected(rng: np.random.Generator) -> None:
    """Two separable tasks in a free cycle: a longer W lowers J by nearly all of it, so the point is none."""
    w = rng.normal(size=3)
    X = [rng.normal(size=(20, 3)) for _ in range(2)]
    X = [Xt[np.abs(Xt @ w) > 0.3 * np.linalg.norm(w)] for Xt in X]
    tasks = TaskSet.from_arrays(X, [np.sign(Xt @ w) for Xt in X])
    model = make_model(loss="logistic", mu=0.0, coupling=1.0)
    W, B = np.column_stack([w, w]) * 60.0 / np.linalg.norm(w), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = certify(Problem(tasks, model).at(W, B))
    assert found.relative <= 1e-6  # the residual alone does not see it
    assert model.objective(tasks, 2.0 * W, B) < 0.01 * found.objective
    assert not found.passes and found.gain_W is not None and found.gain_W > 0.1 * found.objective
    found = alternate(tasks, model, Options()).certificate
    assert not found.passes or found.objective <= found.limit  # J >= 0: there nothing is left to gain


def test_a_stationary_point_with_free_edges_is_not_rejected_by_a_loose_bound(
    rng: np.random.Generator,
) -> None:
    tasks, model = random_tasks(rng, d=9, counts=(30, 40, 25)), make_model(mu=0.0, coupling=0.7)
    solution = alternate(tasks, model, Options())
    assert solution.certificate.relative <= 1e-8 and solution.certificate.passes


def fall_of(reason: str) -> float:
    """The part of itself by which J falls, as the reason says."""
    return float(reason.split("falls by ")[1].split(" of itself")[0])


def test_a_fall_of_J_in_directions_that_no_row_sees_is_measured() -> None:
    """Feature 1 is 0 in tasks 0 and 1, a cycle: the longer w_0 is there, the cheaper its edge to task 2."""
    X = [np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0]])]
    tasks = TaskSet.from_arrays(X, [np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.array([3.0])])
    model, long = make_model(mu=0.1, coupling=1.0), 1e4
    W, edge = np.array([[0.5, -0.5, 0.0], [long, long, 2.0]]), 2.0 / long
    B = np.array([[0.0, 1.0, edge], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss = (0.5**2 + 0.0**2) / 2
    found = certify(Problem(tasks, model).at(W, B))
    fall = 0.9 * 0.1 * loss * edge + 0.99 * (0.5 * edge) ** 2  # the edge is a tenth, its share of R_2 as well
    assert not found.passes and "what no row sees" in found.reasons["minimum"]
    assert fall_of(found.reasons["minimum"]) == pytest.approx(fall / found.objective, rel=0.05)
    J = model.objective(tasks, W * [[1.0] * 3, [10.0, 10.0, 1.0]], B * [[1.0, 1.0, 0.1]] * 1.0)
    assert found.objective - J == pytest.approx(fall, rel=1e-4)
    for edges in (B * [1.0, 1.0, 0.0], 0.5 * B):  # no edge to 2: flat; no cycle
        assert "minimum" not in certify(Problem(tasks, model).at(W, edges)).reasons
    full = TaskSet.from_arrays([np.eye(2), np.eye(2), X[2]], [task.y for task in tasks])
    assert "minimum" not in certify(Problem(full, model).at(W, B)).reasons  # their rows see all directions


def test_a_fall_of_J_as_losses_vanish_is_measured() -> None:
    """Two separable tasks in a cycle, one with an edge to a third: all that they cost vanishes."""
    X, y = np.array([[1.0, 0.5], [-1.0, 0.5]]), np.array([1.0, -1.0])
    noise = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, 2.0]])
    tasks = TaskSet.from_arrays([X, X, noise], [y, y, np.array([1.0, -1.0, 1.0])])
    model, w = make_model(loss="logistic", mu=0.5, coupling=1.0), np.array([9.0, 0.0])
    W, B = np.column_stack([w, w, 0.01 * w]), np.array([[0.0, 1.0, 0.01], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss, less = (float(np.log1p(np.exp(-k * 9.0))) for k in (1.0, 10.0))
    found = certify(Problem(tasks, model).at(W, B))
    fall = loss * (1 + 0.5 * 1.01) - less * (1 + 0.5 * 1.001) + 1.5 * (loss - less)
    assert not found.passes and "the predictors of 'task 0', 'task 1' grow" in found.reasons["minimum"]
    assert fall_of(found.reasons["minimum"]) == pytest.approx(fall / found.objective, rel=0.05)
    assert (
        "minimum" not in certify(Problem(tasks, model).at(5.0 * W, B)).reasons
    )  # e^-45: nothing is left to fall
    apart = TaskSet.from_arrays([X, -X, noise], [task.y for task in tasks])  # no common w fits both
    assert "minimum" not in certify(Problem(apart, model).at(W, B)).reasons
    at_rest = 1e-3 * np.eye(3)[[1, 0, 2]]
    assert "minimum" not in certify(Problem(tasks, model).at(W, np.where(B > 0.5, at_rest, B))).reasons


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_change_of_J_along_a_growth_is_that_of_J(loss: str, whole: bool) -> None:
    """In 40 digits, edges into, out of and within the tasks that grow; never below it."""
    rng = np.random.default_rng(6)
    tasks = random_tasks(rng, loss=loss, d=3, counts=(5, 6, 7, 8))
    model = make_model(loss=loss, mu=0.3, coupling=0.7)
    blind = [task.X * [1.0, 1.0, float(t > 1)] for t, task in enumerate(tasks)]
    tasks = TaskSet.from_arrays(blind, [task.y for task in tasks])
    chosen, k = np.arange(4) < 2, 10.0
    for size in 10.0 ** rng.uniform(0, 8, size=20):
        W, B = rng.normal(size=(3, 4)), 10.0 ** rng.uniform(-9, 0, size=(4, 4)) * (1 - np.eye(4))
        W[2, :2] *= size
        F = W * chosen if whole else W * chosen * np.array([[0.0], [0.0], [1.0]])
        D = np.diag(np.where(chosen, k, 1.0))
        C = B.copy()
        C[:2, 2:] = B[:2, 2:] / k
        C[2:, :2] = B[2:, :2] * (k if whole else 1.0)
        after = digits_of_J(tasks, model, W @ D if whole else W + (k - 1.0) * F, C)
        found = change(Problem(tasks, model).at(W, B), Growth(chosen, F, whole), k)
        expected = after - digits_of_J(tasks, model, W, B)
        assert 0 <= found - expected <= 1e-12 * (abs(expected) + 1) + 1e-14 * size * (1 + abs(expected))


def digits_of_J(tasks: TaskSet, model: Model, W: Array, B: Array) -> mp.mpf:
    """J, mean losses and c = 1, in 40 digits."""
    with mp.workdps(40):
        w, b, total = mp.matrix(W.tolist()), mp.matrix(B.tolist()), mp.mpf(0)
        for t, task in enumerate(tasks):
            rows = []
            for x, y in zip(task.X.tolist(), task.y.tolist(), strict=True):
                z = mp.fdot(x, w[:, t])
                rows.append((z - y) ** 2 if model.loss.name == "squared" else mp.log1p(mp.exp(-y * z)))
            total += mp.fsum(rows) / len(rows) * (1 + mp.mpf(model.mu) * mp.fsum(b[t, :]))
        return total + mp.mpf(model.coupling) * mp.fsum(v**2 for v in w - w * b)


def test_a_point_that_escapes_does_not_pass_however_small_its_residuals() -> None:
    """Margins of 25 in a cycle: residuals and gaps are tiny, and J goes on falling."""
    X, y = np.array([[1.0, 0.5], [-1.0, 0.5]]), np.array([1.0, -1.0])
    model = make_model(loss="logistic", mu=0.5, coupling=1.0)
    tasks = TaskSet.from_arrays([X, X, X], [y, y, -y])
    alone = minimize(lambda v: model.loss.value(tasks[2], v) + v @ v, np.zeros(2), tol=1e-14).x
    for _ in range(5):  # Newton's method
        g = model.loss.gradient(tasks[2], alone) + 2 * alone
        alone = alone - np.linalg.solve(model.loss.hessian(tasks[2], alone) + 2 * np.eye(2), g)
    w = np.array([25.0, 0.0])
    W, B = np.column_stack([w, w, alone]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = certify(Problem(tasks, model).at(W, B), tol=1e-6)
    assert found.relative <= 1e-7 and found.gap_B is not None and found.gap_B <= 1e-9 * found.objective
    assert not found.passes and found.level in ("C0", "C1")
    longer = model.objective(tasks, W * [2.0, 2.0, 1.0], B)
    assert longer < found.objective


def test_why_the_gap_of_B_is_large_is_measured(rng: np.random.Generator) -> None:
    """What an exact B-step gains, and into which task; or rounding, where no B is better."""
    tasks, model = random_tasks(rng), amtl(Squared(), mu=0.02)
    solution = alternate(tasks, model, Options())
    W, B = solution.W, solution.B.copy()
    assert "gap_B" not in certify(Problem(tasks, model).at(W, B)).reasons
    t = int(np.flatnonzero(B.any(axis=0))[0])
    B[:, t] *= 0.5
    best = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, B)).value
    gain = model.objective(tasks, W, B) - model.objective(tasks, W, best)
    said = certify(Problem(tasks, model).at(W, B)).reasons["gap_B"]
    assert f"edges into 'task {t}'" in said and "lowers J by" in said
    assert float(said.split("lowers J by ")[1].split(",")[0]) == pytest.approx(gain, rel=0.06)


def test_a_gap_of_B_that_is_rounding_is_said_to_be() -> None:
    """w_1 = -w_2, both free: no theta is feasible with room for rounding, though B is the best."""
    W = np.array([[2.0, 1.0, -1.0], [3.0, 0.0, 0.0]])
    B = np.array([[0.0, 2 / 13, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    tasks, model = TaskSet.from_arrays([np.eye(2)] * 3, [np.ones(2)] * 3), make_model(mu=0.0, coupling=0.5)
    found = transfer_evidence(Problem(tasks, model).at(W, B))
    assert found.duals is not None and found.duals.gaps[0] >= 1.0
    said = why_gap(Problem(tasks, model).at(W, B), found.duals)
    assert "rounding" in said and "edges into 'task 0'" in said


FIGURES = ("gap_W", "gap_B", "gain_W", "error_W", "error_B", "zeros_proven", "condition_W", "condition_B")


def test_the_evidence_of_a_first_order_point(certified: Point) -> None:
    tasks, model, W, B = certified
    found = certify(Problem(tasks, model).at(W, B))
    assert found.zeros + found.edges == 12 and found.zeros_proven == found.zeros
    assert found.error_W is not None and found.error_W <= 1e-7 * np.linalg.norm(W)
    assert found.error_B is not None and found.error_B <= 1e-6 * np.linalg.norm(B)
    words = found.sentences()
    assert any(line.startswith("No move of W alone can gain more than") for line in words)
    assert any(line.startswith("No move of B alone can gain more than") for line in words)
    assert f"{found.zeros} of {found.zeros} absent edges are proved absent for this W." in words
    worse = certify(Problem(tasks, model).at(W, np.where(np.eye(4, dtype=bool), 0.0, B + 1.0)))
    assert worse.zeros == 0 and worse.zeros_proven == 0 and worse.edges == 12


def test_what_is_missing_has_its_reason(certified: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, model, W, B = certified
    twins = np.column_stack([W[:, 0], W[:, 0], W[:, 1], W[:, 1]])
    group = replace(model, transfer=SourceGroupL2(mu=0.3))
    judged = [
        certify(Problem(tasks, model).at(W, B)),
        certify(Problem(tasks, model).at(W, -B)),
        certify(Problem(tasks, model).at(W, -9.0 * (1.0 - np.eye(4)) / model.mu)),
        certify(Problem(tasks, model).at(W, 0 * B)),
        certify(Problem(tasks, model).at(W, 0 * B), kind="single-task"),
        certify(Problem(tasks, group).at(W, B)),
        certify(Problem(tasks, model).at(twins, 1.0 - np.eye(4))),
        certify(Problem(tasks, model).at(W, np.roll(np.eye(4), 1, axis=1))),
        concluded(),
    ]
    monkeypatch.setattr(weights, "DENSE_LIMIT", 0)
    judged.append(certify(Problem(tasks, model).at(W, B)))
    missing = set()
    for found in judged:
        data = found.to_dict()
        absent = {name for name in FIGURES if data[name] is None}
        assert absent <= set(data["reasons"])
        missing |= absent
    assert missing == set(FIGURES)


def test_sentences_name_a_reason_once(certified: Point) -> None:
    tasks, model, W, B = certified
    words = certify(Problem(tasks, model).at(W, 0 * B), kind="single-task").sentences()
    told = [line for line in words if "fixed at 0" in line]
    assert told == ["gap_B, error_B, zeros_proven, condition_B: B is fixed at 0 in this problem."]


@pytest.mark.parametrize("name", ["W", "B"])
def test_squares_that_overflow_are_bad_data(name: str) -> None:
    tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, -1.0], [1.0, -1.0]])
    model = Model(loss=Hinge(), transfer=LossWeightedL1(mu=1.0), coupling=1.0)
    large = {"W": np.full((2, 2), 1e160), "B": np.array([[0.0, 1e160], [0.0, 0.0]])}
    point = {"W": np.zeros((2, 2)), "B": np.zeros((2, 2)), name: large[name]}
    with pytest.raises(DataError, match=f"the squares of {name} overflow, its largest entry is 1e"):
        certify(Problem(tasks, model).at(**point))


def test_a_loss_that_overflows_is_bad_data(rng: np.random.Generator) -> None:
    tasks = tasks_for(Poisson(), rng)
    with pytest.raises(DataError, match="the poisson loss of 'task 0' overflows"):
        certify(Problem(tasks, amtl(Poisson())).at(np.full((6, 4), 1e4), np.zeros((4, 4))))


@pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)
def test_a_loss_with_kinks_cannot_pass_without_a_gap(loss: Loss, rng: np.random.Generator) -> None:
    """At W = 0 and I - B singular no bound exists; nothing else could judge W."""
    tasks = tasks_for(loss, rng, counts=(9, 9))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.0), coupling=0.7)
    found = certify(Problem(tasks, model).at(np.zeros((6, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])), tol=0.999)
    assert found.gap_W is None and "singular" in found.reasons["gap_W"]
    assert found.gain_W == math.inf and not found.passes
