r"""J >= U cell by cell, where one relaxation of the whole box leaves a gap.

A cut B[s, t] >= at or <= at makes two cells, each with one linear inequality more (or a sharper one) and its
own sums of squares; the least of their bounds holds on the box. The cell with the lowest bound is cut first,
along the entry of B whose products with w_s the relaxation knows least about: its dual variables are the
moments of a pseudo-distribution, and the variance of B[s, t] in it, times the mean of ||w_s||^2, says how far
the relaxation is from a point. Where a task is fitted nearly without loss a gap of 0.2 of U was seen; one cut
closed it.

Where a part gets a clearly lower bound than the whole, which cannot be, the solver's accuracy is at its end
and nothing more is cut.

A cell is closed by a proof on the identity (`relaxation.margin`): reduced at the minimiser, in the one cell
that holds it; not reduced anywhere else, where J > U. What is still open at the end gets its best bound.

The means of the pseudo-distribution are a start as well: where the relaxation is tight at a point below U,
which twenty random starts may miss, a fit from there finds it (`LowerPoint`), and all begins again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from amtl_cvx.enclosure.cuts import halves, means, place
from amtl_cvx.enclosure.point import ExactPoint
from amtl_cvx.enclosure.polynomial import Polynomial, Scaled, add, scaled
from amtl_cvx.enclosure.relaxation import (
    LARGEST,
    Block,
    Bound,
    blocks_of,
    bound,
    margin,
    relax,
    unknowns,
)
from amtl_cvx.enclosure.rounding import Factor, clip, expand, factor, project, value_below
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.limits import check_time, seconds_left
from amtl_cvx.tasks import Array

_MARGIN = 1e-8  # of the Gram matrices: far above the errors of a solver in doubles
_CLOSED = 1e-7  # a gap, relative to U, that is not worth a cut
_NOISE = 1.1  # a part cannot have a lower bound than the whole: what is lower by more is the solver's error


Proof = tuple[list[Block], list[Factor]]


class LowerPoint(Exception):
    """A point with J below U turned up."""

    def __init__(self, point: ExactPoint) -> None:
        super().__init__(f"J = {float(point.objective):.17g}")
        self.point = point


@dataclass(kw_only=True)
class Cell:
    """A part of the box, and what is proved there: J >= U + unit * `value`.

    Either it is cut, and then all is in its `parts` (above, below), or it has a `proof` of its own.

    Attributes
    ----------
    scale : Scaled
        J and the inequalities of the cell, in the variables of the box.
    gamma : float
        The bound in floating point, 0 for a cell that is closed.
    bound : Bound or None
        The best bound of the relaxation, where the cell is not closed.
    proof : (list of Block, list of Factor)
        Multipliers and the factors of their Gram matrices, in the variables of the box.
    tight : bool
        Whether J >= U was proved on the identity, so that the width is a matter of digits only.
    """

    scale: Scaled
    gamma: float = 0.0
    bound: Bound | None = None
    proof: Proof = ([], [])
    tight: bool = False
    cut: tuple[int, Fraction] | None = None
    parts: tuple[Cell, ...] = ()

    def leaves(self) -> list[Cell]:
        """The cells that are not cut."""
        return [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]

    def value(self, excess: Polynomial, *, bits: int) -> Fraction:
        """The lower bound of `excess` that the proofs of all leaves establish."""
        if self.parts:
            return min(part.value(excess, bits=bits) for part in self.parts)
        squares = expand(*self.proof, bits=bits)
        return value_below(add(excess, scaled(squares, Fraction(-1))))

    @property
    def home(self) -> bool:
        """Whether it holds the minimiser, away from all cuts."""
        return all(
            self.scale.linear[i].get((), 0) > 0 for i in self.scale.linear if i > len(self.scale.edges)
        )


@dataclass(frozen=True, kw_only=True)
class Prover:
    """Proofs of J >= U + unit * value in cells of one box, by Clarabel.

    Attributes
    ----------
    upper, unit : Fraction
        U, and the unit in which J - U is measured.
    zoom : Zoom
    bits : int
        Binary digits of the factors.
    descend : callable or None
        (W, B) to the point that a fit from there ends at; None to look for no lower point.
    """

    upper: Fraction
    unit: Fraction
    zoom: Zoom
    bits: int
    descend: Callable[[Array, Array], ExactPoint] | None

    def divide(self, box: Scaled, *, most: int, observe: Callable[[str], None] | None = None) -> Cell:
        """The box as one cell, cut until every part is closed or there are `most` of them.

        Raises
        ------
        NotCertifiable
            Where the solver has no answer on the whole box.
        LowerPoint
            Where a bound leads to a point below U.
        """
        root = self._judged(box)
        if root is None:
            check_time("the whole box was bounded")
            raise NotCertifiable(
                "CLARABEL found no bound for the relaxation: try fewer tasks or features, or a larger mu"
            )
        while len(leaves := root.leaves()) < most:
            gaps = [leaf for leaf in leaves if self.gap(leaf)]
            if not gaps or seconds_left() <= 0.0 or not self._cut(min(gaps, key=lambda leaf: leaf.gamma)):
                break
            if observe is not None:
                observe(f"{len(leaves) + 1} of at most {most} cells")
        for leaf in root.leaves():
            if leaf.bound is not None:
                self._prove_bound(leaf, leaf.bound)
        return root

    def _judged(self, scale: Scaled) -> Cell | None:
        """The cell, closed or with its bound; None where the solver has no answer."""
        cell, near = Cell(scale=scale), self.zoom.inward(scale)
        excess = excess_of(near, self.upper, self.unit)
        for split in (True, False):
            if proof := self._proof(scale, blocks_of(near, split=split, reduced=cell.home), excess):
                return replace(cell, proof=proof, tight=True)
        cell.bound = bound(relax(blocks_of(near, split=scale.T == 2, reduced=False)), excess)
        cell.gamma = cell.bound.gamma
        if not math.isfinite(cell.gamma):
            return None
        if self._below(cell.gamma) and cell.bound.moments:
            self._look_lower(means(near, cell.bound.moments))
        return cell

    def gap(self, leaf: Cell) -> bool:
        """Whether a cell is open and worth a cut."""
        return leaf.bound is not None and self._below(leaf.gamma)

    def _below(self, gamma: float) -> bool:
        """Whether the bound leaves a gap below U that is worth a cut."""
        return gamma * float(self.unit) < -_CLOSED * float(self.upper)

    def _look_lower(self, start: tuple[Array, Array]) -> None:
        """Raise `LowerPoint` where a fit from `start` ends below U."""
        if self.descend is None:
            return
        point = self.descend(*start)
        if point.objective < self.upper * (1 - Fraction(_CLOSED)):
            raise LowerPoint(point)

    def _proof(self, scale: Scaled, blocks: list[Block], excess: Polynomial) -> Proof | None:
        """A proof on the identity of `excess`, in the variables of the box; None where there is none."""
        relaxation = relax(blocks)
        t, stacked = margin(relaxation, excess)
        if not t > _MARGIN:
            return None
        factors = [factor(gram) for gram in project(relaxation, excess, stacked, bits=self.bits)]
        whole = [lower for lower in factors if lower is not None]
        return self.zoom.outward(scale, blocks, whole) if len(whole) == len(blocks) else None

    def _cut(self, cell: Cell) -> bool:
        """Cut the cell; whether there is a place for it, a size that can be solved, and answers."""
        assert cell.bound is not None
        if (cut := place(cell.scale, self.zoom, cell.bound.moments)) is None:
            return False
        scales = halves(cell.scale, *cut)
        if max(unknowns(blocks_of(scale, split=False, reduced=False)) for scale in scales) > LARGEST:
            return False
        above, below = (self._judged(scale) for scale in scales)
        least = _NOISE * min(cell.gamma, 0.0) - _CLOSED * float(self.upper / self.unit)
        if above is None or below is None or min(above.gamma, below.gamma) < least:
            return False
        cell.cut, cell.parts = cut, (above, below)
        return True

    def _prove_bound(self, cell: Cell, best: Bound) -> None:
        """Give an open cell the proof of a value a little below its bound, or of its bound as it is."""
        near = self.zoom.inward(cell.scale)
        blocks = blocks_of(near, split=cell.scale.T == 2, reduced=False)
        reserve = 1e-3 * abs(best.gamma)
        excess = add(excess_of(near, self.upper, self.unit), {(): Fraction(reserve - best.gamma)})
        if proof := self._proof(cell.scale, blocks, excess):
            cell.proof, cell.tight = proof, best.gamma > reserve
        else:
            factors = [clip(gram, bits=self.bits) for gram in relax(blocks).split(best.stacked)]
            cell.proof = self.zoom.outward(cell.scale, blocks, factors)


def excess_of(scale: Scaled, upper: Fraction, unit: Fraction) -> Polynomial:
    """(J - U) / unit."""
    return scaled(add(scale.objective, {(): -upper}), 1 / unit)
