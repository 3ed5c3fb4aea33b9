"""The ladder: each rung stands on the one below, and what cannot be had says why."""

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
from cases import Array, SourceGroupL2, at, random_tasks, tasks_for
from proven import support_vector
from scipy.optimize import minimize
from test_second_order import MINIMUM, SADDLE, Symmetric, flat

import amtl_cvx.digits
import amtl_cvx.enclosure
from amtl_cvx import certify
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import LEVELS, Certificate, rungs, second_order
from amtl_cvx.certificate import certify as certify_first_order
from amtl_cvx.curriculum import certify_curriculum, curriculum
from amtl_cvx.errors import DataError, ModelError, NotCertifiable
from amtl_cvx.ladder import Climb, climb, steps
from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

ABOVE = ("C3", "C4", "C5")
Case = tuple[TaskSet, Model, Array, Array]


@pytest.fixture(scope="module")
def problem() -> Case:
    """A first-order point of two tasks with an edge."""
    tasks = random_tasks(np.random.default_rng(0), d=2, counts=(9, 12))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    assert (found.B > 0).any() and found.certificate.passes
    return tasks, model, found.W, found.B


def first_order(problem: Case) -> Certificate:
    tasks, model, W, B = problem
    return certify_first_order(Problem(tasks, model).at(W, B))


def climbed(problem: Case, level: str = "C5", **options: Any) -> Climb:
    return climb(first_order(problem), *problem, level=level, **options)


