"""A run read back from its folder; whatever is missing, truncated or foreign is a `DataError`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.data import read_point
from amtl_cvx.data.untrusted import reading
from amtl_cvx.errors import DataError
from amtl_cvx.model import Model
from amtl_cvx.preparation import Preparation
from amtl_cvx.runfolder.content import model_from_dict, read_run_json
from amtl_cvx.solution import Record
from amtl_cvx.tasks import Array, check_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRun:
    """A run read back: numbers from solution.npz, the rest from run.json beside it (if there is one).

    `own_tasks` and `own_features` are names that the file of W and B itself gives their columns and rows.
    """

    W: Array
    B: Array
    losses: Array | None = None
    order: tuple[int, ...] | None = None
    own_tasks: tuple[str, ...] | None = None
    own_features: tuple[str, ...] | None = None
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments that run.json records; empty without one."""
        return _mapping(self.run.get("arguments"))

    @property
    def data(self) -> Mapping[str, Any]:
        """What run.json records of the data; empty without one."""
        return _mapping(self.run.get("data"))

    @property
    def preparation(self) -> Preparation | None:
        stored = self.run.get("preparation")
        return None if stored is None else Preparation.from_dict(stored)

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(self.run.get("task_names") or (f"task {t}" for t in range(len(self.B))))

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        names = self.run.get("feature_names")
        return None if names is None else tuple(names)

    @property
    def model(self) -> Model:
        """The model of run.json; `DataError` where there is none."""
        stored = self.run.get("model")
        if not isinstance(stored, Mapping):
            raise DataError("no run.json beside the solution: give a run folder that fit wrote")
        return model_from_dict(stored)


def read_run(path: str | Path) -> StoredRun:
    """A run folder, or a W and B in any layout of `data.read_point`, with or without a run.json beside it.

    Raises
    ------
    DataError
        For a missing, truncated or foreign file.
    """
    path = Path(path)
    found = read_point(path)
    d, T = found.W.shape
    with reading(path, "solution"):
        W, B = check_weights(found.W, found.B, d=d, T=T)
        order = _order(found.order)
    run = read_run_json((path if path.is_dir() else path.parent) / "run.json")
    names = run.get("task_names")
    if run and not (isinstance(names, list) and len(names) == T):
        raise DataError(
            f"{path} has {T} tasks, the run.json beside it names others: keep the files of a run together"
        )
    return StoredRun(
        W=W,
        B=B,
        losses=found.losses,
        order=order,
        own_tasks=found.task_names,
        own_features=found.feature_names,
        run=run,
    )


def _order(array: np.ndarray | None) -> tuple[int, ...] | None:
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"order must hold the numbers of the tasks, it has shape {array.shape} of {array.dtype}"
        )
    return tuple(int(t) for t in array)


def read_history(folder: Path) -> tuple[Record, ...]:
    """The records of history.csv, of a run folder or beside a solution.npz; `DataError` if there is none."""
    path = (folder if folder.is_dir() else folder.parent) / "history.csv"
    try:
        with path.open(newline="") as file:
            return tuple(_record(row) for row in csv.DictReader(file))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}: give a run folder") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a history that fit wrote ({type(error).__name__}: {error})"
        ) from error


def _record(row: Mapping[str, str]) -> Record:
    numbers = ("objective", "stationarity_W", "stationarity_B", "relative", "seconds")
    texts = ("step", "solver", "solver_status")
    values: dict[str, Any] = {name: float(row[name]) for name in numbers} | {
        name: row[name] for name in texts
    }
    return Record(round=int(row["round"]), **values)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
