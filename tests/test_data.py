"""Readers and problems: every layout gives back the arrays that were written, every bad file one line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from data_files import Arrays, equal, refused, three_tasks

from amtl_cvx.data import (
    Dataset,
    problem_names,
    problems,
    problems_folder,
    read,
    read_features,
)
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Logistic
from amtl_cvx.tasks import TaskSet


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    return three_tasks(rng)


# files and names


def test_neither_a_problem_nor_a_file(tmp_path: Path) -> None:
    refused("no-such-thing", r"\.npz, \.csv, \.mat or \.parquet.*digits, paper-synthetic.*'no-such-thing'")
    refused("x" * 5000, "no file or problem")
    refused("\0", "no file or problem")
    refused(tmp_path, "is not a file")
    (tmp_path / "a.txt").write_text("1")
    refused(tmp_path / "a.txt", "ends in '.txt'")
    (tmp_path / "a").write_text("1")
    refused(tmp_path / "a", "ends in ''")
    for suffix in ("npz", "csv", "mat"):
        (tmp_path / f"a.{suffix}").touch()
        refused(tmp_path / f"a.{suffix}", "empty")


def test_a_problem_wins_over_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("not a data set")
    assert read("digits").train.T == 10
    refused("./digits", "ends in ''")


def test_columns_belong_to_csv_files(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", r"columns of a \.csv", task="task")
    refused("digits", r"columns of a \.csv", target="y")


@pytest.mark.parametrize("suffix", ["npz", "csv", "mat"])
def test_a_file_of_another_kind(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    for body in (b"\0" * 600, rng.bytes(700), b"hello\n", b"PK\x03\x04" + rng.bytes(50)):
        (tmp_path / f"a.{suffix}").write_bytes(body)
        refused(
            tmp_path / f"a.{suffix}",
            f"^a.{suffix}: ",
            **({"task": "t", "target": "y"} if suffix == "csv" else {}),
        )


def test_a_damaged_file_is_refused_or_read_but_nothing_else(tmp_path: Path, arrays: Arrays) -> None:
    """Truncations and single wrong bytes; MATLAB files have no checksum, so some damage must go unseen."""
    generator = np.random.default_rng(5)
    np.savez(tmp_path / "a.npz", **arrays)
    starts = {"trindex": [[1], [5], [8]], "train_x": arrays["X"], "train_y": arrays["y"][:, None]}
    scipy.io.savemat(tmp_path / "a.mat", starts, do_compression=True)
    scipy.io.savemat(tmp_path / "b.mat", starts)
    for name in ("a.npz", "a.mat", "b.mat"):
        whole = (tmp_path / name).read_bytes()
        broken = tmp_path / f"broken-{name}"
        for place in generator.integers(0, len(whole), 60):
            for body in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
                broken.write_bytes(body)
                try:
                    read(broken)
                except DataError as error:
                    assert "\n" not in str(error)


# .csv


@pytest.fixture
def frame(arrays: Arrays) -> pd.DataFrame:
    names = np.array(["u", "v", "w"])[arrays["task"]]
    columns = {"p": arrays["X"][:, 0], "score": arrays["y"], "q": arrays["X"][:, 1], "school": names}
    return pd.DataFrame(columns)


def test_csv(tmp_path: Path, frame: pd.DataFrame, arrays: Arrays, caplog: pytest.LogCaptureFixture) -> None:
    for name, index in (("plain.csv", False), ("indexed.csv", True)):
        frame.to_csv(tmp_path / name, index=index)
        dataset = read(tmp_path / name, task="school", target="score")
        assert dataset.train.names == ("u", "v", "w") and dataset.train.feature_names == ("p", "q")
        equal(dataset.train, **arrays)
    assert caplog.messages == [
        "indexed.csv: the first column has no name and counts the rows: left out, a saved index"
    ]


def test_csv_without_columns_says_which_there_are(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "--task COLUMN and --target COLUMN; its columns are p, score, q, school")
    refused(tmp_path / "a.csv", "--target", task="school")
    refused(tmp_path / "a.csv", "no column 'x'", task="x", target="score")
    frame.assign(q="text").to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "'q' is not numeric", task="school", target="score")
    frame.assign(p=[np.nan, *range(11)]).to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "'p' has missing values", task="school", target="score")
    frame.iloc[:0].to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "at least one row", task="school", target="score")
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    refused(tmp_path / "a.csv", "add a feature", task="a", target="b")  # Latin-1
    (tmp_path / "a.csv").write_bytes(b"a,b,c\n\x81\x8d,1,2\n")
    refused(tmp_path / "a.csv", "say --encoding", task="a", target="b")
    (tmp_path / "a.csv").write_text('a,b\n1,2,3,4\n1\n"')
    refused(tmp_path / "a.csv", "^a.csv: ", task="a", target="b")


def test_features_of_a_csv(tmp_path: Path, frame: pd.DataFrame, arrays: Arrays) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = read_features(tmp_path / "a.csv", task="school", target="score")
    np.testing.assert_array_equal(table.X, arrays["X"])
    assert table.feature_names == ("p", "q") and table.task == tuple(frame["school"])
    frame.drop(columns=["score", "school"]).to_csv(tmp_path / "a.csv", index=False)
    table = read_features(tmp_path / "a.csv", target="score")
    assert table.task is None and table.X.shape == (12, 2)
    with pytest.raises(DataError, match="no column 'school'; the columns are p, q"):
        read_features(tmp_path / "a.csv", task="school")
    (tmp_path / "a.mat").write_text("x")
    with pytest.raises(DataError, match=r"\.npz with X"):
        read_features(tmp_path / "a.mat")


def test_task_names_of_new_rows_are_those_of_training(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.assign(school=[10, 9] * 6).to_csv(tmp_path / "a.csv", index=False)
    train = read(tmp_path / "a.csv", task="school", target="score").train
    labels = read_features(tmp_path / "a.csv", task="school", target="score").task
    assert isinstance(labels, tuple) and set(labels) == set(train.names) and train.names == ("9", "10")


# Dataset


def test_parts_must_fit_each_other(arrays: Arrays) -> None:
    train = TaskSet.from_stacked(**arrays)
    other = TaskSet.from_arrays([np.eye(3)] * 3, [np.ones(3)] * 3)
    for wrong, said in (
        ({"validation": other}, "validation part must have 3 tasks with 2 features"),
        ({"test": other}, "test part"),
        ({"truth_W": np.zeros((3, 3))}, "W must have shape"),
        ({"truth_B": np.zeros((2, 2))}, "B must have shape"),
        ({"classes": ("a",)}, "1 classes for 3 tasks"),
    ):
        with pytest.raises(DataError, match=said):
            Dataset(name="a", train=train, **wrong)


# problems


def test_every_problem_is_complete() -> None:
    assert {"digits", "paper-synthetic"} <= set(problem_names())
    for name in problem_names():
        dataset = read(name)
        assert dataset.name == name and dataset.source and dataset.settings["coupling"] > 0
        assert set(dataset.settings) == {"loss", "standardize", "intercept", "coupling", "mu"}
        assert read(name).train.fingerprint() == dataset.train.fingerprint()


def test_an_installed_package_has_its_problems_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "__file__", str(tmp_path / "amtl_cvx" / "data" / "problems.py"))
    assert problem_names() == ()
    folder = tmp_path / "amtl_cvx" / "problems" / "mine"
    folder.mkdir(parents=True)
    about = '{"name": "mine", "title": "", "source": "here", "settings": {"mu": 2}, "seed": 41}'
    (folder / "problem.json").write_text(about)
    assert problems_folder() == folder.parent and problem_names() == ()
    (folder / "make.py").write_text(
        "import numpy as np\nfrom amtl_cvx.data import Dataset\nfrom amtl_cvx.tasks import TaskSet\n"
        "def make(seed):\n    train = TaskSet.from_arrays([np.eye(2)], [[seed, seed + 1]])\n"
        "    return Dataset(name='x', train=train, settings={'mu': 1})\n"
    )
    assert problem_names() == ("mine",)
    dataset = read("mine")
    assert (dataset.name, dataset.source, dataset.settings) == ("mine", "here", {"mu": 2})
    np.testing.assert_array_equal(dataset.train[0].y, [41, 42])


def test_a_checkout_has_its_problems_beside_the_package() -> None:
    assert problems_folder() == Path(__file__).resolve().parents[1] / "problems"


def test_digits() -> None:
    from sklearn.datasets import load_digits

    dataset = read("digits")
    assert dataset.test is not None and dataset.classes == tuple("0123456789")
    assert dataset.train.names[3] == "digit 3" and dataset.train.feature_names is not None
    assert dataset.train.feature_names[9] == "pixel 1,1"
    X, labels = load_digits(return_X_y=True)
    for tasks in (dataset.train, dataset.test):
        signs = np.array([task.y for task in tasks])
        np.testing.assert_array_equal((signs > 0).sum(axis=0), 1)  # every row has one digit
        assert all(np.shares_memory(task.X, tasks[0].X) for task in tasks)
        for task in tasks:
            Logistic().check(task)
    rows = np.vstack([part[0].X for part in (dataset.train, dataset.test)])
    digits = np.hstack(
        [np.argmax([task.y for task in part], axis=0) for part in (dataset.train, dataset.test)]
    )
    got, expected = (np.column_stack(pair) for pair in ((rows, digits), (X, labels)))
    np.testing.assert_array_equal(got[np.lexsort(got.T)], expected[np.lexsort(expected.T)])


def test_paper_synthetic() -> None:
    dataset = read("paper-synthetic")
    W, B = dataset.truth_W, dataset.truth_B
    assert W is not None and B is not None and dataset.validation is not None and dataset.test is not None
    assert W.shape == (20, 12) and not W[10:, :6].any() and np.count_nonzero(W) == 20 * 12 - 60
    noise = [
        np.hstack(
            [part[t].y - part[t].X @ W[:, t] for part in (dataset.train, dataset.validation, dataset.test)]
        )
        for t in range(12)
    ]
    expected = np.where(np.isin(np.arange(12), [0, 1, 2, 6, 7, 8]), 5.0, 25.0)
    # the standard error of a deviation from 90 rows is 7.5 %; 4 of them
    np.testing.assert_allclose([values.std() for values in noise], expected, rtol=0.3)
    teachers = {t: set(np.flatnonzero(B[:, t])) for t in range(12)}
    assert (
        teachers[0] == {1, 2}
        and teachers[5] == {0, 1, 2}
        and teachers[8] == {6, 7}
        and teachers[9] == {6, 7, 8}
    )
    assert not np.array_equal(dataset.train[0].X, dataset.test[0].X)


def test_pickles_are_never_read(tmp_path: Path, arrays: Arrays) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", **arrays)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("task_names.npy", stream.getvalue())
    refused(tmp_path / "a.npz", "task_names holds Python objects")
