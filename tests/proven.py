"""Instances for proofs, points degenerate on purpose, and J in mpmath, written apart from the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import mpmath
import numpy as np
from cases import Array, mu_max, random_tasks, tasks_for

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, fit
from amtl_cvx.losses import LOSSES, make_loss
from amtl_cvx.solution import Solution

PROVABLE = ("squared", "logistic", "squared-hinge", "huber", "poisson", "hinge", "quantile")
WEIGHTS: tuple[Any, ...] = ("equal", "inverse-sqrt", "numbers")


class Point(NamedTuple):
    """A problem and a point of it."""

    tasks: TaskSet
    model: Model
    W: Array
    B: Array


def instance(seed: int) -> tuple[TaskSet, Model]:
    """A random problem of at most 30 unknowns; loss, reduction and task weights go round with the seed."""
    rng = np.random.default_rng(seed)
    T, d = [(2, 3), (4, 5), (3, 5), (5, 4), (4, 4)][seed % 5]
    name = PROVABLE[seed % 3]  # the other losses: `other_instance`
    tasks = random_tasks(
        rng, loss="squared" if name == "squared" else "logistic", d=d, counts=rng.integers(8, 25, size=T)
    )
    weights = WEIGHTS[seed % 4 % 3]
    if weights == "numbers":
        weights = tuple(rng.uniform(0.5, 2.0, size=T))
    reduction = ("mean", "sum")[seed // 3 % 2]
    coupling = float(rng.uniform(0.2, 2.0)) if name == "squared" else 0.05
    bare = Model(
        loss=LOSSES[name](reduction=reduction),  # type: ignore[call-arg]
        transfer=LossWeightedL1(mu=1.0),
        coupling=coupling,
        task_weights=weights,
    )
    mu = float(rng.uniform(0.05, 0.4)) * mu_max(tasks, bare)
    return tasks, Model(
        loss=bare.loss, transfer=LossWeightedL1(mu=mu), coupling=coupling, task_weights=weights
    )


def other_instance(label: str, seed: int) -> tuple[TaskSet, Model]:
    """A random problem of at most 30 unknowns (rows on kinks apart) with any loss; mu a share of mu_max."""
    rng = np.random.default_rng([7, seed])
    T, d = [(2, 3), (4, 5), (3, 5), (5, 4), (4, 4)][seed % 5]
    loss = make_loss(label, reduction=("mean", "sum")[seed % 2])
    tasks = tasks_for(loss, rng, d=d, counts=rng.integers(8, 25, size=T))
    weights = ("equal", "inverse-sqrt", tuple(rng.uniform(0.5, 2.0, size=T)))[seed % 3]
    coupling = (0.05 if loss.classification else float(rng.uniform(0.2, 2.0))) / (1 if seed % 2 else 10)
    bare = Model(loss=loss, transfer=LossWeightedL1(mu=1e6), coupling=coupling, task_weights=weights)
    W = solved(tasks, bare).W
    pull, price = 2.0 * coupling * W.T @ W, bare.weighted_losses(tasks, W)
    largest = max(pull[s, t] / price[s] for s, t in np.ndindex(pull.shape) if s != t and price[s] > 1e-9)
    share = float(rng.uniform(0.05, 0.4))
    return tasks, replace(bare, transfer=LossWeightedL1(mu=share * max(float(largest), 1e-3)))


def wide_instance(label: str, seed: int) -> tuple[TaskSet, Model]:
    """The same with scales drawn too: coupling, mu, y, features; up to five tasks of up to five features."""
    rng = np.random.default_rng([8, seed])
    T, d = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    loss = make_loss(label, reduction=("mean", "sum")[seed % 2])
    tasks = tasks_for(loss, rng, d=d, counts=rng.integers(4, 21, size=T))
    sizes, unit = 10.0 ** rng.uniform(-1, 1, size=d), float(10.0 ** rng.uniform(-2, 2))
    targets = [task.y if loss.classification or loss.name == "poisson" else unit * task.y for task in tasks]
    tasks = TaskSet.from_arrays([sizes * task.X for task in tasks], targets)
    weights = ("equal", "inverse-sqrt", tuple(10.0 ** rng.uniform(-2, 2, size=T)))[seed % 3]
    return tasks, Model(
        loss=loss,
        transfer=LossWeightedL1(mu=float(10.0 ** rng.uniform(-4, 0.5))),
        coupling=float(10.0 ** rng.uniform(-3, 1)),
        task_weights=weights,
    )


def solved(tasks: TaskSet, model: Model) -> Solution:
    """The fit whose point is proved."""
    return fit(tasks, model, options=Options(tol=1e-10))


def exact_row(loss: Any, z: Any, target: float) -> Any:
    """phi(z; y) in mpmath."""
    mp = mpmath.mp
    sign, y = 1 if target > 0 else -1, mp.mpf(target)
    if loss.name == "squared":
        return (z - y) ** 2
    if loss.name == "logistic":
        return mp.log1p(mp.exp(-sign * z))
    if loss.name == "poisson":
        return mp.exp(z) - y * z + (y * mp.log(y) - y if y > 0 else 0)
    if loss.name == "huber":
        K = mp.mpf(loss.threshold)
        return (z - y) ** 2 if abs(z - y) <= K else 2 * K * abs(z - y) - K * K
    if loss.name == "quantile":
        return max(mp.mpf(loss.tau) * (y - z), (1 - mp.mpf(loss.tau)) * (z - y))
    return max(mp.mpf(0), 1 - sign * z) ** (1 if loss.name == "hinge" else 2)


def exact_objective(
    tasks: TaskSet, model: Model, W: Sequence[Sequence[Any]], B: Sequence[Sequence[Any]]
) -> Any:
    """J of SPEC section 2 in mpmath, by loops, at the precision of `mpmath.mp`; `transfer` is AMTL's."""
    mp = mpmath.mp
    T, d = tasks.T, tasks.d
    total = mp.mpf(0)
    for t, task in enumerate(tasks):
        loss = mp.mpf(0)
        for row, target in zip(task.X.tolist(), task.y.tolist(), strict=True):
            loss += exact_row(model.loss, sum(mp.mpf(x) * W[i][t] for i, x in enumerate(row)), target)
        loss = loss / len(task.y) if model.loss.reduction == "mean" else loss
        if isinstance(model.task_weights, tuple):
            loss *= mp.mpf(model.task_weights[t])
        elif model.task_weights == "inverse-sqrt":
            loss /= mp.sqrt(len(task.y))
        total += loss * (1 + mp.mpf(model.mu) * sum(B[t][u] for u in range(T) if u != t))
    for t in range(T):
        for i in range(d):
            miss = W[i][t] - sum(W[i][s] * B[s][t] for s in range(T) if s != t)
            total += mp.mpf(model.coupling) * miss**2
    return total


