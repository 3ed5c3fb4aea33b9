"""What the files of a run hold: run.json, the numbers, the history and the pictures.

run.json names a model by the words of the command line, so that a run can be repeated by hand and
`model_from_dict(model_to_dict(model)) == model`.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import importlib.metadata
import json
import logging
import math
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError
from amtl_cvx.families import DEFAULT
from amtl_cvx.problem import Model
from amtl_cvx.problem.stored import model_from, rows_of
from amtl_cvx.runfolder.state import STATE, state_arrays
from amtl_cvx.solution import Solution, history_columns
from amtl_cvx.tasks import distinct_rows

_log = logging.getLogger(__name__)

PROGRAM = "amtl_cvx"
SCHEMA = 1
_PACKAGES = ("amtl-cvx", "cvxpy", "numpy", "scipy", "clarabel", "osqp", "scs", "matplotlib", "scikit-learn")


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
        **({} if solution.family.name == DEFAULT else {"family": solution.family.name}),
        "method": solution.method,
        "status": solution.status.value,
        "level": solution.certificate.level,
        "model": model_to_dict(solution.model),
        "chosen": choice,
        "seed": seed,
        "scores": {name: dict(values) for name, values in scores.items()},
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "T": train.T,
            "d": train.d,
            **rows_of(train),
            **({"missing": train.missing} if train.missing else {}),
            "fingerprint": dataset.pool_fingerprint if solution.family.pooled else dataset.fingerprint,
            **({} if dataset.whole is None else {"whole": dataset.whole}),
        },
        "preparation": None if solution.preparation is None else solution.preparation.to_dict(),
        "task_names": list(solution.task_names),
        "feature_names": None if train.feature_names is None else list(train.feature_names),
        "classes": None if dataset.classes is None else list(dataset.classes),
        "labels": None if solution.labels is None else list(solution.labels),
        "order": None if solution.order is None else list(solution.order),
        "seconds": dict(solution.seconds),
        "gpu": solution.gpu,
        "versions": versions(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Python, the platform and the packages that matter."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def model_to_dict(model: Model) -> dict[str, Any]:
    """A model by the names of the command line."""
    return model.to_dict()


def model_from_dict(stored: Mapping[str, Any]) -> Model:
    """The model that `model_to_dict` wrote; `DataError` for anything else."""
    model: Model = model_from(stored, source="run.json")
    return model


def write_numbers(folder: Path, solution: Solution) -> None:
    """solution.npz, certificate.json and history.csv; state.npz where the fit can go on."""
    family = solution.family
    arrays = {
        **solution.blocks,
        "losses": solution.losses,
        "objective": np.float64(solution.objective),
        **family.rest(solution.facts),
    }
    np.savez(folder / "solution.npz", **arrays)
    if solution.state is not None:
        np.savez(folder / STATE, **state_arrays(solution.state))  # type: ignore[arg-type]
    (folder / "certificate.json").write_text(to_json(solution.certificate.to_dict()))
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(history_columns(family.residuals_of))
        writer.writerows(record.columns().values() for record in solution.history)


def write_pictures(
    folder: Path,
    solution: Solution,
    dataset: Dataset,
    run: Mapping[str, Any],
    further: Callable[[], str] | None = None,
) -> None:
    """The family's pictures and report.html; what cannot be drawn is a warning.

    `further` makes sections of the report that are not of the solution.
    """

    def report(path: Path) -> None:
        from amtl_cvx.report import write_report

        write_report(
            path,
            solution=solution,
            arguments=run["arguments"],
            versions=run["versions"],
            data={**run["data"], "rows": distinct_rows(dataset.train)},
            scores=run["scores"] or None,
            truth_B=dataset.truth_B,
            further="" if further is None else further(),
        )

    try:
        pictures = solution.family.pictures(solution, title=dataset.name)
    except Exception as error:
        pictures = {}
        _log.warning("no picture was drawn: %s: %s", type(error).__name__, error)
    for name, write in pictures.items():
        draw(folder / name, write)
    draw(folder / "report.html", report)


def draw(path: Path, write: Callable[[Path], None]) -> None:
    """Write a picture or a page; a failure is a warning: the numbers are there without it."""
    try:
        write(path)
    except Exception as error:
        path.unlink(missing_ok=True)
        _log.warning("%s was not drawn: %s: %s", path.name, type(error).__name__, error)


def read_run_json(path: Path) -> Mapping[str, Any]:
    """The content of a run.json; empty where there is none, or another program's."""
    try:
        return parse_run_json(path.read_bytes(), path) if path.is_file() else {}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}: it should be the run.json of fit") from error


def parse_run_json(content: bytes, path: Path) -> Mapping[str, Any]:
    """What the bytes of a run.json say; empty for another program's."""
    try:
        run = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path}: {error}: it should be the run.json that fit wrote") from error
    return run if isinstance(run, dict) and run.get("program") == PROGRAM else {}


def to_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file; NaN and infinity, which JSON does not have, become null.

    Whatever else it has not becomes its words: a record must not cost the run it is about.
    """
    return json.dumps(_finite(content), indent=2, allow_nan=False, default=str) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
