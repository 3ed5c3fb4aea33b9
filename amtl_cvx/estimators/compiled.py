"""Compiled problems that stay from one fit to the next, one registry a thread."""

from __future__ import annotations

import threading

from amtl_cvx.subproblems import Problems

_MOST = 8
"""Problems that a thread keeps: those of some shapes of data at once, as folds and nested searches have."""


class _Kept(threading.local):
    """A registry for each thread that asks; its problems hold what one fit at a time writes into them."""

    def __init__(self) -> None:
        self.problems = Problems(most=_MOST)


_KEPT = _Kept()


def compiled() -> Problems:
    """The registry of this thread."""
    return _KEPT.problems
