"""Labels of two classes: in the users' words from the data to the predictions; what is no pair of labels."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import D, Run, T, assert_error, labels, write_csv

from amtl_cvx.arrays import in_labels
from amtl_cvx.data import ChunkedRows, Dataset, read
from amtl_cvx.data.stream import gather, has_labels
from amtl_cvx.errors import DataError
from amtl_cvx.experiment import choose, suggest_loss
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.methods import fit
from amtl_cvx.problem import Model
from amtl_cvx.runfolder import read_run
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

SIGNS: np.ndarray = labels()["y"]
X, TASK = labels()["X"], labels()["task"]
MODEL = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.1), coupling=0.5)
WRITTEN: dict[str, tuple[np.ndarray, tuple[Any, Any]]] = {
    "-1/+1": (SIGNS, (-1, 1)),
    "0/1": ((SIGNS > 0).astype(int), (0, 1)),
    "bool": (SIGNS > 0, (False, True)),
    "text": (np.where(SIGNS > 0, "yes", "no"), ("no", "yes")),
    "objects": (np.where(SIGNS > 0, "b", "a").astype(object), ("a", "b")),
}
RNG = np.random.default_rng(0)
COLUMNS = ("--task", "kind", "--target", "price")


@pytest.mark.parametrize("kind", WRITTEN)
def test_predictions_are_in_the_labels_of_the_data(kind: str) -> None:
    y, pair = WRITTEN[kind]
    tasks = TaskSet.from_stacked(X, y, TASK)
    solution = fit(tasks, MODEL, method="stl")
    assert tasks.labels == solution.labels == pair and suggest_loss(tasks) == "logistic"
    for t in range(T):
        found = solution.predict(t, X)
        assert set(found.tolist()) <= set(y.tolist()) and found.dtype.kind == np.asarray(
            pair
        ).dtype.kind.replace("i", "f")
        np.testing.assert_array_equal(found == pair[1], X @ solution.W[:, t] > 0)


def test_the_way_labels_are_written_changes_no_number() -> None:
    fits = [
        fit(TaskSet.from_stacked(X, y, TASK), MODEL, method="stl")
        for y, _ in (WRITTEN["0/1"], WRITTEN["text"])
    ]
    np.testing.assert_array_equal(fits[0].W, fits[1].W)


def test_a_regression_answers_in_numbers() -> None:
    tasks = TaskSet.from_stacked(X, WRITTEN["0/1"][0], TASK)
    solution = fit(tasks, Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=0.5), method="stl")
    assert solution.labels is None
    np.testing.assert_allclose(solution.predict(0, X), X @ solution.W[:, 0], rtol=1e-12)
    with pytest.raises(DataError, match="logistic"):
        Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=0.5).check(
            TaskSet.from_stacked(X, WRITTEN["text"][0], TASK)
        )


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a", "b", "c"] * 12, "3 different values.*one_vs_rest"),
        (["a"] * 36, "'a' only"),
        (["a", ""] * 18, "missing"),
        (np.array(["a", None] * 18, dtype=object), "missing"),
        (["1.5", "2.5", "3.5"] * 12, "must hold real numbers: convert it"),
        (["-1", "+1"] * 18, "must hold real numbers: convert it"),
        (["yes", "nan"] * 18, "missing"),
        (["yes", "Yes"] * 18, "only in case or spaces"),
        (["yes", " yes"] * 18, "only in case or spaces"),
    ],
)
def test_text_of_another_number_of_values_is_refused(y: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        TaskSet.from_stacked(X, y, TASK)


def test_a_task_of_one_class_is_named_in_the_words_of_the_data() -> None:
    y = np.where((TASK == 0) | (SIGNS < 0), "no", "yes")
    with pytest.raises(DataError, match=r"both classes.*'task 0'.*-1 is 'no', \+1 is 'yes'"):
        fit(TaskSet.from_stacked(X, y, TASK), MODEL)


def test_parts_of_a_data_set_have_the_same_labels() -> None:
    train, other = (TaskSet.from_stacked(X, np.where(SIGNS > 0, b, a), TASK) for a, b in ("ny", "ab"))
    with pytest.raises(DataError, match="labels of the training part"):
        Dataset(name="a", train=train, test=other)
    with pytest.raises(DataError, match="text"):
        TaskSet.from_arrays([X, X], [SIGNS, np.where(SIGNS > 0, "y", "n")])


def words(rows: Path, answers: tuple[str, str]) -> None:
    """A table whose target is one of two words."""
    write_csv(rows, labels())
    frame = pd.read_csv(rows)
    frame.assign(price=np.where(frame["price"] > 0, answers[1], answers[0])).to_csv(rows, index=False)


def test_the_words_of_a_table_come_back(run: Run) -> None:
    words(Path("a.csv"), ("no", "yes"))
    answer = run("fit", "a.csv", *COLUMNS, "--out", "run", "--coupling", "0.5", "--mu", "0.1")
    assert answer.code == 0 and 'labels: "no" is -1, "yes" is +1' in answer.out.splitlines()
    assert json.loads(Path("run/run.json").read_text())["labels"] == ["no", "yes"]
    table = list(csv.DictReader(run("predict", "run", "a.csv", *COLUMNS).out.splitlines()))
    assert [row["prediction"] for row in table] == [
        "yes" if float(row["score"]) > 0 else "no" for row in table
    ]
    assert {row["prediction"] for row in table} == {"no", "yes"}
    described = json.loads(Path("run/run.json").read_text())
    for stored, found in ((None, {"-1", "1"}), ([0, 1], {"0", "1"}), ([False, True], {"False", "True"})):
        Path("run/run.json").write_text(json.dumps({**described, "labels": stored}))
        table = list(csv.DictReader(run("predict", "run", "a.csv", *COLUMNS).out.splitlines()))
        assert {row["prediction"] for row in table} == found
    Path("run/run.json").write_text(json.dumps({**described, "labels": ["no"]}))
    with pytest.raises(DataError, match="labels"):
        read_run("run")


def test_a_csv_and_a_parquet_have_the_same_labels(run: Run) -> None:
    pytest.importorskip("pyarrow")
    words(Path("a.csv"), ("in", "out"))
    frame = pd.read_csv("a.csv")
    frame.to_parquet("a.parquet")
    frame.assign(price=frame["price"] == "out").to_parquet("b.parquet")
    columns = {"task": "kind", "target": "price"}
    first, second, third = (read(name, **columns).train for name in ("a.csv", "a.parquet", "b.parquet"))
    assert first.labels == second.labels == ("in", "out") and third.labels == (False, True)
    assert first.fingerprint() == second.fingerprint() and suggest_loss(third) == "logistic"
    assert_error(run("fit", "a.parquet", *COLUMNS, "--out", "run", "--loss", "squared"), "logistic")
    frame.assign(price=["a", "b", "c"] * 12).to_parquet("c.parquet")
    assert_error(run("fit", "c.parquet", *COLUMNS, "--out", "run"), "'price'", "one_vs_rest")


@pytest.mark.parametrize("kind", ["bool", "text"])
def test_a_folder_and_an_npz_have_the_same_labels(kind: str, tmp_path: Path) -> None:
    y, pair = WRITTEN[kind]
    np.savez(tmp_path / "a.npz", X=X, y=y, task=TASK)
    (tmp_path / "a").mkdir()
    for name, array in (("X", X), ("y", y), ("task", TASK)):
        np.save(tmp_path / "a" / f"{name}.npy", array)
    first, second = read(tmp_path / "a.npz").train, read(tmp_path / "a").train
    assert first.labels == second.labels == pair and first.fingerprint() == second.fingerprint()
    np.save(tmp_path / "a" / "y.npy", np.resize(list("abc"), len(y)))
    with pytest.raises(DataError, match="one-vs-rest"):
        read(tmp_path / "a")


def test_three_classes_in_one_column(run: Run) -> None:
    write_csv(Path("a.csv"), labels())
    frame = pd.read_csv("a.csv")
    frame.assign(price=["a", "b", "c"] * 12).to_csv("text.csv", index=False)
    assert_error(run("fit", "text.csv", *COLUMNS, "--out", "run"), "'price'", "one-vs-rest")
    frame.assign(price=[1, 2, 3] * 12).to_csv("numbers.csv", index=False)
    given = ("--out", "run", "--coupling", "0.5", "--mu", "0.1")
    answer = run("fit", "numbers.csv", *COLUMNS, *given)
    assert "squared loss" in answer.out and "3 different whole numbers" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert run("fit", "numbers.csv", *COLUMNS, *given, "--loss", "squared").err == ""


@pytest.mark.parametrize(("values", "line"), [((1.0, 2.0, 3.0), True), ((0.5, 1.0, 2.0), False)])
def test_streams_say_the_same(
    values: tuple[float, ...], line: bool, caplog: pytest.LogCaptureFixture
) -> None:
    y = np.resize(values, len(TASK))
    rows = ChunkedRows(make=lambda: [(X, y, TASK)])
    assert not has_labels(rows) and suggest_loss(gather(rows)) == "squared"
    assert [("whole numbers" in record.message) for record in caplog.records] == [True] * 2 * line


def test_decisions_in_labels() -> None:
    decided = np.array([-1.0, 1.0, 1.0])
    assert in_labels((0, 1), decided).tolist() == [0.0, 1.0, 1.0]
    assert in_labels(("n", "y"), decided).tolist() == ["n", "y", "y"]
    assert in_labels((False, True), decided).tolist() == [False, True, True]
    assert X.shape[1] == D


@pytest.mark.parametrize(
    ("trained", "scored", "said"),
    [
        (WRITTEN["0/1"][0], SIGNS + 3, "got 2, 4"),
        (WRITTEN["0/1"][0], np.where(SIGNS > 0, 1, 2), "got 1, 2"),
        (WRITTEN["text"][0], np.where(SIGNS > 0, "Yes", "No"), "labels of the fit"),
        (WRITTEN["text"][0], SIGNS, "labels of the fit"),
        (SIGNS, WRITTEN["text"][0], "labels of the fit"),
        (SIGNS, WRITTEN["0/1"][0], None),
        (WRITTEN["0/1"][0], SIGNS > 0, None),
        (WRITTEN["0/1"][0], np.ones(len(SIGNS)), None),
    ],
)
def test_rows_are_scored_in_the_labels_of_the_fit(trained: Any, scored: Any, said: str | None) -> None:
    train, held = (TaskSet.from_stacked(X, y, TASK) for y in (trained, scored))
    solution = fit(train, MODEL, method="stl")
    right = np.sign(X @ solution.W)[np.arange(len(X)), TASK] == (1 if held.labels is None else SIGNS)
    if said is None:
        assert solution.score(held)["accuracy"] == pytest.approx(
            np.mean([right[t == TASK].mean() for t in range(T)])
        )
        return
    with pytest.raises(DataError, match=said):
        solution.score(held)
    with pytest.raises(DataError, match=said):
        choose(train, MODEL, coupling=True, mu=False, rng=RNG, split=lambda *_: (train, held, (0, 1, 2)))


def test_a_score_is_refused_where_it_would_mean_nothing() -> None:
    text, signs = (TaskSet.from_stacked(X, WRITTEN[kind][0], TASK) for kind in ("text", "-1/+1"))
    regression = fit(signs, replace(MODEL, loss=Squared()), method="stl")
    with pytest.raises(DataError, match="expected numbers, as in the fit"):
        regression.score(text)
    with pytest.raises(DataError, match="expected a TaskSet, got"):
        regression.score(X)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="classes of the same rows"):
        fit(text, MODEL, method="stl").score(text, classes=True)
