"""Folders of arrays: what is read from them, what is refused, from fit to predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import ROWS, Run, arrays, assert_error, labels, listing, point
from command_line import T as TASKS
from streamed import GIVEN, Stacked, assert_same_gram, chunked, in_memory, stacked_rows, write

from amtl_cvx import data
from amtl_cvx.data import ChunkedRows, factor, read, read_features
from amtl_cvx.data import rows as rows_module
from amtl_cvx.errors import DataError
from amtl_cvx.experiment import COUPLING_PATH


@pytest.fixture
def stacked(rng: np.random.Generator) -> Stacked:
    return stacked_rows(rng)


# ---- folders


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.astype(">f4"),
        lambda X: np.asfortranarray(X),
        lambda X: np.round(X).astype(">i2"),
        lambda X: X > 0,
        lambda X: np.asfortranarray(X.astype(np.float16)),
    ],
    ids=["big-endian single", "fortran", "big-endian short", "bool", "fortran half"],
)
def test_any_real_array_is_read(stacked: Stacked, change: Callable[..., Any], tmp_path: Path) -> None:
    X = change(stacked["X"])
    columns = {"y": stacked["y"][:, None], "task": stacked["task"].astype(np.float32)[:, None]}
    dataset = read(write(tmp_path / "rows", {**stacked, **columns, "X": X}))
    assert dataset.rows is not None and dataset.name == "rows" and dataset.source == "folder rows"
    assert_same_gram(dataset.train, in_memory({**stacked, "X": X.astype(float)}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_chunks_are_small_and_in_order(
    stacked: Stacked, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 400)
    chunks = list(data.ArrayRows.open(
        write(tmp_path / "rows", {**stacked, "X": np.asarray(stacked["X"], order=order)})
    ).chunks())  # fmt: skip
    assert max(chunk.X.size for chunk in chunks) == 400
    for key in ("X", "y", "task"):
        np.testing.assert_array_equal(np.concatenate([getattr(c, key) for c in chunks]), stacked[key])


def test_long_chunks_are_cut(stacked: Stacked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 400)
    chunks = list(chunked(stacked, 5000).chunks())
    assert [len(chunk.y) for chunk in chunks] == [100] * 4 + [11]
    np.testing.assert_array_equal(np.concatenate([chunk.X for chunk in chunks]), stacked["X"])


def test_names_come_from_a_file(stacked: Stacked, tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", stacked)
    names = {"task_names": ["a", "b", "c", 4], "feature_names": ["p", "q", "r", "s"]}
    (folder / "names.json").write_text(json.dumps(names))
    train = read(folder).train
    assert train.names == ("a", "b", "c", "4") and train.feature_names == ("p", "q", "r", "s")


def with_nan(array: np.ndarray, *place: int) -> np.ndarray:
    changed = array.astype(float)
    changed[place] = np.nan
    return changed


BAD: dict[str, tuple[Callable[[Path, Stacked], object], str]] = {
    "nan in X": (lambda p, s: write(p, s, X=with_nan(s["X"], 300, 2)), "X .*row 300, feature 2 is nan"),
    "nan in y": (lambda p, s: write(p, s, y=with_nan(s["y"], 301)), "y .*row 301 is nan"),
    "nan in task": (lambda p, s: write(p, s, task=with_nan(s["task"], 5)), "task .*NaN"),
    "short y": (lambda p, s: write(p, s, y=s["y"][:-1]), r"y \(410,\)"),
    "wide y": (lambda p, s: write(p, s, y=np.ones((411, 2))), r"y \(411, 2\)"),
    "flat X": (lambda p, s: write(p, s, X=s["X"].ravel()), r"X \(1644,\)"),
    "gap": (lambda p, s: write(p, s, task=np.where(s["task"] == 1, 9, s["task"])), "no row has task 1"),
    "negative": (lambda p, s: write(p, s, task=s["task"] - 1), "smallest is -1"),
    "fraction": (lambda p, s: write(p, s, task=s["task"] / 2), "fractions"),
    "complex": (lambda p, s: write(p, s, X=s["X"] * 1j), "X must hold real numbers"),
    "text": (lambda p, s: write(p, s, y=s["y"].astype(str)), "y must hold real numbers"),
    "objects": (lambda p, s: write(p, s, X=s["X"].astype(object)), "Python objects"),
    "no rows": (lambda p, s: write(p, {key: value[:0] for key, value in s.items()}), "at least one row"),
    "no features": (lambda p, s: write(p, s, X=s["X"][:, :0]), "features"),
    "no y": (lambda p, s: (write(p, s) / "y.npy").unlink(), r"y\.npy"),
    "cut": (lambda p, s: _cut(write(p, s) / "X.npy"), r"X\.npy claims 13152 bytes.*damaged"),
    "not npy": (lambda p, s: (write(p, s) / "X.npy").write_bytes(b"hello" * 99), "damaged"),
    "names": (lambda p, s: (write(p, s) / "names.json").write_text("[]"), r"names\.json must hold"),
    "bad json": (lambda p, s: (write(p, s) / "names.json").write_text("{"), "JSON"),
    "two names": (
        lambda p, s: (write(p, s) / "names.json").write_text('{"task_names": ["a", "b"]}'),
        "expected 4 task names, got 2",
    ),
    "five names": (
        lambda p, s: (write(p, s) / "names.json").write_text('{"feature_names": ["a", "b"]}'),
        "expected 4 feature names, got 2",
    ),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_folder_is_one_line(kind: str, stacked: Stacked, tmp_path: Path) -> None:
    make, said = BAD[kind]
    make(tmp_path / "rows", stacked)
    with pytest.raises(DataError, match=rf"^rows: (?!rows).*{said}") as caught:
        read(tmp_path / "rows")
    assert "\n" not in str(caught.value)


def test_a_folder_has_its_name_from_inside_too(
    stacked: Stacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path / "v1.2", stacked))
    assert read(".").name == "v1.2"
    Path("X.npy").write_bytes(b"none")
    with pytest.raises(DataError, match=r"^v1\.2: "):
        read(".")


def test_columns_do_not_belong_to_folders(stacked: Stacked, tmp_path: Path) -> None:
    for reader in (read, read_features):
        with pytest.raises(DataError, match="columns"):
            reader(write(tmp_path / "rows", stacked), task="a")


@pytest.mark.parametrize(
    "part, said",
    [
        ((np.ones((3, 5)), np.ones(3), np.zeros(3, int)), "expected 4 features from row 411 on, got 5"),
        ((np.ones(3), np.ones(3), np.zeros(3, int)), r"X \(3,\)"),
        ((np.full((3, 4), np.inf), np.ones(3), np.zeros(3, int)), "row 411, feature 0 is inf"),
    ],
)
def test_a_bad_chunk_is_named(stacked: Stacked, part: tuple[Any, ...], said: str) -> None:
    rows = ChunkedRows(make=lambda: [tuple(stacked[key] for key in ("X", "y", "task")), part])
    with pytest.raises(DataError, match=said):
        factor(rows)


def test_class_labels_stay_in_memory(tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", labels())
    dataset = read(folder)
    assert dataset.rows is None and dataset.train.fingerprint() == in_memory(labels()).fingerprint()
    streamed = read(folder, keep_rows=False)
    assert streamed.rows is not None and streamed.settings == {"loss": "squared"}
    assert read(write(tmp_path / "numbers", arrays()), keep_rows=True).rows is None


# ---- commands


def test_a_folder_from_fit_to_predict(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    np.savez("a.npz", **arrays())
    options = ("--standardize", "--intercept", "--quiet", *GIVEN)
    assert run("fit", "rows", "--out", "streamed", *options).code == 0
    assert run("fit", "a.npz", "--out", "whole", *options).code == 0
    mine, theirs = point(Path("streamed")), point(Path("whole"))
    for key in ("W", "B"):
        np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-6, atol=1e-7)
    certificate = json.loads(Path("streamed/certificate.json").read_text())
    assert certificate["passes"] and f"{TASKS * ROWS} rows" in certificate["reasons"]["rows"]
    described = json.loads(Path("streamed/run.json").read_text())
    assert described["data"]["fingerprint"] == read("rows").train.fingerprint()
    assert described["data"]["rows"] == [ROWS] * TASKS
    for data_name in ("rows", "a.npz"):
        answer = run("certify", data_name, "streamed")
        assert answer.code == 0 and answer.out.startswith("C2")
        assert (f"{TASKS * ROWS} rows read again" in answer.out) == (data_name == "rows")
        assert ("note: these are not the data" in answer.out) == (data_name == "a.npz")
        assert run("certify", data_name, "whole").code == 0
    assert run("predict", "streamed", "rows").out == run("predict", "streamed", "a.npz").out


@pytest.mark.parametrize("method", cases.METHOD_CASES)
def test_every_method_is_judged_on_the_rows(method: str, run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    assert run("fit", "rows", "--out", "run", "--quiet", "--method", method, *GIVEN).code == 0
    answer = run("certify", "rows", "run")
    assert answer.code == 0 and "rows read again" in answer.out


def test_certify_sees_another_row(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN).code == 0
    write(tmp_path / "rows", {"y": arrays()["y"] * np.where(np.arange(TASKS * ROWS) == 7, 1.1, 1.0)})
    answer = run("certify", "rows", "run")
    assert answer.code == 1 and "note: these are not the data of the run" in answer.out


def test_settings_are_chosen_from_streamed_rows(run: Run, rng: np.random.Generator, tmp_path: Path) -> None:
    task = rng.integers(3, size=900)
    X = rng.normal(size=(900, 4))
    y = X @ [1.0, -1.0, 2.0, 0.0] + rng.normal(size=900)
    write(tmp_path / "rows", {"X": 1000 * X, "y": y, "task": task})
    answer = run("fit", "rows", "--out", "run", "--standardize")
    assert answer.code == 0 and "held-out fifth" in answer.out
    chosen = json.loads(Path("run/run.json").read_text())["chosen"]
    losses = {trial["coupling"]: trial["held_out_loss"] for trial in chosen["trials"]}
    assert min(losses, key=lambda c: losses[c]) == chosen["coupling"]
    assert list(losses) == pytest.approx(COUPLING_PATH, rel=0.1)  # standardised: the unit, E x^2, is 1
    assert 0.8 < losses[chosen["coupling"]] < 1.3  # noise of variance 1 on 180 rows, and little else


def test_a_classification_loss_reads_the_rows(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", labels())
    for loss in ((), ("--loss", "logistic")):
        assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN, *loss).code == 0
        assert json.loads(Path("run/run.json").read_text())["model"]["loss"] == "logistic"
        assert run("certify", "rows", "run").code == 0
    assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN, "--loss", "squared").code == 0
    assert "rows" in json.loads(Path("run/certificate.json").read_text())["reasons"]


def test_a_bad_row_leaves_nothing(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays(X=with_nan(arrays()["X"], 30, 1)))
    before = listing(tmp_path)
    assert_error(run("fit", "rows", "--out", "new/run", *GIVEN), "rows: X", "row 30", "feature 1")
    assert listing(tmp_path) == before
