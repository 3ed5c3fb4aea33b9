"""Untrusted files: the checks every reader makes, and the one line a reader fails with.

A file may be absent, a folder, cut off, damaged on purpose or of another kind. `existing_file` looks before
anything is opened, `check_size` before memory is taken for what a header claims, `check_expansion` before a
few bytes become many, `check_room` before the free memory is gone, and `reading` turns whatever a parser
raises into one `DataError` line that starts with the name of the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from amtl_cvx.errors import AMTLError, DataError

MAX_BYTES = 8 * 2**30
"""Largest array, as float64, that is read from a file."""
EXPANSION = 100
"""How many bytes of memory one byte of a file may ask for, beyond `FREELY`."""
LONGEST = 600
"""Characters of a message."""
FREELY = 256 * 2**20
"""What any file may take, however small it is: data of zeros do compress a thousandfold."""


def existing_file(
    data: str | Path, expected: str, *, noun: str = "file", suffixes: Sequence[str] = ()
) -> Path:
    """The path of an existing, non-empty file, with one of the suffixes if any are given."""
    path = Path(data)
    try:
        exists, regular = path.exists(), path.is_file()
    except (OSError, ValueError):
        exists = regular = False
    if not exists:
        raise DataError(f"expected {expected}, there is no {noun} {str(data)!r}: check the name")
    if not regular:
        raise DataError(f"expected {expected}, but {str(data)!r} is not a file: give the file itself")
    if suffixes and not path.name.lower().endswith(tuple(suffixes)):
        raise DataError(
            f"expected {expected}, but {path.name!r} ends in {path.suffix!r}: convert or rename it"
        )
    if path.stat().st_size == 0:
        raise DataError(f"expected {expected}, but {path.name!r} is empty (0 bytes): write it again")
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


def check_expansion(what: str, stored: int, expanded: int) -> None:
    """Refuse what takes far more memory than its `stored` bytes vouch for, or more than is free."""
    if expanded > max(FREELY, EXPANSION * stored):
        raise DataError(
            f"{what} would take {_mega(expanded)} MiB of memory from {_mega(stored)} MiB of file, expected at"
            f" most {EXPANSION} times as much: damaged, or save it dense and uncompressed"
        )
    check_room(what, expanded)


def check_room(what: str, needed: int) -> None:
    """Refuse what needs more memory than is free."""
    free = available()
    if needed > free:
        raise DataError(
            f"{what} needs {_mega(needed)} MiB of memory, {_mega(free)} MiB are free: fewer rows or features,"
            " or a folder of .npy files, which is read in parts"
        )


def shown(names: Sequence[str], most: int = 12) -> str:
    """The first names, each cut short, and how many there are."""
    first = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names[:most])
    return first + (f", ... ({len(names)} in all)" if len(names) > most else "")


def one_line(text: str) -> str:
    """A message without line breaks and control characters, which names may hold, and not too long."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 200]} ... {line[-195:]}"


def _mega(size: int) -> str:
    return f"{size / 2**20:.4g}"


def check_size(key: str, shape: Sequence[int], itemsize: int = 8) -> None:
    """Refuse a shape that is negative or would take more than `MAX_BYTES` as float64."""
    if any(length < 0 for length in shape) or math.prod(shape) * max(itemsize, 8) > MAX_BYTES:
        limit = f"{MAX_BYTES / 2**30:g} GiB"
        raise DataError(
            f"{key} claims the shape {tuple(shape)}, expected at most {limit}: damaged, or split it"
        )


def available() -> int:
    """Bytes of memory that are free, for the machine and for the container."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current"))
        free.append(int(limit) - int(used))
    except (OSError, ValueError):  # another system, or no limit
        pass
    return min(free)
