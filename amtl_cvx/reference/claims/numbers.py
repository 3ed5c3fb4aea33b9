"""Decimals of an answer: how many of its digits are known, and J in 40 of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.reference.decimals import NAMES

MOST, DOUBLES = 40, 15
"""Digits that are kept, and those that every double has."""


def proven_digits(digits: Mapping[str, Any]) -> int:
    """How many digits of every entry are known, relative to the largest entry of its block, 40 at most.

    A decimal is right in every digit shown; a block of zeros counts as known.
    """
    return min((_of_block(digits[name]) for name in NAMES if digits.get(name)), default=0)


def significant(decimal: str) -> int:
    """How many significant digits a decimal shows, 40 at most."""
    found = Decimal(decimal)
    return MOST if found == 0 else min(MOST, len(found.as_tuple().digits))


def shared(blocks: Mapping[str, Array], others: Mapping[str, Any]) -> int:
    """How many digits two answers share, relative to the largest entry of each block, 40 at most.

    Entries are doubles or decimals, and are compared as the rationals that they are.
    """
    return min((_shared(block, others[name]) for name, block in blocks.items()), default=0)


def digits_between(one: Fraction, other: Fraction, size: Fraction) -> int:
    """How many digits of `size` two numbers share, 0 to 40."""
    away = abs(one - other)
    if not away:
        return MOST
    if not size:
        return 0
    return max(0, min(MOST, math.floor(-_log10(away / size))))


def double_of(decimal: str) -> float:
    """The double nearest to a decimal."""
    return float(Fraction(decimal))


def exact_decimal(value: float) -> str:
    """A double to 40 digits."""
    with localcontext() as context:
        context.prec = MOST
        return str(+Decimal(value))


def _of_block(rows: Any) -> int:
    entries = list(flat(rows))
    largest = max((abs(Decimal(entry)) for entry in entries), default=Decimal(0))
    if not largest:
        return MOST
    return min(_places(entry, largest) for entry in entries)


def _places(entry: str, largest: Decimal) -> int:
    """The digits of the largest entry down to the last place of this one."""
    if entry == "0":
        return MOST
    last = Decimal(entry).as_tuple().exponent
    assert isinstance(last, int)
    return min(MOST, largest.adjusted() - last + 1)


def flat(rows: Any) -> Iterator[str]:
    """The entries of nested rows of decimals."""
    if isinstance(rows, str):
        yield rows
    else:
        for row in rows:
            yield from flat(row)


def _shared(block: Any, other: Any) -> int:
    mine, theirs = (list(map(Fraction, _entries(each))) for each in (block, other))
    if len(mine) != len(theirs):
        return 0
    size = max((abs(each) for each in mine), default=Fraction(0))
    most = DOUBLES + 1 if hasattr(block, "ravel") or hasattr(other, "ravel") else MOST
    return min([most, *(digits_between(a, b, size) for a, b in zip(mine, theirs, strict=True))])


def _entries(block: Any) -> Sequence[Any]:
    return block.ravel().tolist() if hasattr(block, "ravel") else list(flat(block))


def _log10(value: Fraction) -> float:
    exponent = len(str(value.numerator)) - len(str(value.denominator))
    return exponent + math.log10(float(value / Fraction(10) ** exponent))


def shared_objective(mine: str | float, again: str | float) -> tuple[str | None, int]:
    """J to the digits that two derivations share, and how many; None where they share none."""
    one = Fraction(mine)
    count = min(digits_between(one, Fraction(again), abs(one)), *map(_most, (mine, again)))
    if not count:
        return None, 0
    with localcontext() as context:
        context.prec = count
        return str(+Decimal(again)), count


def _most(value: Any) -> int:
    """How many digits a number can have: a decimal 40, a double 15."""
    return MOST if isinstance(value, str) else DOUBLES
