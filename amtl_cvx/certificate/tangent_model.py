r"""The local model in W and the tangent space of a penalty's prox, and what keeps that space as it is.

With B+ a prox step from B and V = B+ - G/h, R is smooth along the tangent Z of B+ (`tangent`), and rises
linearly off it, as long as V stays away from where the prox keeps other zeros, budgets or caps: by `margin`,
which the penalty says (`TransferPenalty.margin`). Then a first-order point where H is positive definite on
(W, Z) is a strict local minimum (partial smoothness: Lewis, Active sets, nonsmoothness, and sensitivity,
2002; the second derivative of R there is that of its prox: Poliquin, Rockafellar, Generalized Hessian
properties of regularized nonsmooth functions, 1996). Within reach of the point, in lengths,

    |dw_t| <= reach / least root of w_t        |dB| <= reach / least root of Z        and with R = W - W B
    |dV_st| <= |dB| + 2 lam / h (|dw_s| (|r_t| + |dr_t|) + |w_s| |dr_t|)
    |dr_t|  <= sum_u |dw_u| |M_ut| + |W| |dB| + |dw| |dB|

and losses move by twice their slopes and curvature. Derivatives of the prox are differences; what these may
be off by is part of the noise.
"""

from __future__ import annotations

import math

import numpy as np

from amtl_cvx.certificate.curvature import edge_blocks
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.local_model import LocalModel
from amtl_cvx.certificate.tangent import Tangent, prox_point, tangent_at
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import residual
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)
_BENT = 1e-8  # of a derivative, relative to it: what the third one adds to a central difference


class TangentModel(LocalModel):
    """The coordinates are moves y of B+ + Z y; see the module essay."""

    def __init__(self, point: Point) -> None:
        transfer, self.given = point.model.transfer, point.B
        base, T = point.at(B=prox_point(point)[2]), point.tasks.T
        h, V, _ = prox_point(base)
        margin = transfer.margin(V, 1.0 / h, base.weighted_losses)
        assert margin is not None
        self.margin = margin
        self.within = 0.5 * margin or np.inf  # for differences; without a margin nothing is certain anyway
        self.tangent: Tangent = tangent_at(base, room=self.within)
        self.places = np.flatnonzero(self.tangent.B)
        self.F = self.tangent.Z.reshape(len(self.tangent.Z), T * T)[:, self.places]
        inner = np.abs(point.W.T @ point.W)
        terms = 2.0 * point.model.coupling * (inner + inner @ np.abs(base.B))
        terms += h * (np.abs(V) + np.abs(base.B))
        weight = np.abs(self.F)
        self.slopes = self.F @ base.coupling_gradient_B.ravel()[self.places] + self.tangent.slope
        self.slope_sizes = weight @ terms.ravel()[self.places]
        self.least_multiplier = h * margin
        self.relative_multiplier = h * margin / (float(terms.max()) or 1.0)
        self.least_distance = float(base.B.ravel()[self.places].min(initial=math.inf))
        super().__init__(base)

    def blocks(self, point: Point) -> tuple[Array, Array]:
        found = self.tangent if point is self.point else tangent_at(point, room=self.within)
        T, m = point.tasks.T, len(self.F)
        if not np.array_equal(np.flatnonzero(found.B), self.places) or len(found.Z) != m:
            return np.zeros((m, point.W.size)), np.full((m, m), np.inf)
        turned = self.F @ found.Z.reshape(m, T * T)[:, self.places].T
        none = np.zeros((len(self.places), T))
        BW, BB = edge_blocks(point, *np.divmod(self.places, T), rates=none)
        gradient = (point.problem.task_weight * point.loss_gradient).T
        rates = turned @ found.rates
        return (
            self.F @ BW + (rates[:, :, None] * gradient[None]).reshape(m, point.W.size),
            self.F @ BB @ self.F.T + (turned * found.curvature) @ turned.T,
        )

    def noise(self) -> float:
        found, T = self.tangent, self.tasks.T
        norms = np.linalg.norm(self.W, axis=0)
        parts = np.linalg.norm(np.abs(self.W) + np.abs(self.W) @ np.abs(self.B), axis=0)
        each = np.divide(parts[None], norms[:, None], out=np.zeros_like(self.B), where=norms[:, None] > 0)
        cancelled = np.abs(self.F) @ each.ravel()[self.places]
        summed = self.scaled.n * self.norm
        root, e = self.root[self.W.size :], 1.0 / (1.0 + found.curvature / found.h)
        off = (found.blur + _BENT) * found.h / e**2 / root**2
        gradient = self.point.problem.task_weight * self.point.loss_gradient
        lengths = np.linalg.norm(gradient.T / self.root[: self.W.size].reshape(T, -1), axis=1)
        rates = (_BENT * np.abs(found.rates) + found.blur_rates / e[:, None]) * lengths / root[:, None]
        return _EPS * (summed + float(np.linalg.norm(cancelled))) + float(
            np.linalg.norm(off) + np.linalg.norm(rates)
        )

    def pushed_to_zero(self) -> str:
        changed = np.argwhere((self.given != 0.0) != (self.tangent.B != 0.0))
        if not len(changed):
            return ""
        s, t = map(int, changed[0])
        after = self.tangent.B[s, t]
        return f"{self.edge(s, t)} = {self.given[s, t]:.1g} is {after:.1g} after a prox step: refine it"

    def touching(self, reach: float) -> str:
        moved = self._moved_V(reach) + 16.0 * _EPS * float(np.abs(self.tangent.V).max())
        if self.margin > moved:
            return ""
        return (
            f"where edges, groups or budgets change is {self.margin:.1g} away, in units of B, and can be"
            f" {rounded_up(moved, 1)} nearer within twice the Newton step: strict complementarity is not"
            " certain"
        )

    def _moved_V(self, reach: float) -> float:
        """How far V and, as a part of it, the prices can move within reach; see the module essay."""
        point, lam, h, T = self.point, self.model.coupling, self.tangent.h, self.tasks.T
        roots = self.root[: self.W.size].reshape(T, -1).min(axis=1)
        move_W = reach / roots
        move_B = float(np.abs(self.given - self.B).max())
        if len(self.F):
            move_B += reach / float(self.root[self.W.size :].min())
        R, lengths = np.linalg.norm(residual(self.W, self.B), axis=0), np.linalg.norm(self.W, axis=0)
        whole = float(np.linalg.norm(lengths) + np.linalg.norm(move_W))
        move_R = move_W @ np.abs(point.M) + whole * move_B
        slope = np.outer(move_W, R + move_R) + np.outer(lengths, move_R)
        curved = np.linalg.norm(point.loss_hessians, axis=(1, 2)) * move_W
        steepness = np.linalg.norm(point.loss_weight * point.loss_gradient, axis=0) + curved
        prices = self.model.transfer.mu * float((steepness * move_W).max())
        return move_B + (2.0 * lam * float(slope.max()) + 2.0 * prices) / h

    def move_of_B(self, move: Array) -> Array:
        moved = np.zeros_like(self.B)
        moved.flat[self.places] = move @ self.F
        return moved

    def moved(self, step: Array) -> Point:
        move_W, move = self.moves(step)
        B = self.model.transfer.project(self.B + self.move_of_B(move))
        return self.point.at(W=self.W + move_W, B=B)

    def room(self, move: Array) -> float:
        shrinks, above = np.abs(move @ self.F), self.B.ravel()[self.places]
        fits = (above[shrinks > 0] / shrinks[shrinks > 0]).min(initial=math.inf)
        return float(min(fits, self.margin / shrinks.max(initial=0.0) if shrinks.any() else math.inf))
