r"""The gradient of J where every kink has a mask: the backward pass.

    G_E = 2 gamma times E,  G_R = - D G_E,  G_F = P + G_R A',  w^h = G_F S' + G_E
    G_u^l = M^l w^l,  w^(l-1) = G_u^l V_l'
    G_V_l = z^(l-1)' G_u^l + 2 decay V_l,   G_S = Z'G_F,   G_A = F'G_R

P (N, T) holds e_t/n_t phi' of the labels, M^l (N, k_l) is 1 where a unit is on and 0 where it is off, D the
same for R. w^l_ij = dJ/dz^l_ij is the weight of the kink of unit j of layer l on row i: at u = 0 it adds
w max(u', 0) to the directional derivative. A unit on its kink may have any mask in [0, 1]; the gradient with
it is what the multiplier theta = mask w makes of it (`multipliers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array

if TYPE_CHECKING:
    from amtl_cvx.network.point import NetworkPoint


class Gradient(NamedTuple):
    """The gradient of J without ||S||_1 and the prices of A, and the weights of the kinks."""

    V: tuple[Array, ...]
    """G_V_l of the layers, biases included."""
    S: Array
    A: Array
    """(T, k), with the bias of the feedback as last row where there is one."""
    kinks: tuple[Array, ...]
    """w^l = dJ/dz^l, (N, k_l)."""
    slopes: tuple[Array, ...]
    """G_u^l = dJ/du^l, (N, k_l)."""
    F: Array
    """dJ/dF, (N, T)."""
    R: Array
    """dJ/dR, (N, k)."""

    @property
    def vector(self) -> Array:
        """All entries, in the order of the problem's layout."""
        return np.concatenate([part.ravel() for part in (*self.V, self.S, self.A)])


def backward(point: NetworkPoint, masks: Sequence[Array]) -> Gradient:
    """The gradient at a point with these masks, (N, k_l) of each layer."""
    problem, decay = point.problem, point.model.decay
    E = 2.0 * problem.gamma * problem.rows.times[:, None] * point.E
    R = -E * point.rebuilding
    given = 1.0 + point.model.alpha * np.abs(point.A).sum(axis=1)
    F = given * point.loss_slopes + R @ point.A.T
    A = point.F_plus.T @ R
    A[point.tasks.T :] += 2.0 * decay * point.A_plus[point.tasks.T :]
    w = F @ point.S.T + E
    V, kinks, slopes = [], [], []
    for number in reversed(range(len(point.V))):
        u = masks[number] * w
        V.append(point.below[number].T @ u + 2.0 * decay * point.V[number])
        kinks.append(w)
        slopes.append(u)
        if number:
            w = u @ point.V[number][: point.Z[number - 1].shape[1]].T
    return Gradient(tuple(V[::-1]), point.features.T @ F, A, tuple(kinks[::-1]), tuple(slopes[::-1]), F, R)
