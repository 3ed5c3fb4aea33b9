"""Problems of shared features with everything drawn, the oracle made of the same numbers by other ways.

Losses, reduction, signs, gamma per row, price floor, weights of tasks and rows (0 among them), labels that
are missing, rows that tasks share, which rows are reconstructed, more features than tasks, GO-MTL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from feature_oracle import Blocks, Oracle

from amtl_cvx import TaskSet
from amtl_cvx.features import FeatureModel, FeatureProblem, GoMtlModel
from amtl_cvx.losses import make_loss

Array = np.ndarray[Any, Any]
LOSSES = ("squared", "logistic", "huber:0.8", "squared-hinge", "huber:1.5")


class Drawn(NamedTuple):
    problem: FeatureProblem
    oracle: Oracle
    rng: np.random.Generator


class Rows(NamedTuple):
    """Tasks, and X, y, v by task of the rows with a label; the rows to reconstruct, all and labelled."""

    tasks: TaskSet
    X: list[Array]
    y: list[Array]
    v: list[Array]
    every: Array
    labelled: Array


def drawn(seed: int) -> Drawn:
    rng = np.random.default_rng([99, seed])
    T, d, k = (int(rng.integers(1, top)) for top in (6, 7, 8))
    loss, reduction = LOSSES[rng.integers(len(LOSSES))], ("mean", "sum")[rng.integers(2)]
    rows = (_shared if rng.random() < 0.4 else _apart)(
        rng, T, d, labels=loss in ("logistic", "squared-hinge"), counted=rng.random() < 0.4
    )
    alpha, gamma = (float(10.0 ** rng.uniform(-2, 1)) * (rng.random() > 0.15) for _ in range(2))
    common = {
        "mu": float(10.0 ** rng.uniform(-2, 0)),
        "decay": float(10.0 ** rng.uniform(-2, 0)),
    }
    floor = float(10.0 ** rng.uniform(-2, 0)) * (rng.random() < 0.5)
    c = ("equal", "inverse-sqrt", tuple(rng.uniform(0.3, 3.0, size=T)))[rng.integers(3)]
    per, reconstruct, feedback = (
        pair[rng.integers(2)] for pair in (("total", "row"), ("all", "labelled"), ("signed", "nonnegative"))
    )
    shared: dict[str, Any] = {"loss": make_loss(loss, reduction=reduction), "features": k, "task_weights": c}
    model: FeatureModel
    if rng.random() < 0.2:
        alpha = gamma = floor = 0.0
        model = GoMtlModel(**shared, **common)
    else:
        model = FeatureModel(
            **shared, **common, alpha=alpha, gamma=gamma, price_floor=floor, gamma_per=per,
            reconstruct=reconstruct, feedback=feedback,
        )  # fmt: skip
    oracle = Oracle(
        X=rows.X, y=rows.y, v=rows.v, k=k, loss=loss, reduction=reduction, alpha=alpha, gamma=gamma,
        price_floor=floor, per_row=per == "row", signed=feedback == "signed", c=None if c == "equal" else c,
        pool=rows.every if reconstruct == "all" else rows.labelled, **common,
    )  # fmt: skip
    return Drawn(FeatureProblem(rows.tasks, model), oracle, rng)


def anywhere(found: Drawn) -> Blocks:
    """A point with zeros."""
    problem, oracle, rng = found
    d, k, T = problem.tasks.d, oracle.k, oracle.T
    S = rng.normal(size=(k, T)) * (rng.random((k, T)) < 0.6)
    A = 0.4 * rng.normal(size=(T, k)) * (rng.random((T, k)) < 0.5) * problem.model.has_feedback
    return Blocks(rng.normal(size=(d, k)), S, A if oracle.signed else abs(A))


def _targets(rng: np.random.Generator, shape: Any, *, labels: bool, missing: bool) -> Array:
    """Both labels in the first two rows; NaN below them."""
    y = rng.normal(size=shape)
    y = np.where(y > 0.0, 1.0, -1.0) if labels else y
    if labels:
        y[0], y[1] = 1.0, -1.0
    gone = (rng.random(shape) < 0.3) & missing
    gone[:2] = False
    return np.where(gone, np.nan, y)


def _shared(rng: np.random.Generator, T: int, d: int, *, labels: bool, counted: bool) -> Rows:
    N = int(rng.integers(5, 15))
    X, v = rng.normal(size=(N, d)), rng.uniform(0.3, 3.0, size=N) if counted else np.ones(N)
    Y = _targets(rng, (N, T), labels=labels, missing=rng.random() < 0.5)
    if counted:
        v[rng.integers(2, N)] = 0.0
    here = v > 0.0
    own = [here & ~np.isnan(y) for y in Y.T]
    return Rows(
        TaskSet.from_matrix(X, Y, sample_weight=v if counted else None),
        [X[rows] for rows in own],
        [y[rows] for y, rows in zip(Y.T, own, strict=True)],
        [v[rows] for rows in own],
        X[here],
        X[np.any(own, axis=0)],
    )


def _apart(rng: np.random.Generator, T: int, d: int, *, labels: bool, counted: bool) -> Rows:
    counts, missing = rng.integers(3, 12, size=T), rng.random() < 0.5
    X = [rng.normal(size=(n, d)) for n in counts]
    y = [_targets(rng, n, labels=labels, missing=missing) for n in counts]
    v = [rng.uniform(0.3, 3.0, size=n) if counted else np.ones(n) for n in counts]
    own = [~np.isnan(each) for each in y]
    kept = [[part[rows] for part, rows in zip(parts, own, strict=True)] for parts in (X, y, v)]
    tasks = TaskSet.from_arrays(
        X, y, sample_weight=v if counted else None, missing="drop" if missing else None
    )
    return Rows(tasks, *kept, np.vstack(X), np.vstack(kept[0]))
