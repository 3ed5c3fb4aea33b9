r"""What rounding can do to J at a point: where blocks are huge and their products cancel, J is only that.

    sum_t e_t/n_t (||phi'_t|| u r_t + max phi'' (u r_t)^2) + gamma sum_j (2 ||E_j|| u x_j + (u x_j)^2) + u J

u is the unit of the gaps; r_t are the scores of a task summed from absolute values, x_j is E_j so summed
(`residuals.Long`). Where data are met exactly and there is no decay, say, L grows for ever while S shrinks,
and J falls to 0. At such a point the J that is computed lies far below the J of the very same doubles, for
1 - S A is rounding and Z is not small.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.features.gaps import unit
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.residuals import long


def rounding(point: FeaturePoint) -> float:
    """How far J of the point as doubles have it may be from what it is."""
    size, u = long(point), unit(point)
    moved = u * size.reach
    bent = np.concatenate([each.curvatures.max(axis=1, initial=0.0) for each in point.scores])
    losses = size.rate @ (size.slopes * moved + bent * moved**2)
    missed, off = np.linalg.norm(point.E, axis=0), u * size.E
    coupled = point.problem.gamma * float(((2.0 * missed + off) * off).sum())
    return float(losses) + coupled + u * point.objective
