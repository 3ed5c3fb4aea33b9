"""Compiled problems, kept by what they were compiled for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Compilable = TypeVar("Compilable")


class Problems:
    """Compiled problems by key: the rounds of a fit, and fits that are given the same object, share them.

    A key holds all that is compiled in (the kind of the problem, its shape) and nothing of what changes
    between fits: neither coupling nor mu nor the scale of the data. One thread at a time; a copy sent to
    another process starts empty and compiles its own. With `most`, the problem that was asked for least
    recently goes when there are more.
    """

    def __init__(self, *, most: int | None = None) -> None:
        self._made: dict[Hashable, Any] = {}
        self._most = most

    def get(self, key: Hashable, make: Callable[[], Compilable]) -> Compilable:
        """The problem of that key, made at the first call."""
        found: Compilable = self._made.pop(key) if key in self._made else make()
        self._made[key] = found
        if self._most is not None and len(self._made) > self._most:
            del self._made[next(iter(self._made))]
        return found

    def __len__(self) -> int:
        return len(self._made)

    def __reduce__(self) -> tuple[Callable[[int | None], Problems], tuple[int | None]]:
        return _empty, (self._most,)


def _empty(most: int | None) -> Problems:
    return Problems(most=most)


def kept(problems: Problems | None) -> Problems:
    """The registry given, or one for a single step."""
    return Problems() if problems is None else problems
