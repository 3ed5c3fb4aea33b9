"""First-order points of any loss judged in mpmath from the definition of J, written apart from the package.

A row within `tiny` of a kink is taken to be on it: its subgradient v in [low, high] is solved for, by least
squares, from G_W = 0. The curvature is that of J itself, by second differences along the moves that keep
those rows on their kinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mpmath
from proven import exact_objective, exact_row

from amtl_cvx import Model, TaskSet

Rows = Sequence[Sequence[Any]]


class Judged(NamedTuple):
    """What is true of a point; minima over nothing are infinite."""

    violation: Any
    """Largest |G_W|, |G_B| of an edge, |z - kink| of a row on a kink."""
    multiplier: Any
    """Smallest G_B off the support."""
    edge: Any
    """Smallest positive B."""
    inside: Any
    """Smallest distance of the v of a row on a kink from an end of its interval; negative outside."""
    away: Any
    """Smallest distance of another row from a seam of its loss."""
    dependent: bool
    """Whether rows of one task on their kinks are linearly dependent."""
    kinks: tuple[tuple[int, ...], ...]

    def strict(self, margin: Any) -> bool:
        """Whether it is a strictly complementary first-order point."""
        return (
            not self.dependent
            and self.violation < margin
            and min(self.multiplier, self.edge, self.inside, self.away) > margin
        )


def judged(tasks: TaskSet, model: Model, W: Rows, B: Rows, tiny: Any) -> Judged:
    """Judge W (d, T) and B (T, T) in mpmath numbers; an entry of B up to `tiny` is absent."""
    mp = mpmath.mp
    T, d = tasks.T, tasks.d
    M = [[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)]
    R = [[sum(W[i][s] * M[s][t] for s in range(T)) for t in range(T)] for i in range(d)]
    lam, mu = mp.mpf(model.coupling), mp.mpf(model.mu)
    violation, inside, away, dependent = mp.mpf(0), mp.inf, mp.inf, False
    kinks, prices = [], []
    for t, task in enumerate(tasks):
        scale = 1 / mp.mpf(len(task.y)) if model.loss.reduction == "mean" else mp.mpf(1)
        c = _task_weight(model, t, len(task.y))
        weight = c * (1 + mu * sum(B[t][u] for u in range(T) if u != t)) * scale
        X = [[mp.mpf(x) for x in row] for row in task.X.tolist()]
        rest = [2 * lam * sum(R[i][u] * M[t][u] for u in range(T)) / weight for i in range(d)]
        on, loss = [], mp.mpf(0)
        for k, (x, y) in enumerate(zip(X, task.y.tolist(), strict=True)):
            z = sum(a * W[i][t] for i, a in enumerate(x))
            loss += exact_row(model.loss, z, y)
            distance = min((abs(z - seam) for seam in _seams(model.loss, y)), default=mp.inf)
            if distance <= tiny and not model.loss.smooth:
                on.append(k)
                violation = max(violation, distance)
                continue
            away = min(away, distance)
            slope = _slope(model.loss, z, y)
            rest = [r + slope * a for r, a in zip(rest, x, strict=True)]
        prices.append(mu * c * scale * loss)
        kinks.append(tuple(on))
        if on:
            A = mp.matrix([X[k] for k in on])
            gram = A * A.T
            if abs(mp.det(gram)) <= tiny * mp.mpf(max(gram)) ** len(on):
                dependent = True
                continue
            v = mp.lu_solve(gram, -(A * mp.matrix(rest)))
            rest = [r + sum(v[j] * A[j, i] for j in range(len(on))) for i, r in enumerate(rest)]
            for j, k in enumerate(on):
                low, high = _interval(model.loss, float(task.y[k]))
                inside = min(inside, v[j] - low, high - v[j])
        violation = max(violation, *(abs(weight * r) for r in rest))
    multiplier, edge = mp.inf, mp.inf
    for s in range(T):
        for t in range(T):
            slope = prices[s] - 2 * lam * sum(W[i][s] * R[i][t] for i in range(d))
            if s != t and B[s][t] > tiny:
                edge, violation = min(edge, B[s][t]), max(violation, abs(slope))
            elif s != t:
                multiplier = min(multiplier, slope)
    return Judged(violation, multiplier, edge, inside, away, dependent, tuple(kinks))


def lowest_curvature(
    tasks: TaskSet, model: Model, W: Rows, B: Rows, kinks: Sequence[Sequence[int]], step: Any
) -> Any:
    """The smallest eigenvalue of J's Hessian in W and the positive B, along the moves that keep `kinks`."""
    mp = mpmath.mp
    T, d = tasks.T, tasks.d
    edges = [(s, t) for s in range(T) for t in range(T) if s != t and B[s][t] > 0]
    moves = []
    for t, task in enumerate(tasks):
        for w in _kernel([[mp.mpf(x) for x in task.X[k].tolist()] for k in kinks[t]], d):
            moves.append({("W", i, t): w[i] for i in range(d)})
    moves += [{("B", s, t): mp.mpf(1)} for s, t in edges]

    def J(*terms: tuple[Any, dict[Any, Any]]) -> Any:
        V, C = [list(row) for row in W], [list(row) for row in B]
        for length, move in terms:
            for (block, i, j), value in move.items():
                (V if block == "W" else C)[i][j] += length * value
        return exact_objective(tasks, model, V, C)

    n, here = len(moves), J()
    if n == 0:
        return mp.inf
    ahead = [J((step, move)) for move in moves]
    behind = [J((-step, move)) for move in moves]
    H = mp.matrix(n, n)
    for i in range(n):
        H[i, i] = (ahead[i] - 2 * here + behind[i]) / step**2
        for j in range(i):
            both = J((step, moves[i]), (step, moves[j]))
            H[i, j] = H[j, i] = (both - ahead[i] - ahead[j] + here) / step**2
    return min(mp.eigsy(H, eigvals_only=True))


