"""What the tests of data files share: small arrays, and how a refusal is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx.data import read
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

Arrays = dict[str, Any]


def three_tasks(rng: np.random.Generator) -> Arrays:
    """Stacked rows of three tasks of 4, 3 and 5 rows."""
    task = np.repeat([0, 1, 2], [4, 3, 5])
    return {"X": rng.standard_normal((12, 2)), "y": rng.standard_normal(12), "task": task}


def refused(path: Path | str, said: str, **columns: str) -> None:
    """`read` raises a DataError whose message is one line and matches `said`."""
    with pytest.raises(DataError, match=said) as caught:
        read(path, **columns)
    assert "\n" not in str(caught.value)


def equal(tasks: TaskSet | None, X: Any, y: Any, task: Any) -> None:
    assert tasks is not None
    for got, expected in zip(tasks.stacked(), (X, y, task), strict=True):
        np.testing.assert_array_equal(got, expected)
