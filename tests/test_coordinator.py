# More than 300 lines: the tests of one loop.
"""The alternation: descent, honest statuses, known limits, and instances of known value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from cases import SourceGroupL2, mu_max, random_tasks, random_transfer, ridge, single_task_W

from amtl_cvx.amtl import alternate, alternating, refining
from amtl_cvx.errors import DataError, ModelError, SolveError, SolverUnavailableError
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Point, Problem, make_model
from amtl_cvx.solution import Blocks, Record, Solution, Status, history_columns
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems import HalfStep, LinearTransferStep, WeightStep
from amtl_cvx.tasks import TaskSet

QUICK = Options(max_rounds=20)


def falls(solution: Solution) -> bool:
    J = [record.objective for record in solution.history]
    return all(new <= old * (1 + 1e-12) for old, new in zip(J, J[1:], strict=False))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("settings", [{}, {"sweep": "tasks"}, {"definition": True, "max_rounds": 8}], ids=str)
def test_the_objective_never_rises(loss: str, settings: dict[str, Any], rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, loss=loss), make_model(loss=loss, mu=0.02, coupling=0.3)
    solution = alternate(tasks, model, Options(**({"max_rounds": 12} | settings)))
    assert falls(solution) and solution.status is Status.CERTIFIED
    assert solution.certificate.edges > 0 and solution.certificate.feasibility <= 0.0
    assert solution.objective == pytest.approx(solution.history[-1].objective, rel=1e-12)
    assert solution.objective == pytest.approx(model.objective(tasks, solution.W, solution.B), rel=1e-14)
    assert np.array_equal(solution.losses, model.losses(tasks, solution.W))
    assert [record.step for record in solution.history[:4]] == ["W", "B", "W", "B"]


def first_steps(solution: Solution) -> list[str]:
    return [record.step for record in solution.history[:2]]


def bench(folder: Path, name: str) -> TaskSet:
    with np.load(folder / "bench" / f"{name}.npz", allow_pickle=False) as data:
        return TaskSet.from_stacked(data["X"], data["y"], data["task"])


@pytest.mark.parametrize(
    ("name", "reduction", "coupling", "mu", "J", "digits", "edges"),
    [
        ("easy10", "sum", 1.0, 0.01, 80.14315476669, 1e-12, 29),
        ("pilot15", "mean", 1.0, 0.1, 14.304960974, 1e-10, None),
        ("hard20", "sum", 10.0, 0.001, 111.57483028, 1e-10, 180),
    ],
)
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_the_bench_instances_reach_their_known_values(
    name: str,
    reduction: str,
    coupling: float,
    mu: float,
    J: float,
    digits: float,
    edges: int | None,
    engine: Literal["cvxpy", "fast"],
    shared_data: Path,
) -> None:
    tasks = bench(shared_data, name)
    model = make_model(mu=mu, coupling=coupling, reduction=reduction)
    solution = alternate(tasks, model, Options(engine=engine))
    assert solution.status is Status.CERTIFIED and falls(solution)
    assert solution.certificate.relative <= 1e-12
    assert solution.objective == pytest.approx(J, rel=digits)
    assert edges is None or solution.certificate.edges == edges


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_the_fast_engine_takes_the_steps_of_the_cvxpy_problems(loss: str, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, loss=loss), make_model(loss=loss, mu=0.02, coupling=0.3)
    slow, fast = (
        alternate(tasks, model, Options(max_rounds=6, refine=False, engine=engine))
        for engine in ("cvxpy", "fast")
    )
    assert [record.step for record in fast.history] == [record.step for record in slow.history]
    assert {record.solver for record in fast.history} == {"cholesky", "active-set"} and falls(fast)
    values = [[record.objective for record in solution.history] for solution in (slow, fast)]
    assert values[1] == pytest.approx(values[0], rel=1e-9)
    assert np.abs(fast.W - slow.W).max() <= 1e-6 and np.abs(fast.B - slow.B).max() <= 1e-6


def test_the_fast_engine_names_what_it_cannot_do(rng: np.random.Generator) -> None:
    for settings in ({"sweep": "tasks"}, {"definition": True}, {"solver": "SCS"}):
        with pytest.raises(ModelError, match="leave out solver, sweep and definition"):
            Options(engine="fast", **settings)
    with pytest.raises(ModelError, match="engine must be"):
        Options(engine="numpy")  # type: ignore[arg-type]
    model = Model(transfer=SourceGroupL2(mu=0.1), coupling=0.7)
    with pytest.raises(ModelError, match="SourceGroupL2 has none"):
        alternate(random_tasks(rng), model, Options(engine="fast"))


def test_dependent_predictors_are_refined_from_the_empty_graph(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=3, counts=(20,) * 5), make_model(mu=0.02, coupling=0.3)
    solution = alternate(tasks, model, Options())
    assert [record.step for record in solution.history[:2]] == ["W", "refine"]
    assert solution.status is Status.CERTIFIED and falls(solution)
    assert [record.step for record in alternate(tasks, model, Options(refine=False)).history[:2]] == [
        "W",
        "B",
    ]
    monkeypatch.setattr(alternating, "WORKING_LIMIT", 19)  # 20 edges do not fit into one step
    assert [record.step for record in alternate(tasks, model, Options()).history[:2]] == ["W", "B"]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_task_is_ridge(reduction: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(4,))
    model = make_model(mu=0.1, coupling=0.7, reduction=reduction)
    solution = alternate(tasks, model, QUICK)
    assert solution.status is Status.CERTIFIED and np.array_equal(solution.B, [[0.0]])
    assert np.abs(solution.W - ridge(tasks, model)).max() <= 1e-10 * np.abs(solution.W).max()


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_high_price_is_single_task(loss: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss=loss)
    limit = mu_max(tasks, make_model(loss=loss, mu=0.0, coupling=0.7))
    for mu in (1.01 * limit, 1e6 * limit):
        model = make_model(loss=loss, mu=mu, coupling=0.7)
        solution = alternate(tasks, model, QUICK)
        assert solution.status is Status.CERTIFIED and not solution.B.any()
        assert np.abs(solution.W - single_task_W(tasks, model)).max() <= 1e-8
    solution = alternate(tasks, make_model(loss=loss, mu=0.9 * limit, coupling=0.7), QUICK)
    assert solution.certificate.edges >= 1


def test_the_round_limit_is_a_status(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.02, coupling=0.7)
    solution = alternate(tasks, model, Options(max_rounds=2, refine=False))
    assert solution.status is Status.ROUND_LIMIT and not solution.certificate.passes
    assert [record.round for record in solution.history] == [1, 1, 2, 2]
    assert "try" in solution.status.text


def test_the_step_limit_of_refinement_is_a_status(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.02, coupling=0.7)
    monkeypatch.setattr(refining, "REFINE_STEPS", 2)
    solution = alternate(tasks, model, Options(max_rounds=1))
    assert solution.status is Status.ROUND_LIMIT and len(solution.history) == 4


def test_plain_alternation_reaches_the_refined_value(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.3, coupling=0.1)
    plain = alternate(tasks, model, Options(refine=False, tol=1e-6, max_rounds=200))
    refined = alternate(tasks, model, Options(tol=1e-6))
    assert plain.status is refined.status is Status.CERTIFIED
    assert {record.step for record in plain.history} == {"W", "B"}
    assert plain.objective == pytest.approx(refined.objective, rel=1e-6)


@pytest.mark.slow
def test_a_large_w_step_goes_on_in_numpy_before_newton(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=30, counts=(40,) * 20)
    found = alternate(tasks, make_model(mu=0.02, coupling=0.3), Options())
    solvers = [record.solver for record in found.history]
    cheap, newton = solvers.index("conjugate-gradients"), solvers.index("newton")
    assert "active-set" not in solvers[:cheap] and cheap < newton
    assert set(solvers[cheap:newton]) == {"conjugate-gradients", "active-set"}
    assert falls(found) and found.certificate.passes
    rounds = [record.round for record in found.history]
    assert rounds == sorted(rounds) and set(rounds) == set(range(1, max(rounds) + 1))


@pytest.mark.slow
def test_what_the_rounds_in_numpy_certify_is_not_refined(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=30, counts=(40,) * 20), make_model(mu=0.02, coupling=0.3)
    monkeypatch.setattr(refining, "refine", lambda *_, **__: pytest.fail("refined"))
    found = alternate(tasks, model, Options(tol=1e-2))
    assert found.status is Status.CERTIFIED and falls(found)
    assert found.history[-1].solver == "active-set" and found.history[-3].relative > 1e-2


@pytest.mark.parametrize("last", [1, 2, 5, 9])
def test_an_interruption_leaves_the_best_point(last: int, rng: np.random.Generator) -> None:
    tasks, model, seen = random_tasks(rng), make_model(mu=0.02, coupling=0.7), []

    def callback(record: Record) -> None:
        seen.append(record)
        if len(seen) == last:
            raise KeyboardInterrupt

    solution = alternate(tasks, model, Options(callback=callback, max_rounds=4))
    assert solution.status is Status.INTERRUPTED and len(solution.history) == last
    assert solution.objective == pytest.approx(seen[-1].objective, rel=1e-12)
    assert solution.certificate.objective == solution.objective


def test_the_callback_gets_every_record(rng: np.random.Generator) -> None:
    seen: list[Record] = []
    solution = alternate(
        random_tasks(rng), make_model(mu=0.02, coupling=0.7), Options(callback=seen.append, max_rounds=8)
    )
    assert tuple(seen) == solution.history and "refine" in {record.step for record in seen}
    assert all(hasattr(seen[0], column) for column in history_columns(("W", "B")))
    assert np.all(np.diff([record.seconds for record in seen]) >= 0)
    assert {"total", "compile", "solvers", "refine", "certificate"} <= set(solution.seconds)


class Sabotaged:
    """A step whose answer is spoiled from its second call on."""

    def __init__(self, inner: Any, spoil: Any) -> None:
        self.inner, self.spoil, self.calls = inner, spoil, 0

    def solve(self, point: Point) -> HalfStep:
        self.calls += 1
        found = self.inner.solve(point)
        return found if self.calls < 2 else HalfStep(self.spoil(found.value), found.solved)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_noise_in_the_w_step_within_its_gap_is_not_taken(
    loss: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong W raises J by exactly its gap at most; the run refuses it and says so."""
    original = WeightStep.compile
    noise = rng.normal(size=(6, 4))
    monkeypatch.setattr(
        WeightStep, "compile", lambda *args, **kw: Sabotaged(original(*args, **kw), lambda W: W + noise)
    )
    solution = alternate(
        random_tasks(rng, loss=loss),
        make_model(loss=loss, mu=0.02, coupling=0.7),
        Options(max_rounds=3, refine=False),
    )
    assert falls(solution)
    assert any("not taken" in record.solver_status for record in solution.history)
    assert solution.status is not Status.CERTIFIED


