"""A folder that appears at its place whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.content import describe, read_run_json, to_json, write_numbers, write_pictures
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet, check_weights


class RunFolder:
    """A folder that appears at its place only when it is complete.

        with RunFolder(Path("out")) as folder:   # DataError here if "out" cannot be written or is not ours
            ...                                  # the fit
            folder.write(solution, ...)

    Leaving the block without `write` removes the temporary folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._created: list[Path] = []
        check_replaceable(place)
        try:
            self._target = place.resolve()  # what a symbolic link points to is replaced, not the link
            missing = [parent for parent in self._target.parents if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                self._created.append(parent)
            prefix = f".{self._target.name[:40]}."
            self.work = Path(tempfile.mkdtemp(prefix=prefix, dir=self._target.parent))
        except OSError as error:
            self._remove_parents()
            raise DataError(f"cannot write to {place}: {error.strerror}: choose another --out") from error
        except KeyboardInterrupt:
            self._remove_parents()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.work.exists():
            shutil.rmtree(self.work, ignore_errors=True)
        if not self.place.exists():
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
    ) -> None:
        """Write every file and move the folder to its place."""
        try:
            write_numbers(self.work, solution)
            run = describe(
                solution, dataset=dataset, arguments=arguments, seed=seed, scores=scores, choice=choice
            )
            write_pictures(self.work, solution, dataset, run)
            (self.work / "run.json").write_text(to_json(run))
            self.work.chmod(0o777 & ~umask())
            self._move()
        except OSError as error:
            raise DataError(
                f"cannot write to {self.place}: {error.strerror}: free space or choose another --out"
            ) from error

    def _move(self) -> None:
        """Swap the finished folder in; the old one goes only once the new one is there."""
        check_replaceable(self.place)
        old = self.work.with_name(self.work.name + ".old")
        if self._target.exists():
            os.replace(self._target, old)
        try:
            os.replace(self.work, self._target)
        except OSError:
            if old.exists():
                os.replace(old, self._target)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _remove_parents(self) -> None:
        for parent in reversed(self._created):
            with contextlib.suppress(OSError):
                parent.rmdir()


def save(solution: Solution, folder: str | Path, *, tasks: TaskSet, name: str = "data") -> None:
    """Write a solution as a run folder; `read_run` and the commands read it back.

    Parameters
    ----------
    solution : Solution
        What `fit` returned.
    folder : str or Path
        The folder to write; only an empty folder or an earlier run of ours is replaced.
    tasks : TaskSet
        The data of the fit, in the users' units: before `solution.preparation`, where there is one.
    name : str
        What titles call the data.

    Raises
    ------
    DataError
        If the tasks are not those of the solution, or the folder cannot be written or is not ours.
    """
    if tasks.names != solution.task_names:
        raise DataError("the tasks have other names than those of the solution: give the data of the fit")
    prepared = tasks if solution.preparation is None else solution.preparation.apply_tasks(tasks)
    check_weights(solution.W, solution.B, d=prepared.d, T=prepared.T)
    dataset = Dataset(name=name, train=tasks, source="Python")
    arguments = {"tol": solution.certificate.tol, "ridge": solution.ridge}
    with RunFolder(Path(folder)) as new:
        new.write(solution, dataset=dataset, arguments=arguments, seed=0, scores={})


def check_replaceable(place: Path) -> None:
    """Raise `DataError` unless `place` is free, an empty folder, or a folder with our run.json.

    The current folder cannot be replaced either: whoever stands in it would be left in a deleted one.
    """
    try:
        if not place.exists() and not place.is_symlink():
            return
        if place.is_dir() and (not any(place.iterdir()) or _is_ours(place / "run.json")):
            if Path.cwd().is_relative_to(place.resolve()):
                raise DataError(f"--out {place} is where you are: give a new folder, such as {place / 'run'}")
            return
        what = "a folder without a run.json of ours" if place.is_dir() else "a file"
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}: choose another --out") from error
    raise DataError(
        f"--out {place} exists and is {what}: it is left alone, choose another folder or remove it"
    )


def _is_ours(path: Path) -> bool:
    try:
        return bool(read_run_json(path))
    except DataError:
        return False


def umask() -> int:
    """The permissions that new files go without."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
