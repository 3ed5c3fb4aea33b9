r"""Newton steps for a penalty that has a prox alone: on (W, tangent of B).

At a point with W = W*(B) B+ is a prox step from B, and its moves are B+ + Z y, with slopes, curvature and
rates from the prox (`certificate.tangent`): Newton's method on (W, B+ + Z y) needs nothing else of the
penalty. Where every move of the entries of B+ that are not 0 is a tangent (no budget is spent), R is smooth
in them, and a step minimises the model exactly over B >= 0, as for penalties with prices: what wants to enter
is above 0 in B+, and entries leave by the dozen. A step is taken only if J does not rise; what it leaves
undone (a row that enters, a budget that is met) the exact rounds of the alternation do.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays.cholesky import solved
from amtl_cvx.certificate.tangent import tangent_at
from amtl_cvx.problem import Point
from amtl_cvx.refine.variables import Variables, coupling_blocks, free_part
from amtl_cvx.subproblems.kinks import free_directions
from amtl_cvx.subproblems.numpy_steps import cholesky
from amtl_cvx.tasks import Array


def tangent_variables(point: Point) -> Variables:
    """Moves of B+ along its tangent, with J to second order there; W is eliminated from the gradient.

    Where that is the space of all entries of B+ that are not 0, these are moved, down to 0 at most.
    """
    T, W, tangent = point.tasks.T, point.W, tangent_at(point)
    base, Z = point.at(B=tangent.B), tangent.Z
    places = np.flatnonzero(base.B)
    F = Z.reshape(len(Z), T * T)[:, places]
    WW, BW, BB, gradient = coupling_blocks(base, *np.divmod(places, T))
    BW = F @ BW + (tangent.rates[:, :, None] * gradient[None]).reshape(len(Z), W.size)
    WW, BW = free_part(base, WW, BW)
    slope = F @ base.coupling_gradient_B.ravel()[places] + tangent.slope
    BB = F @ BB @ F.T + np.diag(tangent.curvature)
    if point.model.smooth_in_W:
        slope = slope - BW @ solved(cholesky(WW.copy()), base.gradient_W.T.ravel())
    elif point.model.prox_omega is not None:  # at W its slope along these moves is as it was
        pull = free_directions(base)[0].T @ (base.smooth_gradient_W - point.smooth_gradient_W).T.ravel()
        slope = slope - BW @ solved(cholesky(WW.copy()), pull)
    if bounded := len(Z) == len(places) and not point.model.transfer.feasible(T).signed:
        slope, BW, BB = F.T @ slope, F.T @ BW, F.T @ BB @ F

    def graph(move: Array) -> Array:
        new = base.B.copy()
        new.flat[places] = move if bounded else new.flat[places] + move @ F
        return point.model.transfer.project(new)

    return Variables(
        value=base.B.flat[places] if bounded else np.full(len(Z), np.inf),
        graph=graph,
        base=base.B,
        gradient=slope,
        WW=WW,
        BW=BW,
        BB=BB,
        free=not bounded,
    )
