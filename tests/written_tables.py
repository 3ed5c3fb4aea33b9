"""What the tests of tables share: a small table, written in many ways."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from amtl_cvx.data import read
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

TEXT = "Zürich,1.5,-2e1\nBern,.25,3\nZürich,4,0.125\n"


NAMES = ("task", "x1", "y")


COLUMNS = {"task": "task", "target": "y"}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def refused(path: Path, said: str, **options: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(path, **{**COLUMNS, **options})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def tasks_of(path: Path, **options: str | None) -> TaskSet:
    return read(path, **{**COLUMNS, **options}).train


def is_the_table(tasks: TaskSet) -> None:
    assert tasks.names == ("Bern", "Zürich") and tasks.feature_names == ("x1",)
    np.testing.assert_array_equal(tasks[0].X, [[0.25]])
    np.testing.assert_array_equal(tasks[0].y, [3])
    np.testing.assert_array_equal(tasks[1].X, [[1.5], [4]])
    np.testing.assert_array_equal(tasks[1].y, [-20, 0.125])


PLAIN = ",".join(NAMES) + "\n" + TEXT
