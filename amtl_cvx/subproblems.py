r"""The convex subproblems of AMTL: the only `cp.Problem` objects of the alternation.

W-step, B fixed, one problem for the joint step and for a single task (SPEC section 3):

    min_W  sum_t a_t L_t(w_t) + ||W Q - O||_F^2

    joint      Q = sqrt(coupling) (I - B),  O = 0                          all tasks, T d variables
    one task   Q = k,  O = k v_t,  k = sqrt(coupling kappa_t),  kappa_t = 1 + sum_u B[t, u]^2,
               v_t = w_t - (W P)_t / kappa_t,  P = (I - B)(I - B)'         d variables, one shape for all

B-step, W fixed, whole or by column (W_-t is W without w_t; linear penalties only):

    min_B  coupling ||W - W B||_F^2 + R(B; c*l)     B >= 0 off the diagonal (the diagonal is no variable)
    min_b  coupling ||w_t - W_-t b||^2 + p'b        b >= 0

All are DPP: what changes between rounds or along a tuning grid is a `cp.Parameter`, so a problem is compiled
once. `WeightProblem` holds the quadratic form  sum_t ||F_t w_t - f_t||^2 + <G, W> + ||W Q - O||_F^2. For the
squared loss it is the W-step (F_t the triangular factor of sqrt(a_t / n_t) [X_t y_t]: nothing grows with
n_t); for another smooth loss it is a Newton step, F_t'F_t half the weighted Hessian, iterated with a line
search to the W-step's own minimum. `WeightDefinition` is the same step written with the loss's CVXPY atom
(exponential cones for the logistic loss), which tests hold against it.

Scaling: with unit = the mean loss at W = 0, problems are posed in W / sqrt(unit) and J / unit, so that solver
tolerances mean the same for every scale of y. The B-step is divided by mu (a penalty is proportional to it)
and its W replaced by a triangular factor when d > T. A diagonal fixed by an equality would leave B >= 0
without interior point (Clarabel fails, OSQP cannot polish; measured), hence off-diagonal variables only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx import solvers
from amtl_cvx.certificate import prox_steps
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Loss
from amtl_cvx.model import Model
from amtl_cvx.solvers import Solved
from amtl_cvx.tasks import Array, Task, TaskSet, triangular_factor
from amtl_cvx.transfer import TransferPenalty, project_transfer

COLUMN_SIZE = 60
"""Number of tasks from which the B-step is solved column by column by default (measured, see `solvers`)."""
_NEWTON_STEPS = 60
_NEWTON_ACCURACY = 1e-11  # relative residual of the W-step at which Newton's method ends


class HalfStep(NamedTuple):
    """A block's new value and how it was solved."""

    value: Array
    solved: Solved


class Coupled(NamedTuple):
    """The W-step as data: ``sum_t a_t L_t(w_t) + ||W Q - O||_F^2`` over `tasks`."""

    loss: Loss
    tasks: Sequence[Task]
    a: Array
    Q: Array
    O: Array  # noqa: E741

    def value(self, W: Array) -> float:
        losses = sum(a * self.loss.value(task, w) for task, a, w in zip(self.tasks, self.a, W.T, strict=True))
        return float(losses) + float(((W @ self.Q - self.O) ** 2).sum())

    def pull(self, W: Array) -> Array:
        """The losses' part of the gradient, (d, T)."""
        columns = zip(self.tasks, self.a, W.T, strict=True)
        return np.column_stack([a * self.loss.gradient(task, w) for task, a, w in columns])

    def coupling(self, W: Array) -> Array:
        """The coupling's part of the gradient, (d, T)."""
        return 2.0 * (W @ self.Q - self.O) @ self.Q.T

    def relative(self, W: Array) -> float:
        """max |gradient| over the size of its terms, per column; the residual of SPEC section 4."""
        terms = self.pull(W), self.coupling(W), self.pull(np.zeros_like(W))
        size = np.max([np.abs(term).max(axis=0) for term in terms], axis=0)
        return float((np.abs(terms[0] + terms[1]).max(axis=0) / np.where(size > 0, size, 1.0)).max())


class WeightSolver(Protocol):
    """What the W-steps ask of `WeightProblem` and `WeightDefinition`."""

    def minimise(self, step: Coupled, start: Array) -> HalfStep: ...


def unit_of(tasks: TaskSet, model: Model) -> float:
    """The unit of the objective: the mean weighted loss at W = 0 (1 if that is 0)."""
    return float(model.weighted_losses(tasks, np.zeros((tasks.d, tasks.T))).mean()) or 1.0


