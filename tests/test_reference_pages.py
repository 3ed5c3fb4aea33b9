"""The verdict of the judge on the console, as JUnit XML and as a page; the saved MATLAB run, replayed."""

from __future__ import annotations

import base64
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from judged import INCOMING, TRANSPOSED, check, failures, passing, result, verdict
from pictures import outside, words

from amtl_cvx import Logistic, LossWeightedL1, Model, Squared, TaskSet
from amtl_cvx.problem import Problem
from amtl_cvx.reference.judge.junit import junit
from amtl_cvx.reference.judge.page import write_page
from amtl_cvx.reference.judge.pictures import picture
from amtl_cvx.reference.judge.summary import blames, shown, unexplained
from amtl_cvx.reference.judge.table import table
from amtl_cvx.reference.judge.verdict import Result, Verdict

ROOT = Path(__file__).resolve().parents[1]
STEERING = "mine \x1b[31m\u202e<b>"


def test_causes_are_counted_on_failed_checks_alone() -> None:
    found = {blame.cause.name: (blame.named, blame.alone) for blame in blames(verdict())}
    assert found == {"incoming-weights": (2, 1), "transposed-B": (2, 1)}
    assert unexplained(verdict()) == 9
    taken = result(check("L5", "nan-in-X", pack=""))
    assert unexplained(replace(verdict(), results=(*verdict().results, taken))) == 9
    lone = replace(verdict(), results=(*verdict().results, result(check("L1", "w"), causes=(TRANSPOSED,))))
    assert blames(lone)[0].cause is TRANSPOSED


def test_the_console_tells_every_kind_of_failed_check_and_its_cause() -> None:
    text = table(verdict())
    for failed in verdict().failed:
        assert f"{failed.check.level}/{failed.check.name}" in text
    for said in (INCOMING.sentence, f"do: {TRANSPOSED.fix}", "cause: incoming-weights or transposed-B",
                 "tiny-pair: gradient_W is off by 3.1e+08 limits", "we do not look (took it)",
                 "skipped 1: hinge", "'L9/*'", "9 failed checks have no known cause"):  # fmt: skip
        assert said in text
    assert text.splitlines()[-1] == f"{verdict().line()}; 3.8 s"
    assert max(map(len, text.splitlines())) <= 110
    few = table(verdict(), most=2)
    assert "and 11 more kinds of checks" in few and "L1/b-step" not in few


def test_a_kind_of_check_is_told_by_the_pack_on_which_it_is_farthest_off() -> None:
    found = tuple(
        result(check("L0", "J", pack=f"pack-{off:g}"), words=f"off by {off:g}", figures={"ratio": off})
        for off in (3.0, 70.0, 5.0)
    )
    passed = result(check("L0", "J", pack="other"), "passed")
    text = table(replace(verdict(), results=(*found, passed)))
    assert re.search(r"^L0/J +3 of 4 +pack-70: off by 70$", text, flags=re.MULTILINE)
    lost = result(check("L0", "J", pack="lost"), words="no number came back")
    assert "lost: no number came back" in table(replace(verdict(), results=(*found, lost)))


def test_the_console_tells_every_check_where_that_is_asked_for() -> None:
    text = table(verdict(), every=True)
    for each in verdict().results:
        assert each.check.id in text
    assert "right to 3 limits" in text and "right to 3 limits" not in table(verdict())
    assert "relative residual 3.10e-05" in text


def test_causes_that_are_never_alone_stand_behind_those_that_are(tmp_path: Path) -> None:
    both = result(check("L0", "J"), causes=(INCOMING, TRANSPOSED))
    lone = result(check("L0", "w"), causes=(TRANSPOSED,))
    text = table(replace(verdict(), results=(both, lone)))
    assert "likely cause: transposed-B (2 failed checks, alone on 1)" in text
    assert "never alone: incoming-weights" in text and "likely cause: incoming" not in text
    text = table(replace(verdict(), results=(both,)))
    assert "likely cause: incoming-weights" in text and "likely cause: transposed-B" in text
    write_page(tmp_path / "v.html", replace(verdict(), results=(both, lone)))
    assert "Never alone on a check: incoming-weights." in (tmp_path / "v.html").read_text(encoding="utf-8")


def test_the_console_of_a_pass_is_short_and_levels_add_up() -> None:
    text = table(passing())
    assert text.splitlines()[-1] == "mine (float32) passes: 6 passed; 1.5 s"
    rows = re.findall(r"^L\d .*?(\d+) +[\d.]+ s$", text, flags=re.MULTILINE)
    assert [int(count) for count in rows] == [1] * 6
    assert "cause" not in text


