"""The loss that the targets suggest, by its name."""

from __future__ import annotations

import logging

import numpy as np

from amtl_cvx.arrays import MANY, numbers_for_classes
from amtl_cvx.tasks.task_set import TaskSet

log = logging.getLogger(__name__)


def suggest_loss(tasks: TaskSet) -> str:
    """What `--loss auto` means.

    "logistic" if the targets are labels of two classes (`TaskSet.labels`), else "squared". A task of one
    class among others is left to the error of the logistic loss.
    """
    if tasks.labels is not None:
        return "logistic"
    values: set[float] = set()
    for task in tasks:
        if task.compressed or (task.y != np.round(task.y)).any() or len(values) > MANY:
            return "squared"
        values.update(np.unique(task.y).tolist())
    line = numbers_for_classes(values)
    if line is not None:
        log.warning("%s", line)
    return "squared"
