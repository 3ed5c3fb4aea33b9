"""`amtl-cvx tune`: one line for a mistake, and what an interrupt, a kill and another tuning leave behind."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, listing
from test_cli_tune import GRID, TUNED, rows

from amtl_cvx.commands import tune as command
from amtl_cvx.progress import Progress


@pytest.fixture(autouse=True)
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The map of a tuning is empty."""
    monkeypatch.setattr(command, "draw_trials", lambda tuning, title, path: path.touch())


WRONG: Sequence[tuple[Sequence[str], Sequence[str]]] = [
    (("--grid", "features=2"), ("amtl has no parameter 'features'", "coupling, mu, rounds")),
    (("--grid", "mu=.1", "--method", "mtfl"), ("mtfl has no parameter 'mu'", "rho")),
    (("--grid", "rounds=1:3", "--method", "stl"), ("stl has no parameter 'rounds'", "coupling")),
    (("--grid", "mu="), ("NAME=VALUE", "'mu='")),
    (("--grid", "=1"), ("NAME=VALUE",)),
    (("--grid", "mu"), ("NAME=VALUE",)),
    (("--grid", "mu=.1,,1"), ("empty",)),
    (("--grid", "mu=nan"), ("mu", "nan")),
    (("--grid", "mu=inf,1"), ("mu", "inf")),
    (("--grid", "mu=few"), ("mu is a number", "few")),
    (("--grid", "mu=-1,1"), ("mu", "-1")),
    (("--grid", "mu=1:0.1:5"), ("LOW < HIGH",)),
    (("--grid", "mu=.1", "--grid", "mu=1"), ("mu is twice",)),
    (("--grid", "mu=.1,.1"), ("mu is there twice",)),
    (("--grid", "rounds=0:3"), ("rounds", ">= 1")),
    (("--grid", "rounds=1.5"), ("rounds is a whole number",)),
    (("--grid", "mu=.1", "--mu", "1"), ("--grid mu", "--mu 1", "leave one out")),
    (("--method", "mtfl", "--omega", "l1"), ("--method mtfl stands for --omega trace-squared",)),
    (("--method", "nothing"), ("unknown method 'nothing'", "amtl-curriculum")),
    (("--features", "3"), ("--features is of",)),
    (("--folds", "1"), ("--folds", ">= 2")),
    (("--folds", "40"), ("fewer folds",)),
    (("--held-out", "1.5"), ("--held-out", "between 0 and 1")),
    (("--random", "0"), ("--random", ">= 1")),
    (("--widen", "-1"), ("--widen", ">= 0")),
    (("--measure", "accuracy"), ("the measure must be auto or one of pooled rmse, rmse, loss",)),
    (("--measure", "class error"), ("the measure must be",)),
    (("--held-out", ".2", "--rule", "one-se"), ("--rule one-se needs two splits", "--folds")),
    (("--mu", "few"), ("few",)),
    (("--coupling", "0"), ("coupling",)),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_a_mistake_is_one_line_and_nothing_is_left(
    run: Run, tmp_path: Path, options: Sequence[str], words: Sequence[str]
) -> None:
    np.savez("a.npz", **arrays())
    quick = () if "--mu" in options or "mu=" in str(options) or "--method" in options else ("--mu", ".1")
    quick += ("--coupling", "1") if "--method" not in options and "--coupling" not in options else ()
    assert_error(run("tune", "a.npz", *options, *quick, "--out", "deep/out"), *words)
    assert listing(tmp_path) == {"a.npz"}


def test_two_ways_to_judge_are_refused(run: Run) -> None:
    assert_error(run("tune", "a.npz", "--folds", "3", "--held-out", ".2", "--out", "out"), "not allowed with")


@pytest.mark.slow
def test_a_stop_does_not_replace_a_certified_run(run: Run, fitted: Path) -> None:
    before = (fitted / "run.json").read_bytes()
    options = ("--grid", "rounds=2", "--coupling", "1", "--mu", ".01", "--folds", "2", "--quiet")
    answer = run("tune", "a.npz", *options, "--out", "run")
    assert answer.code == 0 and "the run is in run.uncertified; run was left as it is" in answer.err
    assert (fitted / "run.json").read_bytes() == before and not Path("run.tuning").exists()
    assert {path.name for path in Path("run.uncertified").iterdir()} >= TUNED
    assert run("tune", "a.npz", *options, "--out", "run", "--force").err == ""
    assert {path.name for path in fitted.iterdir()} >= TUNED
    assert run("fit", "a.npz", *GIVEN, "--out", "run", "--force", "--quiet").code == 0
    assert not TUNED & {path.name for path in fitted.iterdir()}  # nothing of the tuning beside another run


def test_a_folder_that_is_not_ours_is_left_alone(run: Run, tmp_path: Path) -> None:
    np.savez("a.npz", **arrays())
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    assert_error(run("tune", "a.npz", *GRID, "--out", "out"), "without a run.json of ours")
    assert listing(tmp_path) == {"a.npz", "out", "out/mine.txt"}


def test_an_interrupt_keeps_what_was_fitted_and_the_same_command_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("a.npz", **arrays())
    assert run("tune", "a.npz", *GRID, "--out", "whole", "--quiet").code == 0
    done: list[int] = []

    def told(progress: Progress, now: int, total: int, least: float) -> None:
        done.append(now)
        if len(done) == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "tried", told)
    answer = run("tune", "a.npz", *GRID, "--out", "deep/out", "--quiet")
    kept = "what was fitted is in deep/out.tuning, the same command goes on from there"
    assert answer == (130, "", f"interrupted: {kept}\n")
    assert listing(tmp_path / "deep") == {"out.tuning"}
    assert run("tune", "a.npz", *GRID, "--out", "deep/out", "--quiet") == (0, "", "")
    assert len(done) == 12  # three folds of four points, each fitted once
    assert rows("deep/out") == rows("whole") and not Path("deep/out.tuning").exists()


