r"""Second order: is a first-order point a strict local minimum of J, a saddle, or neither for certain?

Let H be the Hessian of J on the free set, all of W and every B_st > 0 (`curvature.reduced_hessian`). H
positive definite and strict complementarity (multiplier q_st = G_B[s, t] > 0 wherever B_st = 0) make a
first-order point a strict local minimum; negative curvature makes it a saddle. Of a penalty with atoms, B =
base + E x, x >= lo, the coefficients x stand for the entries of B (a pair of them that are equal, the parts
of either sign of one entry) and lo for 0.

Where the rows of all tasks span few dimensions, H is taken in coordinates of these, of the columns of W and
of one direction more (`rowspace`): the same eigenvalues, and S in these coordinates.

Nothing here depends on units. With D = diag(H) and S = D^-1/2 H D^-1/2, which stays the same when y or a
feature is scaled, a move x has the length |D^1/2 x|, in units of sqrt(J). A stored point is only near the
true one: the Newton step from it, plus rounding, says how near; twice that is the `reach`. Lengths in units
of sqrt(J) let a small task or feature be anywhere, so every entry is asked in its own scale, too. The verdict
is

    strict local minimum   the smallest eigenvalue of S is positive beyond rounding, the Newton step changes S
                           by less than half of it (Kantorovich: a true point is near), moves the gradient of
                           no entry by a thousandth of the terms of that entry (`residuals`), and no positive
                           entry of B and no multiplier can be 0 within reach
    saddle                 it is negative beyond rounding, and J was seen to fall along its eigenvector, in
                           the mean of both directions, so that a slope is no excuse
    degenerate             anything else; the reason says what is too close to 0

Where phi'' jumps (squared hinge, Huber), J has a generalised Hessian. A row within reach of a jump enters
with the smaller of its curvatures, which is below every element of the generalised Hessian, so that positive
definite still means a strict local minimum. Where phi' jumps (hinge, quantile), the rows that stand on their
kinks are held there (`held`): H is that of the moves along them, and every row has to keep its side or its
kink within reach as well; so is W where a penalty on it has kinks (`held_weights`).

Source: Hiriart-Urruty, Strodiot, Nguyen, Generalized Hessian matrix and second-order optimality conditions
for problems with C^1,1 data, 1984.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.held import HeldRows
from amtl_cvx.certificate.held_weights import HeldWeights
from amtl_cvx.certificate.local_model import LocalModel
from amtl_cvx.certificate.residuals import infeasibility
from amtl_cvx.certificate.spectrum import local_eigenvalues, whole_eigenvalues
from amtl_cvx.certificate.tangent_model import TangentModel
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point

Verdict = Literal["strict local minimum", "saddle", "degenerate"]

_NEAR = 1e-3
"""Part of the terms of an entry's gradient by which the true point may differ from the stored one there."""
UNKNOWNS_LIMIT = 8000
"""Largest number of free variables whose reduced Hessian is judged in Schur form: n^3 work, 8 n^2 bytes."""
WHOLE_LIMIT = 2500
"""The same where it is formed as a whole, and along what kinks leave free."""


@dataclass(frozen=True, kw_only=True)
class SecondOrder:
    """What the second derivatives say about a point; see the module essay.

    Attributes
    ----------
    reduced_hessian_min, reduced_hessian_max : float
        Extreme eigenvalues of H, in the units of J per unit of W and B; infinite where every move leaves a
        kink.
    scaled_hessian_min : float
        Smallest eigenvalue of S; decides.
    definite : bool
        Whether it is positive beyond rounding.
    min_multiplier : float
        Smallest q_st of what is at its bound, in units of J; infinite where every entry of B is positive.
    relative_multiplier : float
        Smallest q_st / (p_s + max over u != s of |2 coupling w_s'w_u|).
    min_positive_B : float
        Smallest B_st > 0, or distance of what is free from its bound; infinite where there is none.
    free : int
        Number of free variables, T d plus the number of positive entries of B.
    held : int
        Number of rows held on a kink; the eigenvalues are those of the moves along all of these.
    verdict : str
    reason : str
        One line with the figures that decided.
    fall : float or None
        At a saddle: by how much J was seen to fall.
    direction : ((d, T), (T, T)) or None
        At a saddle: the move of (W, B) that did it.
    """

    reduced_hessian_min: float
    reduced_hessian_max: float
    scaled_hessian_min: float
    definite: bool
    min_multiplier: float
    relative_multiplier: float
    min_positive_B: float
    free: int
    held: int
    verdict: Verdict
    reason: str
    fall: float | None = None
    direction: tuple[Array, Array] | None = None


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def second_order(point: Point) -> SecondOrder:
    """Judge the curvature of J at a feasible point that is near a first-order point.

    Parameters
    ----------
    point : Point
        Feasible; its own inaccuracy is part of the verdict.

    Returns
    -------
    SecondOrder
        Strict local minimum, saddle, or degenerate, with the `reason`.

    Raises
    ------
    NotCertifiable
        For a penalty that is no sum of atoms, an infeasible B, more free variables than `UNKNOWNS_LIMIT`.
    DataError
        For a wrong shape, a NaN or an infinity.
    """
    point.problem.check()
    point.model.check_coupled("the curvature in W and B")
    small = point.reduced
    _refuse(small)
    held = held_at(small)
    local = _local(small) if held is None else held.local
    found = local_eigenvalues(local) if held is None else whole_eigenvalues(held.H, held.S, held.noise())
    smallest, noise = found.scaled, found.noise
    fall, direction = None, None
    if smallest < -noise:
        vector = found.lowest()
        fall, direction = local.descend(vector if held is None else held.N @ vector)
        direction = None if direction is None else (small.tasks.lift(direction[0]), direction[1])
    verdict, reason = _judge(local, held, smallest, noise, fall)
    return SecondOrder(
        reduced_hessian_min=found.least,
        reduced_hessian_max=found.largest,
        scaled_hessian_min=smallest,
        definite=smallest > noise,
        min_multiplier=local.least_multiplier,
        relative_multiplier=local.relative_multiplier,
        min_positive_B=local.least_distance,
        free=point.W.size + len(local.slopes),
        held=0 if held is None else held.count,
        verdict=verdict,
        reason=reason,
        fall=fall,
        direction=direction,
    )


