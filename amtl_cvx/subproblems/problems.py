"""Compiled problems, kept by what they were compiled for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Compilable = TypeVar("Compilable")


class Problems:
    """Compiled problems by key: the rounds of a fit, and fits that are given the same object, share them.

    A key holds all that is compiled in (the kind of the problem, its shape) and nothing of what changes
    between fits: neither coupling nor mu nor the scale of the data. One thread at a time; a copy sent to
    another process starts empty and compiles its own.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], Compilable]) -> Compilable:
        """The problem of that key, made at the first call."""
        if key not in self._made:
            self._made[key] = make()
        found: Compilable = self._made[key]
        return found

    def __len__(self) -> int:
        return len(self._made)

    def __reduce__(self) -> tuple[type[Problems], tuple[()]]:
        return Problems, ()


def kept(problems: Problems | None) -> Problems:
    """The registry given, or one for a single step."""
    return Problems() if problems is None else problems
