"""Figures in words: what is said to hold at most is never below the figure, at least never above it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cases import random_tasks
from command_line import GIVEN, Run, point

from amtl_cvx import LossWeightedL1, Model, certify, fit, known, report
from amtl_cvx.amtl import pages
from amtl_cvx.certificate import Certificate, rungs, verdict
from amtl_cvx.certificate.figures import Fact, double_above, double_below, fact, rounded_down, rounded_up
from amtl_cvx.certificate.w_step import WeightEvidence
from amtl_cvx.report import pictures


@pytest.mark.parametrize(
    ("value", "up", "down"),
    [
        (6.04e-21, "6.1e-21", "6e-21"),
        (9.95, "10", "9.9"),
        (1.0, "1", "1"),
        (0.25, "0.25", "0.25"),
        (-0.123, "-0.12", "-0.13"),
        (0.0, "0", "0"),
        (math.inf, "inf", "inf"),
    ],
)
def test_two_digits_on_either_side(value: float, up: str, down: str) -> None:
    assert (rounded_up(value), rounded_down(value)) == (up, down)


def test_figures_of_any_size_and_length(rng: np.random.Generator) -> None:
    for value in (rng.normal(size=300) * 10.0 ** rng.integers(-200, 200, size=300)).tolist():
        for digits in (1, 2, 6, 12):
            up, down = Fraction(rounded_up(value, digits)), Fraction(rounded_down(value, digits))
            assert down <= Fraction(value) <= up
            assert up - down <= abs(Fraction(value)) / 10 ** (digits - 1)


def test_doubles_on_either_side() -> None:
    for value in (Fraction(1, 3), Fraction(-1, 3), Fraction(10**40 + 1), Fraction(1, 4)):
        low, high = Fraction(double_below(value)), Fraction(double_above(value))
        assert low <= value <= high and (low == high) == (value == Fraction(1, 4))


@pytest.fixture
def certificate(rng: np.random.Generator) -> Certificate:
    """Every figure in it is a two-digit one and a little more, and a little less."""
    tasks = random_tasks(rng, d=2, counts=(9, 12))
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = certify(tasks, model, np.zeros((2, 2)), np.zeros((2, 2)))
    bounds = dict.fromkeys(BOUNDS, 1.201e-9)
    return replace(
        found, **bounds, **dict.fromkeys(LEAST, 1.299e-3), level="C5", passes=True, global_lower=1.0
    )  # type: ignore[arg-type]


BOUNDS = (
    "gap_W", "gap_B", "error_W", "error_B", "relative", "proven_radius", "proven_distance", "global_width",
    "global_excess",
)  # fmt: skip
LEAST = ("reduced_hessian_min", "min_multiplier", "min_positive_B", "proven_isolation")


def test_words_of_a_certificate_hold(certificate: Certificate) -> None:
    """Every 1.201e-9 is a bound from above, said to be 1.3e-09 at most; every 1.299e-3 one from below."""
    said = " ".join(
        [certificate.verdict(), *certificate.sentences()]
        + [f"{rung.words} {rung.figure}" for rung in rungs(certificate)]
    )
    small = re.findall(r"\d\.?\d*e-09", said)
    assert set(small) == {"1.3e-09"} and len(small) > 10
    assert set(re.findall(r"0\.001\d*", said)) == {"0.0012"}


def _fact(found: Certificate, name: str) -> Fact:
    return fact(found, next(figure for figure in known.figures() if figure.name == name))


def test_the_tables_of_a_report_hold(certificate: Certificate) -> None:
    pi = replace(certificate, **dict.fromkeys((*BOUNDS, *LEAST, "global_lower", "global_upper"), math.pi))  # type: ignore[arg-type]
    for name in (*BOUNDS, "global_upper"):
        assert Fraction(_fact(pi, name).value) >= math.pi
    for name in (*LEAST, "global_lower"):
        assert Fraction(_fact(pi, name).value) <= math.pi
    assert _fact(pi, "global_lower").value == "3.14159265358" and _fact(pi, "gap_W").value == "3.1416"


def test_a_gap_is_never_said_to_be_smaller_than_it_is(certificate: Certificate) -> None:
    for gap in (1.05e-9, 1.951e-9, 9.9501e-9):
        words = replace(certificate, gap_W=gap, gap_B=gap, error_W=gap, error_B=gap).sentences()
        for shown in re.findall(r"(?:more than|at most) (\S+?e-\d+|1e-08)[. ,]", " ".join(words)):
            assert Fraction(shown) >= gap or shown == "1.3e-09"


@dataclass(frozen=True, kw_only=True, repr=False)
class Longer(Certificate):
    """A certificate of which a developer wants to know one thing more: this row."""

    longest: float | None = known.row(
        known.CONDITIONING, "length of the longest predictor", "W", default=None, holds="at most"
    )


def test_a_new_figure_is_a_row_and_its_value(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """It stands in JSON, report, help and what the commands print, and nothing else is told of it."""
    evidence = WeightEvidence.figures
    assert isinstance(evidence, property)
    value = float(np.linalg.norm(point()["W"], axis=0).max())
    monkeypatch.setattr(
        WeightEvidence, "figures", property(lambda self: {**evidence.__get__(self), "longest": value})
    )
    monkeypatch.setattr(known, "Known", Longer)
    monkeypatch.setattr(verdict, "Certificate", Longer)
    shown, words = rounded_up(value, 6), "length of the longest predictor [W]"
    answer = run("certify", "a.npz", "run", "--json")
    assert answer.code == 0 and json.loads(answer.out)["longest"] == value
    assert re.search(
        rf"longest +{shown} +{re.escape(words)}", run("certify", "a.npz", "run", "--figures").out
    )
    assert f"    longest              {words}" in run("certify", "--help").out.splitlines()
    monkeypatch.setattr(pages, "graph_pictures", lambda graph: [])
    monkeypatch.setattr(pictures, "convergence_picture", lambda solution: pictures.Picture("", "", "", 1))
    solution = fit(
        random_tasks(rng, d=2, counts=(9, 12)), Model(transfer=LossWeightedL1(mu=9.0), coupling=1.0)
    )
    report.write_report("page.html", solution=solution, arguments={}, versions={}, data={})
    page = Path("page.html").read_text(encoding="utf-8")
    assert f"<td>{shown}</td>" in page and words in page


def test_every_figure_is_a_row_and_is_told_once(certificate: Certificate) -> None:
    names = [entry.name for entry in dataclasses.fields(Certificate)]
    assert [figure.name for figure in known.figures()] + ["reasons"] == names
    assert [name for name in names if f"\n    {name} : " not in (Certificate.__doc__ or "")] == []
    groups = [group for group, _ in known.grouped()]
    assert [group.level for group in groups if group.level] == ["C3", "C4", "C5"]
    assert set(names) < set(certificate.to_dict())


def test_figures_without_a_value_have_the_reason(run: Run, fitted: Path) -> None:
    np.savez("point.npz", W=point()["W"], B=-point()["B"])
    lines = run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept", "--figures").out
    assert re.search(r"gap_B +none: B is not feasible", lines)
    assert re.search(r"global_lower +none: not asked for", lines)
    assert re.search(r"passes +no ", lines)
