"""`--method NAME` of the papers' tables on the command line: what it is, contradicts and leaves to auto."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, arrays, assert_error, listing
from test_cli_start import interrupted_after

from amtl_cvx.data import read
from amtl_cvx.experiment import COUPLING_PATH, hold_out
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.losses import Squared
from amtl_cvx.runfolder import read_run
from amtl_cvx.tasks import TaskSet

VALUES = {
    "coupling": "0.5", "mu": "0.05", "rho": "0.1", "power": "2", "features": "2", "decay": "0.05",
    "gamma": "0.05", "layers": "3,2", "radius": "2", "reading": "fixed",
}  # fmt: skip


def given(name: str) -> list[str]:
    return [word for each in NAMED[name].parameters for word in (f"--{each.name}", VALUES[each.name])]


def described(folder: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "run.json").read_text())
    return found


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", NAMED)
def test_every_name_is_fitted_judged_and_applied(run: Run, name: str) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--method", name, *given(name), "--test", "0.25", "--out", "run")
    assert answer.code == 0, answer
    told = described()
    assert told["arguments"]["named"] == name and told["method"] == NAMED[name].method
    assert next(iter(told["scores"])) == name and f"test, {name}: rmse" in answer.out
    assert run("certify", "a.npz", "run", "--quiet").code == 0
    assert run("certify", "a.npz", "run", "--quiet", "--method", name).code == 0
    assert len(run("predict", "run", "a.npz").out.splitlines()) == 1 + 36


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mtfl", ("stl", "--coupling", "0", "--omega", "trace-squared:rho=0.1")),
        ("amtl-noloss", ("alternating", "--coupling", "0.5", "--mu", "0.05", "--transfer", "l1")),
        (
            "amtl-imbalanced",
            (
                *("alternating", "--coupling", "0.5", "--mu", "0.05", "--transfer", "size-priced-l1:power=2"),
                *("--reduction", "sum", "--task-weights", "inverse-sqrt"),
            ),
        ),
    ],
)
def test_a_name_is_what_it_stands_for(run: Run, name: str, words: tuple[str, ...]) -> None:
    np.savez("a.npz", **arrays())
    by_name = run("fit", "a.npz", "--method", name, *given(name), "--out", "run")
    written = run("fit", "a.npz", "--method", *words, "--out", "long")
    assert by_name.code == written.code == 0
    assert described()["model"] == described("long")["model"]
    assert "named" not in described("long")["arguments"]
    np.testing.assert_array_equal(read_run("run").W, read_run("long").W)
    first, *rest = by_name.out.splitlines()
    assert first.startswith(f"{NAMED[name].title}: ") and rest[0] == written.out.splitlines()[0]


WRONG = [
    ("mtfl --coupling 1", ("--method mtfl stands for --coupling 0, not for 1", "--method stl")),
    ("mtfl --mu 0.1", ("stands for --mu 0, not for 0.1",)),
    ("mtfl --omega mean", ("stands for --omega trace-squared, not for mean",)),
    ("mtfl --rho 1 --omega trace-squared:2", ("--omega trace-squared:2 and --rho 1 both say rho",)),
    ("mtfl --transfer l1", ("stands for --transfer loss-weighted-l1, not for l1",)),
    ("mtfl --rho x", ("--rho must be a number or auto, got 'x'",)),
    ("mtfl --rho -1", ("rho must be a finite number",)),
    ("mtfl --features 2", ("--features is of AMTFL", "not of --method mtfl")),
    ("amtl --rho 1", ("--method amtl has no --rho, which is of mean, mtfl, amtl-mean",)),
    ("amtl --omega ridge:1", ("--method amtl stands for --omega none, not for ridge:1",)),
    ("amtl --power 2", ("--method amtl has no --power, which is of amtl-imbalanced",)),
    ("amtl-imbalanced --reduction mean", ("stands for --reduction sum, not for mean",)),
    ("amtl-imbalanced --power x", ("--power must be a number",)),
    ("go-mtl --rho 1", ("--rho is of AMTL", "not of --method go-mtl")),
    ("go-mtl --features 2", ("--method go-mtl needs --mu, --decay",)),
    ("alternating --rho 1", ("--rho is of a penalty on the predictors, there is none: give --omega",)),
    ("mtf", ("unknown method 'mtf': choose one of", "mtfl", "amtl-imbalanced", "alternating", "deep-amtfl")),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_what_contradicts_a_name_is_told_in_a_line(
    run: Run, tmp_path: Path, line: str, words: tuple[str, ...]
) -> None:
    np.savez("a.npz", **arrays())
    before = listing(tmp_path)
    assert_error(run("fit", "a.npz", "--out", "new", "--method", *line.split()), *words)
    assert listing(tmp_path) == before


def test_what_only_a_fit_chooses_is_asked_for_elsewhere(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("export", "a.npz", "--method", "mean", "--out", "x"), "--method mean needs --rho")
    assert run("export", "a.npz", "--method", "mean", "--rho", "0.3", "--out", "x").code == 0
    assert json.loads(Path("x/problem.json").read_text())["omega_parameters"] == {"rho": 0.3}
    assert_error(run("explore", "a.npz", "--method", "mtfl", "--out", "y"), "MTFL is convex")
    assert_error(run("explore", "a.npz", "--method", "amtl-curriculum", "--out", "y"), "'amtl-curriculum'")


def ridges(tasks: TaskSet, value: float, *, mean: bool = False) -> np.ndarray:
    """The linear system of ridges, or of the distance from the mean."""
    T, d = tasks.T, tasks.d
    H = value * np.kron(np.eye(T) - (1.0 / T if mean else 0.0), np.eye(d))
    for t, task in enumerate(tasks):
        H[t * d : (t + 1) * d, t * d : (t + 1) * d] += task.X.T @ task.X / len(task.y)
    g = np.concatenate([task.X.T @ task.y / len(task.y) for task in tasks])
    return np.linalg.solve(H, g).reshape(T, d).T


def chain(tasks: TaskSet, value: float) -> np.ndarray:
    """From the task of least loss by itself each next one near the one before it, by rising losses."""
    W = ridges(tasks, value)
    losses = [np.mean((task.y - task.X @ w) ** 2) for task, w in zip(tasks, W.T, strict=True)]
    order = np.argsort(losses)
    for before, t in itertools.pairwise(order):
        X, y = tasks[t].X, tasks[t].y
        H = X.T @ X / len(y) + value * np.eye(tasks.d)
        W[:, t] = np.linalg.solve(H, X.T @ y / len(y) + value * W[:, before])
    return W


@pytest.mark.parametrize(
    ("line", "weight", "fitted"),
    [
        ("mean", "rho", functools.partial(ridges, mean=True)),
        ("stl", "coupling", ridges),
        ("curriculum-simple --reading fixed", "coupling", chain),
    ],
)
def test_auto_takes_the_best_of_a_path_on_rows_kept_apart(
    run: Run, line: str, weight: str, fitted: Callable[[TaskSet, float], np.ndarray]
) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--method", *line.split(), "--seed", "2", "--out", "run")
    tasks = read("a.npz").train
    train, held, _ = hold_out(tasks, Squared(), np.random.default_rng(2))
    assert held is not None
    unit = np.mean([np.trace(task.X.T @ task.X) / len(task.y) for task in train]) / tasks.d  # L'' / 2 at 0
    tried = described()["chosen"]["paths"][weight]
    values = [trial["value"] for trial in tried]
    np.testing.assert_allclose(
        np.array(values) / unit, 10.0 ** np.round(np.log10(np.array(values) / unit)), rtol=1e-12
    )
    assert {round(np.log10(factor)) for factor in COUPLING_PATH} <= {
        round(np.log10(value / unit)) for value in values
    }
    losses = [
        np.mean([np.mean((task.y - task.X @ w) ** 2) for task, w in zip(held, W.T, strict=True)])
        for W in (fitted(train, value) for value in values)
    ]
    np.testing.assert_allclose([trial["held_out_loss"] for trial in tried], losses, rtol=1e-6)
    best = values[int(np.argmin(losses))]
    assert described()["chosen"][weight] == best and f"chose {weight} {best:.4g}" in answer.out
    model = described()["model"]
    assert (model["coupling"] if weight == "coupling" else model["omega_parameters"]["rho"]) == best


def test_a_run_that_goes_on_keeps_its_name_and_what_was_chosen(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("a.npz", **arrays())
    interrupted_after(run, monkeypatch, 2, "--method", "amtl-mean", "--coupling", "0.5", "--mu", "0.05")
    chosen = described("cut")["chosen"]
    answer = run("fit", "a.npz", "--start", "cut", "--out", "on")
    assert answer.code == 0 and "start: goes on from cut, after 2 steps" in answer.out
    on = described("on")
    assert on["arguments"]["named"] == "amtl-mean" and on["chosen"] == chosen
    assert on["model"]["omega_parameters"] == {"rho": chosen["rho"]}
    other = run("fit", "a.npz", "--start", "on", "--method", "amtl", "--out", "other")
    assert other.code == 0 and "omega" not in described("other")["model"]
    free = run("fit", "a.npz", "--start", "on", "--omega", "ridge:0.1", "--out", "free")
    assert free.code == 0 and "named" not in described("free")["arguments"]


def test_a_run_without_edges_is_no_start_unless_a_coupling_lets_them_be(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--method", "mean", "--rho", "0.1", "--out", "alone").code == 0
    again = ("fit", "a.npz", "--start", "alone")
    assert_error(run(*again, "--out", "new"), "--start alone is no start for --method stl")
    assert run(*again, "--coupling", "1", "--mu", "0.05", "--out", "new", "--quiet").code == 0
    told = described("new")
    assert told["method"] == "alternating" and told["model"]["omega_parameters"] == {"rho": 0.1}
    assert "named" not in told["arguments"]


def test_the_help_of_fit_says_what_every_name_is(run: Run) -> None:
    said = " ".join(run("fit", "--help").out.split())
    for name, method in NAMED.items():
        assert f"{name} {' '.join(f'--{each.name}' for each in method.parameters)} {method.words}" in said