def test_an_interrupt_of_the_last_fit_keeps_all_trials(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "record", lambda self, record: signal.raise_signal(signal.SIGINT))
        assert run("tune", "a.npz", *GRID, "--out", "out", "--quiet").code == 130
    assert not Path("out").exists()
    done: list[int] = []
    monkeypatch.setattr(Progress, "tried", lambda self, *what: done.append(0))
    assert run("tune", "a.npz", *GRID, "--out", "out", "--quiet").code == 0 and done == []


def test_an_interrupt_before_the_first_fit_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("a.npz", **arrays())
    monkeypatch.setattr(command, "tune_method", lambda *what, **options: signal.raise_signal(signal.SIGINT))
    answer = run("tune", "a.npz", *GRID, "--out", "deep/out", "--quiet")
    assert answer == (130, "", "interrupted: nothing was written\n")
    assert listing(tmp_path) == {"a.npz"}


def test_another_tuning_is_not_mixed_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tried", lambda self, *what: signal.raise_signal(signal.SIGINT))
        assert run("tune", "a.npz", *GRID, "--out", "out", "--quiet").code == 130
    journal = Path("out.tuning").read_bytes()
    other = (*GRID, "--seed", "3", "--out", "out", "--quiet")
    assert_error(run("tune", "a.npz", *other), "the journal of another tuning", "--force begins anew")
    assert Path("out.tuning").read_bytes() == journal
    assert run("tune", "a.npz", *other, "--force") == (0, "", "")
    Path("out.tuning").write_text("a letter\n")
    assert_error(run("tune", "a.npz", *other, "--force"), "out.tuning: expected a readable journal")
    assert Path("out.tuning").read_text() == "a letter\n"


@pytest.mark.slow
def test_a_killed_process_goes_on(run: Run, tmp_path: Path) -> None:
    np.savez("a.npz", **arrays())
    many = ("--grid", "coupling=.1:10:4", "--grid", "mu=.01,.1,1", "--engine", "cvxpy", "--folds", "3")
    words = ["tune", "a.npz", *many, "--widen", "0", "--quiet", "--out"]
    process = subprocess.Popen([sys.executable, "-m", "amtl_cvx", *words, "out"], cwd=tmp_path)
    journal = Path("out.tuning")
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 4 <= journal.read_bytes().count(b"\n") < 37 and not Path("out").exists()
    assert run(*words, "out").code == 0 and run(*words, "whole").code == 0
    assert rows("out") == rows("whole")


def test_processes_and_schedulers_do_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("a.npz", **arrays())
    asked: list[Any] = []

    @contextlib.contextmanager
    def threads(jobs: int, *, scheduler: str | None) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(2) as executor:
            submit = executor.submit
            monkeypatch.setattr(
                executor, "submit", lambda *what: asked.append((jobs, scheduler)) or submit(*what)
            )
            yield executor

    assert run("tune", "a.npz", *GRID, "--quiet", "--out", "one") == (0, "", "")
    monkeypatch.setattr(command, "workers", threads)
    assert run("tune", "a.npz", *GRID, "--quiet", "--out", "two", "--jobs", "7") == (0, "", "")
    assert run("tune", "a.npz", *GRID, "--quiet", "--out", "three", "--scheduler", "tcp://x").code == 0
    assert set(asked) == {(7, None), (1, "tcp://x")} and rows("one") == rows("two") == rows("three")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("method", "options", "settings"),
    [
        ("amtl-imbalanced", ("--coupling", "1", "--grid", "power=1", "--mu", ".1"), {"reduction": "sum"}),
        ("mtfl", ("--grid", "rho=.1,1"), {"omega": "trace-squared", "coupling": 0.0}),
        ("go-mtl", ("--grid", "features=2", "--mu", ".1", "--decay", ".1"), {"features": 2, "decay": 0.1}),
        ("sc-mtl", ("--grid", "features=2", "--radius", "1"), {"features": 2}),
        ("curriculum-simple", ("--grid", "coupling=1",), {"coupling": 1.0}),
    ],
)  # fmt: skip
def test_what_a_name_stands_for_is_fitted_and_kept(
    run: Run, method: str, options: Sequence[str], settings: dict[str, Any]
) -> None:
    np.savez("a.npz", **arrays())
    rounds = ("--grid", "rounds=2") if method.startswith("amtl") else ()
    words = ("--method", method, *options, *rounds, "--folds", "2", "--widen", "0", "--quiet")
    assert run("tune", "a.npz", *words, "--out", "out") == (0, "", "")
    described = json.loads(Path("out/run.json").read_text())
    assert described["arguments"]["named"] == method
    assert {name: described["model"][name] for name in settings} == settings
    assert {name: described["arguments"][name] for name in settings} == settings


def test_random_points_lie_between_the_ends_and_come_back_with_the_seed(run: Run) -> None:
    np.savez("a.npz", **arrays())
    grid = ("--grid", "coupling=.1:10:2", "--grid", "mu=1e-3,.1", "--grid", "rounds=2")
    drawn = (*grid, "--random", "5", "--folds", "2", "--quiet")
    for name, seed in (("one", "1"), ("again", "1"), ("two", "2")):
        assert run("tune", "a.npz", *drawn, "--seed", seed, "--out", name) == (0, "", "")
    assert rows("one") == rows("again") and rows("one") != rows("two")
    assert len(rows("one")) == 5
    for row in rows("one"):
        assert 0.1 <= float(row["coupling"]) <= 10 and 1e-3 <= float(row["mu"]) <= 0.1
