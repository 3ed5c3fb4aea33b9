"""A problem as data: a folder of arrays with one JSON description, written whole and read without trust.

    problem.json    the model by the names of the command line (`Model.to_dict`), its family where that is not
                    AMTL, T, d, rows, labels, the fingerprint of the data, SHA-256 of the other files, and
                    last of what it says itself
    names.json      task_names, and feature_names where there are some
    X.npy (N, d), y.npy (N,), task.npy (N,)     the rows in the order of the tasks, the task of each
    task_weights.npy (T,)   of AMTL: c_t as numbers, for readers in other languages
    ones.npy (N,), basis.npy (d_original, d)    of tasks that hold factors, or stand in coordinates
    pool.npy (N,), unlabelled.npy (M, d)    where tasks share rows and the arrays do not say which: rows that
                    have one number are one; the numbers that are left are those of rows without a label

Arrays are little-endian, float64 and int64, the rows of X one after the other, so that every number comes
back bit for bit. Nothing is executed to read a folder: no array holds objects, and a penalty or loss of the
user's own is a name, found only if it is installed or the user has named it (`plugins`).

`model_from` is the one reader of a model: run folders, exported folders, proofs and saved problems use it. It
asks the family of the model, which reads what ``model.to_dict()`` writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.families import DEFAULT, family_named, family_of
from amtl_cvx.losses import Loss, make_loss
from amtl_cvx.tasks import LINKS, Task, TaskSet, links_from, same_bits
from amtl_cvx.untrusted import digest, existing_file, read_json, reading
from amtl_cvx.untrusted.npy import read_array

PROGRAM = "amtl_cvx"
SCHEMA = 1
_NEEDED, _OPTIONAL = ("X", "y", "task"), ("sample_weight", "ones", "basis", *LINKS)
_KINDS = {
    "X": (2, "f"),
    "y": (1, "f"),
    "task": (1, "i"),
    "sample_weight": (1, "f"),
    "ones": (1, "f"),
    "basis": (2, "f"),
    "pool": (1, "i"),
    "unlabelled": (2, "f"),
}
"""Dimensions and kind of the arrays that are read."""


def model_from(stored: Mapping[str, Any], *, source: str = "problem.json") -> Any:
    """The model that ``to_dict`` described, of AMTL where no `family` is named.

    Raises
    ------
    DataError, ModelError
        For anything else, and for a term or a family that is not known.
    """
    try:
        return family_named(stored.get("family", DEFAULT)).model_from(stored)
    except AMTLError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source} does not describe a model ({type(error).__name__}: {error})") from error


def loss_from(stored: Mapping[str, Any], *, source: str = "problem.json") -> Loss:
    """The loss of a model that `Model.to_dict` described; `DataError` for anything else."""
    try:
        return make_loss(stored["loss"], reduction=stored["reduction"])
    except AMTLError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source} does not describe a loss ({type(error).__name__}: {error})") from error


def described(tasks: TaskSet, model: Any) -> dict[str, Any]:
    """Which problem it is, without the rows: the model, what the data are called, and their fingerprint."""
    labels = tasks.labels if model.loss.classification else None
    family = family_of(model)
    return {
        **({} if family.name == DEFAULT else {"family": family.name}),
        **model.to_dict(),
        "labels": None if labels is None else list(labels),
        "T": tasks.T,
        "d": tasks.d,
        **rows_of(tasks),
        "fingerprint": tasks.fingerprint(pool=family.pooled),
    }


def rows_of(tasks: TaskSet) -> dict[str, list[Any]]:
    """How many rows each task has, and where they have weights the sums of these."""
    counted = any(task.total is not None for task in tasks)
    weights = {"weights": [task.total for task in tasks]} if counted else {}
    return {"rows": tasks.rows.tolist(), **weights}


def named(tasks: TaskSet) -> dict[str, list[str]]:
    """What the tasks are called, and the features where they have names."""
    features = {} if tasks.feature_names is None else {"feature_names": list(tasks.feature_names)}
    return {"task_names": list(tasks.names), **features}


def write(tasks: TaskSet, model: Any, place: str | Path, *, source: str) -> None:
    """Write the folder, the whole of it or nothing; `DataError` for one that is there and not empty."""
    target = Path(place)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise DataError(f"{target} exists and is not empty: it is left alone, choose another folder")
        target = Path(os.path.realpath(target))  # Path.resolve raises for a loop of links
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}: choose another folder") from error
    try:
        whole = work / target.name  # with the permissions of a new folder, which `work` has not
        whole.mkdir()
        _fill(whole, tasks, model, source)
        os.replace(whole, target)
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror}: free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read(place: str | Path) -> tuple[TaskSet, Any]:
    """Tasks and model that `write` wrote, or an earlier export; `DataError`, one line, for anything else."""
    folder = Path(place)
    existing_file(folder / "problem.json", "a folder that Problem.save wrote")
    with reading(folder, "problem"):
        about = read_about(folder)
        files = _files(about)
        names = read_names(folder)
        if "names.json" in files and digest(folder / "names.json") != files["names.json"]:
            raise _changed("names.json")
        arrays = {key: _array(folder, key, files) for key in _NEEDED}
        arrays |= {key: _array(folder, key, files) for key in _OPTIONAL if (folder / f"{key}.npy").exists()}
        return problem_from(arrays, about, names)


def problem_from(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]
) -> tuple[TaskSet, Any]:
    """Tasks and model of the stacked rows, as `described` and the names say; errors as of `read`."""
    model = model_from(about)
    tasks = _tasks(arrays, about, names)
    family_of(model).check(tasks, model)
    return tasks, model


def read_about(folder: Path) -> Mapping[str, Any]:
    """What problem.json says; `DataError` where it is of another program, a later version or was changed."""
    about = read_json(folder / "problem.json")
    if not isinstance(about, dict) or about.get("program") != PROGRAM:
        raise DataError("problem.json is of another program: give a folder that Problem.save wrote")
    if about.get("schema", SCHEMA) != SCHEMA:
        raise DataError(f"problem.json has the schema {str(about['schema'])[:20]}, expected {SCHEMA}: update")
    if "sha256" in about and about["sha256"] != _own_digest(about):
        raise _changed("problem.json")
    return about


def read_names(folder: Path) -> dict[str, tuple[str, ...]]:
    """The lists of names.json; empty without one."""
    path = folder / "names.json"
    return names_from(read_json(path)) if path.exists() else {}


def names_from(content: object, *, source: str = "names.json") -> dict[str, tuple[str, ...]]:
    """The lists of names that `named` gave; `DataError` for anything else."""
    keys = ("task_names", "feature_names")
    if not isinstance(content, dict) or not all(isinstance(content.get(key, []), list) for key in keys):
        raise DataError(f"{source} must hold the lists {' and/or '.join(keys)}: write them so")
    return {key: tuple(str(name) for name in content[key]) for key in keys if key in content}


def _fill(folder: Path, tasks: TaskSet, model: Any, source: str) -> None:
    X, y, task = tasks.stacked()
    arrays = {"X": X, "y": y, "task": task, **family_of(model).arrays(tasks, model)}
    if (weights := tasks.stacked_weights()) is not None:
        arrays["sample_weight"] = weights
    if any(each.ones is not None for each in tasks):
        lacking = (np.full(len(each.y), np.nan) if each.ones is None else each.ones for each in tasks)
        arrays["ones"] = np.concatenate([*lacking])
    if tasks.basis is not None:
        arrays["basis"] = tasks.basis
    if tasks.links is not None:
        arrays |= tasks.links.arrays()
    for name, array in arrays.items():
        kind = "<i8" if name in ("task", "pool") else "<f8"
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, dtype=kind), allow_pickle=False)
    _write_json(folder / "names.json", named(tasks))
    about = {"program": PROGRAM, "schema": SCHEMA, "source": source, **described(tasks, model)}
    if any(each.compressed for each in tasks):
        about["factors"] = True
    about["files"] = {path.name: digest(path) for path in sorted(folder.iterdir())}
    _write_json(folder / "problem.json", {**about, "sha256": _own_digest(about)})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _own_digest(about: Mapping[str, Any]) -> str:
    """Of what problem.json says but for this, whatever its spaces and the order of its keys."""
    said = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _changed(name: str) -> DataError:
    return DataError(f"{name} is not the file that was written: it was changed or cut off, get it again")


def _files(about: Mapping[str, Any]) -> Mapping[str, str]:
    """The digests of the files; an earlier export, or a folder of another program's making, has none."""
    files = about.get("files", {})
    if not (isinstance(files, dict) and all(isinstance(value, str) for value in files.values())):
        raise DataError("problem.json lists its files in a way of its own: write it with Problem.save")
    return files