def _kernel(rows: list[list[Any]], d: int) -> list[list[Any]]:
    """An orthonormal basis of what is orthogonal to independent rows, by Gram and Schmidt."""
    mp = mpmath.mp
    basis: list[list[Any]] = []
    unit = [[mp.mpf(int(i == j)) for i in range(d)] for j in range(d)]
    for vector in [*rows, *unit]:
        for _ in range(2):
            for b in basis:
                share = sum(x * y for x, y in zip(vector, b, strict=True))
                vector = [x - share * y for x, y in zip(vector, b, strict=True)]
        size = mp.sqrt(sum(x * x for x in vector))
        if size > mp.mpf(10) ** -12 and len(basis) < d:
            basis.append([x / size for x in vector])
    return basis[len(rows) :]


def _task_weight(model: Model, t: int, n: int) -> Any:
    if isinstance(model.task_weights, tuple):
        return mpmath.mpf(model.task_weights[t])
    return 1 / mpmath.sqrt(n) if model.task_weights == "inverse-sqrt" else mpmath.mpf(1)


def _seams(loss: Any, y: float) -> list[Any]:
    """Where phi or phi' jumps."""
    if loss.name in ("hinge", "squared-hinge"):
        return [mpmath.mpf(1 if y > 0 else -1)]
    if loss.name == "huber":
        return [mpmath.mpf(y) - mpmath.mpf(loss.threshold), mpmath.mpf(y) + mpmath.mpf(loss.threshold)]
    return [mpmath.mpf(y)] if loss.name == "quantile" else []


def _interval(loss: Any, y: float) -> tuple[Any, Any]:
    """Slopes below and above the kink."""
    if loss.name == "quantile":
        return -mpmath.mpf(loss.tau), 1 - mpmath.mpf(loss.tau)
    return (mpmath.mpf(-1), mpmath.mpf(0)) if y > 0 else (mpmath.mpf(0), mpmath.mpf(1))


