"""Data: what `DATA` on the command line means.

DATA is a problem, the name of a folder under `problems/`, or a file in one of four layouts:

    .npz   `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1; optional `task_names`, `feature_names`
    .csv   long form; `task` and `target` name two columns, every other column is a feature
    .mat   cell arrays `X`, `Y`, one cell per task (the MALSAR layout)
    .mat   `train_x`, `train_y`, `trindex` and optionally `val_x`, `val_y`, `valindex` and `test_x`, `test_y`,
           `teindex` (the AMTL authors' layout). The indexes are 1-based starts, the last task ends at the
           last row. Without `trindex` the targets must be class labels: one task per class.

A problem name wins over a file of the same name. Files are not trusted: nothing is unpickled, and the sizes a
header claims are checked before memory is taken. Whatever is wrong with a file is one `DataError` line that
starts with the name of the file. Numbers become float64 before any arithmetic.

    >>> dataset = read("digits")
    >>> dataset.train.T, dataset.settings["loss"]
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.tasks import Array, TaskSet, check_complete, check_features, check_weights, frame_numbers

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 8 * 2**30
"""Largest array, as float64, that is read from a file."""
MAX_CLASSES = 1000
"""Whole-number targets with more different values than this are not read as class labels."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PARTS = {
    "train": ("train_x", "train_y", "trindex"),
    "validation": ("val_x", "val_y", "valindex"),
    "test": ("test_x", "test_y", "teindex"),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Tasks with what is known about them.

    Parameters
    ----------
    name : str
        The name of the problem, or of the file without its suffix.
    train, validation, test : TaskSet
        The same T tasks over the same d features; validation and test may be missing.
    truth_W : (d, T) ndarray, optional
        The weights the data were generated from.
    truth_B : (T, T) ndarray, optional
        1 at [s, t] where task s can teach task t, else 0.
    classes : tuple of str, optional
        For one-vs-rest tasks: task t is class t, so that the class of a row is the argmax over the tasks.
    settings : mapping
        Recommended command-line settings; empty for a file.
    source : str
        Where the data come from.

    Raises
    ------
    DataError
        If the parts do not fit each other.
    """

    name: str
    train: TaskSet
    validation: TaskSet | None = None
    test: TaskSet | None = None
    truth_W: Array | None = None
    truth_B: Array | None = None
    classes: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        d, T = self.train.d, self.train.T
        for part, tasks in (("validation", self.validation), ("test", self.test)):
            if tasks is not None and (tasks.d, tasks.T) != (d, T):
                raise DataError(
                    f"the {part} part must have {T} tasks with {d} features, like the training part, it has"
                    f" {tasks.T} with {tasks.d}"
                )
        if self.truth_W is not None or self.truth_B is not None:
            check_weights(
                np.zeros((d, T)) if self.truth_W is None else self.truth_W,
                np.zeros((T, T)) if self.truth_B is None else self.truth_B,
                d=d,
                T=T,
            )
        if self.classes is not None and len(self.classes) != T:
            raise DataError(f"expected one class per task, got {len(self.classes)} classes for {T} tasks")
        object.__setattr__(self, "settings", dict(self.settings))


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """Raw rows to predict on.

    Parameters
    ----------
    X : (N, d) ndarray
        Features in the users' units, in the order of the file.
    task : (N,) int64 ndarray or tuple of N str, optional
        The task of each row: its number (.npz) or its name (.csv).
    feature_names : tuple of str, optional
        The names of the columns of X.
    """

    X: Array
    task: NDArray[np.int64] | tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None


def read(data: str | Path, *, task: str | None = None, target: str | None = None) -> Dataset:
    """A problem by its name, or a file; `task` and `target` name columns of a .csv.

    Raises
    ------
    DataError
        For a name that is neither, and for a file that cannot be used; the message is one line.
    """
    if str(data) in problem_names():
        _no_columns(f"the problem {str(data)!r}", task, target)
        return _read_problem(str(data))
    path = _file(data)
    with _reading(path):
        if path.suffix.lower() == ".csv":
            return _read_csv(path, task, target)
        _no_columns(f"a {path.suffix} file", task, target)
        return _read_npz(path) if path.suffix.lower() == ".npz" else _read_mat(path)


def read_features(path: str | Path, *, task: str | None = None, target: str | None = None) -> FeatureTable:
    """Raw rows for prediction: `X` and, if present, `task` of a .npz, or the columns of a .csv.

    In a .csv, column `task` gives the task of each row and a column `target`, if there is one, is dropped.

    Raises
    ------
    DataError
        As for `read`.
    """
    file = _file(path)
    with _reading(file):
        if file.suffix.lower() == ".npz":
            _no_columns("a .npz file", task, target)
            return _features_npz(file)
        if file.suffix.lower() == ".csv":
            return _features_csv(file, task, target)
        raise DataError("rows to predict on must be a .npz with X [, task] or a .csv: convert this file")


def problems_folder() -> Path:
    """The folder of the problems: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "problems"
    return inside if inside.is_dir() else package.parent / "problems"


