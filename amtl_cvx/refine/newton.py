r"""Bound-constrained Newton steps on f(B) = min over W of J(W, B) (see the package's essay).

With BW, BB and WW the second derivatives of J in B and W (`certificate.curvature`), the gradient of f at
W = W*(B) is G_B and its Hessian S = BB - BW WW^-1 WB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate import residuals
from amtl_cvx.certificate.curvature import edge_blocks
from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.model import Model
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.tangent import tangent_variables
from amtl_cvx.refine.variables import Variables, atom_variables, direct_step, engine_of
from amtl_cvx.subproblems.direct import cholesky, minimal_weights
from amtl_cvx.subproblems.kinks import free_directions
from amtl_cvx.tasks import Array, Indices, Mask, TaskSet

FALL = 1e-12
"""Relative fall of J from which on it is more than rounding."""
WORKING_LIMIT = 1300
"""Largest number of entries of B that one step moves: all positive ones count, then the steepest zeros."""
_DENSE_EIGENVALUE = 400  # size up to which the smallest eigenvalue is computed rather than bracketed
_TRUST_RATIO = 1e-10  # below this predicted relative decrease, J is rounding noise and the residual decides
_NOISE = 1e-13  # relative rise of J that counts as rounding
_TRIALS = 24

Point = tuple[Array, Array]


class Derivatives(NamedTuple):
    """Second-order model of J in vec(W), by tasks, and the entries B[sources, targets], where G_W = 0.

    For a loss with kinks W stands for its moves in the directions that rows on their kinks leave free.
    """

    gradient_B: Array
    WW: Array
    BW: Array
    BB: Array
    sources: Indices
    targets: Indices


def derivatives(tasks: TaskSet, model: Model, W: Array, B: Array, free: Mask) -> Derivatives:
    """Gradient and Hessian blocks of J in W and the entries of B where `free` (T, T) is True."""
    s, t = np.nonzero(free)
    if model.loss.smooth:
        WW = model.hessian_W(tasks, W, B)
        BW, BB = edge_blocks(tasks, model, W, B, s, t, model.loss_gradient(tasks, W))
    else:
        u = kinked_multipliers(tasks, model, W, B)
        loss_gradient = fenchel(tasks, model, W, B, u).pull / model.loss_weight(tasks, B)
        N, WW = free_directions(tasks, model, B, u)
        BW, BB = edge_blocks(tasks, model, W, B, s, t, loss_gradient)
        BW = BW @ N
    return Derivatives(
        gradient_B=model.gradient_B(tasks, W, B)[s, t],
        WW=WW,
        BW=BW,
        BB=BB,
        sources=s,
        targets=t,
    )


@dataclass
class Trust:
    """What is added to the diagonal of the model: its negative curvature, and a trust term on top of it.

    The trust term goes up after a refusal and down after a success.
    """

    value: float = 1e-2
    curvature: float = 1e-4

    def raise_(self) -> None:
        self.value = max(4.0 * self.value, 1e-10)

    def adapt(self, ratio: float) -> None:
        if ratio > 0.7:
            self.value = self.value / 8.0 if self.value > 1e-14 else 0.0
        elif ratio < 0.2:
            self.value = max(2.0 * self.value, 1e-10)

    def convex(self, S: Array) -> Array:
        """S with its negative curvature, or up to twice as much, added to the diagonal."""
        if len(S) <= _DENSE_EIGENVALUE:
            smallest = float(sl.eigh(S, eigvals_only=True, subset_by_index=[0, 0], check_finite=False)[0])
            return shifted(S, 1.01 * max(0.0, -smallest))
        if _definite(shifted(S, self.curvature / 2.0)):
            if _definite(S):
                return S
            self.curvature /= 2.0
            while self.curvature > 1e-14 and _definite(shifted(S, self.curvature / 2.0)):
                self.curvature /= 2.0
        else:
            while not _definite(shifted(S, self.curvature)) and self.curvature < 1e8:
                self.curvature *= 2.0
        return shifted(S, self.curvature)


def shifted(S: Array, shift: float) -> Array:
    """S + shift I."""
    S = S.copy()
    S.flat[:: len(S) + 1] += shift
    return S


def _definite(S: Array) -> bool:
    try:
        sl.cholesky(S.T, lower=False, check_finite=False)
    except sl.LinAlgError:
        return False
    return True


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
            found = _lower(tasks, model, found, exact_round(tasks, model, *found))
            relative = residuals(tasks, model, *found).relative
        W, B = found
        yield W, B
        found = _step(tasks, model, (W, B), trust)


def exact_round(tasks: TaskSet, model: Model, W: Array, B: Array) -> Point:
    """The exact B-step, then the exact W-step."""
    step = direct_step(model, tasks.T)
    assert step is not None
    B = step.solve(tasks, model, W, B).value
    return minimal_weights(tasks, model, W, B), B


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
    root = np.sqrt(_positive(np.diag(local.BB)))
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


def working_set(tasks: TaskSet, model: Model, W: Array, B: Array) -> Mask:
    """The entries of B that are positive or want to enter, the steepest first up to `WORKING_LIMIT`."""
    slope = model.gradient_B(tasks, W, B)
    enters = (B <= 0.0) & (slope < 0.0)
    np.fill_diagonal(enters, False)
    room = max(WORKING_LIMIT - int((B > 0.0).sum()), 100)
    if int(enters.sum()) > room:
        steepness = slope / np.sqrt(_positive((W**2).sum(axis=0)))[:, None]
        enters &= steepness <= np.partition(steepness[enters], room - 1)[room - 1]
    return (B > 0.0) | enters


def variables(tasks: TaskSet, model: Model, W: Array, B: Array) -> Variables:
    """What a step from here moves besides W, by the form that the penalty has."""
    engine = engine_of(model, tasks.T)
    if engine == "atoms":
        return atom_variables(tasks, model, W, B, most=WORKING_LIMIT)
    if engine == "prox":
        return tangent_variables(tasks, model, W, B)
    local = derivatives(tasks, model, W, B, working_set(tasks, model, W, B))
    places = local.sources, local.targets

    def graph(value: Array) -> Array:
        new = B.copy()
        new[places] = value
        return new

    return Variables(B[places], graph, B, local.gradient_B, local.WW, local.BW, local.BB)


def eliminated(local: Derivatives | Variables) -> Array:
    """S = BB - BW WW^-1 WB; the factor takes the memory of WW, which is lost."""
    factor, _ = cholesky(local.WW)
    half: Array = sl.solve_triangular(factor, local.BW.T, lower=True, check_finite=False)
    return local.BB - half.T @ half


def _improves(tasks: TaskSet, model: Model, trial: Point, point: Point) -> bool:
    new, old = residuals(tasks, model, *trial).relative, residuals(tasks, model, *point).relative
    return new < 0.999 * old


def _positive(diagonal: Array) -> Array:
    """A diagonal kept away from 0."""
    largest = float(diagonal.max(initial=0.0))
    return np.maximum(diagonal, 1e-12 * largest if largest > 0 else 1.0)
