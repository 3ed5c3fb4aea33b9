r"""Predictors by themselves (B = 0): J is convex in W, so what W can gain bounds it from below everywhere.

    J(W) = sum_t c_t L_t(w_t) + coupling ||W||_F^2 + Omega(W),      min J  >=  J(W) - gain_W

gain_W is the gap of Fenchel's dual at u = phi'(z) or at multipliers of rows on kinks, or that of the Newton
decrement (`bounds`), with room for rounding: "convex-duality", in floating point (theory.md section 14).

At coupling 0 a quadratic Omega may leave predictors free to move together, and without Omega each is free:
K is singular, and so is the Hessian in directions that no row sees. Omega joins tasks s, t only where
(|K| |K|')_st > 0. With C the parts of tasks that are joined, Q_C an orthonormal basis of what the rows of C
span, W_C = Q_C Z_C + V_C,

    J(W) = sum_C F_C(Z_C) + Omega(V),      F_C(Z) = sum_{t in C} c_t L_t(Q_C z_t) + weight ||Z K_C||_F^2

because the cross terms of Omega are 0. So min J = sum_C min F_C, each F_C is judged in its own coordinates,
and what J is above their sum is gained by dropping V. F_C >= 0 gains at most F_C.

An Omega with kinks joins all tasks. With Z where Omega* is finite (`OmegaDual`), g = G(phi') + Z, and W* a
minimiser, Omega(W*) <= J(W),

    J(W) - J(W*)  <=  [Omega(W) + Omega*(Z) - <Z, W>] + ||g||_F (||W||_F + radius),   radius = max ||W*||_F

where Omega bounds W, or what tasks differ by (`reach`). It needs no curvature, so that features may outnumber
rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from amtl_cvx.certificate.bounds import ENOUGH, WeightProblem
from amtl_cvx.certificate.falling import falls_for_ever
from amtl_cvx.certificate.fenchel import within_domain
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.levels import EXCESS, FACTORS
from amtl_cvx.certificate.reach import longest_of_no_higher_J
from amtl_cvx.certificate.room import SUMMED, loss_room
from amtl_cvx.certificate.verdict import Certificate
from amtl_cvx.certificate.w_step import DENSE_LIMIT, WeightEvidence, weight_problem
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Point
from amtl_cvx.problem.kinks import KinkedProblem, KinkedRows
from amtl_cvx.problem.squares import Squares
from amtl_cvx.rowspace import span
from amtl_cvx.tasks import Array, Indices, Task, TaskSet
from amtl_cvx.weights import WeightPenalty

METHOD = "convex-duality"
_CONVEX = "the level is about W and B together; predictors by themselves are a convex problem, see C5"
_EPS = float(np.finfo(np.float64).eps)


def alone_evidence(
    point: Point, found: WeightEvidence, *, multipliers: Sequence[Array] | None
) -> WeightEvidence:
    """What is known about W at coupling 0, part by part where one system of all of them says nothing."""
    value = point.objective
    if point.least_of_K > 0.0 or found.judged <= ENOUGH * value:
        return found
    if point.model.prox_omega is not None:
        return _penalised(point, point.model.prox_omega, found)
    gain, by, names = 0.0, "decrement", list[str]()
    held = point.model.omega is not None and point.model.omega.bounds_W(point.tasks.T)
    rest = value
    for part in joined(point.K):
        problem = _problem(point, part, multipliers)
        if problem is None:
            rest -= float((point.loss_weight * point.problem.losses_at_zero)[part].sum())
            continue
        judged = problem.judged()
        gain += min(judged.gain, problem.value * (1.0 + SUMMED))
        rest -= problem.value
        by = by if judged.by == "decrement" else "gap"
        if not (held or judged.gain < math.inf) and falls_for_ever(problem):
            names += [repr(task.name) for task in problem.tasks]
    gain += max(rest, 0.0) + rounding_of_value(point)
    reasons = dict(found.reasons)
    if names:
        reasons["minimum"] = _no_minimum(names)
    return _with_gain(found, gain, by, reasons)


def _penalised(point: Point, omega: WeightPenalty, found: WeightEvidence) -> WeightEvidence:
    """The same for an Omega with kinks."""
    problem, reasons = weight_problem(point, None), dict(found.reasons)
    assert problem.omega is not None
    slope = problem.slope(None, True)
    off = float(np.linalg.norm(slope.gradient)) + float(np.linalg.norm(slope.entries()))
    reach = longest_of_no_higher_J(point, omega, problem.omega.Z, off) + float(np.linalg.norm(point.W))
    gain = (problem.omega.mismatch + problem.omega.room + off * reach) * (1.0 + SUMMED)
    free = np.ones((1, point.tasks.T))
    if not (math.isfinite(min(gain, found.judged)) or omega.value(free) > 0.0):  # what is common to all
        K = np.eye(point.tasks.T) - 1.0 / point.tasks.T
        if falls_for_ever(replace(problem, squares=Squares(K, False, 1.0))):
            reasons["minimum"] = _no_minimum([repr(task.name) for task in point.tasks])
    return _with_gain(found, gain, "gap", reasons)


def _with_gain(found: WeightEvidence, gain: float, by: str, reasons: dict[str, str]) -> WeightEvidence:
    """The evidence with another bound if that is sharper."""
    if not gain < found.judged:
        return found._replace(reasons=reasons)
    reasons.pop("gain_W", None)
    return found._replace(judged=gain, by=by, reasons=reasons)


def kinked_parts(point: Point) -> tuple[Array, tuple[Array, ...]]:
    """The minimum of a loss with kinks at coupling 0, (d, T), and multipliers (n_t,) of every task, by parts.

    A task by itself that is fitted without loss has many minima: it stays at one of them, and its slopes are
    multipliers.
    """
    W, found = point.W.copy(), dict[int, Array]()
    for part in joined(point.K):
        tasks = TaskSet(tasks=tuple(point.tasks[int(t)] for t in part))
        rows, root = KinkedRows.of(tasks, point.model.loss), point.K[part]
        solved = KinkedProblem.at(
            rows, weight=point.loss_weight[part], root=np.sqrt(2.0 * point.square_weight) * root
        ).minimum(point.W[:, part])
        if root.any():
            W[:, part] = solved.W
            found |= dict(zip(part.tolist(), solved.multipliers, strict=True))
        else:
            t, w = int(part[0]), solved.W[:, 0]
            W[:, t], found[t] = _by_itself(point.model.loss, tasks[0], (w, W[:, t]), solved.multipliers[0])
    return W, tuple(found[t] for t in range(point.tasks.T))


def _by_itself(loss: Loss, task: Task, ways: tuple[Array, Array], solved: Array) -> tuple[Array, Array]:
    """The better of two predictors, and of `solved` and the slopes there what is nearer to multipliers."""
    w = min(ways, key=lambda each: loss.value(task, each))
    slopes = loss.on(task.sample_weight).slopes(task.X @ w, task.y)
    off = [float(np.abs(u @ task.X).max()) for u in (solved, slopes)]
    return w, solved if off[0] <= off[1] else slopes


def joined(K: Array) -> Iterator[Indices]:
    """The tasks that Omega joins, part by part."""
    sizes = np.abs(K)
    count, labels = sp.csgraph.connected_components(sp.csr_array(sizes @ sizes.T > 0.0), directed=False)
    yield from (np.flatnonzero(labels == number) for number in range(count))


def _problem(point: Point, part: Indices, multipliers: Sequence[Array] | None) -> WeightProblem | None:
    """F_C at Z_C; None for tasks without a row that is not 0, whose F_C is a number."""
    loss, weight, a = point.model.loss, point.square_weight, point.loss_weight[part]
    chosen = TaskSet(tasks=tuple(point.tasks[int(t)] for t in part))
    basis = span(np.vstack([task.X for task in chosen]))
    if not basis.size:
        return None
    turned = chosen.in_basis(basis)
    Z, K = basis.T @ point.W[:, part], point.K[part]
    losses = [rate * loss.value(task, z) for rate, task, z in zip(a, turned, Z.T, strict=True)]
    own = None if multipliers is None else [multipliers[int(t)] for t in part]
    return WeightProblem(
        loss=loss,
        tasks=turned.tasks,
        turned=True,
        scores=None,
        W=Z,
        squares=Squares(K, False, weight),
        a=a,
        coupling=weight,
        multipliers=None if own is None else within_domain(loss, chosen, own),
        dense=Z.size <= DENSE_LIMIT,
        value=weight * float(((Z @ K) ** 2).sum()) + float(sum(losses)),
        sigma=0.0,
    )


def rounding_of_value(point: Point) -> float:
    """What J(W, 0) may be off by: the losses by their scores' rounding, W K by that of its sums."""
    W, K = np.abs(point.W), np.abs(point.K)
    off = _EPS * (len(K) + 2) * (W @ K)
    squares = point.square_weight * float(((2.0 * np.abs(point.W @ point.K) + off) * off).sum())
    losses = float((point.problem.task_weight * loss_room(point)).sum())
    return losses + squares + SUMMED * abs(point.objective)


