"""What a climb may cost: limits of time, rounds, digits and cells, and what is said where one ends it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from cases import Array, random_tasks
from command_line import GIVEN, Run, assert_error, states

import amtl_cvx.digits
import amtl_cvx.enclosure
from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, certify
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import certify as certify_first_order
from amtl_cvx.certificate import rungs
from amtl_cvx.enclosure import Enclosure, cells, enclose
from amtl_cvx.enclosure import point as exact
from amtl_cvx.enclosure.exact import ExactProblem
from amtl_cvx.errors import LimitReached, ModelError, NotCertifiable
from amtl_cvx.ladder import climb
from amtl_cvx.limits import SECONDS, check_time, limited, seconds_left
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Problem

ENCLOSE = sys.modules["amtl_cvx.enclosure.enclose"]
MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@pytest.fixture(scope="module")
def tasks() -> TaskSet:
    return random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))


@pytest.fixture(scope="module")
def many(tasks: TaskSet) -> Enclosure:
    """From ten starts: the minimum."""
    return enclose(tasks, MODEL, *zeros(tasks), starts=10)


@pytest.fixture(scope="module")
def wide(tasks: TaskSet) -> Enclosure:
    """Around W = B = 0, from where no lower point is looked for, in two cells at most."""
    with mock.patch.object(ENCLOSE, "RESTARTS", 0):
        return enclose(tasks, MODEL, *zeros(tasks), starts=0, cells=2)


def zeros(tasks: TaskSet) -> tuple[Array, Array]:
    return np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))


# --- time -------------------------------------------------------------------------------------------------


def test_the_nearer_of_two_limits_counts() -> None:
    assert seconds_left() == math.inf
    with limited(1000.0):
        assert 990 < seconds_left() <= 1000
        with limited(5.0):
            assert 4 < seconds_left() <= 5
        with limited(9000.0):
            assert seconds_left() <= 1000
        with pytest.raises(LimitReached, match="came while the cells were cut"), limited(0.0):
            check_time("the cells were cut")
        check_time("nothing")
    assert seconds_left() == math.inf


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, "long", True])
def test_a_limit_that_is_none_is_refused(tasks: TaskSet, limit: Any) -> None:
    with pytest.raises(ModelError, match="limit must be a number of seconds > 0"):
        certify(tasks, MODEL, *zeros(tasks), limit=limit)


def test_what_the_limit_ends_is_not_decided(tasks: TaskSet) -> None:
    """No verdict on the point, a reason with the way on, and no level above is decided."""
    found = fit(tasks, MODEL)
    certificate = climb(found.certificate, tasks, MODEL, found.W, found.B, limit=1e-9).certificate
    assert certificate.level == "C2" and certificate.passes and certificate.refused == ()
    assert certificate.reasons["C3"].startswith("not decided: ") and "--limit" in certificate.reasons["C3"]
    assert [rung.state for rung in rungs(certificate)][3:] == ["cannot tell", "not tried", "cannot tell"]


@pytest.mark.parametrize("hung", ["prove", "enclose"])
def test_a_level_that_hangs_ends_with_the_limit(
    tasks: TaskSet, monkeypatch: pytest.MonkeyPatch, hung: str
) -> None:
    def hang(*_: Any, **__: Any) -> None:
        while True:
            check_time("nothing came of it")

    pytest.importorskip("flint", reason="the extra [verify] is not installed")
    module = amtl_cvx.digits if hung == "prove" else amtl_cvx.enclosure
    monkeypatch.setattr(module, hung, hang)
    found, before = fit(tasks, MODEL), time.perf_counter()
    certificate = climb(found.certificate, tasks, MODEL, found.W, found.B, limit=0.5).certificate
    assert time.perf_counter() - before < 5.0
    level, code = ("C3", "C4") if hung == "prove" else ("C4", "C5")
    assert certificate.level == level and certificate.refused == ()
    assert "came while nothing came of it" in certificate.reasons[code]
    assert rungs(certificate)[int(code[1])].state == "cannot tell"


def test_a_search_whose_time_is_over_keeps_its_best_bound(
    tasks: TaskSet, many: Enclosure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first relaxation the time is over: its bound is proved, and what stopped it is said."""
    over = [math.inf]
    bound = cells.bound

    def last(*given: Any) -> Any:
        found = bound(*given)
        over[0] = 0.0
        return found

    monkeypatch.setattr(cells.Prover, "_proof", lambda *_: None)
    monkeypatch.setattr(cells.Prover, "_below", lambda *_: True)
    monkeypatch.setattr(cells.Prover, "_look_lower", lambda *_: None)
    monkeypatch.setattr(cells, "bound", last)
    for module in (cells, ENCLOSE):
        monkeypatch.setattr(module, "seconds_left", lambda: over[0])
    found = enclose(tasks, MODEL, *zeros(tasks), starts=1)
    assert found.cells == 1 and found.stopped == "the limit of time" and not found.tight
    assert found.lower <= many.upper <= found.upper


def test_no_time_at_all_is_no_answer(tasks: TaskSet) -> None:
    with limited(0.0), pytest.raises(LimitReached):
        enclose(tasks, MODEL, *zeros(tasks))


# --- rounds, digits, cells --------------------------------------------------------------------------------


@pytest.fixture
def problem(tasks: TaskSet) -> ExactProblem:
    return ExactProblem.read(tasks, MODEL)


