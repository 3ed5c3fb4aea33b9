r"""The best W for a B and the best B for a W, to 50 digits and more; nothing of the package.

W, smooth loss: Newton's method with a line search on J itself. W, hinge and quantile: with low <= v <= high
the multiplier of a row, times a_t s_t, and nu > 0, the smooth convex function

    psi(z) = min over p - m = z - kink, p, m > 0 of  high p - low m - nu log p - nu log m

is followed down in nu (a path of Newton steps) until the rows on their kink can be told; with these on their
kink and the others on one side the system is linear, and its solution is the minimum if every row is where it
was put and every multiplier within its ends. B: of the 2^(T-1) supports of a column one fulfils the
conditions of the non-negative lasso; they are tried in exact rationals.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, mid, rational, size, solve, total, zeros
from flint import fmpq, fmpq_mat
from problem import Problem

STEPS = 300
SHORT = arb("1e-45")
"""A part of J that is nothing."""


class BestW(NamedTuple):
    """The best W that was found for a B."""

    W: Reals
    kinks: list[list[int]]
    """Per task the rows on their kink, for hinge and quantile."""
    u: list[Reals]
    """Their multipliers, without a_t s_t."""
    sure: bool
    """Whether W is the minimum; else only the best that was found."""


def best_W(problem: Problem, W: Reals, B: Reals) -> BestW:
    """The minimiser of J(., B), sought from W; never worse than W."""
    if problem.kinked:
        return _kinked(problem, W, B)
    found, sure = _newton(problem, W, B)
    if not sure:
        again, sure = _newton(problem, zeros(*W.shape), B)
        found = again if problem.J(again, B) < problem.J(found, B) else found
    return BestW(found, [[] for _ in range(problem.T)], [zeros(0)] * problem.T, sure)


def gain_W(problem: Problem, W: Reals, B: Reals) -> arb:
    """By how much a move of W alone lowers J (at least)."""
    return problem.J(W, B) - problem.J(best_W(problem, W, B).W, B)


def best_W_held(problem: Problem, W: Reals, B: Reals, at: tuple[int, int]) -> Reals:
    """The best W whose entry `at` is that of the W given; smooth losses."""
    held = at[1] * problem.d + at[0]
    return _newton(problem, W, B, [k for k in range(W.size) if k != held])[0]


def _newton(problem: Problem, W: Reals, B: Reals, moving: list[int] | None = None) -> tuple[Reals, bool]:
    J, moving = problem.J(W, B), list(range(W.size)) if moving is None else moving
    for _ in range(STEPS):
        g, H = problem.gradient_W(W, B).T.ravel()[moving], problem.hessian_W(W, B)[np.ix_(moving, moving)]
        step = zeros(W.size)
        step[moving] = -_regular(H, g)
        fall = -(g @ step[moving]).mid() if moving else ZERO
        move, length = step.reshape(W.shape[::-1]).T, ONE
        if not fall > SHORT * J.mid() + SHORT * SHORT * problem.J0.mid():
            return mid(W + move), True  # the last step doubles the digits
        for _ in range(200):
            trial = mid(W + length * move)
            value = problem.J(trial, B)
            if value < J - length * fall / 10000:
                break
            length = length / 2
        else:
            return W, False
        W, J = trial, value
    return W, False


def _regular(H: Reals, g: Reals) -> Reals:
    """H^-1 g, with a trace of a ridge where H is singular."""
    try:
        return solve(H, g)
    except ZeroDivisionError:
        diagonal = [H[i, i] for i in range(len(g))]
        largest = max((h.mid() for h in diagonal), default=ONE)
        ridge = [SHORT * (h if h > 0 else largest if largest > 0 else ONE) for h in diagonal]
        return solve(H + np.diag(np.array(ridge, dtype=object)), g)


class _Rows(NamedTuple):
    """All rows of hinge or quantile, stacked: ends times a_t s_t, kinks."""

    X: Reals
    task: list[int]
    low: Reals
    high: Reals
    kink: Reals


def stacked(problem: Problem, B: Reals) -> _Rows:
    T, d, a = problem.T, problem.d, problem.a(B)
    rows, task, ends = [], [], []
    for t in range(T):
        for x, y in zip(problem.rows[t], problem.targets[t], strict=True):
            wide = zeros(T * d)
            wide[t * d : (t + 1) * d] = x
            low, high, kink = problem.ends(y)
            weight = (a[t] * problem.scale[t]).mid()
            rows.append(wide)
            task.append(t)
            ends.append((low * weight, high * weight, kink))
    low, high, kink = (np.array(each, dtype=object) for each in zip(*ends, strict=True))
    return _Rows(np.array(rows, dtype=object), task, low, high, kink)


def _kinked(problem: Problem, W: Reals, B: Reals) -> BestW:
    rows, J = stacked(problem, B), problem.J(W, B).mid()
    M = np.eye(problem.T, dtype=int) - B
    P = mid(np.kron(2 * problem.lam * (M @ M.T), np.eye(problem.d, dtype=int)))
    w = W.T.ravel()
    nu = (J if J > 0 else problem.J0.mid() if problem.J0 > 0 else ONE) / len(rows.kink)
    before = None
    for _ in range(40):
        w, *now = _centred(rows, P, w, nu)
        if before is not None and (done := _settled(problem, rows, P, before, now)) is not None:
            return done
        before, nu = now, nu / 30
    best = w.reshape(W.shape[::-1]).T
    best = best if problem.J(best, B) < J else W
    return BestW(best, [[] for _ in range(problem.T)], [zeros(0)] * problem.T, False)


def _centred(rows: _Rows, P: Reals, w: Reals, nu: arb) -> tuple[Reals, Reals, Reals]:
    """Newton's method on sum psi(z) + w'P w / 2; also p = v - low and q = high - v of every row."""
    width = rows.high - rows.low

    def split(gap: arb, h: arb) -> tuple[arb, arb]:
        """p, q = h - p with nu / q - nu / p = gap, the smaller one without cancellation."""
        root = (gap * gap * h * h + 4 * nu * nu).sqrt()
        least = (2 * nu * h / (2 * nu + abs(gap) * h + root)).mid()
        return (h - least, least) if gap > 0 else (least, h - least)

    def at(w: Reals) -> tuple[arb, Reals, Reals]:
        gap = mid(rows.X @ w - rows.kink)
        p, q = (np.array(each, dtype=object) for each in zip(*map(split, gap, width), strict=True))
        logs = np.array([a.log() + b.log() for a, b in zip(p, q, strict=True)], dtype=object)
        return total(rows.high * nu / q - rows.low * nu / p + nu * logs) + (w @ (P @ w)) / 2, p, q

    value, p, q = at(w)
    for _ in range(80):
        g = (rows.low + p) @ rows.X + P @ w
        H = P + (rows.X.T * (1 / (nu * (1 / (q * q) + 1 / (p * p))))) @ rows.X
        step = -_regular(mid(H), mid(g))
        fall = -(g @ step).mid()
        if not fall > nu / 1000:
            break
        length = ONE
        for _ in range(200):
            after, trial = at(mid(w + length * step)), mid(w + length * step)
            if after[0] < value - length * fall / 10000:
                break
            length = length / 2
        else:
            break
        w, (value, p, q) = trial, after
    return w, p, q


def _settled(problem: Problem, rows: _Rows, P: Reals, before: list[Reals], now: list[Reals]) -> BestW | None:
    """The minimum, if the rows on their kink are those whose p and q did not fall with nu."""
    (p0, q0), (p, q) = before, now
    count = range(len(p))
    inner = [i for i in count if p[i] > p0[i] / 4 and q[i] > q0[i] / 4]
    chosen = independent(rows.X, inner)
    v = np.array([rows.high[i] if p[i] > q[i] else rows.low[i] for i in count], dtype=object)
    v[inner] = [rows.low[i] + p[i] for i in inner]
    v[chosen] = ZERO
    A, m = rows.X[chosen], len(chosen)
    try:  # P w + X'v + A'u = 0, A w = kink
        K = np.block([[P, A.T], [A, zeros(m, m)]]) if m else P
        x = general(K, np.r_[-(v @ rows.X), rows.kink[chosen]])
    except ZeroDivisionError:
        return None
    w, v[chosen] = x[: P.shape[0]], x[P.shape[0] :]
    gap, room = mid(rows.X @ w - rows.kink), abs(rows.X) @ abs(w) + abs(rows.kink)
    on = all(abs(gap[i]) <= SHORT * room[i] for i in inner)
    within = all(rows.low[i] <= v[i] <= rows.high[i] for i in chosen)
    sides = all(i in inner or (gap[i] >= 0 if p[i] > q[i] else gap[i] <= 0) for i in count)
    return unstacked(problem, rows, w, v, inner) if on and within and sides else None


def independent(X: Reals, rows: list[int]) -> list[int]:
    """Rows of X that span the same as `rows`."""
    kept: list[int] = []
    left = {i: X[i] / size(X[i]) for i in rows if size(X[i]) > 0}
    for i in rows:
        if i not in left or not size(left[i]) > SHORT:
            continue
        kept.append(i)
        x = mid(left[i])
        j = max(range(len(x)), key=lambda k: abs(x[k]).mid())
        left = {k: mid(y - y[j] / x[j] * x) for k, y in left.items()}
    return kept


def general(K: Reals, b: Reals) -> Reals:
    """K^-1 b of a symmetric, indefinite K, its rows scaled first."""
    scale = np.array([1 / max(abs(k).mid() for k in row).sqrt() for row in K], dtype=object)
    return mid(solve(K * np.outer(scale, scale), b * scale) * scale)


def unstacked(problem: Problem, rows: _Rows, w: Reals, v: Reals, inner: list[int]) -> BestW:
    first = np.cumsum([0, *(len(y) for y in problem.y)])
    kinks = [[i - first[t] for i in inner if rows.task[i] == t] for t in range(problem.T)]
    unit = [rows.high[i] - rows.low[i] for i in inner]  # hinge and quantile: high - low is 1 before a_t s_t
    u = [
        np.array([v[i] / h for i, h in zip(inner, unit, strict=True) if rows.task[i] == t], dtype=object)
        for t in range(problem.T)
    ]
    return BestW(w.reshape(problem.T, problem.d).T, kinks, u, True)


def best_B(problem: Problem, W: Reals) -> Reals:
    """A minimiser of J(W, .), (T, T), by exact rationals."""
    B = zeros(problem.T, problem.T)
    exact = _Columns(problem, W)
    for t in range(problem.T):
        for s, value in exact.best(t).items():
            B[s, t] = arb(value)
    return mid(B)


def gain_B(problem: Problem, W: Reals, B: Reals) -> arb:
    """By how much a move of B alone lowers J, exactly, B feasible."""
    exact = _Columns(problem, W)
    fall = fmpq(0)
    for t in range(problem.T):
        here = {s: rational(B[s, t]) for s in range(problem.T) if s != t}
        fall += exact.value(t, here) - exact.value(t, exact.best(t))
    return arb(fall)


class _Columns:
    """coupling ||w_t - A b||^2 + p'b of every column, in rationals."""

    def __init__(self, problem: Problem, W: Reals) -> None:
        self.T, self.lam = problem.T, rational(problem.lam)
        w = [[rational(value) for value in column] for column in W.T]
        self.inner = [[sum((a * b for a, b in zip(v, u, strict=True)), fmpq(0)) for u in w] for v in w]
        self.p = [rational(price) for price in problem.prices(W)]

    def value(self, t: int, b: dict[int, fmpq]) -> fmpq:
        G = self.inner
        square = G[t][t] - 2 * sum((x * G[s][t] for s, x in b.items()), fmpq(0))
        square += sum((x * y * G[s][u] for s, x in b.items() for u, y in b.items()), fmpq(0))
        return self.lam * square + sum((x * self.p[s] for s, x in b.items()), fmpq(0))

    def best(self, t: int) -> dict[int, fmpq]:
        others = [s for s in range(self.T) if s != t]
        for k in range(len(others) + 1):
            for support in combinations(others, k):
                b = self._on(t, support)
                if b is not None and all(x >= 0 for x in b.values()) and self._is_best(t, b, others):
                    return b
        raise ArithmeticError("no support fulfils the conditions of the column")

    def _on(self, t: int, support: tuple[int, ...]) -> dict[int, fmpq] | None:
        if not support:
            return {}
        G = fmpq_mat([[self.inner[s][u] for u in support] for s in support])
        if G.det() == 0:
            return None
        right = fmpq_mat([[self.inner[s][t] - self.p[s] / (2 * self.lam)] for s in support])
        return dict(zip(support, G.solve(right).entries(), strict=True))

    def _is_best(self, t: int, b: dict[int, fmpq], others: list[int]) -> bool:
        for s in others:
            if s in b:
                continue
            along = self.inner[s][t] - sum((x * self.inner[s][u] for u, x in b.items()), fmpq(0))
            if self.p[s] < 2 * self.lam * along:
                return False
        return True
