"""Steps in activation cells: against J by plain loops, the definition, a second solver, their own limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gpus
import numpy as np
import pytest
from network_points import planted
from scipy.optimize import minimize

from amtl_cvx import TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.steps import (
    Cell,
    Definition,
    FeedbackStep,
    KinkModel,
    KinkProblem,
    LossStep,
    cell_rounds,
    cell_steps,
    program,
)
from amtl_cvx.solution import Status
from amtl_cvx.solvers import Backend, Gpu, compiled, gpu_for
from amtl_cvx.subproblems import Problems

SETTINGS: dict[str, Any] = {"mu": 0.05, "alpha": 0.3, "gamma": 0.02, "decay": 0.03}
ONE: dict[str, Any] = {"layers": (3,)}
DEEP: dict[str, Any] = {"layers": (4, 3), "fit_bias": True, "feedback_bias": True}
POSITIVE: dict[str, Any] = {
    "layers": (2,),
    "feedback": "nonnegative",
    "feedback_bias": True,
    "gamma_per": "row",
}
SHARED = Problems()  # each size is compiled once


def drawn(loss: str = "squared", seed: int = 0, *, n: int = 9, d: int = 3, **how: Any) -> NetworkPoint:
    """Three tasks, two of which share their rows, and a point with entries of S and A that are 0."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, d))] * 2 + [rng.normal(size=(n + 2, d))]
    y = [np.maximum(x @ rng.normal(size=(d, 3)), 0.0) @ rng.normal(size=3) for x in X]
    y = [each + 0.3 * rng.normal(size=len(each)) for each in y]
    if make_loss(loss).classification:
        y = [np.where(each > np.median(each), 1.0, -1.0) for each in y]
    model = NetworkModel(loss=make_loss(loss), **{**SETTINGS, **(how or ONE)})
    problem = NetworkProblem(TaskSet.from_arrays(X, y), model)
    blocks = {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}
    for name in ("S", "A"):
        blocks[name] *= rng.random(blocks[name].shape) < 0.7
    blocks["A"] = 0.3 * (blocks["A"] if model.signed else np.abs(blocks["A"]))
    return problem.at(**blocks)


def names_of(point: NetworkPoint) -> list[str]:
    return list(cell_steps(point.problem))


def stepped(point: NetworkPoint, block: str, **how: Any) -> NetworkPoint:
    """The point after a step; it may be solved for as `how` says."""
    how = {"problems": SHARED, **how}
    compile_ = FeedbackStep.compile if block == "A" else LossStep.compile
    step = compile_(point.problem, *([] if block == "A" else [block]), **how)
    return point.at(**step.solve(point).value)


def forward(point: NetworkPoint, cell: Cell) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, float]:
    """Every u^l, R and F with the masks of a cell, and J, row by row and unit by unit."""
    problem, model, V, A = point.problem, point.model, point.V, point.A_plus
    u = [np.zeros((len(point.F), each.shape[1])) for each in V]
    R, F, T = np.zeros_like(point.R), np.zeros_like(point.F), point.tasks.T
    J = model.decay * sum((each**2).sum() for each in (*V, A[T:])) + model.mu * np.abs(point.S).sum()
    for i, row in enumerate(problem.rows.X):
        z = row
        for number, each in enumerate(V):
            below = [*z, 1.0] if model.fit_bias else z
            for j in range(each.shape[1]):
                u[number][i, j] = sum(b * v for b, v in zip(below, each[:, j], strict=True))
            z = [max(a, 0.0) if m else 0.0 for a, m in zip(u[number][i], cell.on[number][i], strict=True)]
        for t in range(T):
            F[i, t] = sum(a * s for a, s in zip(z, point.S[:, t], strict=True))
        for j in range(A.shape[1]):
            R[i, j] = sum(f * a for f, a in zip(F[i], A[:T, j], strict=True)) + A[T:, j].sum()
            J += problem.gamma * problem.rows.times[i] * (z[j] - max(R[i, j], 0.0) * cell.met[i, j]) ** 2
    first = 0
    for t, task in enumerate(point.tasks):
        at = slice(first, first := first + len(task.y))
        rows = model.loss.rows(F[problem.rows.row[at], t], task.y)
        loss = problem.task_weight[t] * rows.mean()
        J += loss + model.alpha * (loss + problem.floor[t]) * np.abs(A[t]).sum()
    return u, R, F, float(J)