def test_the_console_is_not_steered_by_names() -> None:
    evil = result(check("L0", "\x1b[2J"), words="\x1b[31m", causes=(replace(INCOMING, name="\x1b"),))
    text = table(replace(verdict(), backend=STEERING, results=(evil,)))
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b[31m\\u202e<b>" in text
    assert "\x1b[" in table(verdict(), color=True)


def suites(found: Verdict) -> ElementTree.Element:
    return ElementTree.fromstring(junit(found).encode())


def test_junit_states_what_the_verdict_has() -> None:
    root = suites(verdict())
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(verdict().results) == int(root.attrib["tests"])
    assert int(root.attrib["failures"]) == len(verdict().failed) == len(root.findall(".//failure"))
    assert len(root.findall(".//skipped")) == 2
    for suite in root.findall("testsuite"):
        for name, tag in (("tests", "testcase"), ("failures", ".//failure"), ("skipped", ".//skipped")):
            assert int(suite.attrib[name]) == len(suite.findall(tag))
        assert float(suite.attrib["time"]) == sum(float(c.attrib["time"]) for c in suite.findall("testcase"))
    assert len({(case.attrib["classname"], case.attrib["name"]) for case in cases}) == len(cases)
    first = next(case for case in cases if case.attrib["name"] == "gradient-W/tiny-pair")
    failure = first.find("failure")
    assert failure is not None and failure.attrib["type"] == "incoming-weights"
    assert failure.text is not None and INCOMING.sentence in failure.text and "limit 1.00e-09" in failure.text
    skipped = {each.attrib.get("type"): each.attrib["message"] for each in root.findall(".//skipped")}
    assert skipped["pytest.xfail"] == "we do not look (took it)"


def test_junit_is_xml_whatever_a_back_end_says() -> None:
    evil = result(check("L0", "x"), words="\x00\x1b \ud800 ]]> <&\"'", causes=(INCOMING,))
    root = suites(replace(verdict(), backend=STEERING, results=(evil,)))
    assert root.attrib["name"].startswith("mine \\x1b[31m")
    failure = root.find(".//failure")
    assert failure is not None and failure.attrib["message"] == "\\x00\\x1b \\xd800 ]]> <&\"'"


def test_the_order_of_elements_is_that_of_the_format() -> None:
    """Nothing but what the schema of the xUnit plugin of Jenkins has, junit-10.xsd."""
    allowed = {
        "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"testsuite"}),
        "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"testcase"}),
        "testcase": ({"classname", "name", "time"}, {"failure", "skipped"}),
        "failure": ({"message", "type"}, set()),
        "skipped": ({"message", "type"}, set()),
    }
    for each in suites(verdict()).iter():
        attributes, children = allowed[each.tag]
        assert set(each.attrib) <= attributes and {child.tag for child in each} <= children


def test_the_page_is_one_file_with_a_picture_for_every_failed_check(tmp_path: Path) -> None:
    drawn = ("gradient-W", "losses", "shape", "negative-mu", "nan-in-X", "sum")
    few = replace(verdict(), results=tuple(r for r in verdict().results if r.check.name in drawn))
    write_page(tmp_path / "verdict.html", few)
    text = (tmp_path / "verdict.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == len(few.failed) == text.count("<img") == 4
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in pictures)
    assert not re.search(r'(src|href)="(?!data:)', text) and "default-src 'none'" in text
    assert "mine <b>" not in text and "mine &lt;b&gt; fails 4 checks" in text
    for failed in few.failed:
        assert f"<h3>{failed.check.id}</h3>" in text
    assert INCOMING.fix in text and "we do not look" in text and "alone on 1" in text


def test_the_page_of_a_pass(tmp_path: Path) -> None:
    write_page(tmp_path / "verdict.html", passing())
    text = (tmp_path / "verdict.html").read_text(encoding="utf-8")
    assert "mine passes" in text and "<img" not in text and "Likely causes" not in text


@pytest.mark.parametrize("failed", failures(), ids=lambda each: each.check.name)
@pytest.mark.sampled(5)
def test_a_picture_has_its_words_inside(failed: Result) -> None:
    figure = picture(failed)
    assert outside(figure) == []
    assert failed.check.id in words(figure)
    assert failed.check.id not in words(picture(failed, titled=False))


def test_a_picture_of_a_matrix_shows_the_misses_in_limits() -> None:
    first = failures()[0]
    figure = picture(first)
    points = {str(line.get_label()): np.asarray(line.get_xydata()) for line in figure.axes[0].lines}
    right, answer = first.evidence["right"].ravel(), first.evidence["answer"].ravel()
    np.testing.assert_array_equal(points["answer"], np.column_stack([right, answer]))
    np.testing.assert_array_equal(points["with incoming-weights"], np.column_stack([right, answer]))
    shown = np.ma.filled(np.ma.asarray(figure.axes[1].images[0].get_array()), 0.0)
    factor = np.array([0.0, 0.3, 0.0, 0.3])
    np.testing.assert_allclose(shown, np.abs(first.evidence["right"]) * factor / 1e-9, rtol=1e-9, atol=0.0)
    assert "12 of 24 entries" in figure.axes[1].get_title(loc="left")


def test_a_picture_of_rounds_and_one_of_figures() -> None:
    by_name = {each.check.name: each for each in failures()}
    figure = picture(by_name["half-steps"])
    misses = np.asarray(figure.axes[1].lines[0].get_ydata())
    np.testing.assert_allclose(misses, 0.01 * by_name["half-steps"].evidence["right"], rtol=1e-12)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][:3] == ["W", "B", "W"]
    bars = picture(by_name["first-order"]).axes[0]
    assert [float(line.get_xdata()[0]) for line in bars.lines if line.get_marker() == "o"] == [
        3.1e-5,
        2.2e-3,
        0.4,
    ]  # type: ignore[index]
    meter = picture(by_name["w-step"]).axes[-1]
    assert [line.get_ydata()[0] for line in meter.lines] == [2.1e-4, 9.2e-11]  # type: ignore[index]
    lost = picture(by_name["crash"])
    assert "1 not finite" in words(lost)


