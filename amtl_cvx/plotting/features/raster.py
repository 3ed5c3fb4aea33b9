"""Inputs that are the pixels of an image, from what their names say or the user does, or that make one.

A number of inputs that is a square says nothing of their order, so it is no evidence: names are pixels only
where each says so ("pixel 3,4", "pixel_3_4", "px3x4", "r3c4") and together they fill a rectangle once.

    >>> raster_of(("pixel 0,0", "pixel 0,1", "pixel 1,0", "pixel 1,1"))
    Raster(rows=2, columns=2, places=(0, 1, 2, 3))

Inputs that are linear in pixels, such as principal components, are taken back to them by an array M
(d, pixels) that the user gives, the components themselves: a unit that reads x = M p as w'x reads the image
p as (M'w)'p.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from amtl_cvx.arrays import Array, numbers
from amtl_cvx.errors import DataError, ModelError

_PIXEL = re.compile(
    r"(?:pixel|pix|px)[\s_.]*(\d{1,4})[\s_.,x;]+(\d{1,4})"
    r"|r(?:ow)?[\s_.]*(\d{1,4})[\s_.,]*c(?:ol)?[\s_.]*(\d{1,4})",
    re.I,
)
_SHAPE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})", re.I)


class Imaging(Protocol):
    """What makes an image of a column of weights."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    def image(self, column: Array) -> Array: ...


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


@dataclass(frozen=True, eq=False)
class Mapped:
    """An image of `rows` times `columns` pixels, in which input i is the image `components[i]`."""

    components: Array
    """(d, rows, columns)"""

    @property
    def rows(self) -> int:
        return int(self.components.shape[1])

    @property
    def columns(self) -> int:
        return int(self.components.shape[2])

    def image(self, column: Array) -> Array:
        """A column of weights as an image; what follows the inputs, an intercept, is left out."""
        found: Array = np.tensordot(column[: len(self.components)], self.components, axes=1)
        return found


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
    rows, columns = _shape(text)
    if rows * columns != d:
        raise ModelError(f"--image-shape {rows}x{columns} has {rows * columns} pixels, the data {d} features")
    return Raster(rows, columns, tuple(range(d)))


def mapped_from(image_map: Array, shape: str | None, *, d: int) -> Mapped:
    """The images of an array (d, pixels) or (d, rows, columns) of `d` raw inputs.

    Raises
    ------
    DataError, ModelError
        For an array of other inputs, and a shape that is missing or does not fit it.
    """
    found = numbers(image_map, "image_map")
    if found.ndim not in (2, 3) or len(found) != d or 0 in found.shape:
        raise DataError(
            f"image_map must have shape ({d}, pixels) or ({d}, rows, columns) for the {d} features of the"
            f" data, it has {found.shape}"
        )
    if found.ndim == 3 and shape is None:
        return Mapped(found)
    if shape is None:
        raise DataError(f"image_map has {found.shape[1]} pixels in a row: give --image-shape HxW")
    rows, columns = _shape(shape)
    if rows * columns != found[0].size or found.shape[1:] not in ((rows, columns), (rows * columns,)):
        raise ModelError(f"--image-shape {rows}x{columns} does not fit image_map, which has {found.shape}")
    return Mapped(found.reshape(d, rows, columns))


def _shape(text: str) -> tuple[int, int]:
    """Rows and columns of a text like 8x8."""
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ModelError(f"--image-shape must be ROWSxCOLUMNS, like 8x8, got {text[:20]!r}")
    rows, columns = (int(part) for part in match.groups())
    return rows, columns