def slacks(point: NetworkPoint, cell: Cell) -> np.ndarray:
    """How far inside its side each unit is that counts."""
    u, R, _, _ = forward(point, cell)
    sides = [*cell.on, cell.met]
    rebuilt = R[point.problem.rows.times > 0.0] if point.model.gamma > 0.0 else R[:0]
    met = cell.met[point.problem.rows.times > 0.0][: len(rebuilt)]
    parts = [
        np.where(on, each, -each).ravel() for on, each in zip([*sides[:-1], met], [*u, rebuilt], strict=True)
    ]
    return np.concatenate(parts)


def sliding_minimum(point: NetworkPoint, block: str) -> float:
    """min J over a block and its bias in the cell, by sequential quadratic programming on plain loops."""
    cell = Cell.of(point, block)
    names = [block, *({"A": ["bias_feedback"]}.get(block, [f"bias{block[1:]}"]))]
    names = [name for name in names if name in point.blocks]
    sizes = np.cumsum([0, *(point.blocks[name].size for name in names)])
    n, priced = sizes[-1], point.blocks[block].size if block in ("S", "A") else 0

    def at(x: np.ndarray) -> NetworkPoint:  # entries with prices are differences of two parts
        value = x[:n].copy()
        value[:priced] -= x[n:]
        parts = zip(names, sizes, sizes[1:], strict=False)
        return point.at(**{name: value[a:b].reshape(point.blocks[name].shape) for name, a, b in parts})

    x0 = np.concatenate([point.blocks[name].ravel() for name in names])
    x0 = np.concatenate([np.r_[np.maximum(x0[:priced], 0.0), x0[priced:]], np.maximum(-x0[:priced], 0.0)])
    low = np.r_[np.zeros(priced), np.full(n - priced, -np.inf), np.zeros(priced)]
    high = np.full(n + priced, np.inf)
    high[n:] = np.inf if block == "S" or point.model.signed else 0.0
    price = np.full(priced, point.model.mu)
    if block == "A":
        price = np.repeat(point.prices, point.A.shape[1])

    def J(x: np.ndarray) -> float:
        both = 2.0 * price @ np.minimum(x[:priced], x[n:])
        return forward(at(x), cell)[3] + both

    found = minimize(
        J,
        x0,
        method="SLSQP",
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "ineq", "fun": lambda x: slacks(at(x), cell)},
        options={"maxiter": 300, "ftol": 1e-12},
    )
    return float(found.fun)


@pytest.mark.parametrize(
    ("loss", "how", "block"),
    [
        ("squared", {"layers": (2,)}, "W1"),
        ("logistic", {"layers": (2,)}, "S"),
        ("squared", POSITIVE, "A"),
    ],
)
def test_a_step_ends_at_the_minimum_of_J_by_plain_loops_in_its_cell(
    loss: str, how: dict[str, Any], block: str
) -> None:
    point = drawn(loss, 2, n=4, d=2, **how)
    after = stepped(point, block)
    assert after.objective < 0.99 * point.objective
    assert after.objective == pytest.approx(forward(after, Cell.of(point, block))[3], rel=1e-13)
    assert after.objective == pytest.approx(sliding_minimum(point, block), rel=1e-6)


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.5", "squared-hinge"])
@pytest.mark.parametrize("how", [ONE, DEEP, POSITIVE], ids=["one", "deep", "positive"])
def test_a_step_ends_where_its_definition_does_and_in_the_cell(loss: str, how: dict[str, Any]) -> None:
    point = drawn(loss, 1, **how)
    for block in names_of(point):
        cell, after = Cell.of(point, block), stepped(point, block)
        written = Definition.compile(point.problem, block).solve(point)
        assert written.solved.status == "optimal"
        assert after.objective == pytest.approx(point.at(**written.value).objective, rel=1e-7)
        assert after.objective < point.objective
        assert slacks(after, cell).min() > -1e-9 and slacks(point, cell).min() > -1e-12
        assert point.model.signed or (after.A >= 0.0).all()
        point = after


