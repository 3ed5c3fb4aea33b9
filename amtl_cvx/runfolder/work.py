"""Work folders: where a run is made before it is committed, and how those of dead processes are told.

`.amtl_cvx-XXXXXXXX` lies in DIR, or beside it where DIR is absent, so that a rename can take its content to
its place. Its file `owner` names the process, the machine and the place, and is locked (flock) for as long as
the process lives: the kernel gives a dead process's lock back, whatever killed it. A work folder is removed
by the next run only if this machine wrote it and its lock is free; while another process holds one for the
same place, a second run is refused. Without `owner` (numbers that have no place) it is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.files import COMMIT, OWN_PREFIX

if sys.platform != "win32":
    import fcntl

_OWNER = "owner"
_ATTEMPTS = 5


class Work:
    """A locked work folder in `home` for a run at `place`; `DataError` while another process has one."""

    def __init__(self, place: Path, *, home: Path) -> None:
        for _ in range(_ATTEMPTS):
            self.folder = Path(tempfile.mkdtemp(prefix=OWN_PREFIX, dir=home))
            try:
                self._lock = _owned(self.folder, place)
            except OSError:
                shutil.rmtree(self.folder, ignore_errors=True)
                raise
            if self._lock is not None:
                break
        else:
            raise DataError(f"cannot keep a work folder in {home}: choose another folder (--out)")
        try:
            clear(place, own=self.folder)
        except BaseException:
            self.close()
            raise

    def new(self) -> Path:
        """A new folder in it, with the permissions of the user's own folders."""
        folder = self.folder / f"run-{len(os.listdir(self.folder))}"
        folder.mkdir()
        return folder

    def keep(self) -> None:
        """Leave the folder where it is, for the user; no later run removes it."""
        self._unlock()
        with contextlib.suppress(OSError):
            (self.folder / _OWNER).unlink()

    def close(self) -> None:
        """Remove the folder, unless it was kept."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clear(place: Path, *, own: Path) -> None:
    """Remove the work folders of dead processes in and beside `place`; `DataError` for one of a live one."""
    for folder in _work_folders(place):
        if folder == own:
            continue
        owner, dead = _owner(folder), _taken(folder)
        if dead is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(dead)
        elif owner and folder.parent / str(owner.get("place")) == place:
            raise DataError(
                f"process {owner.get('process')} on {owner.get('host')} is writing to {place} (since"
                f" {owner.get('since')}): choose another folder (--out), or remove {folder} if that"
                " process is gone"
            )


def _work_folders(place: Path) -> Iterator[Path]:
    for home in (place, place.parent):
        with contextlib.suppress(OSError), os.scandir(home) as entries:
            for entry in entries:
                ours = entry.name.startswith(OWN_PREFIX) and entry.name != COMMIT
                if ours and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


def _owned(folder: Path, place: Path) -> int | None:
    """Write and lock the owner's file; None where another process took the folder for a dead one's."""
    name = "." if folder.parent == place else place.name
    owner = {**_machine(), "process": os.getpid(), "place": name, "since": time.strftime("%F %T")}
    try:
        lock = os.open(folder / _OWNER, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    except FileNotFoundError:
        return None
    try:
        os.write(lock, json.dumps(owner).encode())
        if _locked(lock) is not False and (folder / _OWNER).exists():
            return lock
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _owner(folder: Path) -> Mapping[str, Any]:
    """What the owner's file says; empty where there is none, or a half-written one."""
    try:
        content = json.loads((folder / _OWNER).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _taken(folder: Path) -> int | None:
    """The lock of a work folder whose process is provably dead; None for any other."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # its process died before it could write the owner's file
    owner, here = _owner(folder), _machine()
    try:
        lock = os.open(folder / _OWNER, os.O_RDWR)
    except OSError:
        return None
    begun = os.fstat(lock).st_size == 0  # or before it could write into it
    if not begun and not any(owner.get(name) == value for name, value in here.items() if value):
        os.close(lock)
        return None
    if _locked(lock):
        return lock
    os.close(lock)
    return None


def _locked(handle: int) -> bool | None:
    """Lock a file for this process; False where another one has the lock, None where locks are not known."""
    if sys.platform == "win32":  # nothing is locked, so nothing is ever proved dead
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _machine() -> dict[str, str]:
    """What tells this machine: its name, and this start of its kernel (which containers share)."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"host": platform.node(), "boot": boot}
