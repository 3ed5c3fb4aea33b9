"""What the data choose where settings of a fit are left open: rho first, then coupling and mu.

rho is chosen by the problem without edges, which is convex and ties the tasks by the penalty alone; coupling
and mu then with it. Single tasks, and chains of tasks, choose their coupling by their own fits: that of AMTL,
whose edges take from each task what others explain, is no ridge for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from amtl_cvx.experiment import Choice, choose
from amtl_cvx.experiment.path import HELD_OUT, Weight, WeightPath, choose_weight, with_weight
from amtl_cvx.holdout import Split
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.progress import Progress
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import TaskSet

ON_VALIDATION = "the validation rows"
_BY_ITSELF = ("stl", "curriculum-simple")
"""Methods that have no price of transfer, and choose their coupling by their own fits."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The model with what was chosen, and what was tried for it."""

    choice: Choice
    paths: tuple[WeightPath, ...] = ()

    def tried(self) -> dict[str, list[dict[str, Any]]]:
        """The paths as run.json keeps them, by the weight."""
        return {path.weight: [trial._asdict() for trial in path.trials] for path in self.paths}


def chosen(
    tasks: TaskSet,
    model: Model,
    auto: Mapping[str, bool],
    *,
    method: str,
    seed: int,
    options: Options,
    split: Callable[[TaskSet, Loss, np.random.Generator], Split],
    progress: Progress,
    on_validation: bool,
) -> Chosen:
    """Choose what `auto` leaves open; see the module essay.

    Raises
    ------
    DataError, SolveError
        Those of `choose` and `choose_weight`.
    """
    wanted: list[tuple[Weight, str]] = [("rho", "stl")] if auto["rho"] else []
    by_itself = auto["coupling"] and method in _BY_ITSELF
    wanted += [("coupling", method)] if by_itself else []
    paths: list[WeightPath] = []
    judged_on = ON_VALIDATION if on_validation else HELD_OUT
    for weight, fitted_by in wanted:
        path = choose_weight(
            model,
            split(tasks, model.loss, np.random.default_rng(seed)),
            weight=weight,
            method=fitted_by,
            options=_of_trials(options),
            observe=progress.passing,
            executor=options.executor,
        )
        paths.append(replace(path, judged_on=judged_on))
        model = with_weight(model, weight, path.value)
    choice = Choice(model=model)
    coupling = auto["coupling"] and not by_itself
    if coupling or auto["mu"]:
        choice = choose(
            tasks,
            model,
            coupling=coupling,
            mu=auto["mu"],
            rng=np.random.default_rng(seed),
            observe=progress.trial,
            solver=options.solver,
            solve_limit=options.solve_limit,
            gpu=options.gpu,
            split=split,
            executor=options.executor,
        )
    return Chosen(choice=replace(choice, judged_on=judged_on), paths=tuple(paths))


def _of_trials(options: Options) -> Options:
    """How a value of a path is fitted: unjudged, and in NumPy where no solver is asked for."""
    asked = options.solver != "auto" or options.gpu == "on"
    return Options(
        judged=False,
        engine=options.engine if asked else "fast",
        ridge=options.ridge,
        reading=options.reading,
        solver=options.solver,
        gpu=options.gpu,
        solve_limit=options.solve_limit,
        problems=Problems(),
    )
