"""Files that claim, inflate or are not what they seem: one line, in time, before memory is taken."""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, assert_error

from amtl_cvx import memory, untrusted
from amtl_cvx.data import read, read_features
from amtl_cvx.errors import DataError

COLUMNS = {"task": "task", "target": "y"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which 2 MiB are much: nothing here may take more."""
    monkeypatch.setattr(untrusted, "FREELY", 2**20)
    monkeypatch.setattr(memory, "FEW", 2**16)
    monkeypatch.setattr(memory, "available", lambda: 2**21)
    yield


def refused(call: Callable[[], object], said: str = ".") -> None:
    """One line, and at most 4 MiB on the way to it."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=said) as caught:
            call()
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1000


def stored(path: Path, **arrays: Any) -> Path:
    path.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return path


def test_rows_of_a_folder_are_gathered_only_where_they_fit(tmp_path: Path) -> None:
    """Without names.json nothing was checked; labels bring all rows into memory, eight times as wide."""
    X, y = np.zeros((3000, 100), dtype=np.int8), np.arange(3000) % 2
    folder = stored(tmp_path / "rows", X=X, y=y, task=np.zeros(3000, dtype=int))
    refused(lambda: read(folder), r"the rows needs .* MiB of memory, 2 MiB are free")
    refused(lambda: read_features(folder), r"X needs .* MiB of memory, 2 MiB are free")
    wide = stored(
        tmp_path / "wide", X=np.zeros((2, 300_000), dtype=np.int8), y=np.arange(2.0), task=np.zeros(2)
    )
    refused(lambda: read(wide), "MiB of memory")


@pytest.mark.parametrize(
    "change",
    [
        {"X": np.zeros((4, 2**16))},
        {"task_names": np.array(["a", "b" * 2**18])},
        {"X": np.full((4, 2), "a" * 2**18)},
        {"feature_names": np.zeros(2**18, dtype="U0")},
        {"X": np.zeros((4, 2**18), dtype=np.int8)},
    ],
    ids=["zeros", "names", "strings", "empty strings", "bytes"],
)
def test_an_archive_that_inflates_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    arrays = {"X": np.eye(4), "y": np.ones(4), "task": [0, 0, 1, 1], **change}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    refused(lambda: read(tmp_path / "a.npz"), "expected at most 100 times as much")


def test_a_parquet_file_that_inflates_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")
    from pyarrow import parquet

    path, n = tmp_path / "a.parquet", 2000
    table = pa.table({"task": ["a" * 2000] * n, "x": np.zeros(n), "y": np.arange(n) % 2})
    parquet.write_table(table, path)
    assert read(path, **COLUMNS).train.counts.tolist() == [n]  # every text once
    parquet.write_table(table, path, use_dictionary=False, compression="zstd")
    refused(lambda: read(path, **COLUMNS), "a group of rows would become")
    refused(lambda: read_features(path, **COLUMNS), "a group of rows would become")
    table = pa.table({name: pa.array(np.zeros(200_000, dtype=np.int8)) for name in ("task", "x", "y")})
    parquet.write_table(table, path)
    refused(lambda: read(path, **COLUMNS, keep_rows=True), "100 times")
    refused(lambda: read_features(path, **COLUMNS), "100 times")


def test_what_is_no_file_is_one_line(run: Run, tmp_path: Path) -> None:
    """Loops of links, pipes, devices and folders, as data and inside of data: none may be waited for."""
    Path("loop.csv").symlink_to("loop.csv")
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    Path("gone.npz").symlink_to("nowhere.npz")
    os.mkfifo("pipe.csv")
    Path("folder.npz").mkdir()
    rows = stored(tmp_path / "rows", X=np.eye(2), y=np.ones(2), task=np.zeros(2))
    names = ("loop.csv", "a", "a/b.npz", "gone.npz", "pipe.csv", "folder.npz", "/dev/zero", "no\0where.csv")
    for name in (*names, "x" * 9000, "rows/X.npy/a.csv", "rows/X.npy"):
        for command in (("fit", name, "--out", "run"), ("fit", name, "--out", "run", "--task", "t")):
            assert_error(run(*command))
        with pytest.raises(DataError) as caught:
            read_features(name)
        assert len(str(caught.value)) < 700
    for key in ("names.json", "problem.json"):
        os.mkfifo(rows / key)
        if key == "names.json":
            refused(lambda: read(rows), "not a file")
        (rows / key).unlink()
        (rows / key).symlink_to("/dev/zero")
        if key == "names.json":
            refused(lambda: read(rows), "not a file")
        (rows / key).unlink()
    assert read(rows).train.T == 1


def test_names_in_files_steer_no_terminal(tmp_path: Path) -> None:
    evil = "\x1b[31m\x07red\u202e\n" * 99
    (tmp_path / "a.csv").write_text(f'task,y,"{evil}"\na,1,no\n')
    refused(lambda: read(tmp_path / "a.csv", **COLUMNS), "is not numeric")
    named = tmp_path / "\x1b]0;mine\x07.csv"
    named.write_text("task,y,x\na,1,no\n")
    refused(lambda: read(named, **COLUMNS), r"^\\x1b\]0;mine\\x07\.csv: column 'x'")
    refused(lambda: read(tmp_path / "\x1b[2J.csv"), "there is no file")


def test_a_json_file_of_names_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = stored(tmp_path / "rows", X=np.eye(2), y=np.ones(2), task=np.zeros(2))
    for text in (
        "[" * 100_000,
        '{"task_names": ' + "[" * 5000 + "]" * 5000 + "}",
        "\xff",
        '{"task_names": 1}',
    ):
        (rows / "names.json").write_text(text, encoding="latin-1")
        refused(lambda: read(rows), "^rows: ")
    monkeypatch.setattr(untrusted, "MAX_JSON", 100)
    (rows / "names.json").write_text(json.dumps({"task_names": ["a" * 200]}))
    refused(lambda: read(rows), "names.json has 220 bytes, expected at most 100")


def test_what_is_free_is_less_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**24 < memory.available() <= whole


def test_a_member_that_claims_little_and_holds_much_is_cut_off(tmp_path: Path) -> None:
    """The header of the array counts; bytes behind it are never inflated."""
    np.savez(tmp_path / "a.npz", X=np.eye(4), y=np.ones(4))
    with zipfile.ZipFile(tmp_path / "a.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
        text = b"{'descr': '<i8', 'fortran_order': False, 'shape': (4,), }".ljust(117) + b"\n"
        archive.writestr("task.npy", header + text + bytes(2**23))
    assert read(tmp_path / "a.npz").train.T == 1