@pytest.mark.parametrize(
    ("solver", "seed", "loss", "how"),
    [("OSQP", 0, "squared", DEEP), ("SCS", 3, "squared", DEEP), ("SCS", 3, "logistic", ONE)],
)
@pytest.mark.parametrize("exact", [True, False], ids=["polished", "raw"])
def test_two_solvers_agree(
    solver: str, seed: int, loss: str, how: dict[str, Any], exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exact:
        monkeypatch.setattr(program, "polished", lambda problem, x: x)
    point = drawn(loss, seed, **how)
    for block in names_of(point)[: 3 if solver == "OSQP" else 4]:  # OSQP runs into its limit at that A
        first, second = (
            cell_steps(point.problem, backend=Backend(solver=name), problems=SHARED)[block].solve(point)
            for name in ("CLARABEL", solver)
        )
        assert (first.solved.solver, second.solved.solver) == ("CLARABEL", solver)
        for name, value in first.value.items():
            np.testing.assert_allclose(value, second.value[name], atol=1e-9 if exact else 1e-4)
        point = point.at(**first.value) if exact else point  # units by a solver's noise from 0 are no kinks


def test_the_problems_are_dpp_and_compiled_once_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], compiled.problem_data
    monkeypatch.setattr(compiled, "problem_data", lambda *a, **k: made.append(a[0]) or real(*a, **k))
    point, problems = drawn("logistic", 4), Problems()
    for _ in range(3):
        for block in names_of(point):
            point = stepped(point, block, problems=problems)
    assert len(made) == len(problems) <= 6
    assert all(each.is_dpp(quad_form_dpp="qp") for each in made)
    written = [Definition.compile(drawn(**DEEP).problem, name).problem for name in names_of(drawn(**DEEP))]
    assert all(each.is_dpp() for each in written) and KinkProblem(2, 1).problem.is_dpp(quad_form_dpp="qp")


def test_few_signs_are_asked_for_and_all_are_kept() -> None:
    point = drawn(seed=5, n=60, d=4, layers=(3,))
    step = LossStep.compile(point.problem, "W1", problems=SHARED)
    cell, asked, real = Cell.of(point, "W1"), [], step.program._sized
    object.__setattr__(step.program, "_sized", lambda rows: asked.append(rows) or real(rows))
    after = point.at(**step.solve(point).value)
    units = slacks(after, cell)
    assert asked[0] == 0 and 0 < asked[-1] < len(units) / 2 and asked == sorted(asked)
    assert units.min() > -1e-9 and (units < 1e-9).sum() >= 3


def test_no_step_gains_at_a_stationary_point_and_any_does_beside_it() -> None:
    rng = np.random.default_rng(11)
    for layers in ((4,), (4, 3)):
        point = planted(rng, layers=layers, N=40, d=4).point
        assert any(mask.any() for mask in point.touching)
        beside = point.problem.from_vector(point.vector + 1e-3 * rng.standard_normal(point.problem.size))
        for block in names_of(point):
            after = stepped(point, block)
            assert abs(after.objective - point.objective) <= 1e-10 * point.objective
            np.testing.assert_allclose(after.vector, point.vector, atol=1e-6)
            assert stepped(beside, block).objective < beside.objective * (1.0 - 1e-9)


