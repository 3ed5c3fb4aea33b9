r"""Kink Newton: joint steps in all blocks of a network, from a start to the last digits.

A step is the least of a quadratic with kinks (`piecewise`) that has the exact Hessian, every convex kink that
it meets, and a trust term after Levenberg and Marquardt, which rises after a refusal and falls after a
success. It is taken where the exact J falls by a part of what the model foretells (Armijo), at half or a
quarter of its length if need be; where that is rounding, where the residual falls with the masks that the
multipliers give.

Near a minimum most directions that matter are held: units stay on their kinks, zeros stay 0. With one hidden
layer u is linear in V, and a whole step lands on its kinks to the last bit. With several it does not, J
beside a kink is steep, and steps would be refused however good they are (Maratos): the second-order
correction moves the end of a step onto the kinks that it holds, in the metric of H.

Where units of several layers are on their kinks on one row, what the upper ones do depends on what the lower
ones do, and a step that lets go of several of them may be none of descent. After a refusal the masks of that
step are put in the place of those that it was made with, after the next one all kinks of such a row but one
are kept (`Piecewise.guarded`): along that J does fall, or the point is stationary.

Scale, drop and escape (`pruning`) follow every step that lowers J beyond rounding.

Sources: Fletcher, Practical methods of optimization, 1987, chapter 14 (composite functions and their
second-order correction); Nocedal, Wright, Numerical optimization, 2006, chapters 3 and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.network.masks import carried_masks, fitted_masks
from amtl_cvx.network.piecewise import Move, Piecewise
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.pruning import escaped, tidied
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.units import flat
from amtl_cvx.refine.local import Trust

Ended = Literal["converged", "stalled", "limit", "too large"]
Observer = Callable[[NetworkPoint, str], None]

LARGEST = 4000
"""Entries of all blocks together beyond which there is no dense Hessian."""
_FALL = 1e-12  # part of J from which on a fall is more than rounding
_FORETOLD = 1e-10  # part of J below which what the model foretells is rounding, and the residual decides
_ROUGH = 2e-15  # part of the largest weight of a unit
_ROUNDING = 1e-13
_TRIALS = 40
_FAR = 1e4  # times the largest entry, and 1: a step of more is none
_NEAR = 1e-3
_SHY = 4  # trials at the level of rounding
_LENGTHS = (1.0, 0.5, 0.25)
_CORRECTIONS = 3
_ATTEMPTS = 3  # at one trust term, where units of several layers meet


@dataclass
class Progress:
    """What the steps carry from one to the next beside the point."""

    trust: Trust = field(default_factory=Trust)
    held: Array | None = None
    """theta / w of the units that the last step held, (U,), no number elsewhere; none before the first."""


class Refined(NamedTuple):
    """Where the steps ended, and why."""

    point: NetworkPoint
    steps: int
    ended: Ended


def refine(
    start: NetworkPoint,
    *,
    tol: float = 1e-11,
    max_steps: int = 1000,
    observe: Observer | None = None,
    progress: Progress | None = None,
) -> Refined:
    """Lower J from `start` until the residual is within `tol` and falls no further, or nothing improves.

    Parameters
    ----------
    start : NetworkPoint
        Any.
    tol : float
        For the relative residual. While a step still lowers it tenfold the next one is taken as well.
    max_steps : int
        Of steps that are taken.
    observe : callable(NetworkPoint, "kink-newton"), optional
        Called after every step. `KeyboardInterrupt` raised inside passes through.
    progress : Progress, optional
        Kept up to date for `observe`; with it as it was and the point as `start` the steps go on.

    Returns
    -------
    Refined
        J is not above that of `start` up to rounding. "stalled": no step lowers J; "limit": of steps;
        "too large": no step was tried.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.newton import refine
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> model = NetworkModel(features=1, mu=1.0, decay=0.5)
    >>> found = refine(NetworkProblem(tasks, model).at(W1=[[1.0]], S=[[2.0]], A=[[0.0]]))
    >>> w = found.point.V[0][0, 0]  # balance: w^2 = s, so that (w^3 - 3)^2 + 1.5 w^2 has the slope 0 at
    >>> found.ended, round(float(2.0 * w * (w**3 - 3.0)), 12)
    ('converged', -1.0)
    """
    if start.problem.size > LARGEST:
        return Refined(start, 0, "too large")
    point, progress = start, Progress() if progress is None else progress
    steps, reached = 0, residuals(start).relative
    for found in newton_steps(start, progress):
        before, reached = reached, residuals(found).relative
        if before <= tol and reached >= before:
            break
        if steps >= max_steps:
            return Refined(point, steps, "converged" if before <= tol else "limit")
        point, steps = found, steps + 1
        if observe is not None:
            observe(point, "kink-newton")
        if reached <= tol and reached > 0.1 * before:
            break
    return Refined(point, steps, "converged" if residuals(point).relative <= tol else "stalled")


def newton_steps(start: NetworkPoint, progress: Progress) -> Iterator[NetworkPoint]:
    """Points of falling J, each a step from the one before, until no step lowers it."""
    point = start if progress.held is not None else escaped(tidied(start))  # else it goes on from a step
    if point is not start:
        yield point
    while found := newton_step(point, progress) or _anew(point, progress):
        point = found
        yield point


def _anew(point: NetworkPoint, progress: Progress) -> NetworkPoint | None:
    """A step with the trust term as at first, or else without one, and with the masks that fit best."""
    for value in (Trust().value, 0.0):
        progress.trust.value, progress.held = value, None
        if found := newton_step(point, progress):
            return found
    return None


def newton_step(point: NetworkPoint, progress: Progress) -> NetworkPoint | None:
    """The first trial point that lowers J (at rounding level: the residual); None if there is none."""
    trust, shy, attempt = progress.trust, 0, 0
    plain = model = Piecewise(point, _masks(point, progress))
    if not len(model.entries):
        return None
    far = _FAR * (1.0 + float(np.abs(model.x).max()))
    for _ in range(_TRIALS):
        move = model.move(trust)
        if move is None or not float(np.abs(move.direction).max()) <= far:
            trust.raise_()
            continue
        fine = move.foretold <= _FORETOLD * abs(point.objective)
        taken = _taken(model, move, fine=fine)
        if taken is not None:
            trust.adapt(taken.ratio)
            progress.held = taken.held
            return taken.point if fine else escaped(tidied(taken.point))
        shy += fine
        if shy > _SHY:
            break
        attempt = attempt + 1 if model.nested.any() else _ATTEMPTS
        if attempt < _ATTEMPTS:
            model = model.remade() if attempt == 1 else plain.guarded(trust)
        else:
            model, attempt = plain, 1
            trust.raise_()
    return None


def _masks(point: NetworkPoint, progress: Progress) -> Array:
    """Of the multipliers that fit best; of the last step far from a stationary point of several layers."""
    if progress.held is None or len(point.V) == 1 or residuals(point).relative < _NEAR:
        return fitted_masks(point)
    return carried_masks(point, progress.held)


class _Taken(NamedTuple):
    point: NetworkPoint
    ratio: float
    held: Array


def _taken(model: Piecewise, move: Move, *, fine: bool) -> _Taken | None:
    """The longest part of a step that does what it should; `fine` where J is noise."""
    J = model.point.objective
    for length in (1.0,) if fine else _LENGTHS:
        trial = _moved(model, move, length)
        whole = length == 1.0
        if len(model.point.V) > 1 and len(move.units):
            trial = _corrected(model, move, trial, whole=whole, fine=fine)
        held = np.full(len(move.shares), np.nan)
        held[move.units] = move.shares[move.units]
        fall = J - trial.objective
        if not fine or fall > _FALL * abs(J):
            if fall > 1e-3 * length * move.foretold:
                ratio = fall / move.foretold if move.foretold > 0.0 else 1.0
                return _Taken(trial, ratio if whole else 0.0, held)
        elif fall >= -_ROUNDING * abs(J) and (
            residuals(trial).relative < 0.999 * residuals(model.point).relative
        ):
            return _Taken(trial, 1.0, held)
    return None


def _moved(model: Piecewise, move: Move, length: float) -> NetworkPoint:
    """The point at a part of a step; entries that end at 0 are 0."""
    x = model.x + length * move.direction
    if length == 1.0:
        x[move.zeros] = 0.0
    return _landed(model, x)


def _corrected(model: Piecewise, move: Move, trial: NetworkPoint, *, whole: bool, fine: bool) -> NetworkPoint:
    """The end of a step moved onto the kinks that it holds, while that does not raise J.

    Part of a step ends on those that it began on.
    """
    onto = whole | flat(model.point.touching)[move.units].astype(bool)
    for _ in range(_CORRECTIONS):
        if flat(trial.touching)[move.units[onto]].all():
            break
        try:
            x = trial.vector + model.corrected(move, trial, onto)
        except np.linalg.LinAlgError:
            break
        x[move.zeros] = np.where(whole, 0.0, x[move.zeros])
        new = _landed(model, x)
        if not fine and new.objective > trial.objective + 1e-3 * move.foretold:
            break
        trial = new
    return trial


def _landed(model: Piecewise, x: Array) -> NetworkPoint:
    """The point at x, with the signs of A, and without weights that are rounding beside those of their unit.

    A unit on a row with one input is on its kink where that weight is 0, to the last bit.
    """
    x[model.one_sided] = np.maximum(x[model.one_sided], 0.0)
    for V in model.point.problem.layout.split(x)[:-2]:
        V[np.abs(V) <= _ROUGH * np.abs(V).max(axis=0)] = 0.0
    return model.point.problem.from_vector(x)
