"""The command line through its real entry point: exit codes, one-line errors, and nothing left behind."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest
import scipy.io

from amtl_cvx.cli import main
from amtl_cvx.data import read
from amtl_cvx.errors import Exit, SolveError
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import folder as run_folder
from amtl_cvx.runfolder import model_from_dict
from amtl_cvx.solution import Record, Solution

FIT = import_module("amtl_cvx.commands.fit")  # the module; `commands.fit` is its function

T, D, ROWS = 3, 4, 12
SEVEN = {
    "solution.npz", "certificate.json", "history.csv", "graph.png", "graph.graphml", "report.html", "run.json"
}  # fmt: skip
GIVEN = ("--coupling", "1", "--mu", "0.01")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def pictures() -> None:
    """Asks `run` for real pictures and a real report, a second a run."""


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Run:
    """Runs one command inside an empty folder; picture and report are empty without `pictures`."""

    def sketch(folder: Path, solution: Solution, *what: Any) -> None:
        solution.graph.write_graphml(folder / "graph.graphml")
        for name in ("graph.png", "report.html"):
            (folder / name).touch()

    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(run_folder, "write_pictures", sketch)

    def call(*argv: object) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(word) for word in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Answer(code, *capsys.readouterr())

    return call


def arrays(**changes: Any) -> dict[str, Any]:
    """Three related tasks, stacked."""
    rng = np.random.default_rng(7)
    W = rng.normal(size=(D, 1)) + 0.2 * rng.normal(size=(D, T))
    task = np.repeat(np.arange(T), ROWS)
    X = rng.normal(size=(T * ROWS, D))
    y = np.einsum("ij,ji->i", X, W[:, task]) + 0.3 * rng.normal(size=T * ROWS)
    return {"X": X, "y": y, "task": task, **changes}


def with_entry(key: str, value: float) -> dict[str, Any]:
    found = arrays()
    found[key] = found[key].astype(float)
    found[key][5] = value
    return found


def labels(**changes: Any) -> dict[str, Any]:
    """Classes -1/+1, some of them wrong, so that no plane separates them."""
    found = arrays(**changes)
    wrong = np.where(np.arange(T * ROWS) % 4 == 0, -1.0, 1.0)
    return {**found, "y": wrong * np.where(found["y"] > np.median(found["y"]), 1.0, -1.0)}


def write_csv(path: Path, data: dict[str, Any], names: Sequence[str] = ("ash", "birch", "cedar")) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", *(f"x{j}" for j in range(D)), "price"])
        for x, y, t in zip(data["X"], data["y"], data["task"], strict=True):
            writer.writerow([names[t], *(repr(float(v)) for v in x), repr(float(y))])


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def assert_error(answer: Answer, *words: str) -> None:
    lines = answer.err.splitlines()
    assert answer.code == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), answer.err
    assert "Traceback" not in answer.err and answer.out == ""
    for word in words:
        assert word in lines[0]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    np.savez(folder / "a.npz", **arrays())
    options = (*GIVEN, "--standardize", "--intercept", "--quiet")
    assert main(["fit", str(folder / "a.npz"), "--out", str(folder / "run"), *options]) == 0
    return folder


@pytest.fixture
def fitted(run: Run, once: Path) -> Path:
    """A run folder `run` beside its data `a.npz`, both in the current folder."""
    shutil.copytree(once, ".", dirs_exist_ok=True)
    return Path("run")


# bad input

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


def test_truncated_npz(run: Run, tmp_path: Path) -> None:
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
def test_wrong_labels(run: Run, tmp_path: Path, y: np.ndarray, word: str) -> None:
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


@pytest.mark.parametrize(
    "argv", [[], ["fti"], ["fit"], ["fit", "a.npz"], ["plot", "run"], ["solvers", "now"]]
)
def test_bad_usage(run: Run, argv: list[str]) -> None:
    assert_error(run(*argv), "--help")


def test_newlines_in_arguments_stay_one_line(run: Run) -> None:
    assert_error(run("two\nlines"))
    assert_error(run("fit", "no\nfile.npz", "--out", "run"))
    assert_error(run("fit", "a.npz", "--out", ""), "path")


@pytest.mark.parametrize(
    "out", ["/proc/x/run", "/dev/null/run", "a.npz/run", "a.npz", "mine", ".", "gone", "x" * 300]
)
def test_unwritable_out(run: Run, tmp_path: Path, out: str) -> None:
    np.savez("a.npz", **arrays())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "gone").symlink_to("nowhere")
    before = listing(tmp_path)
    assert_error(run("fit", "a.npz", "--out", out, *GIVEN))
    assert listing(tmp_path) == before


def test_the_current_folder_is_not_replaced(
    run: Run, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fitted)
    assert_error(run("fit", "../a.npz", "--out", "../run", *GIVEN), "where you are")
    assert listing(tmp_path) == {"a.npz", "run", *(f"run/{name}" for name in SEVEN)}


def test_errors_of_a_process_are_one_line_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "nan.npz", **with_entry("X", np.nan))
    done = subprocess.run(
        [sys.executable, "-m", "amtl_cvx", "fit", "nan.npz", "--out", "deep/run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert_error(Answer(done.returncode, done.stdout, done.stderr), "nan.npz")
    assert listing(tmp_path) == {"nan.npz"}


# certify


def point(folder: Path = Path("run")) -> dict[str, np.ndarray]:
    with np.load(folder / "solution.npz") as file:
        return {key: file[key] for key in ("W", "B")}


def changed(W: np.ndarray, B: np.ndarray, kind: str) -> dict[str, Any]:
    W, B = W.copy(), B.copy()
    if kind == "nan in W":
        W[0, 0] = np.nan
    elif kind == "a column short":
        W = W[:, :-1]
    elif kind == "a row short":
        W = W[:-1]
    elif kind == "objects":
        return {"W": W.astype(object), "B": B}
    elif kind == "no B":
        return {"W": W}
    elif kind == "negative B":
        B[0, 1] = -1e-12
    elif kind == "diagonal":
        B[1, 1] = 1e-12
    elif kind == "moved W":
        W[0, 0] *= 1.0 + 1e-6
    elif kind == "moved B":
        B[B > 0] *= 1.0 + 1e-6
    elif kind == "transposed B":
        B = B.T
    return {"W": W, "B": B}


@pytest.mark.parametrize("kind", ["nan in W", "a column short", "a row short", "objects", "no B"])
def test_certify_refuses_what_is_no_point(run: Run, fitted: Path, kind: str) -> None:
    np.savez("point.npz", **changed(**point(), kind=kind))
    assert_error(run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept"))


@pytest.mark.parametrize("kind", ["negative B", "diagonal", "moved W", "moved B", "transposed B"])
def test_certify_rejects_a_point_that_is_none(run: Run, fitted: Path, kind: str) -> None:
    assert np.count_nonzero(point()["B"]) > 0
    np.savez("point.npz", **changed(**point(), kind=kind))
    answer = run("certify", "a.npz", "point.npz", *GIVEN, "--standardize", "--intercept")
    assert answer.code == 1 and "next: " in answer.out and answer.err == ""
    word = "not feasible" if kind in ("negative B", "diagonal") else "does not pass"
    assert word in answer.out


def test_certify_accepts_the_folder_the_file_and_a_bare_point(run: Run, fitted: Path) -> None:
    for solution in ("run", "run/solution.npz"):
        assert run("certify", "a.npz", solution).code == 0
    np.savez("bare.npz", **point())
    assert_error(run("certify", "a.npz", "bare.npz", "--standardize", "--intercept"), "coupling")
    assert_error(run("certify", "a.npz", "bare.npz", *GIVEN), "shape")  # without the intercept
    assert run("certify", "a.npz", "bare.npz", *GIVEN, "--standardize", "--intercept").code == 0
    assert run("certify", "a.npz", "run", "--mu", "0.02").code == 1  # another model
    answer = run("certify", "a.npz", "run", "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == json.loads(Path("run/certificate.json").read_text())
    assert_error(run("certify", "a.npz", "run", "--level", "C9"), "C2")
    assert_error(run("certify", "a.npz", "run", "--loss", "hinge"), "squared")
    assert_error(run("certify", "a.npz", "run/graph.png"), ".npz")
    assert_error(run("certify", "a.npz", "nowhere"), "nowhere")


def test_certify_keeps_one_flag_of_the_run_when_the_other_is_given(run: Run, fitted: Path) -> None:
    assert run("certify", "a.npz", "run", "--intercept").code == 0
    assert_error(run("certify", "a.npz", "run", "--no-intercept"), "shape")


def test_certify_says_when_the_data_are_others(run: Run, fitted: Path) -> None:
    np.savez("b.npz", **arrays(y=arrays()["y"] + 1.0))
    answer = run("certify", "b.npz", "run")
    assert answer.code == 1 and "not the data of the run" in answer.out
    assert "not the data" not in run("certify", "a.npz", "run").out


# fit


def assert_consistent(folder: Path, data: str, pictures: bool = True, **columns: str) -> None:
    """The seven files tell one story, and its figures are those of NumPy."""
    assert {path.name for path in folder.iterdir()} == SEVEN
    stored = {key: value for key, value in np.load(folder / "solution.npz").items()}
    W, B = stored["W"], stored["B"]
    certificate = json.loads((folder / "certificate.json").read_text())
    described = json.loads((folder / "run.json").read_text())
    dataset = read(data, **columns)
    assert described["data"]["fingerprint"] == dataset.train.fingerprint()
    assert described["data"]["rows"] == [len(task.y) for task in dataset.train]
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert float(stored["objective"]) == certificate["objective"]
    assert float(history[-1]["objective"]) == pytest.approx(certificate["objective"], rel=1e-12)
    assert described["status"] == ("certified" if certificate["passes"] else described["status"])
    assert B.min() >= 0 and not np.diag(B).any()
    graph = ET.parse(folder / "graph.graphml").getroot()
    drawn = {
        (int(e.get("source", "")), int(e.get("target", ""))) for e in graph.iter() if e.tag.endswith("}edge")
    }
    assert drawn == set(zip(*(index.tolist() for index in np.nonzero(B)), strict=True))
    assert certificate["edges"] == len(drawn)
    assert not pictures or (folder / "graph.png").read_bytes().startswith(b"\x89PNG")
    model, preparation = model_from_dict(described["model"]), described["preparation"]
    losses = []
    for task, w in zip(dataset.train, W.T, strict=True):
        X = task.X if preparation is None else (task.X - preparation["center"]) / preparation["scale"]
        X = np.column_stack([X, np.ones(len(X))]) if preparation and preparation["intercept"] else X
        losses.append(np.mean((X @ w - task.y) ** 2))
    np.testing.assert_allclose(stored["losses"], losses, rtol=1e-9)
    J = np.sum((1 + model.transfer.mu * B.sum(axis=1)) * losses)
    J += model.coupling * np.sum((W - W @ B) ** 2)
    assert float(stored["objective"]) == pytest.approx(J, rel=1e-9)


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
    assert "birch" in Path("run/report.html").read_text()
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
    monkeypatch.setattr("amtl_cvx.experiment.COUPLING_PATH", (1e-3, 1e-1, 10.0))
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

    monkeypatch.setattr(FIT, "read", end)
    answer = run("fit", "a.npz", "--out", "new/run", *GIVEN)
    assert answer.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert len(answer.err.splitlines()) == 1 and not listing(tmp_path)


def test_a_bug_shows_its_traceback_and_is_exit_70(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*args: Any, **settings: Any) -> None:
        raise KeyError("W")

    monkeypatch.setattr(FIT, "read", stumble)
    answer = run("fit", "a.npz", "--out", "new/run", *GIVEN)
    assert answer.code == Exit.BUG == 70 and answer.out == "" and not listing(tmp_path)
    *trace, last = answer.err.splitlines()
    assert trace[0].startswith("Traceback") and "in stumble" in answer.err and trace[-1] == "KeyError: 'W'"
    assert last == "error: a bug in amtl_cvx, please report it with the lines above"


def test_an_interrupt_before_the_command_is_exit_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amtl_cvx.cli.build_parser", lambda: signal.raise_signal(signal.SIGINT))
    assert run("solvers") == (130, "", "interrupted: nothing was written\n")


# predict, plot, solvers


def by_hand(X: np.ndarray) -> np.ndarray:
    """Scores of `fitted` for raw rows: standardised with the training mean and deviation, and a one."""
    train = arrays()["X"]
    prepared = (X - train.mean(axis=0)) / train.std(axis=0)
    return np.column_stack([prepared, np.ones(len(X))]) @ point()["W"]


def test_predict_on_raw_rows(run: Run, fitted: Path, rng: np.random.Generator) -> None:
    X, task = 3.0 * rng.normal(size=(6, D)) + 1.0, np.array([2, 0, 1, 1, 0, 2])
    np.savez("rows.npz", X=X)
    table = list(csv.DictReader(run("predict", "run", "rows.npz").out.splitlines()))
    found = [[float(row[f"task {t}"]) for t in range(T)] for row in table]
    np.testing.assert_allclose(found, by_hand(X), rtol=1e-12)
    np.savez("rows.npz", X=X, task=task)
    assert run("predict", "run", "rows.npz", "--out", "p.csv") == (0, "", "")
    with Path("p.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["task"] for row in table] == [f"task {t}" for t in task]
    np.testing.assert_allclose(
        [float(row["prediction"]) for row in table], by_hand(X)[np.arange(6), task], rtol=1e-12
    )
    umask = os.umask(0)
    os.umask(umask)
    assert Path("p.csv").stat().st_mode & 0o777 == 0o666 & ~umask


def test_predict_csv_by_task_name(run: Run) -> None:
    write_csv(Path("a.csv"), arrays())
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.csv", *columns, "--out", "run", *GIVEN, "--quiet").code == 0
    table = list(csv.DictReader(run("predict", "run", "a.csv", *columns).out.splitlines()))
    scores = np.einsum("ij,ji->i", arrays()["X"], point()["W"][:, arrays()["task"]])
    np.testing.assert_allclose([float(row["prediction"]) for row in table], scores, rtol=1e-12)
    assert_error(run("predict", "run", "a.csv", "--task", "kind"), "--target")
    assert_error(run("predict", "run", "a.csv", "--task", "sort", "--target", "price"), "sort")
    write_csv(Path("b.csv"), arrays(), names=("ash", "birch", "yew"))
    assert_error(run("predict", "run", "b.csv", *columns), "yew")
    Path("c.csv").write_text(Path("a.csv").read_text().replace("x1", "z1"))
    assert_error(run("predict", "run", "c.csv", *columns), "z1")


@pytest.mark.parametrize(
    "rows, word",
    [
        ({"X": np.ones((2, D + 1))}, "features"),
        ({"X": np.ones(D)}, "X"),
        ({"X": np.full((2, D), np.nan)}, "nan"),
        ({"X": np.ones((2, D)), "task": [0, T]}, "task"),
        ({"X": np.ones((2, D)), "task": [0, -1]}, "task"),
        ({"X": np.ones((2, D)), "task": [0]}, "task"),
        ({"Y": np.ones((2, D))}, "X"),
    ],
)
def test_predict_refuses_other_rows(run: Run, fitted: Path, rows: dict[str, Any], word: str) -> None:
    np.savez("rows.npz", **rows)
    assert_error(run("predict", "run", "rows.npz", "--out", "p.csv"), word)
    assert not Path("p.csv").exists()


def test_predict_refuses_other_places(run: Run, fitted: Path, tmp_path: Path) -> None:
    np.savez("bare.npz", **point())
    before = listing(tmp_path)
    assert_error(run("predict", "nowhere", "a.npz"), "nowhere")
    assert_error(run("predict", "bare.npz", "a.npz"), "run.json")
    for out in ("run", "no/such/p.csv", "a.npz/p.csv", "/proc/p.csv"):
        assert_error(run("predict", "run", "a.npz", "--out", out), "cannot write")
    assert listing(tmp_path) == before


def test_class_of_one_vs_rest_is_the_argmax(run: Run, rng: np.random.Generator) -> None:
    centers = 4.0 * np.eye(3, D)
    label = np.repeat([1, 2, 3], 15)
    X = centers[label - 1] + rng.normal(size=(45, D))
    scipy.io.savemat("c.mat", {"train_x": X, "train_y": label[:, None].astype(float)})
    assert run("fit", "c.mat", "--out", "run", "--coupling", "0.01", "--mu", "0.3", "--quiet").code == 0
    np.savez("rows.npz", X=X)
    table = list(csv.DictReader(run("predict", "run", "rows.npz").out.splitlines()))
    classes = json.loads(Path("run/run.json").read_text())["classes"]
    winner = np.argmax(X @ point()["W"], axis=1)
    assert [row["class"] for row in table] == [classes[t] for t in winner]
    assert np.mean(winner == label - 1) > 0.9


@pytest.mark.parametrize("kind", ["graph", "heatmap", "node-link", "convergence"])
def test_plot(run: Run, fitted: Path, kind: str) -> None:
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for suffix, magic in start.items():
        assert run("plot", "run", "--kind", kind, "--out", f"p.{suffix}") == (0, "", "")
        assert Path(f"p.{suffix}").read_bytes().startswith(magic)


def test_plot_truth(run: Run) -> None:
    settings = ("--coupling", "5", "--mu", "0.01", "--no-refine", "--max-rounds", "1")
    assert run("fit", "paper-synthetic", "--out", "run", *settings, "--quiet").code in (0, 1)
    assert run("plot", "run", "--kind", "truth", "--out", "p.PNG").code == 0
    assert Path("p.PNG").read_bytes().startswith(b"\x89PNG")


def test_plot_refuses(run: Run, fitted: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    assert_error(run("plot", "run", "--out", "p.gif"), ".png, .svg or .pdf")
    assert_error(run("plot", "run", "--out", "p"), ".png, .svg or .pdf")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "pie"), "heatmap")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "truth"), "no truth is known")
    assert_error(run("plot", "run", "--out", "p.png", "--threshold", "nan"), "threshold")
    assert_error(run("plot", "run", "--out", "no/such/p.png"), "cannot write")
    assert_error(run("plot", "nowhere", "--out", "p.png"), "nowhere")
    Path("run/history.csv").write_text("round,step\n1,W\n")
    assert_error(run("plot", "run", "--out", "p.png", "--kind", "convergence"), "history")
    assert listing(tmp_path) == before


def test_solvers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = json.loads(run("solvers", "--json").out)
    assert {"CLARABEL", "OSQP", "SCS"} <= {row["name"] for row in rows}
    assert all(row["usable"] or row["reason"] for row in rows)
    answer = run("solvers")
    assert answer.code == 0 and all(row["name"] in answer.out for row in rows)
    assert all(row["gpu"].startswith(("yes (", "no: ")) for row in rows)
    assert "GPU" in answer.out and "B-cone (default)" in answer.out and "…" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["CLARABEL", "OSQP", "SCS"])
def test_every_solver_certifies(run: Run, name: str) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "run", "--solver", name, *GIVEN, "--quiet").code == 0
    with Path("run/history.csv").open() as file:
        assert name in {row["solver"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("command", ["", "fit", "certify", "predict", "plot", "solvers"])
def test_help_names_every_option(run: Run, command: str) -> None:
    answer = run(*([command] if command else []), "--help")
    assert answer.code == 0 and answer.err == "" and answer.out.startswith("usage: amtl-cvx")


def test_a_closed_pipe_is_no_failure(fitted: Path, run: Run) -> None:
    line = f"set -o pipefail; {sys.executable} -m amtl_cvx certify a.npz run --json | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# interrupts


def interrupted(folder: Path, argv: Sequence[str], ready: Callable[[str], bool]) -> Answer:
    """Start a process, send it SIGINT once its progress says `ready`, and wait for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "amtl_cvx", *argv],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while not ready(said):
        line = process.stderr.readline()
        assert line, f"ended early: {said} {process.communicate()}"
        said += line
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, out, said + err)


