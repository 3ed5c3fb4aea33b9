r"""The variables in which the relaxation is solved: of the size of the problem, not of its box.

A task with a minimal loss near 0 may give nearly for free, so that the box of its edges is hundreds or
thousands wide while every good point has B near 1. In the box's own variables all that matters then happens
in a corner 1e-3 wide, and a solver in doubles sees a gap where there is none (a relative 0.9 of U, measured).
The relaxation itself does not depend on units. It is solved in

    x' = 2^e x,   abs(x'_k) <= 2^e_k,   e even, so that an entry of B moves by less than 32 in abs(x') <= 1

and its factors are carried back by shifting their rows: powers of two are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from amtl_cvx.enclosure.exact import magnitude
from amtl_cvx.enclosure.polynomial import Polynomial, Scaled
from amtl_cvx.enclosure.relaxation import Block, weight_of
from amtl_cvx.enclosure.rounding import Factor

_REACH = 3
"""log2 of the range of an entry of B that the solver is to see."""


@dataclass(frozen=True, kw_only=True)
class Zoom:
    """The change of variables x' = 2^`powers` x between the box and the solver.

    A linear inequality h >= 0 in a single variable k is 2^powers[k] h >= 0 for the solver, all others are the
    same in both.
    """

    powers: tuple[int, ...]

    @classmethod
    def on(cls, box: Scaled) -> Zoom:
        """Zoom in on the entries of B."""
        wide = (max(0, magnitude(box.radius[k]) - _REACH) for k in box.edges)
        return cls(powers=(0,) * box.edges.start + tuple(2 * (power // 2) for power in wide))

    @property
    def lost(self) -> int:
        """Binary digits that the way back costs: J has degree 2 in B."""
        return 2 * max(self.powers)

    def inward(self, box: Scaled) -> Scaled:
        """The problem in x'."""
        return replace(
            box,
            objective=self._moved(box.objective),
            linear={i: self._moved(h, self._power(h)) for i, h in box.linear.items()},
            sublevel=self._moved(box.sublevel),
            radius=tuple(radius / 2**power for radius, power in zip(box.radius, self.powers, strict=True)),
        )

    def outward(
        self, box: Scaled, blocks: Sequence[Block], factors: Sequence[Factor]
    ) -> tuple[list[Block], list[Factor]]:
        """Blocks and factors in x' as those of the same sums of squares in x."""
        moved, shifted = [], []
        for block, lower in zip(blocks, factors, strict=True):
            whole = 0 if isinstance(block.of, str) else sum(self._power(box.linear[i]) for i in block.of) // 2
            rows = (whole + sum(self.powers[k] for k in monomial) for monomial in block.basis)
            shifted.append([[v << row for v in line] for line, row in zip(lower, rows, strict=True)])
            moved.append(replace(block, weight=weight_of(box, block.of)))
        return moved, shifted

    def _moved(self, polynomial: Polynomial, power: int = 0) -> Polynomial:
        """2^power times the polynomial, in x'."""
        return {
            monomial: value * Fraction(2) ** (power - sum(self.powers[k] for k in monomial))
            for monomial, value in polynomial.items()
        }

    def _power(self, h: Polynomial) -> int:
        """log2 of the factor that a linear inequality gets."""
        variables = [k for monomial in h for k in monomial]
        return self.powers[variables[0]] if len(variables) == 1 else 0
