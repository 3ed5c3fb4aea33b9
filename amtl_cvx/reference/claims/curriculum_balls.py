"""A curriculum in ball arithmetic: starts, choices, rows and refits, each from balls of what came before.

A refit is strongly convex with modulus 2 coupling, so that a residual proves a radius, and its answer moves
by no more than its target, and by ||grad L|| / (2 coupling) times what the weight of the loss moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from amtl_cvx.arrays import Array
from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.prices import linear_prices
from amtl_cvx.digits.proof import check_rows
from amtl_cvx.digits.rows import TaskRows, exact_task_weights
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Loss
from amtl_cvx.reference.claims.balls import DIGITS, DPS, ENOUGH, STEPS, ball_norm, named, stacked
from amtl_cvx.tasks import Task, TaskSet

Vector = list[arb]


def curriculum_digits(problem: Any, solution: Mapping[str, Array]) -> dict[str, Any]:
    """What digits.json holds of a curriculum; `NotCertifiable` with the reason where it is not proved."""
    point = problem.at(solution["W"], solution["B"])
    check_rows(point.tasks, point.model.loss)
    if not point.model.loss.smooth:
        raise NotCertifiable("a curriculum is proved for smooth losses")
    with ctx.workdps(DPS):
        found = _Curriculum(problem)
        while len(found.order) < point.tasks.T:
            found.learn_next()
        if found.order != [int(t) for t in np.asarray(solution["order"]).tolist()]:
            raise NotCertifiable(f"the order is another one: {found.order}")
        return _told(point, found)


def _told(point: Any, found: _Curriculum) -> dict[str, Any]:
    T, d = point.tasks.T, point.tasks.d
    W = arb_mat([[found.W[t][i] for t in range(T)] for i in range(d)])
    pairs = [(s, t) for s in range(T) for t in range(T) if s != t]
    free = [k for k, (s, t) in enumerate(pairs) if not found.B[s][t].is_zero()]
    system = FirstOrderSystem(point.tasks, point.model, free)
    J = system.objective(stacked(W, [found.B[pairs[k][0]][pairs[k][1]] for k in free]))
    entries = [*W.entries(), *(value for row in found.B for value in row)]
    if not all(entry.is_finite() for entry in (*entries, J)):
        raise NotCertifiable("a step of the curriculum is not enclosed")
    radius = max((arb(entry.rad()) for entry in entries), default=arb(0))
    return named(
        point,
        {
            "W": [[decimal(value, DIGITS) for value in row] for row in W.tolist()],
            "B": [["0" if v.is_zero() else decimal(v, DIGITS) for v in row] for row in found.B],
            "order": list(found.order),
            "objective": decimal(J, DIGITS),
            "radius": at_most(radius),
            "method": "every step in balls",
            "dps": DPS,
        },
    )


class _Curriculum:
    """The tasks learned so far: W by tasks, B by rows, and the order."""

    def __init__(self, problem: Any) -> None:
        self.tasks, self.model = problem.tasks, problem.model
        self.T, self.lam = self.tasks.T, arb(float(self.model.coupling))
        self.c = exact_task_weights(self.tasks, self.model.task_weights, self.model.task_weight(self.tasks))
        self.prices = linear_prices(self.model.transfer, self.T)
        self.rows = [TaskRows(TaskSet(tasks=(task,)), self.model.loss) for task in self.tasks]
        zero = [arb(0)] * self.tasks.d
        self.W = [self.refit(t, self.c[t], zero) for t in range(self.T)]
        self.B = [[arb(0)] * self.T for _ in range(self.T)]
        self.order: list[int] = []

    def learn_next(self) -> None:
        """Eq. 5 for all waiting tasks, then eq. 6 of the best one."""
        waiting = [t for t in range(self.T) if t not in self.order]
        rows = {t: self.outgoing(t, waiting) for t in waiting}
        best = min(waiting, key=lambda t: float(rows[t][1].mid()))
        for t in waiting:
            if t != best and not rows[t][1] > rows[best][1]:
                raise NotCertifiable(
                    f"the tasks {best} and {t} cost the same to all digits: the order is a tie"
                )
        self.B[best] = rows[best][0]
        fixed, unit = self.prices[best]
        gain = 1 + (arb(unit) - arb(fixed)) * sum(self.B[best], arb(0))
        target = [
            sum((self.W[j][i] * self.B[j][best] for j in self.order), arb(0)) for i in range(self.tasks.d)
        ]
        self.W[best] = self.refit(best, self.c[best] * gain, target)
        self.order.append(best)

    def outgoing(self, t: int, waiting: Sequence[int]) -> tuple[Vector, arb]:
        """The row of eq. 5 and its cost."""
        d, w = self.tasks.d, self.W[t]
        weighted = self.c[t] * self.loss(t, w).values[0]
        fixed, unit = self.prices[t]
        price = arb(fixed) + (arb(unit) - arb(fixed)) * weighted
        size = sum((v * v for v in w), arb(0))
        row, cost = [arb(0)] * self.T, weighted
        for s in waiting:
            if s == t:
                continue
            r = [
                self.W[s][i] - sum((self.W[j][i] * self.B[j][s] for j in self.order), arb(0))
                for i in range(d)
            ]
            pull = sum((a * b for a, b in zip(r, w, strict=True)), arb(0)) - price / (2 * self.lam)
            if pull > 0:
                if not size > 0:
                    raise NotCertifiable("the length of a predictor is 0 to all digits")
                row[s] = pull / size
            elif not (pull < 0 or pull.is_zero()):
                raise NotCertifiable("an edge of a curriculum is 0 to all digits: degenerate")
            cost = cost + price * row[s]
            cost += self.lam * sum(((a - row[s] * b) ** 2 for a, b in zip(r, w, strict=True)), arb(0))
        return row, cost

    def loss(self, t: int, w: Sequence[arb]) -> Any:
        """L_t and its gradient at balls."""
        try:
            return self.rows[t].losses(arb_mat(len(w), 1, list(w)))
        except Undecided as seam:
            raise NotCertifiable(f"{seam}") from seam

    def refit(self, t: int, a: arb, target: Sequence[arb]) -> Vector:
        """argmin of a L_t(w) + coupling ||w - target||^2 for every a and target in their balls."""
        v, rate = [each.mid() for each in target], a.mid()
        w = [
            arb(x) for x in near(self.model.loss, self.tasks[t], float(rate), self.model.coupling, v).tolist()
        ]
        goal = arb(10) ** -ENOUGH
        for count in range(STEPS):
            gradient = self.loss(t, w).gradients[0].entries()
            g = [rate * slope + 2 * self.lam * (x - y) for slope, x, y in zip(gradient, w, v, strict=True)]
            size = ball_norm([g])
            if size < goal * self.lam * (ball_norm([w]) + arb(10) ** -20):
                break
            if count % 8 == 0:
                at = np.array([float(x.mid()) for x in w])
                H = float(rate) * self.model.loss.hessian(self.tasks[t], at)
                inverse = np.linalg.inv(H + 2.0 * self.model.coupling * np.eye(len(w)))
            unit = arb(2) ** int(np.floor(np.log2(float(size.mid()))))
            step = inverse @ np.array([float((x / unit).mid()) for x in g])
            w = [(x - arb(float(s)) * unit).mid() for x, s in zip(w, step, strict=True)]
        else:
            raise NotCertifiable("Newton's method does not settle at a refit")
        moved = ball_norm([[x - y for x, y in zip(target, v, strict=True)]])
        radius = size / (2 * self.lam) + moved
        around = [x + arb(0, radius.upper()) for x in w]
        steep = ball_norm([self.loss(t, around).gradients[0].entries()])
        radius = radius + abs(a - rate) * steep / (2 * self.lam)
        return [x + arb(0, radius.upper()) for x in w]


def near(loss: Loss, task: Task, a: float, coupling: float, target: Sequence[arb]) -> Array:
    """The same in doubles by damped Newton steps from the target, (d,)."""
    v = np.array([float(x) for x in target])
    w = v.copy()

    def value(x: Array) -> float:
        return a * loss.value(task, x) + coupling * float(((x - v) ** 2).sum())

    for _ in range(100):
        gradient = a * loss.gradient(task, w) + 2.0 * coupling * (w - v)
        H = a * loss.hessian(task, w) + 2.0 * coupling * np.eye(len(w))
        move = -np.linalg.solve(H, gradient)
        slope, before = float(gradient @ move), value(w)
        length = loss.step_length((task,), move[:, None])
        while length > 1e-12 and value(w + length * move) > before + 1e-4 * length * slope + 1e-14 * abs(
            before
        ):
            length /= 2.0
        w = w + length * move
        if -slope <= 1e-24 * max(abs(before), 1e-300):
            break
    return w
