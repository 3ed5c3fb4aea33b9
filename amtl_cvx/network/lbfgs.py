r"""L-BFGS-B on the exact J: the start of kink Newton, which it brings near to a valley.

Entries of S and A are split in two parts that must not be negative, x = p - q, and |x| is p + q: J is then as
smooth as its kinks let it be, and at the end p or q is 0. The weight of a loss is
c_t (1 + alpha sum_j (p + q)_tj), so that where both parts are positive J is a little higher, never lower.
Kinks of units are taken as they come (a unit on its kink counts as off), for which there is no theory: the
iterates come to rest without being stationary, and `newton` goes on from there.

Source: Byrd, Lu, Nocedal, Zhu, A limited memory algorithm for bound constrained optimization, 1995.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from amtl_cvx.arrays import Array, frozen
from amtl_cvx.network.point import NetworkPoint

_MEMORY = 20


def lbfgs(start: NetworkPoint, *, iterations: int) -> NetworkPoint:
    """The lowest J of so many iterations from a start, which may be `start` itself.

    Parameters
    ----------
    start : NetworkPoint
        Any.
    iterations : int
        Of L-BFGS-B; it may need more evaluations of J.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.lbfgs import lbfgs
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> model = NetworkModel(features=1, mu=1.0, decay=0.5)
    >>> point = lbfgs(NetworkProblem(tasks, model).at(W1=[[1.0]], S=[[2.0]], A=[[0.0]]), iterations=50)
    >>> w = point.V[0][0, 0]  # (w^3 - 3)^2 + 1.5 w^2, as in `newton`
    >>> round(float(2.0 * w * (w**3 - 3.0)), 4)
    -1.0
    """
    split = _Split(start)
    found = minimize(
        split.value,
        split.begin(start),
        jac=True,
        method="L-BFGS-B",
        bounds=split.bounds(),
        options={
            "maxiter": iterations,
            "maxfun": 4 * iterations,
            "maxcor": _MEMORY,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    end = split.point(found.x)
    return end if end.objective < start.objective else start


class _Split:
    """Vectors (p, q) with x = p - q, q of the entries of S and A alone; A with no q where it has a sign."""

    def __init__(self, like: NetworkPoint) -> None:
        problem, layout = like.problem, like.problem.layout
        self.problem, self.n = problem, problem.size
        self.priced = np.arange(layout.S.start, layout.A.start + like.A.size)
        self.of_A = self.priced >= layout.A.start
        self.twice = self.priced if like.model.signed else self.priced[~self.of_A]

    def begin(self, point: NetworkPoint) -> Array:
        x = point.vector.copy()
        q = np.maximum(-x[self.twice], 0.0)
        x[self.priced] = np.maximum(x[self.priced], 0.0)
        return np.concatenate([x, q])

    def bounds(self) -> list[tuple[float | None, None]]:
        found: list[tuple[float | None, None]] = [(None, None)] * self.n
        for entry in self.priced:
            found[entry] = (0.0, None)
        return found + [(0.0, None)] * len(self.twice)

    def point(self, z: Array) -> NetworkPoint:
        x = z[: self.n].copy()
        x[self.twice] -= z[self.n :]
        return self.problem.from_vector(x)

    def value(self, z: Array) -> tuple[float, Array]:
        """J of the split and its gradient."""
        point, model = self.point(z), self.problem.model
        sizes = np.zeros(self.n)
        sizes[self.priced] = z[self.priced]
        sizes[self.twice] += z[self.n :]
        spare = sizes[self.priced] - np.abs(point.vector[self.priced])
        given = spare[self.of_A].reshape(point.A.shape).sum(axis=1)
        J = point.objective + model.mu * float(spare[~self.of_A].sum()) + float(point.prices @ given)
        own = 1.0 + model.alpha * np.abs(point.A).sum(axis=1)
        if given.any():  # the losses count as much as both parts together say
            slopes = point.loss_slopes * ((own + model.alpha * given) / own)
            point.__dict__["loss_slopes"] = frozen(slopes)
        slope = point.gradient().vector
        price = np.full(len(self.priced), model.mu)
        price[self.of_A] = np.repeat(point.prices, point.A.shape[1])
        whole = np.zeros(self.n)
        whole[self.priced] = price
        return J, np.concatenate([slope + whole, whole[self.twice] - slope[self.twice]])
