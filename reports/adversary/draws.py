"""Random problems, tiny, of every loss, reduction, task weights and scale; nothing of the package."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from arithmetic import doubles, zeros
from blocks import best_W
from problem import LABELS, NUMBERS, PARAMETERS, Floats, Problem

Rng = np.random.Generator


class Given(NamedTuple):
    """A point that is to be judged, in doubles."""

    what: str
    W: Floats
    B: Floats


class Case(NamedTuple):
    """A problem, and points where the case is about points."""

    problem: Problem
    given: list[Given]


def draw(
    rng: Rng,
    loss: str,
    *,
    reach: float,
    rows: bool = False,
    features: bool = False,
    tasks: bool = False,
    few: bool = False,
    T: int | None = None,
) -> Problem:
    """A random problem; rows, features and tasks scaled by up to 10^+-reach.

    A task is scaled by its targets, or by its weight where these are no numbers.
    """
    T, d = T or int(rng.integers(1, 5)), int(rng.integers(1, 5))
    most = d + 1 if few else 8
    sizes = rng.integers(1, most + 1, size=T)
    sizes = np.maximum(sizes, 2) if loss in LABELS else sizes
    base, unit = rng.normal(size=d), 10.0 ** rng.uniform(-reach, reach, size=d) if features else np.ones(d)
    X, y = [], []
    for n in sizes:
        x = rng.normal(size=(n, d)) + (rng.normal(size=d) if rng.random() < 0.3 else 0.0)
        z = x @ (base + 0.4 * rng.normal(size=d)) + 10.0 ** rng.uniform(-2, 0.3) * rng.normal(size=n)
        size = 10.0 ** rng.uniform(-reach, reach, size=n) if rows else np.ones(n)
        v = targets(rng, loss, z)
        X.append(x * size[:, None] * unit)
        y.append(v * size if loss in NUMBERS else v)
    share = 10.0 ** rng.uniform(-reach, reach, size=T) if tasks else np.ones(T)
    weights: str | tuple[float, ...] = ("equal", "inverse-sqrt", tuple(10.0 ** rng.uniform(-2, 2, size=T)))[
        int(rng.integers(3))
    ]
    if loss in NUMBERS:
        y = [v * s for v, s in zip(y, share, strict=True)]
    elif tasks:
        weights = tuple(share.tolist())
    coupling = 10.0 ** (rng.uniform(-4, -1) if few else rng.uniform(-4, 2))
    if features and rng.random() < 0.5:
        coupling *= float(np.median(np.concatenate(X) ** 2))
    problem = Problem(
        X=X,
        y=y,
        loss=loss,
        parameter=PARAMETERS.get(loss),
        reduction=("mean", "sum")[int(rng.integers(2))],
        weights=weights,
        mu=10.0 ** rng.uniform(-4, 1),
        coupling=coupling,
        notes={"reach": reach},
    )
    return replace(problem, mu=_fair_mu(rng, problem)) if rng.random() < 0.6 else problem


def _fair_mu(rng: Rng, problem: Problem) -> float:
    """A price of the size at which edges begin to appear; 0 now and then."""
    if rng.random() < 0.1:
        return 0.0
    W = best_W(problem, zeros(problem.d, problem.T), zeros(problem.T, problem.T)).W
    inner, costs = doubles(abs(W.T @ W)), doubles(np.array(problem.losses(W), dtype=object))
    np.fill_diagonal(inner, 0.0)
    c = np.array([float(value) for value in problem.c])
    most = 2 * problem.coupling * float((inner / np.maximum(c * costs, 1e-300)[:, None]).max())
    return most * 10.0 ** rng.uniform(-3, -0.2) if 0.0 < most < 1e100 else problem.mu


def targets(rng: Rng, loss: str, z: Floats) -> Floats:
    if loss in LABELS:
        labels = np.where(z + 0.7 * rng.normal(size=len(z)) > 0, 1.0, -1.0)
        labels[:2] = 1.0, -1.0
        return labels
    return rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float) if loss == "poisson" else z
