r"""Bounds in floating point, for claims (`scip`): those of `box`, and for other losses from convex programs.

For the logistic loss and the squared hinge the inequalities of `box` stay, and what has a closed form there
is a convex program here. With U = J at a known point and m_t = min c_t L_t, every point with J <= U has

    c_t L_t(w_t) <= U - sum_{s != t} m_s          the range of each w_ti on that set: two programs
    sum_u B[t, u] <= Delta / (mu m_t)             Delta = U - sum_s m_s
    ||W - W B||_F^2 <= Delta / coupling

m_t is lowered and the ranges are widened by more than the solver's accuracy, but nothing is rounded
rigorously. The set is bounded and m_t > 0 exactly where every direction w != 0 has a row with y_i x_i'w < 0;
a separable task is refused.
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import NamedTuple

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog

from amtl_cvx.enclosure.box import derive_box
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Logistic, Loss, Squared, SquaredHinge
from amtl_cvx.problem import Model
from amtl_cvx.solvers import SOLVE_LIMIT, SolverFault, watched
from amtl_cvx.tasks import Array, Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

_MARGIN = 1e-6
"""Relative safety: of m_t downwards, of U, of levels and ranges outwards."""


class Bounds(NamedTuple):
    """What holds at every point with J <= `upper`, to within the safety margins.

    `W_low`, `W_high` (d, T); `gives` (T,) bounds sum_u B[t, u]; `minima` (T,) are the m_t and `levels` (T,)
    bound c_t L_t from above; `residual` bounds ||W - W B||_F^2.
    """

    W_low: Array
    W_high: Array
    gives: Array
    minima: Array
    levels: Array
    residual: float
    upper: float


def derive_bounds(tasks: TaskSet, model: Model, objective: float) -> Bounds:
    """Bounds of all points with J at most `objective`, a value that J has somewhere.

    Raises
    ------
    NotCertifiable
        For another loss or penalty, mu = 0, a rank-deficient X_t, a separable or perfectly fitted task.
    """
    if not isinstance(model.transfer, LossWeightedL1):
        raise NotCertifiable(
            f"bounds are for the penalty {LossWeightedL1.name!r}, this model has {model.transfer.name!r}"
        )
    upper = objective * (1.0 + _MARGIN)
    if isinstance(model.loss, Squared):
        return _of_squared(tasks, model, upper)
    if not isinstance(model.loss, Logistic | SquaredHinge):
        raise NotCertifiable(
            f"bounds are for the losses squared, logistic and squared-hinge, this model has"
            f" {model.loss.label!r}"
        )
    if model.mu <= 0 and tasks.T > 1:
        raise NotCertifiable("mu = 0 leaves B without a bound: take mu > 0")
    programs = [_Sublevel(model.loss, task) for task in tasks]
    c = model.task_weight(tasks)
    minima = c * np.array([program.minimum for program in programs])
    slack = upper - minima.sum()
    levels = minima + slack
    ranges = np.array([program.ranges(level) for program, level in zip(programs, levels / c, strict=True)])
    return Bounds(
        W_low=ranges[:, 0].T,
        W_high=ranges[:, 1].T,
        gives=slack / (model.mu * minima) if tasks.T > 1 else np.zeros(1),
        minima=minima,
        levels=levels,
        residual=slack / model.coupling,
        upper=upper,
    )


def _of_squared(tasks: TaskSet, model: Model, upper: float) -> Bounds:
    """The exact box, as doubles."""
    box = derive_box(tasks, model, Fraction(upper))
    minima = np.array(box.minima, dtype=float)
    return Bounds(
        W_low=np.array(box.W_low, dtype=float),
        W_high=np.array(box.W_high, dtype=float),
        gives=np.array(box.row_sum, dtype=float),
        minima=minima * (1.0 - _MARGIN),
        levels=minima + (upper - minima.sum()),
        residual=float(box.residual),
        upper=upper,
    )


class _Sublevel:
    """The convex programs of one task: its minimal loss, and the ranges of w where L_t(w) <= level."""

    def __init__(self, loss: Loss, task: Task) -> None:
        self.task = task
        _check_recession(task)
        self.w = cp.Variable(task.X.shape[1])
        self.expression = loss.expression(task, self.w)
        self._solve(cp.Problem(cp.Minimize(self.expression)))
        self.minimum = (1.0 - _MARGIN) * loss.value(task, self.w.value)

    def ranges(self, level: float) -> Array:
        """Lower and upper ends, (2, d)."""
        inside = [self.expression <= level * (1.0 + _MARGIN)]
        ends = np.array(
            [
                [self._solve(cp.Problem(sense(entry), inside)) for entry in self.w]
                for sense in (cp.Minimize, cp.Maximize)
            ]
        )
        margin = _MARGIN * (1.0 + (ends[1] - ends[0]))
        return np.stack([ends[0] - margin, ends[1] + margin])

    def _solve(self, problem: cp.Problem) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                watched(lambda: problem.solve(solver=cp.CLARABEL), limit=SOLVE_LIMIT)
                said = str(problem.status)
            except SolverFault as fault:
                said = str(fault)
        if said != cp.OPTIMAL or not (np.isfinite(self.w.value).all() and np.isfinite(problem.value)):
            raise NotCertifiable(
                f"the range of w of {self.task.name!r} could not be computed ({said}): scale the features, or"
                " add rows"
            )
        return float(problem.value)


def _check_recession(task: Task) -> None:
    """Raise `NotCertifiable` where along some w != 0 no row loses: y_i x_i'w >= 0 for all of them."""
    signed = np.where(task.y > 0, 1.0, -1.0)[:, None] * task.X
    d = signed.shape[1]
    if np.linalg.matrix_rank(signed) < d:
        raise NotCertifiable(
            f"X of {task.name!r} has rank below d = {d} ({len(signed)} rows), its loss does not bound w: drop"
            " collinear features or add rows"
        )
    scale = np.abs(signed).sum(axis=1, keepdims=True)
    rows = np.divide(signed, scale, out=np.zeros_like(signed), where=scale > 0)
    found = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=[(-1.0, 1.0)] * d)
    if not found.success or -found.fun > 1e-9:
        raise NotCertifiable(
            f"{task.name!r} is separable: some w has no row on the wrong side, its minimal loss is 0 and"
            " neither w nor B has a bound; add rows or drop the task"
        )
