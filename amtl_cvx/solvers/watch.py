"""A solver under watch: whatever it does is an answer or a `SolverFault`, after a limited time, in silence.

    found = watched(lambda: solver.solve(), limit=600.0)

The call runs in a thread of its own (.1 ms), which is given up at the limit: the solvers here let other
threads run meanwhile, so that one that hangs in compiled code, past its own time limit, is noticed, and
Ctrl-C is heard at once. What is given up may still run, so `work` changes nothing that is used afterwards.

A fault is whatever is raised, the panics of compiled code and `SystemExit` included; only Ctrl-C, which OSQP
catches itself, comes back as `KeyboardInterrupt`. SCS and OSQP write to Python's standard output even where
they are told not to (osqp#785): what the thread writes there is dropped, what others write is not.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO, TypeVar

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
    results: list[Result] = []
    errors: list[BaseException] = []

    def perform() -> None:
        try:
            results.append(work())
        except BaseException as error:  # the panic of a solver written in Rust is no Exception
            errors.append(error)

    thread = threading.Thread(target=perform, name="amtl_cvx solver", daemon=True)
    with _muted(thread):
        try:
            thread.start()
            thread.join(min(limit, threading.TIMEOUT_MAX))
        except KeyboardInterrupt:
            with contextlib.suppress(RuntimeError):  # not started yet
                thread.join(_GRACE)
            raise
        except RuntimeError as error:  # no more threads
            raise SolverFault.of(error) from error
    if results:
        return results[0]
    if not errors:
        raise SolverFault(f"no answer within {limit:.3g} s", hung=True)
    if isinstance(errors[0], SolverFault | KeyboardInterrupt):
        raise errors[0]
    raise SolverFault.of(errors[0]) from errors[0]


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
