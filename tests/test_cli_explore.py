"""`amtl-cvx explore`: one folder, whole or not at all, that other commands read; one line for a mistake."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest
from command_line import GIVEN, SEVEN, Run, arrays, assert_error, large, listing, write_csv

LANDSCAPE = {"landscape.csv", "landscape.json", "landscape.png"}
FEW = ("--starts", "6", *GIVEN)
SHORT = (*FEW, "--tol", "1e-17", "--max-rounds", "5")


def save(name: str, seed: int = 1) -> None:
    """Tasks with several first-order points; the second half of the rows in a file of its own."""
    tasks = cases.random_tasks(np.random.default_rng(seed), d=3, counts=[12] * 4)
    for suffix, rows in (("", slice(6)), ("-held", slice(6, 12))):
        np.savez(
            f"{name}{suffix}.npz",
            X=np.concatenate([task.X[rows] for task in tasks]),
            y=np.concatenate([task.y[rows] for task in tasks]),
            task=np.repeat(np.arange(4), 6),
        )


def rows(folder: str) -> list[dict[str, str]]:
    with Path(folder, "landscape.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_folder_is_whole_and_the_lowest_point_certifies(run: Run, tmp_path: Path) -> None:
    save("a")
    settings = ("--coupling", "2", "--mu", "0.03", "--engine", "fast")
    answer = run("explore", "a.npz", "--out", "out", "--validation", "a-held.npz", "--starts", "8", *settings)
    assert answer.code == 0 and "error" not in answer.err
    assert {path.name for path in Path("out").iterdir()} == SEVEN | LANDSCAPE
    assert listing(tmp_path) - {"a.npz", "a-held.npz", "out"} == {f"out/{name}" for name in SEVEN | LANDSCAPE}
    found, stored = rows("out"), json.loads(Path("out/landscape.json").read_text())
    assert sum(int(row["hits"]) for row in found) == stored["finished"] == 8 and len(found) > 1
    assert Path("out/landscape.png").read_bytes().startswith(b"\x89PNG")
    with np.load("out/solution.npz") as file:
        W, B, objective = file["W"], file["B"], float(file["objective"])
    assert objective == float(found[0]["objective"]) == min(float(row["objective"]) for row in found)
    with np.load("a-held.npz") as file:
        held = {key: file[key] for key in ("X", "y", "task")}
    squares = (np.einsum("ij,ji->i", held["X"], W[:, held["task"]]) - held["y"]) ** 2
    error = np.mean([np.sqrt(squares[held["task"] == t].mean()) for t in range(4)])
    assert float(found[0]["validation_error"]) == pytest.approx(error, rel=1e-12)
    assert "The lowest J is not the best predictor" in answer.out
    assert run("certify", "a.npz", "out").code == 0
    assert run("certify", "a.npz", "out/solution.npz").code == 0
    assert run("predict", "out", "a.npz").code == 0
    fitted = run("fit", "a.npz", "--out", "fit", *settings)
    zero = next(row for row in found if "zero" in row["starts"].split("; "))
    assert fitted.code == 0 and B.shape == (4, 4)
    with np.load("fit/solution.npz") as file:
        assert float(file["objective"]) == pytest.approx(float(zero["objective"]), rel=1e-12)


def test_what_does_not_certify_goes_beside_a_certified_run(run: Run) -> None:
    save("a")
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet").code == 0
    before = Path("run/run.json").read_bytes()
    answer = run("explore", "a.npz", "--out", "run", *SHORT, "--quiet")
    assert answer.code == 1 and "is in run.uncertified; run was left as it is" in answer.err
    assert Path("run/run.json").read_bytes() == before
    assert {path.name for path in Path("run.uncertified").iterdir()} == SEVEN | LANDSCAPE


@pytest.mark.slow
def test_the_same_files_from_processes_and_from_the_same_seed(run: Run) -> None:
    save("a")
    for name, options in (("one", ()), ("two", ("--jobs", "2")), ("again", ()), ("other", ("--seed", "5"))):
        answer = run("explore", "a.npz", "--out", name, *FEW, *options, "--quiet")
        assert answer == (0, "", "")
    for file in ("landscape.csv", "landscape.json"):
        first = Path("one", file).read_bytes()
        assert Path("two", file).read_bytes() == first == Path("again", file).read_bytes()
        assert Path("other", file).read_bytes() != first


def test_a_problem_has_its_own_validation_part(run: Run) -> None:
    answer = run("explore", "paper-synthetic", "--out", "out", "--starts", "1", "--engine", "fast")
    assert answer.code == 0 and "also has the lowest validation rmse" in answer.out
    scores = json.loads(Path("out/run.json").read_text())["scores"]
    assert scores["lowest J"]["validation rmse"] == float(rows("out")[0]["validation_error"])


def test_a_table_with_preparation_and_its_validation_rows(run: Run) -> None:
    write_csv(Path("a.csv"), arrays())
    write_csv(Path("b.csv"), arrays(y=arrays()["y"] + 1.0))
    columns = ("--task", "kind", "--target", "price", "--standardize", "--intercept")
    answer = run("explore", "a.csv", "--out", "out", *columns, "--validation", "b.csv", *FEW)
    assert answer.code == 0 and run("certify", "a.csv", "out").code == 0
    W, X = np.load("out/solution.npz")["W"], arrays()["X"]
    prepared = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(X))])
    squares = (np.einsum("ij,ji->i", prepared, W[:, arrays()["task"]]) - arrays()["y"] - 1.0) ** 2
    error = np.sqrt(squares.reshape(3, -1).mean(axis=1)).mean()
    assert float(rows("out")[0]["validation_error"]) == pytest.approx(error, rel=1e-12)


def test_what_does_not_certify_is_exit_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    monkeypatch.setattr("amtl_cvx.progress.Progress.fitted", lambda bar, done, total, low: shown.append(low))
    save("a")
    answer = run("explore", "a.npz", "--out", "out", *SHORT)
    assert answer.code == 1 and "6 results without a certificate that passes" in answer.out
    assert {row["point"] for row in rows("out")} == {""}
    assert shown == [np.inf] * 6  # the lowest J of the progress is one that the summary has
    assert {path.name for path in Path("out").iterdir()} == SEVEN | LANDSCAPE


@pytest.mark.parametrize(
    "options, words",
    [
        (("--starts", "0"), ("--starts",)),
        (("--starts", "-3"), ("--starts", "-3")),
        (("--seed", "-1"), ("--seed",)),
        (("--mu", "-1"), ("mu",)),
        (("--validation", "nowhere.npz"), ("nowhere.npz",)),
        (("--validation", "narrow.npz"), ("--validation", "3 features", "2")),
        (("--validation", "more.npz"), ("task 4",)),
        (("--engine", "fast", "--solver", "OSQP"), ("engine",)),
        (("--jobs", "0"), ("jobs",)),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    run: Run, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    save("a")
    np.savez("narrow.npz", X=np.ones((8, 2)), y=np.ones(8), task=np.repeat(np.arange(4), 2))
    np.savez("more.npz", X=np.ones((10, 3)), y=np.ones(10), task=np.repeat(np.arange(5), 2))
    before = listing(tmp_path)
    assert_error(run("explore", "a.npz", "--out", "new/out", *FEW, *options), *words)
    assert listing(tmp_path) == before


def test_only_a_folder_of_ours_is_replaced(run: Run) -> None:
    save("a")
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep")
    assert_error(run("explore", "a.npz", "--out", "mine", *FEW), "mine exists and is a folder", "(--out)")
    assert Path("mine/notes.txt").read_text() == "keep"
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet").code == 0
    assert run("explore", "a.npz", "--out", "run", *FEW, "--quiet").code == 0
    assert "landscape.csv" in {path.name for path in Path("run").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False])
def test_an_interrupt_keeps_the_points_or_leaves_nothing(tmp_path: Path, early: bool) -> None:
    large(tmp_path / "a.npz")
    argv = ["explore", "a.npz", "--out", "deep/out", "--starts", "500", *GIVEN, "--engine", "fast"]
    process = subprocess.Popen(
        [sys.executable, "-m", "amtl_cvx", *argv],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while ("loading" if early else "fits done") not in said and not (early and said):
        line = process.stderr.readline()
        assert line, f"ended early: {said} {process.communicate()}"
        said += line
    process.send_signal(signal.SIGINT)
    err = said + process.communicate(timeout=120)[1]
    assert process.returncode == 130 and "Traceback" not in err
    if not (tmp_path / "deep").exists():
        assert early and err.splitlines()[-1] == "interrupted: nothing was written"
        return
    stored = json.loads((tmp_path / "deep" / "out" / "landscape.json").read_text())
    assert err.splitlines()[-1] == f"interrupted: what {stored['finished']} starts reached is in deep/out"
    assert stored["finished"] + len(stored["unfinished"]) == 500
    assert {path.name for path in (tmp_path / "deep" / "out").iterdir()} == SEVEN | LANDSCAPE
