"""Worker processes on this machine that are replaced when they die or freeze."""

from __future__ import annotations

import multiprocessing
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from amtl_cvx.errors import ModelError
from amtl_cvx.parallel import silence
from amtl_cvx.parallel.silence import Silence
from amtl_cvx.parallel.worker import enter_worker

Result = TypeVar("Result")

MOST_JOBS = 1024
"""Processes at most."""


class WorkerPool(Executor):
    """A process pool that starts anew when one of its workers dies; leaving it ends jobs that still run.

    Parameters
    ----------
    processes : int
        Number of workers, >= 1.

    Raises
    ------
    ModelError
    """

    def __init__(self, processes: int) -> None:
        whole: object = processes
        if not isinstance(whole, int) or processes < 1:
            raise ModelError(f"the number of jobs at a time must be a whole number >= 1, got {processes}")
        if processes > MOST_JOBS:
            raise ModelError(f"the number of jobs at a time must be at most {MOST_JOBS}, got {processes}")
        self._processes = processes
        self._dead: set[int] = set()
        self._worked: dict[int, tuple[tuple[int, float], float]] = {}
        self._pool = self._start()
        self._given: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        try:
            future = self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._dead.update(self._running)
            self._pool = self._start()
            future = self._pool.submit(fn, *args, **kwargs)
        self._given.add(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        running = any(not future.done() for future in self._given)
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=wait and not running, cancel_futures=running or cancel_futures)
        if running:
            for process in processes:
                process.terminate()

    def died(self, ticket: int) -> bool:
        """Whether a lost job had been begun when its worker died."""
        return ticket in self._dead or ticket in self._running

    def silences(self) -> list[Silence]:
        """The workers that have a job and have taken no processor time for `NOTICE` or longer."""
        now, found, before = time.monotonic(), [], self._worked
        self._worked = {}
        for ticket, pid in zip(self._running, self._pids, strict=True):
            used = _processor_time(pid) if ticket else None
            if used is None:
                continue
            last, since = before.get(pid, ((0, 0.0), now))
            since = since if last == (ticket, used) else now
            self._worked[pid] = (ticket, used), since
            if now - since >= silence.NOTICE:
                who = f"the worker process {pid} takes no processor time"
                found.append(Silence(who, now - since, frozenset([ticket]), pid))
        return found

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self._running = context.Array("q", self._processes, lock=False)  # the ticket that each worker is at
        self._pids = context.Array("q", self._processes, lock=False)
        return ProcessPoolExecutor(
            self._processes,
            mp_context=context,
            initializer=enter_worker,
            initargs=(self._running, self._pids, context.Value("i", 0)),
        )


def _processor_time(pid: int) -> float | None:
    """What a process has taken so far, in ticks of the clock; None where it cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return float(words[11]) + float(words[12])
    except (OSError, IndexError, ValueError):
        return None
