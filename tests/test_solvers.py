"""The fallback chain, honest statuses, and errors that name what each solver said."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from amtl_cvx import solvers
from amtl_cvx.errors import ConvexityError, SolveError, SolverUnavailableError
from amtl_cvx.solvers import (
    CHAINS,
    Backend,
    Solved,
    available,
    chain,
    check_dpp,
    check_solver,
    inventory,
    solve,
    solving,
)


def problem() -> cp.Problem:
    x = cp.Variable(2)
    return cp.Problem(cp.Minimize(cp.sum_squares(x - np.array([1.0, -2.0]))), [x >= 0])


def answers(monkeypatch: pytest.MonkeyPatch, said: Mapping[str, tuple[str, float | None]]) -> list[str]:
    """Replace every solver by a fixed status and value; returns the list of solvers asked."""
    asked: list[str] = []

    def attempt(
        problem: cp.Problem, name: str, options: Mapping[str, Any], limit: float
    ) -> tuple[str, float, float]:
        asked.append(name)
        status, value = said[name]
        for variable in problem.variables():
            variable.save_value(None if value is None else np.full(variable.shape, value))
        return status, 0.5, 0.25

    monkeypatch.setattr(solving, "_attempt", attempt)
    return asked


@pytest.mark.parametrize("step", list(CHAINS))
def test_every_solver_of_a_chain_solves_it(step: solvers.Step) -> None:
    for name in CHAINS[step]:
        qp = problem()
        solved = solve(qp, step=step, backend=Backend(solver=name))
        assert (solved.solver, solved.status) == (name, "optimal")
        assert qp.variables()[0].value == pytest.approx([1.0, 0.0], abs=1e-6)
        assert solved.seconds > 0.0 and solved.compile_seconds > 0.0


def test_the_first_that_is_optimal_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(
        monkeypatch, {"CLARABEL": ("failed (x)", None), "SCS": ("optimal", 2.0), "OSQP": ("optimal", 3.0)}
    )
    qp = problem()
    assert solve(qp, step="W") == Solved(solver="SCS", status="optimal", seconds=0.5, compile_seconds=0.5)
    assert asked == ["CLARABEL", "SCS"] and qp.variables()[0].value == pytest.approx([2.0, 2.0])


def test_an_inaccurate_answer_is_used_under_its_own_status(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"OSQP": ("user_limit", 1.0), "CLARABEL": ("optimal_inaccurate", 2.0), "SCS": ("infeasible", None)}
    answers(monkeypatch, said)
    qp = problem()
    with caplog.at_level(logging.WARNING, logger="amtl_cvx"):
        solved = solve(qp, step="B")
    assert (solved.solver, solved.status) == ("CLARABEL", "optimal_inaccurate")
    assert qp.variables()[0].value == pytest.approx([2.0, 2.0])
    assert all(f"{name}: {status}" in caplog.text for name, (status, _) in said.items())


def test_an_inaccurate_answer_is_preferred_to_one_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = CHAINS["B"]
    answers(
        monkeypatch,
        {first: ("user_limit", 1.0), second: ("optimal_inaccurate", 2.0), third: ("user_limit", 3.0)},
    )
    qp = problem()
    assert solve(qp, step="B").solver == second and qp.variables()[0].value == pytest.approx([2.0, 2.0])


def test_no_answer_is_an_error_that_names_what_each_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"OSQP": ("user_limit", None), "CLARABEL": ("failed (bang)", None), "SCS": ("unbounded", None)}
    answers(monkeypatch, said)
    with pytest.raises(SolveError) as caught:
        solve(problem(), step="B")
    assert caught.value.step == "B" and caught.value.solver == ", ".join(CHAINS["B"])
    for name, (status, _) in said.items():
        assert f"{name}: {status}" in str(caught.value) and f"{name}: {status}" in caught.value.status
    assert "round 7" in str(caught.value.in_round(7)) and caught.value.in_round(7).round == 7


def test_a_real_failure_falls_through_the_chain() -> None:
    x = cp.Variable()
    cone = cp.Problem(cp.Minimize(cp.logistic(x) - 0.5 * x))  # OSQP has no exponential cone
    solved = solve(cone, step="B", backend=Backend(solver="OSQP"))
    assert solved.solver in ("CLARABEL", "SCS") and x.value == pytest.approx(0.0, abs=1e-4)


def test_an_infeasible_problem_is_an_error() -> None:
    x = cp.Variable()
    with pytest.raises(SolveError, match="infeasible"):
        solve(cp.Problem(cp.Minimize(x**2), [x >= 1, x <= 0]), step="B")


def test_ctrl_c_inside_osqp_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raw:
        class info:
            status = "interrupted"

    qp = problem()
    data, chain_, inverse = qp.get_problem_data("OSQP")
    monkeypatch.setattr(qp, "get_problem_data", lambda *a, **k: (data, chain_, inverse))
    monkeypatch.setattr(type(chain_), "solve_via_data", lambda *a, **k: Raw)
    with pytest.raises(KeyboardInterrupt):
        solve(qp, step="B", backend=Backend(solver="OSQP"))


def test_the_chosen_solver_comes_first_where_it_can_do_the_step() -> None:
    assert chain("W", "OSQP") == ("OSQP", "CLARABEL", "SCS")
    assert chain("W-cone", "OSQP") == ("CLARABEL", "SCS")
    assert chain("B", "auto") == CHAINS["B"]


def test_unknown_and_missing_solvers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_solver("auto") == "auto" and check_solver("clarabel") == "CLARABEL"
    with pytest.raises(SolverUnavailableError, match="unknown solver 'GUROBY': choose auto, CLARABEL"):
        check_solver("GUROBY")
    monkeypatch.setattr(inventory, "installed", lambda: frozenset({"CLARABEL"}))
    with pytest.raises(SolverUnavailableError, match="OSQP is not installed: pip install osqp"):
        check_solver("osqp")
    assert chain("B", "auto") == ("CLARABEL",)
    rows = {row.name: row for row in available()}
    assert rows["CLARABEL"].usable and not rows["OSQP"].usable and "pip install" in rows["OSQP"].reason


@pytest.fixture
def terms() -> Iterator[dict[str, cp.Expression]]:
    x, p, q = cp.Variable(3, name="x"), cp.Parameter(3, name="p"), cp.Parameter(3, name="q")
    yield {"not DPP": cp.sum(cp.multiply(cp.multiply(p, q), x)), "not convex": cp.sum(cp.sqrt(x))}


@pytest.mark.parametrize("kind", ["not DPP", "not convex"])
def test_a_term_outside_the_protocol_is_named(kind: str, terms: dict[str, cp.Expression]) -> None:
    with pytest.raises(ConvexityError, match=f"the hat is {kind}.*x"):
        check_dpp(cp.Problem(cp.Minimize(terms[kind])), "the hat")


def test_several_solves_are_one_record() -> None:
    one = Solved(solver="OSQP", status="optimal", seconds=1.0, compile_seconds=0.5)
    two = Solved(solver="CLARABEL", status="user_limit", seconds=2.0)
    both = Solved.none() + one + two + one
    assert both == Solved(solver="OSQP+CLARABEL", status="user_limit", seconds=4.0, compile_seconds=1.0)
