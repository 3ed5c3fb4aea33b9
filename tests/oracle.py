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