@pytest.mark.parametrize("target", [-1.0, 0.25, 3.0])
def test_a_unit_on_its_kink_takes_the_side_on_which_J_falls(target: float) -> None:
    tasks = TaskSet.from_arrays([np.array([[1.0, 0.0], [0.0, 1.0]])], [[target, 1.0]])
    model = NetworkModel(features=1, mu=1e-3, alpha=0.0, gamma=0.0, decay=1e-2)
    point = NetworkProblem(tasks, model).at(W1=[[0.0], [1.0]], S=[[1.0]], A=[[0.0]])
    assert point.touching[0][0, 0]
    found = stepped(point, "W1").blocks["W1"]
    low = max(target, 0.0) / (1.0 + 2.0 * model.decay)  # of .5 (w - target)^2 + decay w^2, w >= 0
    np.testing.assert_allclose(found[:, 0], [low, 1.0 / (1.0 + 2.0 * model.decay)], atol=1e-12)


def test_an_empty_column_of_A_is_left_exactly_where_a_task_pays_less_than_it_gains() -> None:
    for alpha, leaves in ((0.2, True), (40.0, False)):
        point = drawn(seed=6, **{**ONE, "alpha": alpha, "gamma": 0.3})
        point = point.at(A=np.zeros((3, 3)))
        pull = [2.0 * point.problem.gamma * point.features.T @ np.maximum(s * point.F, 0.0) for s in (1, -1)]
        assert bool((np.maximum(*pull) > point.prices).any()) is leaves
        after = stepped(point, "A")
        assert bool(after.A.any()) is leaves and (after.objective < point.objective) is leaves


def toy_run(point: NetworkPoint) -> Any:
    """What `cell_rounds` asks of a run."""
    run = SimpleNamespace(problem=point.problem, point=point, round=0, moved=False, history=[])
    run.enter = lambda phase: ""
    run.note = lambda step, told: run.history.append(
        SimpleNamespace(step=step, objective=run.point.objective, told=told)
    )
    return run


def test_J_never_rises_in_rounds_that_move_biases_too_and_end_where_it_stalls() -> None:
    for definition in (False, True):
        run = toy_run(drawn("squared", 7, **DEEP))
        first = run.point
        steps = cell_steps(run.problem, definition=definition, problems=SHARED)
        most = 1 if definition else 3
        assert cell_rounds(run, steps, most=most) is Status.ROUND_LIMIT and run.round == most
        J = np.array([first.objective, *(record.objective for record in run.history)])
        assert (np.diff(J) <= 1e-12 * J[0]).all() and J[-1] < 0.9 * J[0]
        assert [record.step for record in run.history[:4]] == ["W1", "W2", "S", "A"]
        moved = [run.point.blocks[name] - first.blocks[name] for name in ("bias1", "bias2", "bias_feedback")]
        assert all(np.abs(each).max() > 1e-3 for each in moved)
    run = toy_run(planted(np.random.default_rng(3), N=40, d=4).point)
    assert cell_rounds(run, cell_steps(run.problem, problems=SHARED), most=9) is Status.STALLED
    assert run.round <= 3


def test_without_a_reconstruction_nothing_is_given_back() -> None:
    point = drawn(seed=8, **{**ONE, "gamma": 0.0})
    assert not stepped(point, "A").A.any()
    for block in ("W1", "S"):
        written = point.at(**Definition.compile(point.problem, block).solve(point).value)
        assert stepped(point, block).objective == pytest.approx(written.objective, rel=1e-8)


