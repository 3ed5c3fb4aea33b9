"""The W-step's part of the residuals: G_W, entry by entry, and the sizes of its terms (see `residuals`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers, mismatches
from amtl_cvx.certificate.misses import ROOM, SLOPES, Misses
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array, Task

_EPS = float(np.finfo(np.float64).eps)


class WeightPart(NamedTuple):
    """G_W and what comes with it."""

    gradient: Array
    """(d, T), in the coordinates of the tasks."""
    misses: Misses
    """Of the original features."""
    shift: Array
    """What l moves by where z moves by all its terms, (T,); phi' is known up to eps of its own."""
    kinks: Misses | None
    """As in `Slopes`."""


def weight_part(
    point: Point,
    *,
    multipliers: Sequence[Array] | None = None,
) -> WeightPart:
    """The W-step's part of `residuals`."""
    if multipliers is None:
        return point.kept("weight_part", lambda: _weight_part(point, None))
    return _weight_part(point, multipliers)


def _weight_part(point: Point, multipliers: Sequence[Array] | None) -> WeightPart:
    tasks, W = point.tasks, point.W
    V, Q = tasks.lift(W), np.sqrt(point.square_weight) * point.K
    reach, R = (tasks.lengths * np.abs(V)).sum(axis=0), W @ Q
    slopes = _slopes(point, reach, multipliers)
    weight, scale = point.loss_weight, point.problem.loss_scales
    gradient = weight * slopes.pull + 2.0 * R @ Q.T
    own = None if point.model.prox_omega is None else point.subgradient_W
    gradient = gradient if own is None else gradient + own
    found = weight_misses(
        slopes=slopes,
        gradient=tasks.lift(gradient),
        rows=tasks.lengths,
        rates=weight * scale,
        residual=tasks.lift(R),
        terms=np.abs(V) @ np.abs(Q),
        Q=Q,
        own=np.sqrt(np.abs(weight) * point.problem.losses_at_zero),
    )
    if own is not None:
        pull = np.abs(tasks.lift(own))
        found = found._replace(size=found.size + pull + ROOM * pull.max())
    shift = scale * (slopes.norm + _EPS * slopes.terms) * (reach + tasks.target_lengths)
    return WeightPart(gradient, found, shift, slopes.kinks)


class Slopes(NamedTuple):
    """The losses' part of G_W without a_t, and the norms over the rows that bound it."""

    pull: Array
    """grad L_t(w_t), (d, T)"""
    norm: Array
    """||phi'|| or ||u||, (T,)"""
    terms: Array
    """What phi' is summed from, or ||D||, (T,)"""
    kinks: Misses | None = None
    """What multipliers are off by, of every task, (T,)."""


def task_slopes(loss: Loss, tasks: Sequence[Task], W: Array, reach: Array) -> Slopes:
    """Those of a smooth loss, task by task; `reach` (T,) is sum_i ||x_ti|| |w_it|."""
    phi = [loss.on(task.sample_weight) for task in tasks]
    slopes = [each.slopes(task.X @ w, task.y) for each, task, w in zip(phi, tasks, W.T, strict=True)]
    rows = list(zip(slopes, tasks, strict=True))
    return Slopes(
        pull=np.column_stack([loss.scale(task) * (task.X.T @ each) for each, task in rows]),
        norm=np.array([of.norm(each) for of, each in zip(phi, slopes, strict=True)]),
        terms=np.array(
            [
                of.slope_terms(each, task.y, size)
                for of, (each, task), size in zip(phi, rows, reach, strict=True)
            ]
        ),
    )


def _slopes(point: Point, reach: Array, multipliers: Sequence[Array] | None) -> Slopes:
    tasks, loss = point.tasks, point.model.loss
    if not loss.smooth:
        known = kinked_multipliers(point) if multipliers is None else multipliers
        weight, pull = point.loss_weight, fenchel(point, known).pull
        phi = [loss.on(task.sample_weight) for task in tasks]
        ends = [of.norm(np.maximum(*np.abs(of.domain(task.y)))) for of, task in zip(phi, tasks, strict=True)]
        parts, sizes = mismatches(point, known)
        room = weight * point.problem.loss_scales * ends * (reach + tasks.target_lengths)
        return Slopes(
            pull=np.divide(pull, weight, out=np.zeros_like(pull), where=weight > 0),
            norm=np.array(
                [of.norm(of.clip(u, task.y)) for of, u, task in zip(phi, known, tasks, strict=True)]
            ),
            terms=np.array(ends),
            kinks=Misses(parts, sizes + ROOM * room),
        )
    return Slopes(
        pull=point.loss_gradient,
        norm=np.concatenate([each.loss.norm(each.slopes) for each in point.scores]),
        terms=np.concatenate(
            [each.loss.slope_terms(each.slopes, each.y, reach[each.at]) for each in point.scores]
        ),
    )


def weight_misses(
    *,
    slopes: Slopes,
    gradient: Array,
    rows: Array,
    rates: Array,
    residual: Array,
    terms: Array,
    Q: Array,
    own: Array,
) -> Misses:
    """G_W of sum_t a_t L_t(w_t) + ||R||_F^2, R = W Q - O, entry by entry.

    Parameters
    ----------
    slopes : Slopes
        Those of the losses at W.
    gradient : (d, T)
        G_W.
    rows, rates : (d, T), (T,)
        ||x_ti|| and a_t/n_t.
    residual, terms : (d, k)
        R, and the sizes it is summed from.
    Q : (T, k)
        As in R.
    own : (T,)
        Root of what a task can gain at most, for entries that only R holds.
    """
    pulled = np.abs(rates) * rows * (slopes.norm + SLOPES * slopes.terms)
    coupled = 2.0 * (np.abs(residual) + ROOM * terms) @ np.abs(Q.T)
    least = np.where(rows > 0.0, 0.0, ROOM * np.sqrt(2.0) * np.linalg.norm(Q, axis=1) * own)
    return Misses(np.abs(gradient), pulled + coupled + least)
