r"""What a correct back end may be off by, for each dtype, derived from the condition of the answer.

With u the unit of the dtype (2^-52, 2^-23), kappa and C, H, t, x of `response`, J+ of `terms`

    x           32 kappa u                      largest entry off, over the largest entry of its block
    objective   8 u J+ + gap                    J off, absolute
    relative    32 u max_i (t_i + (|H| |x|)_i) / size_i      the relative residual of the certificate
    gap         8 u J+ + (32 u)^2 (t'|C| t + |x|'|H| |x|) / 2     what a block may still gain, absolute

The residual is that which rounding the answer itself to the dtype leaves, and which rounding the terms of the
gradient does; a gap is known to the rounding of J only. Parts are at most 1. An answer that is not determined
(C is not known) has no `x`, and is judged by what is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx.reference.claims.response import Response

UNITS = {"float64": 2.0**-52, "float32": 2.0**-23}


def tolerances(
    *, objective: float, terms: float, shares: float, gap: float, response: Response | None, curved: float
) -> dict[str, dict[str, Any]]:
    """Those of every dtype.

    Parameters
    ----------
    objective, terms : float
        J and J+.
    shares : float
        The largest t_i / size_i.
    gap : float
        What the answer itself may gain.
    response : Response or None
        How the answer moves with its data, where that is known.
    curved : float
        The largest (|H| |x|)_i / size_i.
    """
    return {
        name: {
            "x": None if response is None else min(1.0, 32.0 * response.kappa() * unit),
            "objective": 8.0 * unit * terms + gap,
            "relative": min(1.0, 32.0 * unit * (shares + curved)),
            "gap": 8.0 * unit * terms
            + (0.0 if response is None else 0.5 * (32.0 * unit) ** 2 * response.gap())
            + gap,
        }
        for name, unit in UNITS.items()
    }


def largest_share(parts: Any, sizes: Any) -> float:
    """The largest of parts over sizes where these are positive and finite."""
    parts, sizes = np.asarray(parts, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    known = np.isfinite(sizes) & (sizes > 0.0)
    return float((parts[known] / sizes[known]).max(initial=0.0))
