"""Faults of solvers: none is accepted, the next solver answers, and where none does it is a `SolveError`."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import random_tasks
from command_line import GIVEN, Run, arrays
from wrong_answers import FAULTS, PLACES, RELEASE, plant

from amtl_cvx import Options, fit
from amtl_cvx.enclosure import enclose
from amtl_cvx.errors import ModelError, NotCertifiable, SolveError
from amtl_cvx.problem import make_model
from amtl_cvx.solvers import CHAINS, SOLVE_LIMIT, Backend, Compiled, SolverFault, Step, solve, watch, watched

LIMIT = 0.2


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """What hangs in a test ends with it."""
    RELEASE.clear()
    yield
    RELEASE.set()


def quadratic(step: Step) -> tuple[Compiled, cp.Variable, dict[cp.Parameter, Any]]:
    """The W-step's form (one equality), or the B-step's (bounds), with minimum (1, 2) or (1, 0)."""
    x, p = cp.Variable(2), cp.Parameter(2)
    objective, e = cp.sum_squares(x) - 2 * p @ x, cp.Variable()
    limits = [x >= 0] if step == "B" else [e == cp.sum(x)]
    problem = cp.Problem(cp.Minimize(objective if step == "B" else objective + 0 * e), limits)
    return Compiled(problem, step=step, what="it"), x, {p: np.array([1.0, -2.0])}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_sends_the_problem_to_the_next_solver(
    fault: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, place, FAULTS[fault])
    step: Step = "B" if place in ("data", "OSQP") else "W"
    compiled, x, values = quadratic(step)
    backend = Backend(solver="auto" if place == "data" else place, limit=LIMIT)
    if place == "CLARABEL":
        plant(monkeypatch, "data", FAULTS["RuntimeError"])
    solved = compiled.solve(values, backend)
    assert solved.status == "optimal" and place not in solved.solver.split("+")[-1:]
    assert x.value == pytest.approx([1.0, -2.0 if step == "W" else 0.0], abs=1e-6)
    assert set(backend.hung) == ({place.replace("data", "CLARABEL")} if fault == "a hang" else set())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("step", ["W", "B"])
@pytest.mark.parametrize("fault", FAULTS)
def test_where_no_solver_answers_the_error_names_step_and_solvers(
    fault: str, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in PLACES:
        plant(monkeypatch, place, FAULTS[fault if place == "SCS" else "RuntimeError"])
    compiled, _, values = quadratic(step)
    with pytest.raises(SolveError) as caught:
        compiled.solve(values, Backend(limit=LIMIT))
    said = str(caught.value)
    assert f"the {step}-step could not be solved" in said and "\n" not in said and len(said) < 500
    assert all(f"{name}: " in said for name in CHAINS[step])


def test_a_solver_that_hung_is_not_asked_again_in_the_fit(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    plant(monkeypatch, "data", FAULTS["a hang"])
    plant(monkeypatch, "CLARABEL", FAULTS["a hang"])
    model, started = make_model(mu=0.05, coupling=0.7), time.perf_counter()
    with caplog.at_level(logging.WARNING, logger="amtl_cvx"):
        solution = fit(random_tasks(rng), model, options=Options(solve_limit=LIMIT))
    assert solution.certificate.passes and time.perf_counter() - started < 10.0
    assert len([record for record in caplog.records if "no answer within 0.2 s" in record.message]) == 1
    assert "CLARABEL" not in {record.solver for record in solution.history}


@pytest.mark.parametrize("fault", ["PanicException", "nan", "a hang"])
def test_a_fit_without_any_solver_is_exit_3_in_one_line(
    fault: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in PLACES:
        plant(monkeypatch, place, FAULTS[fault])
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--solve-limit", "0.1", "--quiet")
    assert answer.code == 3 and not answer.out
    (line,) = answer.err.splitlines()
    assert line.startswith("error: round 1: the W-step could not be solved (") and "SCS: " in line


def test_what_a_solver_prints_is_dropped_and_what_others_print_is_not() -> None:
    ready, printed = threading.Event(), threading.Event()

    def other() -> None:
        ready.wait()
        print("mine")
        printed.set()

    def noisy() -> int:
        ready.set()
        printed.wait()
        print("Polishing not needed")
        return 3

    thread, out = threading.Thread(target=other), io.StringIO()
    with contextlib.redirect_stdout(out):
        before = sys.stdout
        thread.start()
        assert watched(noisy, limit=10.0) == 3
        assert sys.stdout is before
    thread.join()
    assert out.getvalue() == "mine\n"


def test_osqp_is_silent_where_it_has_nothing_to_polish(capfd: pytest.CaptureFixture[str]) -> None:
    x = cp.Variable(2)
    inside = cp.Problem(cp.Minimize(cp.sum_squares(x - 1.0)), [x >= 0])
    assert solve(inside, step="B", backend=Backend(solver="OSQP")).solver == "OSQP"
    assert tuple(capfd.readouterr()) == ("", "")


def test_the_default_limit_grows_with_the_problem() -> None:
    small, large = (cp.Problem(cp.Minimize(cp.sum_squares(cp.Variable(n)))) for n in (10, 10_000))
    assert Backend().seconds(small) == SOLVE_LIMIT >= 600.0
    assert Backend().seconds(large) > 3600.0 and Backend(limit=2.0).seconds(large) == 2.0


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ModelError, match="solve_limit must be a number of seconds > 0"):
        Options(solve_limit=limit)


def test_ctrl_c_during_a_solve_comes_back_at_once_and_leaves_the_solver_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled, x, values = quadratic("B")
    compiled.solve(values, Backend())
    answer, pressed = watch._answer, list[float]()

    def interrupted(work: Callable[[], object]) -> object:
        pressed.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        return answer(work)

    with monkeypatch.context() as patch:
        patch.setattr(watch, "_answer", interrupted)
        patch.setattr(watch, "_idle", [])
        with pytest.raises(KeyboardInterrupt):
            compiled.solve(values, Backend())
    assert time.monotonic() - pressed[0] < 1.0
    assert compiled.solve(values, Backend()).solver == "CLARABEL"
    assert x.value == pytest.approx([1.0, 0.0], abs=1e-6)


def test_ctrl_c_lets_a_solver_end_that_does_so_soon() -> None:
    """A thread that still computes when Python ends is not clean."""
    ended = list[bool]()

    def work() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]
        time.sleep(0.2)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        watched(work, limit=10.0)
    assert ended


def test_a_thread_that_hangs_takes_no_further_call() -> None:
    hung = threading.Event()
    first: list[threading.Thread] = []
    with pytest.raises(SolverFault, match=r"no answer within 0\.01 s"):
        watched(lambda: (first.append(threading.current_thread()), hung.wait())[1], limit=0.01)
    second = watched(threading.current_thread, limit=10.0)
    assert second not in first and watched(threading.current_thread, limit=10.0) is second
    hung.set()


def test_a_fault_is_one_short_line() -> None:
    def work() -> None:
        raise RuntimeError("a\nb " * 100)

    with pytest.raises(SolverFault) as caught:
        watched(work, limit=1.0)
    assert str(caught.value).startswith("RuntimeError: a b a b") and len(str(caught.value)) < 120


@pytest.mark.parametrize("fault", ["PanicException", "None", "nan", "one value short"])
def test_a_fault_in_a_global_relaxation_is_no_proof_and_no_crash(
    fault: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    tasks, model = random_tasks(rng, d=1, counts=(8, 9)), make_model(mu=0.1, coupling=1.0)
    solution = fit(tasks, model)
    plant(monkeypatch, "CLARABEL", FAULTS[fault])
    with pytest.raises(NotCertifiable, match="CLARABEL found no bound"):
        enclose(tasks, model, solution.W, solution.B, starts=1)
