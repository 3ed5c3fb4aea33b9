r"""The scale of each unit: the D-step, and the balance that holds where it has nothing left to do.

max(., 0) of d u is d times that of u, d > 0. So column j of V_h times d, row j of S over d and column j of A
(and of its bias) times d leave all scores and all other features as they are, and J is in d

    q d^2 + b d + m / d    q = decay (||V_h[:, j]||^2 + bias_j^2) + gamma sum_i times_i E_ij^2
                           b = sum_t p_t |A_tj|,   m = mu ||S_j.||_1

as for linear features (`features.balance`, whose root it is). Unit j of a lower layer has its weights in,
V_l[:, j], and its weights out, row j of W_(l+1): times d and over d, decay alone sees it, and is least where

    ||V_l[:, j]|| = ||W_(l+1)[j, :]||

A unit without weights in, or without weights out, is dead: both are 0, as they are from then on. No unit
changes its side of its kink. Both lines follow from the first-order conditions, and so hold at every
certified point.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.features.balance import Balance, best_scales
from amtl_cvx.network.point import NetworkPoint

_NEUTRAL = 1e-14


def balance(point: NetworkPoint) -> Balance:
    """What the scale of each feature of the last layer moves, (k,) each."""
    model, problem = point.model, point.problem
    bias = point.A_plus[point.tasks.T :]
    return Balance(
        model.decay * ((point.V[-1] ** 2).sum(axis=0) + (bias**2).sum(axis=0))
        + problem.gamma * (problem.rows.times @ point.E**2),
        point.prices @ np.abs(point.A),
        model.mu * np.abs(point.S).sum(axis=1),
    )


def lower_balance(point: NetworkPoint) -> tuple[tuple[Array, Array], ...]:
    """||V_l[:, j]|| and ||W_(l+1)[j, :]|| of the units of every layer but the last, (k_l,) each.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.balance import balanced, lower_balance
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(layers=(1, 1), mu=0.1, decay=0.5))
    >>> point = problem.at(W1=[[8.0]], W2=[[2.0]], S=[[1.0]], A=[[0.0]])
    >>> balanced(point).V[0] ** 2 / balanced(point).V[1] ** 2
    array([[1.]])
    """
    return tuple(
        (np.linalg.norm(V, axis=0), np.linalg.norm(above[: V.shape[1]], axis=1))
        for V, above in zip(point.V, point.V[1:], strict=False)
    )


def balanced(point: NetworkPoint) -> NetworkPoint:
    """The point with every unit at its best scale; the point itself where that gains nothing."""
    layers = [V.copy() for V in point.V]
    d = best_scales(balance(point))
    layers[-1] = layers[-1] * d
    S, A = _over(point.S, d), point.A_plus * d
    moved = bool((np.abs(d - 1.0) > _NEUTRAL).any())
    for number in reversed(range(len(layers) - 1)):
        width = layers[number].shape[1]
        inward, outward = (layers[number] ** 2).sum(axis=0), (layers[number + 1][:width] ** 2).sum(axis=1)
        alive = (inward > 0.0) & (outward > 0.0)
        ratio = np.divide(outward, inward, out=np.zeros_like(inward), where=alive) ** 0.25
        moved = moved or bool((np.abs(ratio - 1.0) > _NEUTRAL)[inward + outward > 0.0].any())
        layers[number] = layers[number] * ratio
        layers[number + 1][:width] = _over(layers[number + 1][:width], ratio)
    if not moved:
        return point
    new = point.problem.from_vector(point.problem.layout.joined(*layers, S, A))
    return new if new.objective < point.objective else point


def _over(rows: Array, d: Array) -> Array:
    """Row j over d_j; 0 where that is 0."""
    found: Array = np.divide(rows, d[:, None], out=np.zeros_like(rows), where=d[:, None] > 0.0)
    return found
