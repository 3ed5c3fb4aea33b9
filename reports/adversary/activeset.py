"""W-steps of hinge and quantile from a W near the best one: rows are taken onto their kink and let go.

With some rows held on their kink the objective is quadratic until another row meets its own: that one is held
too. At the minimum of a set the row whose multiplier is farthest beyond its ends is let go, to that side.
What comes out fulfils all conditions of the minimum; where a system is singular or the sets go on and on the
path of `blocks.best_W` is taken instead.
"""

from __future__ import annotations

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, mid, zeros
from blocks import SHORT, BestW, best_W, general, independent, stacked, unstacked
from problem import Problem

STEPS = 40


def near_W(problem: Problem, W: Reals, B: Reals, *, only_near: bool = False) -> BestW:
    """The minimiser of J(., B), as `best_W`; `ArithmeticError` if it has to be near and is not."""
    if problem.kinked:
        if (found := _walk(problem, W, B)) is not None:
            return found
        if only_near:
            raise ArithmeticError("the sets of rows on their kink went on and on")
    return best_W(problem, W, B)


def _walk(problem: Problem, W: Reals, B: Reals) -> BestW | None:
    rows, w = stacked(problem, B), W.T.ravel()
    M = np.eye(problem.T, dtype=int) - B
    P = mid(np.kron(2 * problem.lam * (M @ M.T), np.eye(problem.d, dtype=int)))
    gap = mid(rows.X @ w - rows.kink)
    room = mid(abs(rows.X) @ abs(w) + abs(rows.kink))
    held = independent(rows.X, [i for i in range(len(gap)) if abs(gap[i]) <= SHORT * room[i]])
    above = [bool(g > 0) for g in gap]
    for _ in range(STEPS):
        v = np.array([h if up else low for up, low, h in zip(above, rows.low, rows.high, strict=True)])
        v[held] = ZERO
        A, m = rows.X[held], len(held)
        K = np.block([[P, A.T], [A, zeros(m, m)]]) if m else P
        try:
            x = general(mid(K), mid(np.r_[-(v @ rows.X), rows.kink[held]]))
        except (ZeroDivisionError, ValueError):
            return None
        move, v[held] = mid(x[: len(w)] - w), x[len(w) :]
        length, met = _reach(gap, mid(rows.X @ move), above, held)
        w = mid(w + length * move)
        gap = mid(rows.X @ w - rows.kink)
        if met is not None:
            held = [*held, met]
            if len(independent(rows.X, held)) < len(held):
                return None
            continue
        beyond = [max((rows.low[i] - v[i]).mid(), (v[i] - rows.high[i]).mid()) for i in held]
        worst = max(range(m), key=lambda k: beyond[k], default=None)
        if worst is None or not beyond[worst] > 0:
            return unstacked(problem, rows, w, v, held)
        above[held[worst]] = bool(v[held[worst]] > rows.high[held[worst]])
        held = [i for k, i in enumerate(held) if k != worst]
    return None


def _reach(gap: Reals, slope: Reals, above: list[bool], held: list[int]) -> tuple[arb, int | None]:
    """How far a move goes before a row meets its kink, at most 1, and which."""
    length, met = ONE, None
    for i in range(len(gap)):
        if i in held or not (slope[i] < 0 if above[i] else slope[i] > 0):
            continue
        reach = (-gap[i] / slope[i]).mid()
        reach = reach if reach > 0 else ZERO
        if reach < length:
            length, met = reach, i
    return length, met
