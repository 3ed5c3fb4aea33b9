"""First-order residuals: how far a point is from stationarity (see the package's essay)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet


class Residuals(NamedTuple):
    """First-order residuals of a feasible point."""

    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float

    @property
    def relative(self) -> float:
        return max(self.relative_W, self.relative_B)


def residuals(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    *,
    at_zero: Array | None = None,
    multipliers: Sequence[Array] | None = None,
) -> Residuals:
    """The residuals of SPEC section 4, absolute and relative.

    A loss with kinks enters with the subgradients of least gap (`fenchel`), so that a point on a kink is not
    taken for a bad one; what they are off by is part of gap_W, which is judged for such a loss.

    Largest entries are those of the original features, also where the tasks are in coordinates.

    `at_zero` (d, T) are the gradients of the losses at W = 0, for who asks at many points; `multipliers` are
    those of a loss with kinks, where they are known.
    """
    weight = model.loss_weight(tasks, B)
    if model.loss.smooth:
        pull = weight * model.loss_gradient(tasks, W)
    else:
        known = kinked_multipliers(tasks, model, W, B) if multipliers is None else multipliers
        pull = fenchel(tasks, model, W, B, known).pull
    at_zero = weight * (model.loss_gradient(tasks, np.zeros_like(W)) if at_zero is None else at_zero)
    coupling = model.coupling_gradient_W(W, B)
    pull, at_zero, coupling = (tasks.lift(term) for term in (pull, at_zero, coupling))
    miss_W = np.abs(pull + coupling).max(axis=0)
    size_W = np.max([np.abs(term).max(axis=0) for term in (pull, at_zero, coupling)], axis=0)
    miss_B, size_B = _transfer_residual(tasks, model, W, B)
    return Residuals(
        stationarity_W=float(miss_W.max()),
        stationarity_B=float(miss_B.max()),
        relative_W=_largest_ratio(miss_W, size_W),
        relative_B=_largest_ratio(miss_B, size_B),
    )


def _transfer_residual(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[Array, Array]:
    """Per row of B: the prox residual in gradient units, and the size of its terms."""
    losses = model.weighted_losses(tasks, W)
    prices = model.transfer.prices(losses)
    inner = 2.0 * model.coupling * np.abs(W.T @ W)
    steps = prox_steps(model, W, 0.0 if prices is None else float(np.abs(prices).max()))
    np.fill_diagonal(inner, 0.0)
    smooth = model.coupling_gradient_B(W, B)
    if prices is None:
        moved = model.transfer.prox(B - smooth / steps, 1.0 / steps, losses)
        miss = np.abs(steps * (B - moved))
        return miss.max(axis=1), inner.max(axis=1)
    miss = np.abs(np.minimum(steps * B, prices[:, None] + smooth))
    np.fill_diagonal(miss, 0.0)
    return miss.max(axis=1), prices + inner.max(axis=1)


def prox_steps(model: Model, W: Array, fallback: float) -> float | Array:
    """h (T, 1): 2 coupling ||w_s||^2, and the largest of them (or `fallback`) for a row with w_s = 0.

    The largest alone, a number, for a penalty whose prox takes one step for all rows.
    """
    h = 2.0 * model.coupling * (W**2).sum(axis=0)
    largest = float(h.max()) or fallback or 1.0
    return np.where(h > 0, h, largest)[:, None] if model.transfer.row_steps else largest


def infeasibility(model: Model, B: Array) -> float:
    """Largest entry of B - project(B): max(0, -min B, max |diag B|) for B >= 0, diag(B) = 0."""
    return float(np.abs(B - model.transfer.project(B)).max())


def _largest_ratio(miss: Array, size: Array) -> float:
    """max over entries of miss/size with 0/0 = 0 and x/0 = inf."""
    ratio = np.divide(miss, size, out=np.where(miss > 0, np.inf, 0.0), where=size > 0)
    return float(ratio.max())
