r"""Second order: is a first-order point a strict local minimum of J, a saddle, or neither for certain?

Free are all of L, the entries of S and A that are not 0, and every entry of a signed A without a price. Let H
be the Hessian of J there, each entry on its side of 0 (`curvature`). H positive definite and strict
complementarity, |G_S| < mu and |G_A| < p_t at every other entry (G_A > -p_t where A >= 0), make a first-order
point a strict local minimum; negative curvature makes it a saddle.

Dead features are no exception. Let L_j = 0, S_j. = 0, A_.j = 0 and v the moves of the others. Moving all,

    J >= J(v) + mu ||s||_1 - c ||l|| ||s||_1 + p'|a| + decay ||l||^2 + gamma ||X l - Z S a||^2

with l, s, a the moves of the feature and a constant c, for whatever has s in it has l too, and p > 0 in a
neighbourhood: J rises. The rule above says just that. The entries of S_j. and A_.j are zeros with G_S = 0
and, as E_j = 0, G_A = 0, strictly inside of their boxes; l is free with 2 decay I + 2 gamma X'X on its own,
without a cross term. So a dead feature is no obstacle to C3 where decay > 0, or gamma > 0 and X has full
column rank, and feedback has a price; and the zero point is a strict local minimum.

Where feedback has no price (alpha = 0) and k < T, the T columns Z s_t lie in k dimensions, the part of H in A
is singular and A is not unique: no C3.

As in `certificate.second_order`: S = D^-1/2 H D^-1/2 with D = diag(H), which is the same in all units. H and
the gradient are taken to be known to 4 eps times the sums of their terms in absolute values, and of what each
factor of these is itself summed from (`_absolute`, `Long`): none of that cancels. Its Frobenius norm for H is
what an eigenvalue of S has to exceed. A proof, in ball arithmetic, is C4. The verdict is

    strict local minimum   the smallest eigenvalue of S is positive beyond rounding, the Newton step changes S
                           by less than half of it, moves the gradient of no entry by a thousandth of its size
                           (`residuals`), and no entry and no multiplier can be 0 within twice that step,
                           rounding included
    saddle                 it is negative beyond rounding, and J was seen to fall along its eigenvector, in
                           the mean of both directions
    degenerate             anything else

Where phi'' jumps, a row within reach of its jump enters with the smaller curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features.local import Local
from amtl_cvx.features.point import FeaturePoint

Verdict = Literal["strict local minimum", "saddle", "degenerate"]
ENTRIES_LIMIT = 4000
"""Largest number of entries of L, S and A whose Hessian is formed (128 MB)."""
_NEAR = 1e-3
NOT_UNIQUE = (
    "feedback has no price (alpha = 0) and there are fewer features than tasks: A is not unique, J is flat"
    " along moves of it"
)


@dataclass(frozen=True, kw_only=True)
class SecondOrder:
    """What the second derivatives say about a point; see the module essay.

    Attributes
    ----------
    reduced_hessian_min : float
        At most the smallest eigenvalue of H, rounding included.
    scaled_hessian_min : float
        Smallest eigenvalue of S; decides.
    min_multiplier : float
        Smallest room of a zero of S or A in its box; infinite where there is none.
    min_entry : float
        Smallest entry of S or A that is not 0; infinite where there is none.
    free : int
        Number of free entries.
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
    free: int
    verdict: Verdict
    reason: str
    fall: float | None = None


def second_order(point: FeaturePoint) -> SecondOrder:
    """Judge the curvature of J at a feasible point that is near a first-order point.

    Raises
    ------
    NotCertifiable
        For more entries than `ENTRIES_LIMIT`, or an A that is not unique.
    """
    model, (k, T) = point.model, point.S.shape
    size = point.L.size + 2 * point.S.size
    if size > ENTRIES_LIMIT:
        raise NotCertifiable(
            f"{size} entries of L, S and A are more than the {ENTRIES_LIMIT} of which a Hessian is judged:"
            " fewer tasks or features"
        )
    if model.has_feedback and model.alpha == 0.0 and k < T and model.signed:
        raise NotCertifiable(NOT_UNIQUE)
    local = Local(point)
    values = sl.eigvalsh(local.S, check_finite=False)
    smallest, noise = float(values[0]), local.noise
    fall = local.fall() if smallest < -noise else None
    verdict, reason = _judge(local, smallest, noise, fall)
    return SecondOrder(
        reduced_hessian_min=local.least_curvature(smallest),
        scaled_hessian_min=smallest,
        min_multiplier=local.least_margin,
        min_entry=local.least_entry,
        free=len(local.free),
        verdict=verdict,
        reason=reason,
        fall=fall,
    )


def _judge(local: Local, smallest: float, noise: float, fall: float | None) -> tuple[Verdict, str]:
    """The verdict of the module essay, and the figures that decide it."""
    figure = f"smallest eigenvalue of the scaled reduced Hessian {smallest:.2g}"
    if fall is not None:
        return "saddle", f"{figure}; J falls by {fall:.2g} along its eigenvector"
    if not smallest > noise:
        return "degenerate", f"{figure}, not above 0 beyond rounding ({noise:.1g})"
    if not local.least_margin > 0.0:
        return "degenerate", f"{figure}, but a zero of S or A has no room in its box beyond rounding"
    step = np.asarray(np.linalg.solve(local.S, -local.slopes / local.root), dtype=np.float64)
    size, change = float(np.linalg.norm(step)), local.change(step / local.root)
    if not change < 0.5 * (smallest - noise):
        return "degenerate", (
            f"{figure}, but a Newton step of {size:.1g} changes it by up to {rounded_up(change, 1)}: the"
            " point is too far from a first-order point for its curvature, refine it"
        )
    if not (part := local.farthest(step / local.root)) < _NEAR:
        return "degenerate", (
            f"{figure}, but a Newton step moves an entry by {part:.1g} of the size of its gradient, more"
            f" than {_NEAR:.0e}: the point is too far from a first-order point, refine it"
        )
    if touching := local.touching(step):
        return "degenerate", f"{figure}, but {touching}"
    return "strict local minimum", (
        f"{figure}, positive beyond rounding ({noise:.1g}); every entry of S and A keeps its side of 0"
        f" and every zero its room within twice the Newton step ({size:.1g}) and what rounding can do to it"
    )
