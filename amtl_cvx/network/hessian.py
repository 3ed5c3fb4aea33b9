r"""The Hessian of J in the cell of a point, or with a mask for every kink, by the R-operator.

For a direction (dV, dS, dA) the forward and the backward pass (`point`, `backward`) are differentiated line
by line, with masks M and D that stand still:

    du^l = dz^(l-1) V_l + z^(l-1) dV_l,  dz^l = M^l du^l,  dF = dZ S + Z dS
    dR = dF A + F dA,  dE = dZ - D dR
    dG_E = 2 gamma times dE,  dG_R = -D dG_E,  de_t = c_t alpha sum_j sigma_tj dA_tj
    dG_F = e_t C dF + de_t P + dG_R A' + G_R dA',  dw^h = dG_F S' + G_F dS' + dG_E
    dG_u^l = M^l dw^l,  dw^(l-1) = dG_u^l V_l' + G_u^l dV_l'
    dG_V_l = dz^(l-1)' G_u^l + z^(l-1)' dG_u^l + 2 decay dV_l,   dG_S = dZ' G_F + Z' dG_F
    dG_A = dF' G_R + F' dG_R + sigma_tj dp_t,   dp_t = alpha sum_i P_it dF_it

C holds the curvatures of the labels' losses, P their slopes, both times c_t/n_t; sigma (T, k) are the sides
of 0 on which the entries of A are, or to which they go. Where phi'' jumps it is one of both limits.

Source of the operator: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 1994.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.network.backward import Gradient
from amtl_cvx.network.point import NetworkPoint

CHUNK = 2**20
"""Numbers in the largest array that a chunk of directions makes: in the cache it is three times as fast."""


def feedback_signs(point: NetworkPoint) -> Array:
    """The side of 0 on which each entry of A is, or to which a 0 would go, (T, k)."""
    if not point.model.signed:
        return np.ones_like(point.A)
    return np.where(point.A != 0.0, np.sign(point.A), -np.sign(point.gradient().A[: point.tasks.T]))


def products(
    point: NetworkPoint,
    directions: Array,
    *,
    masks: Sequence[Array] | None = None,
    signs: Array | None = None,
    gradient: Gradient | None = None,
) -> Array:
    """The Hessian times each direction, (m, n).

    Parameters
    ----------
    point : NetworkPoint
        Where.
    directions : (m, n) array
        In the order of the problem's layout.
    masks : sequence of (N, k_l) arrays in [0, 1], optional
        As in `NetworkPoint.gradient`.
    signs : (T, k) array, optional
        sigma; by default `feedback_signs`.
    gradient : Gradient, optional
        Whose G_u^l stand for those of these masks: of the multipliers of kinks that the masks have off.
    """
    masked = point.on if masks is None else masks
    signs = feedback_signs(point) if signs is None else signs
    found, gradient = np.empty_like(directions), gradient or point.gradient(masked)
    N, widest = len(point.F), max(*(V.shape[1] for V in point.V), point.tasks.T)
    step = max(1, CHUNK // (N * widest))
    for first in range(0, len(directions), step):
        at = slice(first, first + step)
        found[at] = _products(point, directions[at], masked, signs, gradient)
    return found


def hessian(
    point: NetworkPoint, *, masks: Sequence[Array] | None = None, signs: Array | None = None
) -> Array:
    """The Hessian in all entries, (n, n), in the order of the problem's layout; arguments as of `products`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.hessian import hessian
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> model = NetworkModel(features=1, mu=0.1, alpha=0.0, gamma=0.0, decay=0.5)
    >>> point = NetworkProblem(tasks, model).at(W1=[[1.0]], S=[[2.0]], A=[[0.0]])
    >>> hessian(point)[:2, :2]  # of (w s - 3)^2 + .5 w^2 + .1 |s|
    array([[9., 2.],
           [2., 2.]])
    """
    H = products(point, np.eye(point.problem.size), masks=masks, signs=signs)
    return 0.5 * (H + H.T)


def _products(
    point: NetworkPoint, directions: Array, masks: Sequence[Array], signs: Array, gradient: Gradient
) -> Array:
    """`products` of directions that are few enough to be taken at once."""
    problem, model = point.problem, point.model
    *dV, dS, dA = problem.layout.split(directions)
    T = point.tasks.T
    dz: list[Array] = []
    for number, (V, dv) in enumerate(zip(point.V, dV, strict=True)):
        du = point.below[number] @ dv
        if number:
            du += dz[-1] @ V[: dz[-1].shape[2]]
        dz.append(masks[number] * du)
    dF = dz[-1] @ point.S + point.features @ dS
    dR = dF @ point.A + point.F_plus @ dA
    D = point.rebuilding
    dE = 2.0 * problem.gamma * problem.rows.times[:, None] * (dz[-1] - D * dR)
    dGR = -D * dE
    rates = model.alpha * (signs * dA[:, :T]).sum(axis=2)
    given = 1.0 + model.alpha * np.abs(point.A).sum(axis=1)
    dGF = (given * point.loss_curvatures) * dF + rates[:, None, :] * point.loss_slopes
    dGF += dGR @ point.A.T + gradient.R @ dA[:, :T].swapaxes(1, 2)
    prices = model.alpha * (point.loss_slopes * dF).sum(axis=1)
    GA = point.F_plus.T @ dGR
    GA[:, :T] += dF.swapaxes(1, 2) @ gradient.R + prices[:, :, None] * signs
    GA[:, T:] += 2.0 * model.decay * dA[:, T:]
    GS = dz[-1].swapaxes(1, 2) @ gradient.F + point.features.T @ dGF
    dw = dGF @ point.S.T + gradient.F @ dS.swapaxes(1, 2) + dE
    GV: list[Array] = []
    for number in reversed(range(len(dV))):
        du = masks[number] * dw
        G = point.below[number].T @ du + 2.0 * model.decay * dV[number]
        if number:
            width = dz[number - 1].shape[2]
            G[:, :width] += dz[number - 1].swapaxes(1, 2) @ gradient.slopes[number]
            dw = du @ point.V[number][:width].T
            dw += gradient.slopes[number] @ dV[number][:, :width].swapaxes(1, 2)
        GV.append(G)
    return problem.layout.joined(*GV[::-1], GS, GA)
