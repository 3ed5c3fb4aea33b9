"""What the judge of back ends calls the mistakes of the saved runs, given the code's own numbers.

Objective and gradients are those of the code's formulas (`replay`) at a saved point; W and B are the saved
ones. The judge is told nothing but what was asked and what was answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from replay import Array, Saved

from amtl_cvx.reference.judge import Asked, Failure
from amtl_cvx.reference.judge.causes import causes_of

Named = list[dict[str, Any]]


def regression(saved: Saved, problem: Any) -> Named:
    """Of the run on the synthetic data, at the end of its second round."""
    W, B = saved.W[2], saved.B[1]
    given, halves, residual = 1.0 + B.sum(axis=1), saved.halves(W), W - W @ B
    objective = given @ halves + saved.coupling * np.sum(residual**2)
    G_W = saved.coupling * (residual - residual @ B.T)
    for t, (X, y) in enumerate(zip(saved.X, saved.y, strict=True)):
        G_W[:, t] -= given[t] * X[0] * (y[0] - X[0] @ W[:, t]) / len(y)
    G_B = saved.coupling * W.T @ (W @ B - W) + halves[:, None] ** 2 * B
    answers = (
        ("the objective it prints", "objective", np.array(objective)),
        ("twice the gradient of its W-step", "gradient_W", 2.0 * G_W),
        ("twice the gradient of its B-step", "gradient_B", 2.0 * G_B),
    )
    return [_named(problem, *each, W, B) for each in answers] + list(_steps(saved, problem))


def classification(saved: Saved, problem: Any) -> Named:
    """Of the run on USPS, at the end of its second round; the gradient is the mean over draws of rows."""
    W, B = saved.W[2], saved.B[1]
    residual = W - W @ B
    slopes = [
        X.T @ (1.0 / (1.0 + np.exp(-X @ w)) - y) / len(y)
        for X, y, w in zip(saved.X, saved.y, W.T, strict=True)
    ]
    G_W = saved.coupling * (residual - residual @ B.T) + (1.0 + B.sum(axis=0)) * np.stack(slopes, axis=1)
    said = "the gradient of its W-step, the loss once and not ten times"
    return [_named(problem, said, "gradient_W", G_W, W, B), *_steps(saved, problem)]


def _steps(saved: Saved, problem: Any) -> Iterator[dict[str, Any]]:
    """The saved B and W of the second round, as answers of a step."""
    B, W = saved.B[1], saved.W[2]
    yield _step(problem, "its B", "b-step", {"B": B}, saved.W[1], saved.B[0])
    yield _step(problem, "its W", "w-step", {"W": W}, saved.W[1], B)


def _named(problem: Any, what: str, quantity: Any, answer: Array, W: Array, B: Array) -> dict[str, Any]:
    asked = Asked.of(problem, "evaluate", W=W, B=B)
    return _told(
        what,
        Failure(
            check="", asked=asked, problem=problem, quantity=quantity, answer={quantity: answer}, limit=1e-9
        ),
    )


def _step(problem: Any, what: str, ask: str, answer: dict[str, Array], W: Array, B: Array) -> dict[str, Any]:
    asked = Asked.of(problem, ask, W=W, B=B)
    quantity: Any = ask.replace("-", "_")
    return _told(
        what,
        Failure(check="", asked=asked, problem=problem, quantity=quantity, answer=answer, limit=1e-8),
    )


def _told(what: str, failure: Failure) -> dict[str, Any]:
    causes = causes_of(failure)
    return {
        "what": what,
        "names": [each.name for each in causes],
        "words": [each.sentence for each in causes],
    }
