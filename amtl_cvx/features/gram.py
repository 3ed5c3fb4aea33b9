r"""A convex quadratic with prices on its unknowns: the form in which every block step is posed.

    min over x of   x'H x - 2 g'x + p'|x|          x >= 0 where it is not signed

H (n, n) is the Gram matrix of the block: nothing in it grows with the rows, and products of blocks that stand
still are numbers in it. As parameters of CVXPY they would stand on both sides of the unknown, which is not
DPP. The linear parts are one row e = g'x - p'|x| / 2: in the objective CVXPY compiles their parameters to a
dense matrix.

It is handed to the solver in units with a unit diagonal of H and max |g| = 1. What a solver leaves near 0 is
made exactly 0, and the rest solved on its support (`polished`).
"""

from __future__ import annotations

from typing import NamedTuple

import cvxpy as cp
import numpy as np

from amtl_cvx import memory
from amtl_cvx.errors import SolveError
from amtl_cvx.solvers import Backend, Compiled, Step
from amtl_cvx.subproblems import HalfStep
from amtl_cvx.tasks import Array

_BYTES = 200  # of memory an entry of H takes while the problem is compiled
_TURNS = 8  # supports that are tried by a polish
_DEAR = 1e6  # a price in these units, in which slopes begin at 2, that a solver need not see beyond
_DAMPING = 1e-10  # of the unit diagonal, where no solver answers: H is singular


class Quadratic(NamedTuple):
    """x'H x - 2 g'x."""

    H: Array
    g: Array


class GramProblem:
    """The compiled problem of n unknowns; without prices p is 0 and no unknown is bounded.

    `DataError` where it does not fit into memory.
    """

    def __init__(self, n: int, *, step: Step, priced: bool, signed: bool = True) -> None:
        memory.check(_BYTES * n * n, f"the {step}-step with {n} unknowns", "learn fewer features")
        self.priced, self.signed = priced, signed
        self.H, self.g, self.p = cp.Parameter((n, n)), cp.Parameter(n), cp.Parameter(n)
        self.x, e = cp.Variable(n), cp.Variable()
        limits: list[cp.Constraint] = []
        linear = self.g @ self.x
        if priced:
            size = cp.Variable(n) if signed else self.x
            linear = linear - 0.5 * (self.p @ size)
            limits = [self.x <= size, -size <= self.x] if signed else [self.x >= 0]
        objective = cp.quad_form(self.x, cp.psd_wrap(self.H)) - 2.0 * e
        problem = cp.Problem(cp.Minimize(objective), [e == linear, *limits])
        self.compiled = Compiled(problem, step=step, what=f"the {step}-step")

    def minimise(self, quadratic: Quadratic, backend: Backend, *, price: Array | None = None) -> HalfStep:
        """The minimum (n,), of prices (n,); an unknown that H does not see is 0.

        Raises
        ------
        SolveError
            If no solver of the chain gives an answer.
        """
        H, g = quadratic
        unit = 1.0 / np.sqrt(np.where(np.diag(H) > 0.0, np.diag(H), 1.0))
        scaled = H * unit[:, None] * unit
        np.fill_diagonal(scaled, 1.0)
        size = float(np.abs(unit * g).max(initial=0.0)) or 1.0
        values = {self.H: scaled, self.g: unit * g / size}
        scaled_price = np.zeros_like(g) if price is None else unit * price / size
        if self.priced:
            values[self.p] = np.minimum(scaled_price, _DEAR)
        try:
            solved = self.compiled.solve(values, backend)
        except SolveError:
            values[self.H] = scaled + _DAMPING * np.eye(len(g))
            solved = self.compiled.solve(values, backend)
        x = np.array(self.x.value, dtype=float)
        if self.priced:
            x = polished(Quadratic(scaled, values[self.g]), scaled_price, x, signed=self.signed)
        return HalfStep(size * unit * x, solved)


def polished(quadratic: Quadratic, price: Array, x: Array, *, signed: bool) -> Array:
    """The minimum to rounding from a solver's answer x (n,); H has a unit diagonal.

    Entries that a step along themselves would end at 0 are 0. Then the rest is solved on its support, which
    loses entries that change their sign and gains those whose slope is beyond their price, as long as the
    residual falls.
    """
    H, g = quadratic
    x = x if signed else np.maximum(x, 0.0)
    alone = x - (H @ x - g)
    x = np.where(np.abs(alone) > 0.5 * price if signed else alone > 0.5 * price, x, 0.0)
    best, least = x, _miss(quadratic, price, x, signed=signed)
    sign = np.sign(x)
    for _ in range(_TURNS):
        on = np.flatnonzero(sign)
        right = (g - 0.5 * price * sign)[on]
        x = np.zeros_like(g)
        x[on] = _solve(H[np.ix_(on, on)], right)
        miss = _miss(quadratic, price, x, signed=signed)
        if miss < least:
            best, least = x, miss
        slope = 2.0 * (H @ x - g)
        pull = -np.sign(slope) * (np.abs(slope) > price) if signed else 1.0 * (slope < -price)
        new = np.where(sign != 0.0, np.where(np.sign(x) == sign, sign, 0.0), pull)
        if np.array_equal(new, sign):
            break
        sign = new
    return best


def _miss(quadratic: Quadratic, price: Array, x: Array, *, signed: bool) -> float:
    """The largest residual of the first-order conditions at x."""
    if not (signed or (x >= 0.0).all()):
        return np.inf
    slope = 2.0 * (quadratic.H @ x - quadratic.g)
    at_zero = (np.abs(slope) if signed else -slope) - price
    miss = np.where(x != 0.0, np.abs(slope + price * np.sign(x)), np.maximum(at_zero, 0.0))
    return float(miss.max(initial=0.0))


def _solve(H: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(H, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(H, right, rcond=None)[0], dtype=np.float64)
