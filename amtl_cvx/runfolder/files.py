"""The files of a run folder: their names, where each is, and how one is told from another run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

UNRECORDED = (
    "solution.npz", "certificate.json", "history.csv", "graph.png", "graph.graphml", "report.html",
    "landscape.csv", "landscape.json", "landscape.png",
)  # fmt: skip
"""What runs hold whose run.json does not yet list the files beside it."""
OWN_FILES = (
    *UNRECORDED, "digits.json", "proof.json", "state.npz",
    "features.png", "features.graphml", "images.png", "tuning.csv", "tuning.json", "heatmap.png", "run.json",
)  # fmt: skip
"""What a run folder may hold of ours."""
OWN_PREFIX = ".amtl_cvx-"
"""How the names of our own folders begin, in DIR and beside it."""
COMMIT = OWN_PREFIX + "commit"


def locate(folder: Path, name: str) -> Path:
    """Where a file of the run in `folder` is: in a commit that is under way, else in the folder."""
    pending = folder / COMMIT / name
    return pending if pending.is_file() else folder / name


def recorded_files(run: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The digests that run.json holds of the files beside it; None in a run before it held them."""
    files = run.get("files")
    return {str(k): str(v) for k, v in files.items() if k in OWN_FILES} if isinstance(files, dict) else None
