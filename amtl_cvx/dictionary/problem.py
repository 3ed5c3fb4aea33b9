"""A problem of a shared dictionary: tasks and a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.point import DictionaryPoint, checked
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features.prices import LossScales
from amtl_cvx.problem.given import shown
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.tasks import TaskSet, check_tasks


@dataclass(frozen=True, eq=False)
class DictionaryProblem(LossScales, Keeping):
    """What is minimised over D (d, K) and G (K, T): J of a model on tasks.

    Parameters
    ----------
    tasks : TaskSet
    model : DictionaryModel

    Raises
    ------
    DataError, ModelError
        For tasks or a model that are none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import DictionaryModel, TaskSet
    >>> from amtl_cvx.dictionary import DictionaryProblem
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.ones((1, 2))], [[1.0, 0.0], [3.0]])
    >>> problem = DictionaryProblem(tasks, DictionaryModel(features=1, radius=2.0))
    >>> problem.at(D=[[1.0], [0.0]], G=[[0.5, 2.0]]).objective  # .5^2 / 2 + 1
    1.125
    """

    tasks: TaskSet
    model: DictionaryModel

    def __post_init__(self) -> None:
        check_tasks(self.tasks)
        if not isinstance(self.model, DictionaryModel):
            raise ModelError(
                f"expected a DictionaryModel, got {shown(self.model)}: give DictionaryModel(features=8,"
                " radius=1.0)"
            )

    def at(self, **blocks: object) -> DictionaryPoint:
        """The problem at D (d, K) and G (K, T); frames are brought into the order of features and tasks.

        Raises
        ------
        DataError
            For a wrong shape, other names, a block too many or few, or a number that is not finite.
        """
        names = self.model.blocks
        if set(blocks) != set(names):
            raise DataError(f"expected the blocks {', '.join(names)}, got {', '.join(blocks) or 'none'}")
        return DictionaryPoint(self, **{name: checked(blocks[name], name, self) for name in names})

    def compressed(self) -> DictionaryProblem:
        """The same J from at most d + 1 rows a task where the loss allows it."""
        return DictionaryProblem(self.model.compress(self.tasks), self.model)

    def check(self) -> None:
        """Raise `DataError` where the tasks do not fit the model."""
        self.model.check(self.tasks)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shapes of the blocks."""
        d, T, K = self.tasks.d, self.tasks.T, self.model.features
        return {"D": (d, K), "G": (K, T)}

    @cached_property
    def zero(self) -> DictionaryPoint:
        """The point 0, at which nothing is learned: a first-order point of every such problem."""
        return self.at(**{name: np.zeros(shape) for name, shape in self.shapes.items()})
