"""Ctrl-C, SIGTERM and SIGHUP: exit 130, one line, and either a complete folder or none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import (
    GIVEN,
    SEVEN,
    Run,
    arrays,
    assert_interrupted,
    assert_single_task,
    interrupted,
    large,
    listing,
    states,
)

import amtl_cvx.digits
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import folder as run_folder
from amtl_cvx.solution import Record

SLOW = ("--coupling", "10", "--mu", "1e-3", "--no-refine", "--max-rounds", "1000000", "--tol", "1e-15")


def test_an_interrupt_before_the_command_is_exit_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amtl_cvx.cli.build_parser", lambda: signal.raise_signal(signal.SIGINT))
    assert run("solvers") == (130, "", "interrupted: nothing was written\n")


@pytest.mark.parametrize("loading", ["numpy", "cvxpy"])
def test_an_interrupt_while_packages_load_is_one_line(loading: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "amtl_cvx", "solvers"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while f"{loading}." not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    said = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert (out, said) == ("", ["interrupted: nothing was written"])
    assert process.returncode in (130, -signal.SIGINT)  # the shell says 130 for both


@pytest.mark.slow
def test_an_interrupted_process_leaves_a_complete_folder(tmp_path: Path) -> None:
    large(tmp_path / "a.npz")
    answer = interrupted(
        tmp_path, ["fit", "a.npz", "--out", "deep/run", *SLOW], lambda said: "residual" in said
    )
    assert_interrupted(answer, tmp_path, "the best point so far")


@pytest.mark.slow
def test_an_interrupted_choice_of_a_process_leaves_the_single_task_point(tmp_path: Path) -> None:
    large(tmp_path / "a.npz", T=120, d=20)
    answer = interrupted(tmp_path, ["fit", "a.npz", "--out", "deep/run"], lambda said: "held-out" in said)
    assert_interrupted(answer, tmp_path, "before coupling and mu were chosen, the single-task point")
    assert_single_task(tmp_path)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("method", cases.METHOD_CASES)
@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupt_leaves_the_best_point(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, after: int
) -> None:
    seen = []

    def record(self: Progress, record: Record) -> None:
        seen.append(record)
        if len(seen) == after:
            signal.raise_signal(signal.SIGINT)

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(Progress, "record", record)
    answer = run("fit", "a.npz", "--out", "deep/run", "--method", method, *GIVEN)
    if len(seen) < after:  # single-task learning is one step
        assert answer.code == 0
        return
    assert_interrupted(answer, tmp_path, "the best point so far")
    assert "status: interrupted, this is the best point so far" in answer.out
    with np.load("deep/run/solution.npz") as file:
        assert float(file["objective"]) == pytest.approx(seen[-1].objective, rel=1e-9)
    assert run("certify", "a.npz", "deep/run").code in (0, 1)


def test_an_interrupt_leaves_a_certified_run_as_it_is(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = (fitted / "solution.npz").read_bytes()
    monkeypatch.setattr(Progress, "record", lambda self, record: signal.raise_signal(signal.SIGINT))
    for place in ("run.interrupted", "run.interrupted-2"):
        answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet")
        words = f"the best point so far is in {place}; run was left as it is, --force replaces it"
        assert answer == (130, "", f"interrupted: {words}\n")
        assert json.loads(Path(place, "run.json").read_text())["status"] == "interrupted"
    assert (fitted / "solution.npz").read_bytes() == certified
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--force", "--quiet").code == 130
    assert (fitted / "solution.npz").read_bytes() != certified


def test_an_interrupt_of_the_choice_leaves_the_single_task_point(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("a.npz", **arrays())
    monkeypatch.setattr(Progress, "trial", lambda self, trial: signal.raise_signal(signal.SIGINT))
    answer = run("fit", "a.npz", "--out", "deep/run", "--quiet")
    assert answer.out == ""
    assert_interrupted(answer, tmp_path, "before coupling and mu were chosen, the single-task point")
    assert_single_task(tmp_path)


def test_an_interrupt_while_the_files_are_written_waits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = run_folder.RunFolder.write

    def written(self: run_folder.RunFolder, *args: Any, **settings: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        return write(self, *args, **settings)

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(run_folder.RunFolder, "write", written)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet") == (0, "", "")
    assert {path.name for path in Path("run").iterdir()} == SEVEN
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


ENDING = ("SIGTERM", "SIGHUP")


@pytest.mark.parametrize("name", ENDING)
@pytest.mark.parametrize("after", ["reading", "a step"])
def test_a_termination_is_an_interrupt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str, name: str
) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)
    np.savez("a.npz", **arrays())
    moment = "phase" if after == "reading" else "record"
    monkeypatch.setattr(Progress, moment, lambda self, what: signal.raise_signal(number))
    answer = run("fit", "a.npz", "--out", "deep/run", *GIVEN)
    assert signal.getsignal(number) is before
    if after == "reading":
        assert answer == (130, "", "interrupted: nothing was written\n")
        assert listing(tmp_path) == {"a.npz"}
    else:
        assert_interrupted(answer, tmp_path, "the best point so far")


def test_nohup_keeps_a_fit_alive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    monkeypatch.setattr(Progress, "record", lambda self, record: signal.raise_signal(signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet") == (0, "", "")
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("name", ("SIGINT", *ENDING))
def test_an_interrupted_climb_keeps_its_rungs(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.Signals[name])

    monkeypatch.setattr(amtl_cvx.digits, "prove", stopped)
    said = "interrupted: the level is C3 so far, C4 was not decided"
    answer = run("certify", "a.npz", "run", "--level", "C5")
    assert answer.code == 130 and answer.err.splitlines()[-1] == said
    found = states(answer)
    assert (found["C3"], found["C4"], found["C5"]) == ("reached", "not tried", "not tried")
    assert "before this level was decided" in answer.out
    if name == "SIGINT":
        answer = run("certify", "a.npz", "run", "--level", "C5", "--json")
        assert answer.code == 130 and json.loads(answer.out)["level"] == "C3"


def test_a_fit_whose_climb_is_interrupted_is_certified(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    monkeypatch.setattr(amtl_cvx.digits, "prove", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--level", "C5", "--quiet")
    assert answer.code == 130
    assert answer.err == "interrupted: the level is C3 so far, C4 was not decided, the run is in run\n"
    assert json.loads(Path("run/run.json").read_text())["status"] == "certified"
    certificate = json.loads(Path("run/certificate.json").read_text())
    assert certificate["passes"] and certificate["level"] == "C3"
    assert "interrupt" in certificate["reasons"]["C4"]
    again = run("fit", "a.npz", "--out", "run", *GIVEN, "--level", "C5", "--quiet")
    assert again.err.endswith("is in run.interrupted; run was left as it is, --force replaces it\n")
