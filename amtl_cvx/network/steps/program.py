r"""A convex quadratic with prices and signs to keep: the form in which every step in a cell is posed.

    min over x of   x'H x - 2 g'x + p'|x|      subject to   G x + c >= 0

H (n, n), g and p are as in `features.gram`; the first entries of x have prices, and are >= 0 where they are
not signed, the others (a bias) have none. Rows of G keep units on their sides. There are thousands of units
and few that a step would take across: it begins without rows, and adds those that are violated, those crossed
first in front, until none is (`lazily`). A compiled problem has room for a number of rows; those that are not
needed yet are 0 x + 1 >= 0. Where there are more, the next size is compiled.

It is handed to the solver in units with a unit diagonal of H, max |g| = 1 and rows of length 1. What it
answers is made exact on its support and its active rows (`polish`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from amtl_cvx import memory
from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import SolveError
from amtl_cvx.features.gram import Quadratic
from amtl_cvx.network.steps.polish import Conditions, polished
from amtl_cvx.solvers import Backend, Compiled, Solved
from amtl_cvx.subproblems import Problems

_BYTES = 200  # of memory an entry of H or G takes while the problem is compiled
_DEAR = 1e6  # a price in these units, in which slopes begin at 2, that a solver need not see beyond
_LEAST = 1e-150  # of a pull that is one: what it would be divided by overflows
_DAMPING = 1e-10  # of the unit diagonal, where no solver answers: H is singular
_FEW, _MORE = 32, 2  # rows of the first compiled problem that has any, and by how much the next one has more
_AT_ONCE = 0.25  # rows that are added at once, in n: those that are crossed first
_TURNS = 1000  # rounds of added rows; a few do, and every one adds some


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is compiled in: the number of unknowns, how many have prices, whether these may be negative."""

    n: int
    priced: int
    signed: bool


class CellProblem:
    """The compiled problem of a form with room for some rows of G; `DataError` where memory does not do."""

    def __init__(self, form: Form, rows: int) -> None:
        n, priced = form.n, form.priced
        memory.check(_BYTES * n * (n + rows), f"a step in a cell of {n} unknowns", "learn fewer features")
        self.form, self.rows = form, rows
        self.H, self.g, self.p = cp.Parameter((n, n)), cp.Parameter(n), cp.Parameter(max(priced, 1))
        self.G, self.c = cp.Parameter((max(rows, 1), n)), cp.Parameter(max(rows, 1))
        self.x, e = cp.Variable(n), cp.Variable()
        linear, limits = self.g @ self.x, []
        if priced:
            first = self.x[:priced]
            size = cp.Variable(priced) if form.signed else first
            linear = linear - 0.5 * (self.p @ size)
            limits = [first <= size, -size <= first] if form.signed else [first >= 0]
        if rows:
            limits.append(self.G @ self.x + self.c >= 0)
        objective = cp.quad_form(self.x, cp.psd_wrap(self.H)) - 2.0 * e
        problem = cp.Problem(cp.Minimize(objective), [e == linear, *limits])
        self.compiled = Compiled(problem, step="cell", what="a step in a cell")

    def solve(self, scaled: Conditions, backend: Backend) -> tuple[Array, Solved]:
        """A solver's answer, in the units it is given."""
        form, values = self.form, {self.H: scaled.H, self.g: scaled.g}
        if form.priced:
            values[self.p] = scaled.p[: form.priced]
        if self.rows:
            G, c = np.zeros(self.G.shape), np.ones(self.rows)
            G[: len(scaled.c)], c[: len(scaled.c)] = scaled.G, scaled.c
            values |= {self.G: G, self.c: c}
        try:
            solved = self.compiled.solve(values, backend)
        except SolveError:
            values[self.H] = scaled.H + _DAMPING * np.eye(form.n)
            solved = self.compiled.solve(values, backend)
        return np.array(self.x.value, dtype=float), solved


@dataclass(frozen=True, kw_only=True)
class CellProgram:
    """The problems of one form, of every size that was needed."""

    form: Form
    problems: Problems

    def _answer(
        self, quadratic: Quadratic, price: Array, G: Array, c: Array, backend: Backend
    ) -> tuple[Array, Callable[[], Array], Solved]:
        """A solver's answer (n,) for rows G (m, n), c (m,), and what makes it exact."""
        H, g = quadratic
        seen = np.diag(H) > 0.0  # an unknown that it does not see may yet be in a row
        unit = 1.0 / np.sqrt(np.where(seen, np.diag(H), 1.0))
        size = float(np.abs(unit * g).max(initial=0.0))
        size = size if size > _LEAST else 1.0
        scaled = H * unit[:, None] * unit
        np.fill_diagonal(scaled, seen)
        rows = G * unit
        length = np.linalg.norm(rows, axis=1)
        felt = length > 0.0
        conditions = Conditions(
            scaled,
            unit * g / size,
            np.minimum(unit * price / size, _DEAR),
            rows[felt] / length[felt, None],
            c[felt] / (length[felt] * size),
            self.form.priced,
            self.form.signed,
        )
        x, solved = self._sized(int(felt.sum())).solve(conditions, backend)
        return size * unit * x, lambda: size * unit * polished(conditions, x), solved

    def lazily(
        self,
        quadratic: Quadratic,
        price: Array,
        sides: Sides,
        known: Indices,
        backend: Backend,
    ) -> tuple[Array, Solved, Indices]:
        """The minimum with all signs kept, of which `known` begin; the units whose rows were needed.

        Raises
        ------
        SolveError
            If no solver of the chain gives an answer.
        """
        total = Solved.none()
        for _ in range(_TURNS):
            G, c = sides.rows(known)
            rough, exact, told = self._answer(quadratic, price, G, c, backend)
            total = total + told
            x, new = rough, self._new(rough, sides, known)
            if not len(new):
                x = exact()
                new = self._new(x, sides, known)
            if not len(new):
                break
            known = np.concatenate([known, new[: max(_FEW, int(_AT_ONCE * len(x)))]])
        return x, total, known

    def _new(self, x: Array, sides: Sides, known: Indices) -> Indices:
        """The units that are outside at x without being known, first ones first."""
        outside = sides.outside(x)
        return outside[~np.isin(outside, known)]

    def _sized(self, rows: int) -> CellProblem:
        """The problem with room for so many rows."""
        room = 0 if rows == 0 else _FEW
        while room < rows:
            room *= _MORE
        key = ("cell", self.form, room)
        return self.problems.get(key, lambda: CellProblem(self.form, room))


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The signs to keep as a function of the block: rows of some units, and who is outside at x."""

    rows: Callable[[Indices], tuple[Array, Array]]
    outside: Callable[[Array], Indices]
