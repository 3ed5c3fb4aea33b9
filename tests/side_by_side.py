"""What the tests of parallel work share: executors that a test steers, and a grid of fits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import cases
import numpy as np

from amtl_cvx.experiment import Job
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.transfer import LossWeightedL1


class Counter(Executor):
    """An executor whose futures are set by the test."""

    def __init__(self, *ends: Callable[[Future[Any]], Any]) -> None:
        self.ends, self.futures = list(ends), []
        self.work: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        self.work.append(args[0].__name__)
        if self.ends:
            self.ends.pop(0)(future)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def make_model(**changes: Any) -> Model:
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.2), coupling=0.7)
    return replace(model, **changes)


def grid(rng: np.random.Generator) -> list[Job]:
    """Fits of several models, methods and data sets."""
    tasks, labels = cases.random_tasks(rng), cases.random_tasks(rng, loss="logistic")
    jobs = [Job(tasks=tasks, model=make_model(coupling=coupling)) for coupling in (0.1, 0.7, 5.0)]
    jobs += [Job(tasks=tasks, model=make_model(), method=method) for method in ("curriculum", "stl")]
    return [*jobs, Job(tasks=labels, model=make_model(loss=Logistic()))]


def assert_same(found: list[Solution], expected: list[Solution]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.W, other.W)
        np.testing.assert_array_equal(one.B, other.B)
        assert (one.method, one.model, one.status) == (other.method, other.model, other.status)
        assert one.certificate == other.certificate