def problem_names() -> tuple[str, ...]:
    """The names `read` knows."""
    found = problems_folder().glob("*/problem.json")
    return tuple(sorted(file.parent.name for file in found if (file.parent / "make.py").is_file()))


def _read_problem(name: str) -> Dataset:
    folder = problems_folder() / name
    about = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
    module_name = f"amtl_cvx_problem_{name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(module_name, folder / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dataset: Dataset = module.make(seed=about["seed"])
    return replace(dataset, name=about["name"], settings=about["settings"], source=about["source"])


def _file(data: str | Path) -> Path:
    """The path of an existing, non-empty file of a known type."""
    path, known = Path(data), f"a .npz, .csv or .mat file, or a problem ({', '.join(problem_names())})"
    try:
        exists, regular = path.exists(), path.is_file()
    except (OSError, ValueError):
        exists = regular = False
    if not exists:
        raise DataError(f"expected {known}, there is no file or problem {str(data)!r}: check the name")
    if not regular:
        raise DataError(f"expected {known}, but {str(data)!r} is not a file: give the file itself")
    if path.suffix.lower() not in (".npz", ".csv", ".mat"):
        raise DataError(f"expected {known}, but {path.name!r} ends in {path.suffix!r}: convert or rename it")
    if path.stat().st_size == 0:
        raise DataError(f"expected {known}, but {path.name!r} is empty (0 bytes): write it again")
    return path


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """One `DataError` line that starts with the file's name, whatever goes wrong inside."""
    try:
        yield
    except AMTLError as error:
        raise DataError(f"{path.name}: {error}") from error
    except Exception as error:  # a damaged file makes a parser raise anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        kind = path.suffix.lower()
        message = f"{path.name}: expected a readable {kind} file, it is damaged or of another kind ({reason})"
        raise DataError(f"{message}: write or download it again") from error


def _no_columns(what: str, task: str | None, target: str | None) -> None:
    if task is not None or target is not None:
        raise DataError(f"task and target name columns of a .csv file, {what} has none: leave them out")


# .npz


def _read_npz(path: Path) -> Dataset:
    arrays = _npz_arrays(path, ("X", "y", "task"), ("task_names", "feature_names"))
    tasks = TaskSet.from_stacked(
        arrays["X"],
        arrays["y"],
        arrays["task"],
        names=_labels(arrays, "task_names"),
        feature_names=_labels(arrays, "feature_names"),
    )
    return Dataset(name=path.stem, train=tasks, source=f"file {path.name}")


def _features_npz(path: Path) -> FeatureTable:
    arrays = _npz_arrays(path, ("X",), ("task", "feature_names"))
    X, names, task = check_features(arrays["X"]), _labels(arrays, "feature_names"), arrays.get("task")
    if names is not None and len(names) != X.shape[1]:
        raise DataError(f"expected {X.shape[1]} feature names, got {len(names)}")
    if task is None:
        return FeatureTable(X=X, feature_names=names)
    if task.ndim == 2 and 1 in task.shape:
        task = task.ravel()
    if task.shape != (len(X),) or task.dtype.kind not in "iufb":
        raise DataError(
            f"task must hold one integer per row of X, {len(X)}, it has {task.shape} of {task.dtype}"
        )
    if not (np.isfinite(task).all() and np.array_equal(task, np.round(task)) and (task >= 0).all()):
        raise DataError("task must hold integers 0..T-1, it has fractions, negative numbers or NaN")
    return FeatureTable(X=X, task=task.astype(np.int64), feature_names=names)