def exact_gradient(
    tasks: TaskSet, model: Model, W: Sequence[Sequence[Any]], B: Sequence[Sequence[Any]], step: Any
) -> tuple[list[list[Any]], list[list[Any]]]:
    """dJ/dW (d, T) and dJ/dB (T, T) off the diagonal by central differences of `exact_objective`."""

    def slope(block: list[list[Any]], i: int, j: int) -> Any:
        kept, values = block[i][j], []
        for sign in (1, -1):
            block[i][j] = kept + sign * step
            values.append(exact_objective(tasks, model, V, C))
        block[i][j] = kept
        return (values[0] - values[1]) / (2 * step)

    V, C = [list(row) for row in W], [list(row) for row in B]
    return (
        [[slope(V, i, t) for t in range(tasks.T)] for i in range(tasks.d)],
        [[slope(C, s, t) if s != t else mpmath.mpf(0) for t in range(tasks.T)] for s in range(tasks.T)],
    )


def _amtl(loss: str, mu: float, coupling: float) -> Model:
    return Model(
        loss=LOSSES[loss](reduction="sum"),  # type: ignore[call-arg]
        transfer=LossWeightedL1(mu=mu),
        coupling=coupling,
    )


def _zero_multiplier() -> Point:
    """X = I, coupling 1: w = y/2, l = |y|^2/4, so G_B[0, 1] = mu |y_0|^2/4 - y_0'y_1/2 = 0 at mu = 1."""
    targets = [[2.0, 0.0], [1.0, 3.0]]
    tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], targets)
    return Point(tasks, _amtl("squared", 1.0, 1.0), np.array(targets).T / 2.0, np.zeros((2, 2)))


