"""Units: the grid of a parameter that nobody gave one for, in the units of the data.

    curvature   mean over tasks and features of half the second derivative of the losses at 0
    length      mean length of the predictors of single tasks, with a ridge of a tenth of that curvature
    price       mu_max at the single-task fit of the coupling in the middle of its grid: the price from which
                the first B-step leaves the graph empty

The values of `families.settings.named` are times these, to two digits. They are read off the training rows
of all tasks, once: all splits share one grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.jobs import fitted
from amtl_cvx.experiment.scales import mean_curvature, mu_max
from amtl_cvx.experiment.tuning.axes import Axis
from amtl_cvx.families.settings.named import NamedMethod, Parameter
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def grid_of(
    parameter: Parameter, tasks: TaskSet, method: NamedMethod, said: Mapping[str, Any], options: Options
) -> Axis:
    """The grid of a parameter for which there is none; `said` are settings, and values of parameters.

    Raises
    ------
    ModelError, DataError
        Where the data have no such unit.
    """
    axis = Axis(parameter.name, parameter.values)
    if parameter.unit == "":
        return axis
    first = {each.name: each.values[0] for each in method.parameters if each.name not in said}
    settings, held = apart(method, said)
    model = Candidate(method=method, settings=settings, parameters={**first, **held}).model(tasks)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = mean_curvature(tasks, model)
    if parameter.unit == "length":
        shared = {"loss": model.loss, "task_weights": model.task_weights}
        alone = Model(**shared, transfer=LossWeightedL1(mu=0.0), coupling=0.1 * unit)
        unit = float(np.linalg.norm(fitted(tasks, alone, "stl", options).W, axis=0).mean())
    if parameter.unit == "price":
        model = replace(model, coupling=float(held.get("coupling", unit)))
        try:
            unit = mu_max(tasks, model, fitted(tasks, model, "stl", options).W)
        except ModelError as error:
            raise ModelError(
                f"no price of {method.name} leaves its graph empty: give values of mu"
            ) from error
        unit = unit if unit > 0.0 else 1.0  # no task can help another: any price does
    if not 0.0 < unit < np.inf:
        raise DataError(f"the data have no unit of {parameter.name}: standardize them, or give its values")
    return axis.times(unit)


def apart(method: NamedMethod, said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the family, and parameters of the method."""
    names = {each.name for each in method.parameters}
    settings = {name: value for name, value in said.items() if name not in names}
    return settings, {name: value for name, value in said.items() if name in names}
