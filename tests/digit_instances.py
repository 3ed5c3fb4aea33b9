"""What the tests of digits for losses share: an instance of every loss, fitted and proved."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
from proven import (
    Point,
    other_instance,
    solved,
)

from amtl_cvx.digits import ProvenPoint, prove

INSTANCES = (
    ("huber:0.8", 3),
    ("poisson", 2),
    ("hinge", 0),
    ("hinge", 2),
    ("quantile:0.7", 2),
    ("quantile:0.7", 5),
)


KINKED = INSTANCES[2:]


@functools.cache
def fitted(label: str, seed: int) -> Point:
    tasks, model = other_instance(label, seed)
    found = solved(tasks, model)
    assert found.certificate.passes
    return Point(tasks, model, found.W, found.B)


@functools.cache
def proven(label: str, seed: int, digits: int = 100) -> ProvenPoint:
    return prove(*fitted(label, seed), digits=digits)


def numbers(rows: tuple[tuple[str, ...], ...]) -> list[list[Any]]:
    return [[mpmath.mpf(text) for text in row] for row in rows]