def _zero_edge() -> Point:
    """The same point with the edge of multiplier 0 in the support."""
    point = _zero_multiplier()
    return point._replace(B=np.array([[0.0, 1e-9], [0.0, 0.0]]))


def _exchangeable_edges() -> Point:
    """mu = 0, d = 1, three tasks that fit exactly: every B with W B = W is optimal."""
    tasks = TaskSet.from_arrays([[[1.0]]] * 3, [[1.0]] * 3)
    return Point(tasks, _amtl("squared", 0.0, 1.0), np.ones((1, 3)), np.full((3, 3), 0.5) - 0.5 * np.eye(3))


def _more_tasks_than_features() -> Point:
    """mu = 0, d = 1, three noisy tasks at least squares: the residual W - W B is 0 on a continuum of B."""
    rng = np.random.default_rng(3)
    X = [rng.uniform(1.0, 2.0, size=(8, 1)) for _ in range(3)]
    y = [slope * Xt[:, 0] + rng.normal(size=8) for slope, Xt in zip((2.0, 3.0, 4.0), X, strict=True)]
    w = np.array([Xt[:, 0] @ yt / (Xt[:, 0] @ Xt[:, 0]) for Xt, yt in zip(X, y, strict=True)])
    B = 0.5 * w / w[:, None]
    np.fill_diagonal(B, 0.0)
    return Point(TaskSet.from_arrays(X, y), _amtl("squared", 0.0, 1.0), w[None, :], B)


def _flat_weights() -> Point:
    """B[0, 1] = B[1, 0] = 1, no row says anything about feature 1: w_0 = w_1 = (1, any) costs the same."""
    tasks = TaskSet.from_arrays([[[1.0, 0.0]]] * 2, [[1.0], [1.0]])
    return Point(
        tasks, _amtl("squared", 0.5, 1.0), np.array([[1.0, 1.0], [2.0, 2.0]]), np.eye(2)[:, ::-1].copy()
    )


def _kink() -> Point:
    """One row x = 1, coupling 1: w = 1/2; the second row x = 2 has 1 - y x w = 0."""
    tasks = TaskSet.from_arrays([[[1.0], [2.0], [-0.25]]], [[1.0, 1.0, -1.0]])
    rows = tasks[0]
    # rows 1 and 3 at w: 2(1 - w) + 0.5 (1 - 0.25 w) = 2 coupling w
    w = 0.5
    coupling = (2.0 * (1.0 - w) + 0.5 * (1.0 - 0.25 * w)) / (2.0 * w)
    assert rows.X[1, 0] * w == 1.0
    return Point(tasks, _amtl("squared-hinge", 1.0, coupling), np.array([[w]]), np.zeros((1, 1)))


DEGENERATE: Mapping[str, tuple[Point, str]] = {
    "zero multiplier": (_zero_multiplier(), "multiplier of the edge task 0 -> task 1 is 0"),
    "zero edge": (_zero_edge(), "0 to all digits|singular"),
    "exchangeable edges": (_exchangeable_edges(), "singular"),
    "more tasks than features": (_more_tasks_than_features(), "singular"),
    "flat weights": (_flat_weights(), "singular"),
    "row at the kink": (_kink(), "kink of the squared-hinge loss"),
}
"""Points that are first-order points but degenerate, by construction, with what the refusal says."""


