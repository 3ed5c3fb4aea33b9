r"""The second-order model of f(B) = min over W of J(W, B), and the exact round of the alternation.

With BW, BB and WW the second derivatives of J in B and W (`certificate.curvature`), the gradient of f at
W = W*(B) is G_B and its Hessian S = BB - BW WW^-1 WB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays.cholesky import factored, halved
from amtl_cvx.certificate.curvature import edge_blocks
from amtl_cvx.problem import Point
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.refine.tangent import tangent_variables
from amtl_cvx.refine.variables import Variables, atom_variables, engine_of
from amtl_cvx.subproblems.kinks import free_directions, loss_slopes
from amtl_cvx.subproblems.numpy_steps import cholesky, minimised
from amtl_cvx.tasks import Array, Indices, Mask

FALL = 1e-12
"""Relative fall of J from which on it is more than rounding."""
WORKING_LIMIT = 1300
"""Largest number of entries of B that one step moves: all positive ones count, then the steepest zeros."""
_DENSE_EIGENVALUE = 400  # size up to which the smallest eigenvalue is computed rather than bracketed


class Derivatives(NamedTuple):
    """Second-order model of J in vec(W), by tasks, and the entries B[sources, targets], where G_W = 0.

    Where J has kinks in W it stands for its moves along which J is smooth (`free_directions`).
    """

    gradient_B: Array
    WW: Array
    BW: Array
    BB: Array
    sources: Indices
    targets: Indices


def derivatives(point: Point, free: Mask, *, factored: bool = False) -> Derivatives:
    """Gradient and Hessian blocks of J in W and the entries of B where `free` (T, T) is True.

    `factored` leaves out WW where J is smooth in W: its factor is known.
    """
    s, t = np.nonzero(free)
    BW, BB = edge_blocks(point, s, t, loss_slopes(point))
    if point.model.smooth_in_W:
        WW = np.empty((0, 0)) if factored else point.hessian_W()
    else:
        N, WW = free_directions(point)
        BW = BW @ N
    return Derivatives(
        gradient_B=point.gradient_B[s, t],
        WW=WW,
        BW=BW,
        BB=BB,
        sources=s,
        targets=t,
    )


@dataclass
class Trust:
    """What is added to the diagonal of the model: its negative curvature, and a trust term on top of it.

    The trust term goes up after a refusal and down after a success. `slow` counts the steps since the
    residual last fell tenfold in one.
    """

    value: float = 1e-2
    curvature: float = 1e-4
    slow: int = 0

    def raise_(self) -> None:
        self.value = max(4.0 * self.value, 1e-10)

    def adapt(self, ratio: float) -> None:
        if ratio > 0.7:
            self.value = self.value / 8.0 if self.value > 1e-14 else 0.0
        elif ratio < 0.2:
            self.value = max(2.0 * self.value, 1e-10)

    def convex(self, S: Array) -> Array:
        """S with its negative curvature, or up to twice as much, added to the diagonal."""
        if len(S) <= _DENSE_EIGENVALUE:
            if _definite(S):
                return S
            smallest = float(sl.eigh(S, eigvals_only=True, subset_by_index=[0, 0], check_finite=False)[0])
            return shifted(S, 1.01 * max(0.0, -smallest))
        if _definite(shifted(S, self.curvature / 2.0)):
            if _definite(S):
                return S
            self.curvature /= 2.0
            while self.curvature > 1e-14 and _definite(shifted(S, self.curvature / 2.0)):
                self.curvature /= 2.0
        else:
            while not _definite(shifted(S, self.curvature)) and self.curvature < 1e8:
                self.curvature *= 2.0
        return shifted(S, self.curvature)


def shifted(S: Array, shift: float) -> Array:
    """S + shift I."""
    S = S.copy()
    S.flat[:: len(S) + 1] += shift
    return S


def _definite(S: Array) -> bool:
    try:
        factored(S.copy())
    except np.linalg.LinAlgError:
        return False
    return True


def working_set(point: Point) -> Mask:
    """The entries of B that are positive or want to enter, the steepest first up to `WORKING_LIMIT`."""
    B = point.B
    slope = point.gradient_B
    enters = (B <= 0.0) & (slope < 0.0)
    np.fill_diagonal(enters, False)
    room = max(WORKING_LIMIT - int((B > 0.0).sum()), 100)
    if int(enters.sum()) > room:
        steepness = slope / np.sqrt(positive((point.W**2).sum(axis=0)))[:, None]
        enters &= steepness <= np.partition(steepness[enters], room - 1)[room - 1]
    return (B > 0.0) | enters


def variables(point: Point, *, factored: bool = False) -> Variables:
    """What a step from here moves besides W, by the form that the penalty has; `factored` as above."""
    B = point.B
    engine = engine_of(point.model, point.tasks.T)
    if engine == "atoms":
        return atom_variables(point, most=WORKING_LIMIT)
    if engine == "prox":
        return tangent_variables(point)
    local = derivatives(point, working_set(point), factored=factored)
    places = local.sources, local.targets

    def graph(value: Array) -> Array:
        new = B.copy()
        new[places] = value
        return new

    return Variables(B[places], graph, B, local.gradient_B, local.WW, local.BW, local.BB)


def eliminated(local: Derivatives | Variables, factor: Array | None = None) -> Array:
    """S = BB - BW WW^-1 WB; the factor of WW, where it is not given, takes its memory, which is lost."""
    half = halved(cholesky(local.WW) if factor is None else factor, local.BW.T)
    return local.BB - half.T @ half


def positive(diagonal: Array) -> Array:
    """A diagonal kept away from 0."""
    largest = float(diagonal.max(initial=0.0))
    return np.maximum(diagonal, 1e-12 * largest if largest > 0 else 1.0)


def exact_round(point: Point) -> Point:
    """The exact B-step, then the exact W-step."""
    step = direct_step(point.model, point.tasks.T)
    assert step is not None
    return minimised(point.at(B=step.solve(point).value))
