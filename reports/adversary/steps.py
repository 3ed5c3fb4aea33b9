r"""Algorithm 2 (curriculum) to 50 digits: its own result, and what each step of another could gain.

    (eq. 5) row of t over the tasks that wait: b_s = max(0, (r_s'w_t - mu c_t l_t / (2 coupling)) / w_t'w_t);
            the t of least (1 + mu sum b) c_t l_t + coupling sum_s ||r_s - b_s w_t||^2 is learned next
    (eq. 6) w_t = argmin (1 + mu sum b) c_t L_t(w) + coupling ||w - sum over learned B[j, t] w_j||^2

r_s = w_s - sum over learned j of B[j, s] w_j; w of tasks that wait is single-task. Nothing of the package.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arithmetic import ONE, ZERO, Reals, arb, mid, solve, total, zeros
from blocks import best_W
from problem import Problem


class Course(NamedTuple):
    """What Algorithm 2 ends with."""

    W: Reals
    B: Reals
    order: tuple[int, ...]


def course(problem: Problem) -> Course:
    """Algorithm 2, exactly."""
    W, B = _start(problem), zeros(problem.T, problem.T)
    order: list[int] = []
    for _ in range(problem.T):
        costs = {
            t: _cost(problem, W, B, t, order, _row(problem, W, B, t, order)) for t in _waiting(problem, order)
        }
        t = min(costs, key=lambda each: (costs[each].mid(), each))
        B[t] = _row(problem, W, B, t, order)
        W[:, t] = _refitted(problem, W, B, t, order, W[:, t])
        order.append(t)
    return Course(mid(W), mid(B), tuple(order))


def gains(problem: Problem, W: Reals, B: Reals, order: tuple[int, ...]) -> tuple[arb, arb]:
    """What the refits and the rows could gain, summed over the steps."""
    now, partial, learned = _start(problem), zeros(problem.T, problem.T), list[int]()
    gain_W = gain_B = ZERO
    for t in order:
        waiting = _waiting(problem, learned)
        best = min(
            (
                _cost(problem, now, partial, s, learned, _row(problem, now, partial, s, learned))
                for s in waiting
            ),
            key=lambda cost: cost.mid(),
        )
        gain_B += _cost(problem, now, partial, t, learned, B[t]) - best
        partial[t] = B[t]
        w = _refitted(problem, W, partial, t, learned, W[:, t])
        gain_W += _refit(problem, W, partial, t, learned, W[:, t]) - _refit(
            problem, W, partial, t, learned, w
        )
        now[:, t] = W[:, t]
        learned.append(t)
    return gain_W, gain_B


def _start(problem: Problem) -> Reals:
    d, T = problem.d, problem.T
    return best_W(problem, zeros(d, T), zeros(T, T)).W.copy()


def _waiting(problem: Problem, learned: list[int]) -> list[int]:
    return [t for t in range(problem.T) if t not in learned]


def _rest(W: Reals, B: Reals, learned: list[int]) -> Reals:
    return W - W[:, learned] @ B[learned] if learned else W


def _row(problem: Problem, W: Reals, B: Reals, t: int, learned: list[int]) -> Reals:
    R, row, size = _rest(W, B, learned), zeros(problem.T), total(W[:, t] * W[:, t])
    price = problem.prices(W)[t] / (2 * problem.lam)
    for s in _waiting(problem, learned):
        if s != t and size > 0:
            value = ((R[:, s] @ W[:, t] - price) / size).mid()
            row[s] = value if value > 0 else ZERO
    return row


def _cost(problem: Problem, W: Reals, B: Reals, t: int, learned: list[int], row: Reals) -> arb:
    R = _rest(W, B, learned)
    own = problem.c[t] * problem.losses(W)[t] * (1 + problem.price * total(row))
    misfits = (R[:, s] - row[s] * W[:, t] for s in _waiting(problem, learned) if s != t)
    return own + problem.lam * sum((total(m * m) for m in misfits), ZERO)


def _refit(problem: Problem, W: Reals, B: Reals, t: int, learned: list[int], w: Reals) -> arb:
    a = problem.c[t] * (1 + problem.price * total(B[t]))
    away = w - _target(problem, W, B, t, learned)
    rows = zip(problem.rows[t] @ w, problem.targets[t], strict=True)
    values = sum((problem.row(z, y)[0] for z, y in rows), ZERO)
    return a * problem.scale[t] * values + problem.lam * total(away * away)


def _target(problem: Problem, W: Reals, B: Reals, t: int, learned: list[int]) -> Reals:
    return W[:, learned] @ B[learned, t] if learned else zeros(problem.d)


def _refitted(problem: Problem, W: Reals, B: Reals, t: int, learned: list[int], w: Reals) -> Reals:
    """Newton's method on the refit of a smooth loss."""
    target, X = mid(_target(problem, W, B, t, learned)), problem.rows[t]
    a = (problem.c[t] * (1 + problem.price * total(B[t])) * problem.scale[t]).mid()
    value = _refit(problem, W, B, t, learned, w)
    for _ in range(300):
        rows = [problem.row(z, y) for z, y in zip(mid(X @ w), problem.targets[t], strict=True)]
        first, second = (np.array([row[k] for row in rows], dtype=object) for k in (1, 2))
        g = a * (first @ X) + 2 * problem.lam * (w - target)
        H = a * ((X.T * second) @ X) + 2 * problem.lam * np.eye(len(w), dtype=int)
        step = -solve(mid(H), mid(g))
        fall, length = -(g @ step).mid(), ONE
        if not fall > arb("1e-60") * value.mid():
            break
        for _ in range(200):
            trial = mid(w + length * step)
            after = _refit(problem, W, B, t, learned, trial)
            if after < value - length * fall / 10000:
                break
            length = length / 2
        else:
            break
        w, value = trial, after
    return w