def joint_step(tasks: TaskSet, model: Model, B: Array) -> Coupled:
    """The joint W-step at B."""
    Q = np.sqrt(model.coupling) * (np.eye(tasks.T) - B)
    return Coupled(model.loss, tasks.tasks, model.loss_weight(tasks, B), Q, np.zeros((tasks.d, tasks.T)))


def task_step(tasks: TaskSet, model: Model, W: Array, B: Array, t: int) -> Coupled:
    """The W-step of task t with all others fixed: w_t sits in its own residual and in those it gives to."""
    M = np.eye(tasks.T) - B
    kappa = float((M[t] ** 2).sum())
    target = W[:, t] - (W @ M) @ M[t] / kappa
    k = np.sqrt(model.coupling * kappa)
    a = model.loss_weight(tasks, B)[t : t + 1]
    return Coupled(model.loss, tasks.tasks[t : t + 1], a, np.array([[k]]), k * target[:, None])


class WeightProblem:
    """The compiled quadratic W-problem for T tasks; exact for a quadratic loss, else Newton steps."""

    def __init__(self, *, T: int, d: int, rows: int, unit: float, solver: str = "auto") -> None:
        self.solver, self.root, self.rows = solver, float(np.sqrt(unit)), rows
        self.F, self.f = cp.Parameter((T, rows, d)), cp.Parameter((T, rows))
        self.G, self.O = cp.Parameter((d, T)), cp.Parameter((d, T))
        self.lower = np.tril_indices(T)
        self.Q = cp.Parameter((T, T), sparsity=self.lower)
        self.V = cp.Variable((T, d, 1))
        W = cp.reshape(self.V, (T, d), order="C").T
        fit = cp.sum_squares(cp.reshape(self.F @ self.V, (T, rows), order="C") - self.f)
        linear = cp.sum(cp.multiply(self.G, W))
        coupling = cp.sum_squares(W @ self.Q - self.O)
        self.problem = solvers.check_dpp(cp.Problem(cp.Minimize(fit + linear + coupling)), "the W-step")

    def minimise(self, step: Coupled, start: Array) -> HalfStep:
        """The W-step's minimum; `start` (d, T) begins Newton's method, a quadratic loss needs none."""
        self._set_coupling(step)
        if step.loss.quadratic:
            return self._model_minimum(*_quadratic_data(step, self.rows))
        return self._newton(step, start)

    def _newton(self, step: Coupled, W: Array) -> HalfStep:
        total, value, relative, settled = Solved.none(), step.value(W), np.inf, False
        for _ in range(_NEWTON_STEPS):
            previous, relative = relative, step.relative(W)
            if total.solver and (relative <= _NEWTON_ACCURACY or (settled and relative > 0.5 * previous)):
                break
            minimum, solved = self._model_minimum(*_newton_data(step, W, self.rows))
            total = total + solved
            direction = minimum - W
            slope = float(((step.pull(W) + step.coupling(W)) * direction).sum())
            settled = -slope <= 1e-13 * abs(
                value
            )  # from here on the value is rounding noise, the residual decides
            length = 1.0
            while step.value(W + length * direction) > value + 1e-4 * length * slope + 1e-14 * abs(value):
                length /= 2.0
                if length < 1e-10:
                    return HalfStep(W, total)
            W = W + length * direction
            value = step.value(W)
        return HalfStep(W, total)

    def _set_coupling(self, step: Coupled) -> None:
        """Q as a lower triangle L and O turned alike: ||W Q - O|| = ||W L - O U|| up to a constant."""
        orthogonal, upper = np.linalg.qr(step.Q.T)
        self.Q.value_sparse = sp.coo_array((upper.T[self.lower], self.lower), shape=self.Q.shape)
        self.O.value = step.O @ orthogonal / self.root

    def _model_minimum(self, F: Array, f: Array, G: Array) -> HalfStep:
        self.F.value, self.f.value, self.G.value = F, f / self.root, G / self.root
        solved = solvers.solve(self.problem, step="W", solver=self.solver)
        return HalfStep(self.root * self.V.value[:, :, 0].T, solved)


