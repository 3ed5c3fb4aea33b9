"""Places of runs: what may be written to, what only a better run may replace, and the names beside DIR."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.content import read_run_json
from amtl_cvx.runfolder.files import OWN_FILES, OWN_PREFIX, locate
from amtl_cvx.solution import Status

Missed = Literal["interrupted", "uncertified"]
"""What a run is that does not replace a certified one, and the name of its folder beside it."""


def check_replaceable(place: Path) -> None:
    """Raise `DataError` unless `place` is free, an empty folder, or a folder with our run.json.

    In such a folder only our own files are replaced, so a folder by the name of one of them is in the way.
    """
    try:
        if not place.exists() and not place.is_symlink():
            return
        if not place.is_dir():
            what = "is a file"
        elif not described(place) and any(not name.startswith(OWN_PREFIX) for name in os.listdir(place)):
            what = "is a folder without a run.json of ours"
        else:
            taken = next((name for name in OWN_FILES if (place / name).is_dir()), None)
            if taken is None:
                return
            what = f"has a folder called {taken}"
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {reason_of(error)}: choose another folder (--out)"
        ) from error
    raise DataError(
        f"{place} exists and {what}: it is left alone, choose another folder (--out) or remove it"
    )


def described(place: Path) -> Mapping[str, Any]:
    """What the run.json of a folder says; empty where it is not ours."""
    try:
        return read_run_json(locate(place, "run.json"))
    except (DataError, OSError):
        return {}


def protected(place: Path) -> bool:
    """Whether only a certified run may replace the run in `place`: a certified one, or a checkpoint."""
    run = described(place)
    return run.get("status") == Status.CERTIFIED.value or "checkpoint" in run


def missed_by(status: Status) -> Missed | None:
    """What a run of this status is, where it is not certified."""
    if status is Status.CERTIFIED:
        return None
    return "interrupted" if status is Status.INTERRUPTED else "uncertified"


def loss_of_replacing(place: Path, run: Mapping[str, Any]) -> str:
    """What goes with the run in `place`, in words, where `run` is of other data or of a lower level."""
    old = described(place)
    data, level = old.get("data"), str(old.get("level") or "")
    if not isinstance(data, Mapping) or (
        _rows_of(data) == _rows_of(run["data"]) and level <= (run["level"] or "")
    ):
        return ""
    return f"the run of {data.get('name')}{f' at level {level}' if level else ''}"


def _rows_of(data: Mapping[str, Any]) -> Any:
    """The hash of all rows, those that are held out among them."""
    return data.get("whole") or data.get("fingerprint")


def checkpoints(place: Path) -> list[Path]:
    """The checkpoints of runs to `place`; their runs are dead, for a live one would hold it."""
    return [folder for folder in interrupted(place) if "checkpoint" in described(folder)]


def interrupted(place: Path) -> list[Path]:
    """The folders called DIR.interrupted, also by number."""
    called, home = re.compile(re.escape(f"{place.name}.interrupted") + r"(-\d+)?"), place.resolve().parent
    try:
        return [home / name for name in sorted(os.listdir(home)) if called.fullmatch(name)]
    except OSError:  # DIR may be ours where the folder around it is not
        return []


def free_name(place: Path, word: str) -> Path:
    """DIR.interrupted, or DIR.interrupted-2, -3, ... where it is there already."""
    names = (f"{place.name}.{word}{'' if k == 1 else f'-{k}'}" for k in itertools.count(1))
    return next(path for path in map(place.with_name, names) if not os.path.lexists(path))


def reason_of(error: Exception) -> str:
    """What went wrong, without number and path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
