r"""First-order residuals of shared features: how far each entry of L, S and A is from its condition.

    L    |G_L[i, j]|
    S    |G_S + mu sign(S)| where S[j, t] != 0, max(|G_S| - mu, 0) where it is 0
    A    |G_A + p_t sign(A)| where A[t, j] != 0, max(|G_A| - p_t, 0) where it is 0; -G_A for |G_A| if A >= 0

An entry that is not 0 has to meet its own sign, however small it is: rounding off what should be 0 is for
whoever made the point. `stationarity` is the largest of a block, `relative` the largest ratio to the size of
that very entry (0/0 = 0), x_ti being feature i of task t over its rows, X_i over those that are
reconstructed, e_t, p_t, M, E as in `point`:

    L    sum_t e_t/n_t ||x_ti|| ||phi'_t|| |S_jt| + 2 gamma ||X_i|| sum_l ||E_l|| |M_jl| + 2 decay |L_ij|
         + room
    S    mu + room
    A    p_t + room;   where feedback is free (alpha = 0) 2 gamma ||Z s_t|| ||E_j|| + room

L has no price: its size are the terms that G_L is summed from, so that a ratio of eps is a backward error of
eps (Oettli and Prager). S and A have one. It is all that is left where the terms of G_S cancel, and what the
gaps of their blocks are relative to; beside the terms themselves, which may be any multiple of mu, a wrong
sign (which is off by 2 mu) or a lost entry would not count. For the same reason the scale of a feature, which
is no symmetry of J, cannot get lost: mu |S_j| is held against mu.

Every ratio stays as it is under factors in the tasks' losses, in y (squared loss, with the weights that go
with it), and in a column of X where decay does not hold it, for then all terms of a condition change alike.

Room. G is known to eps times what its factors are themselves summed from, in absolute values: `Long`. `ROOM`
of these is added to every size, for slopes phi' `SLOPES` (see `certificate.residuals`), to p_t that of the
loss. An entry of L that no loss holds (a dead feature, say) has no terms but its own; it has the room `ROOM`
sqrt(2 (decay + gamma ||X_i||^2 ||M_j||^2) sum_t c_t l_t(0)): at the tolerance 1e-8 it gains 1e-26 of J(0).

Sources: Oettli, Prager 1964, as in `certificate.residuals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.misses import ROOM, SLOPES, Misses
from amtl_cvx.features.point import FeaturePoint

_EPS = float(np.finfo(np.float64).eps)


class Residuals(NamedTuple):
    """First-order residuals by block, absolute and relative."""

    stationarity: Mapping[str, float]
    parts: Mapping[str, float]

    @property
    def relative(self) -> float:
        """The worst of `parts`."""
        return max(self.parts.values())


class Long:
    """What the factors of the gradients are summed from, in absolute values: none of these cancels."""

    def __init__(self, point: FeaturePoint) -> None:
        tasks, loss = point.tasks, point.model.loss
        L, S, A = np.abs(point.L), np.abs(point.S), np.abs(point.A)
        self.point = point
        self.rate = point.loss_weight * point.problem.loss_scales
        """e_t/n_t, (T,)"""
        self.across = np.sqrt(np.einsum("ri,ri->i", *[point.problem.reconstruction.factor] * 2))
        """||X_i||, (d,)"""
        self.Z = self.across @ L
        """Of z_j, (k,)"""
        self.H = self.Z @ S
        """Of Z s_t, (T,)"""
        self.E = self.Z + self.H @ A
        """Of E_j, (k,)"""
        self.M = np.eye(len(S)) + S @ A
        self.own = tasks.lengths.T @ L
        """Of feature j on the rows of a task, (T, k)"""
        self.reach = (self.own * S.T).sum(axis=1)
        """Of the scores of a task, (T,)"""
        self.slopes = np.concatenate([each.loss.norm(each.slopes) for each in point.scores])
        """||phi'_t||, (T,)"""
        terms = [loss.slope_terms(each.slopes, each.y, self.reach[each.at]) for each in point.scores]
        self.slope_terms = np.concatenate(terms)
        """What phi' is summed from, (T,)"""

    def pulls(self, slopes: Array) -> Mapping[str, Array]:
        """The losses' part of each gradient where the slopes of a task have this norm, (T,)."""
        weight = self.rate * slopes
        return {
            "L": (self.point.tasks.lengths * weight) @ np.abs(self.point.S).T,
            "S": self.own.T * weight,
        }

    def couplings(self, E: Array, M: Array) -> Mapping[str, Array]:
        """The reconstruction's part of each gradient where E (k,) and M (k, k) have these sizes."""
        double, A = 2.0 * self.point.problem.gamma, np.abs(self.point.A)
        return {
            "L": double * np.outer(self.across, E @ M.T),
            "S": double * np.outer(self.Z, A @ E),
            "A": double * np.outer(self.H, E),
        }

    def gradients(self) -> Mapping[str, Array]:
        """What each gradient is summed from, rounding being relative to it."""
        found, pulled = self.couplings(self.E, self.M), self.pulls(self.slopes + self.slope_terms)
        decayed = 2.0 * self.point.model.decay * np.abs(self.point.L)
        return {"L": found["L"] + pulled["L"] + decayed, "S": found["S"] + pulled["S"], "A": found["A"]}

    def prices(self) -> Array:
        """What prices are summed from: what they move by where the scores move by all their terms, (T,)."""
        point = self.point
        moved = (self.slopes + _EPS * self.slope_terms) * (self.reach + point.tasks.target_lengths)
        moved = point.problem.task_weight * point.problem.loss_scales * moved
        found: Array = point.model.alpha * (moved + point.problem.floor)
        return found


