r"""Rows on the kink of their loss (hinge, quantile): which they are, and the proof that it is so.

With phi(z) = max(low (z - kink), high (z - kink)), a first-order point has for every row a v in [low, high]
that is low where z < kink and high where z > kink, and with s_t = 1/n_t or 1

    a_t s_t sum_i v_ti x_ti + 2 coupling (W P)_t = 0

Let X be a box of W and B, the entries of B off the support included. The sides are proved on X by

    x_i'w_t - kink_i keeps its sign on X for every row off K
    V_t = -L_t (rest_t(X) / (a_t s_t)) + (I - L_t X_K') [low, high]  strictly inside [low, high] on K

L_t any approximate left inverse of X_K' (d, |K|), rest_t the sum above without K. V_t holds the v of every
first-order point in X, so each has all rows of K on their kinks, costs nothing there and solves the
polynomial system of `system`, whatever eta. That system is affine in eta with a Jacobian independent of it:
if all of J(X) is regular, two solutions (y, eta), (y', eta') with y, y' in X would have J~ (difference) = 0
for some J~ in J(X); there is one at most. No first-order point in X has another active set.

Strict local minimum: near the point, with eta strictly inside and G_B > 0 off the support,

    J - J* >= L - L* + delta (sum over K of |x_k'w_t - kink_k| + sum off the support of B_st)

L the Lagrangian, delta > 0. Where its Hessian is positive definite on the moves that keep K on the kinks,
the linear terms outweigh what is left of L, and J grows at least quadratically. A bordered Hessian
[[H, A'], [A, 0]] that is regular has |K| negative eigenvalues if and only if H is positive definite on the
kernel of A (Gould, Mathematical Programming 32, 1985). Which rows are tried comes from the multipliers of
least gap (`certificate.fenchel`); nothing of the proof rests on that choice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.fenchel import kinked_multipliers
from amtl_cvx.digits.krawczyk import Undecided, largest, newton
from amtl_cvx.digits.rows import Sides, positive
from amtl_cvx.digits.system import FirstOrderSystem, unknowns
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import TaskSet

_INSIDE = 1e-7  # share of its interval by which a multiplier keeps away from both ends on a kink, at first
_CHANGES = 10


def near_point(
    point: Point, free: Sequence[int], tolerance: arb
) -> tuple[FirstOrderSystem, arb_mat, arb_mat]:
    """A system for the free atoms, an approximate root next to (W, B) and inverse of the Jacobian there.

    The first sides are those of the multipliers of least gap. At the root that follows, a row of K whose
    multiplier left its interval goes to that side, and a row found on the other side of its kink joins K.
    """
    tasks, model, W = point.tasks, point.model, point.W
    if model.loss.smooth:
        system = FirstOrderSystem(tasks, model, free)
        return system, *newton(system, unknowns(W, point.coefficients, free), tolerance)
    u, sides = first_rows(point)
    for _ in range(_CHANGES):
        sides, dropped = _independent(tasks, model, W, sides)
        system = FirstOrderSystem(tasks, model, free, sides)
        weight = point.loss_weight
        eta = [float(weight[t] * model.loss.scale(tasks[t]) * u[t][k]) for t, k in system.kinks]
        x, inverse = newton(system, unknowns(W, point.coefficients, free, eta), tolerance)
        _need_apart(system, x, dropped, tolerance)
        if (changed := _sides_at(system, x)) == sides:
            break
        sides = changed
    return system, x, inverse


def first_rows(point: Point) -> tuple[tuple[Array, ...], Sides]:
    """Multipliers of least gap, T arrays (n_t,), and the sides that they say."""
    u = kinked_multipliers(point)
    return u, _first_sides(point.tasks, point.model, u)


def row_margin(system: FirstOrderSystem, box: arb_mat, around: arb) -> arb:
    """How far the v of the rows on a kink stay inside [low, high] on the box; proved positive.

    Entries of B off the support are `around`.
    """
    smallest = arb.pos_inf()
    if not system.kinks:
        return smallest
    at = system.state(box, around)
    slopes = system.slopes_W(at, system.losses(at.W))
    for t in range(system.T):
        rows = [k for task, k in system.kinks if task == t]
        wedges = [system.wedges[t][k] for k in rows]
        for k, wedge, v in zip(
            rows, wedges, _row_multipliers(system, t, rows, slopes[t], at.weights[t]), strict=True
        ):
            name = f"row {k} of {system.tasks.names[t]!r}"
            margin = positive(
                (v - wedge.low).min(wedge.high - v),
                f"{name} does not stay on its kink: its multiplier would be {float(v.mid()):.2g}",
                f"the multiplier of {name}, on its kink, is at the end of its interval to all digits:"
                " strict complementarity fails",
            )
            smallest = smallest.min(margin)
    return smallest


def _first_sides(tasks: TaskSet, model: Model, multipliers: Sequence[Array]) -> Sides:
    sides = []
    for task, u in zip(tasks, multipliers, strict=True):
        low, high = model.loss.on(task.sample_weight).domain(task.y)
        share = (u - low) / (high - low)
        kinks = model.loss.kinks(task.y)
        side = np.where(share < _INSIDE, -1, np.where(share > 1.0 - _INSIDE, 1, 0))
        sides.append(tuple(np.where(task.X.any(axis=1), side, np.sign(-kinks)).astype(int).tolist()))
    return tuple(sides)


def _sides_at(system: FirstOrderSystem, x: arb_mat) -> Sides:
    """The sides that the root of a system asks for."""
    assert system.sides is not None
    at = system.state(x)
    eta = dict(zip(system.kinks, x.entries()[system.size - len(system.kinks) :], strict=True))
    sides = []
    for t, before in enumerate(system.sides):
        after = list(before)
        for i, (z, side) in enumerate(zip(system.predictions(at.W, t), before, strict=True)):
            wedge = system.wedges[t][i]
            if (t, i) in eta:
                v = eta[t, i] / (at.weights[t] * system.scales[t])
                after[i] = -1 if v < wedge.low else 1 if v > wedge.high else 0
            elif side * (z - wedge.kink) < 0:
                after[i] = 0
        sides.append(tuple(after))
    return tuple(sides)


def _independent(tasks: TaskSet, model: Model, W: Array, sides: Sides) -> tuple[Sides, list[tuple[int, int]]]:
    """The sides with rows on kinks that are linearly independent, exactly, and the others: on a side each.

    The rows nearest to their kinks stay.
    """
    kept, dropped = [], []
    for t, (task, side) in enumerate(zip(tasks, sides, strict=True)):
        kinks = model.loss.kinks(task.y)
        beyond, after, exact = task.X @ W[:, t] - kinks, list(side), []
        for k in np.argsort(np.abs(beyond)).tolist():
            if side[k] == 0 and task.X[k].any():
                exact.append([fmpq(*x.as_integer_ratio()) for x in task.X[k].tolist()])
                if fmpq_mat(exact).rank() < len(exact):
                    exact.pop()
                    dropped.append((t, k))
                    after[k] = 1 if beyond[k] > 0 else -1
        kept.append(tuple(after))
    return tuple(kept), dropped


def _need_apart(
    system: FirstOrderSystem, x: arb_mat, dropped: Sequence[tuple[int, int]], tolerance: arb
) -> None:
    """`NotCertifiable` where a row that depends on those of K is on its kink at the root as well."""
    W = system.state(x).W
    for t, k in dropped:
        reach = 1000 * tolerance * largest(x).max(arb(1)) * (1 + sum(abs(a) for a in system.X[t].tolist()[k]))
        if not abs(system.predictions(W, t)[k] - system.wedges[t][k].kink) > reach:
            others = ", ".join(str(j) for u, j in system.kinks if u == t)
            raise NotCertifiable(
                f"degenerate: row {k} of {system.tasks.names[t]!r} lies on its kink like the rows {others},"
                " and they are linearly dependent, so that their multipliers are not unique"
            )


def _row_multipliers(
    system: FirstOrderSystem, t: int, rows: Sequence[int], slope: Sequence[arb], weight: arb
) -> list[arb]:
    """V_t of the module essay."""
    if not rows:
        return []
    XK = arb_mat([[system.X[t][k, i] for i in range(system.d)] for k in rows])
    try:
        left = ((XK * XK.transpose()).mid().inv().mid() * XK).mid()
    except ZeroDivisionError:
        raise Undecided(f"rows of {system.tasks.names[t]!r} on their kinks are linearly dependent") from None
    rest = arb_mat(system.d, 1, [value / (weight * system.scales[t]) for value in slope])
    wedges = [system.wedges[t][k] for k in rows]
    whole = arb_mat(len(rows), 1, [wedge.low.union(wedge.high) for wedge in wedges])
    identity = arb_mat([[int(i == j) for j in range(len(rows))] for i in range(len(rows))])
    return list(((identity - left * XK.transpose()) * whole - left * rest).entries())
