"""MATLAB files of level 5 (-v6, -v7): the numbers, cells and sparse matrices of some variables.

A file is a header of 128 bytes and then elements: a tag (type and number of bytes), that many bytes, padding
to 8. A variable is an element "matrix", or one that holds a matrix deflated. A matrix holds elements itself:
flags with its class, dimensions, name, then its numbers; a sparse one rows, column starts and numbers; a cell
array one matrix for each cell (MAT-File Format, MathWorks, chapter 1).

The files are hostile until shown otherwise, and `scipy.io.loadmat` believes them: it hands row indices to
compiled code unchecked, and recurses as deep as cells are nested. Here every element is a slice of the bytes
that are there, nothing is read but the variables asked for, a cell holds a matrix and no further cells, and
what a matrix claims is checked before memory is taken. The tests hold this reader against SciPy's.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_expansion, check_size, read_bytes

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Element types that hold numbers."""
_CELL, _CHAR, _SPARSE, _NUMBERS = 1, 4, 5, range(6, 16)
"""Classes of matrices that are read; the others are structures, objects and functions."""
_HEAD = 1 << 12
"""Bytes of a deflated matrix that hold its dimensions and name."""
_CELL_BYTES = 1000
"""What a cell takes in memory, however few numbers it has."""


class _Element(NamedTuple):
    kind: int
    body: memoryview
    rest: memoryview
    """What follows it."""


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """The head of a matrix, and the elements behind it."""

    name: str
    group: int
    is_complex: bool
    shape: tuple[int, ...]
    rest: memoryview


def _byte_order(content: memoryview) -> str:
    """Either "<" or ">", or `DataError` for a file of another level."""
    if _HDF5 in (bytes(content[:8]), bytes(content[512:520])):
        raise DataError(
            "expected a MATLAB file up to version 7, this is v7.3 (HDF5): save it with save(..., '-v7')"
        )
    version = bytes(content[124:128])
    if version not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise DataError(
            "expected a MATLAB file of version 5 to 7, this is an older or a damaged one, or of another kind:"
            " save it with save(..., '-v7')"
        )
    return "<" if version.endswith(b"IM") else ">"


