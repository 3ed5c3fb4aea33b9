"""`amtl-cvx reference make`: a run, an answer or a problem alone becomes a pack with what is proven of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, labels

from amtl_cvx.certificate import certify
from amtl_cvx.data import read
from amtl_cvx.reference import read_pack


@pytest.fixture
def tiny(run: Run) -> Path:
    """A run of a small problem with digits and a proof, beside its data a.npz."""
    rng = np.random.default_rng(3)
    task, X = np.repeat([0, 1], 6), rng.normal(size=(12, 1))
    y = X[:, 0] * np.where(task, 1.1, 0.9) + 0.3 * rng.normal(size=12)
    np.savez("a.npz", X=X, y=y, task=task, task_names=["ash", "birch"])
    options = ("--coupling", "1", "--mu", "0.1", "--no-standardize", "--level", "C5", "--quiet")
    assert run("fit", "a.npz", "--out", "run", *options).code == 0
    return Path("run")


def test_make_keeps_digits_and_proof_of_a_run(run: Run, tiny: Path) -> None:
    answer = run("reference", "make", "a.npz", tiny, "--out", "packs/mine", "--trait", "two trees")
    assert answer.code == 0 and answer.err == ""
    assert "with proven digits and the proof of a bound" in answer.out
    pack = read_pack("packs/mine")
    digits = json.loads((tiny / "digits.json").read_text())
    assert pack.digits is not None and pack.digits["W"] == digits["W"]
    assert pack.proof == json.loads((tiny / "proof.json").read_text())
    assert (pack.name, pack.ask, pack.about["traits"]) == ("mine", "joint", ["two trees"])
    assert pack.problem.tasks.names == ("ash", "birch")
    assert certify(pack.problem.at(**pack.solution), tol=1e-12).passes
    assert "mine" in run("reference", "list", "--folder", "packs", "--digits", "30", "--bound").out
    answer = run("reference", "verify", "packs/mine", "--jobs", "1")
    assert answer.code == 0 and "40 digits proved again" in answer.out, answer.out
    assert "single precision rounds them" in run("reference", "show", "packs/mine").out
    assert_error(run("reference", "make", "a.npz", tiny, "--out", "packs/mine"), "left alone")


def test_make_refuses_what_is_not_certified(run: Run, fitted: Path) -> None:
    with np.load(fitted / "solution.npz") as file:
        W, B = file["W"], file["B"]
    swap = [1, 0, 2]
    np.savez("moved.npz", W=1.01 * W, B=B)
    np.savez("swapped.npz", W=W[:, swap], B=B[np.ix_(swap, swap)])
    options = (*GIVEN, "--standardize", "--intercept", "--out", "pack")
    for name, words in (("moved", "run the solver longer"), ("swapped", "reorder columns of W")):
        answer = run("reference", "make", "a.npz", f"{name}.npz", *options)
        assert answer.code == 1 and answer.out == "" and not Path("pack").exists()
        assert "nothing was written: " in answer.err and words in answer.err
    assert run("reference", "make", "a.npz", "moved.npz", *options, "--uncertified").code == 0
    pack = read_pack("pack")
    assert pack.claims["checks"]["first-order"] is False
    assert "FAILS  level: " in run("reference", "verify", "pack", "--jobs", "1").out
    assert np.array_equal(pack.solution["W"], 1.01 * W)


def test_make_takes_labels_and_other_methods(run: Run) -> None:
    found = labels()
    np.savez("a.npz", **{**found, "y": (found["y"] + 1) / 2})  # 0/1
    for method in ("stl", "curriculum"):
        options = (*GIVEN, "--loss", "logistic", "--method", method, "--quiet")
        assert run("fit", "a.npz", "--out", f"run-{method}", *options).code == 0
        assert run("reference", "make", "a.npz", f"run-{method}", "--out", method, "--quiet").code == 0
    answer = run("reference", "make", "a.npz", "run-stl", "--prove", "--out", "proven")
    assert answer.code == 0 and "with proven digits" in answer.out
    assert read_pack("proven").claims["objective"]["proven"] is True
    alone, taught = read_pack("stl"), read_pack("curriculum")
    assert alone.digits is None
    assert (alone.ask, set(alone.solution)) == ("single-task", {"W"})
    assert (taught.ask, set(taught.solution)) == ("curriculum", {"W", "B", "order"})
    assert set(np.unique(alone.problem.tasks.stacked()[1])) == {-1.0, 1.0}
    assert run("reference", "verify", "stl", "curriculum", "--jobs", "1", "--quiet").code == 0


def test_make_fits_a_problem_that_has_no_answer(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("reference", "make", "a.npz", *GIVEN, "--prove", "--out", "mine")
    assert answer.code == 0 and answer.out.startswith("fitted: C2") and "with proven digits" in answer.out
    pack = read_pack("mine")
    assert (
        pack.claims["checks"]["first-order"] and certify(pack.problem.at(**pack.solution), tol=1e-12).passes
    )
    assert_error(run("reference", "make", "a.npz", "--out", "other"), "--coupling")
    learned = (
        "--method",
        "amtfl-linear",
        "--features",
        "2",
        "--mu",
        "0.1",
        "--gamma",
        "0.5",
        "--decay",
        "0.1",
    )
    assert run("reference", "make", "a.npz", *learned, "--out", "learned", "--quiet").code == 0
    assert read_pack("learned").about["family"] == "features"


def test_make_refuses_the_wrong_data_with_one_line(run: Run, tiny: Path) -> None:
    np.savez("other.npz", **arrays())
    changed = dict(np.load("a.npz"))
    np.savez("changed.npz", **{**changed, "y": changed["y"] + 1.0})
    assert_error(run("reference", "make", "other.npz", tiny, "--out", "pack"))
    assert_error(run("reference", "make", "changed.npz", tiny, "--out", "pack"))
    assert_error(run("reference", "make", "a.npz", "nowhere", "--out", "pack"), "nowhere")
    assert_error(run("reference", "make", "a.npz", tiny, "--out", "pack", "--name", "No Such"), "--name")
    assert_error(run("reference", "make", "a.npz", tiny), "--out")
    digits = json.loads((tiny / "digits.json").read_text())
    (tiny / "digits.json").write_text(json.dumps({**digits, "problem": {"fingerprint": "0"}}))
    assert_error(run("reference", "make", "a.npz", tiny, "--out", "pack"), "about other data")
    assert not Path("pack").exists() and read("a.npz").train.T == 2
