# More than 300 lines: a report is one script.
"""Where the alternation leads from the end of a fit, in 120 digits, and what that shows.

Nothing of the package. Rounds of exact half-steps (`../adversary`: W to 100 digits for a B, B in rationals
for a W) are slow where I - B is nearly singular: every ROUNDS of them the sequence is extrapolated, in W, in
B and by Newton's method on both, as far as J falls. A point is taken only if balls of 120 digits prove that J
is lower there, so that the sequence shows what it shows whatever found it:

    escapes          J falls from each point to the next while max |W| grows GROWN times and more
    grows            the same while predictors grow tenfold and more, not so far
    turns singular   the same while the smallest singular value of I - B falls by that much
    settles          J falls no more, in 120 digits: a first-order point, I - B singular there or not
    falls on         nothing of this when time was up

A fall of less than LEAST of J in all shows nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from activeset import near_W
from arithmetic import ONE, ZERO, Reals, arb, mid, null_space, positive_definite, reals, size, solve, zeros
from blocks import best_B
from joint import Point, expand
from mpmath import mp
from problem import Problem

ROUNDS, FACTOR, SHORTER = (6, 2), 4, 6
"""Rounds before an extrapolation, in turn."""
GROWN, TENTH = 1e3, 9.9
FARTHEST, LONGEST = 1e6, 1e12
"""Beyond this nothing new is shown; of an extrapolation."""
TENFOLD = 4
"""How often predictors grow tenfold at most, before the rounds."""
LEAST = arb("1e-16")
NOTHING = arb("1e-60")
LEAST_SHIFT = -40
MOST_BITS = 3000


class Here(NamedTuple):
    """A feasible point and J there, as a ball."""

    J: arb
    W: Reals
    B: Reals


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One point of a sequence."""

    records: int
    """Of the fit, or rounds in 120 digits."""
    J: str
    largest: float
    """max |W|"""
    singular: float
    """The smallest singular value of I - B."""


@dataclass(frozen=True, kw_only=True)
class Further:
    """The sequence from the end of a fit, what it shows, and by how much of J it fell in all."""

    word: str
    fell: float
    path: tuple[Seen, ...]


class Exact(Problem):
    """The problem, whose prices are 0 or no numbers where a rational would take all memory."""

    def prices(self, W: Reals) -> list[arb]:
        found = super().prices(W)
        for k, price in enumerate(found):
            if not price < arb(2) ** MOST_BITS * self.J0:
                raise ArithmeticError("a price beyond all bounds")
            if price < arb(2) ** -MOST_BITS * self.J0:
                found[k] = ZERO
        return found


def seen(problem: Problem, W: Reals, B: Reals, records: int) -> Seen:
    """The point as the oracle sees it."""
    M = np.eye(len(B), dtype=int) - B
    with mp.workdps(110):
        rows = [[mp.mpf(m.mid().str(115, radius=False)) for m in row] for row in M]
        singular = float(min(mp.svd_r(mp.matrix(rows), compute_uv=False)))
    J = problem.J(W, B).mid().str(30, radius=False)
    return Seen(records=records, J=J, largest=float(size(W)), singular=singular)


def further(problem: Problem, W: Reals, B: Reals, *, seconds: float) -> Further:
    """The sequence from (W, B)."""
    begun, start = time.process_time(), Here(problem.J(W, B), W, B)
    grown = growing(problem, start)
    path, here, rounds, settled = [seen(problem, at.W, at.B, 0) for at in grown], grown[-1], 0, False
    while time.process_time() - begun < seconds and not _far(path):
        after = _cycle(problem, here, ROUNDS[len(path) % 2])
        settled = not here.J - after.J > NOTHING * start.J
        if not after.J < here.J:
            break
        rounds += ROUNDS[len(path) % 2]
        here = growing(problem, after)[-1]
        path.append(seen(problem, here.W, here.B, rounds))
        if settled:
            break
    fell = (start.J - here.J).mid()
    word = _word(path) if fell > LEAST * start.J.mid() else "falls on"
    word = "settles" if settled and word not in ("escapes", "grows") else word
    return Further(word=word, fell=float(fell / start.J.mid()) if fell > 0 else 0.0, path=tuple(path))


