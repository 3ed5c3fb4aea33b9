r"""What a single entry of W or B can gain alone, in units of its own task; nothing of the package.

A task of size 1e-9 has 1e-18 of J: no gain relative to J sees it. So

    W_it    gain of moving it alone / (a_t L_t(0))
    B_st    gain of moving it alone / (coupling r_t^2 + p_s r_t / ||w_s||)

(L_t(0): what the task costs without a predictor; r_t = ||w_t|| + sum_u ||w_u|| B_ut: the size of what column
t is summed from, ||w_t|| without edges, and the price of an edge of that size). What rounding the entries of
W and B to doubles can do to the gradient G of an entry, E, counts as nothing: the gain is lowered by
100 E^2 / (2 H), H its own second derivative.
"""

from __future__ import annotations

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, mid
from problem import Problem

EPS = arb(2) ** -52


def worst_W(problem: Problem, W: Reals, B: Reals) -> float:
    """The largest relative gain of an entry of W."""
    a, pull = problem.a(B), problem.pull(W, B)
    M = np.eye(problem.T, dtype=int) - B
    P = mid(M @ M.T)
    spread = 2 * problem.lam * (abs(W) @ abs(M) @ abs(M).T)
    worst = 0.0
    for t in range(problem.T):
        own = (
            problem.a(B)[t]
            * problem.scale[t]
            * sum((problem.row(ZERO, y)[0] for y in problem.targets[t]), ZERO)
        )
        if not own > 0:
            continue
        z = problem.rows[t] @ W[:, t]
        moved = abs(problem.rows[t]) @ abs(W[:, t]) + abs(problem.targets[t])
        for i in range(problem.d):
            line = _Line(problem, t, i, z, a[t], pull[i, t], 2 * problem.lam * P[t, t])
            E = EPS * (line.rounding(moved) + spread[i, t])
            lost = 50 * E * E / line.second(ZERO)
            worst = max(worst, float((line.gain() - lost).mid() / own.mid()))
    return worst


def worst_B(problem: Problem, W: Reals, B: Reals) -> float:
    """The largest relative gain of an entry of B."""
    G, worst = problem.gradient_B(W, B), 0.0
    prices, size = problem.prices(W), abs(W).T @ (abs(W) + abs(W) @ B)
    lengths = np.array([(w @ w).sqrt() for w in W.T], dtype=object)
    column = lengths + lengths @ abs(B)
    for s, t in np.ndindex(*G.shape):
        taken, given = column[t] ** 2, W[:, s] @ W[:, s]
        if s == t or not taken > 0 or not given > 0:
            continue
        own, h = problem.lam * taken + prices[s] * (taken / given).sqrt(), 2 * problem.lam * given
        step = -(G[s, t] / h).mid()
        step = step if step > -B[s, t] else -B[s, t]
        E = EPS * (prices[s] + _price_rounding(problem, W, s) + 2 * problem.lam * size[s, t])
        gain = -(G[s, t] * step + h * step * step / 2)
        worst = max(worst, float((gain - 50 * E * E / h).mid() / own.mid()))
    return worst


def _price_rounding(problem: Problem, W: Reals, s: int) -> arb:
    """By how much the price of an edge out of s can change where its scores do by all of their size."""
    moved = abs(problem.rows[s]) @ abs(W[:, s]) + abs(problem.targets[s])
    total = ZERO
    for z, m, y in zip(problem.rows[s] @ W[:, s], moved, problem.targets[s], strict=True):
        _, first, second = problem.row(z.mid(), y)
        steep = max(abs(end) for end in problem.ends(y)[:2]) if problem.kinked else abs(first)
        total += (steep + second * EPS * m) * m
    return problem.price * problem.c[s] * problem.scale[s] * total


class _Line:
    """J along one entry of w_t: sum_i weight phi(z_i + x_i tau) + slope tau + curvature tau^2 / 2."""

    def __init__(
        self, problem: Problem, t: int, i: int, z: Reals, a: arb, slope: arb, curvature: arb
    ) -> None:
        self.problem, self.z, self.x, self.y = problem, mid(z), problem.rows[t][:, i], problem.targets[t]
        self.weight, self.slope, self.curvature = (a * problem.scale[t]).mid(), slope.mid(), curvature.mid()

    def rows(self, tau: arb) -> list[tuple[arb, arb, arb]]:
        pairs = zip(self.z + self.x * tau, self.y, strict=True)
        return [self.problem.row(z.mid(), y) for z, y in pairs]

    def value(self, tau: arb) -> arb:
        rows = sum((row[0] for row in self.rows(tau)), ZERO)
        return self.weight * rows + self.slope * tau + self.curvature * tau * tau / 2

    def first(self, tau: arb) -> arb:
        rows = sum((row[1] * x for row, x in zip(self.rows(tau), self.x, strict=True)), ZERO)
        return (self.weight * rows + self.slope + self.curvature * tau).mid()

    def second(self, tau: arb) -> arb:
        rows = sum((row[2] * x * x for row, x in zip(self.rows(tau), self.x, strict=True)), ZERO)
        return (self.weight * rows + self.curvature).mid()

    def rounding(self, moved: Reals) -> arb:
        """The size of what the derivative at 0 is summed from, `moved` that of every score."""
        rows = zip(self.rows(ZERO), self.x, moved, strict=True)
        return self.weight * sum((abs(x) * (abs(row[1]) + row[2] * m) for row, x, m in rows), ZERO)

    def gain(self) -> arb:
        """value(0) minus the least value."""
        here = self.value(ZERO)
        tries = self._breaks() if self.problem.kinked else [self._newton()]
        return max([here - self.value(tau) for tau in tries] + [ZERO], key=lambda gain: gain.mid())

    def _breaks(self) -> list[arb]:
        """Where a row is on its kink, and the minima of the quadratics in between."""
        kinks = [
            ((self.problem.ends(y)[2] - z) / x).mid()
            for z, x, y in zip(self.z, self.x, self.y, strict=True)
            if abs(x) > 0
        ]
        kinks.sort(key=lambda tau: tau)
        ends = [kinks[0] - 1, *kinks, kinks[-1] + 1] if kinks else [-ONE, ONE]
        middles = [((a + b) / 2).mid() for a, b in zip(ends, ends[1:], strict=False)]
        return kinks + [tau - self.first(tau) / self.curvature for tau in middles]

    def _newton(self) -> arb:
        tau, value = ZERO, self.value(ZERO)
        for _ in range(100):
            step = -(self.first(tau) / self.second(tau)).mid()
            fall = -(self.first(tau) * step).mid()
            if not fall > arb("1e-40") * abs(value).mid():
                break
            for _ in range(200):
                after = self.value((tau + step).mid())
                if after < value - fall / 10000:
                    break
                step, fall = step / 2, fall / 2
            else:
                break
            tau, value = (tau + step).mid(), after
        return tau
