r"""A column of the B-step over the rationals: what b can gain, exactly, where rounding does not decide.

    min over b >= 0 of P(b) = coupling ||w - A b||^2 + p'b

Doubles are rationals, so the minimum is one, and so is the gain P(b) - min P. From a support, say that of a
float answer, or from the empty one,

    (2 coupling A_P'A_P) b_P = 2 coupling A_P'w - p_P,   b_P > 0,   q = p - 2 coupling A'(w - A b) >= 0

An edge with q < 0 enters, edges that would turn negative leave (Lawson, Hanson, Solving Least Squares
Problems, chapter 23), so that P falls strictly and no support comes twice. An entering edge whose w_s is a
combination of those of P moves along that combination, which costs no curvature, until an edge of P reaches
0: the support stays independent, and T - 1 > d or collinear tasks need no exception.

Fractions alone are needed; `digits.column` does the same with python-flint for larger problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.tasks import Array

Rational = Any
"""Fraction or flint's fmpq."""
LARGEST = 2000
"""Products of a Gram matrix, (T - 1)^2 d, up to which a column is solved exactly (tens of milliseconds)."""
_EXCHANGES = 60


class Column:
    """min over b >= 0 of b'G b / 2 - target'b by an exact active-set method.

    Between moves b minimises over its support, which is positive and independent.
    """

    zero: Rational = Fraction(0)

    def __init__(self, G: list[list[Rational]], target: list[Rational]) -> None:
        self.G, self.target = G, target
        self.b = [self.zero] * len(target)
        self.support: list[int] = []
        self.exchanges = 0

    def start(self, tried: list[int]) -> None:
        """Begin at a support, without what is negative there; at the empty one if it is dependent."""
        while tried:
            try:
                found = self._solve(tried)
            except ZeroDivisionError:
                return
            kept = [j for j, value in zip(tried, found, strict=True) if value > 0]
            if len(kept) == len(tried):
                self.support = tried
                for j, value in zip(tried, found, strict=True):
                    self.b[j] = value
                return
            self.exchanges += len(tried) - len(kept)
            tried = kept

    def minimise(self, most: float = math.inf) -> bool:
        """Let edges enter until no multiplier is negative; False where that takes `most` exchanges."""
        while True:
            q = self.multipliers()
            j = min(range(len(q)), key=q.__getitem__, default=0)
            if not q or q[j] >= 0:
                return True
            if self.exchanges >= most:
                return False
            self._enter(j)
            self._settle()

    def multipliers(self) -> list[Rational]:
        """G b - target; q / (2 coupling) of a column."""
        P = self.support
        return [
            sum((row[j] * self.b[j] for j in P), self.zero) - aim
            for row, aim in zip(self.G, self.target, strict=True)
        ]

    def _enter(self, j: int) -> None:
        self.exchanges += 1
        P = self.support
        combination = self._solve(P, [self.G[i][j] for i in P]) if P else []
        curvature = self.G[j][j] - sum(
            (self.G[i][j] * c for i, c in zip(P, combination, strict=True)), self.zero
        )
        if curvature == 0:
            # prices >= 0 bound the column from below, so some edge of P falls
            length = min(self.b[i] / c for i, c in zip(P, combination, strict=True) if c > 0)
            for i, c in zip(P, combination, strict=True):
                self.b[i] -= length * c
            self.b[j] = length
            self.support = [i for i in P if self.b[i] > 0]
            self.exchanges += 1
        self.support = [*self.support, j]

    def _settle(self) -> None:
        """Go to the minimum over the support, dropping the edges that reach 0 on the way."""
        while True:
            aim = self._solve(self.support)
            steps = [
                self.b[j] / (self.b[j] - value)
                for j, value in zip(self.support, aim, strict=True)
                if value <= 0
            ]
            length = min(steps, default=self.zero + 1)
            for j, value in zip(self.support, aim, strict=True):
                self.b[j] += length * (value - self.b[j])
            if not steps:
                return
            kept = [j for j in self.support if self.b[j] > 0]
            self.exchanges += len(self.support) - len(kept)
            self.support = kept

    def _solve(self, support: Sequence[int], right: Sequence[Rational] | None = None) -> list[Rational]:
        """G on the support by Gaussian elimination; `ZeroDivisionError` where it is singular."""
        aim = [self.target[j] for j in support] if right is None else list(right)
        rows = [[*(self.G[i][j] for j in support), value] for i, value in zip(support, aim, strict=True)]
        for i, row in enumerate(rows):
            for other in rows[i + 1 :]:
                share = other[i] / row[i]  # G is positive definite: no pivoting
                other[i:] = [a - share * b for a, b in zip(other[i:], row[i:], strict=True)]
        found: list[Rational] = []
        for i, row in reversed(list(enumerate(rows))):
            known = sum((a * x for a, x in zip(row[i + 1 : -1], found, strict=True)), self.zero)
            found.insert(0, (row[-1] - known) / row[i])
        return found


class Gain(NamedTuple):
    """What a column can gain, and the dual point that proves it."""

    most: float
    """Rounded up; at the prices of the interval for which it is largest."""
    theta: Array
    """(d,), rounded."""


def column_gain(
    A: Array, w: Array, b: Array, low: Array, high: Array, coupling: float, *, support: Sequence[int] = ()
) -> Gain | None:
    """P(b) - min P for prices between `low` and `high`; None where it is too much work.

    theta = 2 coupling (w - A x) of the best x at the low prices is feasible at all the others, so that
    P(b) - D(theta), which rises with them, is at most the gain at the low ones and b'(high - low).
    """
    if len(b) ** 2 * len(w) > LARGEST:
        return None
    lam, columns, aim = Fraction(coupling), [_exact(a) for a in A.T], _exact(w)
    prices, at = _exact(low), _exact(b)
    column = Column(
        [[_dot(a, other) for other in columns] for a in columns],
        [_dot(a, aim) - price / (2 * lam) for a, price in zip(columns, prices, strict=True)],
    )
    column.start(list(support))
    if not column.minimise(_EXCHANGES):
        return None
    rest = [_rest(aim, columns, x) for x in (at, column.b)]
    before, after = (lam * _dot(r, r) + _dot(prices, x) for r, x in zip(rest, (at, column.b), strict=True))
    most = before - after + _dot(at, [up - down for up, down in zip(_exact(high), prices, strict=True)])
    return Gain(math.nextafter(float(most), math.inf), np.array([float(2 * lam * r) for r in rest[1]]))


def _rest(w: list[Fraction], columns: list[list[Fraction]], b: Sequence[Fraction]) -> list[Fraction]:
    used = [(x, a) for x, a in zip(b, columns, strict=True) if x]
    return [aim - sum((x * a[i] for x, a in used), Fraction(0)) for i, aim in enumerate(w)]


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _exact(numbers: Array) -> list[Fraction]:
    return [Fraction(number) for number in numbers.tolist()]
