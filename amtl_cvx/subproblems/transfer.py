"""The B-step: whole for any transfer penalty, by column for a linear one (see the package's essay)."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx import solvers
from amtl_cvx.certificate import prox_steps
from amtl_cvx.errors import ModelError
from amtl_cvx.model import Model
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.halfstep import HalfStep, unit_of
from amtl_cvx.tasks import Array, TaskSet, triangular_factor
from amtl_cvx.transfer import TransferPenalty

COLUMN_SIZE = 60
"""Number of tasks from which the B-step is solved column by column by default (measured, see `solvers`)."""
_PROX_STEPS = 5000


class TransferStep:
    """The whole B-step for any transfer penalty, compiled for T tasks.

    A penalty that is proportional to mu is compiled at mu = 1 and the rest of the problem divided by mu, so
    that one problem serves every mu > 0; another one is compiled as it is.
    """

    def __init__(
        self, penalty: TransferPenalty, *, T: int, d: int, unit: float, solver: str = "auto"
    ) -> None:
        self.solver, self.T, self.unit = solver, T, unit
        self.proportional, self.free = _proportional(penalty, T), False
        if self.proportional:
            self.free, penalty = penalty.mu <= 0.0, replace(penalty, mu=1.0)  # type: ignore[type-var]
        self.penalty = penalty
        self.A = cp.Parameter((min(d, T), T))
        self.losses = cp.Parameter(T, nonneg=True)
        places = np.flatnonzero(~np.eye(T, dtype=bool).ravel(order="F"))
        self.b = cp.Variable(max(len(places), 1))
        spread = sp.csc_array(
            (np.ones(len(places)), (places, np.arange(len(places)))), shape=(T * T, self.b.size)
        )
        B = cp.reshape(spread @ self.b, (T, T), order="F")
        objective = cp.sum_squares(self.A - self.A @ B)
        if not self.free:
            objective = objective + penalty.expression(B, self.losses) / unit
        problem = cp.Problem(cp.Minimize(objective), [self.b >= 0, *penalty.constraints(B)])
        self.problem = solvers.check_dpp(problem, f"the B-step with {type(penalty).__name__}")
        self.step: solvers.Step = "B" if problem.is_qp() else "B-cone"
        self.B = B

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep:
        """argmin over B of J(W, .), (T, T), exactly feasible."""
        if self.T == 1:
            return HalfStep(np.zeros((1, 1)), Solved(solver="closed form", status="optimal", seconds=0.0))
        penalty = replace(model.transfer, mu=1.0) if self.proportional else model.transfer  # type: ignore[type-var]
        if penalty != self.penalty or self.free != (self.proportional and model.mu <= 0.0):
            raise ModelError(
                f"this B-step was compiled for {self.penalty}, not for {model.transfer}: compile another"
            )
        factor = W if W.shape[0] <= self.T else triangular_factor(W)
        divisor = model.mu if self.proportional and not self.free else 1.0
        weight = model.coupling / (self.unit * divisor)
        self.A.value = np.sqrt(weight) * factor
        self.losses.value = model.weighted_losses(tasks, W)
        solved = solvers.solve(self.problem, step=self.step, solver=self.solver)
        return HalfStep(exactly_feasible(tasks, model, W, np.array(self.B.value)), solved)


class ColumnTransferStep:
    """The B-step of a linear penalty, column by column; one compiled shape for all columns."""

    def __init__(self, *, T: int, d: int, solver: str = "auto") -> None:
        self.solver = solver
        self.A, self.target = cp.Parameter((min(d, T), T - 1)), cp.Parameter(min(d, T))
        self.prices = cp.Parameter(T - 1, nonneg=True)
        self.b = cp.Variable(T - 1)
        objective = cp.sum_squares(self.target - self.A @ self.b) + self.prices @ self.b
        self.problem = solvers.check_dpp(
            cp.Problem(cp.Minimize(objective), [self.b >= 0]), "a column of the B-step"
        )

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep:
        """argmin over B of J(W, .), (T, T), exactly feasible; columns in units of ||w_t||."""
        prices = model.transfer.prices(model.weighted_losses(tasks, W))
        if prices is None:
            raise ModelError(
                f"{type(model.transfer).__name__} does not split into columns: use the whole B-step"
            )
        factor = W if W.shape[0] <= tasks.T else triangular_factor(W)
        result, total = np.zeros((tasks.T, tasks.T)), Solved.none()
        for t in range(tasks.T):
            others = np.arange(tasks.T) != t
            size = float(np.linalg.norm(factor[:, t]))
            if size <= 0.0:
                continue
            self.A.value, self.target.value = factor[:, others] / size, factor[:, t] / size
            self.prices.value = prices[others] / (model.coupling * size**2)
            total = total + solvers.solve(self.problem, step="B", solver=self.solver)
            result[others, t] = self.b.value
        return HalfStep(exactly_feasible(tasks, model, W, result), total)


def compile_transfer_step(
    tasks: TaskSet, model: Model, *, solver: str = "auto", columns: bool | None = None
) -> TransferStep | ColumnTransferStep:
    """The B-step for the tasks' shapes: by column from `COLUMN_SIZE` tasks on if linear, else whole."""
    if columns is None:
        columns = tasks.T >= COLUMN_SIZE and model.transfer.prices(np.zeros(tasks.T)) is not None
    if columns and tasks.T > 1:
        return ColumnTransferStep(T=tasks.T, d=tasks.d, solver=solver)
    return TransferStep(model.transfer, T=tasks.T, d=tasks.d, unit=unit_of(tasks, model), solver=solver)


