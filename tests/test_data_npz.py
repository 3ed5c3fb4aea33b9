"""The .npz files: arrays of tasks, features of new rows, and what of them is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_files import Arrays, refused, three_tasks

from amtl_cvx.data import (
    read,
    read_arrays,
    read_features,
)
from amtl_cvx.errors import DataError


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    return three_tasks(rng)


def member(header: str, body: bytes = b"") -> bytes:
    """A .npy file with a header of one's own."""
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1") + body


# .npz


def test_npz(tmp_path: Path, arrays: Arrays) -> None:
    order = np.random.default_rng(0).permutation(12)
    shuffled = {key: value[order] for key, value in arrays.items()}
    np.savez_compressed(
        tmp_path / "a.npz", **shuffled, task_names=["u", "v", "w"], feature_names=np.array([b"p", b"q"])
    )
    dataset = read(str(tmp_path / "a.npz"))
    assert dataset.name == "a" and dataset.source == "file a.npz" and dataset.settings == {}
    assert dataset.train.names == ("u", "v", "w") and dataset.train.feature_names == ("p", "q")
    assert dataset.validation is None and dataset.test is None and dataset.classes is None
    assert dataset.train.counts.tolist() == [4, 3, 5]
    for t, task in enumerate(dataset.train):
        np.testing.assert_array_equal(task.X, shuffled["X"][shuffled["task"] == t])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": None}, "the file has X, y: add task"),
        ({"X": None, "y": None}, "the file has task: add X, y"),
        ({"task": np.repeat([1, 2, 3], 4)}, "no row has task 0"),
        ({"task": np.array(list("abc") * 4)}, "integers"),
        ({"X": np.full((12, 2), None)}, "X holds Python objects"),
        ({"X": np.full((12, 2), np.nan)}, "finite"),
        ({"X": np.zeros(12)}, "expected X"),
        ({"y": np.zeros(11)}, "expected X"),
        ({"task_names": np.array(["a"])}, "expected 3 task names"),
        ({"task_names": np.array(["a", "b", "a"])}, "'a' occurs more than once"),
        ({"feature_names": np.array([["a"], ["b"]])}, "feature_names must have one dimension"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: Arrays, change: Arrays, said: str) -> None:
    content = {key: value for key, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "a.npz", **content)
    refused(tmp_path / "a.npz", said)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 100), }", "expected at most 8 GiB"),
        ("{'descr': '|i1', 'fortran_order': False, 'shape': (4000000000, 2), }", "expected at most 8 GiB"),
        ("{'descr': '<U100000000', 'fortran_order': False, 'shape': (120,), }", "expected at most 8 GiB"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 1000), }", "claims 8000000 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2), }", "claims the shape"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "Python objects"),
        ("{'descr': '<f8'", "readable"),
    ],
)
def test_headers_are_checked_before_memory_is_taken(
    tmp_path: Path, arrays: Arrays, header: str, said: str
) -> None:
    np.savez(tmp_path / "a.npz", y=arrays["y"], task=arrays["task"])
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("X.npy", member(header, bytes(100)))
    refused(tmp_path / "a.npz", said)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "a.npz")


def test_a_member_of_the_right_name_that_is_no_array(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for key in ("X", "y", "task"):
            archive.writestr(f"{key}.npy", b"cos\nsystem\n(S'true'\ntR.")
    refused(tmp_path / "a.npz", "readable .npz")


# features


def test_features_of_a_npz(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path,
        X=(arrays["X"] * 10).astype(np.int8),
        task=np.array([[2, 0] * 6], dtype=np.uint8),
        feature_names=["p", "q"],
    )
    table = read_features(path)
    assert table.X.dtype == np.float64 and table.X.shape == (12, 2) and table.feature_names == ("p", "q")
    assert isinstance(table.task, np.ndarray) and table.task.dtype == np.int64
    np.testing.assert_array_equal(table.task, [2, 0] * 6)
    np.savez(path, X=arrays["X"])
    assert read_features(str(path)).task is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"y": np.ones(2)}, "add X"),
        ({"X": np.ones(2)}, "two dimensions"),
        ({"X": np.eye(2), "task": np.ones(3)}, "one integer per row of X, 2"),
        ({"X": np.eye(2), "task": np.array(["a", "b"])}, "one integer per row"),
        ({"X": np.eye(2), "task": np.array([0, -1])}, "negative"),
        ({"X": np.eye(2), "task": np.array([0, np.nan])}, "NaN"),
        ({"X": np.eye(2), "feature_names": np.array(["a"])}, "expected 2 feature names"),
    ],
)
def test_bad_features_of_a_npz(tmp_path: Path, content: Arrays, said: str) -> None:
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "a.npz")


