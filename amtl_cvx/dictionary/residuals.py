r"""First-order residuals of a shared dictionary: how far each entry of D and G is from its condition.

The conditions say that minus the gradient is in the normal cone of the ball. With G_D, G_G of `point`, and
the multipliers that the balls must have, ||G_D[:, k]||_2 and lambda_t = ||G_G[:, t]||_inf, that is

    D    G_D[i, k] + ||G_D[:, k]|| D[i, k] = 0        the gradient is 0, or d_k = -G_D[:, k] / ||G_D[:, k]||
    G    G_G[k, t] + lambda_t sign(G[k, t]) = 0       where G[k, t] != 0
         lambda_t (1 - ||g_t||_1 / radius) = 0        the ball is full, or the gradient is 0

A zero of G has no condition of its own, |G_G[k, t]| <= lambda_t being true; an entry that is not 0 has to
meet its own sign, however small it is. `stationarity` is the largest of a block, `relative` the largest ratio
to the terms that the entry is summed from (0/0 = 0), x_ti being feature i of task t over its rows:

    D    sum_t c_t/n_t ||x_ti|| ||phi'_t|| |G_kt| + ||G_D[:, k]|| |D_ik| + room
    G    sum_i c_t/n_t ||x_ti|| ||phi'_t|| |D_ik| + lambda_t + room

so that a ratio of eps is a backward error of eps (Oettli and Prager). Room: slopes phi' are known to eps
times what they are themselves summed from, and `SLOPES` of these is added (see `certificate.residuals`).

Sources: Rockafellar, Wets, Variational analysis, 1998, theorem 6.12 and example 6.8; Oettli, Prager 1964.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.misses import SLOPES, Misses
from amtl_cvx.dictionary.point import DictionaryPoint


class Residuals(NamedTuple):
    """First-order residuals by block, absolute and relative."""

    stationarity: Mapping[str, float]
    parts: Mapping[str, float]

    @property
    def relative(self) -> float:
        """The worst of `parts`."""
        return max(self.parts.values())


class Long:
    """What the gradients are summed from, in absolute values: none of these cancels."""

    def __init__(self, point: DictionaryPoint) -> None:
        tasks, loss = point.tasks, point.model.loss
        self.point = point
        self.rate = point.problem.task_weight * point.problem.loss_scales
        """c_t/n_t, (T,)"""
        self.own = tasks.lengths.T @ np.abs(point.D)
        """Of atom k on the rows of a task, (T, K)"""
        self.reach = (self.own * np.abs(point.G).T).sum(axis=1)
        """Of the scores of a task, (T,)"""
        self.slopes = np.concatenate([each.loss.norm(each.slopes) for each in point.scores])
        """||phi'_t||, (T,)"""
        terms = [loss.slope_terms(each.slopes, each.y, self.reach[each.at]) for each in point.scores]
        self.slope_terms = np.concatenate(terms)
        """What phi' is summed from, (T,)"""

    def gradients(self, slopes: Array) -> Mapping[str, Array]:
        """What each gradient is summed from where the slopes of a task have this norm, (T,)."""
        weight = self.rate * slopes
        pulled = (self.point.tasks.lengths * weight) @ np.abs(self.point.G).T
        return {"D": pulled, "G": self.own.T * weight}


def long(point: DictionaryPoint) -> Long:
    """`Long` of the point, found once."""
    return point.kept("long", lambda: Long(point))


def residuals(point: DictionaryPoint) -> Residuals:
    """The first-order residuals of a point."""
    found = point.kept("misses", lambda: misses(point))
    return Residuals(
        {name: float(each.miss.max()) for name, each in found.items()},
        {name: each.relative() for name, each in found.items()},
    )


def misses(point: DictionaryPoint) -> dict[str, Misses]:
    """What every entry is off by, and what that is held against; the last row of G is of the balls."""
    size, D, G = long(point), point.D, point.G
    terms = size.gradients(size.slopes + SLOPES * size.slope_terms)
    pull = np.linalg.norm(point.gradient_D, axis=0)
    of_D = Misses(np.abs(point.gradient_D + pull * D), terms["D"] + pull * np.abs(D))
    level = np.abs(point.gradient_G).max(axis=0)
    off = np.where(G != 0.0, np.abs(point.gradient_G + level * np.sign(G)), 0.0)
    idle = level * np.maximum(1.0 - np.abs(G).sum(axis=0) / point.model.radius, 0.0)
    most = terms["G"].max(axis=0) + level
    return {"D": of_D, "G": Misses(np.vstack([off, idle]), np.vstack([terms["G"] + level, most]))}
