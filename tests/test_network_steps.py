"""Steps in activation cells: against J by plain loops, the definition, a second solver, their own limits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gpus
import numpy as np
import pytest
from network_cells import DEEP, ONE, POSITIVE, SETTINGS, drawn, forward, slacks, sliding_minimum
from network_points import planted

from amtl_cvx import Options, TaskSet, fit
from amtl_cvx.features.gram import Quadratic
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.methods import Amtfl
from amtl_cvx.network.steps import (
    Cell,
    Definition,
    FeedbackStep,
    KinkProblem,
    LossStep,
    cell_rounds,
    cell_steps,
    program,
)
from amtl_cvx.network.steps.polish import Conditions, polished
from amtl_cvx.network.steps.program import CellProgram, Form, Sides
from amtl_cvx.solution import Status
from amtl_cvx.solvers import Backend, Gpu, compiled, gpu_for
from amtl_cvx.subproblems import Problems

SHARED = Problems()  # each size is compiled once


def names_of(point: NetworkPoint) -> list[str]:
    return list(cell_steps(point.problem))


def stepped(point: NetworkPoint, block: str, **how: Any) -> NetworkPoint:
    """The point after a step; it may be solved for as `how` says."""
    how = {"problems": SHARED, **how}
    compile_ = FeedbackStep.compile if block == "A" else LossStep.compile
    step = compile_(point.problem, *([] if block == "A" else [block]), **how)
    return point.at(**step.solve(point).value)


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


@pytest.mark.sampled(3)
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


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("solver", "seed", "loss", "how"),
    [
        ("OSQP", 0, "squared", DEEP),
        ("SCS", 3, "squared", DEEP),
        ("SCS", 3, "logistic", ONE),
        ("SCS", 3, "squared", POSITIVE),
    ],
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
        assert point.model.signed or (point.at(**second.value).A >= -1e-5).all()
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


def test_a_polish_ends_at_the_minimum_or_leaves_the_answer() -> None:
    rng = np.random.default_rng(2)
    n, m, priced = 8, 5, 6
    for draw in range(40):
        signed, root = bool(draw % 2), rng.normal(size=(n + 3, n))
        H, G = root.T @ root, rng.normal(size=(m, n))
        x, y = rng.normal(size=n), np.r_[rng.uniform(0.1, 1.0, size=2), np.zeros(3)]
        x = np.where(np.arange(n) < 3, 0.0, x if signed else np.abs(x))
        p = np.r_[np.full(priced, 0.4), np.zeros(n - priced)]
        slope = np.where(x != 0.0, np.sign(x), rng.uniform(-0.9, 0.9, size=n)) * p
        g, c = H @ x - 0.5 * (G.T @ y - slope), (y == 0.0) - G @ x
        problem = Conditions(H, g, p, G, c, priced, signed)
        for noise in (1e-9, 1e-7):
            np.testing.assert_allclose(polished(problem, x + noise * rng.normal(size=n)), x, atol=1e-11)
        rough = 5.0 * rng.normal(size=n)
        np.testing.assert_allclose(polished(problem, rough), x, atol=1e-9)
        never = problem._replace(G=np.vstack([G, -G[:1]]), c=np.r_[c, -c[0] - 1.0])  # G x + c >= 1 and <= 0
        np.testing.assert_array_equal(polished(never, rough), rough)


def test_pulls_that_are_next_to_nothing_move_nothing() -> None:
    program_ = CellProgram(form=Form(n=2, priced=1, signed=True), problems=SHARED)
    empty = np.zeros(0, dtype=int)
    none = Sides(rows=lambda places: (np.zeros((0, 2)), np.zeros(0)), outside=lambda x: empty)
    for pull in (0.0, 1e-310, 1e-160, 1e-20):
        model = Quadratic(np.eye(2), np.array([pull, pull]))
        x, _, _ = program_.lazily(model, np.array([0.1, 0.0]), none, empty, Backend())
        assert x[0] == 0.0 and x[1] == pytest.approx(pull, abs=1e-15)


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
    for layers in ((4,), (4, 3)):
        rng = np.random.default_rng(1)
        point = planted(rng, layers=layers).point
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


def test_a_fit_that_begins_in_cells_is_certified_and_goes_on_where_it_was_interrupted() -> None:
    point = drawn("squared", 7, n=20)
    tasks, model, method = point.tasks, point.model, Amtfl.of(Options(definition=True))
    options = Options(tol=1e-8, solver="SCS", max_rounds=3)
    whole = fit(tasks, model, method=method, options=options)
    steps = [record.step for record in whole.history]
    cells = steps.index("refine")
    assert whole.status is Status.CERTIFIED and steps[:cells] == ["W1", "S", "A"] * 3
    assert whole.history[0].solver == "SCS" and whole.history[cells].solver == "kink-newton"

    def stop(record: Any) -> None:
        if (record.round, record.step) == (2, "S"):
            raise KeyboardInterrupt

    first = fit(tasks, model, method=method, options=replace(options, callback=stop))
    assert first.status is Status.INTERRUPTED and len(first.history) == 5
    rest = fit(tasks, model, method=method, options=replace(options, start=first.state))
    assert [record.step for record in rest.history] == steps
    np.testing.assert_array_equal(rest.blocks["W1"], whole.blocks["W1"])
