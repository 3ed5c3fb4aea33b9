"""GPU routes and why not, and a fit whose inner solves go to SCS back ends that stand in for a GPU's.

`Standin` takes the place of a compiled back end of scs (`scs._scs_cudss`): CVXPY and scs load and call it as
they would the real one. It answers with the CPU's QDLDL back end, or fails: as real builds do without a
device (`ScsWork allocation error!`) or without the CUDA libraries (an ImportError), or with a status that is
not optimal.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import logging
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import LOSS_CASES, PENALTY_CASES, loss_id, penalty_id, random_tasks, tasks_for
from command_line import GIVEN, Run, arrays, assert_error
from scs import _scs_direct

from amtl_cvx import Options, Solution, TaskSet, certify, fit
from amtl_cvx.errors import ModelError, SolverUnavailableError
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.solvers import Backend, Gpu, cuda, gpu, gpu_for, gpu_routes
from amtl_cvx.subproblems import TaskWeightStep, WeightStep, compile_transfer_step
from amtl_cvx.transfer import LossWeightedL1, TransferPenalty

MODULES = {"cudss": "scs._scs_cudss", "gpu_indirect": "scs._scs_gpu"}
ROUTES = ["SCS cudss", "SCS gpu_indirect", "MPAX", "cuOpt", "CuClarabel", "Moreau", "QOCO (CUDA)"]
PACKAGES = {"scs", "mpax", "jax", "cuopt", "juliacall", "cupy", "moreau", "qoco"}
BACKENDS = {*MODULES.values(), "jax_cuda13_plugin", "moreau_cuda", "qoco_cuda"}
FAILURES = [
    ValueError("ScsWork allocation error!"),
    ImportError("libcublas.so.13: cannot open shared object file"),
    RuntimeError("CUDA error 700"),
]


class Standin(ModuleType):
    """A back end of scs: counts its calls; from call `fails_at` on it raises `error`, or stops at a limit."""

    def __init__(self, name: str, error: Exception | None = None, fails_at: int | None = None) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.error, self.fails_at, self.sizes = error, fails_at, []

    def SCS(self, shape: tuple[int, int], *data: Any, **settings: Any) -> Any:
        self.sizes.append(shape[1])
        if self.fails_at is not None and len(self.sizes) >= self.fails_at:
            if self.error is not None:
                raise self.error
            settings["max_iters"] = 1
        return _scs_direct.SCS(shape, *data, **settings)


def install(
    monkeypatch: pytest.MonkeyPatch, linear_solver: str = "cudss", *, visible: bool = True, **how: Any
) -> Standin:
    """Put a stand-in in place, with or without a device to be seen."""
    found = gpu.Cuda(("Stand-in 1",)) if visible else gpu.Cuda((), "the driver shows none")
    standin = Standin(MODULES[linear_solver], **how)
    monkeypatch.setattr(gpu, "cuda", lambda: found)
    monkeypatch.setitem(sys.modules, MODULES[linear_solver], standin)
    return standin


def none_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a back end nor a device, whatever the machine has."""
    for name in MODULES.values():
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda((), "no NVIDIA driver"))


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


# routes


@pytest.mark.parametrize(
    "there, devices, reason",
    [
        (PACKAGES | BACKENDS, ("H1",), ""),
        (PACKAGES | BACKENDS, (), "no CUDA device is visible"),
        (PACKAGES, ("H1",), "without its GPU back end: pip install"),
        (set(), ("H1",), "not installed"),
        (set(), (), "; no CUDA device is visible"),
    ],
)
def test_every_route_is_usable_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, there: set[str], devices: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setattr(gpu, "_found", there.__contains__)
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(devices, "hidden"))
    routes = {route.name: route for route in gpu_routes()}
    assert list(routes) == ROUTES
    without = {"cuOpt", "CuClarabel"} if there == PACKAGES else set()  # they have no separate back end
    for name, route in routes.items():
        assert route.usable == (not reason or name in without)
        assert route.usable or reason in route.reason
        assert route.usable == (not route.reason)
    assert [route.linear_solver for route in routes.values() if route.linear_solver] == list(MODULES)


