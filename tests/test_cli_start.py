"""`fit --start`: going on from a run that was interrupted, and beginning at a point from anywhere."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Answer, Run, arrays, assert_error, point

from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import read_history, read_state
from amtl_cvx.solution import Record


def interrupted_after(run: Run, monkeypatch: pytest.MonkeyPatch, count: int, *words: object) -> None:
    """The run `cut`, interrupted after so many steps."""
    seen: list[Record] = []

    def record(self: Progress, record: Record) -> None:
        seen.append(record)
        if len(seen) == count:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "record", record)
        assert run("fit", "a.npz", "--out", "cut", *words).code == 130


def story(folder: str) -> tuple[Any, ...]:
    """What must be the same in two runs that took the same steps."""
    found, described = point(Path(folder)), json.loads(Path(folder, "run.json").read_text())
    history = [(record.round, record.step, record.objective) for record in read_history(Path(folder))]
    told = [described[name] for name in ("status", "model", "chosen", "preparation", "method", "order")]
    return found["W"].tolist(), found["B"].tolist(), history, told


def start_line(answer: Answer) -> str:
    return next(line for line in answer.out.splitlines() if line.startswith("start: "))


@pytest.mark.parametrize(
    "words",
    [
        (*GIVEN, "--standardize", "--intercept"),
        ("--seed", "3"),
        (*GIVEN, "--method", "curriculum", "--ridge", "0.4"),
        (*GIVEN, "--engine", "fast", "--tol", "1e-6", "--loss", "huber:1.5"),
        (*GIVEN, "--no-refine", "--max-rounds", "4", "--sweep", "tasks", "--solver", "OSQP"),
    ],
    ids=["prepared", "auto", "curriculum", "fast", "plain"],
)
def test_an_interrupted_run_goes_on_without_its_options(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    np.savez("a.npz", **arrays())
    whole = run("fit", "a.npz", "--out", "whole", *words)
    interrupted_after(run, monkeypatch, 3, *words)
    assert read_state(Path("cut")) is not None
    monkeypatch.setattr(Progress, "trial", lambda *_: pytest.fail("chose again"))
    answer = run("fit", "a.npz", "--start", "cut", "--out", "on")
    assert answer.code == whole.code and start_line(answer) == "start: goes on from cut, after 3 steps"
    assert story("on") == story("whole")
    told = [json.loads(Path(name, "run.json").read_text())["arguments"] for name in ("on", "whole")]
    others = {"start", "out", "coupling", "mu", "loss", "seed"}
    assert [{k: v for k, v in found.items() if k not in others} for found in told][0] == {
        k: v for k, v in told[1].items() if k not in others
    }
    assert not Path("on/state.npz").exists()


def test_a_certified_run_is_certified_again_at_once(run: Run, fitted: Path) -> None:
    answer = run("fit", "a.npz", "--start", "run", "--out", "again")
    assert answer.code == 0 and start_line(answer) == "start: begins at W and B of run"
    assert len(read_history(Path("again"))) <= 3
    for name, value in point().items():
        np.testing.assert_allclose(point(Path("again"))[name], value, rtol=1e-8, atol=1e-10)


def test_other_data_and_another_model_are_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    interrupted_after(run, monkeypatch, 3, *GIVEN)
    for words, why in (
        (("--mu", "0.02"), "its model was another"),
        (("--standardize",), "its features were prepared in another way"),
    ):
        answer = run("fit", "a.npz", "--start", "cut", "--out", "on", *words)
        assert answer.code == 0 and start_line(answer) == f"start: begins at W and B of cut: {why}"
    np.savez("a.npz", **arrays(y=2.0 * arrays()["y"]))
    answer = run("fit", "a.npz", "--start", "cut", "--out", "on")
    assert start_line(answer) == "start: begins at W and B of cut: its data were others"
    assert json.loads(Path("on/run.json").read_text())["model"]["mu"] == 0.01
    answer = run("fit", "a.npz", "--start", "cut", "--out", "on", "--method", "stl")
    assert_error(answer, "--start cut", "--method stl")


def test_names_put_a_point_in_order(run: Run, fitted: Path) -> None:
    np.savez("a.npz", **arrays(task_names=np.array(["x", "y", "z"])))
    assert run("fit", "a.npz", "--out", "run", *GIVEN).code == 0
    found, order = point(), np.array([2, 0, 1])
    moved = {"W": found["W"][:, order], "B": found["B"][np.ix_(order, order)]}
    np.savez("moved.npz", **moved, task_names=np.array(["z", "x", "y"]))
    answer = run("fit", "a.npz", "--start", "moved.npz", "--out", "again", *GIVEN)
    assert answer.code == 0 and len(read_history(Path("again"))) <= 3
    np.savez("moved.npz", **moved, task_names=np.array(["z", "x", "w"]))
    assert_error(run("fit", "a.npz", "--start", "moved.npz", "--out", "x", *GIVEN), "task_names", "x, y, z")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda W, B: {"W": W.T, "B": B}, "shape"),
        (lambda W, B: {"W": W, "B": B - 1.0}, "zero diagonal"),
        (lambda W, B: {"W": W * np.nan, "B": B}, "finite"),
        (lambda W, B: {"W": W}, "B"),
    ],
)
def test_a_start_that_is_none_is_bad_data(run: Run, fitted: Path, change: Any, told: str) -> None:
    np.savez("p.npz", **change(**point()))
    words = (*GIVEN, "--standardize", "--intercept")
    assert_error(run("fit", "a.npz", "--start", "p.npz", "--out", "x", *words), told)
    assert not Path("x").exists()


def test_a_start_that_is_not_there_is_bad_data(run: Run, fitted: Path) -> None:
    assert_error(run("fit", "a.npz", "--start", "nowhere", "--out", "x"), "nowhere")
    Path("run/state.npz").write_bytes(b"PK")
    assert_error(run("fit", "a.npz", "--start", "run", "--out", "x"), "state.npz")
