"""A pair of tasks whose Hessian is known in closed form, and fits of random tasks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from cases import (
    Array,
    tasks_for,
)

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import SecondOrder, certify, second_order
from amtl_cvx.losses import Loss, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


class Symmetric(NamedTuple):
    """Two tasks with one feature and the same data: a first-order point with B[0, 1] = B[1, 0] = b.

    L(w) = s (w - a)^2 + m for both. Given w = coupling = 1, mu, b and s, the conditions
    mu L = 2 (1 - b) and (1 + mu b) L' = -2 (1 - b)^2 give a and m. In (w_0, w_1, B_01, B_10) the Hessian
    splits into a symmetric and an antisymmetric part, two by two each:

        [(1 + mu b) 2 s + 2 (1 - b)^2,  mu L' - 4 (1 - b)]     [(1 + mu b) 2 s + 2 (1 + b)^2,  mu L' + 4 b]
        [.                              2               ]     [.                              2          ]
    """

    tasks: TaskSet
    model: Model
    W: Array
    B: Array
    hessians: tuple[Array, Array]

    @classmethod
    def build(cls, mu: float, b: float, s: float) -> Symmetric:
        loss, slope = 2.0 * (1.0 - b) / mu, -2.0 * (1.0 - b) ** 2 / (1.0 + mu * b)
        a = 1.0 - slope / (2.0 * s)
        m = loss - s * (1.0 - a) ** 2
        assert m >= 0.0
        x = np.sqrt(s)
        X, y = np.array([[x], [x]]), np.array([x * a + np.sqrt(m), x * a - np.sqrt(m)])
        weight = (1.0 + mu * b) * 2.0 * s
        parts = ((2.0 * (1.0 - b) ** 2, -4.0 * (1.0 - b)), (2.0 * (1.0 + b) ** 2, 4.0 * b))
        hessians = tuple(
            np.array([[weight + square, mu * slope + cross], [mu * slope + cross, 2.0]])
            for square, cross in parts
        )
        return cls(
            TaskSet.from_arrays([X, X], [y, y]),
            Model(loss=Squared(), transfer=LossWeightedL1(mu=mu), coupling=1.0),
            np.ones((1, 2)),
            np.array([[0.0, b], [b, 0.0]]),
            (hessians[0], hessians[1]),
        )

    def judged(self) -> SecondOrder:
        assert certify(Problem(self.tasks, self.model).at(self.W, self.B), tol=1e-12).passes
        return second_order(Problem(self.tasks, self.model).at(self.W, self.B))


MINIMUM, SADDLE = Symmetric.build(0.3, 0.5, 1.0), Symmetric.build(3.0, 0.1, 0.7)


def flat(mu: float, b: float) -> float:
    """The s at which the symmetric part of the Hessian becomes singular."""
    cross = -2.0 * mu * (1.0 - b) ** 2 / (1.0 + mu * b) - 4.0 * (1.0 - b)
    return (cross**2 / 2.0 - 2.0 * (1.0 - b) ** 2) / (2.0 * (1.0 + mu * b))


def solved(
    seed: int, loss: Loss, *, mu: float = 0.1, d: int = 3, T: int = 3
) -> tuple[TaskSet, Model, Array, Array]:
    """A first-order point to rounding, by the fit."""
    tasks = tasks_for(loss, np.random.default_rng(seed), d=d, counts=[9 + 2 * t for t in range(T)])
    model = Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    return tasks, model, found.W, found.B
