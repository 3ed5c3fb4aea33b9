"""The folder of a run: what `amtl-cvx fit --out DIR` leaves behind, and how it is read again.

    solution.npz       W (d, T), B (T, T), losses (T,), objective (); `order` (T,) for a curriculum
    certificate.json   the certificate
    history.csv        one line a step
    graph.png, graph.graphml, report.html
    run.json           arguments, model, preparation, versions, seed, timings, hash of the data

A folder is written beside its place under a temporary name and moved there when it is complete, so DIR is
whole or absent, also after an interrupt. An existing folder is replaced only if it is empty or holds a
run.json of ours; anything else in it is somebody's work.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from amtl_cvx.data import Dataset, read_arrays
from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.model import Model, make_model
from amtl_cvx.preparation import Preparation
from amtl_cvx.solution import HISTORY_COLUMNS, Record, Solution
from amtl_cvx.tasks import Array, check_weights

PROGRAM = "amtl_cvx"
SCHEMA = 1
_PACKAGES = ("amtl-cvx", "cvxpy", "numpy", "scipy", "clarabel", "osqp", "scs", "matplotlib", "scikit-learn")


class RunFolder:
    """A folder that appears at its place only when it is complete.

        with RunFolder(Path("out")) as folder:   # DataError here if "out" cannot be written or is not ours
            ...                                  # the fit
            folder.write(solution, ...)

    Leaving the block without `write` removes the temporary folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._created: list[Path] = []
        check_replaceable(place)
        try:
            self._target = place.resolve()  # what a symbolic link points to is replaced, not the link
            missing = [parent for parent in self._target.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                self._created.append(parent)
            prefix = f".{self._target.name[:40]}."
            self.work = Path(tempfile.mkdtemp(prefix=prefix, dir=self._target.parent))
        except OSError as error:
            self._remove_parents()
            raise DataError(f"cannot write to {place}: {error.strerror}: choose another --out") from error
        except KeyboardInterrupt:
            self._remove_parents()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.work.exists():
            shutil.rmtree(self.work, ignore_errors=True)
        if not self.place.exists():
            self._remove_parents()

    def write(
        self,
        solution: Solution,
        *,
        dataset: Dataset,
        arguments: Mapping[str, Any],
        seed: int,
        scores: Mapping[str, Mapping[str, float]],
        choice: Mapping[str, Any] | None = None,
    ) -> None:
        """Write every file and move the folder to its place."""
        try:
            _write_numbers(self.work, solution)
            run = describe(
                solution, dataset=dataset, arguments=arguments, seed=seed, scores=scores, choice=choice
            )
            _write_pictures(self.work, solution, dataset, run)
            (self.work / "run.json").write_text(_json(run))
            self.work.chmod(0o777 & ~umask())
            self._move()
        except OSError as error:
            raise DataError(
                f"cannot write to {self.place}: {error.strerror}: free space or choose another --out"
            ) from error

    def _move(self) -> None:
        """Swap the finished folder in; the old one goes only once the new one is there."""
        check_replaceable(self.place)
        old = self.work.with_name(self.work.name + ".old")
        if self._target.exists():
            os.replace(self._target, old)
        try:
            os.replace(self.work, self._target)
        except OSError:
            if old.exists():
                os.replace(old, self._target)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _remove_parents(self) -> None:
        for parent in reversed(self._created):
            with contextlib.suppress(OSError):
                parent.rmdir()


def check_replaceable(place: Path) -> None:
    """Raise `DataError` unless `place` is free, an empty folder, or a folder with our run.json.

    The current folder cannot be replaced either: whoever stands in it would be left in a deleted one.
    """
    try:
        if not place.exists() and not place.is_symlink():
            return
        if place.is_dir() and (not any(place.iterdir()) or _is_ours(place / "run.json")):
            if Path.cwd().is_relative_to(place.resolve()):
                raise DataError(f"--out {place} is where you are: give a new folder, such as {place / 'run'}")
            return
        what = "a folder without a run.json of ours" if place.is_dir() else "a file"
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}: choose another --out") from error
    raise DataError(
        f"--out {place} exists and is {what}: it is left alone, choose another folder or remove it"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRun:
    """A run read back: numbers from solution.npz, the rest from run.json beside it (if there is one)."""

    W: Array
    B: Array
    losses: Array | None = None
    order: tuple[int, ...] | None = None
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


def read_run(path: Path) -> StoredRun:
    """A run folder, or a solution.npz with or without a run.json beside it.

    Raises
    ------
    DataError
        For a missing, truncated or foreign file.
    """
    numbers = path / "solution.npz" if path.is_dir() else path
    arrays = read_arrays(numbers, required=("W", "B"), optional=("losses", "order"))
    if arrays["W"].ndim != 2 or not arrays["W"].size:
        raise DataError(f"{numbers}: W must have two dimensions (d, T), it has shape {arrays['W'].shape}")
    d, T = arrays["W"].shape
    W, B = check_weights(arrays["W"], arrays["B"], d=d, T=T)
    run = _read_json(numbers.parent / "run.json")
    names = run.get("task_names")
    if run and not (isinstance(names, list) and len(names) == T):
        raise DataError(
            f"{numbers} has {T} tasks, the run.json beside it names others: keep the files of a run together"
        )
    return StoredRun(W=W, B=B, losses=arrays.get("losses"), order=_order(arrays.get("order")), run=run)


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


def describe(
    solution: Solution,
    *,
    dataset: Dataset,
    arguments: Mapping[str, Any],
    seed: int,
    scores: Mapping[str, Mapping[str, float]],
    choice: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of run.json."""
    train = dataset.train
    return {
        "program": PROGRAM,
        "schema": SCHEMA,
        "arguments": dict(arguments),
        "method": solution.method,
        "status": solution.status.value,
        "model": model_to_dict(solution.model),
        "chosen": choice,
        "seed": seed,
        "scores": {name: dict(values) for name, values in scores.items()},
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "T": train.T,
            "d": train.d,
            "rows": [int(n) for n in train.counts],
            "fingerprint": train.fingerprint(),
        },
        "preparation": None if solution.preparation is None else solution.preparation.to_dict(),
        "task_names": list(solution.task_names),
        "feature_names": None if train.feature_names is None else list(train.feature_names),
        "classes": None if dataset.classes is None else list(dataset.classes),
        "order": None if solution.order is None else list(solution.order),
        "seconds": dict(solution.seconds),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Python, the platform and the packages that matter."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def model_to_dict(model: Model) -> dict[str, Any]:
    """A model by the names of the command line."""
    weights = model.task_weights
    return {
        "loss": model.loss.name,
        "reduction": model.loss.reduction,
        "transfer": model.transfer.name,
        "mu": model.mu,
        "coupling": model.coupling,
        "task_weights": weights if isinstance(weights, str) else list(weights),
    }


def model_from_dict(stored: Mapping[str, Any]) -> Model:
    """The model that `model_to_dict` wrote; `DataError` for anything else."""
    try:
        weights = stored["task_weights"]
        return make_model(
            loss=stored["loss"],
            reduction=stored["reduction"],
            transfer=stored["transfer"],
            mu=float(stored["mu"]),
            coupling=float(stored["coupling"]),
            task_weights=weights if isinstance(weights, str) else tuple(float(c) for c in weights),
        )
    except AMTLError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"run.json does not describe a model ({type(error).__name__}: {error})") from error


def _write_numbers(folder: Path, solution: Solution) -> None:
    arrays = {
        "W": solution.W,
        "B": solution.B,
        "losses": solution.losses,
        "objective": np.float64(solution.objective),
    }
    if solution.order is not None:
        arrays["order"] = np.array(solution.order, dtype=np.int64)
    np.savez(folder / "solution.npz", **arrays)  # type: ignore[arg-type]
    (folder / "certificate.json").write_text(_json(solution.certificate.to_dict()))
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HISTORY_COLUMNS)
        writer.writerows(
            [getattr(record, column) for column in HISTORY_COLUMNS] for record in solution.history
        )


def _write_pictures(folder: Path, solution: Solution, dataset: Dataset, run: Mapping[str, Any]) -> None:
    from amtl_cvx.plotting import graph_figure, write_png
    from amtl_cvx.report import write_report

    graph = solution.graph
    write_png(graph_figure(graph, title=dataset.name), folder / "graph.png")
    graph.write_graphml(folder / "graph.graphml")
    write_report(
        folder / "report.html",
        solution=solution,
        arguments=run["arguments"],
        versions=run["versions"],
        data={**run["data"], "rows": sum(run["data"]["rows"])},
        scores=run["scores"] or None,
        truth_B=dataset.truth_B,
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}: it should be the run.json that fit wrote") from error
    return content if isinstance(content, dict) and content.get("program") == PROGRAM else {}


def _is_ours(path: Path) -> bool:
    try:
        return bool(_read_json(path))
    except DataError:
        return False


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def umask() -> int:
    """The permissions that new files go without."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
