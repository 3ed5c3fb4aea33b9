r"""Bound-constrained Newton steps on f(B) = min over W of J(W, B) (see the package's essay).

Gradient and Hessian of f are those of `local`; where J falls slowly, `valley` goes on from a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate import residuals
from amtl_cvx.problem import Point
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.local import FALL, Trust, eliminated, exact_round, positive, shifted, variables
from amtl_cvx.refine.valley import along_valley
from amtl_cvx.subproblems.kinks import noise
from amtl_cvx.subproblems.numpy_steps import DENSE_SIZE, hessian_factor, minimised

_TRUST_RATIO = 1e-10  # below this predicted relative decrease, J is rounding noise and the residual decides
_TRIALS = 24
_SLOW = 12  # slow steps in a row from which on `valley` goes on from each


def newton_steps(point: Point, *, trust: Trust, begun: bool = False) -> Iterator[Point]:
    """Points of falling J, each with W = W*(B), until no step lowers it.

    `begun` says that (W, B) is such a point and `trust` what was left of it there: the steps go on.

    As long as the residual does not fall tenfold, an exact round of the alternation follows each step: it
    brings every column back to a support of at most d entries, which the step left by negative curvature.
    """
    relative = residuals(point).relative if begun else np.inf
    start, untried = point, replace(trust)
    exact = point if begun else minimised(point)
    if not begun:
        point = _lower(point, exact)
    found = _step(point, trust)
    if found is None and point is not start:
        yield point  # there is no edge to move
    elif found is None and not begun:
        # the model is that of f at W*(B): another W of the same J can hide the slope in B
        trust.value, trust.curvature = untried.value, untried.curvature
        further = _step(exact, trust)
        found = further if further and _lower(point, further) is further else None
    while found is not None:
        previous, relative = relative, residuals(found).relative
        if relative > 0.1 * previous:
            found, trust.slow = _lower(found, exact_round(found)), trust.slow + 1
            if trust.slow > _SLOW and point.W.size <= DENSE_SIZE:
                found = along_valley(point, found, trust)
            relative = residuals(found).relative
        else:
            trust.slow = 0
        point = found
        yield point
        found = _step(point, trust)


def _lower(old: Point, new: Point) -> Point:
    """The point of lower J; of smaller residual, where they differ by rounding."""
    gain = old.objective - new.objective
    better = _improves(new, old) if abs(gain) <= noise(old) else gain > 0.0
    return new if better else old


def _step(point: Point, trust: Trust) -> Point | None:
    """The first trial point that lowers J (at rounding level: the residual); None if there is none."""
    known = point.model.smooth_in_W and point.W.size <= DENSE_SIZE
    local = variables(point, factored=known)
    J = point.objective if local.base is point.B else point.at(B=local.base).objective
    if not len(local.value):
        return None
    rounding = noise(point)
    fall = max(FALL * abs(J), rounding)
    root = np.sqrt(positive(np.diag(local.BB)))
    known = known and local.base is point.B
    S = eliminated(local, hessian_factor(point) if known else None) / np.outer(root, root)
    none = np.empty((0, 0))
    local = local._replace(WW=none, BW=none)  # the trial points need their memory
    gradient, lower = local.gradient / root, -local.value * root
    convex, relative = trust.convex(S), 0.0  # the residual is asked for where J cannot decide
    for _ in range(_TRIALS):
        try:
            step = box_minimum(shifted(convex, trust.value), gradient, lower)
        except sl.LinAlgError:
            trust.raise_()
            continue
        if local.free:
            trial_B = local.graph(step / root)
        else:
            trial_B = local.graph(np.where(step > lower, np.maximum((step - lower) / root, 0.0), 0.0))
        trial = minimised(point.at(B=trial_B))
        predicted = -float(gradient @ step + 0.5 * step @ S @ step)
        actual = J - trial.objective
        if predicted > 0.0 and (predicted > _TRUST_RATIO * abs(J) or actual > fall):
            if actual > 1e-2 * predicted:
                trust.adapt(actual / predicted)
                return trial
        elif actual >= -rounding:
            relative = relative or residuals(point).relative
            if residuals(trial).relative < 0.999 * relative:
                trust.adapt(1.0)
                return trial
        trust.raise_()
    return None


def _improves(trial: Point, point: Point) -> bool:
    return residuals(trial).relative < 0.999 * residuals(point).relative
