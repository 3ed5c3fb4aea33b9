r"""First-order points of J to 50 digits and more, and what J does around them; nothing of the package.

With the positive entries of B and the rows on their kink (multipliers u) known, a first-order point is a
stationary point of

    L(W, B, u) = sum_t a_t s_t [ sum over other rows phi(z) + sum over rows on the kink u_i (z_i - kink_i) ]
                 + coupling ||W M||_F^2

which Newton's method finds from nearby; alternation in 120 digits says what is positive and on the kink. The
point is what it claims to be if u is within its ends, B > 0 there and the gradient of the other entries >= 0.
It is a strict local minimum if these hold strictly and the Hessian of L is positive definite on the (W, B)
that keep the rows on their kink; where it is not, J is seen to fall.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, mid, null_space, positive_definite, reals, size, solve, zeros
from blocks import best_B, best_W
from problem import Problem

ACCURACY = arb("1e-45")
NEAR = arb("1e-3")
"""How far the first-order point of a stored one may be, in lengths of sqrt(J)."""


class Point(NamedTuple):
    """W, B, and per task the rows on their kink with their multipliers."""

    W: Reals
    B: Reals
    kinks: list[list[int]]
    u: list[Reals]

    @property
    def free(self) -> list[tuple[int, int]]:
        return [(s, t) for s, t in np.ndindex(*self.B.shape) if self.B[s, t] > 0]


class Local(NamedTuple):
    """What J does around a point: "strict", "falls", "degenerate" or "unknown", and why."""

    word: str
    why: str


def first_order_point(problem: Problem, W: Reals, B: Reals, *, rounds: int = 80) -> Point | None:
    """A first-order point, sought by alternation from (W, B); None if none is found."""
    before = None
    for k in range(rounds):
        best = best_W(problem, W, B)
        if not best.sure and k:
            return None
        try:
            W, B = best.W, best_B(problem, best.W)
        except ArithmeticError:
            return None
        point = Point(W, B, best.kinks, best.u)
        active = (point.free, point.kinks)
        if best.sure and (active == before or k % 5 == 4):
            found = newton(problem, point)
            if found is not None and is_first_order(problem, found):
                return found
        before = active
    return None


def expand(problem: Problem, point: Point) -> tuple[Reals, Reals]:
    """Gradient and Hessian of L in vec(W) by tasks, the positive entries of B, u."""
    T, d, free = problem.T, problem.d, point.free
    W, B, lam, mu = point.W, point.B, problem.lam, problem.price
    M, a, nW = np.eye(T, dtype=int) - B, problem.a(B), T * d
    R = W @ M
    rows = [(t, j) for t in range(T) for j in range(len(point.kinks[t]))]
    n = nW + len(free) + len(rows)
    g, H, at = zeros(n), zeros(n, n), slice(0, nW)
    H[at, at] = np.kron(2 * lam * (M @ M.T), np.eye(d, dtype=int))
    g[at] = problem.pull(W, B).T.ravel()
    value, slope = [], []
    for t, found in enumerate(problem.row_values(W)):
        own, X, s = slice(t * d, (t + 1) * d), problem.rows[t], problem.scale[t]
        phi = [list(row) for row in found]
        for j, i in enumerate(point.kinks[t]):
            _, _, kink = problem.ends(problem.targets[t][i])
            off = X[i] @ W[:, t] - kink
            phi[i] = [point.u[t][j] * off, point.u[t][j], ZERO]
            k = nW + len(free) + rows.index((t, j))
            g[k] = a[t] * s * off
            H[k, own] = H[own, k] = a[t] * s * X[i]
        first, second = (np.array([row[m] for row in phi], dtype=object) for m in (1, 2))
        value.append(s * sum((row[0] for row in phi), ZERO))
        slope.append(s * (first @ X))
        g[own] += a[t] * slope[t]
        H[own, own] += a[t] * s * ((X.T * second) @ X)
    for k, (s, t) in enumerate(free, start=nW):
        g[k] = mu * problem.c[s] * value[s] - 2 * lam * (W[:, s] @ R[:, t])
        cross = np.outer(-2 * lam * M[:, t], W[:, s])
        cross[s] += mu * problem.c[s] * slope[s] - 2 * lam * R[:, t]
        H[k, at] = H[at, k] = cross.ravel()
        for m, (p, target) in enumerate(free, start=nW):
            H[k, m] = 2 * lam * (W[:, s] @ W[:, p]) if target == t else ZERO
    return mid(g), mid(H)


def newton(problem: Problem, point: Point, *, steps: int = 40) -> Point | None:
    """The stationary point of L near `point`, or None where Newton's method does not get there."""
    free, J = point.free, problem.J0.mid()
    for _ in range(steps):
        g, H = expand(problem, point)
        try:
            step = -_symmetric(H, g)
        except ZeroDivisionError:
            return None
        moved = _moved(point, step, free)
        lengths = [abs(s) * abs(H[i, i]).sqrt() for i, s in enumerate(step)]
        x = np.r_[point.W.T.ravel(), [point.B[e] for e in free], *point.u]
        small = all(
            abs(s) <= ACCURACY * abs(value) or (H[i, i] > 0 and lengths[i] <= ACCURACY * J.sqrt())
            for i, (s, value) in enumerate(zip(step, x, strict=True))
        )
        if any(not s.is_finite() for s in step):
            return None
        if small:
            return moved
        if not all(moved.B[e] > 0 for e in free):
            return None
        point = moved
    return None


