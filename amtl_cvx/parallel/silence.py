"""Who gives no sign of life, and how long that is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")

NOTICE = 5.0
"""Seconds without a sign of life after which a line says so."""
SILENCE = 30.0
"""Seconds without a sign of life after which jobs are done here."""
BEAT = 0.5
"""Seconds between two questions for a sign of life."""


class Silence(NamedTuple):
    """Who gives no sign of life, for how long, the jobs that are with them (None: all), a process to end."""

    who: str
    seconds: float
    tickets: frozenset[int] | None
    pid: int | None = None


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """The result of a call that may never return, or `TimeoutError`."""
    future: Future[Result] = Future()

    def perform() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=perform, daemon=True).start()
    return future.result(timeout=seconds)