def test_layers_of_one_unit_rows_that_stand_twice_and_dead_units() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 2, (5, 3)).astype(float), 2, axis=0)
    problem = NetworkProblem(
        TaskSet.from_arrays([X], [rng.normal(size=10)]), NetworkModel(layers=(1, 2), **SETTINGS)
    )
    point = problem.at(W1=rng.normal(size=(3, 1)), W2=[[1.0, -1.0]], S=[[1.0], [1.0]], A=[[0.3, 0.2]])
    for start in (point, problem.zero):
        for block in names_of(start):
            after = stepped(start, block)
            assert after.objective <= start.objective * (1.0 + 1e-13)
            start = after
    assert not problem.zero.vector.any() and not start.vector.any()


def test_layers_go_to_the_gpu_and_columns_stay_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    standin, point = gpus.install(monkeypatch), drawn(seed=9)
    backend = Backend(gpu=gpu_for("on", "auto"))
    steps = cell_steps(point.problem, backend=backend, problems=SHARED)
    found = {name: step.solve(point) for name, step in steps.items()}
    assert found["W1"].solved.solver == found["S"].solved.solver == "SCS cudss"
    assert found["A"].solved.solver == "CLARABEL" and standin.sizes and not Gpu().takes("cell", 10**6)
    for name, each in found.items():
        np.testing.assert_allclose(each.value[name], stepped(point, name).blocks[name], atol=1e-6)


@pytest.mark.parametrize("solver", ["CLARABEL", "OSQP", "SCS"])
def test_the_kink_problem_meets_its_conditions(solver: str) -> None:
    rng = np.random.default_rng(1)
    n, m = 6, 9
    root = rng.normal(size=(n, n))
    model = KinkModel(
        H=root @ root.T + 0.1 * np.eye(n),
        g=rng.normal(size=n),
        normals=rng.normal(size=(m, n)),
        values=np.r_[np.zeros(5), rng.normal(size=4)],
        weights=rng.uniform(0.5, 2.0, size=m),
        x=np.r_[np.zeros(4), 1.0, -2.0],
        prices=np.r_[np.full(3, 0.7), 0.0, 0.3, 0.3],
    )
    found = KinkProblem(n, m).minimise(model, Backend(solver=solver))
    assert found.solved.solver == solver and found.solved.status == "optimal"
    d, theta = found.d, found.theta
    u, moved = model.values + model.normals @ d, model.x + d
    assert (theta > -1e-7).all() and (theta < model.weights + 1e-7).all()
    np.testing.assert_allclose(theta[u > 1e-6], model.weights[u > 1e-6], atol=1e-6)
    np.testing.assert_allclose(theta[u < -1e-6], 0.0, atol=1e-6)
    slope = model.g + model.H @ d + model.normals.T @ theta
    off = np.abs(moved) > 1e-6
    np.testing.assert_allclose(slope[off], -(model.prices * np.sign(moved))[off], atol=1e-6)
    assert (np.abs(slope) <= model.prices + 1e-6)[~off].all() and 0 < off.sum() < n
    least = model.value(d)
    assert all(model.value(d + move) > least for move in 1e-2 * rng.normal(size=(200, n)))
    assert ((np.abs(u) < 1e-6) & (theta > 1e-3) & (theta < model.weights - 1e-3)).any()


def test_the_kink_problem_of_one_unknown_in_closed_form() -> None:
    problem, none = KinkProblem(1, 1), np.zeros(1)
    for slope, weight, d, theta in ((-3.0, 1.0, 2.0, 1.0), (-0.5, 1.0, 0.0, 0.5), (2.0, 1.0, -2.0, 0.0)):
        model = KinkModel(np.eye(1), np.array([slope]), np.eye(1), none, np.array([weight]), none, none)
        found = problem.minimise(model)
        assert found.d[0] == pytest.approx(d, abs=1e-8) and found.theta[0] == pytest.approx(theta, abs=1e-7)
    alone = KinkProblem(1, 0).minimise(
        KinkModel(np.eye(1), np.array([-3.0]), np.zeros((0, 1)), none[:0], none[:0], none, np.ones(1))
    )
    assert alone.d[0] == pytest.approx(2.0, abs=1e-8) and alone.theta.shape == (0,)