def growing(problem: Problem, start: Here) -> list[Here]:
    """Points of falling J, from the start on, along the predictors of a cycle that grow tenfold each time.

    Edges make up for it: W -> W D, B -> D^-1 B D, D = diag(10 on the cycle, 1 else); or else only what no row
    of the cycle sees of its predictors grows, and edges out of it shrink.
    """
    best = [start]
    for S in _cycles(problem, start):
        X = np.vstack([np.array(problem.X[t], dtype=float) for t in np.flatnonzero(S)])
        unseen = np.eye(problem.d) - np.linalg.pinv(X) @ X
        for hidden in (False, True):
            points = [start]
            while len(points) <= TENFOLD:
                at = _grown(problem, start, S, arb(10) ** len(points), unseen if hidden else None)
                if not at.J < points[-1].J:
                    break
                points.append(at)
            best = points if points[-1].J.mid() < best[-1].J.mid() else best
    return best


def _grown(problem: Problem, start: Here, S: np.ndarray, k: arb, unseen: np.ndarray | None) -> Here:
    W, B = start.W.copy(), start.B.copy()
    W[:, S] = k * W[:, S] if unseen is None else W[:, S] + (k - 1) * (reals(unseen) @ W[:, S])
    B[np.ix_(S, ~S)] = B[np.ix_(S, ~S)] / k
    if unseen is None:
        B[np.ix_(~S, S)] = B[np.ix_(~S, S)] * k
    W, B = mid(W), mid(B)
    return Here(problem.J(W, B), W, B)


def _cycles(problem: Problem, start: Here) -> list[np.ndarray]:
    """The tasks that I - B is nearly singular on, and the strongly connected parts of the graph."""
    B = np.array([[float(b) for b in row] for row in start.B])
    U, values, _ = np.linalg.svd(np.eye(len(B)) - B)
    found = [np.abs(u) > 1e-3 * np.abs(u).max() for u in U[:, values <= 1e-3].T[::-1]]
    reach = B > 0.0
    for _ in range(len(B)):
        reach = reach | (reach.astype(float) @ reach > 0.0)
    mutual = reach & reach.T
    return [*found, *(mutual[t] for t in np.flatnonzero(np.diag(mutual)))]


def _far(path: list[Seen]) -> bool:
    a, b = path[0], path[-1]
    return b.largest > FARTHEST * a.largest or (b.singular < a.singular / FARTHEST and len(path) > 10)


def _word(path: list[Seen]) -> str:
    a, b = path[0], path[-1]
    if b.largest > GROWN * a.largest:
        return "escapes"
    if b.singular * GROWN < a.singular:
        return "turns singular"
    return "grows" if b.largest >= TENTH * a.largest else "falls on"


def _cycle(problem: Problem, here: Here, count: int) -> Here:
    """Some rounds, and the best of the extrapolations from their end."""
    rounds, kinks = [here], None
    for _ in range(count):
        best = near_W(problem, rounds[-1].W, rounds[-1].B)
        try:
            B = best_B(problem, best.W)
        except ArithmeticError:
            break
        after = Here(problem.J(best.W, B), best.W, B)
        if not after.J < rounds[-1].J:
            break
        rounds.append(after)
        kinks = (best.kinks, best.u)
    last = rounds[-1]
    if len(rounds) < 3 or kinks is None:
        return last
    lines = list(_lines(problem, rounds, Point(last.W, last.B, *kinks)))
    return min((_along(line, last) for line in lines), key=lambda point: point.J.mid(), default=last)


Line = Callable[[arb], Here]


