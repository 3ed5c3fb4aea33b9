"""The choice of a simple curriculum, and its judge: each step and each choice against the problem it is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, check_tolerance, task_gain
from amtl_cvx.curriculum.conclusion import Sums, concluded, in_few_rows
from amtl_cvx.curriculum.minima import Minima, Near
from amtl_cvx.curriculum.rows import check_alone
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

_TIE = 1e-12
"""Values that differ by less than this, relatively, are a tie."""
SIMPLE = "the simple curriculum"
_DEMANDS = "an edge of 1 from each task to the one learned next, and no other"


class Next(NamedTuple):
    """The task that is learned next, what was compared, and W with the waiting tasks where that was."""

    task: int
    compared: Array
    W: Array


def plain(model: Model) -> Model:
    """The model at mu = 0: the chain is given, and has no price."""
    return replace(model, transfer=LossWeightedL1(mu=0.0))


def predecessor(model: Model, W: Array, learned: list[int], *, ridge: float | None) -> Near:
    """What the next task is held near: the last one learned, or 0 with the weight of the ridge."""
    if learned:
        return Near(W[:, learned[-1]], model.coupling)
    return Near(np.zeros(len(W)), model.coupling if ridge is None else ridge)


def chosen_next(minima: Minima, near: Near, W: Array, learned: list[int], *, reading: str) -> Next:
    """The next task; columns of W are those learned, and single-task ones of the tasks that wait."""
    problem = minima.problem
    waiting = [t for t in range(problem.tasks.T) if t not in set(learned)]
    if reading == "greedy":
        W = minima.at(near, W, waiting)
        compared = minima.costs(near, W)
    else:
        compared = problem.model.weighted_losses(problem.tasks, W)
    least = float(compared[waiting].min())
    task = next(t for t in waiting if compared[t] <= least + _TIE * abs(least))
    return Next(task, compared, W)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify_simple(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    order: tuple[int, ...],
    *,
    reading: str = "greedy",
    ridge: float | None = None,
    tol: float = 1e-8,
) -> Certificate:
    """Judge a simple curriculum step by step, as the convex problems they are.

    B must be the chain of the order. Every predictor is held against its step (gap: ||gradient||^2 /
    (4 weight), for a step is strongly convex with modulus 2 weight; the Newton decrement where that is
    less). Every choice is held against all waiting tasks, whose least values NumPy computes anew: `gap_B` is
    the sum of what other choices would have cost less, each against a lower bound of theirs, and `relative_B`
    the worst such part of a value.

    Parameters
    ----------
    tasks, model, W, B, tol
        As in `certify`.
    order : tuple of int
        The order in which the tasks were learned; an incomplete one does not pass.
    reading : {"greedy", "fixed"}
        How the order is found.
    ridge : float, optional
        Ridge weight of single-task fits and of the first step; default: the coupling.

    Raises
    ------
    DataError
        For wrong shapes or an order that is not a list of different tasks.
    """
    check_tolerance(tol)
    check_alone(model, SIMPLE)
    model = plain(model)
    point = Problem(tasks, model).at(W, B)
    point.problem.check()
    small = in_few_rows(point, order)
    audit = _Audit(small, order, reading=reading, ridge=ridge)
    away = float(np.abs(point.B - chain(order, tasks.T)).max())
    return concluded(
        "curriculum-simple", point, small, audit, order, feasibility=away, tol=tol, demands=_DEMANDS
    )


def chain(order: tuple[int, ...], T: int) -> Array:
    """B (T, T) of an order: an edge of 1 from each task to the next."""
    B = np.zeros((T, T))
    B[list(order[:-1]), list(order[1:])] = 1.0
    return B


class _Audit(Sums):
    """Residuals and gaps of all steps, in the order of learning."""

    def __init__(self, point: Point, order: tuple[int, ...], *, reading: str, ridge: float | None) -> None:
        super().__init__()
        minima, W, T = Minima(point.problem), point.W, point.tasks.T
        alone = predecessor(point.model, W, [], ridge=ridge)
        current = minima.at(alone, np.zeros_like(W), range(T))
        learned: list[int] = []
        for t in order:
            near = predecessor(point.model, W, learned, ridge=ridge)
            miss, size = _missed(minima, near, current, W, t, learned, reading)
            self.gap_B += miss
            self._judge_step(point, minima, near, t)
            ratio = miss / size if miss > 0.0 else 0.0
            self.worst = np.maximum(self.worst, [0.0, miss, 0.0, ratio])
            current[:, t] = W[:, t]
            learned.append(t)

    def _judge_step(self, point: Point, minima: Minima, near: Near, t: int) -> None:
        """Hold the predictor of task t against its step."""
        tasks, w, step = point.tasks, point.W[:, t], minima.step(t, near)
        gradient = step.pull(w[:, None]) + step.coupling(w[:, None])
        self.gap_W += float((gradient**2).sum()) / (4.0 * near.weight)
        gain, by = task_gain(
            point.model.loss,
            tasks.tasks[t],
            w,
            float(step.a[0]),
            coupling=near.weight,
            target=near.target,
            room=np.zeros_like(w),
            turned=tasks.basis is not None,
        )
        self.add_gain(gain, by)
        found = [np.abs(tasks.lift(gradient)).max(), 0.0, step.relative(w[:, None]), 0.0]
        self.worst = np.maximum(self.worst, found)


def _missed(
    minima: Minima, near: Near, current: Array, W: Array, t: int, learned: list[int], reading: str
) -> tuple[float, float]:
    """How much less another choice than t would have cost, and what t cost, at its own predictor."""
    problem = minima.problem
    others = [s for s in range(problem.tasks.T) if s != t and s not in learned]
    if reading == "greedy":
        own = float(minima.costs(near, W)[t])
        candidates = minima.at(near, current, others) if others else current
        least = minima.least(near, candidates, others)
    else:
        losses = problem.model.weighted_losses(problem.tasks, current)
        own, least = float(losses[t]), losses[others]
    return max(0.0, own - float(least.min(initial=math.inf))), own
