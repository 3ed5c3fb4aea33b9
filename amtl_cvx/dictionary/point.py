r"""A point of a problem of a shared dictionary: J and its derivatives, each computed once.

column t of GW: c_t grad L_t(D g_t)      G_D = GW G'      G_G = D'GW
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.arrays import Array, Mask, frozen, in_named_order, numbers
from amtl_cvx.errors import DataError
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.problem.scores import LossesAt
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from amtl_cvx.dictionary.model import DictionaryModel
    from amtl_cvx.dictionary.problem import DictionaryProblem


@dataclass(frozen=True, eq=False)
class DictionaryPoint(LossesAt, Keeping):
    """The blocks of a problem at one place, with what follows from them.

    Parameters
    ----------
    problem : DictionaryProblem
    D : (d, K) array_like
        Column k is an atom: weights of the columns of X.
    G : (K, T) array_like
        G[k, t] is how much of atom k is in the predictor of task t.

    Raises
    ------
    DataError
        For a wrong shape, or a number that is not finite.
    """

    problem: DictionaryProblem
    D: Array
    G: Array

    def __post_init__(self) -> None:
        for name, shape in self.problem.shapes.items():
            value: Any = getattr(self, name)
            if not (type(value) is np.ndarray and value.dtype == np.float64 and value.shape == shape):
                value = checked(value, name, self.problem)
            object.__setattr__(self, name, _own(value))

    def at(self, **some: Array) -> DictionaryPoint:
        """The same problem with other values of some of its blocks."""
        return DictionaryPoint(self.problem, **{**self.blocks, **some})

    @property
    def blocks(self) -> Mapping[str, Array]:
        """The blocks by their names."""
        return {"D": self.D, "G": self.G}

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the problem."""
        return self.problem.tasks

    @property
    def model(self) -> DictionaryModel:
        """The model of the problem."""
        return self.problem.model

    @cached_property
    def W(self) -> Array:
        """The predictors D G, (d, T)."""
        return frozen(self.D @ self.G)

    @cached_property
    def loss_curvature(self) -> Array:
        """The Hessians of the losses in the predictors, with c_t, (T, d, d)."""
        scale = self.problem.loss_scales * self.problem.task_weight

        def found() -> Array:
            return frozen(np.concatenate([each.hessians(scale[each.at]) for each in self.scores]))

        return self.problem.kept("curvature", found) if self.model.loss.quadratic else found()

    @property
    def objective(self) -> float:
        """J."""
        return float(self.weighted_losses.sum())

    @cached_property
    def weighted_gradient(self) -> Array:
        """GW, (d, T)."""
        return frozen(self.problem.task_weight * self.loss_gradient)

    @cached_property
    def gradient_D(self) -> Array:
        """The gradient of J in D, (d, K)."""
        return frozen(self.weighted_gradient @ self.G.T)

    @cached_property
    def gradient_G(self) -> Array:
        """The gradient of J in G, (K, T)."""
        return frozen(self.D.T @ self.weighted_gradient)

    @cached_property
    def live(self) -> Mask:
        """Which atoms some task uses, (K,)."""
        return np.asarray(self.G.any(axis=1) & self.D.any(axis=0))

    @cached_property
    def beyond(self) -> float:
        """How far a column of D or of G is beyond its ball, over the radius of that; 0 within both."""
        atoms = float(np.linalg.norm(self.D, axis=0).max()) - 1.0
        codes = float(np.abs(self.G).sum(axis=0).max()) / self.model.radius - 1.0
        return max(0.0, atoms, codes)


def checked(value: object, name: str, problem: DictionaryProblem) -> Array:
    """A block as finite doubles, a frame in the order of the tasks and features; else `DataError`."""
    shape = problem.shapes[name]
    array = numbers(value, name)
    if array.shape != shape:
        raise DataError(
            f"{name} must have shape {shape} for {problem.tasks.T} tasks, {problem.tasks.d} features of the"
            f" data and {problem.model.features} columns of the dictionary, it has {array.shape}"
        )
    tasks, features = problem.tasks.names, problem.tasks.feature_names
    sides = {"D": (features, None), "G": (None, tasks)}[name]
    return in_named_order(array, value, sides, name)


def _own(array: Array) -> Array:
    """A read-only copy; the array itself where nobody can write to it."""
    if array.base is None and not array.flags.writeable:
        return array
    return frozen(array.copy(order="K"))
