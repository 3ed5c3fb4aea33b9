"""What the tests of steps share: their cases, and how close an answer must be."""

from __future__ import annotations

import numpy as np
import pytest
from cases import (
    Array,
)

both_losses = pytest.mark.parametrize("loss", ["squared", "logistic"])


def close(found: Array, expected: Array, tol: float) -> bool:
    return bool(np.abs(found - expected).max() <= tol * np.abs(expected).max())


def correlated(rng: np.random.Generator, d: int, T: int) -> Array:
    return rng.normal(size=(d, 1)) @ np.ones((1, T)) + 0.5 * rng.normal(size=(d, T))
