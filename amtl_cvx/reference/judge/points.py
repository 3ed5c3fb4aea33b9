"""The points at which a back end is asked, in its dtype; all bits of their entries count.

    zero       W = 0, B = 0
    generic    W about as large as the answer, B with about half of its edges, different both ways
    answer     the pack's answer: there gradients are small beside their terms

Entries are drawn by SHAKE-256 from the name of the pack and divided by three, so that a check asks the same
on every machine, and that sums in single precision show in double precision.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array

_PART = 64  # steps between 0 and 1


def draws(name: str, what: str, shape: tuple[int, ...]) -> Array:
    """Numbers from -1 to 1 in steps of 1/64, by name."""
    count = math.prod(shape)
    content = hashlib.shake_256(f"{name}/{what}".encode()).digest(2 * count)
    numbers = np.frombuffer(content, dtype="<u2").astype(np.int64) % (2 * _PART + 1) - _PART
    found: Array = numbers.reshape(shape).astype(np.float64) / _PART
    return found


def rounded(array: Array, dtype: str) -> Array:
    """The nearest numbers of a dtype, as doubles."""
    found: Array = np.asarray(array, dtype=dtype).astype(np.float64)
    return found


def generic_W(name: str, tasks: Any, near: Array | None) -> Array:
    """About as large as `near`, else with scores of at most 4."""
    shape = (int(tasks.d), int(tasks.T))
    drawn = draws(name, "W", shape)
    largest = 0.0 if near is None else float(np.abs(near).max(initial=0.0))
    if near is not None and largest > 0.0:
        moved: Array = near * (1.0 + drawn / 3.0) + _power(largest) * draws(name, "W+", shape) / 3.0
        return moved
    reach = max(float(np.abs(task.X).sum(axis=1).max()) for task in tasks)
    found: Array = drawn * _power(4.0 / max(reach, 1e-30)) / 3.0
    return found


def generic_B(name: str, T: int) -> Array:
    """Edges of at most a third, about three in five of them, no two columns alike."""
    drawn = np.abs(draws(name, "B", (T, T)))
    B = np.where(drawn > 0.4, drawn, 0.0) / (3.0 * max(1.0, _power(T / 3.0)))
    if T > 1:
        B[0, 1] = max(B[0, 1], 0.25)
    np.fill_diagonal(B, 0.0)
    return B


def _power(value: float) -> float:
    """The largest power of two up to a number."""
    return float(2.0 ** math.floor(math.log2(value))) if value > 0.0 else 1.0