def large(path: Path, T: int = 20, d: int = 10) -> None:
    """Something slow: many related tasks."""
    tasks = cases.random_tasks(np.random.default_rng(1), d=d, counts=[30] * T)
    np.savez(
        path,
        X=np.concatenate([task.X for task in tasks]),
        y=np.concatenate([task.y for task in tasks]),
        task=np.repeat(np.arange(T), 30),
    )


def assert_interrupted(answer: Answer, folder: Path, words: str) -> None:
    assert answer.code == 130, answer
    assert "Traceback" not in answer.err and "error" not in answer.err
    assert answer.err.splitlines()[-1] == f"interrupted: {words} is in deep/run"
    assert listing(folder) == {"a.npz", "deep", "deep/run", *(f"deep/run/{name}" for name in SEVEN)}
    assert json.loads((folder / "deep" / "run" / "run.json").read_text())["status"] == "interrupted"


def assert_single_task(folder: Path) -> None:
    described = json.loads((folder / "deep" / "run" / "run.json").read_text())
    found, tasks = point(folder / "deep" / "run"), read(folder / "a.npz").train
    np.testing.assert_allclose(
        found["W"], cases.ridge(tasks, model_from_dict(described["model"])), rtol=1e-6, atol=1e-8
    )
    assert not found["B"].any()


SLOW = ("--coupling", "10", "--mu", "1e-3", "--no-refine", "--max-rounds", "1000000", "--tol", "1e-15")


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
