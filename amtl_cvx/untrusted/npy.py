"""A .npy file: its header is checked against the bytes that are there, then it is read, whole or in parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_room, check_size, existing_file


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """A .npy file that is read in parts."""

    path: Path
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @classmethod
    def open(cls, path: Path) -> ArrayFile:
        """From the header, which is checked against the size of the file."""
        existing_file(path, f"an array {path.name}")
        with path.open("rb") as stream:
            shape, fortran, dtype = array_header(stream, path.name)
            offset = stream.tell()
        check_stored(path.name, shape, dtype, path.stat().st_size - offset)
        return cls(path=path, shape=shape, fortran=fortran, dtype=dtype, offset=offset)

    def vector(self) -> ArrayFile:
        """The same numbers as (N,), where this is (N, 1)."""
        shape = self.shape[:1] if len(self.shape) == 2 and self.shape[1] == 1 else self.shape
        return ArrayFile(path=self.path, shape=shape, fortran=False, dtype=self.dtype, offset=self.offset)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop, as they are stored."""
        shape = (min(stop, self.shape[0]) - start, *self.shape[1:])
        if not (self.fortran and len(shape) == 2):
            width = int(np.prod(shape[1:], dtype=np.int64))
            return self._read(start * width, shape[0] * width).reshape(shape)
        columns = np.empty(shape[::-1], dtype=self.dtype)
        for j in range(shape[1]):
            columns[j] = self._read(j * self.shape[0] + start, shape[0])
        return columns.T

    def _read(self, start: int, count: int) -> NDArray[Any]:
        place = self.offset + start * self.dtype.itemsize
        return np.fromfile(self.path, dtype=self.dtype, count=count, offset=place)


def read_array(stream: BinaryIO, key: str, size: int) -> NDArray[Any]:
    """The array of an open .npy file of `size` bytes."""
    shape, _, dtype = array_header(stream, key)
    check_stored(key, shape, dtype, size - stream.tell())
    check_size(key, shape, dtype.itemsize)
    check_room(key, 2 * math.prod(shape) * dtype.itemsize)
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def array_header(stream: IO[bytes], key: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype that a .npy stream claims, none of them Python objects."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise DataError(f"{key} has an unknown array format {version}: write it with numpy.savez or save")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise DataError(
            f"{key} holds Python objects, expected plain numbers or strings: convert it, then save again"
        )
    return shape, fortran, dtype


def check_stored(key: str, shape: Sequence[int], dtype: np.dtype[Any], size: int) -> None:
    """Refuse a claim of more bytes than the `size` that are there, or of a negative number."""
    stored = math.prod(shape) * dtype.itemsize
    if stored > size or any(length < 0 for length in shape):
        raise DataError(f"{key} claims {stored} bytes, the file holds {size}: damaged, write it again")
