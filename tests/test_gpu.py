"""GPU routes and why not, and a fit whose inner solves go to SCS back ends that stand in for a GPU's.

`Standin` takes the place of a compiled back end of scs (`scs._scs_cudss`): CVXPY and scs load and call it as
they would the real one. It answers with the CPU's QDLDL back end, or fails: as real builds do without a
device (`ScsWork allocation error!`) or without the CUDA libraries (an ImportError), or with a status that is
not optimal.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from cases import LOSS_CASES, loss_id, random_tasks, tasks_for
from gpus import FAILURES, MODULES, install, none_present
from penalty_cases import PENALTY_CASES, penalty_id

from amtl_cvx import Options, Solution, TaskSet, certify, fit
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.solvers import Backend, Gpu, gpu, gpu_for
from amtl_cvx.subproblems import TaskWeightStep, WeightStep, compile_transfer_step
from amtl_cvx.transfer import LossWeightedL1, TransferPenalty


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[TaskSet, Model]:
    return random_tasks(rng), make_model(mu=0.05, coupling=0.7)


def solvers_of(solution: Solution, step: str) -> set[str]:
    return {record.solver for record in solution.history if record.step == step}


def assert_same_certificate(found: Solution, expected: Solution, tasks: TaskSet) -> None:
    """Both pass, for the same point, by NumPy on the original rows."""
    for solution in (found, expected):
        again = certify(tasks, solution.model, solution.W, solution.B)
        assert again.passes and again.level == "C2" and again.relative <= 1e-8
    assert found.certificate.edges == expected.certificate.edges
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)
    assert np.abs(found.W - expected.W).max() <= 1e-6 * np.abs(expected.W).max()
    assert np.abs(found.B - expected.B).max() <= 1e-6


def test_cudss_is_tried_before_gpu_indirect(monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    install(monkeypatch, "gpu_indirect")
    assert gpu_for("on", "auto").linear_solver == "gpu_indirect"
    install(monkeypatch, "cudss")
    assert gpu_for("on", "auto").linear_solver == "cudss"


# a GPU that answers


@cache
def without_gpu(loss: Loss) -> tuple[TaskSet, Solution]:
    tasks = tasks_for(loss, np.random.default_rng(20160619))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=0.7)
    return tasks, fit(tasks, model, options=Options(gpu="off"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("linear_solver", list(MODULES))
@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_a_gpu_that_answers_agrees_in_the_certificate(
    monkeypatch: pytest.MonkeyPatch, loss: Loss, linear_solver: str
) -> None:
    none_present(monkeypatch)
    standin = install(monkeypatch, linear_solver)
    tasks, off = without_gpu(loss)
    on = fit(tasks, off.model, options=Options(gpu="on"))
    assert solvers_of(on, "W") == solvers_of(on, "B") == {f"SCS {linear_solver}"}
    assert solvers_of(off, "W") == solvers_of(off, "B") == {"CLARABEL"}
    assert on.gpu == f"SCS {linear_solver}: {len(standin.sizes)} inner solves" and off.gpu == "not used: off"
    assert max(standin.sizes) >= tasks.T * tasks.d and min(standin.sizes) == tasks.T * (tasks.T - 1)
    assert_same_certificate(on, off, tasks)


@pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)
def test_a_whole_transfer_step_is_polished_like_every_other(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, penalty: TransferPenalty
) -> None:
    standin = install(monkeypatch)
    tasks, model = random_tasks(rng), Model(transfer=penalty, coupling=0.7)
    W, start = rng.normal(size=(tasks.d, tasks.T)) + rng.normal(size=(tasks.d, 1)), np.zeros((4, 4))
    steps = [compile_transfer_step(tasks, model, backend=Options(gpu=g).backend) for g in ("on", "off")]
    on, off = (step.solve(Problem(tasks, model).at(W, start)) for step in steps)
    assert len(standin.sizes) == 1 and on.solved.solver == "SCS cudss" and on.solved.status == "optimal"
    assert np.abs(on.value - off.value).max() <= 1e-9 and on.value.min() >= 0.0


def test_what_is_solved_one_by_one_stays_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model]
) -> None:
    standin = install(monkeypatch)
    (tasks, model), backend = problem, Options(gpu="on").backend
    W, B = np.ones((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    TaskWeightStep.compile(tasks, model, backend=backend).solve(Problem(tasks, model).at(W, B))
    compile_transfer_step(tasks, model, backend=backend, columns=True).solve(Problem(tasks, model).at(W, B))
    assert not standin.sizes
    assert (
        backend.gpu.sentence() == "not used: every step of this fit solves one task or one column at a time"
    )


def test_the_definition_of_the_weight_step_goes_to_the_gpu_too(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    standin = install(monkeypatch)
    tasks, model = random_tasks(rng, loss="logistic"), make_model(loss="logistic", mu=0.05, coupling=0.7)
    W, B = np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    cones = WeightStep.definition(tasks, model, backend=Options(gpu="on").backend)
    newton = WeightStep.compile(tasks, model)
    found, expected = (step.solve(Problem(tasks, model).at(W, B)) for step in (cones, newton))
    assert len(standin.sizes) == 1 and found.solved.solver == "SCS cudss"
    assert np.abs(found.value - expected.value).max() <= 1e-4 * np.abs(expected.value).max()


# a GPU that fails


@pytest.mark.parametrize("error", [*FAILURES, None], ids=lambda error: type(error).__name__)
def test_a_gpu_that_fails_is_said_aloud_and_the_cpu_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: tuple[TaskSet, Model],
    error: Exception | None,
) -> None:
    standin = install(monkeypatch, error=error, fails_at=1)
    tasks, model = problem
    on, off = (fit(tasks, model, options=Options(gpu=choice)) for choice in ("on", "off"))
    assert len(standin.sizes) == 1
    first, *rest = on.history
    assert (first.solver, first.solver_status) == ("CLARABEL", "optimal, GPU failed")
    assert all("GPU" not in record.solver_status for record in rest)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    for said in (caplog.text, on.gpu):
        assert "SCS cudss failed at a W-step" in said
        assert (str(error) if error is not None else "optimal_inaccurate") in said
    assert_same_certificate(on, off, tasks)


def test_a_failure_after_answers_counts_them_and_a_new_fit_tries_again(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model]
) -> None:
    standin = install(monkeypatch, error=FAILURES[2], fails_at=4)
    tasks, model = problem
    options = Options(gpu="on")
    solution = fit(tasks, model, options=options)
    assert len(standin.sizes) == 4 and solution.certificate.passes
    assert solution.gpu.startswith("SCS cudss: 3 inner solves; SCS cudss failed at a B-step (RuntimeError: ")
    assert [record.solver for record in solution.history[:5]] == 3 * ["SCS cudss"] + 2 * ["CLARABEL"]
    fit(tasks, model, options=options)
    assert len(standin.sizes) == 5


def test_ctrl_c_is_no_failure_of_the_gpu(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model]
) -> None:
    install(monkeypatch, error=KeyboardInterrupt(), fails_at=3)  # type: ignore[arg-type]
    solution = fit(*problem, options=Options(gpu="on"))
    assert solution.status.value == "interrupted" and len(solution.history) == 2


# auto


def test_auto_stays_on_the_cpu_while_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model]
) -> None:
    standin = install(monkeypatch)
    monkeypatch.setattr(gpu, "GPU_SIZE", {"W": None, "B": None})
    solution = fit(*problem)
    assert not standin.sizes and solvers_of(solution, "W") == {"CLARABEL"}
    assert solution.gpu.startswith("not used: auto stays on the CPU") and "not measured" in solution.gpu


@pytest.mark.parametrize("step, other", [("W", "B"), ("B", "W")])
def test_auto_takes_the_gpu_from_the_measured_size_on(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model], step: str, other: str
) -> None:
    standin = install(monkeypatch)
    fit(*problem, options=Options(gpu="on"))
    unknowns = {"W": max(standin.sizes), "B": min(standin.sizes)}[step]
    for least, solver in ((unknowns, "SCS cudss"), (unknowns + 1, "CLARABEL")):
        monkeypatch.setattr(gpu, "GPU_SIZE", {step: least, other: None})
        standin.sizes.clear()
        solution = fit(*problem)
        assert solvers_of(solution, step) == {solver} and solvers_of(solution, other) == {"CLARABEL"}
        assert set(standin.sizes) == ({unknowns} if solver == "SCS cudss" else set())
        assert solution.certificate.passes
    assert solution.gpu.startswith("not used: no inner solve is large enough to pay")
    asked_for = fit(*problem, options=Options(solver="CLARABEL"))
    assert asked_for.gpu == "not used: the solver asked for is CLARABEL"


def test_auto_without_a_gpu_is_the_cpu_in_silence(
    monkeypatch: pytest.MonkeyPatch, problem: tuple[TaskSet, Model], caplog: pytest.LogCaptureFixture
) -> None:
    none_present(monkeypatch)
    monkeypatch.setattr(gpu, "GPU_SIZE", {"W": 0, "B": 0})
    solution = fit(*problem)
    assert solution.certificate.passes and not caplog.records
    assert "built without its GPU back end" in solution.gpu and "no CUDA device is visible" in solution.gpu


def test_a_small_problem_does_not_ask_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> gpu.Cuda:
        raise AssertionError("asked")

    monkeypatch.setattr(gpu, "cuda", ask)
    monkeypatch.setattr(gpu, "GPU_SIZE", {"W": 100, "B": 100})
    assert not gpu_for("auto", "auto").takes("W", 99)
    with pytest.raises(AssertionError, match="asked"):
        gpu_for("auto", "auto").takes("W", 100)


def test_a_back_end_without_a_word_about_the_gpu_has_none() -> None:
    assert not Backend(solver="SCS").gpu.takes("W", 10**9) and Gpu().sentence() == "not used: off"
