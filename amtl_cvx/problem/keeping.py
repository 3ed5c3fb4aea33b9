"""What is found out about a problem or a point: once, and kept with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

Kept = TypeVar("Kept")


class Keeping:
    """Something frozen that keeps what others find out about it."""

    def kept(self, name: str, found: Callable[[], Kept]) -> Kept:
        """What others find out about this, found once and kept under the name."""
        if name not in self.__dict__:
            self.__dict__[name] = found()
        return cast(Kept, self.__dict__[name])
