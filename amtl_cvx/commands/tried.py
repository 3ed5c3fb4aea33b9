"""tuning.json read again: the trials of a stored tuning, to be drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.tuning import Axis, Trial, Tuning
from amtl_cvx.families.settings.named import NamedMethod
from amtl_cvx.runfolder.files import locate
from amtl_cvx.untrusted import read_bytes, reading

_FILE = "tuning.json"


def read_trials(run: Path) -> Tuning:
    """The tuning beside a run, without what fitting its choice needs.

    Raises
    ------
    DataError
        Where there is none, or the file is not one that `tune` wrote.
    """
    path = locate(run if run.is_dir() else run.parent, _FILE)
    if not path.is_file():
        raise DataError(f"{run} has no {_FILE}: --kind tuning is of a run that tune wrote")
    with reading(path, "tuning.json"):
        return _tuning(json.loads(read_bytes(path)))


def _tuning(stored: Mapping[str, Any]) -> Tuning:
    """Whatever is raised says that it is not one that `tune` wrote."""
    name = str(stored["method"])
    axes = tuple(Axis(str(each["name"]), each["values"], scale=each["scale"]) for each in stored["axes"])
    trials = tuple(_trial(each, axes) for each in stored["trials"])
    parameters = stored["chosen"]["parameters"]
    return Tuning(
        method=NamedMethod(name=name, title=name, family="", method="", parameters=()),
        settings={},
        measure=str(stored["measure"]),
        trials=trials,
        chosen=next(trial for trial in trials if trial.parameters == parameters),
        rule="one-se" if stored["rule"] == "one-se" else "best",
        axes=axes,
        widened=tuple(map(str, stored["widened"])),
        edges=tuple(map(str, stored["edges"])),
        splits_words=str(stored["splits"]),
        seconds=float(stored["seconds"]),
    )


def _trial(stored: Mapping[str, Any], axes: Sequence[Axis]) -> Trial:
    errors = tuple(math.inf if error is None else float(error) for error in stored["errors"])
    if not errors or any(math.isnan(error) for error in errors):
        raise ValueError("a trial without errors")
    parameters = {axis.name: stored["parameters"][axis.name] for axis in axes}
    for axis in axes:
        value = parameters[axis.name]
        sound = (
            isinstance(value, str) if axis.scale == "choice" else is_number(value) and math.isfinite(value)
        )
        if not sound:
            raise ValueError(f"a value of {axis.name} that is none: {str(value)[:40]}")
    return Trial(
        parameters=parameters,
        errors=errors,
        seconds=float(stored["seconds"]),
        growing=int(stored.get("growing", 0)),
        bounded=int(stored.get("bounded", 0)),
    )
