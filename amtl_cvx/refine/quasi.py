"""L-BFGS-B on both blocks, for problems whose second derivatives would not fit (see the package's essay)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, minimize

from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet


class Units(NamedTuple):
    """What W and J are measured in, so that both blocks and J are of order one."""

    W: float
    J: float

    @classmethod
    def at(cls, tasks: TaskSet, model: Model, W: Array, B: Array) -> Units:
        """Those of a start. The unit of W is a power of two: a point in it and back is the same point."""
        return cls(
            W=2.0 ** round(np.log2(float(np.abs(W).max()) or 1.0)),
            J=abs(model.objective(tasks, W, B)) or 1.0,
        )


def quasi_newton_steps(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, units: Units
) -> Iterator[tuple[Array, Array]]:
    """Bursts of L-BFGS-B on (W, B) in these units; each burst begins anew at the point it is given."""
    d, T = W.shape
    scale, unit = units
    s, t = np.nonzero(~np.eye(T, dtype=bool))
    bounds = Bounds(np.r_[np.full(d * T, -np.inf), np.zeros(len(s))], np.inf)

    def unpack(x: Array) -> tuple[Array, Array]:
        full = np.zeros((T, T))
        full[s, t] = x[d * T :]
        return scale * x[: d * T].reshape(T, d).T, full

    def value(x: Array) -> tuple[float, Array]:
        V, C = unpack(x)
        slope = np.r_[scale * model.gradient_W(tasks, V, C).T.ravel(), model.gradient_B(tasks, V, C)[s, t]]
        return model.objective(tasks, V, C) / unit, slope / unit

    x = np.r_[W.T.ravel() / scale, B[s, t]]
    best = value(x)[0]
    while True:
        options = {"maxiter": 50, "maxfun": 100, "maxcor": 30, "ftol": 0.0, "gtol": 0.0}
        burst = minimize(value, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if not burst.fun < best:
            return
        x, best = burst.x, burst.fun
        yield unpack(x)
