"""A mistake in numbers: what is changed in J, in which of its parts, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.formula import Formula


class Point(NamedTuple):
    """W (d, T) and B (T, T)."""

    W: Array
    B: Array


Change = Callable[[Formula], Formula]
"""Another way to compute J; the very formula it was given where the mistake cannot be made."""
Reading = Callable[[Formula, Point], Point]
"""W and B as the mistake has them, of the point that a back end was given or has answered."""

EVERYWHERE = ("vWB", "WB", "vW", "W", "B", "v")
"""In which parts it may be made: v the value of J, W the gradient and step in W, B those in B."""


def unchanged(formula: Formula) -> Formula:
    """The right formula."""
    return formula


def as_given(formula: Formula, point: Point) -> Point:
    """The point as it stands."""
    return point


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """One way to make a mistake.

    Attributes
    ----------
    name : str
        The mistake, one of `MISTAKES`.
    words : str
        What follows "the one with": ``"incoming weights"``.
    change : Change
    sides : tuple of str
        The parts of a method in which it is made together; see `EVERYWHERE`.
    origin : {"any", "value", "gradient"}
        "value": J itself is another, so a right J rules it out; "gradient": only its derivative is wrong.
    read : Reading
    """

    name: str
    words: str
    change: Change = unchanged
    sides: tuple[str, ...] = EVERYWHERE
    origin: str = "any"
    read: Reading = as_given
