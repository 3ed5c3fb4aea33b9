r"""Bound-constrained Newton steps on f(B) = min over W of J(W, B) (see the package's essay).

Gradient and Hessian of f are those of `local`; where J falls slowly, `valley` goes on from a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate import residuals
from amtl_cvx.model import Model
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.local import FALL, Point, Trust, eliminated, exact_round, positive, shifted, variables
from amtl_cvx.refine.valley import along_valley
from amtl_cvx.subproblems.direct import DENSE_SIZE, minimal_weights
from amtl_cvx.tasks import Array, TaskSet

_TRUST_RATIO = 1e-10  # below this predicted relative decrease, J is rounding noise and the residual decides
_NOISE = 1e-13  # relative rise of J that counts as rounding
_TRIALS = 24
_SLOW = 10  # slow steps in a row from which on `valley` goes on from each


def newton_steps(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, trust: Trust, begun: bool = False
) -> Iterator[Point]:
    """Points of falling J, each with W = W*(B), until no step lowers it.

    `begun` says that (W, B) is such a point and `trust` what was left of it there: the steps go on.

    As long as the residual does not fall tenfold, an exact round of the alternation follows each step: it
    brings every column back to a support of at most d entries, which the step left by negative curvature.
    """
    relative = residuals(tasks, model, W, B).relative if begun else np.inf
    start, untried = W, replace(trust)
    exact = (W, B) if begun else (minimal_weights(tasks, model, W, B), B)
    if not begun:
        W, B = _lower(tasks, model, (W, B), exact)
    found = _step(tasks, model, (W, B), trust)
    if found is None and W is not start:
        yield W, B  # there is no edge to move
    elif found is None and not begun:
        # the model is that of f at W*(B): another W of the same J can hide the slope in B
        trust.value, trust.curvature = untried.value, untried.curvature
        further = _step(tasks, model, exact, trust)
        found = further if further and _lower(tasks, model, (W, B), further) is further else None
    while found is not None:
        previous, relative = relative, residuals(tasks, model, *found).relative
        if relative > 0.1 * previous:
            found, trust.slow = _lower(tasks, model, found, exact_round(tasks, model, *found)), trust.slow + 1
            if trust.slow > _SLOW and W.size <= DENSE_SIZE:
                found = along_valley(tasks, model, (W, B), found, trust)
            relative = residuals(tasks, model, *found).relative
        else:
            trust.slow = 0
        W, B = found
        yield W, B
        found = _step(tasks, model, (W, B), trust)


def _lower(tasks: TaskSet, model: Model, old: Point, new: Point) -> Point:
    """The point of lower J; of smaller residual, where they differ by rounding."""
    before = model.objective(tasks, *old)
    gain = before - model.objective(tasks, *new)
    better = _improves(tasks, model, new, old) if abs(gain) <= _NOISE * abs(before) else gain > 0.0
    return new if better else old


def _step(tasks: TaskSet, model: Model, point: Point, trust: Trust) -> Point | None:
    """The first trial point that lowers J (at rounding level: the residual); None if there is none."""
    W, B = point
    local = variables(tasks, model, W, B)
    J = model.objective(tasks, W, local.base)
    if not len(local.value):
        return None
    root = np.sqrt(positive(np.diag(local.BB)))
    S = eliminated(local) / np.outer(root, root)
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
        trial = minimal_weights(tasks, model, W, trial_B), trial_B
        predicted = -float(gradient @ step + 0.5 * step @ S @ step)
        actual = J - model.objective(tasks, *trial)
        if predicted > 0.0 and (predicted > _TRUST_RATIO * abs(J) or actual > FALL * abs(J)):
            if actual > 1e-2 * predicted:
                trust.adapt(actual / predicted)
                return trial
        elif actual >= -_NOISE * abs(J):
            relative = relative or residuals(tasks, model, *point).relative
            if residuals(tasks, model, *trial).relative < 0.999 * relative:
                trust.adapt(1.0)
                return trial
        trust.raise_()
    return None


def _improves(tasks: TaskSet, model: Model, trial: Point, point: Point) -> bool:
    new, old = residuals(tasks, model, *trial).relative, residuals(tasks, model, *point).relative
    return new < 0.999 * old