def test_routes_are_looked_for_without_importing_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heavy = (PACKAGES - {"scs"}) | {"jax_cuda12_plugin", "moreau_cuda", "qoco_cuda"}
    for name in heavy:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(("H1",)))
    routes = {route.name: route for route in gpu_routes()}
    assert all(routes[name].usable for name in ROUTES[2:])
    assert not heavy & set(sys.modules)


def test_a_missing_parent_package_is_not_found() -> None:
    assert not gpu._found("no_such_package.part") and not gpu._found("no_such_package")
    assert gpu._found("scs._scs_direct")


class Driver:
    """libcuda with `names` as its devices, or an error code of cuInit."""

    def __init__(self, code: int = 0, names: tuple[str, ...] = ()) -> None:
        self.code, self.names = code, names

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGetName(self, text: Any, size: int, number: int) -> int:
        text.value = self.names[number].encode()[: size - 1]
        return 0


@pytest.mark.parametrize(
    "driver, hidden, devices, reason",
    [
        (None, None, (), "no NVIDIA driver"),
        (Driver(names=("H1", "H2")), None, ("H1", "H2"), ""),
        (Driver(), None, (), "the NVIDIA driver shows none"),
        (Driver(code=100), "", (), "shows none: CUDA_VISIBLE_DEVICES is ''"),
        (Driver(code=34), None, (), "error 34"),
    ],
)
def test_the_driver_says_which_devices_are_visible(
    monkeypatch: pytest.MonkeyPatch,
    driver: Driver | None,
    hidden: str | None,
    devices: tuple[str, ...],
    reason: str,
) -> None:
    def load(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = cuda.__wrapped__()
    assert found.devices == devices and reason in found.reason and bool(found.reason) == (not devices)


@pytest.mark.parametrize("built, visible", [(False, False), (True, False), (False, True)])
def test_on_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, built: bool, visible: bool) -> None:
    none_present(monkeypatch)
    if built:
        install(monkeypatch, visible=False)
    if visible:
        monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(("H1",)))
    with pytest.raises(SolverUnavailableError) as caught:
        Options(gpu="on")
    said = str(caught.value)
    assert ("built without its GPU back end" in said) == (not built)
    assert ("no CUDA device is visible" in said) == (not visible)
    assert said.endswith("choose 'auto' or 'off'") and "\n" not in said


def test_options_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(ModelError, match="gpu must be 'auto', 'on' or 'off', got 'yes'"):
        Options(gpu="yes")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="solves with SCS, the solver asked for is OSQP"):
        Options(gpu="on", solver="osqp")
    with pytest.raises(ModelError, match="fast engine does not use a GPU"):
        Options(gpu="on", engine="fast")
    assert Options(gpu="on", solver="scs").backend.gpu.linear_solver == "cudss"


def test_cudss_is_tried_before_gpu_indirect(monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    install(monkeypatch, "gpu_indirect")
    assert gpu_for("on", "auto").linear_solver == "gpu_indirect"
    install(monkeypatch, "cudss")
    assert gpu_for("on", "auto").linear_solver == "cudss"


# a GPU that answers


@pytest.mark.parametrize("linear_solver", list(MODULES))
@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_a_gpu_that_answers_agrees_in_the_certificate(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, loss: Loss, linear_solver: str
) -> None:
    none_present(monkeypatch)
    standin = install(monkeypatch, linear_solver)
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=0.7)
    on, off = (fit(tasks, model, options=Options(gpu=choice)) for choice in ("on", "off"))
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


# the command line


def run_json(folder: str = "run") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return content


def test_gpu_on_without_one_is_exit_2_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on")
    assert_error(answer, "gpu 'on' cannot be had here", "GPU back end", "no CUDA device", "choose 'auto'")
    assert not Path("run").exists()


