"""W and B from files of any layout: the same numbers and names, and one line for what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from amtl_cvx.data import read_point
from amtl_cvx.errors import AMTLError

W = np.array([[0.1, -2.0], [1e-300, 3.0], [0.3, 1.0 / 3.0]])
B = np.array([[0.0, 0.5], [0.0, 0.0]])
TASKS, FEATURES = ("north, old", 'so"uth'), ("x0", "x1", "x2")


def npz(folder: Path) -> Path:
    np.savez(folder / "p.npz", W=W, B=B, task_names=TASKS, feature_names=FEATURES)
    return folder / "p.npz"


def arrays(folder: Path) -> Path:
    np.save(folder / "W.npy", np.asfortranarray(W))
    np.save(folder / "B.npy", B)
    (folder / "names.json").write_text(json.dumps({"task_names": TASKS, "feature_names": FEATURES}))
    return folder


def text(folder: Path) -> Path:
    content = {"W": W.tolist(), "B": B.tolist(), "task_names": TASKS, "feature_names": FEATURES}
    (folder / "p.json").write_text(json.dumps(content))
    return folder / "p.json"


def tables(folder: Path, separator: str = ",") -> Path:
    import pandas as pd

    pd.DataFrame(W, index=list(FEATURES), columns=list(TASKS)).to_csv(folder / "W.csv", sep=separator)
    pd.DataFrame(B, index=list(TASKS), columns=list(TASKS)).to_csv(folder / "B.csv", sep=separator)
    return folder


@pytest.mark.parametrize("write", [npz, arrays, text, tables, lambda folder: tables(folder, ";")])
def test_every_layout_gives_the_same_point(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    found = read_point(write(tmp_path))
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.B, B)
    assert (found.task_names, found.feature_names) == (TASKS, FEATURES)


def test_matlab_files_and_their_sparse_matrices(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "p.mat", {"W": W, "B": scipy.sparse.csc_matrix(B), "other": 1.0})
    found = read_point(tmp_path / "p.mat")
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.B, B)


def test_tables_without_names(tmp_path: Path) -> None:
    for key, values in (("W", W), ("B", B)):
        np.savetxt(tmp_path / f"{key}.csv", values, delimiter=",")
    found = read_point(tmp_path)
    np.testing.assert_array_equal(found.W, W)
    assert (found.task_names, found.feature_names) == (None, None)


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("names", [("0", "1"), ("007", "7"), ("ward\nB", "ward\r\nC"), ("ä", "a, b")])
def test_tables_with_names_of_any_kind(
    tmp_path: Path, names: tuple[str, str], header: bool, index: bool
) -> None:
    """Numbers and line breaks are names too, in the first line, in the first column or in both."""
    import pandas as pd

    for key, values, rows in (("W", W, FEATURES), ("B", B, names)):
        frame = pd.DataFrame(values, index=list(rows), columns=list(names))
        text = frame.to_csv(header=header, index=index, lineterminator="\r\n")
        (tmp_path / f"{key}.csv").write_bytes(text.encode())
    found = read_point(tmp_path)
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.B, B)
    assert found.task_names == (names if header or index else None)
    assert found.feature_names == (FEATURES if index else None)


def written(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


BAD: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "json of a list": (written("p.json", "[1, 2]"), "p.json", "rows of numbers"),
    "json that is none": (written("p.json", "{"), "p.json", "damaged"),
    "json that is deep": (written("p.json", '{"W":' + "[" * 100_000), "p.json", "damaged"),
    "json with a ragged W": (written("p.json", '{"W": [[1], [1, 2]], "B": [[0]]}'), "p.json", "rectangular"),
    "json with names of numbers": (
        written("p.json", '{"W": [[1]], "B": [[0]], "task_names": [1]}'),
        "p.json",
        "texts",
    ),
    "json with too many names": (
        written("p.json", '{"W": [[1]], "B": [[0]], "task_names": ["a", "b"]}'),
        "p.json",
        "expected 1 task_names",
    ),
    "W transposed": (written("p.json", '{"W": [[1, 2]], "B": [[0]]}'), "p.json", "transpose"),
    "a ragged table": (lambda f: (tables(f), written("W.csv", "1,2\n3\n")(f)), ".", "one length"),
    "a table with text": (lambda f: (tables(f), written("W.csv", "1,2\na,3\n")(f)), ".", "numbers"),
    "no B.csv": (written("W.csv", "1,2\n3,4\n"), ".", "B.csv"),
    "tables of other tasks": (
        lambda f: (tables(f), written("W.csv", "feature,a,b\nx,1,2\n")(f)),
        ".",
        "differently (a, b; ",
    ),
    "a table transposed": (
        lambda f: (tables(f), written("W.csv", "task,x,y,z,u\nn,1,2,3,4\ns,1,2,3,4\n")(f)),
        ".",
        "is it transposed?",
    ),
    "a table in UTF-16": (
        lambda f: (tables(f), written("W.csv", "1,2\n3,4\n".encode("utf-16"))(f)),
        ".",
        "W.csv must be UTF-8, byte 0 is 0xff: save",
    ),
    "a table in Latin-1": (
        lambda f: (tables(f), written("B.csv", "ä,b\n0,1\n1,0\n".encode("latin-1"))(f)),
        ".",
        "B.csv must be UTF-8, byte 0 is 0xe4: save",
    ),
    "a table with decimal commas": (
        lambda f: (tables(f), written("W.csv", "feature;a;b\nx;1,5;2\n")(f)),
        ".",
        "one cell is '1,5': write a decimal point",
    ),
    "an array that is cut": (lambda f: (arrays(f), written("W.npy", b"\x93NUMPY")(f)), ".", "W.npy"),
    "objects": (lambda f: (arrays(f), np.save(f / "B.npy", np.array([[None]]))), ".", "objects"),
    "no B in a .mat": (lambda f: scipy.io.savemat(f / "p.mat", {"W": W}), "p.mat", "the file has W"),
    "cells in a .mat": (
        lambda f: scipy.io.savemat(f / "p.mat", {"W": np.array([[W]], dtype=object), "B": B}),
        "p.mat",
        "W must",
    ),
    "nothing": (lambda f: None, "p.json", "there is no file"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_point_is_one_line(tmp_path: Path, kind: str) -> None:
    write, name, word = BAD[kind]
    write(tmp_path)
    with pytest.raises(AMTLError) as caught:
        read_point(tmp_path / name)
    assert word in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_names_in_a_matlab_file_are_read(tmp_path: Path, compressed: bool) -> None:
    """Cells of texts, as MATLAB and Octave have them, or a matrix of characters with spaces at its ends."""
    cells, rows = np.array([["Bär", "a"]], dtype=object), np.array(["Bär", "a  "])
    for names in (cells, cells.T, rows):
        content = {"W": W, "B": B, "task_names": names}
        scipy.io.savemat(tmp_path / "p.mat", content, do_compression=compressed)
        found = read_point(tmp_path / "p.mat")
        np.testing.assert_array_equal(found.W, W)
        assert found.task_names == ("Bär", "a")
    for wrong in (np.array([["a", 1.0]], dtype=object), np.ones(2)):
        scipy.io.savemat(tmp_path / "p.mat", {"W": W, "B": B, "task_names": wrong})
        with pytest.raises(AMTLError, match="cell array of texts"):
            read_point(tmp_path / "p.mat")
