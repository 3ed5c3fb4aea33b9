"""What happens in a worker: one job with BLAS on one thread, on shared data that stay there."""

from __future__ import annotations

import contextlib
import importlib.metadata
import multiprocessing
import os
import pickle
import platform
import signal
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from amtl_cvx.errors import AMTLError
from amtl_cvx.threads import one_thread

_PACKAGES = ("amtl-cvx", "numpy", "scipy", "cvxpy")
_KEPT = 2
"""How many shared data a worker holds on to."""

_TURN = threading.Lock()
_place: list[tuple[Any, int]] = []  # of a worker of a `WorkerPool`: the array of tickets, and its entry
_opened: OrderedDict[str, Any] = OrderedDict()  # a worker's shared data, the latest last


class Outcome(NamedTuple):
    """How a job ended, and where; whatever else a future raises is the executor's doing."""

    result: Any = None
    error: Exception | None = None
    versions: tuple[str, ...] = ()


def perform(work: Callable[[Any, Any], Any], item: Any, key: str, sent: bytes | Path, ticket: int) -> Outcome:
    """Do one job, in a worker."""
    with _TURN, _marked(ticket), one_thread():
        shared = _open(key, sent)
        try:
            return Outcome(result=work(shared, item), versions=versions_here())
        except Exception as error:
            if not isinstance(error, AMTLError):
                error.add_note(f"in a worker:\n{traceback.format_exc()}")
            return Outcome(error=error, versions=versions_here())


@contextlib.contextmanager
def _marked(ticket: int) -> Iterator[None]:
    """Note for the parent of a `WorkerPool` what its worker is at."""
    for running, place in _place:
        running[place] = ticket
    yield
    for running, place in _place:
        running[place] = 0


@cache
def versions_here() -> tuple[str, ...]:
    """Python and packages of this process, "name version"."""
    found = [f"python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} ?")
    return tuple(found)


def _open(key: str, sent: bytes | Path) -> Any:
    """The shared data of that key, unpacked at the first job that needs them."""
    if key not in _opened:
        pickled = sent.read_bytes() if isinstance(sent, Path) else sent
        _opened[key] = pickle.loads(pickled)
        while len(_opened) > _KEPT:
            _opened.popitem(last=False)
    _opened.move_to_end(key)
    return _opened[key]


def enter_worker(running: Any, pids: Any, taken: Any) -> None:
    """Leave Ctrl-C and a closed terminal to the parent, end with it, and take a place among its workers."""
    with taken.get_lock():
        _place.append((running, taken.value))
        pids[taken.value] = os.getpid()
        taken.value += 1
    for name in ("SIGINT", "SIGHUP"):
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def said_of(error: BaseException) -> str:
    """Class and text of an error, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200].rstrip(": ")
