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
from amtl_cvx.transfer import TransferPenalty, project_transfer

COLUMN_SIZE = 60
"""Number of tasks from which the B-step is solved column by column by default (measured, see `solvers`)."""


class TransferStep:
    """The whole B-step for any transfer penalty, compiled for T tasks."""

    def __init__(
        self, penalty: TransferPenalty, *, T: int, d: int, unit: float, solver: str = "auto"
    ) -> None:
        self.solver, self.T, self.free = solver, T, penalty.mu <= 0.0
        self.unit, self.penalty = unit, replace(penalty, mu=1.0 / unit)  # type: ignore[type-var]
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
            objective = objective + self.penalty.expression(B, self.losses)
        problem = cp.Problem(cp.Minimize(objective), [self.b >= 0])
        self.problem = solvers.check_dpp(problem, f"the B-step with {type(penalty).__name__}")
        self.step: solvers.Step = "B" if problem.is_qp() else "B-cone"
        self.B = B

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep:
        """argmin over B of J(W, .), (T, T), exactly feasible."""
        if self.T == 1:
            return HalfStep(np.zeros((1, 1)), Solved(solver="closed form", status="optimal", seconds=0.0))
        if self.free != (model.mu <= 0.0) or replace(model.transfer, mu=1.0 / self.unit) != self.penalty:  # type: ignore[type-var]
            raise ModelError(
                f"this B-step was compiled for {self.penalty}, not for {model.transfer}: compile another"
            )
        factor = W if W.shape[0] <= self.T else triangular_factor(W)
        weight = model.coupling / (self.unit * (1.0 if self.free else model.mu))
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
    """B >= 0 with diagonal 0, exactly 0 where the truth is 0, and polished on the rest for a linear penalty.

    Interior-point and first-order solvers leave 1e-10 where the truth is 0; for such an entry the gradient
    exceeds what the entry could use up (h B < G), so that a prox step from B ends at 0.
    """
    B = project_transfer(B)
    losses, h = model.weighted_losses(tasks, W), prox_steps(model, W, 1.0)
    moved = model.transfer.prox(B - model.coupling_gradient_B(W, B) / h, 1.0 / h, losses)
    useful = np.abs(W).max(axis=0)[:, None] > 0.0  # w_s = 0 helps nobody, even where its edges are free
    B = np.where((moved > 0.0) & useful, B, 0.0)
    prices = model.transfer.prices(losses)
    return B if prices is None else polished(W, B, prices, model.coupling)


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
