"""Problems and points that the checks share, found once; how they compare numbers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import literal
import numpy as np
from cases import (
    LOSS_CASES,
    NONSMOOTH_CASES,
    Array,
    random_transfer,
    tasks_for,
)

from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Loss
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

LOSSES = (*LOSS_CASES, *NONSMOOTH_CASES)
NUMBERS = (0.5, 2.0, 1.25)


class Point(NamedTuple):
    """A problem and a point of it."""

    tasks: TaskSet
    model: Model
    W: Array
    B: Array


def amtl(loss: Loss, *, mu: float = 0.3, coupling: float = 0.7, c: Any = NUMBERS) -> Model:
    return Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling, task_weights=c)


@functools.cache
def anywhere() -> tuple[Point, ...]:
    """Points far from stationary: every loss, equal and unequal numbers of rows, three kinds of c_t."""
    rng, found = np.random.default_rng(1), []
    for k, loss in enumerate(LOSSES):
        for counts in ((5, 8, 6), (6, 6, 6)):
            tasks = tasks_for(loss, rng, d=3, counts=counts)
            c: Any = ("equal", "inverse-sqrt", NUMBERS)[(k + counts[0]) % 3]
            W = rng.normal(size=(3, 3)) * 0.7
            found.append(Point(tasks, amtl(loss, c=c), W, random_transfer(rng, 3)))
    return tuple(found)


def smooth() -> Iterator[Point]:
    return (point for point in anywhere() if point.model.loss.smooth)


@functools.cache
def solved() -> tuple[Point, ...]:
    """First-order points with edges and with absent edges, of every smooth loss."""
    found = []
    for loss in LOSS_CASES:
        rng = np.random.default_rng(11)
        tasks = tasks_for(loss, rng, d=3, counts=(15, 12, 18))
        whole = loss.reduction == "sum"
        model = amtl(loss, mu=0.01 if whole else 0.05, coupling=1.0 if whole else 0.1)
        W, B = fitted(tasks, model)
        assert 0 < (B > 0).sum() < 6
        found.append(Point(tasks, model, W, B))
    return tuple(found)


def fitted(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """A first-order point by the fit, as the literal residual judges it."""
    found = fit(tasks, model, options=Options(engine="fast", tol=1e-10))
    assert literal.residual(tasks, model, found.W, found.B).relative < 1e-10
    return found.W, found.B


def close(found: Any, expected: Any, rel: float, floor: float = 0.0) -> bool:
    """Whether two numbers or arrays agree to `rel` of the largest expected entry (or to `floor`)."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    return bool(np.all(np.abs(found - expected) <= rel * np.abs(expected).max() + floor))


def refused(call: Any) -> None:
    """The call must end in a refusal."""
    try:
        call()
    except NotCertifiable:
        return
    raise AssertionError("not refused")
