"""What losses and feedback cost, of problems and points of learned features, linear ones and networks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.arrays import Array, frozen
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from amtl_cvx.features.model import FeatureModel


class LossScales:
    """What the losses of the tasks are multiplied by."""

    if TYPE_CHECKING:

        @property
        def tasks(self) -> TaskSet: ...

        @property
        def model(self) -> Any: ...

    @cached_property
    def task_weight(self) -> Array:
        """The task weights c, (T,)."""
        return frozen(self.model.task_weight(self.tasks))

    @cached_property
    def loss_scales(self) -> Array:
        """The factors in front of the sums over rows, (T,): 1/n_t or 1."""
        mean = self.model.loss.reduction == "mean"
        return frozen(1.0 / self.tasks.counts if mean else np.ones(self.tasks.T))


class ProblemPrices(LossScales):
    """What does not depend on the blocks."""

    @cached_property
    def floor(self) -> Array:
        """What feedback costs beside the losses, over alpha: price_floor / sqrt(n_t / mean n), (T,)."""
        counts = np.asarray(self.tasks.counts, dtype=float)
        return frozen(self.model.price_floor / np.sqrt(counts / counts.mean()))


class PointPrices:
    """What follows from the losses and from A."""

    problem: Any
    """With `ProblemPrices`."""
    if TYPE_CHECKING:

        @property
        def model(self) -> FeatureModel: ...

        @property
        def weighted_losses(self) -> Array: ...  # c_t L_t, (T,)

        @property
        def A(self) -> Array: ...  # (T, k)

    @cached_property
    def prices(self) -> Array:
        """p_t = alpha (c_t l_t + f_t), what one unit of feedback of task t costs, (T,)."""
        return frozen(self.model.alpha * (self.weighted_losses + self.problem.floor))

    @cached_property
    def loss_weight(self) -> Array:
        """e_t = c_t (1 + alpha ||a_t||_1), the weight of each loss while A stands still, (T,)."""
        given = np.abs(self.A).sum(axis=1)
        return frozen(self.problem.task_weight * (1.0 + self.model.alpha * given))
