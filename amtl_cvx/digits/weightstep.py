r"""The W-step over the rationals: a convex piecewise quadratic problem by an exact active-set method.

    min over W of  sum_i omega_i phi_i(z_i) + tr(W P W'),   P = coupling M M' + rho Gamma,  omega_i = a_t s_t

for rows of `pieces`. Its dual is max over low <= u <= high of -sum_i omega_i phi*_i(u_i) - tr(G P^-1 G') / 4,
G = sum_i omega_i u_i x_i e_t(i)', a box QP, with W = -G P^-1 / 2. Rows are free or at an end. For given free
rows F the dual optimum solves, in W and eta_k = omega_k u_k of the free rows on kinks (q = 0),

    2 W P + sum over F, q = 1 of omega 2 r_i x_i + sum over F, q = 0 of eta_k x_k + sum off F of omega u x = 0
    r_k = 0 over F, q = 0

The method goes from face to face of the box. On a face u moves towards this optimum, and rows that come to an
end on the way leave F. There, a row at an end whose slope q u / 2 - r points inside enters. A kinked row
that depends on those of F enters along the combination that leaves G as it is, where the dual is linear,
until a row comes to an end: F stays independent. The dual rises strictly from optimum to optimum, so that no
face comes twice, and it ends with a gap of exactly 0. From a W that is right to a few digits the first face
is the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from flint import fmpq, fmpq_mat

from amtl_cvx.digits.kinks import first_rows
from amtl_cvx.digits.pieces import Piecewise, exact
from amtl_cvx.limits import check_time
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import Array, TaskSet


class ExactRow(NamedTuple):
    """x of one row of task t, its loss and its omega."""

    t: int
    x: list[fmpq]
    loss: Piecewise
    weight: fmpq


class WeightStep:
    """The method of the module essay; `u` is the dual point, `free` the rows of F."""

    def __init__(self, rows: Sequence[ExactRow], P: fmpq_mat, d: int) -> None:
        self.rows, self.P, self.d, self.T = list(rows), P, d, P.nrows()
        self.u = [fmpq(0)] * len(self.rows)
        self.free: list[int] = []
        self.of_task = [[i for i, row in enumerate(self.rows) if row.t == t] for t in range(self.T)]
        self.X = [fmpq_mat([self.rows[i].x for i in own]) if own else fmpq_mat(0, d) for own in self.of_task]

    def start(self, tried: Sequence[fmpq], sides: Sequence[int]) -> None:
        """Begin at u = `tried`; a row of side -1 or 1 at its lower or upper end."""
        for i, (row, u, side) in enumerate(zip(self.rows, tried, sides, strict=True)):
            self.u[i] = row.loss.end(side) if side else row.loss.clipped(u)
        self.free = []
        for i, row in enumerate(self.rows):
            if row.loss.inside(self.u[i]) and (row.loss.curved or self._combination(i) is None):
                self.free.append(i)
            elif row.loss.inside(self.u[i]):
                self.u[i] = row.loss.end(-1)

    def minimise(self) -> fmpq_mat:
        """W, (d, T); `ZeroDivisionError` where it is not unique."""
        while True:
            check_time("the exact W-step went from face to face")
            W = self._settle()
            z = self._scores(W)
            inwards = {i: pull for i in range(len(self.rows)) if (pull := self._inwards(i, z[i])) > 0}
            if not inwards:
                return W
            self._enter(max(inwards, key=inwards.__getitem__))

    def gradient(self, W: fmpq_mat) -> fmpq_mat:
        """sum_i omega_i u_i x_i e_t' + 2 W P, (d, T)."""
        pulls = [self._pull(t, self.of_task[t]) for t in range(self.T)]
        return fmpq_mat([[pull[k, 0] for pull in pulls] for k in range(self.d)]) + 2 * W * self.P

    def mismatch(self, W: fmpq_mat) -> fmpq:
        """sum_i omega_i (phi(z) + phi*(u) - u z), each >= 0: the gap where the gradient is 0."""
        total = fmpq(0)
        for row, u, z in zip(self.rows, self.u, self._scores(W), strict=True):
            total += row.weight * (row.loss.value(z) + row.loss.conjugate(u) - u * z)
        return total

    def _scores(self, W: fmpq_mat) -> list[fmpq]:
        """z of every row."""
        found = [fmpq(0)] * len(self.rows)
        for t, own in enumerate(self.of_task):
            scores = self.X[t] * fmpq_mat(self.d, 1, [W[k, t] for k in range(self.d)])
            for i, z in zip(own, scores.entries(), strict=True):
                found[i] = z
        return found

    def _pull(self, t: int, some: Sequence[int]) -> fmpq_mat:
        """sum of omega u x over some rows of task t, (d, 1)."""
        chosen = set(some)
        u = [self.rows[i].weight * self.u[i] if i in chosen else fmpq(0) for i in self.of_task[t]]
        return self.X[t].transpose() * fmpq_mat(len(u), 1, u)

    def _settle(self) -> fmpq_mat:
        """W at the dual optimum over the free rows, those left out that come to an end on the way."""
        while True:  # each time a row leaves
            W, aims = self._solve()
            ways = list(zip(self.free, aims, strict=True))
            rooms = [_room(self.rows[i].loss, self.u[i], aim) for i, aim in ways]
            length = min((room for room in rooms if room is not None), default=None)
            for i, aim in ways:
                self.u[i] = aim if length is None else self.u[i] + length * (aim - self.u[i])
            if length is None:
                return W
            self.free = [i for i in self.free if self.rows[i].loss.inside(self.u[i])]

    def _solve(self) -> tuple[fmpq_mat, list[fmpq]]:
        """W and the u of the free rows at the optimum of their face."""
        T, d, n = self.T, self.d, self.T * self.d
        kinks = [i for i in self.free if not self.rows[i].loss.curved]
        H = [[fmpq(0)] * (n + len(kinks)) for _ in range(n + len(kinks))]
        right, free = [fmpq(0)] * n + [self.rows[i].loss.centre for i in kinks], set(self.free)
        for t in range(T):
            for u in range(T):
                for k in range(d):
                    H[t * d + k][u * d + k] = 2 * self.P[t, u]
            self._add_curved(H, right, t)
            pull = self._pull(t, [i for i in self.of_task[t] if i not in free])
            for k in range(d):
                right[t * d + k] -= pull[k, 0]
        for c, i in enumerate(kinks, start=n):
            row = self.rows[i]
            for k, x in enumerate(row.x):
                H[c][row.t * d + k] = H[row.t * d + k][c] = x
        found = fmpq_mat(H).solve(fmpq_mat(len(H), 1, right)).entries()
        W = fmpq_mat([[found[t * d + k] for t in range(T)] for k in range(d)])
        eta, z = dict(zip(kinks, found[n:], strict=True)), self._scores(W)
        aims = [
            eta[i] / self.rows[i].weight if i in eta else 2 * (z[i] - self.rows[i].loss.centre)
            for i in self.free
        ]
        return W, aims

    def _add_curved(self, H: list[list[fmpq]], right: list[fmpq], t: int) -> None:
        """2 omega x x' and 2 omega centre x of the free rows of task t with q = 1."""
        rows = [self.rows[i] for i in self.free if self.rows[i].t == t and self.rows[i].loss.curved]
        if not rows:
            return
        X, d = fmpq_mat([row.x for row in rows]), self.d
        twice = fmpq_mat([[2 * row.weight * x for x in row.x] for row in rows]).transpose()
        block = twice * X
        pull = twice * fmpq_mat(len(rows), 1, [row.loss.centre for row in rows])
        for k in range(d):
            right[t * d + k] += pull[k, 0]
            for j in range(d):
                H[t * d + k][t * d + j] += block[k, j]

    def _inwards(self, i: int, z: fmpq) -> fmpq:
        """How steeply the dual rises where the u of a row at an end moves inside; 0 of a free row."""
        row, u = self.rows[i], self.u[i]
        if row.loss.inside(u):
            return fmpq(0)
        rise = row.weight * (z - row.loss.centre - (u / 2 if row.loss.curved else 0))
        return rise if row.loss.low is not None and u == row.loss.low else -rise

    def _enter(self, j: int) -> None:
        if self.rows[j].loss.curved or (along := self._combination(j)) is None:
            self.free = [*self.free, j]
        else:
            self._exchange(j, along)

    def _combination(self, j: int) -> dict[int, fmpq] | None:
        """x_j as a combination of the kinked free rows of its task; None where it is none."""
        row = self.rows[j]
        others = [i for i in self.free if self.rows[i].t == row.t and not self.rows[i].loss.curved]
        if not others:
            return None if any(row.x) else {}
        X, x = fmpq_mat([self.rows[i].x for i in others]), fmpq_mat(self.d, 1, row.x)
        shares = (X * X.transpose()).solve(X * x)
        return dict(zip(others, shares.entries(), strict=True)) if X.transpose() * shares == x else None

    def _exchange(self, j: int, along: dict[int, fmpq]) -> None:
        """Move u_j inside, and the others with it so that G stays, until one of them comes to an end."""
        row = self.rows[j]
        sign = 1 if self.u[j] == row.loss.low else -1
        shares = {i: share * row.weight / self.rows[i].weight for i, share in along.items()}
        moves = {**{i: -sign * share for i, share in shares.items()}, j: fmpq(sign)}
        rooms = [_way(self.rows[i].loss, self.u[i], move) for i, move in moves.items()]
        length = min(room for room in rooms if room is not None)
        for i, move in moves.items():
            self.u[i] += length * move
        self.free = [i for i in [*self.free, j] if self.rows[i].loss.inside(self.u[i])]


