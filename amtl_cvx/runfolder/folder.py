"""A run at its place: where it goes, in which order its files are written, and what it may replace."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.commit import commit, finish
from amtl_cvx.runfolder.content import describe, draw, to_json, write_numbers, write_pictures
from amtl_cvx.runfolder.files import COMMIT, OWN_FILES
from amtl_cvx.runfolder.places import (
    Missed,
    check_replaceable,
    checkpoints,
    described,
    free_name,
    interrupted,
    loss_of_replacing,
    missed_by,
    protected,
    reason_of,
)
from amtl_cvx.runfolder.work import Work
from amtl_cvx.solution import Solution, Status
from amtl_cvx.untrusted import digest

_log = logging.getLogger(__name__)

Writer = Callable[[Path], None]
"""Writes a file, or files into a folder."""


class RunFolder:
    """The place of a run, held for one process from before the fit until the run is there.

        with RunFolder(Path("out")) as folder:   # DataError here if "out" cannot be written or is not ours
            ...                                  # the fit
            where = folder.write(solution, ...)

    Leaving the block removes the work folder. A run that is not certified, or misses what was asked of it,
    replaces a certified one, or another run's checkpoint, only with `force`.

    Parameters
    ----------
    place : Path
        DIR: absent, an empty folder, or one with our run.json.
    force : bool
        Whether a run that is not certified may replace a certified one.
    continued : Path or None
        The run that this one goes on from: its checkpoints replace DIR.interrupted where it is that.
    """

    def __init__(self, place: Path, *, force: bool = False, continued: Path | None = None) -> None:
        self.place = place
        self._force = force
        self._continued = continued
        self._checkpoint: Path | None = None
        self._beside: Work | None = None
        self._created: list[Path] = []
        check_replaceable(place)
        try:
            # what a symbolic link points to is written, not the link; Path.resolve raises for a loop of them
            self._target = Path(os.path.realpath(place))
            missing = [parent for parent in self._target.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                self._created.append(parent)
            there = self._target.is_dir()
            self._work = Work(self._target, home=self._target if there else self._target.parent)
            try:
                finish(self._target)
                for left in interrupted(self._named):
                    with contextlib.suppress(OSError, DataError):
                        finish(left)
            except BaseException:
                self._work.close()
                raise
        except OSError as error:
            self._remove_parents()
            raise DataError(
                f"cannot write to {place}: {reason_of(error)}: choose another folder (--out)"
            ) from error
        except (DataError, KeyboardInterrupt):
            self._remove_parents()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for work in (self._work, self._beside):
            if work is not None:
                work.close()
        self._remove_parents()

    def write(
        self,
        solution: Solution,
        *,
        dataset: Dataset,
        arguments: Mapping[str, Any],
        seed: int,
        scores: Mapping[str, Mapping[str, float]],
        choice: Mapping[str, Any] | None = None,
        missed: Missed | None = None,
        numbers: Writer | None = None,
        pictures: Mapping[str, Writer] | None = None,
        sections: Callable[[], str] | None = None,
    ) -> Path:
        """Write the run, first its numbers, then its pictures; returns where it is.

        `missed` says of a certified run that it is not all that was asked for (the level, for one).
        `numbers` writes further files into a folder, `pictures` further pictures by name, `sections` makes
        further sections of the report. A picture that fails is a warning. Numbers that cannot be moved to
        their place stay in the work folder, or where that is full in the temporary folder, and the
        `DataError` says where.
        """
        run = describe(
            solution, dataset=dataset, arguments=arguments, seed=seed, scores=scores, choice=choice
        )

        def fill(folder: Path) -> None:
            write_numbers(folder, solution)
            if numbers is not None:
                numbers(folder)
            _seal(folder, run, {})

        place = self.place
        try:
            check_replaceable(place)
            place, work = self._goal(missed or missed_by(solution.status))
            lost = loss_of_replacing(place, run)
            _put(fill, work, place)
        except (OSError, DataError) as error:
            raise DataError(self._rescued(fill, place, error)) from error
        if lost:
            _log.warning("%s: this run replaced %s", place, lost)
        self._discard_checkpoints(place, certified=solution.status is Status.CERTIFIED)

        def illustrate(folder: Path) -> None:
            write_pictures(folder, solution, dataset, run, sections)
            for name, write in (pictures or {}).items():
                draw(folder / name, write)
            _seal(folder, run, run["files"])

        try:
            _put(illustrate, work, place)
        except OSError as error:
            _log.warning("%s has no pictures: %s", place, reason_of(error))
        return place

    def checkpoint(
        self,
        solution: Solution,
        *,
        dataset: Dataset,
        arguments: Mapping[str, Any],
        seed: int,
        choice: Mapping[str, Any] | None = None,
    ) -> Path | None:
        """Keep the point so far as DIR.interrupted, a run folder without pictures.

        The first call takes a free name, later ones replace what this run wrote. `write` removes it once the
        run itself is at its place. Returns where it is; None, with a warning, where it cannot be written.
        """
        run = describe(solution, dataset=dataset, arguments=arguments, seed=seed, scores={}, choice=choice)
        run["checkpoint"] = {"process": os.getpid()}

        def fill(folder: Path) -> None:
            write_numbers(folder, solution)
            _seal(folder, run, {})

        known = self._checkpoint
        place = self._checkpoint = known or self._checkpoint_place(run)  # ours, should an interrupt come here
        try:
            _put(fill, self._work_beside(place), place)
        except (OSError, DataError) as error:
            self._checkpoint = known
            _log.warning("no checkpoint can be kept in %s: %s", place, reason_of(error))
            return None
        return place

    def _goal(self, missed: Missed | None) -> tuple[Path, Work]:
        """Where a run goes, and where it is made."""
        if missed is None or self._force or not protected(self._target):
            return self.place, self._work
        own = self._checkpoint if missed == "interrupted" else None
        place = own or free_name(self._named, missed)
        return place, self._work_beside(place)

    @property
    def _named(self) -> Path:
        """The place by a name to which ".interrupted" can be added."""
        return self.place if self.place.name not in ("", "..") else self._target

    def _checkpoint_place(self, run: Mapping[str, Any]) -> Path:
        """The interrupted run that this one goes on from, else a free name."""
        if self._continued is not None:
            there = self._continued if self._continued.is_dir() else self._continued.parent
            old = described(there)
            same = (
                old.get("status") == Status.INTERRUPTED.value
                and old.get("model") == run["model"]
                and (old.get("data") or {}).get("fingerprint") == run["data"]["fingerprint"]
            )
            if same and there.resolve() in interrupted(self._named):
                return there
        return free_name(self._named, "interrupted")

    def _work_beside(self, place: Path) -> Work:
        """The work folder for a place beside DIR."""
        home = place.resolve().parent
        if self._work.folder.parent == home:
            return self._work
        if self._beside is None:
            self._beside = Work(place.resolve(), home=home)
        return self._beside

    def _rescued(self, fill: Writer, place: Path, error: OSError | DataError) -> str:
        """Write the numbers where there is room, for they have no place; the words for the user."""
        what = f"cannot write to {place}: {reason_of(error)}" if isinstance(error, OSError) else str(error)
        pending = place / COMMIT
        if (pending / "run.json").is_file():
            return f"{what}; the numbers are in {place}, those that could not be moved in {pending}"
        with contextlib.suppress(OSError):
            folder = self._work.new()
            fill(folder)
            self._work.keep()
            return f"{what}; the numbers are in {folder}"
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="amtl_cvx-"))
            fill(folder)
            return f"{what}; the numbers are in {folder}"
        return f"{what}: free space or choose another folder (--out)"

    def _discard_checkpoints(self, place: Path, *, certified: bool) -> None:
        """Remove this run's checkpoint, and those of dead runs once a certified run is at their place."""
        old = [] if self._checkpoint is None else [self._checkpoint.resolve()]
        if certified and place == self.place:
            old += checkpoints(self._named)
        for folder in old:
            if folder != place.resolve():
                with contextlib.suppress(OSError):
                    finish(folder)
                    for name in OWN_FILES:  # run.json last: until then it is known for a checkpoint
                        (folder / name).unlink(missing_ok=True)
                    folder.rmdir()

    def _remove_parents(self) -> None:
        for parent in reversed(self._created):
            with contextlib.suppress(OSError):
                parent.rmdir()


def _put(fill: Writer, work: Work, place: Path) -> None:
    """Stage what `fill` writes, then commit it."""
    staged = work.new()
    try:
        fill(staged)
        commit(staged, place.resolve())
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _seal(folder: Path, run: dict[str, Any], known: Mapping[str, str]) -> None:
    """Write run.json with the digests of the files in `folder` beside those known."""
    run["files"] = {**known, **{path.name: digest(path) for path in sorted(folder.iterdir())}}
    (folder / "run.json").write_text(to_json(run))
