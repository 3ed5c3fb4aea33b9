r"""Export: the prepared problem as a folder of arrays, so that any other code minimises exactly the same J.

    X.npy (N, d)    prepared features, a column of ones last where there is an intercept
    y.npy (N,)      targets; -1/+1 for a classification loss
    task.npy (N,)   the task of each row, 0..T-1, in the order of `task_names`
    task_weights.npy (T,)   c_t
    names.json      task_names, and feature_names where there are some
    problem.json    loss, reduction, transfer, mu, coupling, task_weights by name, T, d, rows, fingerprint,
                    labels (what the data call -1 and +1)

Arrays are little-endian, float64 and int64, the rows of X one after the other.

    J(W, B) = sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t) + coupling ||W - W B||_F^2,   B >= 0, diag(B) = 0

with L_t the mean or the sum (`reduction`) of the loss over the rows of task t. The folder is data again
(`data.read`), with the model of problem.json as its settings; `amtl-cvx certify FOLDER SOLUTION` judges what
the other code found.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.data.untrusted import read_json
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet

PROGRAM = "amtl_cvx"
_SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "loss": str,
    "reduction": str,
    "transfer": str,
    "task_weights": (str, list),
    "coupling": (int, float),
    "mu": (int, float),
}
"""What problem.json holds of a model."""


def export(tasks: TaskSet, model: Model, place: str | Path, *, source: str = "Python") -> None:
    """Write a problem as a folder of arrays that `read` reads back, the whole folder or nothing.

    Parameters
    ----------
    tasks : TaskSet
        Prepared tasks, their rows in memory.
    model : Model
        What is minimised.
    place : str or Path
        The folder, absent or empty.
    source : str
        What problem.json says of where the data come from.

    Raises
    ------
    DataError
        For a folder with something in it, one that cannot be written, and for tasks that hold factors.
    """
    model.check(tasks)
    if any(task.compressed for task in tasks):
        raise DataError("the tasks hold factors of their rows: read the data with keep_rows=True")
    target = Path(place)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise DataError(
                f"--out {target} exists and is not empty: it is left alone, choose another folder"
            )
        target = Path(os.path.realpath(target))  # Path.resolve raises for a loop of links
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}: choose another --out") from error
    try:
        whole = work / target.name  # with the permissions of a new folder, which `work` has not
        whole.mkdir()
        _fill(whole, tasks, model, source)
        os.replace(whole, target)
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror}: free space or choose another --out"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_settings(folder: Path) -> Mapping[str, Any]:
    """The model of a problem.json that `export` wrote, as settings; empty where there is none."""
    path = folder / "problem.json"
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("program") != PROGRAM:
        return {}
    for key, kinds in _SETTINGS.items():
        if not isinstance(content.get(key), kinds):
            raise DataError(f"problem.json has no {key} of the right kind: write it with amtl-cvx export")
    weights = content["task_weights"]
    settings = {key: content[key] for key in _SETTINGS}
    return settings if isinstance(weights, str) else settings | {"task_weights": tuple(weights)}


def _fill(folder: Path, tasks: TaskSet, model: Model, source: str) -> None:
    X, y, task = tasks.stacked()
    if model.loss.classification:
        y = np.where(y > 0, 1.0, -1.0)
    arrays = {"X": X, "y": y, "task": task, "task_weights": model.task_weight(tasks)}
    for name, array in arrays.items():
        kind = "<i8" if name == "task" else "<f8"
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, dtype=kind), allow_pickle=False)
    names: dict[str, Any] = {"task_names": list(tasks.names)}
    if tasks.feature_names is not None:
        names["feature_names"] = list(tasks.feature_names)
    about = {
        "program": PROGRAM,
        "source": source,
        **model.to_dict(),
        "labels": list(tasks.labels) if model.loss.classification and tasks.labels is not None else None,
        "T": tasks.T,
        "d": tasks.d,
        "rows": [int(n) for n in tasks.counts],
        "fingerprint": tasks.fingerprint(),
    }
    for name, content in (("names", names), ("problem", about)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