def _symmetric(H: Reals, g: Reals) -> Reals:
    """H^-1 g of an indefinite H, its rows brought to one size first."""
    largest = [max(abs(h) for h in row.tolist()) for row in H]
    if not all(h > 0 for h in largest):
        raise ZeroDivisionError
    diagonal = [abs(H[i, i]) if abs(H[i, i]) > 0 else largest[i] for i in range(len(g))]
    scale = np.array([1 / h.sqrt() for h in diagonal], dtype=object)
    return mid(solve(mid(H * np.outer(scale, scale)), mid(g * scale)) * scale)


def _moved(point: Point, step: Reals, free: list[tuple[int, int]]) -> Point:
    d, T = point.W.shape
    W, B, u = point.W + step[: d * T].reshape(T, d).T, point.B.copy(), []
    for k, edge in enumerate(free, start=d * T):
        B[edge] = B[edge] + step[k]
    first = d * T + len(free)
    for old in point.u:
        u.append(mid(old + step[first : first + len(old)]) if len(old) else old)
        first += len(old)
    return Point(mid(W), mid(B), point.kinks, u)


def is_first_order(problem: Problem, point: Point) -> bool:
    """Whether multipliers and signs at a stationary point of L are those of a first-order point of J."""
    q = problem.gradient_B(point.W, point.B)
    sizes = abs(problem.lam) * (abs(point.W).T @ abs(point.W))
    edges = all(
        s == t or (point.B[s, t] >= 0 and q[s, t] >= -ACCURACY * sizes[s, t]) for s, t in np.ndindex(*q.shape)
    )
    if not (edges and problem.J(point.W, point.B).is_finite()):
        return False
    for t, kinks in enumerate(point.kinks):
        for i, u in zip(kinks, point.u[t], strict=True):
            low, high, _ = problem.ends(problem.targets[t][i])
            if not low <= u <= high:
                return False
    best, J = best_W(problem, point.W, point.B), problem.J(point.W, point.B)
    nothing = arb("1e-110" if problem.kinked else "1e-200") * problem.J0
    return bool(nothing >= J or abs(J - problem.J(best.W, point.B)) <= ACCURACY * J)


def around(problem: Problem, W: Reals, B: Reals) -> Local:
    """Whether J has a strict local minimum next to (W, B), or falls from there."""
    best = best_W(problem, W, B)
    start = Point(W, B, best.kinks, best.u)
    found = newton(problem, start)
    if found is None:
        return Local("unknown", "Newton's method does not reach a first-order point from here")
    _, H = expand(problem, found)
    free = [(s, t) for s, t in np.ndindex(*B.shape) if B[s, t] > 0]
    move = np.r_[(found.W - W).T.ravel(), [found.B[e] - B[e] for e in free]]
    root = problem.J(W, B).mid().sqrt()
    far = size(np.array([m * abs(H[i, i]).sqrt() for i, m in enumerate(move)], dtype=object))
    if not far <= NEAR * root:
        return Local("unknown", f"the first-order point is {float(far / root):.1g} sqrt(J) away")
    return _judged(problem, found, H)


def _judged(problem: Problem, point: Point, H: Reals) -> Local:
    q = problem.gradient_B(point.W, point.B)
    J = problem.J(point.W, point.B)
    n = point.W.size + len(point.free)
    sizes = problem.lam * (abs(point.W).T @ abs(point.W))
    weak = ""
    for s, t in np.ndindex(*q.shape):
        if s == t or point.B[s, t] > 0:
            continue
        if q[s, t] < -ACCURACY * sizes[s, t]:
            unit = zeros(*q.shape)
            unit[s, t] = ONE
            return _falls(problem, point, J, zeros(*point.W.shape), unit, f"multiplier {float(q[s, t]):.1g}")
        if not q[s, t] > arb("1e-30") * sizes[s, t]:
            weak = f"the multiplier of B[{s}, {t}] = 0 is 0"
    if not is_first_order(problem, point):
        best = best_W(problem, point.W, point.B)
        return _falls(problem, point, J, best.W - point.W, zeros(*q.shape), "a move of W alone")
    Z = null_space(H[n:, :n]) if len(H) > n else reals(np.eye(n))
    definite, v = positive_definite(mid(Z.T @ H[:n, :n] @ Z))
    if definite:
        return Local("degenerate", weak) if weak else Local("strict", "")
    v = Z @ v
    move_B = zeros(*q.shape)
    for k, edge in enumerate(point.free, start=point.W.size):
        move_B[edge] = v[k]
    move_W = v[: point.W.size].reshape(point.W.shape[::-1]).T
    return _falls(problem, point, J, move_W, move_B, "negative curvature")


def _falls(problem: Problem, point: Point, J: arb, move_W: Reals, move_B: Reals, why: str) -> Local:
    """Look for a lower J along +- the move."""
    largest = max(size(move_W), size(move_B))
    unit = max(size(point.W), ONE) / largest if largest > 0 else ONE
    for k in range(0, 30):
        for side in (1, -1):
            length = side * unit / 4**k
            B = mid(point.B + length * move_B)
            if not all(B[e] >= 0 for e in np.ndindex(*B.shape)):
                continue
            value = problem.J(mid(point.W + length * move_W), B)
            if value < J:
                return Local("falls", f"{why}: J falls by {float((J - value) / J):.1g} of itself")
    return Local("degenerate", f"{why}, but no lower J was seen")
