"""L-BFGS-B on both blocks, for problems whose second derivatives would not fit (see the package's essay)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, minimize

from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array


class Units(NamedTuple):
    """What W and J are measured in, so that both blocks and J are of order one."""

    W: float
    J: float

    @classmethod
    def at(cls, point: Point) -> Units:
        """Those of a start. The unit of W is a power of two: a point in it and back is the same point."""
        return cls(
            W=2.0 ** round(np.log2(float(np.abs(point.W).max()) or 1.0)),
            J=abs(point.objective) or 1.0,
        )


def quasi_newton_steps(point: Point, *, units: Units) -> Iterator[Point]:
    """Bursts of L-BFGS-B on (W, B) in these units; each burst begins anew at the point it is given."""
    d, T = point.W.shape
    scale, unit = units
    s, t = np.nonzero(~np.eye(T, dtype=bool))
    bounds = Bounds(np.r_[np.full(d * T, -np.inf), np.zeros(len(s))], np.inf)

    def unpack(x: Array) -> Point:
        full = np.zeros((T, T))
        full[s, t] = x[d * T :]
        return point.at(W=scale * x[: d * T].reshape(T, d).T, B=full)

    def value(x: Array) -> tuple[float, Array]:
        at = unpack(x)
        slope = np.r_[scale * at.gradient_W.T.ravel(), at.gradient_B[s, t]]
        return at.objective / unit, slope / unit

    x = np.r_[point.W.T.ravel() / scale, point.B[s, t]]
    best = value(x)[0]
    while True:
        options = {"maxiter": 50, "maxfun": 100, "maxcor": 30, "ftol": 0.0, "gtol": 0.0}
        burst = minimize(value, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if not burst.fun < best:
            return
        x, best = burst.x, burst.fun
        yield unpack(x)
