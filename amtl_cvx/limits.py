"""How long a search may take: seconds of wall time that every loop of it asks for.

    with limited(60.0):
        enclose(tasks, model, W, B)      # ends within a minute or little more, with what it has by then

The limit belongs to the context, not to a signature: solvers, exact arithmetic and ball arithmetic lie
several calls below the command that knows it. Limits nest, the nearer end counts. What cannot be interrupted
(one factorisation, one expansion in rationals) is bounded by its size and ends soon after.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import LimitReached, ModelError

SECONDS = 600.0
"""The limit of a climb unless told otherwise."""
_END: ContextVar[float] = ContextVar("amtl_cvx limit", default=math.inf)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """At most so many seconds for what is called inside."""
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def seconds_left() -> float:
    """Until the limit; infinite without one, 0 once it has passed."""
    return max(_END.get() - time.monotonic(), 0.0)


def check_time(what: str) -> None:
    """Raise `LimitReached`, naming what was going on, once the limit has passed."""
    if seconds_left() <= 0.0:
        raise LimitReached(f"the limit of time came while {what}")


def check_limit(seconds: object) -> None:
    """Raise `ModelError` unless it is a number of seconds > 0 (infinity for no limit)."""
    if not is_number(seconds) or not float(seconds) > 0.0:
        raise ModelError(f"the limit must be a number of seconds > 0, got {seconds!r}")
