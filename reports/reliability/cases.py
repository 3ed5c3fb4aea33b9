"""A case of the campaign: files in an empty folder, one command on them, and what may come of it.

Whatever the files hold, a command ends with its exit code and at most one line of error; `Case.expected` says
where more is known: "refused" (exit 2), "read" (exit 0 or 1), "any".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKER = "checker"
"""In place of a command: the stand-alone checker of proofs."""
MODEL = ("--loss", "squared", "--coupling", "1", "--mu", "0.1")
TABLE = ("--task", "site", "--target", "y")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One command on files that are written for it."""

    name: str
    words: tuple[str, ...]
    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    fifos: tuple[str, ...] = ()
    expected: str = "any"

    def lay(self, folder: Path) -> None:
        """Write the files."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name, target in self.links.items():
            os.symlink(target, folder / name)
        for name in self.fifos:
            os.mkfifo(folder / name)