def _array(folder: Path, key: str, files: Mapping[str, str]) -> np.ndarray:
    """One array, its digest taken from the very bytes that are read."""
    path = folder / f"{key}.npy"
    existing_file(path, f"an array {path.name}")
    with path.open("rb") as stream:
        if files and files.get(path.name) != hashlib.file_digest(stream, "sha256").hexdigest():
            raise _changed(path.name)
        stream.seek(0)
        array = read_array(stream, key, os.fstat(stream.fileno()).st_size)
    ndim, kind = _KINDS[key]
    if array.ndim != ndim or array.dtype.kind != kind or array.dtype.itemsize != 8:
        what = "float64" if kind == "f" else "int64"
        raise DataError(f"{path.name} must be {what} of {ndim} dimensions, it is {array.dtype} {array.shape}")
    return array


def _tasks(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]
) -> TaskSet:
    """The tasks of the stacked rows; consecutive tasks of the same X share it, as one-vs-rest tasks do."""
    X, y, task, rows = np.ascontiguousarray(arrays["X"]), arrays["y"], arrays["task"], about["rows"]
    T = len(rows)
    called = names.get("task_names", tuple(f"task {t}" for t in range(T)))
    ends = np.searchsorted(task, np.arange(T + 1))
    if not (
        len(X) == len(y) == len(task) == len(arrays.get("ones", y)) == len(arrays.get("sample_weight", y))
        and about["T"] == T == len(called)
        and about["d"] == X.shape[1]
        and np.array_equal(np.sort(task), task)
        and (ends[0], ends[-1]) == (0, len(task))
        and (about.get("factors") is True or rows == np.diff(ends).tolist())
    ):
        raise DataError("its arrays and what problem.json says do not fit each other: write it again")
    totals = about.get("weights", [None] * T) if about.get("factors") is True else [None] * T
    weighted = [total is not None for total in about.get("weights", [None] * T)]
    found: list[Task] = []
    for t, (start, stop) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        part: Array = X[start:stop]
        if found and same_bits(found[-1].X, part):
            part = found[-1].X
        ones = arrays["ones"][start:stop] if "ones" in arrays else None
        own = weighted[t] and "sample_weight" in arrays
        found.append(
            Task(
                X=part,
                y=y[start:stop],
                name=called[t],
                sample_weight=arrays["sample_weight"][start:stop] if own else None,
                count=int(rows[t]) if about.get("factors") is True else None,
                total=None if own else totals[t],
                ones=None if ones is None or np.isnan(ones).any() else ones,
            )
        )
    labels = about.get("labels")
    return TaskSet(
        tasks=tuple(found),
        feature_names=names.get("feature_names"),
        digest=about["fingerprint"] if about.get("factors") is True or "basis" in arrays else None,
        basis=arrays.get("basis"),
        labels=None if labels is None else (labels[0], labels[1]),
        links=links_from(arrays, found, same="basis" not in arrays),
    )
