"""Verdicts do not depend on units: points of the oracle pass at every scale, and wrong ones are refused.

`multiprecision` finds first-order points in 90 digits; rounded to doubles they are the truth here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from cases import Array
from multiprecision import Oracle, Problem

from amtl_cvx.certificate import Certificate, certify, residuals, second_order
from amtl_cvx.coordinator import Options
from amtl_cvx.methods import fit

LOSSES = ("squared", "huber:0.5", "logistic", "squared-hinge", "poisson")
COUPLING = {"logistic": 0.02, "squared-hinge": 0.1}
NEAR, FAR = (1e-4, 1e-2, 1e2, 1e4), (1e-10, 1e-7, 1e7, 1e10)
"""Factors of one unit: at the near ones every good point must pass, at all of them every wrong one is refused."""


def base(loss: str, *, noise: float = 0.5) -> Problem:
    """Three related tasks of two features, with edges."""
    rng = np.random.default_rng(0)
    w, counts = rng.normal(size=2), (5, 7, 6)
    X = tuple(rng.normal(size=(n, 2)) for n in counts)
    z = [x @ (w + 0.4 * rng.normal(size=2)) for x in X]
    if loss == "poisson":
        y = tuple(rng.poisson(np.exp(v)).astype(float) for v in z)
    elif loss in ("logistic", "squared-hinge"):
        signs = [np.where(v + noise * rng.normal(size=len(v)) > 0, 1.0, -1.0) for v in z]
        y = tuple(np.r_[1.0, -1.0, v[2:]] for v in signs)
    else:
        y = tuple(v + noise * rng.normal(size=len(v)) for v in z)
    return Problem(X=X, y=y, loss=loss, mu=0.1, coupling=COUPLING.get(loss, 0.3), c=(1.0, 0.5, 2.0))


def in_other_units(loss: str, factor: float) -> Iterator[Problem]:
    """One task's targets, one feature of all tasks, one feature of one task."""
    if loss in ("squared", "huber:0.5"):
        yield base(loss).targets(factor, 1)
    yield base(loss).feature(factor, 1)
    yield base(loss).feature(factor, 0, 2)


@cache
def truth(problem_of: tuple[str, float, int]) -> tuple[Problem, Array, Array]:
    loss, factor, k = problem_of
    problem = list(in_other_units(loss, factor))[k]
    return problem, *Oracle(problem).first_order_point()


def judged(problem: Problem, W: Array, B: Array) -> Certificate:
    return certify(problem.tasks(), problem.model(), W, B)


def wrong(W: Array, B: Array) -> Iterator[tuple[Array, Array]]:
    """One sign flipped, or one edge removed."""
    for entry in np.ndindex(W.shape):
        V = W.copy()
        V[entry] *= -1.0
        yield V, B
    for entry in zip(*np.nonzero(B), strict=True):
        C = B.copy()
        C[entry] = 0.0
        yield W, C


def check(loss: str, factor: float) -> None:
    for k in range(len(list(in_other_units(loss, factor)))):
        problem, W, B = truth((loss, factor, k))
        found = judged(problem, W, B)
        assert found.passes and found.relative < 1e-11, (factor, k, found)
        for point in wrong(W, B):
            refused = judged(problem, *point)
            assert not refused.passes and refused.relative > 1e-6, (factor, k, refused)


@pytest.mark.parametrize("factor", (1e-10, 1e4))
@pytest.mark.parametrize("loss", LOSSES)
def test_the_oracle_passes_and_flips_do_not(loss: str, factor: float) -> None:
    check(loss, factor)


@pytest.mark.slow
@pytest.mark.parametrize("factor", sorted({*NEAR, *FAR} - {1e-10, 1e4}))
@pytest.mark.parametrize("loss", LOSSES)
def test_the_oracle_passes_and_flips_do_not_at_every_scale(loss: str, factor: float) -> None:
    if (loss, factor) != ("poisson", 1e7):
        check(loss, factor)
