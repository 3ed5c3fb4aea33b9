"""Level C5: bounds, excess, width, claims, and what they do not wait for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import Array, random_tasks
from rungs import Case, climbed, enclosing, first_order, proved, small_problem
from scipy.optimize import minimize

import amtl_cvx.digits
import amtl_cvx.enclosure
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import rungs
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.ladder import climb
from amtl_cvx.losses import Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture
def problem() -> Case:
    return small_problem()


@pytest.fixture
def proving(monkeypatch: pytest.MonkeyPatch) -> None:
    proved(monkeypatch)


def refusing(reason: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotCertifiable(reason)

    return refuse


def claiming(monkeypatch: pytest.MonkeyPatch, claim: Callable[..., Any]) -> None:
    module = ModuleType("amtl_cvx.enclosure.scip")
    module.claim = claim  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amtl_cvx.enclosure.scip", module)


def test_bounds_are_rounded_outward(problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    J = first_order(problem).objective
    tiny = Fraction(1, 10**40)
    enclosing(monkeypatch, Fraction(J) - tiny, Fraction(J) + tiny)
    found = climbed(problem).certificate
    assert found.global_lower == np.nextafter(J, -np.inf) and found.global_upper == np.nextafter(J, np.inf)
    enclosing(monkeypatch, Fraction(J), Fraction(J))
    found = climbed(problem).certificate
    assert found.global_lower == found.global_upper == J


@pytest.mark.parametrize(
    ("lower", "upper", "state", "words"),
    [
        (Fraction(4, 5), Fraction(9, 10), "not reached", "a lower point exists"),
        (Fraction(9, 10), 1 - Fraction(1, 10**6), "not reached", "a lower point exists"),
        (Fraction(9, 10), Fraction(1), "cannot tell", "not proven global"),
        (1 - Fraction(11, 10**4), Fraction(1), "cannot tell", "not proven global"),
    ],
)
def test_c5_needs_a_narrow_enclosure_with_this_point_at_its_upper_end(
    problem: Case,
    proving: None,
    monkeypatch: pytest.MonkeyPatch,
    lower: Fraction,
    upper: Fraction,
    state: str,
    words: str,
) -> None:
    """A wide enclosure says nothing against the point, a lower point does."""
    J = Fraction(first_order(problem).objective)
    enclosing(monkeypatch, J * lower, J * upper, J)
    found = climbed(problem).certificate
    assert found.level == "C4" and words in found.reasons["C5"] and found.refused == ()
    assert found.global_lower is not None and found.global_method == "exact"
    assert rungs(found)[-1].state == state and words[1:] in rungs(found)[-1].words


def test_no_lower_bound_is_negative(problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relaxation that is worth nothing ends below 0, where J cannot be."""
    J = Fraction(first_order(problem).objective)
    enclosing(monkeypatch, -J, J)
    found = climbed(problem).certificate
    assert found.global_lower == 0.0 and found.global_excess is not None and found.global_excess >= J
    assert "the minimum lies in [0.0, " in found.reasons["C5"]


@pytest.mark.parametrize(("share", "level"), [(Fraction(1, 2000), "C5"), (Fraction(1, 900), "C4")])
def test_a_large_tolerance_makes_no_point_global(
    problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch, share: Fraction, level: str
) -> None:
    """tol = 0.2 says how well a first-order point is known, not how far above a lower one it may lie."""
    certificate = replace(first_order(problem), tol=0.2)
    J = Fraction(certificate.objective)
    enclosing(monkeypatch, J * (1 - share), J * (1 - share), J)
    found = climb(certificate, *problem).certificate
    assert found.level == level and found.global_lower is not None and found.global_excess is not None
    assert J - Fraction(found.global_lower) <= Fraction(found.global_excess) <= J * share * (1 + share)
    said = rungs(found)[-1].words
    if level == "C5":
        (excess, of_it) = re.findall(r"at most (\S+) above that, (\S+) of it", said)[0]
        assert Fraction(excess) >= J * share and Fraction(of_it) >= share / (1 - share)
    else:
        assert "a lower point exists" in found.reasons["C5"]
        assert 0.95 * share < Fraction(re.findall(r"at least (\S+) of its J", said)[0]) <= share