def test_gpu_auto_without_one_runs_on_the_cpu(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    none_present(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "auto")
    assert (answer.code, answer.err) == (0, "") and "gpu" not in answer.out
    assert run_json()["gpu"].startswith("not used: ") and run_json()["arguments"]["gpu"] == "auto"


def test_gpu_on_says_what_it_did(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    standin = install(monkeypatch)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on")
    assert (answer.code, answer.err) == (0, "")
    assert f"gpu: {run_json()['gpu']}\n" in answer.out
    assert run_json()["gpu"] == f"SCS cudss: {len(standin.sizes)} inner solves"
    assert "SCS cudss,optimal" in (Path("run") / "history.csv").read_text()


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_a_failure_is_one_warning_on_stderr(
    run: Run, monkeypatch: pytest.MonkeyPatch, quiet: tuple[str, ...]
) -> None:
    install(monkeypatch, error=FAILURES[0], fails_at=1)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--gpu", "on", *quiet)
    said = "SCS cudss failed at a W-step (ValueError: ScsWork allocation error!), the CPU "
    assert answer.code == 0 and run_json()["gpu"] == f"{said}went on"
    expected = f"warning: gpu: {said}goes on and the GPU is not tried again in this fit\n"
    assert answer.err == ("" if quiet else expected)
    assert "GPU failed" in (Path("run") / "history.csv").read_text()
    assert not logging.getLogger("amtl_cvx").handlers


def test_the_list_of_solvers_names_every_route(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    none_present(monkeypatch)
    listed = json.loads(run("solvers", "--json").out)["gpu"]
    assert [route["name"] for route in listed["routes"]] == ROUTES
    assert listed["devices"] == [] and listed["reason"] == "no NVIDIA driver"
    assert not any(route["usable"] for route in listed["routes"])
    answer = run("solvers")
    flat = " ".join(word for word in answer.out.split() if word not in "│┃")
    assert "CUDA devices: none, no NVIDIA driver" in flat and "…" not in answer.out
    assert all(name in flat for name in ROUTES) and "-Csetup-args=-Dlink_cudss=true" in flat
    if importlib.util.find_spec("mpax") is None:
        assert '"jax[cuda13]"' in flat
    install(monkeypatch)
    assert "CUDA devices: Stand-in 1" in run("solvers").out


# the report


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """reports/gpu/measure.py, with the modules beside it."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "reports" / "gpu")
    for name in ("cell", "page", "measure"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("measure")
    for name in ("cell", "page", "measure"):
        monkeypatch.delitem(sys.modules, name)
    return module


def sizes(*seconds: tuple[float, float | None]) -> list[dict[str, Any]]:
    """Rows of 10, 100, ... unknowns: seconds on the CPU and on the GPU."""
    return [
        {
            "unknowns": 10 ** (i + 1),
            "cells": {
                "Clarabel": {"seconds": on_cpu, "relative": 1e-9},
                "SCS cudss": {"why_not": "over"} if on_gpu is None else {"seconds": on_gpu, "relative": 1e-9},
            },
        }
        for i, (on_cpu, on_gpu) in enumerate(seconds)
    ]


def test_the_crossover_is_where_the_gpu_wins_for_good(report: Any) -> None:
    assert report.crossover(sizes((1, 2), (2, 1), (4, 1))) == 100
    assert report.crossover(sizes((2, 1), (1, 2), (4, 1))) == 1000
    assert report.crossover(sizes((1, 2), (4, 1), (1, 2))) is None
    assert report.crossover(sizes((1, None), (2, None))) is None
    assert report.crossover(sizes((2, 1), (3, None))) is None


@pytest.mark.parametrize("step, unknowns", [("W", 15), ("B", 20)])
def test_a_cell_measures_the_gpu_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, report: Any, step: str, unknowns: int
) -> None:
    standin = install(monkeypatch)
    cell = importlib.import_module("cell")
    monkeypatch.delitem(sys.modules, "cell")
    found = cell.measure(step, 5, 3, "SCS cudss")
    assert len(standin.sizes) == cell.REPEATS + 1 and min(standin.sizes) >= unknowns
    assert 0.0 < found["solver_seconds"] <= found["seconds"] and found["relative"] <= 1e-6
    install(monkeypatch, error=FAILURES[0], fails_at=1)
    said = cell.measure(step, 5, 3, "SCS cudss")
    assert said["why_not"].startswith(f"no answer: SCS cudss failed at a {step}-step (ValueError")
