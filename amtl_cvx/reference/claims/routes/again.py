"""What every second derivation has: where it begins, and what it finds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array

MOVES = (0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
"""By which part of itself an entry is moved, the largest that leads back."""


def start_words(part: float) -> str:
    """Where a derivation begins."""
    return f"a start whose entries are moved by up to {part:g} of themselves"


@dataclass(frozen=True)
class Again:
    """What a second derivation found: blocks and J, doubles or decimals, and how."""

    blocks: Mapping[str, Any]
    objective: str | float
    how: str


def moved(block: Array, part: float, name: str) -> Array:
    """A block whose entries are moved by a part of themselves, up or down as a hash of its name says."""
    count = block.size
    text = b"".join(hashlib.sha256(f"{name} {k}".encode()).digest() for k in range(-(-count // 32)))
    way = (np.frombuffer(text, dtype=np.uint8)[:count] / 127.5 - 1.0).reshape(block.shape)
    return np.asarray(block * (1.0 + part * way))