@pytest.mark.parametrize("name", ["W", "B"])
def test_a_rise_beyond_the_gap_is_an_error_with_round_and_step(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J and the gap are recomputed, so a rise beyond the gap means a step of another problem."""
    monkeypatch.setattr(alternating, "weight_gap", lambda *args: (1e-9, True, ""))
    monkeypatch.setattr(alternating, "transfer_gap", lambda *args: (1e-9, ""))
    if name == "W":
        original = WeightStep.compile
        noise = rng.normal(size=(6, 4))

        def spoiled(*args: Any, **settings: Any) -> Sabotaged:
            return Sabotaged(original(*args, **settings), lambda W: W + noise)

        monkeypatch.setattr(WeightStep, "compile", spoiled)
    else:
        compile_ = alternating.compile_transfer_step

        def denser(*args: Any, **settings: Any) -> Sabotaged:
            return Sabotaged(compile_(*args, **settings), lambda B: B + 1.0 - np.eye(4))

        monkeypatch.setattr(alternating, "compile_transfer_step", denser)
    with pytest.raises(SolveError, match=f"round 2: the {name}-step raised the objective") as caught:
        alternate(random_tasks(rng), make_model(mu=0.02, coupling=0.7), Options(max_rounds=5))
    assert (caught.value.step, caught.value.round) == (name, 2)


def test_a_step_that_no_solver_answers_names_the_round(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: LinearTransferStep, *args: object) -> HalfStep:
        raise SolveError("nothing helped", step="B", solver="OSQP", status="infeasible")

    monkeypatch.setattr(LinearTransferStep, "solve", fail)
    with pytest.raises(SolveError, match="round 1: nothing helped") as caught:
        alternate(random_tasks(rng), make_model(mu=0.02, coupling=0.7), QUICK)
    assert (caught.value.step, caught.value.round, caught.value.solver) == ("B", 1, "OSQP")


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_start_at_a_first_order_point_stays_there(loss: str, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, loss=loss), make_model(loss=loss, mu=0.01, coupling=0.3)
    reached = alternate(tasks, model, QUICK)
    again = alternate(tasks, model, Options(start=Blocks(reached.W, reached.B)))
    assert reached.B.any() and again.status is Status.CERTIFIED and again.history[-1].round == 1
    assert np.abs(again.W - reached.W).max() <= 1e-9 and np.abs(again.B - reached.B).max() <= 1e-9


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_start_at_zero_is_the_default(loss: str, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, loss=loss), make_model(loss=loss, mu=0.01, coupling=0.3)
    zeros = Blocks(np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T)))
    one, other = alternate(tasks, model, QUICK), alternate(tasks, model, Options(max_rounds=20, start=zeros))
    assert np.array_equal(one.W, other.W) and np.array_equal(one.B, other.B)


def test_a_start_begins_with_the_weight_step_at_its_graph(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.01, coupling=0.3)
    B = random_transfer(rng, tasks.T)
    begun = alternate(
        tasks, model, Options(max_rounds=1, refine=False, start=Blocks(np.zeros((tasks.d, tasks.T)), B))
    )
    H = (
        Problem(tasks, model).at(begun.W, B).hessian_W()
    )  # quadratic: one Newton step from zero is the minimum
    gradient = model.gradient_W(tasks, np.zeros_like(begun.W), B)
    expected = -np.linalg.solve(H, gradient.T.ravel()).reshape(tasks.T, tasks.d).T
    assert np.abs(begun.W - expected).max() <= 1e-9 * np.abs(expected).max()


def test_a_start_that_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    with pytest.raises(DataError, match="W must have shape"):
        alternate(tasks, model, Options(start=Blocks(W.T, B)))
    for bad in (B - 0.1, B + 0.1):
        with pytest.raises(ModelError, match="feasible set .*, it misses that by 0.1"):
            alternate(tasks, model, Options(start=Blocks(W, bad)))
    with pytest.raises(ModelError, match="'stl' has its own start"):
        fit(tasks, model, method="stl", options=Options(start=Blocks(W, B)))


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_the_scale_of_y_changes_neither_B_nor_the_status(scale: float, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    scaled = TaskSet.from_arrays([task.X for task in tasks], [scale * task.y for task in tasks])
    one, other = alternate(tasks, model, QUICK), alternate(scaled, model, QUICK)
    assert one.status is other.status is Status.CERTIFIED
    assert np.abs(one.B - other.B).max() <= 1e-6
    assert other.objective == pytest.approx(scale**2 * one.objective, rel=1e-9)


def test_a_fit_can_be_repeated(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    one, other = alternate(tasks, model, QUICK), alternate(tasks, model, QUICK)
    assert np.array_equal(one.W, other.W) and np.array_equal(one.B, other.B)


def test_a_task_of_zeros_neither_gives_nor_takes(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    y = [task.y for task in tasks.tasks[:3]]
    tasks = TaskSet.from_arrays([task.X for task in tasks], [*y, np.zeros(8)])
    solution = alternate(tasks, make_model(mu=0.05, coupling=0.7), QUICK)
    assert solution.status is Status.CERTIFIED
    assert not solution.W[:, 3].any() and not solution.B[3].any() and not solution.B[:, 3].any()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tol": 0.0}, ModelError),
        ({"tol": 1.0}, ModelError),
        ({"tol": True}, ModelError),
        ({"max_rounds": 0}, ModelError),
        ({"max_rounds": True}, ModelError),
        ({"ridge": True}, ModelError),
        ({"ridge": "1"}, ModelError),
        ({"sweep": "columns"}, ModelError),
        ({"definition": True, "sweep": "tasks"}, ModelError),
        ({"solver": "none"}, SolverUnavailableError),
    ],
)
def test_options_out_of_range_are_refused(settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Options(**settings)


def test_tasks_that_do_not_fit_the_model_are_bad_data(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="labels"):
        alternate(random_tasks(rng), make_model(loss="logistic", mu=0.1, coupling=1.0), QUICK)


def test_the_neutral_solve_is_not_recorded() -> None:
    assert Solved.none().solver == "" and Solved.none().seconds <= 0.0
