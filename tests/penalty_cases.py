"""What the tests of penalties share."""

from __future__ import annotations

from dataclasses import dataclass

from cases import Array
from cases import SourceGroupL2 as Own


@dataclass(frozen=True, kw_only=True)
class Blind(Own):
    """A penalty whose conjugate is not known."""

    name = "blind"

    def conjugate(self, S: Array, losses: Array) -> None:  # type: ignore[override]
        return None
