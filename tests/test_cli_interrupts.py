"""Ctrl-C and SIGTERM: exit 130, one line, and either a complete folder or none."""

from __future__ import annotations

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
)

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
    large(tmp_path / "a.npz", T=60, d=20)
    answer = interrupted(tmp_path, ["fit", "a.npz", "--out", "deep/run"], lambda said: "held-out" in said)
    assert_interrupted(answer, tmp_path, "before coupling and mu were chosen, the single-task point")
    assert_single_task(tmp_path)


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
    with np.load("deep/run/solution.npz") as file:
        assert float(file["objective"]) == pytest.approx(seen[-1].objective, rel=1e-9)
    assert run("certify", "a.npz", "deep/run").code in (0, 1)


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
    write = run_folder.describe

    def describe(*args: Any, **settings: Any) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return write(*args, **settings)

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(run_folder, "describe", describe)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet") == (0, "", "")
    assert {path.name for path in Path("run").iterdir()} == SEVEN
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("after", ["reading", "a step"])
def test_a_termination_is_an_interrupt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    np.savez("a.npz", **arrays())
    moment = "phase" if after == "reading" else "record"
    monkeypatch.setattr(Progress, moment, lambda self, what: signal.raise_signal(signal.SIGTERM))
    answer = run("fit", "a.npz", "--out", "deep/run", *GIVEN)
    assert signal.getsignal(signal.SIGTERM) is before
    if after == "reading":
        assert answer == (130, "", "interrupted: nothing was written\n")
        assert listing(tmp_path) == {"a.npz"}
    else:
        assert_interrupted(answer, tmp_path, "the best point so far")
