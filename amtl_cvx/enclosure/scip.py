r"""What SCIP says about the global minimum: an independent cross-check, and the route for other losses.

    found = claim(tasks, model, W, B)
    found.lower, found.upper, found.closed          # "solver-claimed": never a proof

J in factorised form, a non-convex problem whose products SCIP branches on, over the box derived in
`sublevel` (theory.md section 11):

    min  sum_t p_t + q + q'
    c_t L_t(w_t) <= l_t,   (1 + mu s_t) l_t <= p_t,   s_t = sum_u B[t, u]
    z = W - W B,           coupling ||z||_F^2 <= q,   Omega(W) <= q' where there is a penalty on W

W in units of sqrt(U / coupling) and J in units of U, so that SCIP's tolerances mean the same whatever the
scale of y. The logistic loss enters by rows as exp(-e_i) + exp(-u_i - e_i) <= 1, that is
e_i >= log(1 + exp(-u_i)), the squared hinge as h_i >= 1 - u_i, h_i >= 0, u_i = y_i x_i'w_t.

SCIP works in floating point with tolerances: its printed "gap 0.0" can hide 5e-6 (measured), so a result is a
claim even where it is closed. `upper` is J recomputed at the better of the given point and SCIP's.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import infeasibility
from amtl_cvx.enclosure.sublevel import Bounds, derive_bounds
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.losses import Logistic, SquaredHinge
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.weights import as_quadratic

GAP = 1e-6
"""Relative gap at which SCIP may stop."""
LARGEST = 500
"""Most entries of W for which it is asked: each takes two programs, or exact arithmetic, for its range."""
_FEASIBILITY = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """lower <= min J <= upper, claimed by SCIP.

    Attributes
    ----------
    lower : float
        SCIP's dual bound, or the sum of the minimal losses where that is larger.
    upper : float
        J at (`W`, `B`), recomputed.
    width : float
        (upper - lower) / upper.
    status : str
        SCIP's own word, "optimal", "gaplimit", "timelimit".
    seconds : float
        In SCIP.
    method : "solver-claimed"
        Floating point and tolerances: not a proof.
    closed : bool
        Whether SCIP finished, to a gap of `GAP`.
    W, B : (d, T), (T, T)
        The best point known.
    """

    lower: float
    upper: float
    width: float
    status: str
    seconds: float
    method: Literal["solver-claimed"] = "solver-claimed"
    closed: bool
    W: Array
    B: Array


def claim(point: Point, *, seconds: float = 300.0) -> Claim:
    """Ask SCIP for the global minimum of J.

    Parameters
    ----------
    point : Point
        Feasible, the better the smaller the box; usually that of a fit. Of a problem with squared, logistic
        or squared-hinge loss, the AMTL penalty with mu > 0, few tasks and features.
    seconds : float
        SCIP's time limit.

    Raises
    ------
    NotCertifiable
        Where no box can be derived (see `sublevel.derive_bounds`), W has more than `LARGEST` entries, or SCIP
        is not installed.
    ModelError, DataError
        For a time limit that is not positive, an infeasible B, arrays of the wrong shape.
    """
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    try:
        import pyscipopt
    except ImportError as error:
        raise NotCertifiable(
            "a solver's claim needs SCIP, which is not installed: pip install 'amtl-cvx[global]'"
        ) from error
    if not seconds > 0:
        raise ModelError(f"seconds must be a number > 0, got {seconds!r}")
    if tasks.T * tasks.d > LARGEST:
        raise NotCertifiable(
            f"{tasks.T * tasks.d} unknowns in W are too many for SCIP, at most {LARGEST} are given to it:"
            " take fewer tasks or features"
        )
    point.problem.check()
    if infeasibility(model, B) > 0.0:
        raise ModelError(
            f"B is not feasible (by {infeasibility(model, B):.3g}): it must be >= 0, its diagonal 0"
        )
    bounds = derive_bounds(tasks, model, point.objective)
    program = _Program(pyscipopt.Model(), model.compress(tasks), model, bounds)
    program.suggest(W, B)
    before = time.perf_counter()
    program.scip.setParam("limits/time", float(seconds))
    program.scip.optimize()
    spent, status = time.perf_counter() - before, str(program.scip.getStatus())
    found = [point, *(point.at(W=V, B=C) for V, C in program.points())]
    best = min(found, key=lambda each: each.objective)
    upper = best.objective
    lower = max(program.bound(), float(bounds.minima.sum()))
    return Claim(
        lower=min(lower, upper),
        upper=upper,
        width=max(upper - lower, 0.0) / upper,
        status=status,
        seconds=spent,
        closed=status in ("optimal", "gaplimit"),
        W=best.W,
        B=best.B,
    )


class _Program:
    """The factorised form as a SCIP model."""

    def __init__(self, scip: Any, tasks: TaskSet, model: Model, bounds: Bounds) -> None:
        self.scip, self.tasks, self.model, self.bounds = scip, tasks, model, bounds
        self.unit = bounds.upper
        self.length = math.sqrt(bounds.upper / model.coupling)
        scip.hideOutput()
        scip.setParam("limits/gap", GAP)
        scip.setParam("numerics/feastol", _FEASIBILITY)
        d, T = tasks.d, tasks.T
        low, high = bounds.W_low / self.length, bounds.W_high / self.length
        self.w = [[scip.addVar(lb=low[i, t], ub=high[i, t]) for i in range(d)] for t in range(T)]
        self.B = [
            [scip.addVar(lb=0.0, ub=0.0 if s == t else bounds.gives[s]) for t in range(T)] for s in range(T)
        ]
        prices = [self._priced_loss(t) for t in range(T)]
        scip.setObjective(sum(prices) + self._coupling() + self._omega())

    def _priced_loss(self, t: int) -> Any:
        """p_t, of which (1 + mu s_t) l_t is a lower bound."""
        scip, unit = self.scip, self.unit
        least, most = self.bounds.minima[t] / unit, self.bounds.levels[t] / unit
        loss, price = scip.addVar(lb=least, ub=most), scip.addVar(lb=least, ub=1.0)
        given = scip.addVar(lb=0.0, ub=self.bounds.gives[t])
        scip.addCons(given == sum(self.B[t]))
        scip.addCons(loss + self.model.mu * given * loss <= price)
        c = float(self.model.task_weight(self.tasks)[t])
        weight = c * self.model.loss.scale(self.tasks[t]) / unit
        scip.addCons(weight * self._rows(t, self.tasks[t]) <= loss)
        return price

    def _rows(self, t: int, task: Task) -> Any:
        """sum_i phi(x_i'w_t; y_i), from above."""
        rows = (zip(row, self.w[t], strict=True) for row in task.X.tolist())
        scores = [sum(self.length * x * w for x, w in row) for row in rows]
        if self.model.loss.quadratic:
            return _counted(task, [(z - y) * (z - y) for z, y in zip(scores, task.y.tolist(), strict=True)])
        margins = [z if y > 0 else -1.0 * z for z, y in zip(scores, task.y.tolist(), strict=True)]
        return _counted(task, [self._row(margin) for margin in margins])

    def _row(self, margin: Any) -> Any:
        """phi of one row as a function of its margin u = y z, from above."""
        from pyscipopt import exp

        scip, loss = self.scip, self.model.loss
        value = scip.addVar(lb=0.0)
        if isinstance(loss, SquaredHinge):
            scip.addCons(value >= 1.0 - margin)
            return value * value
        assert isinstance(loss, Logistic)
        score = scip.addVar(lb=None)
        scip.addCons(score == margin)
        scip.addCons(exp(-1.0 * value) + exp(-1.0 * score - value) <= 1.0)
        return value

    def _coupling(self) -> Any:
        """q, of which coupling ||W - W B||^2 / U is a lower bound."""
        scip, T = self.scip, self.tasks.T
        largest = math.sqrt(self.bounds.residual) / self.length
        squares = []
        for t in range(T):
            for i in range(self.tasks.d):
                z = scip.addVar(lb=-largest, ub=largest)
                taught = sum(self.B[s][t] * self.w[s][i] for s in range(T) if s != t)
                scip.addCons(self.w[t][i] - taught == z)
                squares.append(z * z)
        q = scip.addVar(lb=0.0, ub=1.0)
        scip.addCons(sum(squares) <= q)
        return q

    def _omega(self) -> Any:
        """q, of which Omega / U = ||W sqrt(rho / coupling) G||^2, W in units, is a lower bound; 0 without."""
        omega, T = self.model.omega, self.tasks.T
        if omega is None:
            return 0.0
        G = math.sqrt(omega.rho / self.model.coupling) * as_quadratic(omega).root(T)
        forms = [
            sum(float(g) * self.w[t][i] for t, g in enumerate(column) if g)
            for column in G.T
            if column.any()
            for i in range(self.tasks.d)
        ]
        q = self.scip.addVar(lb=0.0, ub=1.0)
        self.scip.addCons(sum(form * form for form in forms) <= q)
        return q

    def suggest(self, W: Array, B: Array) -> None:
        """Give SCIP a point to start from; it completes the other variables itself."""
        partial = self.scip.createPartialSol()
        for t in range(self.tasks.T):
            for i in range(self.tasks.d):
                self.scip.setSolVal(partial, self.w[t][i], float(W[i, t]) / self.length)
            for s in range(self.tasks.T):
                self.scip.setSolVal(partial, self.B[s][t], float(B[s, t]))
        self.scip.addSol(partial)

    def bound(self) -> float:
        """SCIP's lower bound of J; minus infinity where it has none."""
        bound = float(self.scip.getDualbound())
        return -math.inf if self.scip.isInfinity(-bound) else bound * self.unit

    def points(self) -> list[tuple[Array, Array]]:
        """W and B of SCIP's best point, made exactly feasible; empty where it found none."""
        if not self.scip.getNSols():
            return []
        W = self.length * np.array([[self.scip.getVal(v) for v in column] for column in self.w]).T
        B = np.array([[self.scip.getVal(v) for v in row] for row in self.B])
        return [(W, self.model.transfer.project(B))]


def _counted(task: Task, rows: list[Any]) -> Any:
    """The sum over the rows, each as often as it counts."""
    if task.sample_weight is None:
        return sum(rows)
    return sum(v * row for v, row in zip(task.sample_weight.tolist(), rows, strict=True))
