"""Fixtures of all tests: one seeded generator, and the real data beside the project."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests run side by side, and before NumPy is there

import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def rng() -> np.random.Generator:
    """The only source of randomness in a test."""
    return np.random.default_rng(20160619)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data: AMTL_CVX_DATA, else ../shared/data beside the repository; skips without it."""
    named = os.environ.get("AMTL_CVX_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: AMTL_CVX_DATA is {named!r} and {folder} does not exist")
    return folder
