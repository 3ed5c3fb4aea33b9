"""`amtl-cvx export`: what the folder holds is what is minimised, and it is data again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import GIVEN, Run, arrays, assert_error, labels, listing, point

from amtl_cvx.data import read


def test_the_arrays_give_the_objective_of_the_run(run: Run, fitted: Path) -> None:
    answer = run("export", "a.npz", "run", "--out", "deep/out")
    assert answer.code == 0 and answer.err == "" and "3 tasks, 5 features, 36 rows" in answer.out
    folder = Path("deep/out")
    assert listing(folder) == {
        "X.npy", "y.npy", "task.npy", "task_weights.npy", "names.json", "problem.json"
    }  # fmt: skip
    X, y, task, c = (np.load(folder / f"{name}.npy") for name in ("X", "y", "task", "task_weights"))
    about = json.loads((folder / "problem.json").read_text())
    assert (about["loss"], about["reduction"], about["transfer"]) == ("squared", "mean", "loss-weighted-l1")
    W, B = point()["W"], point()["B"]
    losses = np.array([np.mean((X[task == t] @ W[:, t] - y[task == t]) ** 2) for t in range(3)])
    J = np.sum((1 + about["mu"] * B.sum(axis=1)) * c * losses) + about["coupling"] * np.sum((W - W @ B) ** 2)
    stored = json.loads(Path("run/certificate.json").read_text())["objective"]
    assert pytest.approx(stored, rel=1e-12) == J
    np.savez("p.npz", W=W, B=B)
    assert run("certify", "deep/out", "p.npz").code == 0  # the folder is data, with its model
    dataset = read(folder)
    assert dataset.train.names == ("task 0", "task 1", "task 2") and dataset.settings["mu"] == 0.01


def test_labels_are_signs_and_names_come_back(run: Run) -> None:
    found = labels(task_names=["ash", "birch", "cedar"], feature_names=["u", "v", "w", "x"])
    np.savez("a.npz", **{**found, "y": (found["y"] + 1) / 2})  # 0/1
    options = ("--loss", "logistic", "--reduction", "sum", "--task-weights", "inverse-sqrt")
    assert run("export", "a.npz", "--out", "out", *GIVEN, *options).code == 0
    np.testing.assert_array_equal(np.load("out/y.npy"), found["y"])
    np.testing.assert_allclose(np.load("out/task_weights.npy"), np.full(3, 12**-0.5))
    dataset = read("out")
    assert dataset.train.names == ("ash", "birch", "cedar")
    assert dataset.train.feature_names == ("u", "v", "w", "x")
    assert json.loads(Path("out/problem.json").read_text())["labels"] == [0, 1]
    np.savez("p.npz", W=np.zeros((4, 3)), B=np.zeros((3, 3)))
    at_zero = json.loads(run("certify", "out", "p.npz", "--json").out)["objective"]
    assert at_zero == pytest.approx(36 * np.log(2) * 12**-0.5)  # the logistic loss at 0, summed, times c


def test_what_is_there_is_left_alone_and_nothing_half_is_written(run: Run, tmp_path: Path) -> None:
    np.savez("a.npz", **arrays())
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    before = listing(tmp_path)
    assert_error(run("export", "a.npz", "--out", "full", *GIVEN), "full", "not empty")
    assert_error(run("export", "a.npz", "--out", "a.npz", *GIVEN), "a.npz")
    assert_error(run("export", "a.npz", "--out", "out"), "coupling")  # a number is needed
    assert_error(run("export", "a.npz", "nowhere", "--out", "out"), "nowhere")
    assert listing(tmp_path) == before
    assert run("export", "a.npz", "--out", "out", *GIVEN).code == 0
    Path("out/problem.json").write_text('{"program": "amtl_cvx", "loss": 5}')
    assert_error(run("fit", "out", "--out", "run"), "problem.json")