def _along(line: Line, start: Here) -> Here:
    """The last point of a line before J falls no more, in steps of FACTOR up, or else the first down."""
    best, length = _at(line, ONE, start), ONE
    if best is not start:
        while length < LONGEST and (point := _at(line, length := length * FACTOR, best)) is not best:
            best = point
        return best
    for _ in range(SHORTER):
        length = length / FACTOR
        if (best := _at(line, length, start)) is not start:
            break
    return best


def _at(line: Line, length: arb, before: Here) -> Here:
    """The point there if J is lower, else the one before."""
    try:
        point = line(length)
    except (ArithmeticError, ValueError):
        return before
    return point if point.J < before.J else before


def _lines(problem: Problem, rounds: list[Here], point: Point) -> Iterator[Line]:
    """From the last round: W with its best B, and B with its best W."""
    W, B = point.W, point.B

    def of_W(move: Reals) -> Line:
        def at(length: arb) -> Here:
            moved = mid(W + length * move)
            best = best_B(problem, moved)
            return Here(problem.J(moved, best), moved, best)

        return at

    def of_B(move: Reals) -> Line:
        def at(length: arb) -> Here:
            moved = _feasible(mid(B + length * move))
            best = near_W(problem, W, moved, only_near=True).W
            return Here(problem.J(best, moved), best, moved)

        return at

    moves = [(W - rounds[-2].W, B - rounds[-2].B)]
    limits = _limit([each.W for each in rounds[1:]]), _limit([each.B for each in rounds[1:]])
    if limits[0] is not None and limits[1] is not None:
        moves.append((limits[0] - W, limits[1] - B))
    if (step := _newton(problem, point)) is not None:
        moves.append(step)
    for move_W, move_B in moves:
        yield of_W(move_W)
        yield of_B(move_B)


def _feasible(B: Reals) -> Reals:
    return np.array([[b if b > 0 else ZERO for b in row] for row in B.tolist()], dtype=object)


def _limit(sequence: list[Reals]) -> Reals | None:
    """The limit of a sequence that converges along few directions: minimal polynomial extrapolation."""
    steps = [mid((b - a).ravel()) for a, b in zip(sequence, sequence[1:], strict=False)]
    if len(steps) < 2:
        return None
    A = np.array(steps[:-1], dtype=object).T
    try:
        weights = np.r_[-solve(mid(A.T @ A), mid(A.T @ steps[-1])), [ONE]]
    except (ZeroDivisionError, ValueError):
        return None
    total = sum(weights.tolist(), ZERO)
    if not abs(total) > 0:
        return None
    parts = zip(weights, sequence, strict=False)
    return mid(sum((w / total * X for w, X in parts), zeros(*sequence[0].shape)))


def _newton(problem: Problem, point: Point) -> tuple[Reals, Reals] | None:
    """A step of W and the positive entries of B, rows on their kinks held, as long as J is convex there.

    The shift of the Hessian is the least power of ten, in parts of its diagonal, that makes it so.
    """
    g, H = expand(problem, point)
    n = point.W.size + len(point.free)
    Z = null_space(H[n:, :n]) if len(H) > n else reals(np.eye(n))
    g, H = mid(Z.T @ g[:n]), mid(Z.T @ H[:n, :n] @ Z)
    diagonal = np.array([abs(H[i, i]) for i in range(len(g))], dtype=object)
    low, high = LEAST_SHIFT - 1, 1
    while high - low > 1:
        middle = (low + high) // 2
        convex = positive_definite(mid(H + np.diag(_shift(middle) * diagonal)))[0]
        low, high = (low, middle) if convex else (middle, high)
    try:
        step = -Z @ solve(mid(H + np.diag(_shift(high) * diagonal)), g)
    except ZeroDivisionError:
        return None
    move_B = zeros(*point.B.shape)
    for k, edge in enumerate(point.free, start=point.W.size):
        move_B[edge] = step[k]
    return mid(step[: point.W.size].reshape(point.W.shape[::-1]).T), mid(move_B)


def _shift(exponent: int) -> arb:
    return arb(10) ** exponent if exponent > LEAST_SHIFT else ZERO