def _slope(loss: Any, z: Any, y: float) -> Any:
    """phi' by a central difference, exact to far more digits than are asked for away from seams."""
    digits = mpmath.mp.dps
    with mpmath.workdps(2 * digits):
        h = mpmath.mpf(10) ** (-(digits // 2 + 5))
        return (exact_row(loss, z + h, y) - exact_row(loss, z - h, y)) / (2 * h)


def first_order_root(
    tasks: TaskSet, model: Model, W: Rows, B: Rows, tiny: float, *, steps: int = 12
) -> tuple[Rows, Rows] | None:
    """The first-order point with the rows within `tiny` of a kink on it, the edges above `tiny`; by Newton.

    None where the steps do not shrink to nothing: there is no such point near, or it is degenerate.
    """
    mp = mpmath.mp
    T, d = tasks.T, tasks.d
    edges = [(s, t) for s in range(T) for t in range(T) if s != t and B[s][t] > tiny]
    kinks = []
    if not model.loss.smooth:
        for t, task in enumerate(tasks):
            for k, (x, y) in enumerate(zip(task.X.tolist(), task.y.tolist(), strict=True)):
                seam = _seams(model.loss, y)[0]
                if abs(sum(mp.mpf(a) * W[i][t] for i, a in enumerate(x)) - seam) <= tiny * (1 + abs(seam)):
                    kinks.append((t, k, seam))
    sides = {
        (t, k): _side(model.loss, task, W, t, k)
        for t, task in enumerate(tasks)
        for k in range(len(task.y))
        if not model.loss.smooth
    }
    x = [W[i][t] for t in range(T) for i in range(d)] + [B[s][t] for s, t in edges] + [mp.mpf(0)] * len(kinks)

    def g(x: Sequence[Any]) -> list[Any]:
        return _conditions(tasks, model, x, edges, kinks, sides)

    n, h = len(x), mp.mpf(10) ** (-mp.dps // 3)
    for step in range(steps):
        value = g(x)
        J = mp.matrix(n, n)
        for j in range(n):
            ahead = [*x[:j], x[j] + h, *x[j + 1 :]]
            behind = [*x[:j], x[j] - h, *x[j + 1 :]]
            for i, (a, b) in enumerate(zip(g(ahead), g(behind), strict=True)):
                J[i, j] = (a - b) / (2 * h)
        try:
            move = mp.lu_solve(J, mp.matrix(value))
        except ZeroDivisionError:
            return None
        x = [a - b for a, b in zip(x, move, strict=True)]
        if step and max(abs(b) for b in move[: n - len(kinks)]) < mp.mpf(10) ** (-mp.dps // 2):
            C = [[mp.mpf(0)] * T for _ in range(T)]
            for (s, t), b in zip(edges, x[T * d :], strict=False):
                C[s][t] = b
            return [[x[t * d + i] for t in range(T)] for i in range(d)], C
    return None


def _side(loss: Any, task: Any, W: Rows, t: int, k: int) -> int:
    z = sum(mpmath.mpf(a) * W[i][t] for i, a in enumerate(task.X[k].tolist()))
    return 1 if z > _seams(loss, float(task.y[k]))[0] else -1


def _conditions(
    tasks: TaskSet,
    model: Model,
    x: Sequence[Any],
    edges: Sequence[tuple[int, int]],
    kinks: Sequence[tuple[int, int, Any]],
    sides: dict[tuple[int, int], int],
) -> list[Any]:
    """G_W with a pull of each row on its kink, G_B of the edges, what these rows miss."""
    mp = mpmath.mp
    T, d, on = tasks.T, tasks.d, {(t, k) for t, k, _ in kinks}
    W = [[x[t * d + i] for t in range(T)] for i in range(d)]
    B = [[mp.mpf(0)] * T for _ in range(T)]
    for (s, t), b in zip(edges, x[T * d :], strict=False):
        B[s][t] = b
    pulls = dict(zip(((t, k) for t, k, _ in kinks), x[T * d + len(edges) :], strict=True))
    M = [[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)]
    R = [[sum(W[i][s] * M[s][t] for s in range(T)) for t in range(T)] for i in range(d)]
    lam, mu = mp.mpf(model.coupling), mp.mpf(model.mu)
    G, prices = [], []
    for t, task in enumerate(tasks):
        scale = 1 / mp.mpf(len(task.y)) if model.loss.reduction == "mean" else mp.mpf(1)
        c = _task_weight(model, t, len(task.y))
        weight, loss = c * (1 + mu * sum(B[t])) * scale, mp.mpf(0)
        slope = [2 * lam * sum(R[i][u] * M[t][u] for u in range(T)) for i in range(d)]
        for k, (row, y) in enumerate(zip(task.X.tolist(), task.y.tolist(), strict=True)):
            z = sum(mp.mpf(a) * W[i][t] for i, a in enumerate(row))
            if (t, k) in on:
                u = pulls[t, k]
            elif model.loss.smooth:
                u, loss = weight * _slope(model.loss, z, y), loss + exact_row(model.loss, z, y)
            else:
                end = _interval(model.loss, y)[sides[t, k] > 0]
                u, loss = weight * end, loss + end * (z - _seams(model.loss, y)[0])
            slope = [g + u * mp.mpf(a) for g, a in zip(slope, row, strict=True)]
        G += slope
        prices.append(mu * c * scale * loss)
    inner = [prices[s] - 2 * lam * sum(W[i][s] * R[i][t] for i in range(d)) for s, t in edges]
    rows = [
        sum(mp.mpf(a) * W[i][t] for i, a in enumerate(tasks[t].X[k].tolist())) - seam for t, k, seam in kinks
    ]
    return [*G, *inner, *rows]
