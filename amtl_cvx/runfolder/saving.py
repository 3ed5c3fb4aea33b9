"""A solution of Python as a run folder."""

from __future__ import annotations

import logging
from pathlib import Path

from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError
from amtl_cvx.runfolder.folder import RunFolder
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

_log = logging.getLogger(__name__)


def save(
    solution: Solution, folder: str | Path, *, tasks: TaskSet, name: str = "data", force: bool = False
) -> Path:
    """Write a solution as a run folder; `read_run` and the commands read it back.

    Parameters
    ----------
    solution : Solution
        What `fit` returned.
    folder : str or Path
        The folder to write: absent, empty, or with an earlier run of ours, whose files are replaced.
    tasks : TaskSet
        The data of the fit, in the users' units: before `solution.preparation`, where there is one.
    name : str
        What titles call the data.
    force : bool
        Whether a solution that is not certified may replace a certified run; without it the solution is
        written beside it, as folder.uncertified or folder.interrupted, with a warning.

    Returns
    -------
    Path
        Where the solution is.

    Raises
    ------
    DataError
        If the tasks are not those of the solution, or the folder cannot be written or is not ours.
    """
    if tasks.names != solution.task_names:
        raise DataError("the tasks have other names than those of the solution: give the data of the fit")
    prepared = tasks if solution.preparation is None else solution.preparation.apply_tasks(tasks)
    known = solution.feature_names if solution.preparation is None else solution.preparation.feature_names
    if tasks.with_features(known) is not tasks:
        raise DataError(
            "the features have another order than those of the solution: give the data of the fit"
        )
    solution.family.checked(solution.blocks, tasks=prepared)
    dataset = Dataset(name=name, train=tasks, source="Python")
    arguments = {"tol": solution.certificate.tol, "ridge": solution.ridge}
    arguments |= {name: value for name, value in solution.facts.items() if name == "reading"}
    place = Path(folder)
    with RunFolder(place, force=force) as new:
        where = new.write(solution, dataset=dataset, arguments=arguments, seed=0, scores={})
    if where != place:
        _log.warning("%s holds a certified run and was left as it is, this one is in %s", place, where)
    return where
