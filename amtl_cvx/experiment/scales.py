"""What the data say of the settings: the loss that fits the targets, the units of coupling and mu."""

from __future__ import annotations

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Array, Task, TaskSet
from amtl_cvx.tasks.suggested import suggest_loss

__all__ = ["mean_curvature", "mu_max", "suggest_loss"]


def mu_max(tasks: TaskSet, model: Model, W: Array) -> float:
    """The price from which the first B-step at the single-task W (d, T) gives the empty graph.

    Source: theory.md section 3.

    Raises
    ------
    ModelError
        For a penalty without such a price.
    """
    losses = model.weighted_losses(tasks, W)
    slope = 2.0 * model.coupling * (W.T @ W)
    gain = np.abs(slope) if model.transfer.feasible(tasks.T).signed else np.maximum(slope, 0.0)
    np.fill_diagonal(gain, 0.0)
    priced = losses > 1e-14 * model.weighted_losses(tasks, np.zeros_like(W))  # 0 but for rounding: free edges
    return model.bind(tasks).transfer.mu_max(gain, np.where(priced, losses, np.inf))


def mean_curvature(tasks: TaskSet, model: Model) -> float:
    """Mean over tasks and features of half the second derivative of c_t L_t at 0: the unit of a ridge.

    Where the loss is linear at 0 (hinge, quantile) the secant |phi'(0)| / mean |y| stands for phi''(0).
    """
    loss, zero = model.loss, np.zeros(tasks.d)
    pairs = list(zip(model.task_weight(tasks), tasks, strict=True))
    traces = [
        c * loss.scale(task) * float(_curvatures(loss, task, zero) @ (task.X**2).sum(axis=1))
        for c, task in pairs
    ]
    if not any(traces):
        traces = [
            c * loss.scale(task) * float(_secants(loss, task) @ (task.X**2).sum(axis=1)) for c, task in pairs
        ]
    return 0.5 * float(np.mean(traces)) / tasks.d or 1.0


def _curvatures(loss: Loss, task: Task, w: Array) -> Array:
    return loss.on(task.sample_weight).curvatures(task.X @ w, task.y)


def _secants(loss: Loss, task: Task) -> Array:
    slopes = np.abs(loss.on(task.sample_weight).slopes(np.zeros(len(task.y)), task.y))
    return np.asarray(slopes / (float(np.average(np.abs(task.y), weights=task.sample_weight)) or 1.0))
