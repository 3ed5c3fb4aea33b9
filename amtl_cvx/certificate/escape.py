r"""Whether J has a minimum near a point: what J does, measured, where predictors grow tenfold.

Where I - B is nearly singular, u'(I - B) = sigma v' with a small sigma, the coupling leaves the predictors of
tasks that lie on a cycle of edges free to grow together, and blocks hide what a move of both gains: the gap
of each may be 0 to all digits while J goes on falling. For S such a cycle (a strongly connected part of the
graph; or the tasks on which u lives, should tiny edges connect more) and D = diag(k on S, 1 else) the move

    W -> W D,   B -> D^-1 B D            W - W B -> (W - W B) D

keeps every residual of a task outside of S, scales those within, divides the edges out of S by k and
multiplies those into it. At a first-order point J is stationary along it. J is lower for k = 10 where

* the tasks of S can be fitted without loss (separable labels, n_t < d) by ever longer predictors: what they
  cost, and what their edges cost, falls to 0 as W goes to infinity;
* no row of S sees a direction (features that are constant in its tasks or depend on each other) in which
  their predictors have grown: there the parts F alone grow, W_S -> W_S + (k - 1) F, and edges out of S
  cost the less the longer F is.

The change of J is summed from what changes, so that it is known far beyond the digits of J,

    sum_S c_s (l_s(k w_s) - l_s(w_s)) + R(B') - R(B) + coupling (||R + E||^2 - ||R||^2) + Omega(W') - Omega(W)

with E the change of R = W - W B. A point at which J falls so does not pass, whatever its residuals; any other
is judged by them alone, however near to singular I - B is.

A penalty on W that bounds it (ridge: J >= rho ||W||^2) lets no predictors grow without end: nothing is asked
then. The mean-regularised one leaves all predictors free to move together, and is part of the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.residuals import infeasibility
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import NEARLY_SINGULAR
from amtl_cvx.tasks import Array, Mask, TaskSet
from amtl_cvx.weights import QuadraticPenalty, WeightPenalty

_PART = 1e-3  # of the largest entry of u
_CLEAR = 1e-8  # ratio of squares of singular values: rows see every direction, far from rounding
_FALL = 1e-12  # of J: what counts as a fall
_EPS = float(np.finfo(np.float64).eps)


class Growth(NamedTuple):
    """The tasks S, what grows of their predictors (d, T), and whether that is all of them."""

    tasks: Mask
    F: Array
    whole: bool


def escape(point: Point, *, floor: float = 0.0) -> str:
    """What J does along growing predictors, in words; "" where it does not fall, by more than `floor`."""
    omega = point.model.omega
    if point.sigma_min > NEARLY_SINGULAR or (omega is not None and omega.bounds_W(point.tasks.T)):
        return ""
    tasks, objective, (U, values) = point.tasks, point.objective, point.svd
    found = [np.abs(u) > _PART * np.abs(u).max() for u in U[:, values <= NEARLY_SINGULAR].T[::-1]]
    for chosen in {each.tobytes(): each for each in (*found, *_cycles(point.B))}.values():
        for growth in _growths(tasks, point.W, chosen):
            fall = -change(point, growth, 10.0)
            if fall > max(_FALL * objective, floor):
                what = "the predictors" if growth.whole else "what no row sees of the predictors"
                return (
                    f"J may have no minimum here: it falls by {fall / objective:.1e} of itself when {what} of"
                    f" {_names(tasks, growth.tasks)} grow tenfold and edges make up for it, and I - B is"
                    f" nearly singular ({values[-1]:.1e}); {_remedy(growth.whole)}"
                )
    return ""


def _cycles(B: Array) -> Iterator[Mask]:
    """The strongly connected parts of the graph that have an edge."""
    reach = B != 0.0
    for _ in range(len(B).bit_length()):
        reach = reach | (reach.astype(float) @ reach > 0.0)
    mutual, seen = reach & reach.T, np.zeros(len(B), dtype=bool)
    for t in np.flatnonzero(np.diag(mutual)):
        if not seen[t]:
            seen |= mutual[t]
            yield mutual[t]


def _growths(tasks: TaskSet, W: Array, chosen: Mask) -> Iterator[Growth]:
    """What may grow of W[:, chosen]: all of it, and what no row of these tasks sees."""
    F = W * chosen
    yield Growth(chosen, F, True)
    X = np.vstack([task.X for task, one in zip(tasks, chosen, strict=True) if one])
    squares = np.linalg.eigvalsh(X.T @ X)
    if squares[0] > _CLEAR * squares[-1]:
        return
    _, singular, V = np.linalg.svd(X, full_matrices=False)
    rows = V[singular > singular.max(initial=0.0) * max(X.shape) * _EPS]
    if len(rows) < tasks.d:
        yield Growth(chosen, F - rows.T @ (rows @ F), False)


def change(point: Point, growth: Growth, factor: float) -> float:
    """J where the growth is by `factor` less J at the point, its rounding added."""
    (W, B), model, (S, F, whole), k = point, point.model, growth, factor
    V, C, R, E = W + (k - 1.0) * F, B.copy(), point.R, np.zeros_like(W)
    C[np.ix_(S, ~S)] /= k
    here = there = point.weighted_losses
    if whole:
        C[np.ix_(~S, S)] *= k
        there = point.at(W=V).weighted_losses
        E[:, S] = (k - 1.0) * R[:, S]
    else:
        E[:, S] = (k - 1.0) * (F - F @ B)[:, S]
        E[:, ~S] = (1.0 - 1.0 / k) * ((W * S - F) @ B)[:, ~S]
    if infeasibility(model, C) > 0.0:  # a budget, or a graph that is to be symmetric
        return np.inf
    spent = model.transfer.value(C, there)
    found = float((there - here)[S].sum()) + spent - model.transfer.value(B, here)
    found += model.coupling * float(((2.0 * R + E) * E).sum())
    if model.omega is not None:
        risen, size = _risen(model.omega, W, (k - 1.0) * F)
        found, spent = found + risen, spent + 8.0 * len(B) * size
    size = np.linalg.norm(V, axis=0)
    lost = (np.linalg.norm(2.0 * R + E, axis=0) * (size + size @ np.abs(C)))[E.any(axis=0)].sum()
    return found + _EPS * float(4.0 * model.coupling * lost + spent + here[S].sum())


def _risen(omega: WeightPenalty, W: Array, move: Array) -> tuple[float, float]:
    """Omega(W + move) - Omega(W), and the size of what it is summed from."""
    if not isinstance(omega, QuadraticPenalty):
        after, before = omega.value(W + move), omega.value(W)
        return after - before, after + before
    G = omega.root(W.shape[1])
    size = (np.abs(move) @ np.abs(G)) * ((np.abs(W) + np.abs(W + move)) @ np.abs(G))
    return omega.rho * float(((move @ G) * ((2.0 * W + move) @ G)).sum()), omega.rho * float(size.sum())


def _remedy(whole: bool) -> str:
    cure = "use a penalty on W (--omega ridge:1), "
    if whole:
        return f"{cure}give these tasks more rows or fewer features, or drop them"
    return f"{cure}drop features that are constant in these tasks or depend on others, or give them more rows"


def _names(tasks: TaskSet, which: Mask) -> str:
    names = [repr(tasks.names[t]) for t in np.flatnonzero(which)]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
