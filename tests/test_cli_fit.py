# More than 300 lines: the tests of one command.
"""`amtl-cvx fit`: every kind of data, a folder of consistent files, and words that fit the outcome."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from cases import narrow_tasks
from command_line import (
    GIVEN,
    ROWS,
    SEVEN,
    D,
    Run,
    T,
    arrays,
    assert_consistent,
    assert_error,
    labels,
    listing,
    point,
    write_csv,
)

from amtl_cvx.errors import SolveError
from amtl_cvx.solution import Status

FIT = import_module("amtl_cvx.commands.fit")
SETUP = import_module("amtl_cvx.commands.setup")


def test_fit_npz(run: Run, fitted: Path) -> None:
    assert_consistent(fitted, "a.npz")


@pytest.mark.usefixtures("pictures")
def test_fit_csv_names_the_tasks(run: Run) -> None:
    write_csv(Path("a.csv"), arrays())
    answer = run("fit", "a.csv", "--task", "kind", "--target", "price", "--out", "run", *GIVEN)
    assert answer.code == 0 and "status: certified" in answer.out and "wrote run" in answer.out
    assert_consistent(Path("run"), "a.csv", task="kind", target="price")
    described = json.loads(Path("run/run.json").read_text())
    assert described["task_names"] == ["ash", "birch", "cedar"]
    assert described["feature_names"] == [f"x{j}" for j in range(D)]
    page = Path("run/report.html").read_text()
    assert "birch" in page
    assert "amtl-cvx fit a.csv --task kind --target price --out run --coupling 1 --mu 0.01</code>" in page
    assert run("certify", "a.csv", "run").code == 0  # the columns are those of run.json


def test_fit_mat(run: Run) -> None:
    data = arrays()
    cells = {key: np.empty((1, T), dtype=object) for key in ("X", "Y")}
    for t in range(T):
        cells["X"][0, t], cells["Y"][0, t] = (
            data["X"][data["task"] == t],
            data["y"][data["task"] == t][:, None],
        )
    scipy.io.savemat("a.mat", cells)
    assert run("fit", "a.mat", "--out", "run", *GIVEN, "--quiet").code == 0
    assert_consistent(Path("run"), "a.mat", pictures=False)


def test_refit_replaces_our_folder_and_no_other(run: Run, fitted: Path, tmp_path: Path) -> None:
    first = Path("run/solution.npz").read_bytes()
    assert run("fit", "a.npz", "--out", "run", "--coupling", "2", "--mu", "0.01", "--quiet").code == 0
    assert Path("run/solution.npz").read_bytes() != first
    assert listing(tmp_path) == {"a.npz", "run", *(f"run/{name}" for name in SEVEN)}
    second = Path("run/solution.npz").read_bytes()
    assert_error(run("fit", "a.npz", "--out", "run", "--mu", "-1"))
    assert Path("run/solution.npz").read_bytes() == second
    Path("run/run.json").write_text('{"program": "another"}')
    assert_error(run("fit", "a.npz", "--out", "run", *GIVEN), "left alone")


ODD = {"task_names": ["<b>", "[bold]x[/bold]", "é\u2028"]}


@pytest.mark.usefixtures("pictures")
def test_odd_names(run: Run) -> None:
    Path("größe 1").mkdir()
    np.savez("größe 1/[red] a.npz", **arrays(**ODD))
    answer = run("fit", "größe 1/[red] a.npz", "--out", "größe 1/[red] run", *GIVEN)
    assert answer.code == 0 and "wrote größe 1/[red] run in" in answer.out
    assert {path.name for path in Path("größe 1/[red] run").iterdir()} == SEVEN


def test_odd_places(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    np.savez("a.npz", **arrays(**ODD))
    Path("link").symlink_to("target")
    Path("target").mkdir()
    for out, place in (("link", "target"), ("~/run", "home/run"), ("y" * 250, "y" * 250)):
        assert run("fit", "a.npz", "--out", out, "--method", "stl", *GIVEN).code == 0
        assert {path.name for path in Path(place).iterdir()} == SEVEN
    assert Path("link").is_symlink()
    assert not [name for name in os.listdir() if name.startswith(".")]


@pytest.mark.usefixtures("pictures")
def test_a_path_that_is_no_utf8(run: Run) -> None:
    np.savez("a.npz", **arrays())
    os.rename("a.npz", b"a\xff.npz")
    names = os.fsdecode(b"a\xff.npz"), "--out", os.fsdecode(b"run\xff")
    answer = run("fit", *names, "--method", "stl", *GIVEN)
    assert answer.code == 0 and {os.fsdecode(name) for name in os.listdir(b"run\xff")} == SEVEN


def test_auto_says_what_it_chose_and_depends_on_the_seed_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amtl_cvx.experiment.tune.COUPLING_PATH", (1e-3, 1e-1, 10.0))
    np.savez("a.npz", **arrays())
    said, found = [], []
    for out in ("one", "two"):
        answer = run("fit", "a.npz", "--out", out, "--seed", "3")
        assert answer.code == 0
        said.append([line for line in answer.out.splitlines() if line.startswith("chose ")])
        found.append(point(Path(out)))
    assert said[0] == said[1] and len(said[0]) == 1
    assert "coupling" in said[0][0] and "mu_max" in said[0][0]
    np.testing.assert_array_equal(found[0]["W"], found[1]["W"])
    np.testing.assert_array_equal(found[0]["B"], found[1]["B"])
    described = json.loads(Path("one/run.json").read_text())
    assert described["chosen"]["mu"] == pytest.approx(0.1 * described["chosen"]["mu_max"])
    best = min(described["chosen"]["trials"], key=lambda trial: trial["held_out_loss"])
    assert described["model"]["coupling"] == best["coupling"]
    assert described["model"]["mu"] == described["chosen"]["mu"]


@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
def test_an_empty_graph_is_said_in_words(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", "--coupling", "1", "--mu", "1e6")
    assert answer.code == 0 and "The graph is empty: no task helps another" in answer.out
    assert "The graph is empty" in run("certify", "a.npz", "run").out


@pytest.mark.parametrize("method", ["curriculum", "stl"])
def test_other_methods_certify_again_from_their_folder(run: Run, method: str) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "run", "--method", method, *GIVEN).code == 0
    assert_consistent(Path("run"), "a.npz", pictures=False)
    assert run("certify", "a.npz", "run").code == 0
    assert run("certify", "a.npz", "run", "--method", "alternating").code == 1  # not a first-order point of J


def test_a_failing_certificate_says_why_the_limit_and_what_to_try(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", "--no-refine", "--max-rounds", "1", *GIVEN)
    assert answer.code == 1
    certificate = json.loads(Path("run/certificate.json").read_text())
    assert not certificate["passes"]
    why, after = (line for line in answer.out.splitlines() if line.startswith(("not certified: ", "next: ")))
    assert f"residual is {certificate['relative']:.1e}" in why and "limit 1e-08" in why
    assert "--no-refine" in after and "--max-rounds above 1" in after
    assert "status: round limit" in answer.out
    assert_consistent(Path("run"), "a.npz", pictures=False)
    assert run("fit", "a.npz", "--out", "run", "--no-refine", "--max-rounds", "1", *GIVEN, "--quiet") == (
        1,
        "",
        "",
    )


def test_what_is_known_of_the_cause_is_printed_and_advised(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    why = "'ash' can be fitted almost without loss: J may have no minimum here; give the task more rows"
    np.savez("a.npz", **arrays())
    few = ("--max-rounds", "1", "--no-refine", "--quiet")
    assert run("fit", "a.npz", "--out", "run", *GIVEN, *few).code == 1
    monkeypatch.setattr("amtl_cvx.certificate.escape", lambda *what, **more: why)
    answer = run("fit", "a.npz", "--out", "new", *GIVEN, *few[:3])
    said, after = (line for line in answer.out.splitlines() if line.startswith(("not certified", "next")))
    assert answer.code == 1 and said.endswith(f"; {why}") and "as the reason says" in after


def test_growth_outside_the_rows_is_told_everywhere(run: Run) -> None:
    tasks = narrow_tasks()
    X, y = (np.concatenate([getattr(task, name) for task in tasks]) for name in ("X", "y"))
    np.savez("a.npz", X=X, y=y, task=np.repeat(np.arange(4), 20))
    given = ("--coupling", "3", "--mu", "0.03", "--no-intercept", "--no-standardize", "--engine", "fast")
    answer = run("fit", "a.npz", "--out", "run", *given)
    lines = {line.partition(":")[0]: line for line in answer.out.splitlines()}
    assert answer.code == 1 and lines["status"].startswith("status: growing, predictors keep growing")
    assert "times the rest while J fell" in lines["not certified"] and "use a penalty on W" in answer.out
    assert "--start" in lines["next"]
    assert_consistent(Path("run"), "a.npz", pictures=False)
    stored = json.loads(Path("run/run.json").read_text())
    why = json.loads(Path("run/certificate.json").read_text())["reasons"]["growth"]
    assert stored["status"] == "growing" and why in lines["not certified"]


def test_a_larger_coupling_is_not_advised_beyond_the_path(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stalled(*what: Any, **more: Any) -> Any:
        solution = fit(*what, **more)
        certificate = dataclasses.replace(solution.certificate, passes=False, relative=1e-3, level="C0")
        return dataclasses.replace(solution, certificate=certificate, status=Status.STALLED)

    data, fit = arrays(), FIT.fit_method
    np.savez("a.npz", **data)
    np.savez("v.npz", X=data["X"], y=np.zeros(len(data["y"])), task=data["task"])  # nothing is better than 0
    monkeypatch.setattr(FIT, "fit_method", stalled)
    answer = run("fit", "a.npz", "--out", "run", "--validation", "v.npz", "--mu", "1")
    assert (
        answer.code == 1
        and "values on the validation rows, the path went on by 3 decades, at the end" in answer.out
    )
    assert "larger --coupling" not in answer.out and "larger coupling" not in answer.out
    assert "give --coupling a value" not in answer.out and "--max-rounds" not in answer.out
    answer = run("fit", "a.npz", "--out", "run", *GIVEN)
    assert answer.code == 1 and "next: a larger --coupling, another --solver" in answer.out


def test_a_comparison_that_fails_does_not_cost_the_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = import_module("amtl_cvx.commands.fit")
    fit_method = command.fit_method

    def failing(*given: Any, method: str, **options: Any) -> Any:
        if method == "stl":
            raise SolveError("no solver is left", step="W", solver="none", status="failed")
        return fit_method(*given, method=method, **options)

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(command, "fit_method", failing)
    answer = run("fit", "a.npz", "--out", "run", "--test", "0.25", *GIVEN, "--quiet")
    assert answer.code == 0
    scores = json.loads(Path("run/run.json").read_text())["scores"]
    assert list(scores) == ["alternating"]


def test_a_run_that_does_not_certify_goes_beside_a_certified_one(run: Run, fitted: Path) -> None:
    worse = ("--no-refine", "--max-rounds", "1", *GIVEN)
    certified = (fitted / "solution.npz").read_bytes()
    answer = run("fit", "a.npz", "--out", "run", *worse)
    assert answer.code == 1 and "wrote run.uncertified in" in answer.out
    words = "not certified: the run is in {}; run was left as it is, --force replaces it\n"
    assert answer.err == words.format("run.uncertified")
    quiet = run("fit", "a.npz", "--out", "run", *worse, "--quiet")
    assert quiet == (1, "", words.format("run.uncertified-2"))
    assert (fitted / "solution.npz").read_bytes() == certified
    assert run("certify", "a.npz", "run.uncertified").code == 1
    assert run("fit", "a.npz", "--out", "run", *worse, "--force", "--quiet") == (1, "", "")
    assert (fitted / "solution.npz").read_bytes() != certified


def test_a_run_that_misses_its_level_goes_beside_a_certified_one(run: Run, fitted: Path) -> None:
    certified = (fitted / "solution.npz").read_bytes()
    alone = ("--method", "stl", "--level", "C3")  # the curvature of J, which this method does not minimise
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, *alone)
    assert answer.code == 1 and "(passes)" in answer.out
    words = "C3 is not reached: the run is in {}; run was left as it is, --force replaces it\n"
    assert answer.err == words.format("run.uncertified")
    assert json.loads(Path("run.uncertified/run.json").read_text())["status"] == "certified"
    assert (fitted / "solution.npz").read_bytes() == certified
    assert run("fit", "a.npz", "--out", "new", *GIVEN, *alone, "--quiet") == (1, "", "")  # nothing to lose
    assert listing(Path("new")) == SEVEN


def test_a_run_that_replaces_a_better_one_or_one_of_other_data_says_so(run: Run, fitted: Path) -> None:
    again = ("fit", "a.npz", "--out", "run", *GIVEN)
    assert run(*again, "--level", "C3").err == ""
    answer = run(*again)
    assert answer.code == 0 and answer.err == "warning: run: this run replaced the run of a at level C3\n"
    np.savez("b.npz", **arrays(y=2.0 * arrays()["y"]))
    answer = run("fit", "b.npz", *again[2:])
    assert answer.code == 0 and answer.err == "warning: run: this run replaced the run of a at level C2\n"
    assert run("fit", "b.npz", *again[2:]).err == ""


@pytest.mark.parametrize("settings", [GIVEN, ()])
def test_one_task(run: Run, settings: tuple[str, ...]) -> None:
    np.savez("a.npz", **arrays(task=np.zeros(T * ROWS, int)))
    answer = run("fit", "a.npz", "--out", "run", *settings)
    assert answer.code == 0 and "There is one task" in answer.out and "a tenth of mu_max 0" not in answer.out
    assert run("certify", "a.npz", "run").code == 0


@pytest.mark.parametrize("settings", [GIVEN, ()])
def test_fewer_rows_than_features(run: Run, settings: tuple[str, ...]) -> None:
    kept = np.flatnonzero(np.arange(T * ROWS) % ROWS < 2)
    np.savez("a.npz", **{key: value[kept] for key, value in arrays().items()})
    answer = run("fit", "a.npz", "--out", "run", *settings)
    assert answer.code in (0, 1) and "error" not in answer.err
    assert run("certify", "a.npz", "run").code == answer.code


def test_one_row_a_task_needs_a_coupling(run: Run, tmp_path: Path) -> None:
    np.savez("a.npz", **{key: value[::ROWS] for key, value in arrays().items()})
    assert_error(run("fit", "a.npz", "--out", "run"), "--coupling")
    assert listing(tmp_path) == {"a.npz"}


def test_logistic_labels_are_recognised(run: Run) -> None:
    np.savez("a.npz", **labels())
    answer = run("fit", "a.npz", "--out", "run", "--coupling", "0.1", "--mu", "0.1")
    assert answer.code == 0 and "logistic loss" in answer.out
    np.savez("rows.npz", X=labels()["X"], task=labels()["task"])
    rows = list(csv.DictReader(run("predict", "run", "rows.npz").out.splitlines()))
    scores = np.einsum("ij,ji->i", labels()["X"], point()["W"][:, labels()["task"]])
    assert [float(row["prediction"]) for row in rows] == np.where(scores > 0, 1.0, -1.0).tolist()


def test_a_solver_that_fails_is_exit_3(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **settings: Any) -> None:
        raise SolveError("round 2: the W-step\nwas not solved", step="W", solver="SCS", status="infeasible")

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(FIT, "fit_method", fail)
    answer = run("fit", "a.npz", "--out", "run", *GIVEN)
    assert answer == (3, "", "error: round 2: the W-step was not solved\n")
    assert listing(tmp_path) == {"a.npz"}


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_reading_that_ends_early_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def end(*args: Any, **settings: Any) -> None:
        raise error

    monkeypatch.setattr(SETUP, "read", end)
    answer = run("fit", "a.npz", "--out", "new/run", *GIVEN)
    assert answer.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert len(answer.err.splitlines()) == 1 and not listing(tmp_path)


@pytest.mark.parametrize("name", ["CLARABEL", "OSQP", "SCS"])
def test_every_solver_certifies(run: Run, name: str) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "run", "--solver", name, *GIVEN, "--quiet").code == 0
    with Path("run/history.csv").open() as file:
        assert name in {row["solver"] for row in csv.DictReader(file)}


def test_single_task_learning_is_said_to_be_at_the_same_coupling(run: Run) -> None:
    settings = ("--coupling", "5", "--mu", "0.01", "--no-refine", "--max-rounds", "1")
    answer = run("fit", "paper-synthetic", "--out", "run", *settings)
    assert "test, stl at the same coupling: rmse" in answer.out and "test, stl:" not in answer.out
    assert "(that coupling is the weight of its ridge, it was not chosen for it)\n" in answer.out
    scores = json.loads(Path("run/run.json").read_text())["scores"]
    assert set(scores) == {"alternating", "stl at the same coupling"}


def test_constant_targets_are_no_labels(run: Run) -> None:
    np.savez("a.npz", **arrays(y=np.ones(T * ROWS)))
    answer = run("fit", "a.npz", "--out", "run", "--coupling", "1", "--mu", "100")
    assert answer.code == 0 and "squared loss" in answer.out
    np.savez("a.npz", **arrays(y=np.repeat([1.0, 1.0, 0.0], ROWS) * np.tile([1.0, 0.0], T * ROWS // 2)))
    assert run("fit", "a.npz", "--out", "run", *GIVEN).code == 2  # one class in one task of several
