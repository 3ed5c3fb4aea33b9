"""What is said of a point: its blocks by their names, its residuals, and what a file holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from amtl_cvx.arrays import Array


class Evidence(NamedTuple):
    """Residuals of a point: of each block in its own units, and the worst over the size of its terms."""

    stationarity: Mapping[str, float]
    relative: float


class Found(NamedTuple):
    """What a file says of a point, before anything of it is checked."""

    blocks: Mapping[str, Any]
    losses: Any = None
    order: Any = None
    task_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    rest: Mapping[str, Any] = MappingProxyType({})
    """Arrays beside the blocks (`Family.further`)."""


class Named:
    """Blocks by their names: ``found.W`` is ``found.blocks["W"]``."""

    blocks: Mapping[str, Array]

    def __getattr__(self, name: str) -> Array:
        blocks: Mapping[str, Array] = self.__dict__.get("blocks", {})
        if name in blocks:
            return blocks[name]
        raise AttributeError(f"{type(self).__name__} has no attribute or block {name!r}")