def _no_minimum(names: Sequence[str]) -> str:
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"J has no minimum: no row of {few} speaks against a direction in which their predictors grow, and"
        " the loss falls for ever along it; use a penalty on W (--omega ridge:1), or more rows"
    )


def with_bound(certificate: Certificate, point: Point) -> Certificate:
    """The certificate of predictors by themselves with J - gain_W as a bound of J, and C5 where it is close.

    It is where J is above the bound by at most min(tol, `EXCESS`) |J| and the point passes.
    """
    gain = certificate.gain_W
    reasons = {**certificate.reasons, "C3": _CONVEX, "C4": _CONVEX}
    certificate = replace(certificate, reasons=reasons, refused=("C3", "C4"))
    if any(task.compressed for task in point.tasks):
        refused = (*certificate.refused, "C5")
        return replace(certificate, reasons={**reasons, "C5": FACTORS}, refused=refused)
    if certificate.level is None or gain is None or not math.isfinite(gain):
        why = reasons.get("minimum") or reasons.get("gain_W", "no bound is proved")
        return replace(certificate, reasons={**reasons, "C5": why})
    room = rounding_of_value(point)
    return bounded(certificate, gain, room, above="J is above its lower bound")


def bounded(certificate: Certificate, gap: float, room: float, *, above: str) -> Certificate:
    """The certificate of a convex problem with J - gap as a bound of J, and C5 where it is close.

    `room` is what rounding can do to J, `above` how the reason begins that a point is not close.
    """
    J = certificate.objective
    lower, upper = max(math.nextafter(J - gap - room, -math.inf), 0.0), math.nextafter(J + room, math.inf)
    excess = math.nextafter(upper - lower, math.inf)
    limit = min(certificate.tol, EXCESS) * abs(J)
    close = excess <= limit or not J > 0.0
    found = replace(
        certificate,
        level="C5" if certificate.passes and close else certificate.level,
        global_lower=lower,
        global_upper=upper,
        global_width=excess / upper,
        global_excess=excess,
        global_method=METHOD,
    )
    if not certificate.passes or close:
        return found
    why = f"{above} by up to {rounded_up(excess)}, more than {rounded_up(limit)}"
    return replace(found, reasons={**certificate.reasons, "C5": why})
