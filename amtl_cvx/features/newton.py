r"""Joint Newton steps over L, S and A: from an iterate of the alternation to the last digits.

The alternation of three exact steps crawls, for a move of L has to wait for S and A. Here all live entries
move at once. On the side of 0 on which an entry of S or A is, J is smooth; a nonzero may go to 0 but not
across, a zero moves the one way in which J falls, if it does. A step minimises a quadratic model over this
box exactly (`refine.boxqp`), so that entries come and go by the dozen. The model has the exact Hessian
(`curvature`) of the entries that move, each in the unit in which its own curvature is 1, shifted by its own
negative curvature and by a trust term after Levenberg and Marquardt, which rises after a refusal and falls
after a success (`refine.local.Trust`). A step is taken where the exact J falls by a part of what the model
foretells; where that is rounding, where the residual falls.

Where the reduced Hessian is positive definite and no zero is about to move the steps end as Newton's method
on the right entries: quadratic. The D-step (`balance`) follows each step while it lowers J, and a feature
without predictors or without a use is put to 0 in all blocks, which never costs anything.

Sources: Hintermueller, Ito, Kunisch, The primal-dual active set strategy as a semismooth Newton method,
2002, for the box; Nocedal, Wright, Numerical optimization, 2006, chapters 3 and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.features.balance import balanced
from amtl_cvx.features.curvature import Entries, feedback_signs, reduced_hessian
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.residuals import residuals
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.local import Trust, positive, shifted

Ended = Literal["converged", "stalled", "growing", "limit", "too large"]
Observer = Callable[[FeaturePoint, str], None]

LARGEST = 4000
"""Entries of L, S and A together beyond which there is no dense Hessian."""
_FALL = 1e-12  # part of J from which on a fall is more than rounding
_FORETOLD = 1e-10  # part of J below which what the model foretells is rounding, and the residual decides
_ROUNDING = 1e-14
_TRIALS = 30
_SHY = 6  # trials at the level of rounding: shorter steps hardly lower the residual
_FLAT = 1e-6  # part of the curvature of others in the same unit that each entry counts with
_LEAST_SHIFT = 1e-13  # directions in which J is flat stay where they are
_LOOK = 20  # steps from look to look for blocks that grow
_LOOKS = 5  # so many in a row by a tenth, with J lower by less than `_HARDLY`, are a run-off
_HARDLY = 1e-3
_GROWN = 1e2  # times the first blocks: what ends there without converging grew
_FAR = 1e6  # the same where the residual is small, without decay


@dataclass
class _Growth:
    """Whether the largest entry keeps growing, look by look, while J hardly falls."""

    size: float
    J: float
    looks: int = 0

    def keeps_on(self, point: FeaturePoint, steps: int) -> bool:
        """Asked after every step."""
        if steps % _LOOK == 0:
            size, J = _size(point), point.objective
            grows = size > 1.1 * self.size and J > (1.0 - _HARDLY) * self.J
            self.size, self.J, self.looks = size, J, self.looks + 1 if grows else 0
        return self.looks >= _LOOKS


class Refined(NamedTuple):
    """Where the steps ended, and why."""

    point: FeaturePoint
    steps: int
    ended: Ended


def refine(
    start: FeaturePoint,
    *,
    tol: float = 1e-11,
    max_steps: int = 1000,
    observe: Observer | None = None,
    trust: Trust | None = None,
) -> Refined:
    """Lower J from `start` until the residual is within `tol` and falls no further, or nothing improves.

    Parameters
    ----------
    start : FeaturePoint
        Compressed tasks (`FeatureProblem.compressed`) give the same answer sooner.
    tol : float
        For the relative residual. While a step still lowers it tenfold the next one is taken as well.
    max_steps : int
        Of steps that are taken.
    observe : callable(FeaturePoint, "newton"), optional
        Called after every step. `KeyboardInterrupt` raised inside passes through.
    trust : Trust, optional
        Kept up to date for `observe`; with it as it was and the point as `start` the steps go on.

    Returns
    -------
    Refined
        J is not above that of `start` up to rounding. "stalled": no step lowers J; "growing": blocks grow
        while it falls, there may be no minimum; "limit": of steps; "too large": no step was tried.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.features import FeatureProblem, GoMtlModel
    >>> from amtl_cvx.features.newton import refine
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> start = FeatureProblem(tasks, GoMtlModel(features=1, mu=1.0, decay=0.5)).at(L=[[1.0]], S=[[2.0]])
    >>> found = refine(start)  # balance: l^2 = s, so that (l^3 - 3)^2 + 1.5 l^2 falls to 2 l (l^3 - 3) = -1
    >>> found.ended, round(float(2.0 * found.point.L[0, 0] * (found.point.W[0, 0] - 3.0)), 12)
    ('converged', -1.0)
    """
    if sum(block.size for block in start.blocks.values()) > LARGEST:
        return Refined(start, 0, "too large")
    point, trust, growth = start, Trust() if trust is None else trust, _Growth(_size(start), start.objective)
    steps, reached = 0, residuals(start).relative
    for found in newton_steps(start, trust=trust):
        before, reached = reached, residuals(found).relative
        if before <= tol and reached >= before:
            break
        if steps >= max_steps:
            return Refined(point, steps, _ended(start, point, "limit", tol=tol))
        point, steps = found, steps + 1
        if observe is not None:
            observe(point, "newton")
        if growth.keeps_on(point, steps):
            return Refined(point, steps, "growing")
        if reached <= tol and reached > 0.1 * before:
            break
    return Refined(point, steps, _ended(start, point, "stalled", tol=tol))


def _ended(start: FeaturePoint, point: FeaturePoint, otherwise: Ended, *, tol: float) -> Ended:
    """What can be said of the point where the steps end; `otherwise` of one that is no first-order point."""
    grown = _size(point) / max(_size(start), 1e-300)
    if residuals(point).relative <= tol:
        return "growing" if point.model.decay == 0.0 and grown > _FAR else "converged"
    return "growing" if grown > _GROWN else otherwise


def newton_steps(start: FeaturePoint, *, trust: Trust) -> Iterator[FeaturePoint]:
    """Points of falling J, each a step from the one before, until no step lowers it."""
    point = _tidied(start)
    if point is not start:
        yield point
    while found := newton_step(point, trust) or _anew(point, trust):
        point = found
        yield point


def _anew(point: FeaturePoint, trust: Trust) -> FeaturePoint | None:
    """A step with the trust term as at first, or else without one; None if there is none.

    It may have risen so high for an earlier point that steps are none. Near a minimum any of it can be too
    much: a step that is a little short may raise the residual of a block that was exact.
    """
    for value in (Trust().value, 0.0):
        trust.value = value
        if found := newton_step(point, trust):
            return found
    return None


def newton_step(point: FeaturePoint, trust: Trust) -> FeaturePoint | None:
    """The first trial point that lowers J (at rounding level: the residual); None if there is none."""
    model = _Model.at(point)
    if not len(model.places):
        return None
    J, rounding = point.objective, _ROUNDING * abs(point.objective)
    scale = 1.0 / np.sqrt(model.curvature(point))
    convex = trust.convex(model.hessian * np.outer(scale, scale))
    gradient, lower = model.gradient * scale, model.lower / scale
    shy = 0
    for _ in range(_TRIALS):
        try:
            step = box_minimum(shifted(convex, max(trust.value, _LEAST_SHIFT)), gradient, lower)
        except np.linalg.LinAlgError:
            trust.raise_()
            continue
        trial = model.moved(point, np.where(step > lower, step * scale, model.lower))
        foretold = -float(gradient @ step + 0.5 * step @ convex @ step)
        fall = J - trial.objective
        if foretold > _FORETOLD * abs(J) or fall > _FALL * abs(J):
            if fall > 1e-3 * foretold:
                trust.adapt(fall / foretold)
                return _tidied(trial)
        elif fall >= -rounding and residuals(trial).relative < 0.999 * residuals(point).relative:
            trust.adapt(1.0)
            return trial
        elif (shy := shy + 1) > _SHY:
            break
        trust.raise_()
    return None


class _Model(NamedTuple):
    """J to second order along the entries that move, each counted away from 0."""

    places: Indices
    signs: Array
    lower: Array
    gradient: Array
    hessian: Array

    @classmethod
    def at(cls, point: FeaturePoint) -> _Model:
        """At a point: nonzero entries, and the zeros that want to leave."""
        mu, price = point.model.mu, np.broadcast_to(point.prices[:, None], point.A.shape)
        live = np.asarray(point.live, dtype=bool)
        S_signs = np.where(point.S != 0.0, np.sign(point.S), -np.sign(point.gradient_S))
        A_signs = feedback_signs(point)
        S_slope, A_slope = S_signs * point.gradient_S + mu, A_signs * point.gradient_A + price
        moves = Entries(
            np.broadcast_to(live, point.L.shape),
            (point.S != 0.0) | ((S_slope < 0.0) & live[:, None]),
            ((point.A != 0.0) | ((A_slope < 0.0) & live)) & (point.problem.gamma > 0.0),
        )
        places = np.flatnonzero(moves.stacked)
        free = (price <= 0.0) & point.model.signed
        lower = Entries(
            np.full_like(point.L, -np.inf), -np.abs(point.S), np.where(free, -np.inf, -np.abs(point.A))
        )
        signs = Entries(np.ones_like(point.L), S_signs, A_signs).stacked[places]
        return cls(
            places,
            signs,
            lower.stacked[places],
            Entries(point.gradient_L, S_slope, A_slope).stacked[places],
            reduced_hessian(point, places) * np.outer(signs, signs),
        )

    def curvature(self, point: FeaturePoint) -> Array:
        """That of each entry by itself, kept away from 0 beside others in the same unit.

        L: those of the same row; S and A: those of the block.
        """
        found = np.zeros(point.L.size + 2 * point.S.size)
        found[self.places] = np.abs(np.diag(self.hessian))
        L, S, A = Entries.parts(found, point)
        rows = np.repeat(L.max(axis=1, keepdims=True), L.shape[1], axis=1)
        floor = Entries(rows, np.full_like(S, S.max()), np.full_like(A, A.max())).stacked
        return positive(np.maximum(found, _FLAT * floor)[self.places])

    def moved(self, point: FeaturePoint, step: Array) -> FeaturePoint:
        """The point with the entries moved; one that goes as far as its bound is 0."""
        x = Entries(point.L, point.S, point.A).stacked
        x[self.places] = np.where(step > self.lower, x[self.places] + self.signs * step, 0.0)
        blocks = Entries.parts(x, point)._asdict()
        return point.at(**{name: blocks[name] for name in point.blocks})


def _tidied(point: FeaturePoint) -> FeaturePoint:
    """With every feature at its best scale, where J falls by that, and what is of no use at 0."""
    if point.problem.gamma == 0.0 and point.model.alpha > 0.0 and point.A.any():
        point = point.at(A=np.zeros_like(point.A))  # nothing is paid for
    better = balanced(point)
    if better.objective < point.objective * (1.0 - _FALL):
        point = better
    kept = point.L.any(axis=0) & point.S.any(axis=1)
    if np.array_equal(point.live, kept):
        return point
    blocks = {"L": np.where(kept, point.L, 0.0), "S": np.where(kept, point.S.T, 0.0).T}
    blocks["A"] = np.where(kept, point.A, 0.0)
    return point.at(**{name: blocks[name] for name in point.blocks})


def _size(point: FeaturePoint) -> float:
    return max(float(np.abs(block).max(initial=0.0)) for block in point.blocks.values())
