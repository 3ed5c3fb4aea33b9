r"""Why J may have no minimum near a point that is not one: signs that the iterates run to infinity.

Both need I - B nearly singular: the coupling then leaves directions N, N (I - B) = 0, along which W is free.

* A task that can be fitted without loss (separable labels, n_t < d) has edges that cost nothing in the limit;
  a cycle among such tasks drives the spectral radius of B to 1 and W to infinity.
* A task whose rows do not see all directions (rank X_t < d: features that are constant in it or depend on
  each other) has a w_t that may grow there at no cost. The larger it is, the smaller an edge out of it need
  be: the price of helping falls to 0 as W goes to infinity. The residual, relative to terms of the size of
  W'W, falls as well, and says nothing; the gap of B does not.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, Mask, TaskSet

_SINGULAR = 1e-3  # smallest singular value of I - B
_PERFECT = 1e-2  # of the loss at 0
_UNSEEN = 100.0  # times the largest part of a predictor that rows see


def escape(tasks: TaskSet, model: Model, W: Array, B: Array) -> str:
    """The reason in words, "" where there is no sign of it."""
    smallest = float(np.linalg.svd(np.eye(tasks.T) - B, compute_uv=False)[-1])
    if smallest > _SINGULAR:
        return ""
    singular = f"I - B is nearly singular ({smallest:.1e}): J may have no minimum here"
    at_zero, gives = model.losses(tasks, np.zeros_like(W)), (B > 0.0).any(axis=1)
    perfect = gives & (model.losses(tasks, W) <= _PERFECT * at_zero)
    if perfect.any():
        return (
            f"{_names(tasks, perfect)} can be fitted almost without loss, so edges out of it cost nothing,"
            f" and {singular}; give the task more rows, fewer features, or drop it"
        )
    seen, unseen = np.array([_parts(task.X, w) for task, w in zip(tasks, W.T, strict=True)]).T
    grown = gives & (unseen > _UNSEEN * seen.max())
    if grown.any():
        return (
            f"{_names(tasks, grown)} has rows that do not see all directions (rank below d = {tasks.d}), its"
            f" w has grown there to {unseen.max():.1g} and makes its edges free, and {singular};"
            " drop features that are constant in a task or depend on others, or give it more rows"
        )
    return ""


def _parts(X: Array, w: Array) -> tuple[float, float]:
    """Norms of the part of w that the rows of X see, and of the rest (0 where X has full column rank)."""
    _, singular, V = np.linalg.svd(X, full_matrices=False)
    rows = V[singular > singular.max(initial=0.0) * max(X.shape) * np.finfo(np.float64).eps]
    seen = rows.T @ (rows @ w)
    rest = 0.0 if len(rows) == len(w) else float(np.linalg.norm(w - seen))
    return float(np.linalg.norm(seen)), rest


def _names(tasks: TaskSet, which: Mask) -> str:
    names = [repr(tasks.names[t]) for t in np.flatnonzero(which)]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
