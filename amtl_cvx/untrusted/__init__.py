"""Untrusted files: the checks every reader makes, and the one line a reader fails with.

A file may be absent, a folder, cut off, damaged on purpose or of another kind. `existing_file` looks before
anything is opened, `check_size` before memory is taken for what a header claims, `check_expansion` before a
few bytes become many, `check_room` before the free memory is gone, and `reading` turns whatever a parser
raises into one `DataError` line that starts with the name of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amtl_cvx import memory
from amtl_cvx.console import one_line
from amtl_cvx.errors import AMTLError, DataError

MAX_BYTES = 8 * 2**30
"""Largest array, as float64, that is read from a file."""
EXPANSION = 100
"""How many bytes of memory one byte of a file may ask for, beyond `FREELY`."""
MAX_JSON = 1 << 25
"""Largest .json file, in bytes: what it holds takes up to thirty times that."""
FREELY = 256 * 2**20
"""What any file may take, however small it is: data of zeros do compress a thousandfold."""


def existing_file(
    data: str | Path, expected: str, *, noun: str = "file", suffixes: Sequence[str] = ()
) -> Path:
    """The path of an existing, non-empty file, with one of the suffixes if any are given."""
    path = Path(data)
    given, name = _short(repr(str(path))), _short(repr(path.name))
    try:
        status = path.stat()
    except PermissionError as error:
        raise DataError(f"expected {expected}, but {given} may not be read: check its rights") from error
    except (OSError, ValueError) as error:  # absent, a loop of links, too long, a zero character
        raise DataError(f"expected {expected}, there is no {noun} {given}: check the name") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"expected {expected}, but {given} is not a file: give the file itself")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        suffix = _short(repr(path.suffix))
        raise DataError(f"expected {expected}, but {name} ends in {suffix}: convert or rename it")
    if status.st_size == 0:
        raise DataError(f"expected {expected}, but {name} is empty (0 bytes): write it again")
    return path


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """One `DataError` line that starts with the file's name, whatever goes wrong; `kind`: .npz, for one."""
    prefix = f"{one_line(path.name)}: "
    try:
        yield
    except AMTLError as error:
        message = one_line(str(error)).removeprefix(prefix)  # a reader inside another one
        raise DataError(prefix + message) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(one_line(f"{prefix}expected a readable {kind} file ({reason}): check it")) from error
    except MemoryError as error:
        raise DataError(f"{prefix}it needs more memory than is free: fewer rows or features") from error
    except Exception as error:  # a damaged file makes a parser raise anything
        reason = one_line(f"{type(error).__name__}: {str(error)[:160]}")
        message = f"{prefix}expected a readable {kind} file, it is damaged or of another kind ({reason})"
        raise DataError(f"{message}: write or download it again") from error


def read_bytes(path: Path) -> bytes:
    """The whole file, once and for all, if it fits into the free memory."""
    size = path.stat().st_size
    check_room("the file", size)
    with path.open("rb") as stream:
        return stream.read(size)  # no more than was checked, should it grow


def read_json(path: Path) -> Any:
    """What a small JSON file holds."""
    size = existing_file(path, f"a file {path.name}").stat().st_size
    if size > MAX_JSON:
        raise DataError(f"{path.name} has {size} bytes, expected at most {MAX_JSON}: fewer or shorter names")
    return json.loads(read_bytes(path).decode("utf-8-sig"))


def check_expansion(what: str, stored: int, expanded: int, *, streamed: bool = False) -> None:
    """Refuse what becomes far more bytes than the `stored` ones vouch for, and more than memory holds.

    What is `streamed` is never held as a whole: it may become a hundred times as much again.
    """
    times = EXPANSION**2 if streamed else EXPANSION
    if expanded > max(FREELY, times * stored):
        raise DataError(
            f"{what} would become {_mega(expanded)} MiB from {_mega(stored)} MiB of file, expected at most"
            f" {times} times as much: damaged, or save it dense and uncompressed"
        )
    if not streamed:
        check_room(what, expanded)


def check_room(what: str, needed: int) -> None:
    """Refuse what needs more memory than is free."""
    cure = "take fewer rows or features, or a folder of .npy files, which is read in parts"
    memory.check(needed, what, cure)


def shown(names: Sequence[str], most: int = 12) -> str:
    """The first names, each cut short, and how many there are."""
    first = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names[:most])
    return first + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]}...{text[-95:]}"


def _mega(size: int) -> str:
    return f"{size / 2**20:.4g}"


def check_size(key: str, shape: Sequence[int], itemsize: int = 8) -> None:
    """Refuse a shape that is negative or would take more than `MAX_BYTES` as float64."""
    if any(length < 0 for length in shape) or math.prod(shape) * max(itemsize, 8) > MAX_BYTES:
        limit = f"{MAX_BYTES / 2**30:g} GiB"
        raise DataError(
            f"{key} claims the shape {tuple(shape)}, expected at most {limit}: damaged, or split it"
        )


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nonnegative(value: Any) -> float:
    """A finite number >= 0 as a float; `ValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        raise ValueError(f"{value!r} is no number >= 0")
    return float(value)
