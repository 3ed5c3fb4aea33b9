"""The points at which a back end is asked: dyadic numbers of at most 24 bits, the same in every dtype.

    zero       W = 0, B = 0
    generic    W about as large as the answer, B with about half of its edges, different both ways
    answer     the pack's answer, rounded to 24 bits: there gradients are small beside their terms

Entries come from SHAKE-256 of the name of the pack, so that a check asks the same on every machine.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from amtl_cvx.arrays import Array

_PART = 64  # steps between 0 and 1


def draws(name: str, what: str, shape: tuple[int, ...]) -> Array:
    """Whole numbers from -64 to 64, by name, as doubles."""
    count = math.prod(shape)
    content = hashlib.shake_256(f"{name}/{what}".encode()).digest(2 * count)
    numbers = np.frombuffer(content, dtype="<u2").astype(np.int64) % (2 * _PART + 1) - _PART
    found: Array = numbers.reshape(shape).astype(np.float64)
    return found


def single(array: Array) -> Array:
    """The nearest numbers of 24 bits."""
    found: Array = np.asarray(array, dtype=np.float32).astype(np.float64)
    return found


def generic_W(name: str, tasks: object, near: Array | None) -> Array:
    """About as large as `near`, else with scores of at most 4."""
    d, T = tasks.d, tasks.T  # type: ignore[attr-defined]
    drawn = draws(name, "W", (d, T)) / _PART
    largest = 0.0 if near is None else float(np.abs(near).max(initial=0.0))
    if near is not None and largest > 0.0:
        return single(near * (1.0 + 0.5 * drawn) + _power(largest) * 0.25 * draws(name, "W+", (d, T)) / _PART)
    reach = max(float(np.abs(task.X).sum(axis=1).max()) for task in tasks)  # type: ignore[attr-defined]
    return single(drawn * _power(4.0 / max(reach, 1e-30)))


def generic_B(name: str, T: int) -> Array:
    """Edges of at most a half, about three in five of them, no two columns alike."""
    drawn = np.abs(draws(name, "B", (T, T)))
    B = np.where(drawn > 0.4 * _PART, drawn, 0.0) / (2.0 * _PART * max(1.0, _power(T / 3.0)))
    if T > 1:
        B[0, 1] = max(B[0, 1], 0.25)
    np.fill_diagonal(B, 0.0)
    return B


def _power(value: float) -> float:
    """The largest power of two up to a number."""
    return float(2.0 ** math.floor(math.log2(value))) if value > 0.0 else 1.0