def refusing(reason: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotCertifiable(reason)

    return refuse


@pytest.fixture
def proving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for C4: every point is proved to 50 digits."""
    proven = SimpleNamespace(
        radius=1e-50, distance=1e-16, isolation=1e-3, room=1e-3, strict_local_min=True, objective="1"
    )
    monkeypatch.setattr(amtl_cvx.digits, "prove", lambda *_, **__: proven)


def enclosing(
    monkeypatch: pytest.MonkeyPatch, lower: Fraction, upper: Fraction, at: Fraction | None = None
) -> None:
    """Stands in for C5: an exact enclosure, and J at the point, which is the upper end unless given."""
    found = SimpleNamespace(
        lower=lower,
        upper=upper,
        at=upper if at is None else at,
        width=float((upper - lower) / upper),
        method="exact",
        stopped="",
        proof={"format": "test"},
    )
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: found)


def claiming(monkeypatch: pytest.MonkeyPatch, claim: Callable[..., Any]) -> None:
    module = ModuleType("amtl_cvx.enclosure.scip")
    module.claim = claim  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amtl_cvx.enclosure.scip", module)


def test_levels_below_c3_change_nothing(problem: Case) -> None:
    certificate = first_order(problem)
    for level in ("C0", "C1", "C2"):
        assert climb(certificate, *problem, level=level).certificate == certificate
    states = [rung.state for rung in rungs(certificate)]
    assert states == ["reached"] * 3 + ["not tried"] * 3


@pytest.mark.parametrize("level", ["C6", "c3", "", "3"])
def test_an_unknown_level_is_refused(problem: Case, level: str) -> None:
    with pytest.raises(ModelError, match="C0, C1, C2, C3, C4, C5"):
        climbed(problem, level)
    with pytest.raises(ModelError, match="level must be one of"):
        certify(*problem, level=level)


def test_bad_points_are_refused_as_before(problem: Case) -> None:
    tasks, model, W, B = problem
    with pytest.raises(DataError, match="shape"):
        certify(tasks, model, W[:, :1], B, level="C3")
    with pytest.raises(DataError):
        certify(tasks, model, np.full_like(W, np.nan), B, level="C3")


def test_multipliers_given_bound_the_gap() -> None:
    """u = 0 proves of the hinge loss that J >= 0 and no more: the gap is J itself, a poor bound but one."""
    loss = Hinge()
    tasks = tasks_for(loss, np.random.default_rng(4), d=2, counts=(9, 12))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    least = alternate(tasks, model, Options(engine="fast"))
    assert least.certificate.passes
    W, B = 1.1 * least.W, least.B
    found = certify(tasks, model, W, B)
    given = certify(tasks, model, W, B, multipliers=[np.zeros(task.n) for task in tasks])
    assert found.gap_W is not None and given.gap_W == pytest.approx(given.objective, rel=1e-13)
    assert given.objective - least.objective <= found.gap_W * (1 + 1e-12) < 0.5 * given.gap_W
    with pytest.raises(DataError, match="one multiplier per row"):
        certify(tasks, model, W, B, multipliers=[np.zeros(3)])


def test_c3_has_its_figures(problem: Case) -> None:
    tasks, model, W, B = problem
    found = certify(tasks, model, W, B, level="C3")
    assert found.level == "C3" and found.passes and found.refused == ()
    assert found.reduced_hessian_min is not None and found.reduced_hessian_min > 0
    assert found.min_positive_B == B[B > 0].min()
    slopes = model.gradient_B(tasks, W, B)[(B <= 0) & ~np.eye(2, dtype=bool)]
    assert found.min_multiplier == (slopes.min() if len(slopes) else None)
    assert found.proven_radius is None and found.global_lower is None
    assert "C3 strict-local-verified" in found.verdict() and "curvature" in found.verdict()
    states = {rung.code: rung.state for rung in rungs(found)}
    assert states == dict.fromkeys(("C0", "C1", "C2", "C3"), "reached") | dict.fromkeys(
        ("C4", "C5"), "not tried"
    )


def test_c4_and_c5_are_reached_in_turn(problem: Case, proving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    J = Fraction(first_order(problem).objective)
    enclosing(monkeypatch, J * (1 - Fraction(1, 10**6)), J)
    seen: list[str] = []
    last: Climb | None = None
    for count, level in enumerate(ABOVE, start=1):
        seen.clear()
        found = climbed(problem, level, observe=seen.append)
        assert found.certificate.level == level and len(seen) == count
        if last is not None:  # a higher level keeps what the lower one found
            kept = {name: value for name, value in last.certificate.to_dict().items() if value is not None}
            known = found.certificate.to_dict()
            assert all(known[name] == value for name, value in kept.items() if name not in ("level", "rungs"))
            assert {code for code, each in kept["rungs"].items() if each["state"] == "reached"} < {
                code for code, each in known["rungs"].items() if each["state"] == "reached"
            }
        last = found
    assert last is not None
    certificate = last.certificate
    assert certificate.proven_radius == 1e-50 and certificate.global_method == "exact"
    assert certificate.global_width == pytest.approx(1e-6)
    assert all(rung.state == "reached" for rung in rungs(certificate))
    assert "No W and B at all" in rungs(certificate)[-1].words


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


def test_an_interrupt_keeps_the_rungs_below(problem: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(amtl_cvx.digits, "prove", stop)
    found = climbed(problem)
    assert found.interrupted and found.certificate.level == "C3"
    assert [rung.state for rung in rungs(found.certificate)][3:] == ["reached", "not tried", "not tried"]
    with pytest.raises(KeyboardInterrupt):  # who asks for the certificate alone is not given a lesser one
        certify(*problem, level="C5")


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


def test_c4_must_reach_the_stored_point(problem: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root that is proved somewhere near, with room for another one in between, proves nothing here."""
    proven = SimpleNamespace(radius=1e-50, distance=1e-6, isolation=1e-6, room=0.0, strict_local_min=True)
    monkeypatch.setattr(amtl_cvx.digits, "prove", lambda *_, **__: proven)
    found = climbed(problem, "C4").certificate
    assert found.level == "C3" and "in between" in found.reasons["C4"] and found.proven_radius is None
    proven.isolation, proven.room = 3e-6, 2e-6
    found = climbed(problem, "C4").certificate
    assert found.level == "C4" and found.proven_isolation == pytest.approx(2e-6)


def test_a_saddle_that_was_enclosed_is_no_c4(problem: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    saddle = SimpleNamespace(radius=1e-50, distance=0.0, strict_local_min=False)
    monkeypatch.setattr(amtl_cvx.digits, "prove", lambda *_, **__: saddle)
    found = climbed(problem, "C4").certificate
    assert found.level == "C3" and found.proven_radius is None and "strict local" in found.reasons["C4"]


@pytest.mark.parametrize(
    ("case", "word"), [(SADDLE, "saddle"), (Symmetric.build(0.3, 0.5, flat(0.3, 0.5)), "degenerate")]
)
def test_a_saddle_and_a_degenerate_point_stay_at_c2(case: Symmetric, word: str) -> None:
    found = certify(case.tasks, case.model, case.W, case.B, level="C5")
    assert found.level == "C2" and found.passes and found.refused == ()
    assert found.reasons["C3"].startswith(word) and found.reasons["C4"] == "needs C3"
    assert rungs(found)[3].state == ("not reached" if word == "saddle" else "cannot tell")
    assert found.reasons["C5"].startswith("a lower point") and found.reduced_hessian_min is not None
    assert certify(MINIMUM.tasks, MINIMUM.model, MINIMUM.W, MINIMUM.B, level="C3").level == "C3"


@pytest.mark.parametrize(("part", "level"), [(0.2, "C4"), (0.4, "C4"), (0.6, "C2")])
def test_balls_decide_what_floating_point_cannot_tell(part: float, level: str) -> None:
    """w = 1 is the minimum, a row has its kink 1e-7 below; w is a part of that off.

    Twice the Newton step comes to the kink from a third on; no box around 1 that holds w and no kink is left
    from a half on.
    """
    point = support_vector(0.25, -0.25, 1.0 + 1e-7)
    point = point._replace(W=point.W - part * 1e-7)
    assert certify(*point, tol=1e-3, level="C3").level == ("C3" if part < 1 / 3 else "C2")
    found = certify(*point, tol=1e-3, level="C4")
    assert found.level == level and ("C3" in found.reasons) == (level == "C2")
    assert found.reasons.get("C4") == (None if level == "C4" else "needs C3")
    assert [rung.state for rung in rungs(found)][3:5] == (
        ["reached", "reached"] if level == "C4" else ["cannot tell", "not tried"]
    )


def test_margins_are_the_proven_ones_where_balls_decide(
    problem: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, _, B = problem
    plain = certify(*problem, level="C4")
    unsure = replace(
        second_order(at(*problem)), verdict="degenerate", reason="degenerate, or not", min_positive_B=7.0
    )
    monkeypatch.setattr(steps, "second_order", lambda *_: unsure)
    found = certify(*problem, level="C4")
    assert found.level == plain.level == "C4" and found.reasons == plain.reasons
    assert found.min_multiplier is None and found.min_positive_B == pytest.approx(B[B > 0].min())
    assert certify(*problem, level="C3").reasons["C3"] == "degenerate: degenerate, or not"
    monkeypatch.setattr(steps, "second_order", lambda *_: replace(unsure, definite=False))
    assert certify(*problem, level="C4").level == "C2"


def test_a_point_that_does_not_pass_is_not_taken_up(problem: Case) -> None:
    tasks, model, W, B = problem
    for moved in ((1.1 * W, B), (W, 2.0 * B), (W, -B)):
        before = certify(tasks, model, *moved)
        found = certify(tasks, model, *moved, level="C4")
        assert found.level == before.level and found.level in (None, "C0") and not found.passes
        assert found.reduced_hessian_min is None and found.reasons["C3"] == "needs C2"
        states = [rung.state for rung in rungs(found)]
        assert states[2:] == ["not reached", "not tried", "not tried", "not tried"]


def test_other_kinds_end_at_c2(rng: np.random.Generator) -> None:
    tasks, price = random_tasks(rng), LossWeightedL1(mu=0.05)
    model = Model(loss=Squared(), transfer=price, coupling=1.0)
    learned = curriculum(tasks, model, Options())
    assert learned.order is not None
    W, B = learned.W, learned.B
    found = climb(certify_curriculum(tasks, model, W, B, learned.order), tasks, model, W, B)
    assert found.certificate.level == "C2" and found.certificate.refused == ABOVE
    assert all("another problem" in found.certificate.reasons[level] for level in ABOVE)


def test_what_c3_does_not_cover_is_refused(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(9, 12))
    model = Model(loss=Squared(), transfer=SourceGroupL2(mu=0.1), coupling=1.0)
    W, B = np.zeros((2, 2)), np.zeros((2, 2))
    verified = replace(certify(tasks, model, W, B), level="C2", passes=True)
    found = climb(verified, tasks, model, W, B).certificate
    assert found.refused == ("C3", "C5") and found.level == "C2" and found.reduced_hessian_min is None


def test_without_the_extra_the_reason_names_the_command(
    problem: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    found = certify(*problem, level="C4")
    assert found.level == "C3" and found.refused == ("C4",)
    assert "pip install" in found.reasons["C4"] and "amtl-cvx[verify]" in found.reasons["C4"]


@pytest.mark.parametrize(
    "loss",
    [Squared(), Logistic(), Huber(threshold=0.5), Poisson(), Hinge(), Quantile(tau=0.3)],
    ids=lambda loss: loss.name,
)
def test_real_digits_make_c4(loss: Loss) -> None:
    tasks = tasks_for(loss, np.random.default_rng(3), d=2, counts=(9, 12))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    climb_ = climb(found.certificate, tasks, model, found.W, found.B, level="C4", digits=20)
    certificate = climb_.certificate
    assert certificate.level == "C4" and climb_.proven is not None
    assert certificate.proven_radius is not None and certificate.proven_radius <= 1e-30
    assert certificate.proven_distance is not None and certificate.proven_distance <= 1e-9
    assert certificate.proven_isolation is not None and certificate.proven_isolation > 1e-9
    pairs = zip(sum(climb_.proven.W, ()), found.W.ravel().tolist(), strict=True)
    apart = float(max(abs(Fraction(entry) - Fraction(w)) for entry, w in pairs))
    assert apart <= certificate.proven_distance * (1 + 1e-9) + 1e-16
    assert len(climb_.proven.objective.replace(".", "").lstrip("0")) == 20
    if certificate.edges == 0:
        assert certificate.min_positive_B is None and "no entry" in certificate.reasons["min_positive_B"]


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


def test_streamed_rows_have_no_proven_digits(problem: Case) -> None:
    """Factors of the rows are rounded: nothing exact can be said of the rows themselves."""
    tasks, model, _, _ = problem
    factors = model.compress(tasks)
    assert any(task.compressed for task in factors)
    found = alternate(tasks, model, Options(engine="fast"))
    certificate = certify(factors, model, found.W, found.B, level="C5")
    assert certificate.level == "C3" and certificate.refused == ("C4", "C5")
    assert "streamed" in certificate.reasons["C4"] and "streamed" in certificate.reasons["C5"]


def test_every_level_has_a_rung_with_words(problem: Case) -> None:
    found = rungs(certify(*problem, level="C3"))
    assert [(rung.code, rung.word) for rung in found] == list(LEVELS.items())
    assert all(rung.words.endswith(".") and "None" not in rung.words + rung.figure for rung in found)
