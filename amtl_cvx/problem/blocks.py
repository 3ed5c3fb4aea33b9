"""What a method of AMTL judges, and where a fit may begin: the arrays, and how a curriculum learned them."""

from __future__ import annotations

from typing import NamedTuple

from amtl_cvx.arrays import Array


class Blocks(NamedTuple):
    """W (d, T) and B (T, T); for a curriculum the order of learning and the ridge weight of its start."""

    W: Array
    B: Array
    order: tuple[int, ...] | None = None
    ridge: float | None = None
