"""How a run takes its place: staged whole, then committed by one rename.

    staged/ -> DIR                     where DIR is absent: one rename, and all is there
    staged/ -> DIR/.amtl_cvx-commit    where DIR is there: this rename is the commit; then each file moves
                                       over the old one, own files that the new run has not are removed, and
                                       run.json moves last

Whatever kills the process, a reader who looks for each file in the commit folder first (`locate`) finds the
old run before the rename and the new one after it. The next run moves what a dead one left there (`finish`).
run.json holds the SHA-256 of every other file of the run under "files", so that files of two runs, which only
a copy or an editor can bring together, are told from one run. Only files that the earlier run.json names (or,
in runs before it named them, files called as ours) are removed: whatever else lies in DIR stays.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.content import read_run_json
from amtl_cvx.runfolder.files import COMMIT, UNRECORDED, recorded_files
from amtl_cvx.untrusted import digest


def commit(staged: Path, place: Path) -> None:
    """Put the complete run in `staged`, on the file system of `place`, at its place.

    Raises
    ------
    OSError
        Where it cannot be moved. Before the commit nothing has changed and `staged` is still there; after it
        the run is whole for `locate`.
    """
    if not place.is_dir():
        os.rename(staged, place)
        return
    finish(place)
    os.rename(staged, place / COMMIT)
    finish(place)


def finish(place: Path) -> None:
    """Move what a commit left in its commit folder; nothing where there is none."""
    pending = place / COMMIT
    described = pending / "run.json"
    if described.is_file():
        written = set(recorded_files(read_run_json(described)) or ())
        stale = set(_own(place)) - written
        for path in sorted(pending.iterdir()):
            if path != described:
                os.replace(path, place / path.name)
        for name in stale:
            (place / name).unlink(missing_ok=True)
        os.replace(described, place / "run.json")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        pending.rmdir()


def _own(place: Path) -> list[str]:
    """Files of the earlier run in `place` but run.json, each as it was written where that is known."""
    try:
        run = read_run_json(place / "run.json")
    except DataError:
        return []
    files = recorded_files(run)
    if files is None:
        return list(UNRECORDED) if run else []
    return [
        name for name, known in files.items() if (place / name).is_file() and digest(place / name) == known
    ]