def test_an_axis_of_zeros_to_rounding_is_linear() -> None:
    rng = np.random.default_rng(1)
    right = 10.0 ** rng.integers(-22, -16, size=(4, 3))
    figure = picture(result(check("L0", "gradient-W"), answer=rng.normal(size=(4, 3)), right=right))
    assert figure.axes[0].get_xscale() == "linear" and list(figure.axes[0].get_xticks()) == [0.0]
    figure = picture(result(check("L0", "gradient-W"), answer=2.0 * right, right=right))
    assert figure.axes[0].get_xscale() == "symlog"


def test_figures_are_short() -> None:
    assert [shown(value) for value in (3.0, 0.25, 1e-9, float("nan"), float("inf"), 123456.7)] == [
        "3", "0.25", "1.00e-09", "nan", "inf", "1.23e+05"
    ]  # fmt: skip


def script(name: str) -> ModuleType:
    place = ROOT / "reports" / "reference" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"reference_{name}", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_saved_matlab_run_is_replayed_to_rounding(shared_data: Path) -> None:
    replay = script("replay")
    saved = replay.Saved.regression(shared_data / "amtl_reference" / "result_synthetic_dataset.mat")
    W = replay.weights(saved, saved.W[0], saved.B[0])
    np.testing.assert_allclose(W, saved.W[1], rtol=0.0, atol=1e-12)
    last = saved.W[3]
    B, lengths = replay.transfer(saved, last, saved.halves(last), saved.B[2], replay.REGRESSION)
    np.testing.assert_allclose(B, saved.B[3], rtol=0.0, atol=1e-12)
    assert max(lengths) < 1e-15  # it does not move
    for moved in zip(saved.W, saved.W[1:], strict=False):
        assert np.linalg.norm(moved[1] - moved[0]) <= replay.KEPT * replay.STEP


@pytest.mark.slow
def test_the_judge_names_the_mistakes_of_the_saved_matlab_runs(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "reports" / "reference"))
    named, saved_run = script("named"), script("replay").Saved
    found = {}
    for kind, file, loss in (
        ("regression", "result_synthetic_dataset.mat", Squared()),
        ("classification", "result_usps1.mat", Logistic()),
    ):
        saved = getattr(saved_run, kind)(shared_data / "amtl_reference" / file)
        model = Model(loss=loss, transfer=LossWeightedL1(mu=1.0), coupling=saved.coupling)
        problem = Problem(TaskSet.from_arrays(saved.X, saved.y), model)
        found[kind] = {row["what"]: row["names"] for row in getattr(named, kind)(saved, problem)}
    assert found["regression"]["twice the gradient of its W-step"] == ["one-row gradients"]
    assert "factor 2 in the loss" in found["regression"]["the objective it prints"]
    assert "incoming for outgoing" in next(iter(found["classification"].values()))
    assert "early stop" in found["regression"]["its B"] and "early stop" in found["classification"]["its B"]
