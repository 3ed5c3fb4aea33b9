r"""Newton steps in the dictionary alone, its codes being the best ones: to the last digits.

    F(D) = min over G of J(D, G),   ||g_t||_1 <= radius          over D with columns of length 1

J at (D, G) is F(D) wherever G is exact, and columns of length 1 lose nothing (`starts`). F has a gradient,
G_D at the best G (Danskin), and where no entry of G comes or goes a Hessian,

    S = H_DD - sum_t H_DG B_t H_DG'       B_t = the inverse of H_GG on the moves that the ball leaves to g_t

On the spheres (tangent to every d_k) it gains the multipliers lambda_k = -<G_D[:, k], d_k> on its diagonal,
which are the curvature that the spheres add. A step solves (P (S + lambda) P + shift) step = -P G_D, the
shift being S's own negative curvature and a trust term (`refine.local.Trust`); columns are brought back to
length 1, G is solved anew, and the step is taken where F falls by a part of what was foretold, at the level
of rounding where the residual does. F is smooth enough for that at entries that come and go: its gradient is
continuous.

Near a point with S + lambda positive definite on the spheres the steps are Newton's, and G and D are exact to
rounding at the end. Features that no task uses stand still.

Sources: Danskin, The theory of max-min, 1967; Absil, Mahony, Sepulchre, Optimization algorithms on matrix
manifolds, 2008, sections 5.3 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.dictionary.codes import bordered
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.residuals import residuals
from amtl_cvx.dictionary.starts import coded, normalised
from amtl_cvx.refine.local import Trust, positive, shifted

Ended = Literal["converged", "stalled", "limit", "too large"]

LARGEST = 2500
"""Entries of D beyond which there is no dense Hessian."""
_FALL = 1e-12  # part of J from which on a fall is more than rounding
_FORETOLD = 1e-10  # part of J below which what the model foretells is rounding, and the residual decides
_ROUNDING = 1e-14
_TRIALS = 30
_SHY = 6  # trials at the level of rounding: shorter steps hardly lower the residual
_SINGULAR = 1e-9  # of the largest diagonal entry: codes that the rows of a task do not fix
_LEAST_SHIFT = 1e-13
_FULL = 1e-10  # of the radius


class Refined(NamedTuple):
    """Where the steps ended, and why."""

    point: DictionaryPoint
    steps: int
    ended: Ended


def refine(
    start: DictionaryPoint,
    *,
    tol: float = 1e-11,
    max_steps: int = 500,
    observe: Callable[[DictionaryPoint], None] | None = None,
    trust: Trust | None = None,
    begun: bool = False,
) -> Refined:
    """Lower J from `start` until the residual is within `tol`, or nothing improves.

    Parameters
    ----------
    start : DictionaryPoint
        Compressed tasks give the same answer sooner.
    tol : float
        For the relative residual.
    max_steps : int
        Of steps that are taken.
    observe : callable(DictionaryPoint), optional
        Called after every step. `KeyboardInterrupt` raised inside passes through.
    trust : Trust, optional
        Kept up to date for `observe`; with it as it was and the point as `start` the steps go on.
    begun : bool
        Whether `start` is a point of theirs: columns of length 1, and the best G.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import DictionaryModel, TaskSet
    >>> from amtl_cvx.dictionary import DictionaryProblem
    >>> from amtl_cvx.dictionary.newton import refine
    >>> tasks = TaskSet.from_arrays([np.eye(2)], [[3.0, 4.0]])
    >>> problem = DictionaryProblem(tasks, DictionaryModel(features=1, radius=1.0))
    >>> found = refine(problem.at(D=[[1.0], [0.0]], G=[[1.0]]))  # towards (3, 4)
    >>> found.ended, found.point.W.round(9).ravel()
    ('converged', array([0.6, 0.8]))
    """
    if start.D.size > LARGEST:
        return Refined(start, 0, "too large")
    trust, steps, point = Trust() if trust is None else trust, 0, start
    if not begun and (first := coded(normalised(start))).objective <= start.objective * (1.0 + _ROUNDING):
        point = first
    while residuals(point).relative > tol:
        if steps >= max_steps:
            return Refined(point, steps, "limit")
        found = newton_step(point, trust) or _anew(point, trust)
        if found is None:
            return Refined(point, steps, "stalled")
        point, steps = found, steps + 1
        if observe is not None:
            observe(point)
    return Refined(point, steps, "converged")


def _anew(point: DictionaryPoint, trust: Trust) -> DictionaryPoint | None:
    """A step with the trust term as at first, or else without one; None if there is none."""
    for value in (Trust().value, 0.0):
        trust.value = value
        if found := newton_step(point, trust):
            return found
    return None


def newton_step(point: DictionaryPoint, trust: Trust) -> DictionaryPoint | None:
    """The first trial point that lowers J (at rounding level: the residual); None if there is none."""
    live = point.live
    if not live.any():
        return None
    D, slope = point.D.T[live], point.gradient_D.T[live]
    pull = -(slope * D).sum(axis=1)
    gradient = (slope + pull[:, None] * D).ravel()
    S = _tangent(reduced_hessian(point, live), D, pull)
    unit = 1.0 / np.sqrt(float(positive(np.diag(S)).mean()))
    convex = trust.convex(S * unit**2)
    J, rounding, shy = point.objective, _ROUNDING * abs(point.objective), 0
    for _ in range(_TRIALS):
        try:
            factor = factored(shifted(convex, max(trust.value, _LEAST_SHIFT)))
        except np.linalg.LinAlgError:
            trust.raise_()
            continue
        step = -solved(factor, unit * gradient)
        trial = _moved(point, live, D + unit * step.reshape(D.shape))
        foretold = -float(unit * gradient @ step + 0.5 * step @ convex @ step)
        fall = J - trial.objective
        if foretold > _FORETOLD * abs(J) or fall > _FALL * abs(J):
            if fall > 1e-3 * foretold:
                trust.adapt(fall / foretold)
                return trial
        elif fall >= -rounding and residuals(trial).relative < 0.999 * residuals(point).relative:
            trust.adapt(1.0)
            return trial
        elif (shy := shy + 1) > _SHY:
            break
        trust.raise_()
    return None


def _moved(point: DictionaryPoint, live: Mask, columns: Array) -> DictionaryPoint:
    """The point with other live columns (k, d), brought to length 1, and the best G."""
    D = point.D.copy()
    D[:, live] = (columns / np.linalg.norm(columns, axis=1)[:, None]).T
    return coded(point.at(D=D))


def reduced_hessian(point: DictionaryPoint, live: Mask) -> Array:
    """S of the essay for the live columns, (k d, k d), column by column."""
    G, D, M = point.G[live], point.D[:, live], point.loss_curvature
    (k, T), d = G.shape, len(D)
    pairs = (G[:, None, :] * G[None]).reshape(k * k, T)
    whole = (pairs @ M.reshape(T, d * d)).reshape(k, k, d, d).swapaxes(1, 2).reshape(k * d, k * d)
    curved = M @ D
    cross = G.T[:, :, None, None] * curved[:, None]
    at = np.arange(k)
    cross[:, at, :, at] += point.weighted_gradient.T[None]
    cross = cross.reshape(T, k * d, k)
    B = _free_inverse(D.T @ curved, G.T, point.model.radius)
    left = (cross @ B).swapaxes(0, 1).reshape(k * d, T * k)
    S: Array = whole - left @ cross.swapaxes(0, 1).reshape(k * d, T * k).T
    return 0.5 * (S + S.T)


def _free_inverse(H: Array, codes: Array, radius: float) -> Array:
    """B_t (T, k, k): the inverse of H on the support of a code, and along the face of a ball that is full."""
    sign = np.sign(codes)
    both = (sign[:, :, None] != 0.0) & (sign[:, None, :] != 0.0)
    inverse = np.where(both, np.linalg.inv(bordered(H, sign != 0.0, ridge=_SINGULAR)), 0.0)
    turned = (inverse @ sign[:, :, None])[:, :, 0]
    pull = (sign * turned).sum(axis=1)
    full = (np.abs(codes).sum(axis=1) >= radius * (1.0 - _FULL)) & (pull > 0.0)
    outer = turned[:, :, None] * turned[:, None, :] / np.where(full, pull, 1.0)[:, None, None]
    return inverse - np.where(full[:, None, None], outer, 0.0)


def _tangent(S: Array, D: Array, pull: Array) -> Array:
    """P (S + pull) P, and across the spheres the mean curvature, where a step has no part."""
    k, d = D.shape
    S = S.copy()
    S.flat[:: k * d + 1] += np.repeat(pull, d)
    normal = np.zeros((k * d, k))
    for j in range(k):
        normal[j * d : (j + 1) * d, j] = D[j]
    S -= normal @ (normal.T @ S)
    S -= (S @ normal) @ normal.T
    unit = float(positive(np.diag(S)).mean())
    S += unit * normal @ normal.T
    return 0.5 * (S + S.T)
