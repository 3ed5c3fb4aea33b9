"""What the tests of a shared dictionary share: drawn problems, and J by loops over its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx.dictionary import DictionaryModel, DictionaryPoint, DictionaryProblem
from amtl_cvx.tasks import TaskSet

LOSSES = ("squared", "logistic", "huber:0.5", "squared-hinge")


def drawn_tasks(loss: str = "squared", *, T: int = 5, d: int = 6, n: int = 14, seed: int = 0) -> TaskSet:
    """Tasks whose predictors are codes of two entries over three directions, and noise."""
    rng = np.random.default_rng(seed)
    D = np.linalg.qr(rng.normal(size=(d, 3)))[0]
    X = [rng.normal(size=(n + t, d)) for t in range(T)]
    G = np.array([np.roll([2.0, 1.0, 0.0], t) * rng.choice([-1.0, 1.0], 3) for t in range(T)]).T
    y = [x @ D @ G[:, t] + 0.5 * rng.normal(size=len(x)) for t, x in enumerate(X)]
    if loss in ("logistic", "squared-hinge"):
        y = [np.where(part > np.median(part), 1.0, -1.0) for part in y]
    return TaskSet.from_arrays(X, y)


def drawn_problem(
    loss: str = "squared", *, features: int = 3, radius: float = 1.5, **drawn: Any
) -> DictionaryProblem:
    """A problem on drawn tasks."""
    return DictionaryProblem(
        drawn_tasks(loss, **drawn), DictionaryModel(features=features, radius=radius, loss=loss)
    )


def drawn_point(problem: DictionaryProblem, seed: int = 0) -> DictionaryPoint:
    """A point in the balls, some columns and codes on their borders, zeros among the codes."""
    rng = np.random.default_rng(seed)
    D = rng.normal(size=problem.shapes["D"])
    D /= np.linalg.norm(D, axis=0) * np.r_[1.0, 1.0 + rng.random(D.shape[1] - 1)]
    G = rng.normal(size=problem.shapes["G"]) * (rng.random(problem.shapes["G"]) < 0.7)
    G[0] += 0.1
    G *= problem.model.radius / np.abs(G).sum(axis=0) / np.r_[1.0, 1.0 + rng.random(G.shape[1] - 1)]
    return problem.at(D=D, G=G)


def objective(problem: DictionaryProblem, D: np.ndarray, G: np.ndarray) -> float:
    """J, row by row."""
    name, _, parameter = problem.model.loss.label.partition(":")
    total = 0.0
    for t, task in enumerate(problem.tasks):
        w = sum(D[:, k] * G[k, t] for k in range(len(G)))
        for x, y in zip(task.X, task.y, strict=True):
            z = float(x @ w)
            r = abs(z - y)
            total += {
                "squared": lambda r=r: r**2,
                "logistic": lambda z=z, y=y: np.logaddexp(0.0, -y * z),
                "squared-hinge": lambda z=z, y=y: max(0.0, 1.0 - y * z) ** 2,
                "huber": lambda r=r: (
                    r**2 if r <= float(parameter) else float(parameter) * (2 * r - float(parameter))
                ),
            }[name]() / len(task.y)
    return float(total)