def held_at(point: Point) -> HeldRows | HeldWeights | None:
    """What is held on kinks at a point, of rows or of W; None where J is smooth in W."""
    if point.model.prox_omega is not None:
        return HeldWeights(point)
    return None if point.model.loss.smooth else HeldRows(point)


def _local(point: Point) -> LocalModel:
    return TangentModel(point) if point.problem.atoms is None else AtomModel(point)


def _has_margin(point: Point) -> bool:
    transfer = point.model.transfer
    return transfer.has_prox and transfer.margin(point.B, 1.0, point.weighted_losses) is not None


def _refuse(point: Point) -> None:
    """Raise `NotCertifiable` where the Hessian of J is not known or too large."""
    atoms, tasks, model = point.problem.atoms, point.tasks, point.model
    name = type(model.transfer).__name__
    if atoms is None and not _has_margin(point):
        raise NotCertifiable(
            f"{name} is no sum of prices and squares of edges above bounds, nor has it the method `margin`:"
            " its curvature is not known here, that of loss-weighted-l1 is"
        )
    if atoms is None and not model.smooth_in_W:
        raise NotCertifiable(
            f"J has kinks in W and {name} is no sum of prices and squares of edges above bounds: the"
            " curvature of J is known where one of the two is otherwise"
        )
    if (away := infeasibility(model, point.B)) > 0.0:
        asked = model.transfer.demands(tasks.T)
        raise NotCertifiable(f"B is {away:.2g} away from {asked}: clip it, then judge again")
    moving = point.B != 0.0 if atoms is None else point.coefficients > atoms.lo
    free = tasks.T * tasks.d + int(moving.sum())
    limit = UNKNOWNS_LIMIT if model.smooth_in_W else min(UNKNOWNS_LIMIT, WHOLE_LIMIT)
    if free > limit:
        raise NotCertifiable(
            f"{free} free variables are more than the {limit} of which a reduced Hessian is judged: fewer"
            " tasks or features, or a larger mu"
        )


def _judge(
    local: LocalModel, held: HeldRows | HeldWeights | None, smallest: float, noise: float, fall: float | None
) -> tuple[Verdict, str]:
    """The verdict of the module essay, and the figures that decide it."""
    figure = f"smallest eigenvalue of the scaled reduced Hessian {smallest:.2g}"
    if held is not None:
        figure += held.along
    if fall is not None:
        return "saddle", f"{figure}; J falls by {fall:.2g} along its eigenvector, from {local.objective:.8g}"
    if smallest <= noise or (held is None and local.factor is None):
        return "degenerate", f"{figure}, not above 0 beyond rounding ({noise:.1g})"
    if pushed := local.pushed_to_zero():
        return "degenerate", pushed
    if held is not None and (dependent := held.dependent()):
        return "degenerate", dependent
    step = local.newton() if held is None else held.newton()
    size, change = float(np.linalg.norm(step)), (local if held is None else held).change(step)
    if not change < 0.5 * smallest:
        return "degenerate", (
            f"{figure}, but a Newton step of {size:.1g} changes it by up to {rounded_up(change, 1)}:"
            " the point is too far from a first-order point for its curvature, refine it (fit --start RUN"
            " --tol 1e-13)"
        )
    part, entry = local.farthest(step)
    if not part < _NEAR:
        return "degenerate", (
            f"{figure}, but a Newton step moves {entry} by {part:.1g} of the terms of its gradient, more than"
            f" {_NEAR:.0e}: the point is too far from a first-order point there, refine it (fit --start RUN"
            " --tol 1e-13)"
        )
    rounding = local.gradient_rounding() / smallest if held is None else held.rounding(smallest)
    reach = 2.0 * (size + rounding)
    if touching := local.touching(reach) or (held.touching(reach) if held is not None else ""):
        return "degenerate", touching
    rows = "" if held is None else held.kept
    return "strict local minimum", (
        f"{figure}, positive beyond rounding ({noise:.1g}); every positive entry of B and every multiplier"
        f" stays so within twice the Newton step ({reach:.1g}){rows}"
    )
