"""A problem of shared features: tasks, a model, and the rows whose features are reconstructed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array, frozen
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.features.point import FeaturePoint, checked
from amtl_cvx.features.prices import ProblemPrices
from amtl_cvx.features.rank import exact_rank
from amtl_cvx.problem.given import shown
from amtl_cvx.tasks import TaskSet, check_tasks, groups, triangular_factor


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The rows X (N, d) that ||Z - Z S A||_F^2 sums over, as a factor: N itself is nowhere a size.

    They are those of `TaskSet.pool`: rows that tasks share, as one-vs-rest tasks do, count once, and so does
    a row of weight 2, which in the losses is the row twice; a row of weight 0 is absent.
    """

    factor: Array
    """R (r, d) with R'R = X'X."""
    rows: int
    """N."""

    @classmethod
    def of(cls, tasks: TaskSet, *, labelled: bool = False) -> Reconstruction:
        """That of the rows of the tasks, all or those with a label; `DataError` as of `TaskSet.pool`."""
        pool = tasks.pool(labelled=labelled)
        return cls(frozen(triangular_factor(np.vstack(pool.parts))), pool.rows)

    @classmethod
    def none(cls, d: int) -> Reconstruction:
        """That of no rows."""
        return cls(np.zeros((0, d)), 0)

    @cached_property
    def gram(self) -> Array:
        """X'X, (d, d)."""
        return frozen(self.factor.T @ self.factor)

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """s (d,) >= 0 and V (d, d) with X'X = V diag(s) V'."""
        _, values, V = np.linalg.svd(self.factor, full_matrices=True)
        s = np.zeros(self.factor.shape[1])
        s[: len(values)] = values**2
        return frozen(s), frozen(np.ascontiguousarray(V.T))


@dataclass(frozen=True, eq=False)
class FeatureProblem(ProblemPrices):
    """What is minimised over L (d, k), S (k, T) and A (T, k): J of a model on tasks.

    Parameters
    ----------
    tasks : TaskSet
    model : FeatureModel
    whole : Reconstruction, optional
        Of the rows; made from those of the tasks.

    Raises
    ------
    DataError, ModelError
        For tasks or a model that are none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import FeatureModel, TaskSet
    >>> from amtl_cvx.features import FeatureProblem
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.ones((1, 2))], [[1.0, 0.0], [3.0]])
    >>> problem = FeatureProblem(tasks, FeatureModel(features=1, mu=1.0, alpha=0.5, gamma=2.0, decay=0.25))
    >>> point = problem.at(L=[[1.0], [1.0]], S=[[1.0, 1.0]], A=[[0.0], [0.5]])
    >>> np.round(point.terms, 12)  # 1/2 + 1, .5 * .5 * 1, 2, 2 * 6 / 4, .25 * 2
    array([1.5 , 0.25, 2.  , 3.  , 0.5 ])
    """

    tasks: TaskSet
    model: FeatureModel
    whole: Reconstruction | None = None

    def __post_init__(self) -> None:
        check_tasks(self.tasks)
        if not isinstance(self.model, FeatureModel):
            raise ModelError(
                f"expected a FeatureModel, got {shown(self.model)}: give"
                " FeatureModel(features=8, mu=0.1, alpha=0.1, gamma=0.1, decay=0.1)"
            )

    def at(self, **blocks: object) -> FeaturePoint:
        """The problem at L (d, k), S (k, T) and, but for GO-MTL, A (T, k).

        Frames are brought into the order of its features and tasks.

        Raises
        ------
        DataError
            For a wrong shape, other names, a block too many or few, or a number that is not finite.
        """
        names = self.model.blocks
        if set(blocks) != set(names):
            raise DataError(f"expected the blocks {', '.join(names)}, got {', '.join(blocks) or 'none'}")
        return FeaturePoint(self, **{name: checked(blocks[name], name, self) for name in names})

    def compressed(self) -> FeatureProblem:
        """The same J from at most d + 1 rows a task where the loss allows it."""
        return FeatureProblem(self.model.compress(self.tasks), self.model, self.reconstruction)

    def check(self) -> None:
        """Raise `DataError` where the tasks do not fit the model."""
        self.model.check(self.tasks)
        _ = self.reconstruction

    @cached_property
    def reconstruction(self) -> Reconstruction:
        """The rows that are reconstructed; none where that has no weight."""
        if self.whole is not None:
            return self.whole
        if self.model.gamma == 0.0:
            return Reconstruction.none(self.tasks.d)
        return Reconstruction.of(self.tasks, labelled=self.model.reconstruct == "labelled")

    @cached_property
    def rank(self) -> int | None:
        """The exact rank of the rows that J sees; None where it is not known: factors, or very many rows."""
        if any(task.compressed for task in self.tasks):
            return None
        _, parts = groups([task.X for task in self.tasks])
        if self.gamma > 0.0:
            parts += self.tasks.pool(labelled=self.model.reconstruct == "labelled").parts
        return exact_rank(np.vstack(parts))

    @cached_property
    def gamma(self) -> float:
        """The weight of ||Z - Z S A||_F^2, in total."""
        model = self.model
        per_row = model.gamma_per == "row" and model.gamma > 0.0
        return model.gamma / self.reconstruction.rows if per_row else model.gamma

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shapes of the blocks."""
        d, T, k = self.tasks.d, self.tasks.T, self.model.features
        every = {"L": (d, k), "S": (k, T), "A": (T, k)}
        return {name: every[name] for name in self.model.blocks}

    @cached_property
    def zero(self) -> FeaturePoint:
        """The point 0, at which nothing is learned: a first-order point of every such problem."""
        return self.at(**{name: np.zeros(shape) for name, shape in self.shapes.items()})
