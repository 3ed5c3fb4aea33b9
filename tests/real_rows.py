"""Rows of real data that are not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from amtl_cvx import TaskSet


def school_split(folder: Path, split: int) -> TaskSet:
    """The training rows of a split of School, 139 schools."""
    school, index = (loadmat(folder / "school" / f"school_{name}.mat") for name in ("b", f"{split}_indexes"))
    chosen, first = (index[name].ravel().astype(int) - 1 for name in ("tr", "tr_indexes"))
    rows = np.split(chosen, first[1:])
    X, y = school["x"].T.astype(float), school["y"].ravel().astype(float)
    return TaskSet.from_arrays([X[each] for each in rows], [y[each] for each in rows])
