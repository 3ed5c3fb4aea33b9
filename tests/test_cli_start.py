"""`fit --start`: going on from a run that was interrupted, and beginning at a point from anywhere."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Answer, Run, arrays, assert_error, large, point, write_csv

from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import read_history, read_state
from amtl_cvx.solution import Record


def interrupted_after(
    run: Run, monkeypatch: pytest.MonkeyPatch, count: int, *words: object, data: str = "a.npz"
) -> None:
    """The run `cut`, interrupted after so many steps."""
    seen: list[Record] = []

    def record(self: Progress, record: Record) -> None:
        seen.append(record)
        if len(seen) == count:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "record", record)
        assert run("fit", data, "--out", "cut", *words).code == 130


def story(folder: str) -> tuple[Any, ...]:
    """What must be the same in two runs that took the same steps."""
    found, described = point(Path(folder)), json.loads(Path(folder, "run.json").read_text())
    history = [(record.round, record.step, record.objective) for record in read_history(Path(folder))]
    told = [described[name] for name in ("status", "model", "chosen", "preparation", "method", "order")]
    return found["W"].tolist(), found["B"].tolist(), history, told


def start_line(answer: Answer) -> str:
    return next(line for line in answer.out.splitlines() if line.startswith("start: "))


@pytest.mark.sampled(2)
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
    asked = ("engine", "tol", "refine", "max_rounds", "sweep", "solver", "ridge", "standardize", "intercept")
    on, told = (json.loads(Path(name, "run.json").read_text())["arguments"] for name in ("on", "whole"))
    assert {name: on[name] for name in asked} == {name: told[name] for name in asked}
    assert not Path("on/state.npz").exists()


def test_a_table_is_read_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(Path("a.csv"), arrays())
    words = ("--task", "kind", "--target", "price", *GIVEN)
    assert run("fit", "a.csv", "--out", "whole", *words).code == 0
    interrupted_after(run, monkeypatch, 3, *words, data="a.csv")
    assert run("fit", "a.csv", "--start", "cut", "--out", "on", "--quiet") == (0, "", "")
    assert story("on") == story("whole")


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
    assert run("fit", "a.npz", "--out", "whole", *GIVEN).code == 0
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--start", "whole", "--out", "new")
    assert start_line(answer) == "start: begins at W and B of whole: its data were others"
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
        (lambda W, B: {"W": W, "B": B * 1e150}, "J of the start"),
        (lambda W, B: {"W": W, "B": B * 1e160}, "squares of B overflow"),
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


OFTEN = "import sys; from amtl_cvx import cli, run; run.INTERVAL = 0.5; cli.main(sys.argv[1:])"


def killed(folder: Path, *words: str) -> int:
    """A process that is killed once a new checkpoint is there; how many steps that has."""
    place = folder / "run.interrupted"
    before = len(read_history(place)) if place.exists() else 0
    process = subprocess.Popen([sys.executable, "-c", OFTEN, *words], cwd=folder, stderr=subprocess.DEVNULL)
    while True:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
        if (place / "run.json").exists() and len(read_history(place)) > before:
            break
    process.kill()
    process.wait()
    return len(read_history(place))


@pytest.mark.slow
def test_a_killed_fit_goes_on_where_it_was_killed(run: Run, tmp_path: Path) -> None:
    """Killed after its first checkpoint, gone on with, killed again: the point of the fit that was not."""
    large(tmp_path / "a.npz", T=20, d=30)
    words = ("fit", "a.npz", "--coupling", "1", "--mu", "0.1", "--quiet")
    assert run(*words, "--out", "whole", "--level", "C3") == (0, "", "")
    first = killed(tmp_path, *words, "--out", "run")
    second = killed(tmp_path, "fit", "a.npz", "--out", "run", "--start", "run.interrupted", "--quiet")
    assert 0 < first < second and not Path("run").exists()
    described = json.loads(Path("run.interrupted/run.json").read_text())
    assert described["status"] == "interrupted"
    assert run("certify", "a.npz", "run.interrupted").code == 1
    assert run("fit", "a.npz", "--out", "run", "--start", "run.interrupted", "--quiet") == (0, "", "")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "run", "whole"}
    found, expected = point(), point(Path("whole"))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0.0, atol=1e-8 * np.abs(value).max())
    J = [json.loads(Path(name, "certificate.json").read_text())["objective"] for name in ("run", "whole")]
    assert J[0] == pytest.approx(J[1], rel=1e-10)
    assert [(r.round, r.step) for r in read_history(Path("run"))] == [
        (r.round, r.step) for r in read_history(Path("whole"))
    ]


def test_a_checkpoint_is_a_run_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command reads it; it is gone once the run is at its place."""
    np.savez("a.npz", **arrays())
    np.savez("rows.npz", X=arrays()["X"][:2], task=arrays()["task"][:2])
    seen: list[int] = []

    def read_it(self: Progress, record: Record) -> None:
        place = Path("run.interrupted")
        if place.exists() and not seen:
            seen.append(len(read_history(place)))
            copytree(place, "copy")

    monkeypatch.setattr(Progress, "record", read_it)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--standardize", "--intercept", "--quiet").code == 0
    assert seen == [2] and not Path("run.interrupted").exists()
    described = json.loads(Path("copy/run.json").read_text())
    assert (described["status"], described["preparation"]["intercept"]) == ("interrupted", True)
    assert not json.loads(Path("copy/certificate.json").read_text())["passes"]
    assert run("certify", "a.npz", "copy").code == 1
    assert run("predict", "copy", "rows.npz").code == 0
    assert run("plot", "copy", "--kind", "convergence", "--out", "x.svg").code == 0
    assert run("fit", "a.npz", "--start", "copy", "--out", "on", "--quiet") == (0, "", "")
    assert story("on")[:3] == story("run")[:3]


def test_other_data_read_as_the_run_was_say_so(run: Run) -> None:
    """Under the --decimal of the run 5.126 is 5126, which must not happen in silence."""
    data = arrays()
    data["X"] = np.round(np.abs(data["X"]) + 1, 3)
    write_csv(Path("a.csv"), data)
    text = Path("a.csv").read_text().replace(",", ";")
    text = re.sub(r"\d\.\d+", lambda number: f"{float(number[0]):.3f}", text)
    Path("dots.csv").write_text(text)
    Path("a.csv").write_text(text.replace(".", ","))
    said = ("--task", "kind", "--target", "price", "--decimal", ",", *GIVEN)
    assert run("fit", "a.csv", "--out", "run", *said).code == 0
    word = "warning: dots.csv: --decimal , taken from the run\n"
    assert word in run("fit", "dots.csv", "--start", "run", "--out", "new").err
    assert word in run("certify", "dots.csv", "run").err
    for command in (("fit", "a.csv", "--start", "run", "--out", "new"), ("certify", "a.csv", "run")):
        assert "taken from" not in run(*command).err
    Path("b.csv").write_text(Path("a.csv").read_text())
    assert "taken from" not in run("certify", "b.csv", "run", "--decimal", ",").err
