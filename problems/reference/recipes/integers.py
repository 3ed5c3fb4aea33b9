"""Dyadic data: whole numbers from SHAKE-256, divided by a power of two; the same on every machine.

    draws = Draws("tiny-T2-d1-a")
    draws.integers("X", (12, 2), -64, 64)        # int64: low + (u mod (high - low + 1))
    dyadic(X, 4)                                 # X / 16 as doubles, exactly

u are the little-endian 64-bit words of SHAKE-256("amtl_cvx reference pack/NAME/LABEL"). No generator of
random floating-point numbers has a part in it, and every operation on the data is one on whole numbers, so
that any language that has SHAKE-256 makes the same numbers. An entry has at most 24 significant bits: float32
holds it exactly. Remainders of u favour small numbers by less than 2^-40.

Source: SHAKE-256 is that of FIPS 202 (2015).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

BITS = 24
"""Significant binary digits of an entry, at most."""
_PREFIX = "amtl_cvx reference pack"


@dataclass(frozen=True)
class Draws:
    """The whole numbers of one pack, by label: the order in which they are asked for does not matter.

    Examples
    --------
    >>> Draws("example").integers("X", (3,), -4, 4)
    array([-2, -2, -4])
    """

    name: str

    def integers(self, label: str, shape: int | tuple[int, ...], low: int, high: int) -> Integers:
        """Whole numbers from low to high, both included, all alike."""
        count, span = math.prod((shape,) if isinstance(shape, int) else shape), high - low + 1
        text = hashlib.shake_256(f"{_PREFIX}/{self.name}/{label}".encode()).digest(8 * count)
        words = np.frombuffer(text, dtype="<u8")
        return (low + (words % np.uint64(span)).astype(np.int64)).reshape(shape)

    def bell(self, label: str, shape: int | tuple[int, ...], size: int) -> Integers:
        """Sums of four of them from -size to size: a bell of standard deviation about 1.15 size."""
        whole = (shape,) if isinstance(shape, int) else shape
        return np.asarray(self.integers(label, (4, *whole), -size, size).sum(axis=0))

    def signs(self, label: str, shape: int | tuple[int, ...]) -> Integers:
        """-1 and 1."""
        return 2 * self.integers(label, shape, 0, 1) - 1


def dyadic(whole: Integers, shift: int) -> NDArray[np.float64]:
    """``whole / 2**shift`` as doubles, exactly; `ValueError` for an entry of more than 24 bits."""
    if (worst := significant_bits(whole)) > BITS:
        raise ValueError(f"an entry has {worst} significant bits, at most {BITS} are allowed: draw smaller")
    return np.ldexp(np.asarray(whole, dtype=np.float64), -shift)


def significant_bits(whole: Integers) -> int:
    """The most binary digits that an entry has between its first and its last 1."""
    sizes = {abs(int(value)) for value in np.asarray(whole).ravel()}
    return max(
        (value.bit_length() - ((value & -value).bit_length() - 1) for value in sizes if value), default=0
    )
