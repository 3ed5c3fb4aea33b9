r"""The sizes that the residuals of a network are relative to: its two passes in absolute values.

Every sum of the backward pass (`point`) is taken of the absolute values of its terms, with the same masks:

    |P| of the labels, |E|, |G_R| = D |G_E|,  |G_F| = e |P| + |G_R| |A|',  |w^h| = |G_F| |S|' + |G_E|
    |G_u^l| = M^l |w^l|,  |w^(l-1)| = |G_u^l| |V_l|',  |G_V_l| = z^(l-1)' |G_u^l| + 2 decay |V_l|

None of them cancels, so a gradient that is eps of its size has a backward error of eps (Oettli and Prager),
and every ratio stays as it is under factors in the losses, in y (squared loss, with the weights that go with
it), or in an input that decay does not hold.

Room. What enters is itself known only to eps times what it is summed from: the forward pass in absolute
values through units that are on (`long`), the slopes of the losses by `Loss.slope_terms`. `ROOM` of it, for
slopes `SLOPES`, is added, as in `features.residuals`; and to an entry of V that no term holds but its own, as
of a unit that is off on every row, ROOM sqrt(2 decay sum_t c_t l_t(0)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.misses import ROOM, SLOPES
from amtl_cvx.losses import Weighted
from amtl_cvx.network.point import NetworkPoint

_EPS = float(np.finfo(np.float64).eps)


class Sizes(NamedTuple):
    """What each figure is held against."""

    V: tuple[Array, ...]
    S: Array
    """Of the smooth part of G_S, rounding alone, (k, T)."""
    A: Array
    """The same of G_A, its bias included."""
    bias: Array
    """Of the slopes in the bias of the feedback, (1, k) or (0, k)."""
    kinks: tuple[Array, ...]
    """Of w^l, (N, k_l)."""
    prices: Array
    """What rounding does to the prices of feedback, (T,)."""


class _Long(NamedTuple):
    """The forward pass in absolute values."""

    below: tuple[Array, ...]
    Z: Array
    F: Array
    E: Array
    P: Array
    """Of the slopes of the losses, (N, T), with c_t/n_t."""


class _Back(NamedTuple):
    """The backward pass in absolute values."""

    V: tuple[Array, ...]
    F: Array
    R: Array
    kinks: tuple[Array, ...]


def sizes(point: NetworkPoint, masks: Sequence[Array]) -> Sizes:
    """The sizes at a point where every unit has the mask given."""
    model, T, double = point.model, point.tasks.T, 2.0 * point.problem.gamma
    size, slopes = _long(point), _slopes(point)
    times = double * point.problem.rows.times[:, None]
    rough = _back(point, masks, ROOM * slopes + SLOPES * size.P, ROOM * times * size.E)
    whole = _back(point, masks, slopes + SLOPES * size.P, times * (np.abs(point.E) + ROOM * size.E))
    V = []
    least = ROOM * np.sqrt(2.0 * model.decay * float(point.problem.task_weight @ point.problem.zero.losses))
    for below, far, held, own in zip(point.below, size.below, whole.V, point.V, strict=True):
        pulled = (np.abs(below) + ROOM * far).T @ held
        V.append(pulled + 2.0 * model.decay * np.abs(own) + np.where(pulled > 0.0, 0.0, least))
    S = ROOM * size.Z.T @ whole.F + point.features.T @ rough.F
    A = ROOM * size.F.T @ whole.R + point.F_terms.T @ rough.R
    bias = whole.R.sum(axis=0)[None, :] + 2.0 * model.decay * np.abs(point.A_plus[T:])
    bias = np.where(bias > 0.0, bias, least)[: len(point.A_plus) - T]
    return Sizes(tuple(V), S, A, bias, whole.kinks, _prices(point, size))


def _back(point: NetworkPoint, masks: Sequence[Array], P: Array, E: Array) -> _Back:
    """The backward pass where the slopes of the losses and those in E have these sizes."""
    R = E * point.rebuilding
    given = 1.0 + point.model.alpha * np.abs(point.A).sum(axis=1)
    F = given * P + R @ np.abs(point.A).T
    w = F @ np.abs(point.S).T + E
    held, kinks = [], []
    for number in reversed(range(len(point.V))):
        kinks.append(w)
        held.append(masks[number] * w)
        if number:
            w = held[-1] @ np.abs(point.V[number][: point.Z[number - 1].shape[1]]).T
    return _Back(tuple(held[::-1]), F, R, tuple(kinks[::-1]))


def _long(point: NetworkPoint) -> _Long:
    """What the factors of the gradients are summed from, found once."""
    return point.kept("long", lambda: _forward(point))


def _forward(point: NetworkPoint) -> _Long:
    bias, below = point.model.fit_bias, np.abs(point.problem.inputs)
    inputs, Z = [], below
    for V, on in zip(point.V, point.on, strict=True):
        inputs.append(below)
        Z = on * (below @ np.abs(V))
        below = np.column_stack([Z, np.ones(len(Z))]) if bias else Z
    F = Z @ np.abs(point.S)
    F_plus = np.column_stack([F, np.ones(len(F))]) if point.model.feedback_bias else F
    E = Z + point.rebuilding * (F_plus @ np.abs(point.A_plus))
    return _Long(tuple(inputs), Z, F_plus, E, _slope_terms(point, F))


def _slopes(point: NetworkPoint) -> Array:
    """|P|: of equal rows, whose labels are several, the sum."""
    rows, c = point.problem.rows, point.problem.task_weight * point.problem.loss_scales
    each = np.abs(point.row_loss.slopes(point.scores, rows.y))
    return rows.spread(c[rows.task] * each, point.tasks.T)


def _slope_terms(point: NetworkPoint, F: Array) -> Array:
    """What phi' of each label is summed from, its weight and c_t/n_t included, (N, T)."""
    rows, loss, T = point.problem.rows, point.model.loss, point.tasks.T
    reach = F[rows.row, rows.task]
    weight = point.row_loss.weight if isinstance(point.row_loss, Weighted) else 1.0
    slopes = loss.slopes(point.scores, rows.y)
    terms = weight * loss.slope_terms(slopes[:, None], rows.y[:, None], reach)
    c = point.problem.task_weight * point.problem.loss_scales
    return rows.spread(c[rows.task] * terms, T)


def _prices(point: NetworkPoint, size: _Long) -> Array:
    """What prices are summed from: what they move by where the scores move by all their terms, (T,)."""
    rows, T = point.problem.rows, point.tasks.T
    targets = rows.spread(np.abs(rows.y), T)
    moved = (_slopes(point) + _EPS * size.P) * (size.F[:, :T] + targets)
    found: Array = point.model.alpha * (moved.sum(axis=0) + point.problem.floor)
    return found
