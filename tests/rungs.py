"""What the tests of the ladder share: a problem of two tasks, and rungs that answer as they are told."""

from __future__ import annotations

import functools
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cases import Array, random_tasks

import amtl_cvx.digits
import amtl_cvx.enclosure
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import Certificate
from amtl_cvx.certificate import certify as certify_first_order
from amtl_cvx.ladder import Climb, climb
from amtl_cvx.losses import Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

Case = tuple[TaskSet, Model, Array, Array]


@functools.cache
def small_problem() -> Case:
    """A first-order point of two tasks with an edge."""
    tasks = random_tasks(np.random.default_rng(0), d=2, counts=(9, 12))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    assert (found.B > 0).any() and found.certificate.passes
    return tasks, model, found.W, found.B


def first_order(problem: Case) -> Certificate:
    tasks, model, W, B = problem
    return certify_first_order(Problem(tasks, model).at(W, B))


def climbed(problem: Case, level: str = "C5", **options: Any) -> Climb:
    return climb(first_order(problem), *problem, level=level, **options)


def proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for C4: every point is proved to 50 digits."""
    proven = SimpleNamespace(
        radius=1e-50, distance=1e-16, isolation=1e-3, room=1e-3, strict_local_min=True, objective="1"
    )
    monkeypatch.setattr(amtl_cvx.digits, "prove", lambda *_, **__: proven)


def enclosing(
    monkeypatch: pytest.MonkeyPatch, lower: Fraction, upper: Fraction, at: Fraction | None = None
) -> None:
    """Stands in for C5: an exact enclosure, and J at the point, which is the upper end unless given."""
    found = SimpleNamespace(
        lower=lower,
        upper=upper,
        at=upper if at is None else at,
        width=float((upper - lower) / upper),
        method="exact",
        stopped="",
        proof={"format": "test"},
    )
    monkeypatch.setattr(amtl_cvx.enclosure, "enclose", lambda *_, **__: found)
