"""An oracle for the random problems: J in 50 digits, by its own formulas, and what a sequence shows.

Nothing of the package is used but the rows and the numbers of the model. A sequence of feasible points whose
J, computed here, goes on falling while |W| grows or I - B turns singular shows that the fit is on its way to
infinity or to a graph that rebuilds tasks from each other, whatever moved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

DIGITS = 50
TOLERANCE = 1e-8
GROWS = 1.02
"""Factor by which |W| has to grow, or the smallest singular value to fall, over the second half."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One point of a sequence."""

    records: int
    J: str
    largest: float
    """max |W|"""
    singular: float
    """The smallest singular value of I - B."""


def seen(problem, W, B, records: int) -> Seen:  # type: ignore[no-untyped-def]
    """The point as the oracle sees it."""
    return Seen(
        records=records,
        J=mp.nstr(objective(problem, W, B), 20),
        largest=float(np.abs(W).max()),
        singular=float(np.linalg.svd(np.eye(len(B)) - B, compute_uv=False)[-1]),
    )


def objective(problem, W, B) -> mpf:  # type: ignore[no-untyped-def]
    """J(W, B) in 50 digits, from the rows."""
    model, loss = problem.model, problem.loss
    with mp.workdps(DIGITS):
        assert (B >= 0.0).all() and not np.diag(B).any()
        total, T = mpf(0), len(B)
        for t, task in enumerate(problem.tasks):
            X, y, w = task.X.tolist(), task.y.tolist(), [mpf(v) for v in W[:, t]]
            rows = sum(
                (row(loss, mp.fsum(mpf(x) * v for x, v in zip(xs, w, strict=True)), mpf(target))
                 for xs, target in zip(X, y, strict=True)),
                mpf(0),
            )  # fmt: skip
            weight = {"equal": mpf(1), "inverse-sqrt": 1 / mp.sqrt(len(y))}.get(str(model.task_weights))
            weight = mpf(model.task_weights[t]) if weight is None else weight
            scale = mpf(1) if model.loss.reduction == "sum" else mpf(1) / len(y)
            outgoing = mp.fsum(mpf(v) for v in B[t])
            total += weight * scale * rows * (1 + mpf(model.mu) * outgoing)
        for t in range(T):
            for i in range(len(W)):
                rest = mpf(W[i, t]) - mp.fsum(mpf(W[i, s]) * mpf(B[s, t]) for s in range(T))
                total += mpf(model.coupling) * rest * rest
        return total


def row(loss: str, z: mpf, y: mpf) -> mpf:
    """phi(z; y) of one row."""
    name, _, parameter = loss.partition(":")
    r = z - y
    if name == "squared":
        return r * r
    if name == "huber":
        K = mpf(float(parameter))
        return r * r if abs(r) <= K else 2 * K * abs(r) - K * K
    if name == "quantile":
        tau = mpf(float(parameter))
        return -tau * r if r <= 0 else (1 - tau) * r
    if name == "poisson":
        return mp.exp(z) - y * z + (y * mp.log(y) - y if y > 0 else 0)
    sign = 1 if y > 0 else -1
    if name == "logistic":
        return mp.log1p(mp.exp(-sign * z))
    short = max(mpf(0), 1 - sign * z)
    return short if name == "hinge" else short * short


def shown(points: Sequence[Seen]) -> str:
    """What the sequence shows: "escapes", "turns singular", "settles" or "falls on"."""
    with mp.workdps(DIGITS):
        values = [mpf(point.J) for point in points]
        falls = all(b <= a * (1 + mpf("1e-13")) for a, b in zip(values, values[1:], strict=False))
        middle, last = points[len(points) // 2], points[-1]
        fell = values[len(points) // 2] - values[-1] > TOLERANCE * abs(values[-1])
    if len(points) > 2 and falls and fell:
        if last.largest > GROWS * middle.largest:
            return "escapes"
        if last.singular * GROWS < middle.singular or last.singular < 1e-12:
            return "turns singular"
    if last.singular < 1e-6:
        return "ends singular"
    return "falls on" if len(points) > 2 and fell else "settles"
