"""What `amtl-cvx tune` tells: the measure that was tuned, growing trials, what was resumed, its exit code."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, arrays, labels
from matplotlib.figure import Figure
from test_cli_tune import AMTL, GRID, rows

from amtl_cvx import Options, Solution
from amtl_cvx import progress as module
from amtl_cvx.commands import tune as command
from amtl_cvx.commands.tried import read_trials
from amtl_cvx.experiment.tuning import Tuning
from amtl_cvx.progress import Progress
from amtl_cvx.report import tuning as report
from amtl_cvx.solution import Record


@pytest.fixture(autouse=True)
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The map of a tuning is empty."""
    monkeypatch.setattr(command, "draw_trials", lambda tuning, title, path: path.touch())


def separable() -> dict[str, np.ndarray]:
    """Two tasks of eight rows and six features, labels by the sign of a product."""
    rng = np.random.default_rng(0)
    X, task = rng.normal(size=(16, 6)), np.repeat([0, 1], 8)
    return {"X": X, "y": np.where(X @ rng.normal(size=6) > 0.0, 1.0, -1.0), "task": task}


def test_growing_trials_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def early(tuning: Tuning, data: command.Data, options: Options, progress: Progress) -> Solution:
        candidate = tuning.candidate  # the last fit, which is judged, takes seconds here
        candidate = replace(candidate, parameters={**candidate.parameters, "rounds": 1})
        return candidate.fit(data.train, options)

    np.savez("a.npz", **separable())
    monkeypatch.setattr(command, "_fitted", early)
    options = ("--grid", "mu=.001", "--grid", "coupling=1e-3,1e-2", "--folds", "2", "--widen", "0")
    answer = run("tune", "a.npz", *options, "--out", "out")
    assert answer.code == 0 and "2 of 2 points ended as growing" in answer.out
    assert answer.out.count("--grid rounds=1:10") == 1
    assert {row["ended"] for row in rows()} == {"growing on 2 of 2 splits"}
    tuning = read_trials(Path("out"))
    assert all(trial.growing == 2 for trial in tuning.trials)
    monkeypatch.setattr(report, "tuning_figure", lambda tuning: Figure((1.0, 1.0)))
    body = report.section(tuning).split('<table id="tuning">')[1].split("</table>")[0]
    assert body.count("growing on 2 of 2 splits") == 2


def test_the_test_line_begins_with_what_was_tuned(run: Run) -> None:
    np.savez("a.npz", **labels())
    answer = run("tune", "a.npz", *GRID[:4], "--folds", "2", "--test", "0.25", "--out", "out")
    said = re.search(r"test, stl: error ([0-9.]+), accuracy ([0-9.]+)", answer.out)
    assert said and float(said[1]) == pytest.approx(1.0 - float(said[2]), abs=1e-3)
    scores = json.loads(Path("out/run.json").read_text())["scores"]["stl"]
    assert scores["error"] == pytest.approx(1.0 - scores["accuracy"])
    loss = run(
        "tune", "a.npz", *GRID[:4], "--folds", "2", "--test", "0.25", "--out", "b", "--measure", "loss"
    )
    assert "test, stl: loss " in loss.out


def test_a_chosen_point_that_does_not_arrive_is_judged_and_told(run: Run) -> None:
    np.savez("a.npz", **arrays())
    exact = ("--tol", "1e-17")
    assert run("fit", "a.npz", "--method", "stl", "--coupling", "1", *exact, "--out", "fit").code == 1
    far = run("tune", "a.npz", *GRID, *exact, "--out", "out", "--quiet")
    assert far.code == 0 and "the chosen point is not certified (" in far.err
    assert run("certify", "a.npz", "out").code == 1
    early = run("tune", "a.npz", *AMTL, *exact, "--out", "early")  # it was not to arrive
    assert early.code == 0 and "not certified (" not in early.err
    told = run("certify", "a.npz", "early")
    assert told.code == 1 and "next: nothing: the run was stopped after 2 rounds on purpose" in told.out


def test_random_points_have_a_seed_of_their_own(run: Run) -> None:
    np.savez("a.npz", **arrays())
    drawn = ("--method", "stl", "--grid", "coupling=.1:10:2", "--random", "2", "--test", "0.25", "--quiet")
    for name, seed in (("one", ()), ("two", ("--random-seed", "7")), ("same", ("--random-seed", "0"))):
        assert run("tune", "a.npz", *drawn, *seed, "--folds", "2", "--out", name).code == 0
    data = {name: json.loads(Path(name, "run.json").read_text())["data"] for name in ("one", "two")}
    assert data["one"] == data["two"]
    points = {name: [row["coupling"] for row in rows(name)] for name in ("one", "two", "same")}
    assert points["one"] == points["same"] and set(points["one"]).isdisjoint(points["two"])


def test_a_tuning_that_goes_on_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    done: list[int] = []

    def told(progress: Progress, now: int, total: int, least: float) -> None:
        done.append(now)
        if now == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tried", told)
        assert run("tune", "a.npz", *GRID, "--out", "out").code == 130
    answer = run("tune", "a.npz", *GRID, "--out", "out")
    assert answer.code == 0 and f"\n{done[-1]} points and splits were taken from the journal\n" in answer.out
    assert "journal" not in run("tune", "a.npz", *GRID, "--out", "new").out


def test_rows_that_are_trained_on_are_told_with_quiet_too(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("tune", "a.npz", *GRID, "--test", "a.npz", "--out", "out", "--quiet")
    assert answer.out == "" and answer.err.startswith("warning: --test a.npz has rows that are trained on")
    assert answer.err.count("\n") == 1


def test_steps_and_time_show_life_within_a_trial(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DELAY", 0.0)
    monkeypatch.setattr(module, "_BEAT", 0.04)
    record = Record(
        round=34, step="W", objective=3.25, stationarity={}, relative=0.1, seconds=12.0, solver="",
        solver_status="",
    )  # fmt: skip
    with Progress(quiet=False, tol=1e-8) as progress:
        progress.phase("tuning amtl")
        time.sleep(0.2)
        for _ in range(100):
            progress.step(record)  # within the silence: one line at most
        progress.tried(3, 12, 0.5)
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert any(re.fullmatch(r"tuning amtl \(\d+ s so far\)", line) for line in lines)
    assert sum("at work" in line and "(" not in line for line in lines) <= 1
    pattern = r"3 of 12 points and splits so far, least error 0.5 \(\d+ s so far\)"
    assert any(re.fullmatch(pattern, line) for line in lines)
    assert len(lines) < 20


def test_every_step_of_a_trial_is_told_in_this_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    seen: list[int] = []
    monkeypatch.setattr(Progress, "step", lambda self, record: seen.append(record.round))
    assert run("tune", "a.npz", *AMTL, "--out", "out", "--quiet").code == 0
    assert len(seen) == 2 * 2 * 3 * 6  # a W-step and a B-step, two rounds, three folds, six points
