"""A run read back from its folder; whatever is missing, truncated or foreign is a `DataError`."""

from __future__ import annotations

import csv
import functools
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, Labels, clean
from amtl_cvx.data.blocks import read_blocks
from amtl_cvx.errors import DataError
from amtl_cvx.families import DEFAULT, Family, Found, Named, family_named
from amtl_cvx.losses import Loss
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.problem.stored import loss_from, model_from
from amtl_cvx.runfolder.files import locate
from amtl_cvx.runfolder.schema import check_record, check_run
from amtl_cvx.runfolder.settled import content_of, foreign, is_recorded, settled
from amtl_cvx.solution import Record
from amtl_cvx.transfer import transfers
from amtl_cvx.untrusted import reading
from amtl_cvx.weights import omegas

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRun(Named):
    """A run read back: numbers from solution.npz, the rest from run.json beside it (if there is one).

    `blocks` are those of the family, each an attribute too (AMTL: ``W``, ``B``). `own_tasks` and
    `own_features` are names that the file of the blocks itself gives, `rest` what the family stores beside
    them, unchecked.
    """

    blocks: Mapping[str, Array]
    losses: Array | None = None
    order: tuple[int, ...] | None = None
    own_tasks: tuple[str, ...] | None = None
    own_features: tuple[str, ...] | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    alone: str = DEFAULT
    """The family of blocks beside which there is no run.json."""

    @property
    def family(self) -> Family:
        """The family that run.json names, AMTL where it names none; without one that of the blocks."""
        return _family(self.run, self.alone)

    @property
    def predictors(self) -> Array:
        """The predictors of the tasks for prepared features, (d, T)."""
        return self.family.predictors(self.blocks)

    @property
    def shape(self) -> tuple[int, int]:
        """How many prepared features and how many tasks it is of, (d, T)."""
        return self.family.shape(self.blocks)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments that run.json records; empty without one."""
        return self.run.get("arguments") or {}

    @property
    def data(self) -> Mapping[str, Any]:
        """What run.json records of the data; empty without one."""
        return self.run.get("data") or {}

    @property
    def seed(self) -> int:
        """The seed of the run, 0 without one."""
        return int(self.run.get("seed") or 0)

    @property
    def preparation(self) -> Preparation | None:
        stored = self.run.get("preparation")
        if stored is None:
            return None
        preparation = replace(Preparation.from_dict(stored), feature_names=self.feature_names)
        if preparation.d + preparation.intercept != self.shape[0]:
            raise DataError(
                f"run.json: the preparation is one of {preparation.d} features, the predictors have"
                f" {self.shape[0]}: keep the files of a run together"
            )
        return preparation

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(map(clean, self.run.get("task_names") or [f"task {t}" for t in range(self.shape[1])]))

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        names = self.run.get("feature_names")
        return None if names is None else tuple(map(clean, names))

    @property
    def labels(self) -> Labels | None:
        """The two classes in the users' words; earlier versions stored none."""
        stored = self.run.get("labels")
        return None if stored is None else (stored[0], stored[1])

    @property
    def model(self) -> Model:
        """The model of run.json; `DataError` where there is none."""
        model: Model = model_from({**self._model, "family": self.family.name}, source="run.json")
        return model

    @property
    def loss(self) -> Loss:
        """The loss of run.json; `DataError` where there is none."""
        return loss_from(self._model, source="run.json")

    def missing_penalty(self) -> str:
        """What to say where a penalty of the run, on B or on W, is not known here; "" where both are."""
        model = self.run.get("model") or {}
        for name, plugins in (("transfer", transfers), ("omega", omegas)):
            label = model.get(name)
            if isinstance(label, str) and plugins.find(label) is None:
                return plugins.unknown(label)
        return ""

    @property
    def _model(self) -> Mapping[str, Any]:
        stored = self.run.get("model")
        if not isinstance(stored, Mapping):
            raise DataError("no run.json beside the solution: give a run folder that fit wrote")
        return stored


