"""The scores z_i = x_i'w_t of all rows at one W, by stacks of tasks with as many rows, and phi there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.arrays import frozen
from amtl_cvx.losses import Loss, RowLoss, Weighted
from amtl_cvx.tasks import Array, Stack


@dataclass(frozen=True, eq=False)
class Scores:
    """Those of k tasks with n rows each; what follows from them is computed once."""

    loss: RowLoss
    """The loss on these rows, weights of theirs included."""
    at: slice
    """Which tasks these are."""
    X: Array
    """(k, n, d)"""
    y: Array
    """(k, n)"""
    W: Array
    """(k, d)"""

    @property
    def weights(self) -> Array | float:
        """How often each row counts, (k, n), or 1."""
        return self.loss.weight if isinstance(self.loss, Weighted) else 1.0

    @cached_property
    def z(self) -> Array:
        """The scores, (k, n)."""
        z: Array = (self.X @ self.W[:, :, None])[:, :, 0] if self.W.any() else np.zeros(self.y.shape)
        return z

    @cached_property
    def sums(self) -> Array:
        """The sums of phi over the rows, (k,)."""
        sums: Array = self.loss.rows(self.z, self.y).sum(axis=1)
        return sums

    @cached_property
    def slopes(self) -> Array:
        """phi', (k, n)."""
        return self.loss.slopes(self.z, self.y)

    @cached_property
    def pull(self) -> Array:
        """The gradients of the sums, (d, k)."""
        pull: Array = (self.slopes[:, None, :] @ self.X)[:, 0, :].T
        return pull

    @cached_property
    def curvatures(self) -> Array:
        """phi'', (k, n)."""
        return self.loss.curvatures(self.z, self.y)

    def hessians(self, weight: Array) -> Array:
        """The Hessians of the sums times weights (k,), (k, d, d)."""
        return squares(self.X, weight[:, None] * self.curvatures)


def squares(X: Array, weight: Array) -> Array:
    """X' diag(weight) X of every task in a stack, weight >= 0 (k, n): half the work of a product."""
    root = np.sqrt(weight)[:, :, None] * X
    found: Array = root.swapaxes(1, 2) @ root
    return found


def scores(loss: Loss, stacks: Iterable[Stack], W: Array) -> Iterator[Scores]:
    """Those of all tasks at W (d, T), whose rows are in `stacks` (`TaskSet.stacks`)."""
    first = 0
    for X, y, weights in stacks:
        at = slice(first, first := first + len(X))
        yield Scores(loss.on(weights), at, X, y, W.T[at])


class LossesAt:
    """What the losses are at the predictors `W` of a point, of any family."""

    problem: Any
    """With `tasks`, `model`, `loss_scales` and `task_weight`."""
    if TYPE_CHECKING:

        @property
        def W(self) -> Array: ...  # (d, T), a block or what follows from blocks

    @cached_property
    def scores(self) -> tuple[Scores, ...]:
        """The scores of all rows and what the loss is there."""
        return tuple(scores(self.problem.model.loss, self.problem.tasks.stacks, self.W))

    @cached_property
    def losses(self) -> Array:
        """The losses L_t(w_t), (T,), without c_t."""
        return frozen(self.problem.loss_scales * np.concatenate([each.sums for each in self.scores]))

    @cached_property
    def weighted_losses(self) -> Array:
        """The losses times the task weights, c_t L_t(w_t), (T,)."""
        return frozen(self.problem.task_weight * self.losses)

    @cached_property
    def loss_gradient(self) -> Array:
        """The gradients of the losses without weights, (d, T): column t is grad L_t(w_t)."""
        return frozen(self.problem.loss_scales * np.hstack([each.pull for each in self.scores]))
