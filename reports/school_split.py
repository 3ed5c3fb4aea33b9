"""Write a School split of Argyriou et al. as .npz: 139 tasks, the training rows of one of the ten fixed
splits.

    python reports/school_split.py SCHOOL_FOLDER SPLIT OUT.npz

SCHOOL_FOLDER holds school_b.mat and school_<SPLIT>_indexes.mat. The data are not ours to publish: OUT.npz
belongs outside the project.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import scipy.io as sio


def write_split(folder: Path, split: int, out: Path) -> None:
    """Training rows of one split: X (N, 28), y (N,), task (N,)."""
    school = sio.loadmat(folder / "school_b.mat")
    index = sio.loadmat(folder / f"school_{split}_indexes.mat")
    rows = index["tr"].ravel().astype(np.int64) - 1
    starts = index["tr_indexes"].ravel().astype(np.int64) - 1
    task = np.searchsorted(starts, np.arange(len(rows)), side="right") - 1
    np.savez(out, X=school["x"].T[rows].astype(float), y=school["y"].ravel()[rows].astype(float), task=task)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python reports/school_split.py SCHOOL_FOLDER SPLIT OUT.npz")
    write_split(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