# arrays of any .npz


def arrays_refused(path: Path | str, said: str) -> None:
    """`read_arrays` raises a DataError whose message is one line and matches `said`."""
    with pytest.raises(DataError, match=said) as caught:
        read_arrays(path, required=("W", "B"), optional=("losses",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["solution.npz", "solution"])
def test_arrays_come_back_as_they_were_written(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    content: Arrays = {
        "W": np.asfortranarray(rng.standard_normal((3, 2)).astype(np.float32)),
        "B": np.array([[0, 1], [0, 0]], dtype=np.uint8),
        "objective": np.float64(1.5),
        "names": np.array(["u", "vw"]),
        "bytes": np.array([b"p", b"qr"]),
        "empty": np.zeros((0, 4)),
    }
    for write in (np.savez, np.savez_compressed):
        with (tmp_path / name).open("wb") as stream:
            write(stream, **content, unasked=np.ones(3))
        got = read_arrays(
            tmp_path / name, required=("W", "B"), optional=("objective", "names", "bytes", "empty", "order")
        )
        assert set(got) == set(content)
        for key, value in content.items():
            np.testing.assert_array_equal(got[key], value, strict=True)
    assert set(read_arrays(tmp_path / name, required=["B"])) == {"B"}
    assert read_arrays(str(tmp_path / name), required=(), optional=("order",)) == {}


def test_arrays_of_no_file(tmp_path: Path) -> None:
    arrays_refused(tmp_path / "a.npz", r"expected a \.npz file with W, B, there is no file '.*a\.npz'")
    arrays_refused("x" * 5000, "there is no file")
    arrays_refused("\0", "there is no file")
    arrays_refused(tmp_path, "is not a file: give the file itself")
    (tmp_path / "a.npz").touch()
    arrays_refused(tmp_path / "a.npz", r"'a\.npz' is empty \(0 bytes\)")


def test_arrays_of_another_file(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.npz"
    for body in (b"hello\n", b"\0" * 600, rng.bytes(700), b"PK\x03\x04" + rng.bytes(50)):
        path.write_bytes(body)
        arrays_refused(path, r"^a\.npz: expected a \.npz archive.*numpy\.savez\(file, W=W, B=B\)$")
    np.save(tmp_path / "a.npy", np.eye(2))
    arrays_refused(tmp_path / "a.npy", r"^a\.npy: expected a \.npz archive")
    np.savez(path, W=np.eye(2), losses=np.ones(2))
    arrays_refused(path, r"^a\.npz: expected the arrays W, B, the file has W, losses: add B$")
    np.savez(path, **{"two\nlines": np.eye(2)})  # type: ignore[arg-type]
    arrays_refused(path, "the file has two lines: add W, B")


def test_arrays_of_objects_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.array([{"a": 1}], dtype=object))
    arrays_refused(tmp_path / "a.npz", r"^a\.npz: B holds Python objects")
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.eye(2), losses=np.array([None]))
    arrays_refused(tmp_path / "a.npz", r"^a\.npz: losses holds Python objects")
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.eye(2), other=np.array([None]))
    assert set(read_arrays(tmp_path / "a.npz", required=("W", "B"))) == {"W", "B"}


def test_arrays_of_a_damaged_file(tmp_path: Path) -> None:
    """Every truncation is refused; a wrong byte is refused or changes nothing that was asked for."""
    content = {"W": np.arange(6.0).reshape(3, 2), "B": np.eye(2)}
    np.savez(tmp_path / "a.npz", **content)  # type: ignore[arg-type]
    whole, broken = (tmp_path / "a.npz").read_bytes(), tmp_path / "broken.npz"
    for place in range(0, len(whole), 7):
        broken.write_bytes(whole[:place])
        arrays_refused(broken, "truncated" if place else "empty")
        broken.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            got = read_arrays(broken, required=("W", "B"))
        except DataError as error:
            assert str(error).startswith("broken.npz: ") and "\n" not in str(error)
        else:
            for key, value in content.items():
                np.testing.assert_array_equal(got[key], value)


def test_arrays_claim_no_more_than_is_there(tmp_path: Path) -> None:
    for shape, said in (
        ("(10000000000, 100)", "expected at most 8 GiB"),
        ("(1000, 1000)", "claims 8000000 bytes"),
    ):
        np.savez(tmp_path / "a.npz", B=np.eye(2))
        with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
            header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
            archive.writestr("W.npy", member(header, bytes(100)))
        arrays_refused(tmp_path / "a.npz", rf"^a\.npz: W .*{said}")
