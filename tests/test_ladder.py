"""The ladder: each rung stands on the one below, and what cannot be had says why."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import SourceGroupL2, at, random_tasks, tasks_for
from proven import support_vector
from rungs import Case, climbed, enclosing, first_order, proved, small_problem
from symmetric_pair import MINIMUM, SADDLE, Symmetric, flat

import amtl_cvx.digits
import amtl_cvx.enclosure
from amtl_cvx import certify
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import LEVELS, rungs, second_order
from amtl_cvx.curriculum import certify_curriculum, curriculum
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.ladder import Climb, climb, steps
from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture
def problem() -> Case:
    return small_problem()


@pytest.fixture
def proving(monkeypatch: pytest.MonkeyPatch) -> None:
    proved(monkeypatch)


ABOVE = ("C3", "C4", "C5")


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


def test_an_interrupt_keeps_the_rungs_below(problem: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(amtl_cvx.digits, "prove", stop)
    found = climbed(problem)
    assert found.interrupted and found.certificate.level == "C3"
    assert [rung.state for rung in rungs(found.certificate)][3:] == ["reached", "not tried", "not tried"]
    with pytest.raises(KeyboardInterrupt):  # who asks for the certificate alone is not given a lesser one
        certify(*problem, level="C5")


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
