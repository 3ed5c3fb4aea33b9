"""Inputs that are the pixels of an image: where each is, from what their names say or the user does.

A number of inputs that is a square says nothing of their order, so it is no evidence: names are pixels only
where each says so ("pixel 3,4", "pixel_3_4", "px3x4", "r3c4") and together they fill a rectangle once.

    >>> raster_of(("pixel 0,0", "pixel 0,1", "pixel 1,0", "pixel 1,1"))
    Raster(rows=2, columns=2, places=(0, 1, 2, 3))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError

_PIXEL = re.compile(
    r"(?:pixel|pix|px)[\s_.]*(\d{1,4})[\s_.,x;]+(\d{1,4})"
    r"|r(?:ow)?[\s_.]*(\d{1,4})[\s_.,]*c(?:ol)?[\s_.]*(\d{1,4})",
    re.I,
)
_SHAPE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})", re.I)


@dataclass(frozen=True)
class Raster:
    """An image of `rows` times `columns` pixels; the first inputs are at `places` of it, row after row."""

    rows: int
    columns: int
    places: tuple[int, ...]

    def image(self, column: Array) -> Array:
        """A column of L as an image; what follows the pixels, an intercept, is left out."""
        found = np.empty(self.rows * self.columns)
        found[list(self.places)] = column[: len(self.places)]
        return found.reshape(self.rows, self.columns)


def raster_of(names: Sequence[str] | None) -> Raster | None:
    """The image whose pixels the names declare, an intercept at their end aside; None where they do not."""
    known = [match for match in map(_PIXEL.fullmatch, names or ()) if match is not None]
    if len(known) < 4 or len(known) != len(names or ()) - (list(names or ())[-1] == "intercept"):
        return None
    at = np.array([[int(part) for part in match.groups() if part is not None] for match in known])
    at -= at.min(axis=0)
    rows, columns = (int(size) for size in at.max(axis=0) + 1)
    places = at[:, 0] * columns + at[:, 1]
    if min(rows, columns) < 2 or sorted(places.tolist()) != list(range(rows * columns)):
        return None
    return Raster(rows, columns, tuple(places.tolist()))


def raster_from(text: str, *, d: int) -> Raster:
    """The image of a shape like 8x8, row after row, of `d` raw inputs; `ModelError` where it does not fit."""
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ModelError(f"--image-shape must be ROWSxCOLUMNS, like 8x8, got {text[:20]!r}")
    rows, columns = (int(part) for part in match.groups())
    if rows * columns != d:
        raise ModelError(f"--image-shape {rows}x{columns} has {rows * columns} pixels, the data {d} features")
    return Raster(rows, columns, tuple(range(d)))
