"""Journal: the finished jobs of a tuning in a file, so that one that was ended goes on where it was.

The first line says what is tuned: data (by their hash), method, grid, options. Every other line is a finished
job, in JSON, whose numbers come back as they were, bit by bit. A line is written in one piece after its job
and brought to the disk; the end of a file that breaks off in a line is cut off, and its job is done again. A
file that begins otherwise, or of another tuning, is refused and left as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import existing_file, read_bytes, reading

FORMAT = "amtl_cvx tuning 1"


class Journal:
    """The finished jobs by their keys; new ones are appended.

    Parameters
    ----------
    path : path
        A file that is made where there is none.
    about : mapping
        What is tuned, as JSON can hold it.

    Raises
    ------
    DataError
        For a file that is no journal, that of another tuning, or one that cannot be written.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._about = json.loads(json.dumps({"format": FORMAT, **about}))
        self._done: dict[str, Any] = {}
        if self.path.exists() and self.path.stat().st_size:
            self._read()
        else:
            self._append(self._about)

    def __len__(self) -> int:
        return len(self._done)

    def get(self, key: str) -> Any:
        """What was noted for a job, None where it is still to be done."""
        return self._done.get(key)

    def add(self, key: str, result: Any) -> None:
        """Note a finished job."""
        self._done[key] = result
        self._append({"job": key, "result": result})

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self.path.open("ab") as file:
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"{self.path}: the journal cannot be written ({reason}): name another") from error

    def _read(self) -> None:
        """Take up the finished jobs, and cut off what breaks off."""
        path = existing_file(self.path, "the journal of a tuning")
        with reading(path, "journal"):
            content = read_bytes(path)
            whole = content.rfind(b"\n") + 1
            lines = content[:whole].decode().splitlines()
            if not lines:
                self._begin_anew(content)
                return
            self._compare(json.loads(lines[0]))
            for line in lines[1:]:
                entry = json.loads(line)
                self._done[str(entry["job"])] = entry["result"]
        if whole < len(content):
            os.truncate(path, whole)

    def _begin_anew(self, content: bytes) -> None:
        """A file that broke off in its first line; anything else is refused."""
        if not json.dumps(self._about).encode().startswith(content):
            raise DataError("expected the journal of a tuning: name another file")
        os.truncate(self.path, 0)
        self._append(self._about)

    def _compare(self, about: Any) -> None:
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise DataError("expected the journal of a tuning: name another file")
        keys = dict.fromkeys((*self._about, *about))
        if other := [key for key in keys if self._about.get(key) != about.get(key)]:
            raise DataError(
                f"it is the journal of another tuning (other {', '.join(other)}): name another file, or"
                " delete it"
            )
