"""Instances for the whole suite: one per loss, method and task-weight choice, and small task sets.

A new loss or method needs one line here (a penalty one in `penalty_cases`) and gets its battery for free;
`missing` tells a test which entry of a registry has no line. Every number is drawn from a seeded generator
and none is expected output.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import TransferPenalty, project_transfer

Array = NDArray[np.float64]


def at(tasks: TaskSet, model: Model, W: Any, B: Any) -> Point:
    """The problem of `model` on `tasks` at W, B."""
    return Problem(tasks, model).at(W, B)


@dataclass(frozen=True, kw_only=True)
class SourceGroupL2(TransferPenalty):
    r"""``mu * sum_s ||B[s, :]||_2``: a task teaches several others or none. The example of STYLE.md."""

    name = "my-group"
    mu: float

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * cp.sum(cp.norm(B, 2, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(np.linalg.norm(B, axis=1).sum())

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        P = project_transfer(V)  # the norm grows with each |entry|, so projecting first is exact
        size = np.linalg.norm(P, axis=1, keepdims=True)
        kept = np.maximum(size - step * self.mu, 0.0)
        return P * np.divide(kept, size, out=np.zeros_like(size), where=size > 0)

    def conjugate(self, S: Array, losses: Array) -> float:
        return 0.0 if (np.linalg.norm(project_transfer(S), axis=1) <= self.mu).all() else np.inf


LOSS_CASES: tuple[Loss, ...] = (
    Squared(),
    Squared(reduction="sum"),
    Logistic(),
    Logistic(reduction="sum"),
    SquaredHinge(),
    SquaredHinge(reduction="sum"),
    Huber(threshold=0.8),
    Huber(threshold=0.8, reduction="sum"),
    Poisson(),
    Poisson(reduction="sum"),
)
"""Every smooth loss, both reductions."""
NONSMOOTH_CASES: tuple[Loss, ...] = (
    Hinge(),
    Hinge(reduction="sum"),
    Quantile(tau=0.7),
    Quantile(tau=0.7, reduction="sum"),
)
"""Losses without a gradient: their W-step is a CVXPY problem, and a gap judges it."""
WEIGHT_CASES: tuple[str | tuple[float, ...], ...] = ("equal", "inverse-sqrt", (0.5, 2.0, 1.0, 0.25))
METHOD_CASES: tuple[str, ...] = ("alternating", "curriculum", "curriculum-simple", "stl")

TOLERANCE: Mapping[str, float] = {"CLARABEL": 1e-6, "OSQP": 1e-6, "SCS": 2e-4}
"""How far a solver's own W or B may be from another solver's, relative to the largest entry."""


def loss_id(loss: Loss) -> str:
    return f"{loss.name}-{loss.reduction}"


def literal_row(loss: Loss, z: float, y: float) -> float:
    """phi(z; y) of one row as the formula is printed, written apart from the losses."""
    sign, r = 1.0 if y > 0 else -1.0, z - y
    if isinstance(loss, Squared):
        return r**2
    if isinstance(loss, Huber):
        K = loss.threshold
        return r**2 if abs(r) <= K else 2.0 * K * abs(r) - K**2
    if isinstance(loss, Quantile):
        return -loss.tau * r if r <= 0 else (1.0 - loss.tau) * r
    if isinstance(loss, Poisson):
        return math.exp(z) - y * z + (y * math.log(y) - y if y > 0 else 0.0)
    if isinstance(loss, Logistic):
        return math.log(1.0 + math.exp(-sign * z))
    if isinstance(loss, SquaredHinge):
        return max(0.0, 1.0 - sign * z) ** 2
    if isinstance(loss, Hinge):
        return max(0.0, 1.0 - sign * z)
    raise NotImplementedError(f"write phi of {loss.name} here")


def weight_id(weights: str | tuple[float, ...]) -> str:
    return weights if isinstance(weights, str) else "numbers"


def missing(registry: Iterable[str], cases: Iterable[Any]) -> set[str]:
    """Names of a registry without a case (a case is a name or has one)."""
    return set(registry) - {case if isinstance(case, str) else case.name for case in cases}


def random_tasks(
    rng: np.random.Generator,
    *,
    loss: str = "squared",
    d: int = 6,
    counts: Sequence[int] | NDArray[np.int64] = (9, 14, 20, 8),
    scale: float = 1.0,
) -> TaskSet:
    """Related tasks: parameters of rank two plus a little of their own, and unequal noise."""
    T = len(counts)
    W = rng.normal(size=(d, 2)) @ rng.normal(size=(2, T)) + 0.3 * rng.normal(size=(d, T))
    X = [rng.normal(size=(int(n), d)) for n in counts]
    noise = rng.uniform(0.1, 1.5, size=T)
    y = [Xt @ w + s * rng.normal(size=len(Xt)) for Xt, w, s in zip(X, W.T, noise, strict=True)]
    if loss in ("squared", "huber", "quantile"):
        return TaskSet.from_arrays(X, [scale * yt for yt in y])
    if loss == "poisson":
        means = [np.exp(0.4 * yt) for yt in y]
        return TaskSet.from_arrays(X, [rng.poisson(mean).astype(float) for mean in means])
    signs = [np.where(yt / np.std(yt) + rng.logistic(size=len(yt)) > 0, 1.0, -1.0) for yt in y]
    labels = [np.concatenate([[1.0, -1.0], sign[2:]]) for sign in signs]
    return TaskSet.from_arrays(X, labels)


def narrow_tasks() -> TaskSet:
    """Four tasks in four features, each sees one or two: J falls for ever as predictors grow elsewhere."""
    rng = np.random.default_rng(4)
    base, X, y = rng.normal(size=4), [], []
    for _ in range(4):
        seen = rng.integers(1, 3)
        rows = np.eye(4)[rng.permutation(4)[:seen]]
        X.append(rng.normal(size=(20, seen)) @ rows)
        y.append(X[-1] @ (base + 0.5 * rng.normal(size=4)) + 0.7 * rng.normal(size=20))
    return TaskSet.from_arrays(X, y)


def tasks_for(loss: Loss, rng: np.random.Generator, **shape: Any) -> TaskSet:
    """Random tasks that suit the loss."""
    return random_tasks(rng, loss=loss.name, **shape)


def random_transfer(rng: np.random.Generator, T: int, size: float = 0.4) -> Array:
    """A feasible B with about half of its entries positive."""
    B = size * rng.random((T, T)) * (rng.random((T, T)) < 0.6)
    np.fill_diagonal(B, 0.0)
    return B


def ridge(tasks: TaskSet, model: Model) -> Array:
    """Single-task W of the squared loss: (c_t s_t X'X + coupling I) w = c_t s_t X'y, s_t = 1/n_t or 1."""
    columns = []
    for task, c in zip(tasks, task_weights(tasks, model), strict=True):
        s = c / len(task.y) if model.loss.reduction == "mean" else c
        A = s * task.X.T @ task.X + model.coupling * np.eye(tasks.d)
        columns.append(np.linalg.solve(A, s * task.X.T @ task.y))
    return np.column_stack(columns)


def task_weights(tasks: TaskSet, model: Model) -> Array:
    """c_t, written apart from `Model.task_weight`."""
    if isinstance(model.task_weights, tuple):
        return np.array(model.task_weights)
    return np.array([1.0 if model.task_weights == "equal" else len(task.y) ** -0.5 for task in tasks])


def single_task_W(tasks: TaskSet, model: Model) -> Array:
    """W of B = 0 by scipy: the minimum of every c_t L_t(w) + coupling ||w||^2."""
    from scipy.optimize import minimize

    columns = []
    for task, c in zip(tasks, task_weights(tasks, model), strict=True):

        def f(w: Array, task: Any = task, c: float = c) -> float:
            return c * model.loss.value(task, w) + model.coupling * float(w @ w)

        def g(w: Array, task: Any = task, c: float = c) -> Array:
            return c * model.loss.gradient(task, w) + 2.0 * model.coupling * w

        def h(w: Array, task: Any = task, c: float = c) -> Array:
            return c * model.loss.hessian(task, w) + 2.0 * model.coupling * np.eye(len(w))

        w = minimize(f, np.zeros(tasks.d), jac=g, hess=h, method="trust-exact", options={"gtol": 1e-6}).x
        for _ in range(3):
            w = w - np.linalg.solve(h(w), g(w))
        columns.append(w)
    return np.column_stack(columns)


def mu_max(tasks: TaskSet, model: Model) -> float:
    """SPEC section 3: from this mu on the alternation from B = 0 stays empty (0 if it always does)."""
    W = single_task_W(tasks, model)
    c = task_weights(tasks, model)
    found = [0.0]
    for j in range(tasks.T):
        price = c[j] * model.loss.value(tasks[j], W[:, j])
        found += [2.0 * model.coupling * W[:, j] @ W[:, t] / price for t in range(tasks.T) if t != j]
    return float(max(found))


def central_gradient(f: Any, x: Array, step: float = 1e-5) -> Array:
    """Gradient of a scalar function by central differences of fourth order, any shape of x."""
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        result[index] = (8.0 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12.0 * step)
    return result
