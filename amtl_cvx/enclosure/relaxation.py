r"""J - U as a structured sum of squares, a semidefinite CVXPY problem.

J is quadratic in W for fixed B, so that J >= U for all B in a set says that a matrix, quadratic in B, is
positive semidefinite there. The set of B is described by linear inequalities h_i(B) >= 0: B[s, t] >= 0 and
the budget sum_st mu m_s B[s, t] <= Delta (all at once, sharper than the box), and those of `cells`. The
identity

    J - U = s_0 + sum_i s_i h_i + sum_{i<j} s_ij h_i h_j + s_c (U - sum_t c_t l_t)

with s_0 a sum of squares of combinations of {1, B} (x) {1, W}, s_i and s_ij of {1, W}, s_c of {1, B}, proves
J >= U wherever J <= U is possible at all. In J the columns of B meet only in W, so that s_0 may be split by
columns of B: a much smaller problem, tried first; it is as tight for T = 2 and often for T = 3, not always.
Without the products h_i h_j, with (b_max - b) b alone, the relaxation is not always tight for T = 3 (a gap of
4e-3 of J at d = 1, measured).

**Facial reduction.** At the minimiser z* both sides vanish, so every Gram matrix has z*'s monomials in its
null space: the semidefinite problem has no interior point, and a solver in doubles stops at 1e-6 to 1e-8. In
variables around z* that null vector is the constant monomial. It is left out of every basis whose multiplier
is positive at z*, and what remains is a problem *with* interior points:

    maximise t  subject to  the identity, every Gram matrix >= t I

A solution with t > 0 can be moved onto the identity exactly (`rounding`), so that the proof has as many
digits as one likes, from a solver in doubles. t <= 0 says that the relaxation is not tight on this set, or
that there are other minimisers; max gamma with J - gamma in place of J - U bounds the gap, `cells` goes on.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.enclosure.polynomial import Monomial, Polynomial, Scaled, edges_of, times
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.limits import seconds_left
from amtl_cvx.solvers import SolverFault, watched
from amtl_cvx.tasks import Array

LARGEST = 8_000
"""Unknowns of the relaxation (lower triangles of all Gram matrices) beyond which a problem is refused."""

LIMIT = 3600.0
"""Seconds for one relaxation."""
_OVERDUE = 20.0
"""Seconds that Clarabel, which keeps to its limit itself, may be late: a thread that is left runs on."""
_ROUGH = 1e-5  # accuracy of the margin: its sign is what counts


@dataclass(frozen=True, kw_only=True)
class Block:
    """One multiplier: a sum of squares of combinations of `basis`, times the polynomial `weight` >= 0.

    `of` names the weight: "1", "sublevel", or the numbers of one or two linear inequalities.
    """

    of: str | tuple[int, ...]
    weight: Polynomial
    basis: tuple[Monomial, ...]


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """The blocks and the identity they are to meet, row by row: ``A vec(Gram matrices) = target``.

    Attributes
    ----------
    blocks : tuple of Block
    rows : dict of Monomial to int
        The row of A of every monomial that the blocks can make.
    A : sparse (len(rows), sum of squared block sizes)
    """

    blocks: tuple[Block, ...]
    rows: dict[Monomial, int]
    A: sp.csr_matrix

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(block.basis) for block in self.blocks)

    @property
    def identity(self) -> Array:
        """The identity matrices of all blocks, stacked."""
        return np.concatenate([np.eye(size).ravel() for size in self.sizes])

    def target(self, polynomial: Polynomial) -> Array:
        """The coefficients of a polynomial on the rows of A."""
        return np.array([float(polynomial.get(monomial, 0)) for monomial in self.rows])

    def split(self, stacked: Array) -> list[Array]:
        """Stacked entries as symmetric matrices."""
        ends = np.cumsum([size**2 for size in self.sizes])[:-1]
        squares = [
            part.reshape(size, size) for part, size in zip(np.split(stacked, ends), self.sizes, strict=True)
        ]
        return [(square + square.T) / 2 for square in squares]


def blocks_of(scaled: Scaled, *, split: bool, reduced: bool) -> list[Block]:
    """The multipliers: s_0 `split` by columns of B or whole, the bases `reduced` by the constant or not."""
    nW = scaled.T * scaled.d
    W = [(k,) for k in range(nW)]
    edges = list(enumerate(edges_of(scaled.T), nW))
    columns = [[k for k, (_, t) in edges if t == column] for column in range(scaled.T)]
    groups = columns if split else [[k for k, _ in edges]]
    pairs = itertools.combinations(scaled.linear, 2)

    def block(of: str | tuple[int, ...], basis: Sequence[Monomial]) -> Block:
        return Block(of=of, weight=weight_of(scaled, of), basis=tuple(basis))

    blocks = [block("1", [(), *W, *((b,) for b in group), *_products(W, group)]) for group in groups]
    blocks += [block(of, [(), *W]) for of in [*((i,) for i in scaled.linear), *pairs]]
    blocks += [block("sublevel", [(), *((b,) for b in group)]) for group in groups]
    if not reduced:
        return blocks
    return [block for block in map(_without_constant, blocks) if block.basis]


def weight_of(scaled: Scaled, of: str | tuple[int, ...]) -> Polynomial:
    """The non-negative polynomial that a block's name stands for."""
    if isinstance(of, str):
        return scaled.sublevel if of == "sublevel" else {(): Fraction(1)}
    first, *second = (scaled.linear[i] for i in of)
    return times(first, second[0]) if second else first


