"""Read a reference pack with NumPy alone; copy this file anywhere.

    about, arrays = read_pack("packs/NAME")
    X, y, task = (arrays[f"problem/{name}"] for name in ("X", "y", "task"))
    mu, coupling, W = about["model"]["mu"], about["model"]["coupling"], arrays["solution/W"]

X is (N, d), row i belongs to task[i] = 0 .. T-1; W is (d, T), column t predicts task t; B is (T, T), and
B[s, t] is how much task s helps task t. `python read_pack.py packs/NAME` lists the arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def read_pack(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a pack says, and its arrays by their places.

    Parameters
    ----------
    folder : str or Path
        Of the pack: pack.json beside problem/, solution/ and, as the pack has them, given/ and minima/K/.

    Returns
    -------
    about : dict
        The content of pack.json; "model" is that of problem/problem.json: loss, mu, coupling, ...
    arrays : dict of ndarray
        "problem/X", "solution/W", "given/B", ..., float64 or int64.

    Raises
    ------
    ValueError
        For a file that is not the one that was written.
    """
    place, arrays = Path(folder), {}
    about = json.loads((place / "pack.json").read_bytes())
    for name, digest in about["files"].items():
        content = (place / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{name} was changed or cut off: get the pack again")
        if name == "problem/problem.json":
            about["model"] = json.loads(content)
        elif name.endswith(".npy"):
            arrays[name.removesuffix(".npy")] = np.load(io.BytesIO(content), allow_pickle=False)
    return about, arrays


if __name__ == "__main__":
    found, blocks = read_pack(sys.argv[1])
    lines = [f"{found['name']}: {found['title']}", *(f"{key} {block.shape}" for key, block in blocks.items())]
    sys.stdout.write("\n".join(lines) + "\n")
