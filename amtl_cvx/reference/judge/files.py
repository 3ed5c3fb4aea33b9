"""The files that an executable is handed and hands back: arrays in .npy, a few words in text and JSON."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import AMTLError
from amtl_cvx.reference.judge.answers import WANTED, NoAnswer, shape_of
from amtl_cvx.reference.judge.asked import Asked, Numbers
from amtl_cvx.untrusted import digest
from amtl_cvx.untrusted.npy import read_array

_ROOM = 2**16  # bytes of a file beside its numbers
_CELL = 64  # bytes of a number in a table


def write_asked(asked: Asked, place: Path) -> None:
    """Write what is asked as the files of IN_DIR."""
    task = np.concatenate([np.full(len(y), t, dtype=np.int64) for t, y in enumerate(asked.y)])
    arrays: dict[str, Numbers] = {
        "X": np.concatenate(asked.X),
        "y": np.concatenate(asked.y),
        "task": task,
        "task_weights": asked.task_weights,
        "W": asked.W,
        "B": asked.B,
    }
    if asked.sample_weight is not None:
        arrays["sample_weight"] = np.concatenate(asked.sample_weight)
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<")
        np.save(place / f"{name}.npy", np.ascontiguousarray(array, dtype=kind), allow_pickle=False)
    said = words_of(asked)
    (place / "ask.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    lines = [f"{key} {_plain(value)}\n" for key, value in said.items() if not isinstance(value, list)]
    (place / "ask.txt").write_text("".join(lines), encoding="utf-8")


def words_of(asked: Asked) -> dict[str, Any]:
    """What ask.json says."""
    said: dict[str, Any] = {
        "ask": asked.ask,
        "T": asked.T,
        "d": asked.d,
        "N": sum(len(y) for y in asked.y),
        "loss": asked.loss,
        **{f"loss_{name}": value for name, value in asked.loss_parameters.items()},
        "reduction": asked.reduction,
        "coupling": asked.coupling,
        "mu": asked.mu,
        "transfer": asked.transfer,
        **{f"transfer_{name}": value for name, value in asked.transfer_parameters.items()},
        "dtype": asked.dtype,
    }
    if asked.omega is not None:
        said |= {"omega": asked.omega, **{f"omega_{k}": v for k, v in asked.omega_parameters.items()}}
    said |= {} if asked.task is None else {"task": asked.task}
    said |= {} if asked.count is None else {"count": asked.count}
    return said | {"task_names": list(asked.task_names), "feature_names": list(asked.feature_names)}


def _plain(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def read_answer(place: Path, asked: Asked) -> dict[str, object]:
    """The parts of an answer that lie in OUT_DIR."""
    found: dict[str, object] = {}
    for name in WANTED[asked.ask]:
        for suffix, reader in ((".npy", _npy), (".csv", _csv)):
            path = place / f"{name}{suffix}"
            if os.path.lexists(path):
                found[name] = reader(path, shape_of(name, asked))
                break
    if not found:
        wanted = " and ".join(f"{name}.npy" for name in WANTED[asked.ask])
        raise NoAnswer("invalid", f"exit code 0, and OUT_DIR has none of {wanted}")
    return found


def _npy(path: Path, shape: tuple[int, ...]) -> Numbers:
    _check_file(path, 16 * max(math.prod(shape), 1) + _ROOM)
    try:
        with path.open("rb") as stream:
            return read_array(stream, path.name, os.fstat(stream.fileno()).st_size)
    except (AMTLError, OSError) as error:
        raise NoAnswer("invalid", f"{path.name}: {error}") from error
    except Exception as error:  # a damaged header makes NumPy raise anything
        raise NoAnswer(
            "invalid", f"{path.name} is no .npy file: {type(error).__name__}: {str(error)[:120]}"
        ) from error


def _csv(path: Path, shape: tuple[int, ...]) -> Numbers:
    _check_file(path, _CELL * max(math.prod(shape), 1) + _ROOM)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        rows = [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]
        table = np.array(rows, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise NoAnswer("invalid", f"{path.name} is no table of numbers: {error}") from error
    small = len(shape) < 2 and table.size == max(math.prod(shape), 1)
    return table.reshape(shape) if small else table


def _check_file(path: Path, most: int) -> None:
    """`NoAnswer` for anything but a plain file of at most so many bytes."""
    try:
        status = path.lstat()
    except OSError as error:
        raise NoAnswer("invalid", f"{path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise NoAnswer("invalid", f"{path.name} is not a plain file")
    if status.st_size > most:
        raise NoAnswer("invalid", f"{path.name} has {status.st_size} bytes, expected at most {most}")


def digests(place: Path) -> dict[str, str]:
    """The SHA-256 of the plain files in a folder, and what else is there; `OSError` for no real folder."""
    if not stat.S_ISDIR(place.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    return {
        path.name: digest(path) if stat.S_ISREG(path.lstat().st_mode) else "no file"
        for path in sorted(place.iterdir())
    }