def check_size(T: int, d: int) -> None:
    """Raise `NotCertifiable` where the relaxation would be too large to solve."""
    W, inequalities = 1 + T * d, 1 + T * (T - 1)
    multipliers = inequalities * (inequalities + 1) // 2
    size = _triangle(inequalities * W) + multipliers * _triangle(W) + _triangle(inequalities)
    if size > LARGEST:
        raise NotCertifiable(
            f"the sum-of-squares problem has {size} unknowns, at most {LARGEST} are solved in reasonable"
            " time: take fewer tasks or features (T = 2 with d <= 15, T = 3 with d <= 4 are within reach)"
        )


def unknowns(blocks: Sequence[Block]) -> int:
    """Lower triangles of all Gram matrices."""
    return sum(_triangle(len(block.basis)) for block in blocks)


def _triangle(n: int) -> int:
    return n * (n + 1) // 2


def relax(blocks: Sequence[Block]) -> Relaxation:
    """Equate coefficients."""
    rows: dict[Monomial, int] = {}
    entries: list[tuple[int, int, float]] = []
    offset = 0
    for block in blocks:
        n = len(block.basis)
        terms = [(monomial, float(value)) for monomial, value in block.weight.items()]
        for i, j in itertools.product(range(n), repeat=2):
            for monomial, value in terms:
                row = rows.setdefault(tuple(sorted(block.basis[i] + block.basis[j] + monomial)), len(rows))
                entries.append((row, offset + i * n + j, value))
        offset += n * n
    row_numbers, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    A = sp.csr_matrix((values, (row_numbers, columns)), shape=(len(rows), offset))
    return Relaxation(blocks=tuple(blocks), rows=rows, A=A)


def _products(W: Sequence[Monomial], edges: Sequence[int]) -> list[Monomial]:
    return [(*w, b) for b in edges for w in W]


def _without_constant(block: Block) -> Block:
    if () not in block.weight:
        return block
    return Block(of=block.of, weight=block.weight, basis=tuple(m for m in block.basis if m))


def margin(relaxation: Relaxation, polynomial: Polynomial) -> tuple[float, Array]:
    """The largest t with every Gram matrix >= t I in the identity for `polynomial`, and the Gram matrices.

    Returns
    -------
    t : float
        At most 1; -inf where the solver gives no answer.
    stacked : (sum of squared block sizes,)
    """
    grams = [cp.Variable((size, size), PSD=True) for size in relaxation.sizes]
    t = cp.Variable()
    stacked = cp.hstack([cp.vec(gram, order="F") for gram in grams])
    diagonal = relaxation.identity
    identity = relaxation.A @ stacked + (relaxation.A @ diagonal) * t == relaxation.target(polynomial)
    if not _solve(cp.Problem(cp.Maximize(t), [identity, t <= 1]), tol_gap_rel=_ROUGH):
        return -np.inf, np.zeros(len(diagonal))
    return float(t.value), stacked.value + diagonal * float(t.value)


class Bound(NamedTuple):
    """max gamma <= 1 with `polynomial` - gamma on the identity (blocks not reduced).

    `gamma` is -inf where the solver gives no answer, `stacked` are the Gram matrices. `moments` are the dual
    variables: the mean of every monomial under the pseudo-distribution whose mean of the polynomial is gamma;
    none where gamma = 1.
    """

    gamma: float
    stacked: Array
    moments: dict[Monomial, float]


def bound(relaxation: Relaxation, polynomial: Polynomial) -> Bound:
    """The best lower bound of `polynomial` that the relaxation has, at most 1."""
    grams = [cp.Variable((size, size), PSD=True) for size in relaxation.sizes]
    gamma = cp.Variable()
    stacked = cp.hstack([cp.vec(gram, order="F") for gram in grams])
    constant = relaxation.target({(): Fraction(1)})
    identity = relaxation.A @ stacked + constant * gamma == relaxation.target(polynomial)
    if not _solve(cp.Problem(cp.Maximize(gamma), [identity, gamma <= 1])):
        return Bound(-np.inf, np.zeros(relaxation.A.shape[1]), {})
    duals = np.asarray(identity.dual_value)
    mass = float(duals[relaxation.rows[()]])  # 0 where gamma <= 1 holds it
    moments = dict(zip(relaxation.rows, (duals / mass).tolist(), strict=True)) if abs(mass) > 1e-6 else {}
    return Bound(float(gamma.value), np.asarray(stacked.value), moments)


def _solve(problem: cp.Problem, **settings: float) -> bool:
    """Whether Clarabel gave an answer in time, accurate or not: the rounding decides what it is worth."""
    limit = min(LIMIT, seconds_left())
    if limit <= 0.0:
        return False
    options = {**settings, "time_limit": limit}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        try:
            watched(lambda: problem.solve(solver=cp.CLARABEL, **options), limit=limit + _OVERDUE)
        except SolverFault:
            return False
    found = all(v.value is not None and np.isfinite(v.value).all() for v in problem.variables())
    return found and problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