def _npz_arrays(path: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        call = ", ".join(f"{key}={key}" for key in required)
        raise DataError(
            f"expected a .npz archive, this is none, or truncated: write it with numpy.savez(file, {call})"
        )
    with zipfile.ZipFile(path) as archive:
        present = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
        missing = [key for key in required if key not in present]
        if missing:
            raise DataError(
                f"expected the arrays {', '.join(required)}, the file has {', '.join(present) or 'none'}: add"
                f" {', '.join(missing)}"
            )
        return {key: _npz_member(archive, key) for key in (*required, *optional) if key in present}


def _npz_member(archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """One array, after its header was checked against the limit and against the size of the member."""
    info = archive.getinfo(f"{key}.npy")
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise DataError(f"{key} has an unknown array format {version}: write it with numpy.savez")
        shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise DataError(
            f"{key} holds Python objects, expected plain numbers or strings: convert it, then save again"
        )
    _check_size(key, shape, dtype.itemsize)
    stored = math.prod(shape) * dtype.itemsize
    if stored > info.file_size:
        raise DataError(
            f"{key} claims {stored} bytes, the file holds {info.file_size}: damaged, write it again"
        )
    with archive.open(info) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _check_size(key: str, shape: Sequence[int], itemsize: int = 8) -> None:
    if any(length < 0 for length in shape) or math.prod(shape) * max(itemsize, 8) > MAX_BYTES:
        limit = f"{MAX_BYTES / 2**30:g} GiB"
        raise DataError(
            f"{key} claims the shape {tuple(shape)}, expected at most {limit}: damaged, or split it"
        )


def _labels(arrays: Mapping[str, NDArray[Any]], key: str) -> tuple[str, ...] | None:
    if key not in arrays:
        return None
    labels = np.atleast_1d(arrays[key])
    if labels.ndim != 1:
        raise DataError(f"{key} must have one dimension, it has shape {labels.shape}")
    texts = labels.astype(str) if labels.dtype.kind == "S" else labels
    return tuple(str(label) for label in texts.tolist())


# .csv


def _read_csv(path: Path, task: str | None, target: str | None) -> Dataset:
    frame = _frame(path)
    if task is None or target is None:
        columns = ", ".join(str(column) for column in frame.columns[:12])
        raise DataError(f"a .csv file needs --task COLUMN and --target COLUMN; its columns are {columns}")
    return Dataset(
        name=path.stem, train=TaskSet.from_frame(frame, task=task, target=target), source=f"file {path.name}"
    )


def _features_csv(path: Path, task: str | None, target: str | None) -> FeatureTable:
    frame = _frame(path)
    if target is not None and target != task:
        frame = frame.drop(columns=[column for column in frame.columns if column == target])
    check_complete(frame)
    labels = None
    if task is not None:
        if task not in frame.columns:
            raise DataError(f"no column {task!r}; the columns are {', '.join(str(c) for c in frame.columns)}")
        labels = tuple(str(label) for label in frame[task].tolist())
        frame = frame.drop(columns=[task])
    X = check_features(frame_numbers(frame))
    return FeatureTable(X=X, task=labels, feature_names=tuple(str(column) for column in frame.columns))


def _frame(path: Path) -> pd.DataFrame:
    """The table, without a row index that was saved with it (first column, no name, counting from 0)."""
    import pandas as pd

    frame = pd.read_csv(path)
    if not len(frame):
        raise DataError("expected a header line and at least one row, it has no rows: add data")
    first = frame.columns[0]
    if str(first) == "Unnamed: 0" and np.array_equal(frame[first].to_numpy(), np.arange(len(frame))):
        _log.warning(
            "%s: the first column has no name and counts the rows: left out, a saved index", path.name
        )
        return frame.drop(columns=[first])
    return frame


# .mat


def _read_mat(path: Path) -> Dataset:
    """Either layout, told apart by the names of the variables."""
    variables, present = _mat_variables(path)
    source = f"file {path.name}"
    if "X" in variables and "Y" in variables:
        return Dataset(name=path.stem, train=_malsar(variables["X"], variables["Y"]), source=source)
    if "train_x" in variables and "train_y" in variables:
        classes = None if "trindex" in variables else _class_labels(variables["train_y"])
        train = _part(variables, "train", classes)
        validation, test = (_other_part(variables, part, train, classes) for part in ("validation", "test"))
        labels = None if classes is None else tuple(f"{label:g}" for label in classes.tolist())
        return Dataset(
            name=path.stem, train=train, validation=validation, test=test, classes=labels, source=source
        )
    raise DataError(
        "expected the variables X, Y (cells, one per task) or train_x, train_y, trindex, the file has"
        f" {', '.join(present[:12]) or 'none'}: rename them"
    )


def _mat_variables(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The non-empty variables of both layouts, and the names of all variables in the file."""
    from scipy.io import loadmat, whosmat

    with path.open("rb") as stream:
        head = stream.read(520)
    if _HDF5 in (head[:8], head[512:520]):
        raise DataError(
            "expected a MATLAB file up to version 7, this is v7.3 (HDF5): save it with save(..., '-v7')"
        )
    listing = whosmat(str(path), appendmat=False)
    wanted = [key for key in ("X", "Y", *(key for keys in _PARTS.values() for key in keys))]
    for name, shape, _ in listing:
        if name in wanted:
            _check_size(name, shape)
    loaded = loadmat(str(path), appendmat=False, variable_names=wanted)
    dense = {key: _dense(loaded[key], key) for key in wanted if key in loaded}
    return {key: value for key, value in dense.items() if value.size}, [name for name, _, _ in listing]


def _dense(value: Any, what: str) -> NDArray[Any]:
    from scipy import sparse

    if sparse.issparse(value):
        matrix: Any = value
        _check_size(what, matrix.shape)
        return np.asarray(matrix.toarray())
    if not isinstance(value, np.ndarray):  # scipy puts a text where it could not read a variable
        raise DataError(f"{what} cannot be read: the file is damaged, write or download it again")
    return value


def _malsar(X: NDArray[Any], Y: NDArray[Any]) -> TaskSet:
    """Cells of (n_t, d), or all of (d, n_t), with targets of n_t entries."""
    if X.dtype != object or Y.dtype != object or X.size != Y.size:
        raise DataError(
            f"expected cell arrays X and Y with one cell per task, got X {X.shape} {X.dtype} and Y {Y.shape}"
            f" {Y.dtype}: use num2cell, or train_x, train_y, trindex"
        )
    features = [_dense(cell, f"X of task {t}") for t, cell in enumerate(X.ravel(order="F"))]
    targets = [_vector(_dense(cell, f"Y of task {t}")) for t, cell in enumerate(Y.ravel(order="F"))]
    pairs = list(zip(features, targets, strict=True))
    by_rows = all(x.ndim == 2 and x.shape[0] == len(y) for x, y in pairs)
    if not by_rows and all(x.ndim == 2 and x.shape[1] == len(y) for x, y in pairs):
        features = [x.T for x in features]
    return TaskSet.from_arrays(features, targets)


def _other_part(
    variables: Mapping[str, NDArray[Any]], part: str, train: TaskSet, classes: Array | None
) -> TaskSet | None:
    """Validation or test; None, with a warning where something is there, if it cannot serve as such."""
    needed = _PARTS[part][: 3 if classes is None else 2]
    absent = [key for key in needed if key not in variables]
    if len(absent) == len(needed):
        return None
    if absent:
        _log.warning("no %s part: the file has no %s", part, ", ".join(absent))
        return None
    width = variables[needed[0]].shape[-1]
    if width != train.d:
        _log.warning("no %s part: %s has %d columns, train_x %d", part, needed[0], width, train.d)
        return None
    return _part(variables, part, classes)


def _part(variables: Mapping[str, NDArray[Any]], part: str, classes: Array | None) -> TaskSet:
    x_key, y_key, index_key = _PARTS[part]
    X, y = check_features(variables[x_key], what=x_key), _vector(variables[y_key])
    if y.shape != (len(X),):
        raise DataError(f"{y_key} must hold one target per row of {x_key}, {len(X)}, it has shape {y.shape}")
    if classes is not None:
        return TaskSet.one_vs_rest(X, y.astype(np.float64), classes=classes.tolist())
    starts = _starts(variables[index_key], len(X), index_key)
    ends = [*starts[1:], len(X)]
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    return TaskSet.from_arrays([X[span] for span in spans], [y[span] for span in spans])


def _starts(index: NDArray[Any], rows: int, key: str) -> list[int]:
    """1-based starts as 0-based ones."""
    starts = _vector(index)
    if starts.ndim != 1 or starts.dtype.kind not in "iuf":
        raise DataError(f"{key} must hold the first row of each task, it has {index.shape} of {index.dtype}")
    values = starts.astype(np.float64)
    if not np.array_equal(values, np.round(values)) or (np.diff(values) <= 0).any() or values[0] != 1:
        shown = ", ".join(f"{value:g}" for value in values[:4])
        raise DataError(f"{key} must hold increasing 1-based starts that begin with 1, it has {shown}, ...")
    if values[-1] > rows:
        raise DataError(f"{key} starts the last task at row {values[-1]:g}, there are only {rows} rows")
    return [int(value) - 1 for value in values]


def _class_labels(labels: NDArray[Any]) -> Array:
    """The classes of one-vs-rest tasks, sorted, if the targets are class labels."""
    if labels.dtype.kind not in "iufb":
        raise DataError(f"train_y must hold numbers, it has dtype {labels.dtype}: number the classes")
    present = np.unique(labels.astype(np.float64))
    whole = bool(np.isfinite(present).all()) and np.array_equal(present, np.round(present))
    if not whole or not 2 <= len(present) <= MAX_CLASSES:
        raise DataError(
            f"expected trindex (1-based task starts), or class labels in train_y: it has"
            f" {len(present)} different values that are not class labels: add trindex"
        )
    return present


def _vector(values: NDArray[Any]) -> NDArray[Any]:
    return values.ravel() if values.ndim == 2 and 1 in values.shape else values
