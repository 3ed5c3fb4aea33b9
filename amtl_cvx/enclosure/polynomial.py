r"""Polynomials with rational coefficients, and the polynomials of a problem on its box.

A polynomial is a dict {monomial: Fraction}, a monomial the sorted tuple of its variables' numbers with
repetition: x_0^2 x_3 is (0, 0, 3), the constant (). Variables are numbered W first, W[i, t] at i T + t, then
the off-diagonal entries of B, row by row.

All polynomials of a proof are in the scaled variables x of z = centre + radius x, where the centre is the
best point known and the box lies in abs(x_k) <= 1: a monomial is then at most 1 in absolute value on the box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from amtl_cvx.enclosure.box import Box
from amtl_cvx.enclosure.exact import ExactProblem, Matrix, Vector, magnitude

Monomial = tuple[int, ...]
Polynomial = dict[Monomial, Fraction]


def add(*terms: Mapping[Monomial, Fraction]) -> Polynomial:
    """Sum of polynomials."""
    total: Polynomial = {}
    for term in terms:
        for monomial, value in term.items():
            total[monomial] = total.get(monomial, Fraction(0)) + value
    return {monomial: value for monomial, value in total.items() if value}


def times(p: Mapping[Monomial, Fraction], q: Mapping[Monomial, Fraction]) -> Polynomial:
    """Product of two polynomials."""
    product: Polynomial = {}
    for m, a in p.items():
        for n, b in q.items():
            monomial = tuple(sorted(m + n))
            product[monomial] = product.get(monomial, Fraction(0)) + a * b
    return {monomial: value for monomial, value in product.items() if value}


def scaled(p: Mapping[Monomial, Fraction], factor: Fraction) -> Polynomial:
    """factor * p."""
    return {monomial: factor * value for monomial, value in p.items()}


def edges_of(T: int) -> list[tuple[int, int]]:
    """Off-diagonal (s, t), row by row: the order of B's variables."""
    return [(s, t) for s in range(T) for t in range(T) if s != t]


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A problem on its box in scaled variables; see the module essay.

    Attributes
    ----------
    objective : Polynomial
        J.
    linear : dict of int to Polynomial
        Linear inequalities h(B) >= 0 by their numbers: B[s, t] / radius for each edge, then the budget
        1 - sum_st mu m_s B[s, t] / Delta, then the cuts (`cells`).
    sublevel : Polynomial
        (U - sum_t c_t l_t) / Delta, >= 0 wherever J <= U.
    centre, radius : tuple of Fraction
        Per variable z = centre + radius x; the radius is at least its distance from the centre in the box
        (in the variables of `zoom` a power of 2 of it).
    T, d : int
    """

    objective: Polynomial
    linear: dict[int, Polynomial]
    sublevel: Polynomial
    centre: Vector
    radius: Vector
    T: int
    d: int

    @property
    def edges(self) -> range:
        """The numbers of B's variables."""
        return range(self.T * self.d, len(self.radius))


def scale_problem(problem: ExactProblem, box: Box, W: Matrix, B: Matrix) -> Scaled:
    """J, the linear inequalities and the sublevel set in the scaled variables around (W, B)."""
    T, d = problem.T, problem.d
    edges = edges_of(T)
    centre = [value for row in W for value in row] + [B[s][t] for s, t in edges]
    low = [value for row in box.W_low for value in row] + [Fraction(0)] * len(edges)
    high = [value for row in box.W_high for value in row] + [box.B_high[s][t] for s, t in edges]
    radius = tuple(_above(max(up - c, c - down)) for c, down, up in zip(centre, low, high, strict=True))
    z = [add({(): c, (k,): r}) for k, (c, r) in enumerate(zip(centre, radius, strict=True))]
    w = [z[i * T : (i + 1) * T] for i in range(d)]
    b = dict(zip(edges, z[d * T :], strict=True))
    losses = [_weighted_loss(problem, t, [row[t] for row in w]) for t in range(T)]
    prices = [
        add({(): Fraction(1)}, *(scaled(b[s, t], problem.mu) for s, t in edges if s == u)) for u in range(T)
    ]
    residuals = [
        add(row[t], *(scaled(times(b[s, t], row[s]), Fraction(-1)) for s in range(T) if s != t))
        for row in w
        for t in range(T)
    ]
    slack = box.upper - sum(box.minima)
    budget = add({(): Fraction(1)}, *(scaled(b[e], -problem.mu * box.minima[e[0]] / slack) for e in edges))
    linear = [scaled(b[edge], 1 / r) for edge, r in zip(edges, radius[d * T :], strict=True)]
    return Scaled(
        objective=add(
            *(times(loss, price) for loss, price in zip(losses, prices, strict=True)),
            *(scaled(times(r, r), problem.coupling) for r in residuals),
            *(
                scaled(times(row[s], row[t]), problem.omega[s][t])
                for row in w
                for s in range(T)
                for t in range(T)
                if problem.omega[s][t]
            ),
        ),
        linear=dict(enumerate([*linear, budget])) if edges else {},
        sublevel=scaled(add({(): box.upper}, *(scaled(loss, Fraction(-1)) for loss in losses)), 1 / slack),
        centre=tuple(centre),
        radius=radius,
        T=T,
        d=d,
    )


def _above(value: Fraction) -> Fraction:
    """A dyadic number a little above `value` > 0."""
    scale = Fraction(2) ** (16 - magnitude(value))
    return math.ceil(value * scale) / scale


def _weighted_loss(problem: ExactProblem, t: int, w: Sequence[Polynomial]) -> Polynomial:
    d = range(problem.d)
    quadratic = [scaled(times(w[i], w[j]), problem.gram[t][i][j]) for i in d for j in d]
    linear = [scaled(w[i], -2 * problem.moment[t][i]) for i in d]
    return scaled(add(*quadratic, *linear, {(): problem.square[t]}), problem.weight[t])
