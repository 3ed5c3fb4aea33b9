"""Jobs for the tests of `parallel`; a module of its own, because every worker imports it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from amtl_cvx.errors import SolveError

NUMBERS = range(7)


def times(shared: int, item: int) -> int:
    return shared * item


def late(shared: float, item: int) -> int:
    """The first jobs end last."""
    time.sleep(shared * (len(NUMBERS) - item))
    return item


def fails(shared: int, item: int) -> int:
    """Fails from the job `shared` on, the later the sooner."""
    if item >= shared:
        time.sleep(0.01 * (len(NUMBERS) - item))
        raise SolveError(f"job {item}", step="W", solver="SCS", status="unbounded", round=item)
    return item


def divides(shared: int, item: int) -> float:
    return item / shared


def process(shared: object, item: int) -> int:
    return os.getpid()


def threads(shared: object, item: int) -> list[int]:
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def dies_once(shared: Path, item: int) -> int:
    """Job 2 kills its worker unless it finds that it already did."""
    if item == 2 and not shared.exists():
        shared.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def dies_often(shared: Path, item: int) -> int:
    """Jobs 0, 1 and 2 kill their worker twice each."""
    for attempt in range(2 * (item < 3)):
        mark = shared / f"{item}-{attempt}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return item


def stops_once(shared: Path, item: int) -> int:
    """Job 2 stops its worker unless it finds that it already did."""
    if item == 2 and not shared.exists():
        shared.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return item * item


def dies(shared: int, item: int) -> int:
    if os.getpid() != shared:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


class Luggage:
    """Shared data that note where they are unpacked."""

    def __init__(self, log: Path, size: int) -> None:
        self.log, self.content = log, bytes(size)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        with self.log.open("a") as file:
            file.write(f"{os.getpid()}\n")


def weigh(shared: Luggage, item: int) -> int:
    return len(shared.content) + item


def length(shared: bytes, item: int) -> int:
    return len(shared)
