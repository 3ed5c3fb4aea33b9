r"""Export: the prepared problem as a folder of arrays, so that any other code minimises exactly the same J.

The folder is that of `Problem.save` (`problem.stored` says what it holds), with targets -1/+1 for a
classification loss, and never a factor in place of rows.

    J(W, B) = sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t) + coupling ||W - W B||_F^2,   B >= 0, diag B = 0

with L_t the mean or the sum (`reduction`) of the loss over the rows of task t, and the penalty on W that is
named, if any. The folder is data again (`data.read`), with the model of problem.json as its settings;
`amtl-cvx certify FOLDER SOLUTION` judges what the other code found. A model of another family is stored by
its own words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import DEFAULT, family_named, family_of
from amtl_cvx.problem import stored
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import read_json

_SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "loss": str,
    "reduction": str,
    "transfer": str,
    "task_weights": (str, list),
    "coupling": (int, float),
    "mu": (int, float),
}
"""What problem.json holds of a model."""
_OPTIONAL: Mapping[str, type] = {"transfer_parameters": dict, "omega": str, "omega_parameters": dict}
"""And what it holds where there is any."""


def export(tasks: TaskSet, model: Any, place: str | Path, *, source: str = "Python") -> None:
    """Write a problem as a folder of arrays that `read` and `Problem.load` read back, all of it or nothing.

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
    family_of(model).check(tasks, model)
    if any(task.compressed for task in tasks):
        raise DataError("the tasks hold factors of their rows: read the data with keep_rows=True")
    if model.loss.classification:
        signed = tuple(replace(task, y=np.where(task.y > 0, 1.0, -1.0)) for task in tasks)
        tasks = replace(tasks, tasks=signed)
    stored.write(tasks, model, place, source=source)


def read_settings(folder: Path) -> Mapping[str, Any]:
    """The model of a problem.json that `export` wrote, as settings, with its family where that is not AMTL.

    Empty where there is none.
    """
    path = folder / "problem.json"
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("program") != stored.PROGRAM:
        return {}
    content = stored.read_about(folder)
    if content.get("factors"):
        raise DataError("the folder holds factors of rows, which are no data: read it with Problem.load")
    if (family := content.get("family", DEFAULT)) != DEFAULT:
        with contextlib.suppress(ModelError):  # of a family that is not known: data all the same
            family_named(family)
            return {"family": family, **stored.model_from(content).to_dict()}
        return {}
    for key, kinds in _SETTINGS.items():
        if not isinstance(content.get(key), kinds):
            raise DataError(f"problem.json has no {key} of the right kind: write it with amtl-cvx export")
    weights, given = content["task_weights"], {key: content[key] for key in _OPTIONAL if key in content}
    for key, value in given.items():
        if not isinstance(value, _OPTIONAL[key]):
            raise DataError(f"problem.json has no {key} of the right kind: write it with amtl-cvx export")
    settings = {key: content[key] for key in _SETTINGS} | given
    return settings if isinstance(weights, str) else settings | {"task_weights": tuple(weights)}