class WeightDefinition:
    """The W-step with the loss's own CVXPY atom, on the rows as they are: slow, and the definition."""

    def __init__(self, tasks: Sequence[Task], loss: Loss, *, solver: str = "auto") -> None:
        d, T = tasks[0].X.shape[1], len(tasks)
        self.solver, self.quadratic = solver, loss.quadratic
        self.a = cp.Parameter(T, nonneg=True)
        self.Q, self.O = cp.Parameter((T, T)), cp.Parameter((d, T))
        self.W = cp.Variable((d, T))
        losses = cp.hstack([loss.expression(task, self.W[:, t]) for t, task in enumerate(tasks)])
        objective = self.a @ losses + cp.sum_squares(self.W @ self.Q - self.O)
        self.problem = solvers.check_dpp(cp.Problem(cp.Minimize(objective)), "the W-step (definition)")

    def minimise(self, step: Coupled, start: Array) -> HalfStep:
        """The W-step's minimum; `start` is not used."""
        self.a.value, self.Q.value, self.O.value = step.a, step.Q, step.O
        solved = solvers.solve(self.problem, step="W" if self.quadratic else "W-cone", solver=self.solver)
        return HalfStep(np.array(self.W.value), solved)


@dataclass(frozen=True, kw_only=True)
class WeightStep:
    """All predictors at once, B fixed."""

    problem: WeightSolver

    @classmethod
    def compile(cls, tasks: TaskSet, model: Model, *, solver: str = "auto") -> WeightStep:
        """The fast path for the tasks' shapes."""
        return cls(problem=_weight_problem(tasks, model, tasks.T, solver))

    @classmethod
    def definition(cls, tasks: TaskSet, model: Model, *, solver: str = "auto") -> WeightStep:
        """The definition, with the loss's atom."""
        return cls(problem=WeightDefinition(tasks.tasks, model.loss, solver=solver))

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep:
        """argmin over W of J(., B), (d, T); `W` is the start."""
        return self.problem.minimise(joint_step(tasks, model, B), W)


@dataclass(frozen=True, kw_only=True)
class TaskWeightStep:
    """One predictor at a time, B and the other predictors fixed; one compiled shape for all tasks."""

    problem: WeightSolver

    @classmethod
    def compile(cls, tasks: TaskSet, model: Model, *, solver: str = "auto") -> TaskWeightStep:
        return cls(problem=_weight_problem(tasks, model, 1, solver))

    def solve_task(self, tasks: TaskSet, model: Model, W: Array, B: Array, t: int) -> HalfStep:
        """argmin over w_t of J, (d,)."""
        value, solved = self.problem.minimise(task_step(tasks, model, W, B, t), W[:, t : t + 1])
        return HalfStep(value[:, 0], solved)

    def solve(self, tasks: TaskSet, model: Model, W: Array, B: Array) -> HalfStep:
        """One Gauss-Seidel sweep over the tasks, (d, T). It may lead to another point than the joint step."""
        W, total = W.copy(), Solved.none()
        for t in range(tasks.T):
            W[:, t], solved = self.solve_task(tasks, model, W, B, t)
            total = total + solved
        return HalfStep(W, total)


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
            total = total + solvers.solve(self.problem, step="B-column", solver=self.solver)
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


def _weight_problem(tasks: TaskSet, model: Model, T: int, solver: str) -> WeightProblem:
    rows = min(max(len(task.y) for task in tasks), tasks.d + 1)
    return WeightProblem(T=T, d=tasks.d, rows=rows, unit=unit_of(tasks, model), solver=solver)


def _quadratic_data(step: Coupled, rows: int) -> tuple[Array, Array, Array]:
    """F, f, G of the squared loss: weighted triangular factors, padded with zero rows."""
    d, T = step.O.shape
    F, f = np.zeros((T, rows, d)), np.zeros((T, rows))
    for t, (task, a) in enumerate(zip(step.tasks, step.a, strict=True)):
        small = step.loss.compress(task)
        weight = np.sqrt(a * step.loss.scale(task))
        F[t, : len(small.y)], f[t, : len(small.y)] = weight * small.X, weight * small.y
    return F, f, np.zeros((d, T))


def _newton_data(step: Coupled, W: Array, rows: int) -> tuple[Array, Array, Array]:
    """F, f, G of the second-order model at W: F_t'F_t = a_t Hess L_t / 2, f_t = F_t w_t, G = a_t grad L_t."""
    d, T = W.shape
    F, f = np.zeros((T, rows, d)), np.zeros((T, rows))
    for t, (task, a) in enumerate(zip(step.tasks, step.a, strict=True)):
        curvature = 0.5 * a * step.loss.scale(task) * step.loss.curvatures(task.X @ W[:, t], task.y)
        factor = triangular_factor(np.sqrt(curvature)[:, None] * task.X)
        F[t, : len(factor)] = factor
        f[t] = F[t] @ W[:, t]
    return F, f, step.pull(W)
