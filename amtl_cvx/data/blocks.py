"""Named arrays of a point from any source, for families that have no layouts of their own.

    .npz     the arrays by name; optional texts "task_names", "feature_names"
    folder   one .npy each, optional `names.json` (lists "task_names", "feature_names")
    folder   one .csv each: numbers alone, or below a line of names, each row after its own (`cells`)
    .mat     variables, up to version 7; optional names as texts
    .json    {"L": [[...], ...], ...}, optional lists "task_names", "feature_names"

A folder with a solution.npz is a run. Shapes and values are for the caller to check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from amtl_cvx.arrays import clean
from amtl_cvx.data.cells import tables_of
from amtl_cvx.data.mat5 import MatlabFile
from amtl_cvx.data.npz import read_arrays, text_labels
from amtl_cvx.errors import DataError
from amtl_cvx.problem.stored import read_names
from amtl_cvx.untrusted import check_size, existing_file, read_bytes, reading
from amtl_cvx.untrusted.npy import ArrayFile

NAMES = ("task_names", "feature_names")


def read_blocks(
    source: str | Path | BinaryIO,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    axes: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The named arrays of a file in any layout above, and names as tuples of str where they are asked for.

    Parameters
    ----------
    source : str, Path or binary file
        The file or folder, or an open .npz.
    required, optional : sequence of str
        Names of arrays, "task_names" and "feature_names" among the optional ones, which may be absent.
    axes : mapping
        What rows and columns of a block count (`Family.axes`): whose names stand in a .csv.

    Raises
    ------
    DataError
        For what is absent, damaged, of another kind, or without a required array; the message is one line.
    """
    if not isinstance(source, str | Path):
        return _archive(source, Path(source.name), required, optional)
    place = Path(source)
    if place.is_dir() and (place / f"{required[0]}.npy").exists():
        with reading(place, "folder"):
            return _folder(place, required, optional)
    if place.is_dir() and (place / f"{required[0]}.csv").exists():
        with reading(place, "folder"):
            return _tables(place, required, optional, axes)
    expected = (
        f"a run folder, a .npz, .json or .mat file with {' and '.join(required)}, or a folder of .npy or .csv"
    )
    file = existing_file(place / "solution.npz" if place.is_dir() else place, expected)
    kinds = {".json": _json, ".mat": _matlab}
    if (read := kinds.get(file.suffix.lower())) is not None:
        with reading(file, file.suffix.lower()):
            return read(file, required, optional)
    return _archive(file, file, required, optional)


def _archive(
    source: Path | BinaryIO, place: Path, required: Sequence[str], optional: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {**read_arrays(source, required=required, optional=optional)}
    with reading(place, ".npz"):
        return found | {key: tuple(map(clean, text_labels(found[key], key))) for key in NAMES if key in found}


def _folder(folder: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in (*required, *optional):
        path = folder / f"{key}.npy"
        if key not in NAMES and (key in required or path.exists()):
            with reading(path, ".npy"):
                file = ArrayFile.open(path)
                check_size(key, file.shape, file.dtype.itemsize)
                found[key] = file.rows(0, file.shape[0]) if file.shape else np.empty(0)
    names = read_names(folder)
    return found | {key: tuple(map(clean, names[key])) for key in NAMES if key in names and key in optional}


def _tables(
    folder: Path, required: Sequence[str], optional: Sequence[str], axes: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    wanted = [key for key in optional if key not in NAMES]
    found = tables_of(folder, required=required, optional=wanted, axes=axes)
    names = {**read_names(folder), **{key: found.pop(key) for key in NAMES if key in found}}
    return found | {key: tuple(map(clean, names[key])) for key in NAMES if key in names and key in optional}


def _matlab(path: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    file = MatlabFile(path)
    _check_there(file.names, required)
    wanted = [key for key in (*required, *optional) if key in file.names and key not in NAMES]
    found = {key: file.array(key) for key in wanted}
    names = {key: file.texts(key) for key in NAMES if key in file.names and key in optional}
    known = {key: tuple(map(clean, texts)) for key, texts in names.items()}
    return {key: array.ravel() if key == "losses" else array for key, array in found.items()} | known


def _json(path: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    content = json.loads(read_bytes(path))
    if not isinstance(content, dict):
        raise DataError(f"expected an object with {', '.join(required)}, rows of numbers: write it so")
    _check_there(tuple(content), required)
    found: dict[str, Any] = {}
    for key in (*required, *optional):
        if content.get(key) is None:
            continue
        if key not in NAMES:
            found[key] = np.array(content[key])
        elif isinstance(content[key], list) and all(isinstance(name, str) for name in content[key]):
            found[key] = tuple(map(clean, content[key]))
        else:
            raise DataError(f"{key} must be a list of texts: quote them")
    return found


def _check_there(names: Sequence[str], required: Sequence[str]) -> None:
    if missing := [key for key in required if key not in names]:
        there = ", ".join(map(str, names[:12])) or "none"
        raise DataError(f"expected {', '.join(required)}, the file has {there}: add {', '.join(missing)}")
