"""`amtl-cvx compare`: one folder with what was found; resumes; one line for a mistake, before any fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, arrays, assert_error, listing, write_csv

from amtl_cvx import read
from amtl_cvx.commands import comparison_folder
from amtl_cvx.experiment.comparing import protocol
from amtl_cvx.experiment.comparing.parts import drawn_parts

NUMBERS = {"comparison.json", "methods.csv", "fits.csv", "tasks.csv"}
PICTURES = {"comparison.html", "errors.png", "gains.png", "graphs.png", "stability.png"}
GRIDS = ("--grid", "stl:coupling=.1,1", "--grid", "amtl:mu=.01,.1", "--grid", "amtl:coupling=.1,1")
SHORT = ("--methods", "stl,amtl", *GRIDS, "--widen", "0", "--tune-folds", "2", "--splits", "2")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Three tasks in a.npz and a.csv of the current folder; pictures are drawn where a test asks for them."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **arrays())
    write_csv(Path("a.csv"), arrays())
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(comparison_folder, "_draw", lambda *what: None)


def rows(file: str) -> list[dict[str, str]]:
    with Path("out", file).open() as opened:
        return list(csv.DictReader(opened))


@pytest.mark.slow
def test_the_folder_says_what_was_found(run: Run, tmp_path: Path, pictures: None) -> None:
    answer = run("compare", "a.npz", *SHORT, "--grid", "rounds=1:2", "--out", "out")
    assert answer.code == 0 and "error" not in answer.err
    assert listing(tmp_path) == {"a.npz", "a.csv", "out", *(f"out/{name}" for name in NUMBERS | PICTURES)}
    stored = json.loads(Path("out/comparison.json").read_text())
    assert stored["parts"] == ["split 1", "split 2"] and stored["baseline"] == "stl"
    methods, fits, tasks = rows("methods.csv"), rows("fits.csv"), rows("tasks.csv")
    assert [row["contender"] for row in methods] == ["stl", "amtl"] and len(fits) == 4
    for row in methods:
        errors = [float(fit["error"]) for fit in fits if fit["contender"] == row["contender"]]
        assert float(row["error"]) == pytest.approx(np.mean(errors))
        assert float(row["se"]) == pytest.approx(abs(errors[0] - errors[1]) / 2)
    parts = drawn_parts(read("a.npz").train, 2, test=0.25)
    tested = {(part.name, task.name) for part in parts for task in part.test}
    assert {(row["part"], row["task"]) for row in tasks} == tested and len(tasks) == 12
    early = [fit for fit in fits if fit["kind"].startswith("stopped after")]
    assert all(fit["passes"] == "False" and fit["level"] == "C0" for fit in early)
    assert "STL" in answer.out and "open out/comparison.html" in answer.out
    page = Path("out/comparison.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4 and "stl:coupling=.1,1" in page


@pytest.mark.slow
def test_folds_and_rows_of_their_own(run: Run) -> None:
    answer = run("compare", "a.npz", "--methods", "amtl,stl", *GRIDS, "--widen", "0", "--folds", "3",
                 "--held-out", "25%", "--out", "out", "--json")  # fmt: skip
    said = json.loads(answer.out)
    assert answer.code == 0 and said["parts"] == ["fold 1", "fold 2", "fold 3"]
    assert said["overlap"] == pytest.approx(0.5)
    assert [each["contender"] for each in said["contenders"]] == ["amtl", "stl"]
    answer = run("compare", "a.csv", "--task", "kind", "--target", "price", "--test", "a.csv", *SHORT[:-2],
                 "--standardize", "--intercept", "--out", "out", "--quiet")  # fmt: skip
    assert answer.code == 0 and answer.out == ""
    stored = json.loads(Path("out/comparison.json").read_text())
    assert (
        stored["parts"] == ["test"]
        and stored["overlap"] == 0.0
        and stored["tasks"] == ["ash", "birch", "cedar"]
    )


@pytest.mark.slow
def test_it_goes_on_where_it_was_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tune, tuned = protocol.tune, []

    def ended(tasks: Any, method: str, *rest: Any, **more: Any) -> Any:
        if len(tuned) == 3:
            raise KeyboardInterrupt
        tuned.append(method)
        return tune(tasks, method, *rest, **more)

    monkeypatch.setattr(protocol, "tune", ended)
    answer = run("compare", "a.npz", *SHORT, "--out", "deep/out")
    assert answer.code == 130 and not Path("deep/out").exists()
    assert answer.err.splitlines()[-1].startswith("interrupted: what was fitted is in ")
    assert "deep/out.comparison, the same command goes on from there" in answer.err
    assert run("compare", "a.npz", *SHORT, "--out", "deep/out", "--seed", "1").code == 130  # other splits
    monkeypatch.setattr(protocol, "tune", lambda *rest, **more: tuned.append("again") or tune(*rest, **more))
    assert run("compare", "a.npz", *SHORT, "--out", "deep/out").code == 0
    assert tuned.count("again") == 1 and not Path("deep/out.comparison").exists()
    first = Path("deep/out/comparison.json").read_text()
    Path("deep/out/mine.txt").touch()
    Path("deep/out/gains.png").touch()
    assert run("compare", "a.npz", *SHORT, "--out", "deep/out").code == 0
    assert {path.name for path in Path("deep/out").iterdir()} == NUMBERS | {"mine.txt"}
    again = json.loads(Path("deep/out/comparison.json").read_text())
    for was, now in zip(json.loads(first)["outcomes"], again["outcomes"], strict=True):
        assert was["error"] == now["error"] and was["parameters"] == now["parameters"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--methods", "stl,amlt"), ("unknown method 'amlt'", "amtl")),
        (("--methods", "stl,amtl,stl"), ("names stl twice",)),
        (("--methods", "stl,,amtl"), ("separated by single commas",)),
        (("--methods", "stl", "--baseline", "none"), ("unknown method 'none'",)),
        (("--methods", "stl", "--grid", "amtl:mu=.1"), ("not compared", "add amtl to --methods")),
        (("--methods", "stl,mean", "--grid", "mu=.1"), ("no parameter", "stl: coupling; mean: rho")),
        (("--methods", "stl,mean", "--grid", "mean:rounds=1:3"), ("no parameter (mean: rho)",)),
        (("--methods", "stl", "--grid", "coupling=1", "--grid", "stl:coupling=2"), ("in two --grid",)),
        (("--methods", "stl", "--grid", "coupling"), ("NAME=VALUE",)),
        (("--methods", "stl", "--grid", "coupling=-1"), ("coupling",)),
        (("--methods", "stl", "--splits", "0"), ("--splits must be a whole number >= 1",)),
        (("--methods", "stl", "--folds", "1"), ("--folds must be a whole number >= 2",)),
        (("--methods", "stl", "--folds", "3", "--test", "0.2"), ("leave --test out",)),
        (("--methods", "stl", "--splits", "3", "--test", "a.csv"), ("share between 0 and 1",)),
        (("--methods", "stl", "--held-out", "2"), ("--held-out must be a share",)),
        (("--methods", "stl", "--measure", "error"), ("pooled rmse or rmse",)),
        (("--methods", "stl", "--test", "nothing.npz"), ("nothing.npz",)),
        (("--methods", "stl", "--random", "0"), ("--random",)),
        (("--methods", "stl", "--folds", "40"), ("fewer folds",)),
        (("--methods", "stl", "--tol", "0"), ("tol",)),
    ],
    ids=lambda value: "-".join(value[2:] or value) if value and value[0][:2] == "--" else "",
)
def test_a_mistake_is_one_line(
    run: Run, argv: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    assert_error(run("compare", "a.npz", *argv, "--out", "out", "--quiet"), *words)
    assert listing(tmp_path) <= {"a.npz", "a.csv", "out.comparison", "out.comparison/comparison-journal"}


def test_too_few_rows_and_what_is_in_the_way(run: Run) -> None:
    few = arrays()
    first = np.concatenate([np.flatnonzero(few["task"] == t)[:2] for t in range(3)])
    np.savez("few.npz", **{name: each[first] for name, each in few.items()})
    assert_error(run("compare", "few.npz", "--methods", "stl", "--quiet", "--out", "o"), "two training rows")
    Path("file").write_text("mine")
    Path("folder").mkdir()
    Path("folder/mine.txt").touch()
    for place in ("file", "folder"):
        assert_error(
            run("compare", "a.npz", *SHORT, "--quiet", "--out", place), f"{place} exists", "left alone"
        )
    Path("out.comparison").mkdir()
    Path("out.comparison/mine.txt").touch()
    assert_error(run("compare", "a.npz", *SHORT, "--quiet", "--out", "out"), "something else")
    assert Path("out.comparison/mine.txt").exists() and Path("folder/mine.txt").exists()


def test_rows_that_are_left_out_or_never_tested_are_said(run: Run) -> None:
    rng = np.random.default_rng(2)
    lines = [
        f"{name},{rng.normal():.3f},{y}" for name, y in zip("a" * 8 + "b" * 8 + "cc", "yn" * 9, strict=True)
    ]
    lines[3] = "a,0.5,"
    Path("few.csv").write_text("\n".join(["shop,visits,left", *lines]) + "\n")
    data = ("few.csv", "--task", "shop", "--target", "left", "--missing", "drop")
    grid = ("--methods", "stl", "--grid", "coupling=1", "--widen", "0", "--tune-folds", "2")
    answer = run("compare", *data, *grid, "--folds", "3", "--out", "out")
    assert answer.code == 0 and "few: 3 tasks, 1 feature, 17 rows\n" in answer.out
    assert 'rows without a label, left out: 1 of "a"\n' in answer.out
    assert 'labels: "n" is -1, "y" is +1\n' in answer.out
    assert "3 folds of every task's rows (seed 0), but for some rows of 'c': too few; " in answer.out
