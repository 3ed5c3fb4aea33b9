r"""A point of a network's problem: the forward pass and J, each computed once.

    u^l = z^(l-1) V_l,  z^l = max(u^l, 0),   Z = z^h,  F = Z S,  R = F A,  E = Z - max(R, 0)

A unit is on its kink (`touching`) where u is within rounding of the terms it is summed from; its z is 0 then,
to the last bit, so that what is summed from such units alone is 0 as well. The gradient is that of
`backward`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.arrays import Array, Mask, frozen
from amtl_cvx.features.point import Terms
from amtl_cvx.features.prices import PointPrices
from amtl_cvx.network.backward import Gradient, backward
from amtl_cvx.network.followers import followers
from amtl_cvx.network.rows import beside_ones
from amtl_cvx.problem.keeping import Keeping
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from amtl_cvx.losses import RowLoss
    from amtl_cvx.network.model import NetworkModel
    from amtl_cvx.network.problem import NetworkProblem

ROUNDING = 64.0 * float(np.finfo(np.float64).eps)
"""Part of the sum of its terms, in absolute values, below which a sum counts as 0."""


@dataclass(frozen=True, eq=False)
class NetworkPoint(PointPrices, Keeping):
    """The blocks of a problem at one place, with what follows from them; made by `NetworkProblem.at`.

    Parameters
    ----------
    problem : NetworkProblem
    V : tuple of (d_l, k_l) arrays
        The layers, each with its bias as last row where layers have one.
    S : (k, T) array
    A_plus : (T, k) or (T + 1, k) array
        A, with the bias of the feedback as last row where it has one.
    """

    problem: NetworkProblem
    V: tuple[Array, ...]
    S: Array
    A_plus: Array

    def at(self, **some: object) -> NetworkPoint:
        """The same problem with other values of some of its blocks."""
        return self.problem.at(**{**self.blocks, **some})

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the problem."""
        return self.problem.tasks

    @property
    def model(self) -> NetworkModel:
        """The model of the problem."""
        return self.problem.model

    @cached_property
    def blocks(self) -> Mapping[str, Array]:
        """The blocks by their names."""
        found = {"S": self.S, "A": self.A}
        for number, V in enumerate(self.V, start=1):
            found |= {f"W{number}": frozen(V[:-1] if self.model.fit_bias else V)}
            if self.model.fit_bias:
                found[f"bias{number}"] = V[-1]
        if self.model.feedback_bias:
            found["bias_feedback"] = self.A_plus[-1]
        return {name: found[name] for name in self.model.blocks}

    @property
    def A(self) -> Array:
        """What tasks give back, (T, k)."""
        return self.A_plus[: self.tasks.T]

    @cached_property
    def vector(self) -> Array:
        """All entries, in the order of the problem's layout, (n,)."""
        return frozen(self.problem.layout.joined(*self.V, self.S, self.A_plus))

    @cached_property
    def _layers(self) -> tuple[tuple[Array, ...], tuple[Array, ...], tuple[Mask, ...]]:
        """u^l, z^l and which units are on their kinks."""
        below, U, Z, touching = self.problem.inputs, [], [], []
        for V in self.V:
            u = below @ V
            at = np.abs(u) <= ROUNDING * (np.abs(below) @ np.abs(V))
            z = np.where(at, 0.0, np.maximum(u, 0.0))
            U.append(frozen(u))
            Z.append(frozen(z))
            touching.append(at)
            below = beside_ones(z, self.model.fit_bias)
        return tuple(U), tuple(Z), tuple(touching)

    @property
    def U(self) -> tuple[Array, ...]:
        """u^l, (N, k_l) of each layer."""
        return self._layers[0]

    @property
    def Z(self) -> tuple[Array, ...]:
        """z^l, (N, k_l) of each layer."""
        return self._layers[1]

    @property
    def touching(self) -> tuple[Mask, ...]:
        """Which units are on their kinks, (N, k_l) of each layer; those whose input is all 0 included."""
        return self._layers[2]

    @cached_property
    def below(self) -> tuple[Array, ...]:
        """What enters each layer: the inputs, then z^l, with a column of ones where layers have a bias."""
        return (
            self.problem.inputs,
            *(frozen(beside_ones(z, self.model.fit_bias)) for z in self.Z[:-1]),
        )

    @property
    def features(self) -> Array:
        """Z, the last layer, (N, k)."""
        return self.Z[-1]

    @cached_property
    def F(self) -> Array:
        """The scores Z S, (N, T)."""
        return frozen(self.features @ self.S)

    @cached_property
    def F_plus(self) -> Array:
        """F, with a column of ones where the feedback has a bias."""
        return frozen(beside_ones(self.F, self.model.feedback_bias))

    @cached_property
    def R(self) -> Array:
        """F A and its bias: what is rebuilt, before its ReLU, (N, k)."""
        return frozen(self.F_plus @ self.A_plus)

    @cached_property
    def meeting(self) -> Mask:
        """Which entries of R are 0 within rounding, (N, k)."""
        found: Mask = np.abs(self.R) <= ROUNDING * (self.F_terms @ np.abs(self.A_plus))
        return found

    @cached_property
    def F_terms(self) -> Array:
        """What F, and the ones beside it, are summed from, in absolute values."""
        return frozen(beside_ones(self.features @ np.abs(self.S), self.model.feedback_bias))

    @cached_property
    def rebuilt(self) -> Array:
        """max(R, 0), (N, k)."""
        return frozen(np.where(self.meeting, 0.0, np.maximum(self.R, 0.0)))

    @cached_property
    def E(self) -> Array:
        """What the reconstruction misses, Z - max(R, 0), (N, k)."""
        return frozen(self.features - self.rebuilt)

    @cached_property
    def scores(self) -> Array:
        """The scores of the labels, (M,)."""
        rows = self.problem.rows
        return frozen(self.F[rows.row, rows.task])

    @cached_property
    def row_loss(self) -> RowLoss:
        """The loss on the labels, their weights included."""
        return self.model.loss.on(self.problem.rows.weight)

    @cached_property
    def losses(self) -> Array:
        """The losses L_t, (T,), without c_t."""
        rows = self.problem.rows
        sums = rows.by_task(self.row_loss.rows(self.scores, rows.y), self.tasks.T)
        return frozen(self.problem.loss_scales * sums)

    @cached_property
    def weighted_losses(self) -> Array:
        """c_t L_t, (T,)."""
        return frozen(self.problem.task_weight * self.losses)

    @cached_property
    def loss_slopes(self) -> Array:
        """d(c_t L_t)/dF, (N, T)."""
        rows, c = self.problem.rows, self.problem.task_weight * self.problem.loss_scales
        return frozen(rows.spread(c[rows.task] * self.row_loss.slopes(self.scores, rows.y), self.tasks.T))

    @cached_property
    def loss_curvatures(self) -> Array:
        """The second derivatives of c_t L_t in F, (N, T): no two scores cross."""
        rows, c = self.problem.rows, self.problem.task_weight * self.problem.loss_scales
        return frozen(rows.spread(c[rows.task] * self.row_loss.curvatures(self.scores, rows.y), self.tasks.T))

    @cached_property
    def terms(self) -> Terms:
        """J by term."""
        model, problem = self.model, self.problem
        squares = sum(float(np.vdot(V, V)) for V in self.V)
        bias = self.A_plus[self.tasks.T :]
        return Terms(
            float(self.weighted_losses.sum()),
            float(self.prices @ np.abs(self.A).sum(axis=1)),
            model.mu * float(np.abs(self.S).sum()),
            problem.gamma * float(problem.rows.times @ (self.E**2).sum(axis=1)),
            model.decay * (squares + float(np.vdot(bias, bias))),
        )

    @property
    def objective(self) -> float:
        """J."""
        return sum(self.terms)

    @cached_property
    def on(self) -> tuple[Array, ...]:
        """The masks of a cell, (N, k_l) of each layer: 1 where a unit is on, also as a follower, else 0."""
        on = ((u > 0.0) & ~at for u, at in zip(self.U, self.touching, strict=True))
        return tuple(
            frozen((own | with_below).astype(np.float64))
            for own, with_below in zip(on, followers(self)[0], strict=True)
        )

    @cached_property
    def rebuilding(self) -> Array:
        """D, (N, k): 1 where R is strictly above 0, else 0."""
        return frozen(((self.R > 0.0) & ~self.meeting).astype(np.float64))

    def gradient(self, masks: Sequence[Array] | None = None) -> Gradient:
        """The gradient of J without ||S||_1 and the prices of A, every unit with its mask.

        Parameters
        ----------
        masks : sequence of (N, k_l) arrays in [0, 1], optional
            What z^l changes by for each unit of u^l; by default 1 where it is on, 0 where it is off or on its
            kink.
        """
        if masks is not None:
            return backward(self, masks)
        return self.kept("cell gradient", lambda: backward(self, self.on))

    @cached_property
    def live(self) -> Array:
        """Which features of the last layer are live, (k,) bool: some entry of V_j, S_j or A_j is not 0."""
        parts = (self.V[-1] != 0.0, self.S.T != 0.0, self.A_plus != 0.0)
        found: Array = np.any([part.any(axis=0) for part in parts], axis=0)
        return found