def exactly_feasible(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """B in its feasible set, exactly 0 where the truth is 0, and polished.

    Interior-point and first-order solvers leave 1e-10 where the truth is 0; for such an entry the gradient
    exceeds what the entry could use up (h B < G), so that a prox step from B ends at 0.
    """
    B = model.transfer.project(B)
    losses, h = model.weighted_losses(tasks, W), prox_steps(model, W, 1.0)
    moved = model.transfer.prox(B - model.coupling_gradient_B(W, B) / h, 1.0 / h, losses)
    useful = np.abs(W).max(axis=0)[:, None] > 0.0  # w_s = 0 helps nobody, even where its edges are free
    B = np.where((moved > 0.0) & useful, B, 0.0)
    prices = model.transfer.prices(losses)
    if prices is None:
        return prox_polished(model, W, model.transfer.project(B), losses)
    return polished(W, B, prices, model.coupling)


def prox_polished(model: Model, W: Array, B: Array, losses: Array) -> Array:
    """The B-step of any penalty carried on from B by accelerated prox-gradient steps, to rounding.

    Conic solvers end at 1e-9; FISTA with restarts goes on (Beck, Teboulle 2009; O'Donoghue, Candes 2015).
    """
    L = 2.0 * model.coupling * float(np.linalg.norm(W, 2)) ** 2
    if L <= 0.0:
        return B
    ahead, momentum = B, 1.0
    for _ in range(_PROX_STEPS):
        new = model.transfer.prox(ahead - model.coupling_gradient_B(W, ahead) / L, 1.0 / L, losses)
        if float(np.abs(new - B).max()) <= 1e-15 * max(1.0, float(np.abs(new).max())):
            return new
        if float(((ahead - new) * (new - B)).sum()) > 0.0:
            momentum = 1.0  # the step points uphill: start again from here
        grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, B, momentum = new + (momentum - 1.0) / grown * (new - B), new, grown
    return B


def _proportional(penalty: TransferPenalty, T: int) -> bool:
    """Whether R(B; l) at 2 mu is twice that at mu, tried on a few B and losses."""
    doubled = replace(penalty, mu=2.0 * penalty.mu)  # type: ignore[type-var]
    trials = [np.triu(np.ones((T, T)), 1), np.tril(np.arange(1.0, T * T + 1.0).reshape(T, T), -1) / T]
    values = [
        (penalty.value(B, losses), doubled.value(B, losses))
        for B in map(penalty.project, trials)
        for losses in (np.zeros(T), np.arange(1.0, T + 1.0))
    ]
    return all(abs(twice - 2.0 * once) <= 1e-9 * abs(twice) for once, twice in values)


def polished(W: Array, B: Array, prices: Array, coupling: float) -> Array:
    """Each column solved exactly on its support, where that is feasible and lowers the residual.

    On the support P the column solves ``W_P'W_P b = W_P'w_t - p_P / (2 coupling)`` (CERTIFICATES section 2).
    """
    B, gram = B.copy(), W.T @ W
    for t in range(len(B)):
        support = np.flatnonzero(B[:, t])
        if not len(support):
            continue
        right = gram[support, t] - prices[support] / (2.0 * coupling)
        column = np.zeros(len(B))
        column[support] = np.linalg.lstsq(gram[np.ix_(support, support)], right, rcond=None)[0]
        misses = [_column_miss(gram, b, t, prices / (2.0 * coupling)) for b in (column, B[:, t])]
        if (column[support] > 0).all() and misses[0] < misses[1]:
            B[:, t] = column
    return B


def _column_miss(gram: Array, b: Array, t: int, prices: Array) -> float:
    """Largest |min(h b, q)| of one column, in units of 2 coupling."""
    miss = np.abs(np.minimum(np.diag(gram) * b, prices - gram[:, t] + gram @ b))
    miss[t] = 0.0
    return float(miss.max())
