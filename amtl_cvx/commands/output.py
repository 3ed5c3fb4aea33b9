"""What commands write besides run folders: files whole or not at all, the ladder, figures."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from amtl_cvx.certificate import Certificate
from amtl_cvx.certificate.figures import facts
from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.work import Work

_UNMOVABLE = (errno.EACCES, errno.EPERM, errno.EBUSY)
"""A folder that is not ours to change, or a file that is a mount point."""


def write_whole(path: Path, content: bytes, *, read: Iterable[Path] = ()) -> None:
    """Write a file at once or not at all; what a symbolic link points to is replaced, not the link.

    A device, such as /dev/stdout, is written to as it is, and so is a file that nothing can be moved over.
    `read` are the files that the command has read: none of them is written over.
    """
    try:
        target = _target(path)
        if target.exists() and any(file.exists() and target.samefile(file) for file in read):
            raise DataError(f"cannot write {path}: it was read to make it: choose another --out")
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        try:
            _replace(target, content)
        except OSError as error:
            if error.errno not in _UNMOVABLE or not target.is_file():
                raise
            target.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}: choose another --out") from error


def _replace(target: Path, content: bytes) -> None:
    work = Work(target, home=target.parent)
    try:
        made = work.folder / "made"
        made.write_bytes(content)
        if target.exists():
            made.chmod(target.stat().st_mode)
        os.replace(made, target)
    finally:
        work.close()


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:  # what Python before 3.13 calls a loop of links
        raise DataError(f"cannot write {path}: its links lead in a circle: choose another --out") from error


def files_of_run(path: Path) -> Iterator[Path]:
    """What `read_run` and `read_history` read of a run or of a folder with W and B."""
    names = ("solution.npz", "run.json", "history.csv", "tuning.json", "W.npy", "B.npy", "W.csv", "B.csv")
    folder = path if path.is_dir() else path.parent
    return (folder / name for name in names)


def kept_words(place: Path, out: Path) -> str:
    """That a run in `place` did not replace the one it was to replace; nothing where it is at its place."""
    return "" if place == out else f"; {out} was left as it is, --force replaces it"


def ladder_lines(certificate: Certificate) -> list[str]:
    """One line a rung: code, word, state, and the sentence, or the figure alone of what is routine."""
    return [
        f"{rung.code} {rung.word:<22} {rung.state:<14} "
        + (rung.figure if rung.state == "reached" and rung.code <= "C2" else rung.words)
        for rung in certificate.rungs()
    ]


def figure_lines(certificate: Certificate) -> list[str]:
    """One line a figure, by group: its name, its value or why it has none, and what it is."""
    lines = []
    for title, members in facts(certificate):
        lines.append(title)
        for fact in members:
            value = f"none: {fact.missing}" if fact.missing else fact.value
            lines.append(f"  {fact.name:<20} {value:<20}  {fact.meaning}".rstrip())
    return lines


def reached_words(certificate: Certificate) -> str:
    """What an interrupted climb leaves: the level so far, and the one that was not decided."""
    open_ = next((rung.code for rung in certificate.rungs() if rung.state == "not tried"), "the next level")
    return f"the level is {certificate.level} so far, {open_} was not decided"
