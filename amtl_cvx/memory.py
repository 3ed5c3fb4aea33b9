"""Memory: what is free, and the refusal of what would not fit.

    check(need, "the fit", "take fewer features")     DataError: "the fit needs about 10.8 GiB of memory, ..."

Free is what the machine has available (MemAvailable: swap does not count, caches that can be dropped do), at
most what the limit of the container (cgroup, version 2 or 1) and that of the process (`ulimit -v`) leave.
Where none of it can be read, the memory of the machine, and without that no limit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from amtl_cvx.errors import DataError

FEW = 2**24
"""Bytes for which nobody asks what is free."""
_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available() -> int:
    """Bytes of memory that this process may still take."""
    return max(min(_limits(), default=sys.maxsize), 0)


def check(need: int, what: str, cure: str) -> None:
    """Raise `DataError` where `what` needs more than is free, with both numbers and what would do."""
    if need > FEW and need > (free := available()):
        raise DataError(f"{what} needs about {size(need)} of memory, {size(free)} are free: {cure}")


def size(count: int) -> str:
    """Bytes in MiB or GiB, three digits."""
    return f"{count / 2**30:.3g} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"


def _limits() -> Iterator[int]:
    """What each authority leaves; whoever says nothing is left out."""
    if (free := _mem_available()) is not None:
        yield free
    for limit, used in _GROUPS:
        try:
            yield int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # another system, or "max"
            continue
    if (left := _address_space()) is not None:
        yield left


def _mem_available() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no POSIX
        return None


def _address_space() -> int | None:
    """What RLIMIT_AS leaves; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # no POSIX
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        return limit - int(_STATM.read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return limit
