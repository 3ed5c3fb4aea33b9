"""What the tests of proven digits share: fits, proofs, and decimals as exact numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
from cases import Array, at
from flint import arb, arb_mat, ctx
from proven import (
    PROVABLE,
    Point,
    instance,
    solved,
)

from amtl_cvx.digits import ProvenPoint, prove
from amtl_cvx.digits.proof import free_atoms
from amtl_cvx.digits.system import unknowns
from amtl_cvx.transfer import TransferPenalty

every_loss = pytest.mark.parametrize("seed", range(3), ids=PROVABLE[:3])
"""Instances 0, 1, 2 have the squared, the logistic and the squared hinge loss."""


def largest(rows: list[list[Any]]) -> Any:
    return max(abs(value) for row in rows for value in row)


def proven(seed: int, **options: Any) -> tuple[Point, ProvenPoint]:
    point = fitted(seed)
    return point, prove(*point, **options)


@functools.cache
def fitted(seed: int) -> Point:
    tasks, model = instance(seed)
    found = solved(tasks, model)
    return Point(tasks, model, found.W, found.B)


@dataclass(frozen=True, kw_only=True)
class Affine(TransferPenalty):
    """``sum_s (flat + mu l_s) sum_t B[s, t]``: prices with a constant part, or crossed between tasks."""

    name = "affine"
    mu: float
    flat: float
    crossed: bool = False

    def expression(self, B: Any, losses: Any) -> Any:
        raise NotImplementedError

    def value(self, B: Array, losses: Array) -> float:
        return float(self.prices(losses) @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        raise NotImplementedError

    def prices(self, losses: Array) -> Array:
        return self.flat + self.mu * (losses[::-1] if self.crossed else losses)


def check_jacobian(kind: Any, seed: int) -> None:
    """Central differences of `gradient`, and of the multipliers' and B's own derivatives through it."""
    tasks, model, W, B = fitted(seed)
    point = at(tasks, model, W, B)
    with ctx.workdps(120):
        found = kind(tasks, model, free_atoms(point))
        x = unknowns(W, point.coefficients, free_atoms(point))
        J, h, n = found.jacobian(x), arb(10) ** -40, x.nrows()
        wide = found.jacobian(x + arb_mat(n, 1, [arb(0, 1e-20)] * n))
        for j in range(n):
            e = arb_mat(n, 1, [h if i == j else 0 for i in range(n)])
            slope = (found.gradient(x + e) - found.gradient(x - e)) / (2 * h)
            for i in range(n):
                assert abs(slope[i, 0] - J[i, j]) < arb(10) ** -60 and wide[i, j].contains(J[i, j])
