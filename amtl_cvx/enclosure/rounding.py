r"""From Gram matrices in doubles to a proof in exact dyadic numbers.

    project   move the Gram matrices onto the identity  J - U = sum_k (m_k'G_k m_k) weight_k  to 2 bits
              binary digits: the residual polynomial is expanded exactly, the least-norm correction solved in
              doubles, a few times over (iterative refinement; Peyrl, Parrilo 2008)
    factor    G = L L' by Cholesky's method in integers, L rounded to multiples of 2^-bits
    expand    sum_k |L_k'm_k|^2 weight_k, exactly

The sum of squares is non-negative by its form, whatever the solver did. The rest, J - U minus that sum, has
coefficients near 2^-bits, and each of its monomials is at most 1 on the box:
J >= U + constant of the rest - sum of the absolute values of its other coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import scipy.sparse.linalg as spla

from amtl_cvx.enclosure.exact import magnitude
from amtl_cvx.enclosure.polynomial import Monomial, Polynomial, add, scaled, times
from amtl_cvx.enclosure.relaxation import Block, Relaxation
from amtl_cvx.tasks import Array

Factor = list[list[int]]
"""Rows of a lower triangular matrix, in units of 2^-bits."""
_ROUNDS = 30


def project(
    relaxation: Relaxation, polynomial: Polynomial, stacked: Array, *, bits: int
) -> list[list[list[int]]]:
    """Gram matrices in units of 2^-(2 bits), on the identity as nearly as these units allow."""
    unit = 2 ** (2 * bits)
    grams = [_integers(gram, unit) for gram in relaxation.split(stacked)]
    normal = spla.splu((relaxation.A @ relaxation.A.T).tocsc())
    for _ in range(_ROUNDS):
        rest = _rest(relaxation.blocks, polynomial, grams, unit)
        reached = [rest[monomial] for monomial in relaxation.rows if monomial in rest]
        size = max(map(abs, reached), default=Fraction(0))
        if size * unit < 64 * len(relaxation.rows):
            break
        step = Fraction(2) ** magnitude(size)
        misfit = np.array([float(rest.get(monomial, 0) / step) for monomial in relaxation.rows])
        change = relaxation.split(relaxation.A.T @ normal.solve(misfit))
        for gram, delta in zip(grams, change, strict=True):
            for row, line in zip(gram, _integers(delta, unit * step), strict=True):
                row[:] = [a + b for a, b in zip(row, line, strict=True)]
    return grams


def factor(gram: Sequence[Sequence[int]]) -> Factor | None:
    """L with L L' = `gram` up to rounding, units 2^-bits for 2^-(2 bits); None for a pivot <= 0."""
    L: Factor = []
    for i, row in enumerate(gram):
        line: list[int] = []
        for j in range(i):
            line.append((row[j] - _inner(line, L[j])) // L[j][j])
        pivot = row[i] - _inner(line, line)
        if pivot <= 0:
            return None
        line.append(math.isqrt(pivot))
        if line[i] == 0:
            return None
        L.append(line)
    return L


def clip(gram: Array, *, bits: int) -> Factor:
    """A factor of the nearest positive semidefinite matrix, for Gram matrices without a margin."""
    values, vectors = np.linalg.eigh(gram)
    _, R = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)
    lower = _integers(R.T, 2**bits)
    return [row[: i + 1] for i, row in enumerate(lower)]


def expand(blocks: Sequence[Block], factors: Sequence[Factor], *, bits: int) -> Polynomial:
    """sum_k |L_k'm_k|^2 weight_k, exact."""
    unit = 4**bits
    products = []
    for lower in factors:
        products.append([[_inner(u, v) for v in lower] for u in lower])
    return _sum(blocks, products, unit)


def value_below(rest: Polynomial) -> Fraction:
    """A lower bound on abs(x_k) <= 1: the constant minus the absolute values of the other coefficients."""
    return rest.get((), Fraction(0)) - sum((abs(v) for m, v in rest.items() if m), Fraction(0))


def _rest(
    blocks: Sequence[Block], polynomial: Polynomial, grams: Sequence[Sequence[Sequence[int]]], unit: int
) -> Polynomial:
    return add(polynomial, scaled(_sum(blocks, grams, unit), Fraction(-1)))


def _sum(blocks: Sequence[Block], grams: Sequence[Sequence[Sequence[int]]], unit: int) -> Polynomial:
    terms: list[Polynomial] = []
    for block, gram in zip(blocks, grams, strict=True):
        square: dict[Monomial, int] = {}
        for i, m in enumerate(block.basis):
            for j, n in enumerate(block.basis):
                monomial = tuple(sorted(m + n))
                square[monomial] = square.get(monomial, 0) + gram[i][j]
        terms.append(times({m: Fraction(v, unit) for m, v in square.items()}, block.weight))
    return add(*terms)


def _inner(u: Sequence[int], v: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(u, v, strict=False))  # up to the shorter row: lower triangular


def _integers(values: Array, unit: int | Fraction) -> list[list[int]]:
    """Entries in whole multiples of 1/unit, symmetric where `values` is."""
    return [[math.floor(Fraction(value) * unit) for value in row] for row in values.tolist()]
