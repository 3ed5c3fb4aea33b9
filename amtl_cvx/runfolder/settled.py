"""One run is read, whatever is committed meanwhile, and no file of another run is taken for its own."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.content import parse_run_json
from amtl_cvx.runfolder.files import locate, recorded_files

Read = TypeVar("Read")
_ATTEMPTS = 100
"""How often files are read again because a new run took their place meanwhile."""


def settled(folder: Path, read: Callable[[Mapping[str, Any]], Read]) -> Read:
    """What `read` gives for the run.json of a folder, once no new run is committed meanwhile.

    What fails is read twice: another run may have been there for a moment, and the first one again.
    """
    failed: bytes | None = None
    for attempt in range(_ATTEMPTS):
        described = locate(folder, "run.json")
        content = content_of(described)
        pending = described.parent != folder
        try:
            found = read({} if content is None else parse_run_json(content, described))
        except DataError:
            settled = content_of(locate(folder, "run.json")) == content and not pending
            if (settled and (content is None or failed == content)) or attempt == _ATTEMPTS - 1:
                raise
            failed = content if settled else None
        else:
            if content_of(locate(folder, "run.json")) == content:
                return found
        time.sleep(0.01)
    raise DataError(f"{folder} changes all the time: wait until the run that writes there has ended")


def content_of(path: Path) -> bytes | None:
    """What a file holds, None where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def is_recorded(name: str, file: io.BufferedReader | io.BytesIO, run: Mapping[str, Any]) -> bool:
    """Whether an open file is the one whose digest run.json holds; runs before it held them are believed."""
    files = recorded_files(run)
    file.seek(0)
    return files is None or files.get(name) == hashlib.file_digest(file, "sha256").hexdigest()


def foreign(path: Path) -> DataError:
    """That a file is not the one that run.json describes."""
    return DataError(
        f"{path} is not the file that the run.json beside it describes: it was changed, or is of another run;"
        " fit again, or give certify the .npz itself"
    )