def test_a_polish_that_diverges_ends(
    tasks: TaskSet, problem: ExactProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hessian a tenth of the true one makes every step ten times too long: the digits would triple."""
    hessian = exact._hessian
    monkeypatch.setattr(exact, "_hessian", lambda *given: hessian(*given) / 10)  # type: ignore[operator]
    calls = count_calls(monkeypatch, exact, "_gradient")
    found = alternate(tasks, MODEL, Options(engine="fast"))
    point = exact.polish(problem, found.W, found.B, bits=96)
    raw = exact.exact_point(problem, found.W, found.B)
    assert point.objective <= raw.objective and calls[0] < 40
    assert max(value.denominator.bit_length() for row in point.W for value in row) < 200


def test_a_polish_from_afar_takes_the_hessian_of_where_it_is(tasks: TaskSet, problem: ExactProblem) -> None:
    """The Hessian of the start alone leads nowhere from here."""
    found = alternate(tasks, MODEL, Options(engine="fast"))
    point = exact.polish(problem, 1.05 * found.W, 1.05 * found.B, bits=96)
    G_W, G_B = problem.gradients(point.W, point.B)
    assert max(map(abs, [*G_W[0], *(G_B[s][t] for s, t in point.support)])) < Fraction(1, 10**25)


def count_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    inner: Callable[..., Any] = getattr(module, name)
    calls = [0]

    def counted(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        return inner(*given, **options)

    monkeypatch.setattr(module, name, counted)
    return calls


def test_a_polish_never_ends_above_where_it_began() -> None:
    """An edge of 1e-11 that lowers J is dropped by the polish, whose point lies above: the raw one stays."""
    rng = np.random.default_rng(2)
    X = [rng.normal(size=(6, 1)) for _ in range(2)]
    tasks = TaskSet.from_arrays(X, [x[:, 0] + 0.5 * rng.normal(size=6) for x in X])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1e-3), coupling=1.0)
    problem = ExactProblem.read(tasks, model)
    B = np.zeros((2, 2))
    W = np.array(
        [
            [
                float(x[:, 0] @ y / 6 / (x[:, 0] @ x[:, 0] / 6 + 1.0))
                for x, y in zip(X, (t.y for t in tasks), strict=True)
            ]
        ]
    )
    assert model.gradient_B(tasks, W, B)[0, 1] < 0  # the edge lowers J
    edge = np.array([[0.0, 1e-11], [0.0, 0.0]])
    raw = exact.exact_point(problem, W, edge)
    dropped = exact.polish(problem, W, B, bits=96)
    assert raw.objective < dropped.objective
    assert exact.polish(problem, W, edge, bits=96).objective == raw.objective


def test_a_lower_point_takes_the_place_of_the_first(tasks: TaskSet, many: Enclosure) -> None:
    """Asked about W = B = 0 and given no start, the moments lead to the point that many starts find."""
    said: list[str] = []
    alone = enclose(tasks, MODEL, *zeros(tasks), starts=0, observe=said.append)
    assert any("a lower point turned up" in words for words in said)
    assert alone.tight and abs(alone.upper - many.upper) < Fraction(1, 10**15) * many.upper


def test_after_so_many_lower_points_none_is_looked_for(many: Enclosure, wide: Enclosure) -> None:
    """The bound is rigorous all the same, a loose one is not called tight, and cells are limited."""
    assert wide.lower <= many.upper < wide.upper and wide.cells <= 2
    assert not wide.tight and wide.width > 1e-3


def test_cells_that_cannot_be_cut_end_the_search(tasks: TaskSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENCLOSE, "RESTARTS", 0)
    monkeypatch.setattr(cells, "place", lambda *_: None)
    found = enclose(tasks, MODEL, *zeros(tasks), starts=0)
    assert found.cells == 1 and found.stopped == "no open cell could be cut further" and not found.tight


def test_a_box_too_wide_for_the_digits_of_a_proof_is_refused(tasks: TaskSet) -> None:
    narrow = Model(loss=Squared(), transfer=LossWeightedL1(mu=1e-290), coupling=1.0)
    with pytest.raises(NotCertifiable, match="binary digits, at most 1000"):
        enclose(tasks, narrow, *zeros(tasks), starts=1)


def test_a_certificate_says_what_stopped_a_search(
    tasks: TaskSet, wide: Enclosure, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fit(tasks, MODEL)
    wide = replace(wide, at=wide.upper)
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: wide)
    pytest.importorskip("flint", reason="the extra [verify] is not installed")
    reached = certify_first_order(Problem(tasks, MODEL).at(found.W, found.B))
    certificate = climb(reached, tasks, MODEL, found.W, found.B).certificate
    reason = certificate.reasons["C5"]
    assert reason.startswith("not decided: not proven global") and wide.stopped in reason
    assert rungs(certificate)[-1].state == "cannot tell"


# --- the command line -------------------------------------------------------------------------------------


def test_the_limit_of_the_command_line(run: Run, fitted: Path) -> None:
    answer = run("certify", "a.npz", "run", "--level", "C4", "--limit", "1e-9")
    assert answer.code == 1 and answer.err == "" and states(answer)["C3"] == "cannot tell"
    assert "Not decided: the limit of time came" in answer.out and "--limit SECONDS" in answer.out
    for words in (("certify", "a.npz", "run"), ("fit", "a.npz", "--out", "x", *GIVEN)):
        assert_error(run(*words, "--limit", "0"), "limit must be a number of seconds > 0")
    for command in ("fit", "certify"):
        assert f"is said ({SECONDS:g})" in " ".join(run(command, "--help").out.split())
