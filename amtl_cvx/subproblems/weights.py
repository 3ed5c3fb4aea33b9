"""The W-step: joint, one task, and its definition (see the package's essay)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx import solvers
from amtl_cvx.losses import Loss
from amtl_cvx.model import Model
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.halfstep import HalfStep, unit_of
from amtl_cvx.tasks import Array, Task, TaskSet, triangular_factor

_NEWTON_STEPS = 60
_NEWTON_ACCURACY = 1e-11  # relative residual of the W-step at which Newton's method ends


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