def first_duals(tasks: TaskSet, model: Model, B: Array) -> tuple[list[fmpq], list[int]]:
    """u and sides of the rows at the W-step in doubles, where the exact method begins."""
    W = minimal_weights(Problem(tasks, model).at(np.zeros((tasks.d, tasks.T)), B))
    if not model.loss.smooth:
        u, sides = first_rows(Problem(tasks, model).at(W, B))
        once = [each / task.weights for each, task in zip(u, tasks, strict=True)]
        return [exact(v) for each in once for v in each.tolist()], [side for each in sides for side in each]
    duals, ends = [], []
    for task, w in zip(tasks, W.T, strict=True):
        v, (low, high) = model.loss.slopes(task.X @ w, task.y), model.loss.domain(task.y)
        duals += [exact(each) for each in v.tolist()]
        ends += np.where(v <= low, -1, np.where(v >= high, 1, 0)).tolist()
    return duals, ends


def _room(loss: Piecewise, u: fmpq, aim: fmpq) -> fmpq | None:
    """The part of the way to `aim` until u comes to an end; None where it does not."""
    return None if loss.inside(aim) else _way(loss, u, aim - u)


def _way(loss: Piecewise, u: fmpq, move: fmpq) -> fmpq | None:
    """How many times `move` can be added to u until it comes to an end; None without one."""
    end = loss.high if move > 0 else loss.low
    return None if end is None or move == 0 else (end - u) / move
