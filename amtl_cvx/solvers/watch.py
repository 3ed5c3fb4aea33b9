"""A solver under watch: whatever it does is an answer or a `SolverFault`, after a limited time, in silence.

    found = watched(lambda: solver.solve(), limit=600.0)

The call runs in another thread, which is given up at the limit and else takes the next call: the solvers
here let other threads run meanwhile, so that one that hangs in compiled code, past its own time limit, is
noticed, and Ctrl-C is heard at once. What is given up may still run, so `work` changes nothing that is used
afterwards.

A fault is whatever is raised, the panics of compiled code and `SystemExit` included; only Ctrl-C, which OSQP
catches itself, comes back as `KeyboardInterrupt`. SCS and OSQP write to Python's standard output even where
they are told not to (osqp#785): what the thread writes there is dropped, what others write is not.
"""

from __future__ import annotations

import contextlib
import io
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO, TypeVar, cast

Result = TypeVar("Result")

OWN_LIMIT = 0.9
"""Share of the limit that a solver gets as its own time limit."""
_GRACE = 2.0  # seconds after Ctrl-C for a solve to end by itself: a thread that ends with Python is not clean


class SolverFault(Exception):
    """A solver raised, gave what is no answer, or hung; the message is one short line."""

    def __init__(self, said: str, *, hung: bool = False) -> None:
        super().__init__(said)
        self.hung = hung

    @classmethod
    def of(cls, error: BaseException) -> SolverFault:
        """What a solver raised."""
        text = " ".join(str(error).split())[:80]
        return cls(f"{type(error).__name__}: {text}".rstrip(": "))


def watched(work: Callable[[], Result], *, limit: float) -> Result:
    """The result of `work`, which calls a solver.

    Parameters
    ----------
    work : callable()
        Its own time limit, where it has one, is `OWN_LIMIT` of `limit`.
    limit : float
        Seconds.

    Raises
    ------
    SolverFault
        If it raises or does not end in time.
    KeyboardInterrupt
    """
    try:
        worker = _ready()
    except RuntimeError as error:  # no more threads
        raise SolverFault.of(error) from error
    with _muted(worker.thread):
        worker.done.clear()
        worker.calls.put(work)
        try:
            result, fault = worker.answers.get(timeout=min(limit, threading.TIMEOUT_MAX))
        except queue.Empty:
            raise SolverFault(f"no answer within {limit:.3g} s", hung=True) from None
        except KeyboardInterrupt:
            worker.done.wait(_GRACE)  # its answer may have been taken and lost by then
            raise
    _idle.append(worker)
    if fault is None:
        return cast(Result, result)
    if isinstance(fault, SolverFault | KeyboardInterrupt):
        raise fault
    raise SolverFault.of(fault) from fault


class _Worker:
    """A thread that makes one call after the other; one that hangs is given up with its call."""

    def __init__(self) -> None:
        self.calls = queue.SimpleQueue[Callable[[], object]]()
        self.answers = queue.SimpleQueue[tuple[object, BaseException | None]]()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, name="amtl_cvx solver", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            self.answers.put(_answer(self.calls.get()))  # nothing of a call is held on to
            self.done.set()


def _answer(work: Callable[[], object]) -> tuple[object, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # the panic of a solver written in Rust is no Exception
        return None, error


_idle: list[_Worker] = []


def _ready() -> _Worker:
    """A worker without a call; those of a process that was forked stayed there."""
    while _idle:
        if (worker := _idle.pop()).thread.is_alive():
            return worker
    return _Worker()


class _Others(io.TextIOBase):
    """A standard output for all threads but one."""

    def __init__(self, shown: TextIO | None, silent: threading.Thread) -> None:
        self.shown, self.silent = shown, silent

    def write(self, text: str) -> int:
        if threading.current_thread() is not self.silent and self.shown is not None:
            self.shown.write(text)
        return len(text)

    def flush(self) -> None:
        if threading.current_thread() is not self.silent and self.shown is not None:
            self.shown.flush()


@contextlib.contextmanager
def _muted(silent: threading.Thread) -> Iterator[None]:
    before = sys.stdout
    shown = before.shown if isinstance(before, _Others) else before
    sys.stdout = others = _Others(shown, silent)
    try:
        yield
    finally:
        if sys.stdout is others:  # else that of a fit in another thread, which restores it
            sys.stdout = shown
