"""A failed check as the search for its cause sees it, and what the search finds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.reference.judge.causes.formula import Formula
from amtl_cvx.reference.judge.causes.question import Question
from amtl_cvx.reference.judge.causes.variation import Point, Variation
from amtl_cvx.reference.judge.causes.varied import plain, variations

CLEAR = 30.0
"""How many times nearer an answer is to the mistaken one than to the right one before it is told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """A mistake, or two at once, that gives the answer.

    Attributes
    ----------
    name : str
    words : str
        A whole sentence.
    varied : tuple of Variation
        What it was recomputed with, if so.
    loose : bool
        Told only where nothing else is: a likeness, no equality.
    value : ndarray, optional
        What it gives in the place of the answer.
    """

    name: str
    words: str
    varied: tuple[Variation, ...] = ()
    loose: bool = False
    value: Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """What is known of a failure.

    Attributes
    ----------
    question : Question
    quantity : str
        As in `Failure`.
    answer : mapping of name to ndarray
    limit : ndarray or float
        The check's tolerance.
    single : bool
        Whether the back end computes in float32.
    """

    question: Question
    quantity: str
    answer: Mapping[str, Array]
    limit: Array | float
    single: bool

    @property
    def right(self) -> Formula:
        return self.question.right

    @property
    def start(self) -> Point:
        return self.question.start

    @cached_property
    def varied(self) -> tuple[Variation, ...]:
        """The variations that change something here."""
        return variations(self.question)

    @cached_property
    def plain(self) -> tuple[Variation, ...]:
        """Those that are tried two at once."""
        return plain(self.question)

    @property
    def small(self) -> float:
        """A ratio of residuals that counts as 0, for an answer out of an iteration."""
        return 2e-3 if self.single else 1e-6

    def vanishes(self, mistaken: float, right: float, *, nearly: bool = False) -> bool:
        """Whether the mistaken residual is 0 where the right one clearly is not; or nearly so."""
        if nearly:  # of a method that is slow to end where it ends by mistake
            return mistaken <= 1e-4 and right > 0.0 and mistaken * 1e3 <= right
        return mistaken <= self.small and right > 0.0 and mistaken * CLEAR <= right

    def same(self, mistaken: float, right: float, tolerance: float) -> bool:
        """Whether a value is the mistaken one, and clearly not the right one."""
        return mistaken <= tolerance and right > 0.0 and mistaken * CLEAR <= right


def orders(count: int) -> Iterator[Indices]:
    """Orders of tasks or features: all of up to five, else turns, the reverse, swaps, and as text sorts."""
    if count <= 1:
        return
    identity = np.arange(count)
    if count <= 5:
        for order in itertools.permutations(range(count)):
            if order != tuple(range(count)):
                yield np.array(order)
        return
    yield identity[::-1].copy()
    yield np.roll(identity, 1)
    yield np.roll(identity, -1)
    if count > 10:
        as_text = np.array(sorted(range(count), key=str))
        yield as_text
        yield np.argsort(as_text)
    for i in range(min(count, 40) - 1):
        swapped = identity.copy()
        swapped[[i, i + 1]] = swapped[[i + 1, i]]
        yield swapped
    swapped = identity.copy()
    swapped[[0, -1]] = swapped[[-1, 0]]
    yield swapped


def told(order: Indices) -> str:
    """The order in words."""
    listed = order.tolist()
    return f"[{', '.join(map(str, listed[:12]))}{', ...' if len(listed) > 12 else ''}]"
