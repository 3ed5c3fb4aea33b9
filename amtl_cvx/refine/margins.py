r"""Margins: whether labels are met with room to spare, so that predictors only grow from here.

A loss of labels that falls for ever as a score grows (the logistic one) has no minimum where labels are
separable: J goes down to what coupling and edges cost, and where a cycle of edges carries the predictors
these cost nothing either. Such a fit has no end but rounding, and what it predicts has long been decided. So

    J(W, B) <= 1e-6 J(0, 0),

where all rows are on their side, most with a margin of about 14 and more, ends a trial, which is scored and
not judged, as one that grows. A fit that is judged goes on.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.problem import Point

_NOTHING = 1e-6
"""Of J(0, 0), which is what a trial has left when it ends."""
_FAR = 30.0  # a score at which a loss that has a minimum is there


def outgrown(point: Point) -> bool:
    """Whether next to nothing is left of J, and the loss has no minimum that it could reach."""
    if not _falls_on(point.model.loss):
        return False
    at_zero = float((point.problem.task_weight * point.problem.losses_at_zero).sum())
    return point.objective <= _NOTHING * at_zero


def _falls_on(loss: Loss) -> bool:
    """Whether the loss of a label is still above 0 at a large score of its side."""
    y = np.array([1.0])
    return loss.classification and bool(loss.rows(_FAR * y, y)[0] > 0.0)
