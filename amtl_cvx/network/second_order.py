r"""Second order: is a d-stationary point of a network a strict local minimum of J, a saddle, or neither?

Let u_m be the units on their kinks, a_m their normals, theta_m their multipliers and w_m their weights
(`kinks`), x_e the zeros of S and A with room r_e in their boxes (`vertex`), and Psi what J is with these
units off, zeros at 0 and sum theta_m u_m added. Psi is smooth and its gradient is 0. Moving all entries by d,

    J >= Psi + sum_m [(w_m - o(1)) max(u_m, 0) - theta_m u_m] + sum_e (r_e - o(1)) |x_e|
      >= Psi + c (sum_m |u_m| + sum_e |x_e|)                       where 0 < theta < w and r > 0, with a c > 0

for J is smooth in the entries and in z_m = max(u_m, 0) together, but for the prices, which r counts, and for
what is below. Let H be the Hessian of Psi, positive definite (>= h) on the tangent space T of all d with
a_m'd = 0 and no move of a zero, and d = t + n, t in T. Then |n| <= C (sum |u_m| + sum |x_e| + |t|^2), since
u_m is a_m'd to within C (|d|^2 + sum |u_m|), and Psi >= h/2 |t|^2 - C |n| (|t| + |n|) - o(|d|^2), so that

    J(x + d) >= J(x) + h/4 |t|^2 + c/2 (sum_m |u_m| + sum_e |x_e|)

near the point: linear growth off the kinks and zeros, quadratic growth along them, a strict local minimum.
This holds in a network of any depth. Independent normals (LIKQ) are not needed for it, and with one hidden
layer they are not asked for: u is linear there, H does not depend on theta, and any theta strictly inside
will do. In deeper networks they are: the doubles of a point are near to kinks, not on them, and only
independent kinks have a point that is on all of them nearby (units that are their bias alone, as nothing
below them is on, count once).

What is no kink. gamma max(R_ij, 0)^2 where R_ij = z_ij = 0, and max(u_m, 0)^2, are >= 0 and differentiable:
J is no smaller than without them. Kinks of the reconstruction with z_ij > 0 are concave; where they only move
zeros of S and A (and units on kinks), R_ij is a sum of these times something continuous, so they take at most
what `vertex` says, and o(1) of it. A kink without a weight, as of a row that is not rebuilt and has labels
only of tasks t with S_jt = 0, adds o(1) |S_jt|. One that no unit above follows, as nothing else is on and no
weight out of it is above 0, adds nothing where all of these are below 0. One that is 0 may rise with u_m: J
moves by w dV max(u_m, 0), and there is no C3 (`reach`). Where phi'' jumps, a label within reach enters with
the smaller curvature.

Dead units. Of a feature with V_j, S_j., A_.j = 0 let l, s, a be the moves: z_ij <= ||x_i|| ||l||, so that, as
in `features.second_order`, J >= J(others) + (mu - C ||l||) ||s||_1 + p'|a| + decay ||l||^2: no obstacle where
feedback has a price. A dead unit of a lower layer with the moves l below and v above adds

    decay (||l||^2 + ||v||^2) + sum_i G_i'v max(x_i'l, 0) >= (2 decay - ||X|| ||G||) ||l|| ||v||

to second order, X being what enters its layer, G = G_u of the layer above, in spectral norms: no obstacle
where ||X|| ||G|| < 2 decay. Beside a live unit it never is: give the dead one sin(a) times the weights of the
live one, in and out, and that cos(a) times its own; J stays as it is for all a >= 0. There is no C3.

The verdict. S = D^-1/2 H D^-1/2, D = diag(H), in an orthonormal basis of T in these units; what rounding does
to all that is computed is bounded line by line (`spread`).

    strict local minimum   the smallest eigenvalue of S is positive beyond rounding, the Newton step onto and
                           along the kinks changes S by less than half of it, moves the gradient of no
                           entry by a thousandth of its size (`residuals`), and within twice that step,
                           rounding included, no unit, entry or multiplier can have changed its side
    saddle                 it is negative beyond rounding, and J was seen to fall along its eigenvector, back
                           on the kinks, in the mean of both directions
    degenerate             anything else

Source: as of the second-order conditions of nonlinear programming (Nocedal, Wright 2006, theorem 12.6); for
piecewise smooth functions Griewank, Walther 2016, who ask for LIKQ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.network.local import Local, without_feedback
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.reach import Reach
from amtl_cvx.network.vertex import vertex

Verdict = Literal["strict local minimum", "saddle", "degenerate"]
ENTRIES_LIMIT = 4000
"""Largest number of entries whose Hessian is formed (128 MB)."""
_NEAR = 1e-3


@dataclass(frozen=True, kw_only=True)
class SecondOrder:
    """What the second derivatives say about a point; see the module essay.

    Attributes
    ----------
    reduced_hessian_min : float
        At most the smallest eigenvalue of H along kinks and zeros, rounding included.
    scaled_hessian_min : float
        Smallest eigenvalue of S; decides.
    min_multiplier : float
        Smallest room of a multiplier theta in (0, w), or of a zero of S or A in its box, rounding included;
        infinite where there is none.
    min_entry : float
        Smallest entry of S or A that is not 0; infinite where there is none.
    entries : int
        Number of entries that move: all but zeros of S and A and those of dead units.
    kinks : int
        Number of kinks that hold them.
    free : int
        Number of directions that are left, the dimension of the tangent space.
    verdict : str
    reason : str
        One line with the figures that decided.
    fall : float or None
        At a saddle: by how much J was seen to fall.
    """

    reduced_hessian_min: float
    scaled_hessian_min: float
    min_multiplier: float
    min_entry: float
    entries: int
    kinks: int
    free: int
    verdict: Verdict
    reason: str
    fall: float | None = None


def second_order(point: NetworkPoint) -> SecondOrder:
    """Judge the curvature of J at a point that is near a d-stationary one.

    Raises
    ------
    NotCertifiable
        For more entries than `ENTRIES_LIMIT`, or an A that is not unique.
    """
    if (size := point.problem.size) > ENTRIES_LIMIT:
        raise NotCertifiable(
            f"{size} entries are more than the {ENTRIES_LIMIT} of which a Hessian is judged: fewer units"
        )
    if not without_feedback(point) and (point.prices <= 0.0).any():
        name = point.tasks.names[int(np.argmin(point.prices))]
        raise NotCertifiable(
            f"feedback of task {name!r} has no price: A is not unique, J is flat along moves of it"
        )
    local = Local(point)
    values = sl.eigvalsh(local.S, check_finite=False)
    smallest = float(values[0]) if len(values) else np.inf
    fall = local.fall() if smallest < -local.noise else None
    verdict, reason = _judge(local, smallest, fall)
    return SecondOrder(
        reduced_hessian_min=local.least_curvature(smallest),
        scaled_hessian_min=smallest,
        min_multiplier=min(local.least_margin, local.least_multiplier),
        min_entry=local.least_entry,
        entries=len(local.free),
        kinks=len(local.active),
        free=len(values),
        verdict=verdict,
        reason=reason,
        fall=fall,
    )


def _judge(local: Local, smallest: float, fall: float | None) -> tuple[Verdict, str]:
    """The verdict of the module essay, and the figures that decide it."""
    noise, figure = local.noise, f"smallest eigenvalue of the scaled Hessian along the kinks {smallest:.2g}"
    if fall is not None:
        return "saddle", f"{figure}; J falls by {fall:.2g} along its eigenvector"
    if why := _barred(local):
        return "degenerate", f"{figure}, but {why}"
    if not smallest > noise:
        return "degenerate", f"{figure}, not above 0 beyond rounding ({noise:.1g})"
    if not local.least_multiplier > 0.0:
        return "degenerate", f"{figure}, but a multiplier of a kink has no room in (0, w) beyond rounding"
    if not local.least_margin > 0.0:
        return "degenerate", f"{figure}, but a zero of S or A has no room in its box beyond rounding"
    size, change = float(np.linalg.norm(local.step)), local.change(local.step)
    if not change < 0.5 * (smallest - noise):
        return "degenerate", (
            f"{figure}, but a Newton step of {size:.1g} changes it by up to {rounded_up(change, 1)}: the"
            " point is too far from a d-stationary one for its curvature, refine it"
        )
    if not (part := local.farthest(local.step)) < _NEAR:
        return "degenerate", (
            f"{figure}, but a Newton step moves an entry by {part:.1g} of the size of its gradient, more"
            f" than {_NEAR:.0e}: the point is too far from a d-stationary one, refine it"
        )
    if touching := Reach(local).touching():
        return "degenerate", f"{figure}, but {touching}"
    return "strict local minimum", (
        f"{figure}, positive beyond rounding ({noise:.1g}); every kink keeps its multiplier inside of (0, w),"
        " every unit and entry its side of 0 and every zero its room within twice the Newton step"
        f" ({size:.1g}) and what rounding can do to it"
    )


def _barred(local: Local) -> str:
    """Why the conditions do not apply; "" where they do."""
    if count := vertex(local.point).unprotected:
        what = "a kink" if count == 1 else f"{count} kinks"
        return f"{what} of the reconstruction, concave, held by no price"
    if local.loose:
        return "kinks of the reconstruction, concave, move entries that have no price"
    if not local.regular:
        lost = len(local.active) - len(local.tangent.s)
        return f"the normals of the {len(local.active)} active kinks are dependent (rank {lost} less)"
    return ""
