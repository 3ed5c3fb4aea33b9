r"""A pack in the formats of others: the same names in all of them, every number bit for bit.

    pack     the folder of the pack itself, with its digests
    npy      a folder: one .npy each, problem.json and names.json as of `amtl-cvx export`, about.json
    npz      numpy.load
    mat      MATLAB and Octave, level 5
    json     one object of lists
    csv      a folder: rows.csv (task, y, features), a table each below a line of names, about.json
    hdf5     one data set each (needs h5py: pip install "amtl-cvx[hdf5]")

Names. X (N, d), y, task (N,) from 0, task_weights (T,), and where there are some sample_weight, pool,
unlabelled: the problem. W, B, or the blocks of another family: the answer; given_B and the like: what a step
is given; minimum_1_W and the like: other points. mu, coupling and what else the model is made of, loss and
reduction, objective: numbers and texts by these names; task_names, feature_names; about: pack.json as a text.

Octave counts the bytes of a text in a .mat file: a name with letters beyond ASCII loses its last ones there.

A folder npy is data and solution at once, `amtl-cvx certify FOLDER FOLDER`; of one of csv rows.csv is the
data. A block of csv that counts tasks or features has their names above its columns and before its rows.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import family_named
from amtl_cvx.reference.pack import Pack
from amtl_cvx.reference.readers.read_pack import read_pack as read_arrays

_WORDS = frozenset(
    (
        *("T", "d", "rows", "task_weights", "files", "sha256"),
        *("program", "schema", "source", "labels", "fingerprint"),
    )
)
"""What problem.json says that is no setting of the model, or an array beside it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """What of a pack is exported: arrays, numbers and texts, and the names of tasks and features."""

    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, float | str]
    names: Mapping[str, list[str]]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, pack: Pack) -> Content:
        """The content of a pack whose files were held against their digests."""
        about, stored = read_arrays(pack.folder)
        model = about.pop("model")
        names = json.loads((pack.folder / "problem" / "names.json").read_bytes())
        said = {key: value for key, value in model.items() if key not in _WORDS}
        values = {key: value for key, value in said.items() if isinstance(value, str | int | float)}
        objective = {"objective": float.fromhex(pack.claims["objective"]["hex"])}
        return cls(
            arrays={_flat(place): array for place, array in stored.items()},
            values={**values, **objective, "name": pack.name, "ask": pack.ask, "family": about["family"]},
            names=names,
            about=about,
        )

    @property
    def axes(self) -> Mapping[str, tuple[str, str]]:
        """What rows and columns of the blocks count."""
        return {"w": ("feature", ""), **family_named(str(self.about["family"])).axes}

    @property
    def texts(self) -> dict[str, Any]:
        """Names and pack.json, as one-file formats hold them."""
        return {**self.names, "about": json.dumps(self.about, sort_keys=True)}


def export_pack(pack: Pack, place: str | Path, *, kind: str = "pack") -> Path:
    """Write a pack in one of `FORMATS`, the whole of it or nothing.

    Parameters
    ----------
    pack : Pack
        Read, and so checked.
    place : str or Path
        A folder, absent or empty, or the name of a file that is not there yet.
    kind : str
        One of `FORMATS`.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    ModelError
        For an unknown format, and for one whose package is not installed.
    DataError
        For a place with something in it, or where nothing can be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from amtl_cvx.reference import read_pack
    >>> from amtl_cvx.reference.formats import export_pack
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = export_pack(read_pack("tiny-t2-d1-mean"), f"{folder}/pack.npz", kind="npz")
    ...     with np.load(place) as file:
    ...         print(file["X"].shape, file["W"].shape, float(file["mu"]))
    (20, 1) (1, 2) 0.25
    """
    if kind not in FORMATS:
        raise ModelError(f"--format must be one of {', '.join(FORMATS)}, got {kind!r}")
    target, write = Path(place), FORMATS[kind]
    try:
        if target.exists() and not (kind in FOLDERS and target.is_dir() and not any(target.iterdir())):
            raise DataError(f"{target} exists and is not empty: it is left alone, choose another --out")
        final = Path(os.path.realpath(target))
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{final.name[:40]}.", dir=final.parent))
        try:
            write(pack, work / final.name)
            os.replace(work / final.name, final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror or error}: free space or choose another --out"
        ) from error
    return target


def format_of(place: str | Path) -> str:
    """The format that the name of a file asks for: "pack" without a suffix of another one."""
    return SUFFIXES.get(Path(place).suffix.lower(), "pack")