class MatlabFile:
    """The variables of a file.

    Attributes
    ----------
    names : tuple of str
        The names of all variables.
    """

    def __init__(self, path: Path) -> None:
        content = memoryview(read_bytes(path))
        self._order, self._stored = _byte_order(content), len(content)
        self._taken = 0  # bytes of the arrays so far, as float64
        self._variables: dict[str, tuple[int, memoryview]] = {}
        rest = content[128:]
        while len(rest):
            kind, body, rest = self._element(rest)
            name = self._name(kind, body)
            if name in self._variables:
                raise DataError(f"the file has two variables {name!r}: write it again")
            self._variables[name] = kind, body
        self.names = tuple(self._variables)

    def array(self, name: str) -> NDArray[Any]:
        """A variable, its numbers in the type they are stored in; a cell array has dtype object.

        A text is an array of strings, whatever it says.
        """
        kind, body = self._variables[name]
        matrix = self._matrix(self._inflated(body) if kind == _COMPRESSED else body)
        return self._cells(matrix) if matrix.group == _CELL else self._array(matrix, name)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a cell array, or the rows of a matrix of characters without the spaces at their ends.

        Raises
        ------
        DataError
            For a variable that holds anything else.
        """
        kind, body = self._variables[name]
        matrix = self._matrix(self._inflated(body) if kind == _COMPRESSED else body)
        if matrix.group == _CHAR:
            return self._characters(matrix)
        if matrix.group != _CELL:
            raise DataError(f"{name} must be a cell array of texts: write {name} = {{'a', 'b'}}")
        found: list[str] = []
        for cell in self._bodies(matrix):
            inner = self._matrix(cell) if len(cell) else None
            if inner is None or inner.group != _CHAR:
                raise DataError(f"{name} must be a cell array of texts, one cell is none: quote it")
            found.append("".join(self._characters(inner)))
        return tuple(found)

    def _characters(self, matrix: _Matrix) -> tuple[str, ...]:
        """The rows of a matrix of characters."""
        element = self._element(matrix.rest)
        kinds = {1: "latin-1", 2: "latin-1", 16: "utf-8"}
        wide = {"<": "utf-16-le", ">": "utf-16-be"}[self._order]
        text = bytes(element.body).decode(kinds.get(element.kind, wide))
        if len(text) != math.prod(matrix.shape):
            raise DataError(
                f"a text claims {math.prod(matrix.shape)} characters, it has {len(text)}: damaged"
            )
        return tuple(text[i :: matrix.shape[0]].rstrip() for i in range(matrix.shape[0]))

    def _element(self, content: memoryview) -> _Element:
        """The first element, which may not reach beyond the end."""
        if len(content) < 8:
            raise DataError(f"an element is missing, {len(content)} bytes are left: damaged, write it again")
        kind, size = (int(value) for value in np.frombuffer(content[:8], f"{self._order}u4"))
        start, small = 8, kind >> 16
        if small:  # up to 4 bytes within the tag
            kind, size, start = kind & 0xFFFF, small, 4
        end = start + size
        if end > len(content) or small > 4:
            raise DataError(f"an element claims {size} bytes, there are {len(content) - start}: damaged")
        padded = 8 if small else end if kind == _COMPRESSED else end + -end % 8
        return _Element(kind, content[start:end], content[padded:])

    def _name(self, kind: int, body: memoryview) -> str:
        if kind == _COMPRESSED:
            body = memoryview(zlib.decompressobj().decompress(body, _HEAD))[8:]
        elif kind != _MATRIX:
            raise DataError(f"expected a variable, got an element of type {kind}: damaged, write it again")
        return self._matrix(body).name

    def _inflated(self, body: memoryview) -> memoryview:
        """The body of the matrix inside, whose size its own tag tells before it is inflated."""
        stream = zlib.decompressobj()
        tag = np.frombuffer(stream.decompress(body, 8), f"{self._order}u4")
        if len(tag) != 2 or tag[0] != _MATRIX:
            raise DataError("a deflated element holds no matrix: damaged, write it again")
        size = int(tag[1])
        check_expansion("a variable", len(body), size)
        content = stream.decompress(stream.unconsumed_tail, size + 8)
        if not stream.eof:
            stream.decompress(stream.unconsumed_tail, 1)  # the check sum
        if len(content) < size or not stream.eof:
            raise DataError(f"a variable claims {size} bytes, it holds {len(content)}, or more: damaged")
        return memoryview(content)[:size]

    def _matrix(self, body: memoryview) -> _Matrix:
        flags = self._element(body)
        shape = self._element(flags.rest)
        name = self._element(shape.rest)
        if len(flags.body) < 8:
            raise DataError("a matrix has no flags: damaged, write it again")
        value = int(np.frombuffer(flags.body[:4], f"{self._order}u4")[0])
        dims = tuple(int(length) for length in self._numbers(shape)[:33])
        if not 2 <= len(dims) <= 32 or min(dims) < 0:
            raise DataError(f"a matrix claims the dimensions {dims[:4]}: damaged, write it again")
        return _Matrix(
            name=bytes(name.body).decode("latin-1"),
            group=value & 0xFF,
            is_complex=bool(value & 0x800),
            shape=dims,
            rest=name.rest,
        )

    def _cells(self, matrix: _Matrix) -> NDArray[Any]:
        """The matrices of a cell array, as an array of arrays."""
        bodies = self._bodies(matrix)  # which has them counted
        cells = np.empty(len(bodies), dtype=object)
        for t, body in enumerate(bodies):
            what = f"{matrix.name} of task {t}"
            cells[t] = self._array(self._matrix(body), what) if len(body) else np.empty((0, 0))
        return cells.reshape(matrix.shape, order="F")

    def _bodies(self, matrix: _Matrix) -> list[memoryview]:
        """What the cells of a cell array hold."""
        count, rest = math.prod(matrix.shape), matrix.rest
        if count * 8 > len(rest):
            raise DataError(f"{matrix.name} claims {count} cells in {len(rest)} bytes: damaged")
        check_expansion(f"{matrix.name} with its {count} cells", self._stored, count * _CELL_BYTES)
        found = []
        for t in range(count):
            kind, body, rest = self._element(rest)
            if kind != _MATRIX:
                raise DataError(f"{matrix.name} of task {t} is no matrix: damaged, write it again")
            found.append(body)
        return found

    def _array(self, matrix: _Matrix, what: str) -> NDArray[Any]:
        """The numbers of a matrix."""
        if matrix.group == _CHAR:
            return np.array(["text"])
        if matrix.group != _SPARSE and matrix.group not in _NUMBERS:
            kind = "a cell array" if matrix.group == _CELL else "a struct, an object or a function"
            raise DataError(f"{what} is {kind}, expected a matrix of numbers: convert it")
        if matrix.is_complex:
            raise DataError(f"{what} holds complex numbers, expected real ones: take real() or abs()")
        check_size(what, matrix.shape)
        size = 8 * math.prod(matrix.shape)
        self._taken += size
        check_expansion(what, self._stored, self._taken)
        if matrix.group == _SPARSE:
            return self._sparse(matrix, what)
        values = self._numbers(self._element(matrix.rest))
        if 8 * len(values) != size:
            raise DataError(f"{what} claims the shape {matrix.shape}, it has {len(values)} numbers: damaged")
        return values.reshape(matrix.shape, order="F")

    def _sparse(self, matrix: _Matrix, what: str) -> NDArray[Any]:
        """A sparse matrix, dense: rows, column starts and values, which must fit each other."""
        rows = self._element(matrix.rest)
        starts = self._element(rows.rest)
        values = self._numbers(self._element(starts.rest))
        row, start = self._numbers(rows), self._numbers(starts)
        if len(matrix.shape) != 2 or {row.dtype.kind, start.dtype.kind} - set("iu"):
            raise DataError(f"{what} is sparse and has no rows and columns: damaged, write it again")
        height, width = matrix.shape
        start = start.astype(np.int64)
        if len(start) != width + 1 or start[0] != 0 or (np.diff(start) < 0).any():
            raise DataError(f"{what} is sparse, its columns do not start one after the other: damaged")
        count = int(start[-1])
        if count > min(len(row), len(values)):
            raise DataError(f"{what} is sparse and claims {count} numbers, it has {len(values)}: damaged")
        row = row[:count].astype(np.int64)
        if count and (row.min() < 0 or row.max() >= height):
            raise DataError(f"{what} is sparse and has numbers outside its {height} rows: damaged")
        dense = np.zeros(matrix.shape)
        np.add.at(dense, (row, np.repeat(np.arange(width), np.diff(start))), values[:count])
        return dense

    def _numbers(self, element: _Element) -> NDArray[Any]:
        if element.kind not in _STORED:
            raise DataError(f"expected numbers, got an element of type {element.kind}: damaged")
        dtype = np.dtype(self._order + _STORED[element.kind])
        if len(element.body) % dtype.itemsize:
            raise DataError(f"{len(element.body)} bytes hold no numbers of {dtype.itemsize} bytes: damaged")
        return np.frombuffer(element.body, dtype)