def long(point: FeaturePoint) -> Long:
    """`Long` of the point, found once."""
    return point.kept("long", lambda: Long(point))


def residuals(point: FeaturePoint) -> Residuals:
    """The first-order residuals of a point."""
    found = point.kept("misses", lambda: misses(point))
    return Residuals(
        {name: float(each.miss.max()) for name, each in found.items()},
        {name: each.relative() for name, each in found.items()},
    )


def misses(point: FeaturePoint) -> dict[str, Misses]:
    """What every entry of every block is off by, and what that is held against."""
    model, size = point.model, long(point)
    rounding = size.couplings(size.E, size.M)
    found = {
        "L": Misses(np.abs(point.gradient_L), _sizes_L(point, size)),
        "S": Misses(
            _off(point.S, point.gradient_S, model.mu, signed=True),
            model.mu + size.pulls(ROOM * size.slopes + SLOPES * size.slope_terms)["S"] + ROOM * rounding["S"],
        ),
    }
    if model.has_feedback:
        prices = np.repeat(point.prices[:, None], len(point.S), axis=1)
        held = prices if model.alpha > 0.0 else _free(point)
        found["A"] = Misses(
            _off(point.A, point.gradient_A, prices, signed=model.signed),
            held + ROOM * (size.prices()[:, None] + rounding["A"]),
        )
    return found


def _off(block: Array, slope: Array, price: Array | float, *, signed: bool) -> Array:
    """How far entries with a price |.| are from their conditions."""
    pull = np.abs(slope) if signed else -slope
    return np.where(block != 0.0, np.abs(slope + price * np.sign(block)), np.maximum(pull - price, 0.0))


def _sizes_L(point: FeaturePoint, size: Long) -> Array:
    model, problem = point.model, point.problem
    pulled = size.pulls(size.slopes + SLOPES * size.slope_terms)["L"]
    E, M = np.linalg.norm(point.E, axis=0), np.abs(point.M)
    coupled = size.couplings(E + ROOM * size.E, M + ROOM * size.M)["L"]
    bent = model.decay + problem.gamma * np.outer(size.across**2, (point.M**2).sum(axis=1))
    own = float(problem.task_weight @ problem.zero.losses)
    least = np.where(pulled > 0.0, 0.0, ROOM * np.sqrt(2.0 * bent * own))
    return pulled + coupled + 2.0 * model.decay * np.abs(point.L) + least


def _free(point: FeaturePoint) -> Array:
    """2 gamma ||Z s_t|| ||E_j||, (T, k)."""
    lengths = np.linalg.norm(point.Z @ point.S, axis=0)
    return 2.0 * point.problem.gamma * np.outer(lengths, np.linalg.norm(point.E, axis=0))
