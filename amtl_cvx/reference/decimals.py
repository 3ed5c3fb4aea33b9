"""Decimals as texts: those of digits.json and pack.json, looked at before anything is made of them.

A few characters can ask for more digits than any memory holds (`1e99999999` as a fraction), so that only
decimals of lengths and exponents that doubles have are taken.
"""

from __future__ import annotations

import re
from fractions import Fraction

NAMES = ("W", "B", "w", "L", "S", "A")
"""Blocks that digits.json may hold."""
_DECIMAL = re.compile(r"-?\d{1,400}(\.\d{1,400})?(e[-+]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def is_decimal(text: object) -> bool:
    """Whether this is such a decimal."""
    return isinstance(text, str) and _DECIMAL.fullmatch(text) is not None


def are_decimals(rows: object, depth: int = 2) -> bool:
    """Whether these are such decimals, in rows of rows at most."""
    if isinstance(rows, list) and depth:
        return all(are_decimals(part, depth - 1) for part in rows)
    return is_decimal(rows)


def fraction_of(decimal: object) -> Fraction:
    """A decimal as the rational that it is; `ValueError` for what is none."""
    if not isinstance(decimal, str) or not is_decimal(decimal):
        raise ValueError(f"expected a decimal, got {str(decimal)[:40]!r}")
    return Fraction(decimal)
