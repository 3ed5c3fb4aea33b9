"""What the search asks of a family: starts, when two results are one point, curvature, columns and words."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.families import family_of
from amtl_cvx.options import Options
from amtl_cvx.problem import check_problem
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


class Exploration(abc.ABC):
    """How one family is explored (`Family.exploration`)."""

    columns: tuple[str, ...]
    """Figures of the certificate that a row of the landscape has, in order."""
    also: ClassVar[tuple[str, ...]] = ()
    """Methods beside the first one of the family that fit from a start."""
    counted: ClassVar[str]
    """The one of them that the console shows."""
    default: ClassVar[tuple[str, str]]
    """The name of the start that a fit has by itself, and what it is in words."""
    mark: ClassVar[str]
    """What the picture says beside the point that it leads to; short."""
    measured: ClassVar[str]
    """What the distance is a distance of."""

    def check(self, tasks: TaskSet, model: Any) -> None:
        """`AMTLError` for a problem that has nothing to explore."""
        return None

    @abc.abstractmethod
    def starts(
        self,
        tasks: TaskSet,
        model: Any,
        count: int,
        *,
        rng: np.random.Generator,
        options: Options,
        executor: Executor | None,
    ) -> Sequence[Any]:
        """At most `count` starts, each with a `name`, the default one first."""

    @abc.abstractmethod
    def options(self, start: Any, tasks: TaskSet, options: Options) -> Options:
        """Those of a fit that begins at a start."""

    @abc.abstractmethod
    def distance(self, first: Solution, second: Solution) -> float:
        """The relative distance of two results of one problem."""

    @abc.abstractmethod
    def curvature(self, tasks: TaskSet, solution: Solution) -> str | None:
        """The verdict of second order; None where it is not available."""

    def matrices(self) -> Callable[[Any], Any] | None:
        """What draws the best few points beside each other, given the landscape; None for nothing."""
        return None

    def told(self) -> Mapping[str, Any]:
        """What landscape.json says of all points."""
        return {}

    def stored(self, solution: Solution) -> Mapping[str, Any]:
        """What landscape.json keeps of a point: its blocks."""
        return {name: block.tolist() for name, block in solution.blocks.items()}


def exploration_of(model: Any, tasks: TaskSet | None = None) -> Exploration:
    """That of the model's family; `ModelError` for one that has none, or what is no model."""
    if not isinstance(getattr(type(model), "family", None), str):
        check_problem(tasks, model)
    family = family_of(model)
    found: Exploration | None = family.exploration
    if found is None:
        raise ModelError(f"the family {family.name!r} has no starts to explore from: fit it")
    return found
