r"""A point of a problem of shared features: J, its parts and its derivatives, each computed once.

    e_t = c_t (1 + alpha ||a_t||_1)      p_t = alpha (c_t l_t + f_t)      M = I - S A
    Z = X L      E = Z M      K = X'E      column t of GW: e_t grad L_t(L s_t)

    G_L = GW S' + 2 gamma K M' + 2 decay L
    G_S = L'GW - 2 gamma L'K A'           against the box [-mu, mu]
    G_A = -2 gamma S'L'K                  row t against [-p_t, p_t]; where A >= 0, G_A >= -p_t

Rows of X are nowhere counted but in the losses: Z, E are those of a factor R with R'R = X'X.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from amtl_cvx.arrays import Array, frozen, in_named_order, numbers
from amtl_cvx.errors import DataError
from amtl_cvx.features.prices import PointPrices
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.problem.scores import LossesAt
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from amtl_cvx.features.model import FeatureModel
    from amtl_cvx.features.problem import FeatureProblem

_DEPENDS = {
    "W": "LS",
    "scores": "LS",
    "losses": "LS",
    "weighted_losses": "LS",
    "prices": "LS",
    "loss_gradient": "LS",
    "loss_curvature": "LS",
    "Z": "L",
    "loss_weight": "A",
    "M": "SA",
}
"""What a point keeps that is of some of its blocks alone, by name, with those blocks."""


class Terms(NamedTuple):
    """J by term."""

    losses: float
    feedback: float
    sparsity: float
    reconstruction: float
    decay: float


@dataclass(frozen=True, eq=False)
class FeaturePoint(LossesAt, PointPrices, Keeping):
    """The blocks of a problem at one place, with what follows from them.

    Parameters
    ----------
    problem : FeatureProblem
    L : (d, k) array_like
        Column j makes feature j from the columns of X.
    S : (k, T) array_like
        S[j, t] is how much task t uses feature j.
    A : (T, k) array_like or None
        A[t, j] is what task t gives to feature j; None, that is 0, for GO-MTL.

    Raises
    ------
    DataError
        For a wrong shape, other names, or a number that is not finite.
    """

    problem: FeatureProblem
    L: Array
    S: Array
    A: Array = cast(Array, None)

    def __post_init__(self) -> None:
        shapes = self.problem.shapes
        for name in ("L", "S", "A"):
            value: Any = getattr(self, name)
            if name in shapes:
                plain = type(value) is np.ndarray and value.dtype == np.float64
                if not (plain and value.shape == shapes[name]):
                    value = checked(value, name, self.problem)
            elif value is None:
                value = np.zeros((self.S.shape[1], self.S.shape[0]))
            object.__setattr__(self, name, _own(value))

    def at(self, **some: Array) -> FeaturePoint:
        """The same problem with other values of some of its blocks; what does not depend on them is kept."""
        new = FeaturePoint(self.problem, **{**self.blocks, **some})
        for name, of in _DEPENDS.items():
            if name in self.__dict__ and not set(of) & set(some):
                new.__dict__[name] = self.__dict__[name]
        return new

    @property
    def blocks(self) -> Mapping[str, Array]:
        """The blocks by their names."""
        return {name: getattr(self, name) for name in self.problem.model.blocks}

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the problem."""
        return self.problem.tasks

    @property
    def model(self) -> FeatureModel:
        """The model of the problem."""
        return self.problem.model

    @cached_property
    def W(self) -> Array:
        """The predictors L S, (d, T)."""
        return frozen(self.L @ self.S)

    @cached_property
    def loss_curvature(self) -> Array:
        """The Hessians of the losses in the predictors, without weights, (T, d, d)."""
        scale = self.problem.loss_scales
        return frozen(np.concatenate([each.hessians(scale[each.at]) for each in self.scores]))

    @cached_property
    def M(self) -> Array:
        """I - S A, (k, k)."""
        return frozen(np.eye(len(self.S)) - self.S @ self.A)

    @cached_property
    def Z(self) -> Array:
        """The features of the rows that are reconstructed, by their factor: R L, (r, k)."""
        return frozen(self.problem.reconstruction.factor @ self.L)

    @cached_property
    def E(self) -> Array:
        """What the reconstruction misses, by the factor of the rows: Z M, (r, k)."""
        return frozen(self.Z @ self.M)

    @cached_property
    def K(self) -> Array:
        """X'E, (d, k)."""
        return frozen(self.problem.reconstruction.factor.T @ self.E)

    @cached_property
    def terms(self) -> Terms:
        """J by term."""
        model, problem = self.model, self.problem
        return Terms(
            float(self.weighted_losses.sum()),
            float(self.prices @ np.abs(self.A).sum(axis=1)),
            model.mu * float(np.abs(self.S).sum()),
            problem.gamma * float(np.vdot(self.E, self.E)),
            model.decay * float(np.vdot(self.L, self.L)),
        )

    @property
    def objective(self) -> float:
        """J."""
        return sum(self.terms)

    @cached_property
    def weighted_gradient(self) -> Array:
        """GW, (d, T): column t is e_t grad L_t(L s_t)."""
        return frozen(self.loss_weight * self.loss_gradient)

    @cached_property
    def gradient_L(self) -> Array:
        """The gradient of J in L, (d, k)."""
        pull = 2.0 * self.problem.gamma * (self.K @ self.M.T)
        return frozen(self.weighted_gradient @ self.S.T + pull + 2.0 * self.model.decay * self.L)

    @cached_property
    def gradient_S(self) -> Array:
        """The gradient in S of J without mu ||S||_1, (k, T)."""
        pull = 2.0 * self.problem.gamma * (self.L.T @ self.K @ self.A.T)
        return frozen(self.L.T @ self.weighted_gradient - pull)

    @cached_property
    def gradient_A(self) -> Array:
        """The gradient in A of the reconstruction, all of J but for the prices, (T, k)."""
        return frozen(-2.0 * self.problem.gamma * (self.W.T @ self.K))

    @cached_property
    def live(self) -> Array:
        """Which features are live, (k,) bool: some entry of L_j, S_j or A_j is not 0."""
        parts = (self.L != 0.0, self.S.T != 0.0, self.A != 0.0)
        found: Array = np.any([part.any(axis=0) for part in parts], axis=0)
        return found


def checked(value: object, name: str, problem: FeatureProblem) -> Array:
    """A block as finite doubles, a frame in the order of the tasks and features; else `DataError`."""
    shape = problem.shapes[name]
    array = numbers(value, name)
    if array.shape != shape:
        raise DataError(
            f"{name} must have shape {shape} for {problem.tasks.T} tasks, {problem.tasks.d} features of the"
            f" data and {problem.model.features} to learn, it has {array.shape}"
        )
    tasks, features = problem.tasks.names, problem.tasks.feature_names
    sides = {"L": (features, None), "S": (None, tasks), "A": (tasks, None)}[name]
    return in_named_order(array, value, sides, name)


def _own(array: Array) -> Array:
    """A read-only copy; the array itself where nobody can write to it."""
    if array.base is None and not array.flags.writeable:
        return array
    return frozen(array.copy(order="K"))
