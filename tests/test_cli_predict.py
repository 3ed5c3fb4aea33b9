"""`amtl-cvx predict`: the scores that NumPy finds, and refusal of rows that are not the run's."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
from command_line import GIVEN, D, Run, T, arrays, assert_error, listing, point, write_csv

from amtl_cvx.runfolder import content


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


def test_tasks_of_rows_are_found_by_the_names_in_their_file(run: Run) -> None:
    data, names = arrays(), ["ash", "birch", "cedar"]
    np.savez("a.npz", **data, task_names=names)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, "--quiet").code == 0
    answer, other = run("predict", "run", "a.npz"), T - 1 - data["task"]
    np.savez("b.npz", X=data["X"], task=other, task_names=names[::-1])
    Path("b").mkdir()
    np.save("b/X.npy", data["X"])
    np.save("b/task.npy", other)
    Path("b/names.json").write_text(json.dumps({"task_names": names[::-1]}))
    assert answer.code == 0 and answer == run("predict", "run", "b.npz") == run("predict", "run", "b")
    np.savez("b.npz", X=data["X"], task=other, task_names=["ash", "birch", "yew"])
    assert_error(run("predict", "run", "b.npz"), "yew")
    np.savez("b.npz", X=data["X"], task=other, task_names=names[:2])
    assert_error(run("predict", "run", "b.npz"), "2 task_names")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_of_rows_are_matched_by_name(run: Run, kind: str) -> None:
    """Another order is the same table; what is missing, what is more and its option are named."""
    write_csv(Path("a.csv"), arrays(), names=("Größe", "birch", "cedar"))
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.csv", *columns, "--out", "run", *GIVEN, "--standardize", "--quiet").code == 0
    expected = run("predict", "run", "a.csv", *columns).out
    frame = pd.read_csv("a.csv")

    def rows(frame: pd.DataFrame) -> str:
        if kind == "csv":
            frame.to_csv("rows.csv", index=False)
        else:
            pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
            frame.to_parquet("rows.parquet")
        return f"rows.{kind}"

    order = ["x3", "price", "x0", "kind", "x2", "x1"]
    nfd = frame.assign(kind=frame["kind"].str.normalize("NFD"))
    assert run("predict", "run", rows(nfd[order]), *columns) == (0, expected, "")
    for given, table, words in (
        (columns, frame.drop(columns="x1"), ["(missing: 'x1'): give"]),
        (columns, frame.assign(z=1), ["(not of the fit: 'z'): delete"]),
        (columns, frame.rename(columns={"x1": "z"}), ["missing: 'x1'; not of the fit: 'z'"]),
        (columns[:2], frame, ["(not of the fit: 'price'): say --target price"]),
        (columns[2:], frame, ["(not of the fit: 'kind'): say --task kind"]),
        ((), frame, ["say --task kind --target price"]),
    ):
        assert_error(run("predict", "run", rows(table), *given), *words)


def test_rows_are_written_as_the_data_of_the_run_were(run: Run) -> None:
    data = arrays()
    data["X"] = np.round(1000 * np.abs(data["X"])) + 1000
    write_csv(Path("a.csv"), data)
    columns = ("--task", "kind", "--target", "price")
    text = Path("a.csv").read_text().replace(",", ";").replace(".0;", ";")
    Path("b.csv").write_text(re.sub(r"(?<=;)(\d)(\d{3})(?=;)", r"\1.\2", text.replace(".", ",")))
    for file, dialect in (("a.csv", ()), ("b.csv", ("--decimal", ","))):
        options = (*columns, *dialect, *GIVEN, "--standardize", "--quiet")
        assert run("fit", file, "--out", file[0], *options).code == 0
    found = run("predict", "b", "b.csv", *columns)
    assert found.err == "warning: b.csv: read with --decimal , as the run was\n"
    assert found.out == run("predict", "a", "a.csv", *columns).out
    assert run("predict", "b", "a.csv", *columns, "--decimal", ".").out == found.out


def test_the_encoding_of_the_run_is_said_where_names_look_wrong(run: Run) -> None:
    write_csv(Path("a.csv"), arrays(), names=("ash", "birch", "cedar"))
    columns = ("--task", "kind", "--target", "price")
    text = Path("a.csv").read_text().replace("birch", "bouleau été")
    umlaut = text.replace("x1", "größe")
    words = "(read with --encoding latin-1 as the run was: say another if names look wrong)"
    for name, table, error in (("a", text, "no task is called"), ("b", umlaut, "the columns must be those")):
        Path(f"{name}.csv").write_text(table, encoding="latin-1")
        said = (*columns, "--encoding", "latin-1", *GIVEN, "--quiet")
        assert run("fit", f"{name}.csv", "--out", name, *said).code == 0
        expected = run("predict", name, f"{name}.csv", *columns).out
        Path("new.csv").write_text(table, encoding="utf-8")
        assert_error(run("predict", name, "new.csv", *columns), error, words)
        assert run("predict", name, "new.csv", *columns, "--encoding", "utf-8") == (0, expected, "")
        Path("new.csv").write_text(table, encoding="utf-8-sig")
        assert run("predict", name, "new.csv", *columns) == (0, expected, "")
    Path("new.csv").write_text(text.replace("x1", "z"), encoding="latin-1")
    assert words not in run("predict", "a", "new.csv", *columns).err


def test_a_label_of_a_csv_is_a_name_and_never_a_number(run: Run) -> None:
    write_csv(Path("a.csv"), arrays(), names=("1", "2", "3"))
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.csv", *columns, "--out", "run", *GIVEN, "--quiet").code == 0
    table = csv.DictReader(run("predict", "run", "a.csv", *columns).out.splitlines())
    assert [row["task"] for row in table] == [("1", "2", "3")[t] for t in arrays()["task"]]
    write_csv(Path("b.csv"), arrays(), names=("1", "2", "0"))
    assert_error(run("predict", "run", "b.csv", *columns), "no task is called '0'", "1, 2, 3")


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


def test_predictions_of_a_run_that_is_not_certified_come_with_a_warning(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "early", *GIVEN, "--max-rounds", "1", "--no-refine").code == 1
    answer = run("predict", "early", "a.npz")
    assert answer.code == 0 and answer.out.startswith("row,task,prediction,score\n")
    words = "warning: early is not certified (status round limit, level C0): nor are its predictions\n"
    assert answer.err == words


def test_a_run_that_was_stopped_on_purpose_is_said_to_be_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "draw", lambda *what: None)
    np.savez("a.npz", **arrays())
    grid = ("--grid", "coupling=1", "--grid", "mu=.1", "--grid", "rounds=1,2", "--widen", "0", "--folds", "2")
    assert run("tune", "a.npz", *grid, "--out", "early", "--quiet").code == 0
    rounds = json.loads(Path("early/certificate.json").read_text())["kind"]
    answer = run("predict", "early", "a.npz")
    said = f"{rounds}, for what it predicts there; a point that is not certified, and need not be"
    assert answer.code == 0 and answer.err == f"warning: early was {said}\n"
