"""`amtl-cvx certify` beside a run: other data, rules that changed since, a proof of another problem."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import random_tasks
from command_line import GIVEN, Run, arrays, assert_error, point

from amtl_cvx import LossWeightedL1, Model, certify
from amtl_cvx.certificate import Certificate, rule_that_changed
from amtl_cvx.enclosure import checker


def doubled() -> dict[str, Any]:
    """Every row twice: another hash, the same mean losses, so that the point passes on them."""
    return {key: np.concatenate([value, value]) for key, value in arrays().items()}


@pytest.mark.parametrize("words", [(), ("--json",), ("--quiet",), ("--level", "C3")])
def test_other_data_are_no_success_though_the_point_passes(run: Run, fitted: Path, words: Any) -> None:
    np.savez("b.npz", **doubled())
    assert run("certify", "a.npz", "run", *words).code == 0
    answer = run("certify", "b.npz", "run", *words)
    assert answer.code == 1 and answer.err == ""
    note = "these are not the data of the run (their hash differs)"
    if "--json" in words:
        content = json.loads(answer.out)
        assert content["passes"] and any(
            note in each and "exit code is 1" in each for each in content["notes"]
        )
    elif "--quiet" not in words:
        assert f"note: {note}" in answer.out and "next: give the data of the run" in answer.out


def test_a_copy_of_the_point_is_judged_on_any_data(run: Run, fitted: Path) -> None:
    np.savez("b.npz", **doubled())
    np.savez("copy.npz", **point())
    assert run("certify", "b.npz", "copy.npz", *GIVEN, "--standardize", "--intercept").code == 0


def test_data_in_another_order_of_names_are_the_same(run: Run) -> None:
    data = arrays(feature_names=["u", "v", "w", "x"], task_names=["ash", "birch", "cedar"])
    np.savez("a.npz", **data)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet").code == 0
    order, tasks = [2, 0, 3, 1], np.array([1, 2, 0])
    np.savez(
        "b.npz",
        X=data["X"][:, order],
        y=data["y"],
        task=np.argsort(tasks)[data["task"]],
        feature_names=np.array(data["feature_names"])[order],
        task_names=np.array(data["task_names"])[tasks],
    )
    answer = run("certify", "b.npz", "run")
    assert answer.code == 0 and "not the data" not in answer.out


# --- rules that changed -----------------------------------------------------------------------------------


@pytest.fixture
def judged() -> Certificate:
    tasks = random_tasks(np.random.default_rng(0), d=2, counts=(9, 12))
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    return certify(tasks, model, np.zeros((2, 2)), np.zeros((2, 2)))


def test_which_rule_changed(judged: Certificate) -> None:
    old = {"passes": True, "level": "C5", "kind": "joint"}
    refused = replace(judged, passes=False, relative=1e-3)
    assert "size of its own terms" in rule_that_changed(old, refused)
    assert "proved bound" in rule_that_changed(old, replace(refused, relative=1e-12))
    growing = replace(refused, relative=1e-12, reasons={"minimum": "J may have no minimum here"})
    assert "predictors grow" in rule_that_changed(old, growing)
    sloping = replace(refused, relative=1e-12, reasons={"valley": "J falls by 1e-3 when W and B ..."})
    assert "move of both blocks along a valley" in rule_that_changed(old, sloping)
    passing = replace(judged, passes=True, level="C4", relative=1e-12)
    beaten = replace(passing, reasons={"C5": "a lower point exists: J is ..."})
    assert "min(tol, 1e-3)" in rule_that_changed(old, beaten)
    assert rule_that_changed({**old, "level": "C4"}, beaten) == ""
    far = replace(
        passing, level="C2", reasons={"C3": "a Newton step moves W by 1 of the terms of its gradient"}
    )
    assert "of level C3" in rule_that_changed({**old, "level": "C3"}, far)
    assert rule_that_changed({**old, "level": "C2"}, far) == ""
    assert rule_that_changed(old, passing) == ""
    for now in ({**old, "rules": judged.to_dict()["rules"]}, {**old, "passes": False}, {}):
        assert rule_that_changed(now, refused) == ""
    assert rule_that_changed(old, replace(refused, feasibility=1.0)) == ""


def grown_old(*, passes: bool = True) -> bytes:
    """The run as an earlier version left it: no rules, no hashes; and a point that does not pass today."""
    described = json.loads(Path("run/run.json").read_text())
    del described["files"]
    Path("run/run.json").write_text(json.dumps(described))
    stored = json.loads(Path("run/certificate.json").read_text())
    assert stored.pop("rules") >= 2
    Path("run/certificate.json").write_text(json.dumps({**stored, "passes": passes}))
    with np.load("run/solution.npz") as file:
        kept = dict(file)
    np.savez("run/solution.npz", **{**kept, "W": kept["W"] * (1 + 1e-5)})
    return Path("run/certificate.json").read_bytes()


def test_an_old_run_that_no_longer_passes_is_told_which_rule_changed(run: Run, fitted: Path) -> None:
    before = grown_old()
    answer = run("certify", "a.npz", "run")
    assert (
        answer.code == 1 and "note: an earlier version certified this run, and a rule changed" in answer.out
    )
    assert "size of its own terms" in answer.out and "its certificate.json is left" in answer.out
    notes = json.loads(run("certify", "a.npz", "run", "--json").out)["notes"]
    assert any("a rule changed since" in each for each in notes)
    assert Path("run/certificate.json").read_bytes() == before
    other = run("certify", "a.npz", "run", "--mu", "0.02")  # another model: no rule is to blame
    assert other.code == 1 and "a rule changed" not in other.out


def test_a_run_that_never_passed_is_not_excused(run: Run, fitted: Path) -> None:
    grown_old(passes=False)
    answer = run("certify", "a.npz", "run")
    assert answer.code == 1 and "a rule changed" not in answer.out


@pytest.mark.parametrize("content", [b"", b"[]", b'{"passes": true, "reasons": 7}', b"\xff", b"[" * 10_000])
def test_a_certificate_that_anyone_may_have_written_does_no_harm(
    run: Run, fitted: Path, content: bytes
) -> None:
    grown_old()
    Path("run/certificate.json").write_bytes(content)
    answer = run("certify", "a.npz", "run")
    assert answer.code == 1 and answer.err == "" and "a rule changed" not in answer.out


# --- --proof ----------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(run: Run) -> None:
    """A run of two tasks and one feature in the folder, and its proof."""
    pytest.importorskip("flint", reason="the extra [verify] is not installed")
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    X, y, task = tasks.stacked()
    np.savez("a.npz", X=X, y=y, task=task)
    assert run("fit", "a.npz", "--out", "run", "--coupling", "1", "--mu", "0.1", "--quiet").code == 0
    answer = run("certify", "a.npz", "run", "--level", "C5", "--proof", "proof.json")
    assert answer.code == 0 and "proof.json holds the bound" in answer.out


def test_a_proof_is_bound_to_data_and_model_and_a_forged_or_foreign_file_is_none(
    run: Run, tiny: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Path("proof.json").read_bytes()
    monkeypatch.setattr("amtl_cvx.enclosure.enclose", None)  # no search: what is there is checked
    answer = run("certify", "a.npz", "run", "--level", "C5", "--proof", "proof.json")
    assert answer.code == 0 and "proof.json was there and holds, for these data and this model" in answer.out
    answer = run("certify", "a.npz", "run", "--proof", "proof.json")  # at any level
    assert answer.code == 0 and "was there and holds" in answer.out
    assert Path("proof.json").read_bytes() == kept
    for words, told in (
        (("a.npz", "run", "--mu", "0.2"), "mu is 0.1 there and 0.2 here"),
        (("a.npz", "run", "--coupling", "2"), "coupling is 1.0 there"),
        (("a.npz", "run", "--reduction", "sum"), "reduction is mean there and sum here"),
        (("a.npz", "run", "--task-weights", "inverse-sqrt"), "weight of task"),
    ):
        assert_error(run("certify", *words, "--proof", "proof.json"), "about another problem", told)
    with np.load("a.npz") as file:
        data = dict(file)
    np.savez("b.npz", **{**data, "y": data["y"] * (1 + 1e-15)})
    assert_error(run("certify", "b.npz", "run", "--proof", "proof.json"), "the rows of task")
    np.savez("c.npz", **{key: value[:-1] for key, value in data.items()})
    assert_error(run("certify", "c.npz", "run", "--proof", "proof.json"), "another shape")
    assert checker.main(["proof.json"]) == 0
    proof = json.loads(kept)
    Path("forged.json").write_text(json.dumps({**proof, "lower": proof["upper"]}))
    for level in ("C2", "C5"):
        assert_error(
            run("certify", "a.npz", "run", "--level", level, "--proof", "forged.json"), "checker rejects"
        )
    Path("notes.json").write_text('{"my": "notes"}')
    assert_error(run("certify", "a.npz", "run", "--level", "C5", "--proof", "notes.json"), "no proof of ours")
    assert Path("notes.json").read_text() == '{"my": "notes"}'
