"""Bad input on the command line: exit 2, one line `error: ...`, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import GIVEN, ROWS, SEVEN, Answer, Run, arrays, assert_error, listing, with_entry, write_csv

BAD_DATA: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan in X": (lambda p: np.savez(p, **with_entry("X", np.nan)), "nan"),
    "inf in X": (lambda p: np.savez(p, **with_entry("X", np.inf)), "inf"),
    "nan in y": (lambda p: np.savez(p, **with_entry("y", np.nan)), "nan"),
    "one dimension": (lambda p: np.savez(p, **arrays(X=np.ones(36))), "X"),
    "short y": (lambda p: np.savez(p, **arrays(y=np.ones(35))), "y"),
    "short task": (lambda p: np.savez(p, **arrays(task=np.zeros(3, int))), "task"),
    "object array": (lambda p: np.savez(p, **arrays(X=np.array([[1, "a"]] * 36, dtype=object))), "objects"),
    "text": (lambda p: np.savez(p, **arrays(X=np.full((36, 4), "a"))), "X"),
    "complex": (lambda p: np.savez(p, **arrays(X=np.ones((36, 4)) * 1j)), "X"),
    "no rows": (lambda p: np.savez(p, X=np.ones((0, 4)), y=np.ones(0), task=np.ones(0, int)), "p.npz"),
    "no features": (lambda p: np.savez(p, **arrays(X=np.ones((36, 0)))), "feature"),
    "no task": (lambda p: np.savez(p, X=np.ones((3, 2)), y=np.ones(3)), "task"),
    "gap in task": (lambda p: np.savez(p, **arrays(task=np.repeat([0, 1, 3], ROWS))), "task"),
    "negative task": (lambda p: np.savez(p, **arrays(task=np.repeat([-1, 0, 1], ROWS))), "task"),
    "fractional task": (lambda p: np.savez(p, **arrays(task=np.repeat([0, 0.5, 1], ROWS))), "task"),
    "two names for three": (lambda p: np.savez(p, **arrays(task_names=["a", "b"])), "names"),
    "same name twice": (lambda p: np.savez(p, **arrays(task_names=["a", "b", "a"])), "'a'"),
    "not a zip": (lambda p: p.write_bytes(b"hello, world" * 9), ".npz"),
    "empty file": (lambda p: p.write_bytes(b""), "empty"),
    "folder": (lambda p: p.mkdir(), "not a file"),
    "missing": (lambda p: None, "there is no file"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_nothing(run: Run, tmp_path: Path, kind: str) -> None:
    write, word = BAD_DATA[kind]
    write(tmp_path / "p.npz")
    before = listing(tmp_path)
    assert_error(run("fit", "p.npz", "--out", "new/deep/run", *GIVEN), word)
    assert listing(tmp_path) == before


def test_bad_truncated_npz(run: Run, tmp_path: Path) -> None:
    np.savez("whole.npz", **arrays())
    whole = Path("whole.npz").read_bytes()
    for share in (0.3, 0.7, 0.99):
        Path("cut.npz").write_bytes(whole[: int(share * len(whole))])
        assert_error(run("fit", "cut.npz", "--out", "run", *GIVEN), "cut.npz")
    assert listing(tmp_path) == {"whole.npz", "cut.npz"}


@pytest.mark.parametrize(
    "y, word",
    [
        (np.arange(36.0), "logistic"),
        (np.tile([1.0, 2.0], 18), "logistic"),
        (np.repeat([1.0, -1.0, 1.0], ROWS), "class"),
    ],
)
def test_bad_labels(run: Run, tmp_path: Path, y: np.ndarray, word: str) -> None:
    np.savez("a.npz", **arrays(y=y))
    assert_error(run("fit", "a.npz", "--out", "run", "--loss", "logistic", *GIVEN), word)
    assert listing(tmp_path) == {"a.npz"}


@pytest.mark.parametrize(
    "options, word",
    [
        (["--mu", "-1"], "mu"),
        (["--mu", "-1e-3"], "-0.001"),
        (["--mu", "-.5E+2"], "-50"),
        (["--mu", "-inf"], "got -inf"),
        (["--coupling", "-3."], "got -3"),
        (["--mu", "nan"], "mu"),
        (["--mu", "inf"], "mu"),
        (["--mu", "abc"], "abc"),
        (["--coupling", "0"], "coupling"),
        (["--coupling", "-2"], "coupling"),
        (["--coupling", "nan"], "coupling"),
        (["--coupling", "1e999"], "coupling"),
        (["--solver", "GUROBY"], "CLARABEL"),
        (["--loss", "hinge"], "squared"),
        (["--method", "magic"], "curriculum"),
        (["--transfer", "magic"], "loss-weighted-l1"),
        (["--task-weights", "magic"], "inverse-sqrt"),
        (["--reduction", "median"], "mean"),
        (["--sweep", "all"], "joint"),
        (["--sweep", "tasks", "--definition"], "joint"),
        (["--tol", "0"], "tol"),
        (["--tol", "nan"], "tol"),
        (["--tol", "-1e-8"], "got -1e-08"),
        (["--quiet", "-1e-8"], "-1e-8"),
        (["--tol", "small"], "small"),
        (["--max-rounds", "0"], "max_rounds"),
        (["--max-rounds", "2.5"], "2.5"),
        (["--seed", "-1"], "seed"),
        (["--task", "kind"], "csv"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_settings(run: Run, tmp_path: Path, options: list[str], word: str) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("fit", "a.npz", "--out", "new/run", *GIVEN, *options), word)
    assert listing(tmp_path) == {"a.npz"}


@pytest.mark.parametrize(
    "options, word",
    [
        ([], "--task"),
        (["--task", "kind"], "--target"),
        (["--task", "sort", "--target", "price"], "sort"),
        (["--task", "kind", "--target", "prize"], "prize"),
        (["--task", "kind", "--target", "kind"], "kind"),
    ],
)
def test_bad_columns(run: Run, tmp_path: Path, options: list[str], word: str) -> None:
    write_csv(Path("a.csv"), arrays())
    assert_error(run("fit", "a.csv", "--out", "run", *GIVEN, *options), word)
    assert listing(tmp_path) == {"a.csv"}


@pytest.mark.parametrize("argv", [["fti"], ["fit"], ["fit", "a.npz"], ["plot", "run"], ["solvers", "now"]])
def test_bad_usage(run: Run, argv: list[str]) -> None:
    assert_error(run(*argv), "--help")


def test_bad_newlines_in_arguments_stay_one_line(run: Run) -> None:
    assert_error(run("two\nlines"))
    assert_error(run("fit", "no\nfile.npz", "--out", "run"))
    assert_error(run("fit", "a.npz", "--out", ""), "path")


@pytest.mark.parametrize(
    "out", ["/proc/x/run", "/dev/null/run", "a.npz/run", "a.npz", "mine", ".", "gone", "x" * 300]
)
def test_bad_unwritable_out(run: Run, tmp_path: Path, out: str) -> None:
    np.savez("a.npz", **arrays())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "gone").symlink_to("nowhere")
    before = listing(tmp_path)
    assert_error(run("fit", "a.npz", "--out", out, *GIVEN))
    assert listing(tmp_path) == before


def test_the_current_folder_is_written_to_and_stays(
    run: Run, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fitted)
    Path("notes.txt").write_text("mine")
    assert run("fit", "../a.npz", "--out", "../run", *GIVEN, "--quiet").code == 0
    assert Path.cwd() == tmp_path / "run" and Path("notes.txt").read_text() == "mine"
    assert listing(tmp_path) == {"a.npz", "run", "run/notes.txt", *(f"run/{name}" for name in SEVEN)}


@pytest.mark.slow
def test_bad_data_of_a_process_is_one_line_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "nan.npz", **with_entry("X", np.nan))
    done = subprocess.run(
        [sys.executable, "-m", "amtl_cvx", "fit", "nan.npz", "--out", "deep/run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert_error(Answer(done.returncode, done.stdout, done.stderr), "nan.npz")
    assert listing(tmp_path) == {"nan.npz"}


def test_bad_paths_with_a_nul_or_a_loop_of_links(run: Run, fitted: Path) -> None:
    Path("loop.png").symlink_to("loop.png")
    Path("loop").symlink_to("loop")
    for path in ("a\0b", "loop", "loop/x"):
        assert_error(run("fit", path, "--out", "new", *GIVEN))
        assert_error(run("fit", "a.npz", "--out", path, *GIVEN))
        assert_error(run("explore", "a.npz", "--out", "new", "--validation", path, *GIVEN))
        assert_error(run("certify", path, "run"))
        assert_error(run("certify", "a.npz", path))
        assert_error(run("export", "a.npz", path, "--out", "new"))
        assert_error(run("export", "a.npz", "run", "--out", path))
        assert_error(run("predict", path, "a.npz"))
        assert_error(run("predict", "run", path))
        assert_error(run("predict", "run", "a.npz", "--out", path))
        assert_error(run("plot", path, "--out", "g.png"))
    assert_error(run("plot", "run", "--out", "loop.png"), "circle")


def test_bad_out_nothing_that_was_read_is_written_over(run: Run, fitted: Path) -> None:
    before = Path("a.npz").read_bytes()
    assert_error(run("predict", "run", "a.npz", "--out", "a.npz"), "was read")
    assert_error(run("predict", "run", "a.npz", "--out", "run/run.json"), "was read")
    assert Path("a.npz").read_bytes() == before and run("certify", "a.npz", "run").code == 0
    for _ in range(2):
        assert run("predict", "run", "a.npz", "--out", "run/p.csv").code == 0


def test_bad_usage_names_the_help_of_the_command(run: Run) -> None:
    for argv in (
        ["fit", "a.npz", "--out", "x", "--nope"],
        ["fit"],
        ["fit", "a", "--out", "x", "--jobs", "y"],
    ):
        assert_error(run(*argv), "see amtl-cvx fit --help")


def test_alone_it_shows_its_help(run: Run) -> None:
    assert run() == run("--help") and run().code == 0 and run().out.startswith("usage: amtl-cvx")
    assert run("-V") == run("--version")