def read_run(path: str | Path, *, family: str = DEFAULT) -> StoredRun:
    """Read a run folder, or blocks in any layout, with or without a run.json beside them.

    A W and B may be in any layout of `read_point`, the blocks of other families in those of `read_blocks`;
    `family` is the one they are of where no run.json says so.

    The solution.npz of a folder must be the one that run.json describes; that of a file given by its own name
    may be another one (a warning says so), which is judged by the settings of the run.json beside it.

    Raises
    ------
    DataError
        For a missing, truncated or foreign file, and for a folder with files of two runs.
    """
    path = Path(path)
    whole = path.is_dir()
    folder, name = (path, "solution.npz") if whole else (path.parent, path.name)

    def read(run: Mapping[str, Any]) -> StoredRun:
        numbers = locate(folder, name)
        if name != "solution.npz" or not numbers.is_file():
            return _stored(_found(run, path, family), path, run, family)
        with reading(numbers, ".npz"):
            file = numbers.open("rb")
        with file:  # the numbers and their digest are of one file, whatever takes its place
            stored = _stored(_found(run, file, family), numbers, run, family)
            recorded = is_recorded(name, file, run)
        if not recorded:
            if whole:
                raise foreign(folder / name)
            _log.warning("%s is not the file that the run.json beside it describes", path)
        return stored

    return settled(folder, read)


def read_history(folder: Path) -> tuple[Record, ...]:
    """The records of history.csv, of a run folder or beside a solution.npz; `DataError` if there is none."""
    whole = folder.is_dir()
    home = folder if whole else folder.parent

    def read(run: Mapping[str, Any]) -> tuple[Record, ...]:
        records, recorded = _records(locate(home, "history.csv"), run)
        if whole and not recorded:
            raise foreign(home / "history.csv")
        return records

    return settled(home, read)


def read_certificate(path: Path, run: Mapping[str, Any]) -> Mapping[str, Any]:
    """The certificate.json of a run, as it was written; empty without one, or where it is not the run's."""
    folder = path if path.is_dir() else path.parent
    content = content_of(locate(folder, "certificate.json"))
    if content is None or not run or not is_recorded("certificate.json", io.BytesIO(content), run):
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _family(run: Mapping[str, Any], alone: str) -> Family:
    """The family of a run, by its run.json if there is one."""
    return family_named(run.get("family", DEFAULT) if run else alone)


def _found(run: Mapping[str, Any], source: Any, alone: str) -> Found:
    family = _family(run, alone)
    return family.read(source, arrays=functools.partial(read_blocks, axes=family.axes))


def _stored(found: Found, source: Path, run: Mapping[str, Any], alone: str) -> StoredRun:
    """A point that was read from `source`, held against the names of run.json."""
    family = _family(run, alone)
    with reading(source, "solution"):
        blocks = family.checked(found.blocks)
        d, T = family.shape(blocks)
        losses, order = _losses(found.losses, T), _order(found.order, T)
    names = run.get("task_names")
    if run and not (isinstance(names, list) and len(names) == T):
        raise DataError(
            f"{source} has {T} tasks, the run.json beside it names others: keep the files of a run together"
        )
    return StoredRun(
        blocks=blocks,
        losses=losses,
        order=order,
        own_tasks=found.task_names,
        own_features=found.feature_names,
        rest=found.rest,
        run=check_run(run, d=d, T=T),
        alone=alone,
    )


def _losses(array: np.ndarray | None, T: int) -> Array | None:
    if array is None:
        return None
    if array.shape != (T,) or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise DataError(
            f"losses must hold {T} finite numbers, they have shape {array.shape} of {array.dtype}"
        )
    return array.astype(np.float64)


def _order(array: np.ndarray | None, T: int) -> tuple[int, ...] | None:
    if array is None:
        return None
    tasks = set(array.tolist()) if array.dtype.kind in "iu" and array.ndim == 1 else {-1}
    if len(tasks) != len(array) or not tasks <= set(range(T)):  # shorter after an interrupt
        raise DataError(
            f"order must hold different numbers of the {T} tasks, it has shape {array.shape} of {array.dtype}"
        )
    return tuple(int(t) for t in array)


def _records(path: Path, run: Mapping[str, Any]) -> tuple[tuple[Record, ...], bool]:
    """The records of a history, and whether run.json describes that file."""
    try:
        content = path.read_bytes()
        rows = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        of = family_named(run.get("family", DEFAULT)).residuals_of
        found = tuple(Record.of(row, blocks=of) for row in rows)
        for record in found:
            check_record(record)
        return found, is_recorded("history.csv", io.BytesIO(content), run)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}: give a run folder") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} is not a history that fit wrote ({type(error).__name__}: {error})"
        ) from error