def test_the_excess_is_exact_where_the_sum_in_doubles_is_not(
    problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J as a double is off by 3e-11 of itself where large terms cancel; the words do not go by it."""
    J = Fraction(first_order(problem).objective)
    true = Fraction("4.91e-18")
    enclosing(monkeypatch, J, J, J + true)
    words = rungs(climbed(problem).certificate)[-1].words
    assert re.findall(r"at most (\S+) above that", words) == ["5e-18"]


def test_the_width_is_an_option(problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    J = Fraction(first_order(problem).objective)
    enclosing(monkeypatch, J * Fraction(99, 100), J)
    assert climbed(problem).certificate.level == "C4"
    assert climbed(problem, width=0.011).certificate.level == "C5"
    assert climbed(problem, width=0.009).certificate.level == "C4"


def test_the_cuts_of_an_enclosure_are_told(
    problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enclose(*_: Any, observe: Callable[[str], None]) -> None:
        observe("2 of at most 16 cells")
        raise NotCertifiable("enough")

    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", enclose)
    claiming(monkeypatch, refusing("no SCIP"))
    words: list[str] = []
    climbed(problem, observe=words.append)
    assert words[-1] == "bounding the global minimum: 2 of at most 16 cells"


def test_a_claim_is_reported_and_never_a_level(
    problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    J = Fraction(first_order(problem).objective)
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", refusing("a task is fitted perfectly"))
    claim = SimpleNamespace(lower=J, upper=J, width=0.0, method="solver-claimed", closed=True)
    claiming(monkeypatch, lambda *_, **__: claim)
    found = climbed(problem).certificate
    assert found.level == "C4" and found.refused == ("C5",) and found.global_method == "solver-claimed"
    assert found.global_lower == float(J) and "fitted perfectly" in found.reasons["C5"]
    rung = rungs(found)[-1]
    assert rung.state == "cannot be had" and "nothing proves" in rung.words
    assert "solver-claimed" in rung.figure
    assert "C5 global-verified" not in found.verdict()
    claim.upper = J * Fraction(9, 10)  # J at a point that SCIP found, whatever else it says
    found = climbed(problem).certificate
    assert found.level == "C4" and "a lower point exists" in found.reasons["C5"] and found.refused == ()
    claiming(monkeypatch, refusing("pip install pyscipopt"))
    found = climbed(problem).certificate
    assert found.global_lower is None and found.global_method is None and found.refused == ("C5",)
    assert "fitted perfectly" in found.reasons["C5"] and "pyscipopt" in found.reasons["C5"]


def test_the_bound_does_not_wait_for_digits(problem: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amtl_cvx.digits, "prove", refusing("python-flint is not installed"))
    J = Fraction(first_order(problem).objective)
    enclosing(monkeypatch, J * (1 - Fraction(1, 10**6)), J)
    found = climbed(problem).certificate
    assert found.level == "C5" and found.refused == ("C4",) and found.global_lower is not None
    assert found.has("C3") and found.has("C5") and not found.has("C4")
    assert [rung.state for rung in rungs(found)][3:] == ["reached", "cannot be had", "reached"]
    stored = found.to_dict()["rungs"]
    assert stored["C4"] == {"state": "cannot be had", "reason": "Python-flint is not installed."}
    assert "radius" not in found.verdict() and "relative width" in found.verdict()
    enclosing(monkeypatch, J * Fraction(1, 2), J)
    found = climbed(problem).certificate
    assert found.level == "C3" and found.global_width is not None and found.reasons["C5"].startswith("not d")


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "level"), [(0, "C5"), (10, "C4")])
def test_a_real_enclosure_tells_the_global_minimum_from_a_local_one(seed: int, level: str) -> None:
    """Judged by 100 random starts of a bound-constrained quasi-Newton method."""
    tasks = random_tasks(np.random.default_rng(seed), d=1, counts=(9, 12))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    climb_ = climb(found.certificate, tasks, model, found.W, found.B)
    certificate, rng = climb_.certificate, np.random.default_rng(1)

    def J(x: Array) -> float:
        return model.objective(tasks, x[None, :2], np.array([[0.0, x[2]], [x[3], 0.0]]))

    bounds = [(None, None)] * 2 + [(0.0, None)] * 2
    starts = np.column_stack([3.0 * rng.normal(size=(100, 2)), rng.exponential(size=(100, 2))])
    best = min(minimize(J, start, method="L-BFGS-B", bounds=bounds).fun for start in starts)
    assert certificate.level == level and certificate.global_method == "exact"
    assert certificate.global_lower is not None and certificate.global_upper is not None
    assert certificate.global_lower <= best * (1 + 1e-12)
    assert (best < found.objective * (1 - 1e-6)) == (level == "C4")
    assert ("a lower point exists" in certificate.reasons.get("C5", "")) == (level == "C4")