def _flat(place: str) -> str:
    """problem/X, solution/W, given/B, minima/1/W as X, W, given_B, minimum_1_W."""
    kind, _, rest = place.partition("/")
    prefix = {"given": "given_", "minima": "minimum_"}.get(kind, "")
    return prefix + rest.replace("/", "_")


def _pack(pack: Pack, place: Path) -> None:
    shutil.copytree(pack.folder, place)


def _npy(pack: Pack, place: Path) -> None:
    content = Content.of(pack)
    shutil.copytree(pack.folder / "problem", place)
    for name, array in content.arrays.items():
        if not (place / f"{name}.npy").exists():
            np.save(place / f"{name}.npy", array, allow_pickle=False)
    _write_json(place / "about.json", {**content.about, **content.values})


def _npz(pack: Pack, place: Path) -> None:
    content = Content.of(pack)
    everything = {**content.arrays, **content.values, **content.texts}
    members: dict[str, Any] = {name: np.asarray(value) for name, value in everything.items()}
    with place.open("wb") as stream:  # else a suffix would be added to the name
        np.savez(stream, **members)


def _mat(pack: Pack, place: Path) -> None:
    import scipy.io

    content = Content.of(pack)
    cells = {key: np.array(names, dtype=object) for key, names in content.names.items()}
    everything = {**content.arrays, **content.values, **content.texts, **cells}
    with place.open("wb") as stream:
        scipy.io.savemat(stream, everything, oned_as="column", long_field_names=True)


def _json(pack: Pack, place: Path) -> None:
    content = Content.of(pack)
    arrays = {name: array.tolist() for name, array in content.arrays.items()}
    _write_json(place, {**content.values, **content.names, **arrays, "about": content.about})


def _hdf5(pack: Pack, place: Path) -> None:
    try:
        import h5py
    except ImportError as error:
        raise ModelError(
            '--format hdf5 needs h5py: pip install "amtl-cvx[hdf5]", or pip install h5py'
        ) from error
    content = Content.of(pack)
    with h5py.File(place, "w") as file:
        for name, value in {**content.arrays, **content.values, **content.texts}.items():
            file[name] = value


def _csv(pack: Pack, place: Path) -> None:
    content = Content.of(pack)
    place.mkdir()
    arrays, tasks = dict(content.arrays), content.names["task_names"]
    X, y, task = (arrays.pop(name) for name in ("X", "y", "task"))
    features = content.names.get("feature_names", [f"x{j}" for j in range(X.shape[1])])
    weights = arrays.pop("sample_weight", None)
    last = [] if weights is None else [weights.tolist()]
    heads = [_free(name, features) for name in ("task", "y", *["sample_weight"] * len(last))]
    rows = zip(task.tolist(), y.tolist(), X.tolist(), *last, strict=True)
    texts = [[tasks[t], repr(v), *map(repr, x), *map(repr, weight)] for t, v, x, *weight in rows]
    _write_csv(place / "rows.csv", [[*heads[:2], *features, *heads[2:]], *texts])
    named = {"task": tasks, "feature": features}
    for name, array in arrays.items():
        along, across = content.axes.get(name.rpartition("_")[2], ("", ""))
        _write_csv(place / f"{name}.csv", _table(array, (along, named.get(along)), named.get(across)))
    _write_json(place / "about.json", {**content.about, **content.values})


def _table(
    array: NDArray[Any], rows: tuple[str, Sequence[str] | None], columns: Sequence[str] | None
) -> list[list[str]]:
    """Numbers as texts; where rows or columns have names, these come first, and a word in the corner."""
    corner, names = rows
    cells = [list(map(repr, row)) for row in array.reshape(len(array), -1).tolist()]
    if names is None and columns is None:
        return cells
    left = names or [f"row {i}" for i in range(len(cells))]
    top = columns or [f"column {j}" for j in range(len(cells[0]))]
    return [[corner, *top], *([name, *row] for name, row in zip(left, cells, strict=True))]


def _free(name: str, taken: Sequence[str]) -> str:
    """A name that none of the features has."""
    return _free(f"{name}_", taken) if name in taken else name


def _write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


FORMATS: Mapping[str, Callable[[Pack, Path], None]] = {
    "pack": _pack,
    "npy": _npy,
    "npz": _npz,
    "mat": _mat,
    "json": _json,
    "csv": _csv,
    "hdf5": _hdf5,
}
"""What writes a format, by its name."""
FOLDERS = ("pack", "npy", "csv")
"""Formats that are folders."""
SUFFIXES: Mapping[str, str] = {".npz": "npz", ".mat": "mat", ".json": "json", ".h5": "hdf5", ".hdf5": "hdf5"}
"""What the name of a file ends in, by the format that it asks for."""
