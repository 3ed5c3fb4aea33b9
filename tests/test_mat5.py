"""MATLAB files: the numbers that SciPy finds, and one line for whatever claims what is not there."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from scipy import sparse

from amtl_cvx import untrusted
from amtl_cvx.data import read
from amtl_cvx.data.mat5 import MatlabFile
from amtl_cvx.errors import DataError

HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
CELL, STRUCT, SPARSE, DOUBLE = 1, 2, 5, 6


def element(kind: int, body: bytes, *, size: int | None = None, order: str = "<") -> bytes:
    """Tag, bytes, padding; `size` is what the tag claims."""
    claimed = len(body) if size is None else size
    padding = 0 if kind == 15 else -len(body) % 8
    return struct.pack(f"{order}II", kind, claimed) + body + bytes(padding)


def matrix(group: int, shape: tuple[int, ...], rest: bytes, *, name: str = "", order: str = "<") -> bytes:
    flags = element(6, struct.pack(f"{order}II", group, 0), order=order)
    dims = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order=order)
    return element(14, flags + dims + element(1, name.encode(), order=order) + rest, order=order)


def doubles(*values: float, order: str = "<") -> bytes:
    return element(9, struct.pack(f"{order}{len(values)}d", *values), order=order)


def whole(*values: int) -> bytes:
    return element(5, struct.pack(f"<{len(values)}i", *values))


def cells(*parts: bytes, name: str) -> bytes:
    return matrix(CELL, (1, len(parts)), b"".join(parts), name=name)


def refused(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("deflated", [False, True])
def test_numbers_are_those_of_scipy(tmp_path: Path, deflated: bool, rng: np.random.Generator) -> None:
    written: dict[str, Any] = {
        f"a{code}": rng.integers(0, 99, size=(3, 4, 2)[: 2 + k % 2]).astype(code)
        for k, code in enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"))
    }
    written["sparse"] = sparse.random(7, 5, density=0.4, rng=rng, format="csc")
    written["none"] = np.zeros((0, 3))
    written["cells"] = np.empty((2, 2), dtype=object)
    written["cells"][:] = [[np.eye(2), sparse.csc_matrix(np.eye(3))], [np.ones((1, 3)), np.zeros((2, 0))]]
    scipy.io.savemat(tmp_path / "a.mat", {**written, "other": {"p": 1}}, do_compression=deflated)
    file, expected = MatlabFile(tmp_path / "a.mat"), scipy.io.loadmat(tmp_path / "a.mat")
    assert file.names == (*written, "other")
    for name in written:
        found, right = file.array(name), expected[name]
        if name == "cells":
            assert found.shape == right.shape and found.dtype == object
        pairs = (found.ravel(), right.ravel()) if name == "cells" else ([found], [right])
        for part, other in zip(*pairs, strict=True):
            dense = other.toarray() if sparse.issparse(other) else other
            np.testing.assert_array_equal(part, dense)
            assert part.shape == dense.shape


def test_big_endian_is_little_endian(tmp_path: Path) -> None:
    values = doubles(1, 2, 3, 4, 5, 6, order=">")
    body = matrix(DOUBLE, (2, 3), values, name="x", order=">")
    (tmp_path / "a.mat").write_bytes(HEAD[:124] + b"\x01\x00MI" + body)
    np.testing.assert_array_equal(MatlabFile(tmp_path / "a.mat").array("x"), [[1, 3, 5], [2, 4, 6]])
    np.testing.assert_array_equal(
        scipy.io.loadmat(tmp_path / "a.mat")["x"], MatlabFile(tmp_path / "a.mat").array("x")
    )


@pytest.mark.parametrize(
    ("rows", "starts", "values", "said"),
    [
        ((0, 100_000), (0, 1, 2), 2, "outside its 3 rows"),
        ((0, -2_000_000), (0, 1, 2), 2, "outside its 3 rows"),
        ((0, 3), (0, 1, 2), 2, "outside its 3 rows"),
        ((0, 1), (0, 2, 1), 2, "columns do not start"),
        ((0, 1), (0, 2_000_000, 2), 2, "columns do not start"),
        ((0, 1), (-5, 1, 2), 2, "columns do not start"),
        ((0, 1), (0, 1), 2, "columns do not start"),
        ((0, 1), (0, 1, 99), 2, "claims 99 numbers"),
        ((0, 1), (0, 1, 2), 1, "claims 2 numbers"),
    ],
)
def test_sparse_matrices_are_checked_before_they_are_dense(
    tmp_path: Path, rows: tuple[int, ...], starts: tuple[int, ...], values: int, said: str
) -> None:
    """SciPy writes outside of the matrix for such rows, and reads beyond its end for such starts."""

    def file(rows: tuple[int, ...], starts: tuple[int, ...], values: int) -> bytes:
        X = matrix(SPARSE, (3, 2), whole(*rows) + whole(*starts) + doubles(*range(1, values + 1)))
        return HEAD + cells(X, name="X") + cells(matrix(DOUBLE, (3, 1), doubles(1, 2, 3)), name="Y")

    (tmp_path / "a.mat").write_bytes(file((0, 2), (0, 1, 2), 2))
    np.testing.assert_array_equal(read(tmp_path / "a.mat").train[0].X, [[1, 0], [0, 0], [0, 2]])
    refused(tmp_path / "a.mat", file(rows, starts, values), f"X of task 0 is sparse.*{said}")


def test_nested_cells_are_one_line(tmp_path: Path) -> None:
    """20,000 levels took the process down."""
    flags = element(6, struct.pack("<II", CELL, 0)) + element(5, struct.pack("<2i", 1, 1)) + element(1, b"")
    size, levels = len(flags) + 8, 20_000
    inner = matrix(DOUBLE, (1, 1), doubles(1.0))
    claims = [len(flags) + (levels - level - 1) * size + len(inner) for level in range(levels)]
    deep = b"".join(struct.pack("<II", 14, claim) + flags for claim in claims) + inner
    for name in ("X", "Y"):
        other = cells(matrix(DOUBLE, (1, 1), doubles(1.0)), name="Y" if name == "X" else "X")
        refused(
            tmp_path / "a.mat", HEAD + cells(deep, name=name) + other, f"{name} of task 0 is a cell array"
        )


def test_structures_are_named_and_left_alone(tmp_path: Path) -> None:
    ones = {"Y": np.empty((1, 1), dtype=object)}
    ones["Y"][0, 0] = np.ones((2, 1))
    scipy.io.savemat(tmp_path / "a.mat", {"X": {"a": 1}, **ones})
    refused(tmp_path / "a.mat", (tmp_path / "a.mat").read_bytes(), "X is a struct, an object or a function")
    stacked = {"train_x": np.eye(3), "train_y": np.ones((3, 1)), "trindex": np.array([[1], [2]])}
    scipy.io.savemat(tmp_path / "a.mat", {"X": {"a": 1}, **stacked})
    assert read(tmp_path / "a.mat").train.T == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (matrix(DOUBLE, (300_000_000, 2), doubles(1.0), name="X"), "X claims the shape|X would become"),
        (matrix(DOUBLE, (2, 2), doubles(1.0), name="X"), "it has 1 numbers"),
        (matrix(DOUBLE, (-1, 2), doubles(1.0), name="X"), "claims the dimensions"),
        (matrix(CELL, (2**20, 2**10), b"", name="X"), "claims 1073741824 cells in 0 bytes"),
        (matrix(SPARSE, (900, 900), whole() + whole(*[0] * 901) + doubles(), name="X"), "100 times as much"),
        (element(14, b"12345678", size=2**31), "an element claims 2147483648 bytes, there are"),
        (element(15, zlib.compress(b"")), "an element is missing"),
        (element(15, zlib.compress(element(14, bytes(9), size=2**31 - 9))), "."),
        (element(15, zlib.compress(matrix(DOUBLE, (500, 900), element(9, bytes(3_600_000)), name="X"))),
         "100 times as much"),
        (element(15, b"no stream")[:-7], "readable .mat|damaged"),
        (matrix(DOUBLE, (1, 1), doubles(1.0), name="X") * 2, "two variables 'X'"),
    ],
)  # fmt: skip
def test_what_a_file_claims_must_be_there(
    tmp_path: Path, content: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untrusted, "FREELY", 2**20)
    Y = cells(matrix(DOUBLE, (1, 1), doubles(1.0)), name="Y")
    refused(tmp_path / "a.mat", HEAD + content + Y, said)


def test_other_levels_are_named(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"train_x": np.eye(3)}, format="4")
    refused(tmp_path / "a.mat", (tmp_path / "a.mat").read_bytes(), r"save\(\.\.\., '-v7'\)")
