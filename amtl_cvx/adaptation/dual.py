"""Dual points of a new task's problem, with what rounding does to them (formulas: `judge`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from amtl_cvx.adaptation.arrival import Arrival
from amtl_cvx.arrays import Array
from amtl_cvx.certificate.duals import Column, polished
from amtl_cvx.certificate.room import SUMMED, rounding

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dual:
    """The slopes u of the rows at a point (d,), with zeta = 2 rho times the point, both times a share s."""

    arrival: Arrival
    point: Array
    share: float = 1.0

    @classmethod
    def of(cls, arrival: Arrival, point: Array) -> Dual:
        """That of a point (d,)."""
        return cls(arrival=arrival, point=point)

    def scaled(self, share: float) -> Dual:
        """The same times a share of 0 to 1."""
        return replace(self, share=share)

    @cached_property
    def u(self) -> Array:
        """The multipliers of the rows, (n,)."""
        task, phi = self.arrival.task, self.arrival.loss.on(self.arrival.task.sample_weight)
        u: Array = self.share * phi.slopes(task.X @ self.point, task.y)
        return u

    @cached_property
    def zeta(self) -> Array:
        """That of the ridge, (d,)."""
        zeta: Array = self.share * 2.0 * self.arrival.rho * self.point
        return zeta

    @cached_property
    def theta(self) -> Array:
        """-(c/n) X'u - zeta, (d,)."""
        theta: Array = -(self.arrival.rate * (self.arrival.task.X.T @ self.u) + self.zeta)
        return theta

    @cached_property
    def off(self) -> Array:
        """What rounding can have done to theta, (d,)."""
        sizes = self.arrival.rate * (np.abs(self.arrival.task.X).T @ np.abs(self.u)) + np.abs(self.zeta)
        off: Array = (len(self.u) + 8.0) * _EPS * sizes
        return off

    def slack(self) -> tuple[Array, Array]:
        """p - W'theta and its room, (T,) each."""
        W, p = self.arrival.W, self.arrival.prices
        lengths = np.linalg.norm(W, axis=0) * float(np.linalg.norm(self.theta))
        room: Array = rounding(W) * (p + lengths) + np.abs(W).T @ self.off
        return p - W.T @ self.theta, room

    def reach(self) -> float:
        """The largest share of this point that is feasible with its room."""
        W, noise = self.arrival.W, rounding(self.arrival.W)
        slope = W.T @ self.theta + 2.0 * (np.abs(W).T @ self.off)
        slope = slope + 2.0 * noise * np.linalg.norm(W, axis=0) * float(np.linalg.norm(self.theta))
        return feasible_share(self.arrival.prices, slope, noise)

    def gap(self, w: Array, b: Array) -> float:
        """F(w, b) less the value here, with what rounding can hide; infinite unless theta is feasible."""
        slack, room = self.slack()
        if not (slack >= room).all():
            return math.inf
        arrival, noise = self.arrival, rounding(self.arrival.W)
        blur = float(np.linalg.norm(w)) + float(np.linalg.norm(arrival.W, axis=0) @ b)
        away = float(np.linalg.norm(2.0 * arrival.coupling * arrival.residual(w, b) - self.theta))
        away += 2.0 * arrival.coupling * noise * blur + float(np.linalg.norm(self.off))
        apart = w - self.share * self.point
        ridge = arrival.rho * float(apart @ apart)
        gap = away**2 / (4.0 * arrival.coupling) + float(b @ (slack + 2.0 * room)) + ridge
        return (gap + self._mismatch(w)) * (1.0 + SUMMED + noise)

    def _mismatch(self, w: Array) -> float:
        """(c/n) sum of phi(z_i) + phi*(u_i) - u_i z_i, and what rounding can hide of it."""
        task, phi = self.arrival.task, self.arrival.loss.on(self.arrival.task.sample_weight)
        z, y, moves = task.X @ w, task.y, score_room(self.arrival, w)
        value, conjugate = phi.rows(z, y), phi.conjugate(self.u, y)
        steep = np.abs(phi.slopes(z, y) - self.u) + phi.curvatures(z, y) * moves
        hidden = moves * steep + 4.0 * _EPS * (value + np.abs(conjugate) + np.abs(self.u * z))
        return self.arrival.rate * float((np.maximum(value + conjugate - self.u * z, 0.0) + hidden).sum())


def feasible_share(prices: Array, slope: Array, noise: float) -> float:
    """The largest s <= 1 with s slope <= prices, less what they are known to."""
    low, rising = (1.0 - 2.0 * noise) * prices, slope > prices
    return float((low[rising] / slope[rising]).min(initial=1.0 - 2.0 * noise))


def edges_gap(arrival: Arrival, w: Array, b: Array) -> float:
    """What a move of b alone can gain: the least gap of its column of the B-step (`certificate.duals`)."""
    A, noise = arrival.W, rounding(arrival.W)
    pull = 2.0 * arrival.coupling * arrival.residual(w, b)
    length, size = np.linalg.norm(A, axis=0), float(np.linalg.norm(pull))
    blur = 2.0 * arrival.coupling * noise * (float(np.linalg.norm(w)) + float(length @ b))
    column = Column(
        A=A[None],
        w=w[None],
        b=b[None],
        low=arrival.prices[None],
        high=arrival.prices[None],
        pull=pull[None],
        coupling=arrival.coupling,
        noise=noise,
        length=length[None],
        blur=np.array([blur]),
    )
    reach = A.T @ pull + 2.0 * noise * length * size
    share = feasible_share(arrival.prices, reach, noise)
    return min(float(column.gap(share * column.pull)[0]), float(polished(column)[0][0]))


def score_room(arrival: Arrival, w: Array) -> Array:
    """What the scores of the rows may be off by, (n,)."""
    task, scale = arrival.task, 1.0 if arrival.loss.classification else np.abs(arrival.task.y)
    moves: Array = _EPS * ((len(w) + 4.0) * (np.abs(task.X) @ np.abs(w)) + 2.0 * scale)
    return moves


def value_room(arrival: Arrival, w: Array, b: Array) -> float:
    """What the value at w and b may be off by."""
    task, phi = arrival.task, arrival.loss.on(arrival.task.sample_weight)
    moves = score_room(arrival, w)
    steep = np.abs(phi.slopes(task.X @ w, task.y)) + phi.curvatures(task.X @ w, task.y) * moves
    off = (len(b) + 2.0) * _EPS * (np.abs(w) + np.abs(arrival.W) @ b)
    r = np.abs(arrival.residual(w, b))
    squares = arrival.coupling * float(((2.0 * r + off) * off).sum())
    return arrival.rate * float(moves @ steep) + squares + SUMMED * arrival.value(w, b)