def support_vector(coupling: float, x: float = -0.25, *more: float) -> Point:
    """max(0, 1 - w) + max(0, 1 + x w) + coupling w^2, x < 0, and a max(0, 1 - x w) for each of `more`.

    At w = 1, where the first row is on its kink, its v is -2 coupling - x; w is the minimum for v in [-1, 0].
    """
    rows = [[1.0], [x], *([each] for each in more)]
    tasks = TaskSet.from_arrays([rows], [[1.0, -1.0, *(1.0 for _ in more)]])
    return Point(tasks, _amtl("hinge", 1.0, coupling), np.ones((1, 1)), np.zeros((1, 1)))


KINK_DEGENERATE: Mapping[str, tuple[Point, str]] = {
    "multiplier 0": (
        support_vector(0.125),
        "row 0 of 'task 0'.* to all digits.*strict complementarity fails",
    ),
    "multiplier -1": (
        support_vector(0.625),
        "row 0 of 'task 0'.* to all digits.*strict complementarity fails",
    ),
    "a row twice": (support_vector(0.5, -0.25, 1.0), "degenerate: row [02] of 'task 0'.*dependent"),
}
"""The same for a row on its kink; J has no gradient there."""


def split_duplicates() -> Point:
    """Two copies of one task share an edge to a third one: a first-order point by symmetry, and a saddle.

    Its symmetric half has the unknowns w (both copies), v, b and the objective
    2 (1 + mu b) l(w) + l(v) + coupling (2 |w|^2 + |v - 2 b w|^2), minimised here by scipy.
    """
    from scipy.optimize import minimize

    rng = np.random.default_rng(5)
    X = [rng.normal(size=(12, 2)), rng.normal(size=(6, 2))]
    shared = np.array([1.0, 2.0])
    y = [X[0] @ shared + rng.normal(size=12), X[1] @ (10.0 * shared) + 5.0 * rng.normal(size=6)]
    mu, coupling = 1.7, 0.5

    def halved(x: Array) -> float:
        w, v, b = x[:2], x[2:4], x[4]
        first, second = ((X[0] @ w - y[0]) ** 2).sum(), ((X[1] @ v - y[1]) ** 2).sum()
        return float(
            2 * (1 + mu * b) * first + second + coupling * (2 * w @ w + ((v - 2 * b * w) ** 2).sum())
        )

    x = minimize(halved, np.array([1.0, 2.0, 10.0, 20.0, 3.0]), method="BFGS", options={"gtol": 1e-7}).x
    W, B = np.column_stack([x[:2], x[:2], x[2:4]]), np.zeros((3, 3))
    B[:2, 2] = x[4]
    tasks = TaskSet.from_arrays([X[0], X[0], X[1]], [y[0], y[0], y[1]])
    return Point(tasks, _amtl("squared", mu, coupling), W, B)


def quantile_saddle() -> Point:
    """The same with a quantile loss and numbers that are exact: two copies, w = (1, 1), a row on its kink.

    coupling 1/2, mu 4, b = 1/4, r = v - 2 b w = (1/2, 2). The copies have the slope (-1/4, -1/4) + u (1, 0)
    with 2 (slope) + w - b r = 0, so u = -3/16; l = 5/8 with mu l = w'r. With d (0, 1) added to one copy and
    taken from the other, e to one edge and from the other, J changes by
    2 e d (mu slope - 2 coupling r)'(0, 1) = -6 e d, and by d^2.
    """
    X = [[[1.0, 0.0], [0.5, 0.5]]] * 2 + [[[1.0, 4.0]]]
    tasks = TaskSet.from_arrays(X, [[1.0, 2.25]] * 2 + [[20.0]])
    W, B = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 2.5]]), np.zeros((3, 3))
    B[:2, 2] = 0.25
    return Point(tasks, _amtl("quantile", 4.0, 0.5), W, B)
