"""The W-step: joint, one task, and its definition (see the package's essay)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.errors import ModelError, SolveError
from amtl_cvx.losses import Loss
from amtl_cvx.parallel import SharedMap
from amtl_cvx.problem import Model, Point
from amtl_cvx.solvers import AUTO, Backend, Compiled, Solved, Step, check_dpp, solve
from amtl_cvx.subproblems.balance import moves
from amtl_cvx.subproblems.coupled import Coupled, LossModel, Rows, joint_step, task_step
from amtl_cvx.subproblems.halfstep import HalfStep
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.subproblems.problems import Problems, kept
from amtl_cvx.tasks import Array, Indices, Task, TaskSet
from amtl_cvx.weights import WeightPenalty

SPREAD_SIZE = 10**8
"""Multiplications in the Hessians of all tasks from which an executor computes them."""
_NEWTON_STEPS = 60
_DAMPING = 1e-8  # of a unit diagonal, for a Newton step that no solver answers
_NEWTON_ACCURACY = 1e-11  # relative residual of the W-step at which Newton's method ends


class WeightSolver(Protocol):
    """What the W-steps ask of `WeightProblem` and `WeightDefinition`."""

    def minimise(self, step: Coupled, start: Array, backend: Backend) -> HalfStep: ...


class WeightProblem:
    """The compiled quadratic W-problem for T tasks, w the columns of W stacked.

        min_{w, e}  w'H w + e    subject to    e = -2 g'w

    H has the blocks ``H[t, u] = diag(C[t, u])`` and, in the diagonal, G_t (d, d) on top (`BlockForm`): an
    entry is a parameter once, for the time to compile goes by their number. The row for e keeps
    parameters out of the objective's linear part, which CVXPY compiles to a dense matrix (School: 20 GB), and
    SCS takes no problem without a constraint.
    """

    def __init__(self, *, T: int, d: int) -> None:
        self.T, self.d, self.form = T, d, BlockForm.of(T, d)
        self.h, self.pull = cp.Parameter(self.form.size), cp.Parameter(T * d)
        self.w = cp.Variable(T * d)
        H = cp.reshape(self.form.places(T * d) @ self.h, (T * d, T * d), order="F")
        e = cp.Variable()
        objective = cp.quad_form(self.w, cp.psd_wrap(H)) + e
        problem = cp.Problem(cp.Minimize(objective), [e == self.pull @ self.w])
        self.compiled = Compiled(problem, step="W", what="the W-step", quadratic=True)
        self._losses: LossModel | None = None

    def minimise(self, step: Coupled, start: Array, backend: Backend) -> HalfStep:
        """The W-step's minimum; `start` (d, T) begins Newton's method, a quadratic loss needs none."""
        if step.loss.quadratic:
            return self._model_minimum(step, np.zeros_like(start), backend)
        return self._newton(step, start, backend)

    def _newton(self, step: Coupled, W: Array, backend: Backend) -> HalfStep:
        total, value, relative, settled, moved = Solved.none(), step.value(W), np.inf, False, True
        for _ in range(_NEWTON_STEPS):
            previous, relative = relative, step.relative(W)
            small = relative <= _NEWTON_ACCURACY or (settled and relative > 0.5 * previous)
            if total.solver and small and not (moved and step.unbalanced(W, value)):
                break
            minimum, solved = self._model_minimum(step, W, backend)
            total = total + solved
            direction = minimum - W
            slope = float(((step.pull(W) + step.coupling(W)) * direction).sum())
            settled = -slope <= 1e-13 * abs(value)  # from here on the value is rounding, the residual decides
            length = step.loss.step_length(step.tasks, direction)
            while step.value(W + length * direction) > value + 1e-4 * length * slope + 1e-14 * abs(value):
                length /= 2.0
                if length < 1e-10:
                    return HalfStep(W, total)
            moved = moves(W, length * direction)
            W = W + length * direction
            value = step.value(W)
        return HalfStep(W, total)

    def _model_minimum(self, step: Coupled, W: Array, backend: Backend) -> HalfStep:
        """The minimum of the second-order model at W, in units with a unit diagonal of H and max |g| = 1."""
        if self._losses is None or not self._losses.holds(step):
            self._losses = LossModel.at(step, W)
        C, G, g = self._losses.coupled(step)
        unit = 1.0 / np.sqrt(np.einsum("tti->ti", C) + np.einsum("tii->ti", G))
        g = unit * g
        size = float(np.abs(g).max()) or 1.0
        values = {
            self.h: self.form.entries(C, G, unit),
            self.pull: -2.0 * g.ravel() / size,
        }
        try:
            solved = self.compiled.solve(values, backend)
        except SolveError:  # curvature 0 on all rows and I - B nearly singular: a damped Newton step
            if step.loss.quadratic:
                raise
            damping = _DAMPING * np.broadcast_to(np.eye(self.d), G.shape)
            values[self.h] = values[self.h] + self.form.entries(np.zeros_like(C), damping, np.ones_like(unit))
            solved = self.compiled.solve(values, backend)
        return HalfStep((size * unit * self.w.value.reshape(self.T, self.d)).T, solved)


class WeightDefinition:
    """The W-step with the loss's own CVXPY atom, on the rows as they are: slow, and the definition.

    A penalty on W enters as its own expression, beside the first T columns of Q and O, those of the coupling;
    not `coupled` there are none.
    """

    def __init__(
        self, tasks: Sequence[Task], loss: Loss, omega: WeightPenalty | None = None, *, coupled: bool = True
    ) -> None:
        d, T = tasks[0].X.shape[1], len(tasks)
        self._coupled = float(coupled)
        self.a = cp.Parameter(T, nonneg=True)
        self.Q, self.O = cp.Parameter((T, T)), cp.Parameter((d, T))
        self.W = cp.Variable((d, T))
        losses = cp.hstack([loss.expression(task, self.W[:, t]) for t, task in enumerate(tasks)])
        objective = self.a @ losses + cp.sum_squares(self.W @ self.Q - self.O)
        if omega is not None:
            objective = objective + omega.expression(self.W)
        self.problem = check_dpp(cp.Problem(cp.Minimize(objective)), "the W-step (definition)")
        self.step: Step = "W" if loss.quadratic else "W-cone"

    def minimise(self, step: Coupled, start: Array, backend: Backend) -> HalfStep:
        """The W-step's minimum; `start` is not used."""
        T = len(step.a)
        self.a.value, self.Q.value, self.O.value = step.a, self._coupled * step.Q[:, :T], step.O[:, :T]
        solved = solve(self.problem, step=self.step, backend=backend)
        return HalfStep(np.array(self.W.value), solved)


@dataclass(frozen=True, kw_only=True)
class WeightStep:
    """All predictors at once, B fixed."""

    problem: WeightSolver
    backend: Backend = AUTO
    spread: SharedMap[Rows] | None = None

    @classmethod
    def compile(
        cls,
        tasks: TaskSet,
        model: Model,
        *,
        backend: Backend = AUTO,
        problems: Problems | None = None,
        executor: Executor | None = None,
    ) -> WeightStep:
        """The fast path for the tasks' shapes, compiled or found among `problems`.

        A loss with kinks has no Newton model: its fast path is the definition, made exact (`kinks`).
        The Hessians of a loss that is not quadratic, one a task and Newton step, go to the workers of
        `executor` where the rows are many (`SPREAD_SIZE`).
        """
        if not model.loss.smooth:
            return cls.definition(tasks, model, backend=backend)
        _refuse(model)
        size = sum(task.X.size for task in tasks) * tasks.d
        spread = not model.loss.quadratic and size >= SPREAD_SIZE
        return cls(
            problem=_weight_problem(tasks.T, tasks.d, problems),
            backend=backend,
            spread=SharedMap((model.loss, tasks.tasks), executor) if spread else None,
        )

    @classmethod
    def definition(cls, tasks: TaskSet, model: Model, *, backend: Backend = AUTO) -> WeightStep:
        """The definition, with the loss's atom."""
        problem = WeightDefinition(tasks.tasks, model.loss, model.omega, coupled=model.coupled)
        return cls(problem=problem, backend=backend)

    def solve(self, point: Point) -> HalfStep:
        """argmin over W of J(., B), (d, T); `W` is the start."""
        tasks, model = point.tasks, point.model
        step = joint_step(point)
        if self.spread and self.spread.shared[0] == model.loss and self.spread.shared[1] is tasks.tasks:
            step = step._replace(spread=self.spread)  # else the workers have the rows of other tasks
        found = self.problem.minimise(step, point.W, self.backend)
        if model.loss.smooth:
            return found
        return HalfStep(kinked_minimum(point.at(W=found.value)), found.solved)


@dataclass(frozen=True, kw_only=True)
class TaskWeightStep:
    """One predictor at a time, B and the other predictors fixed; one compiled shape for all tasks."""

    problem: WeightSolver
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls, tasks: TaskSet, model: Model, *, backend: Backend = AUTO, problems: Problems | None = None
    ) -> TaskWeightStep:
        _refuse(model)
        return cls(problem=_weight_problem(1, tasks.d, problems), backend=backend.on_cpu())

    def minimise(self, step: Coupled, start: Array) -> HalfStep:
        """The minimum of a one-task step, (d, 1)."""
        return self.problem.minimise(step, start, self.backend)

    def solve_task(self, point: Point, t: int) -> HalfStep:
        """argmin over w_t of J, (d,)."""
        value, solved = self.minimise(task_step(point, t), point.W[:, t : t + 1])
        return HalfStep(value[:, 0], solved)

    def solve(self, point: Point) -> HalfStep:
        """One Gauss-Seidel sweep over the tasks, (d, T). It may lead to another point than the joint step."""
        total = Solved.none()
        for t in range(point.tasks.T):
            W = point.W.copy()
            W[:, t], solved = self.solve_task(point, t)
            point, total = point.at(W=W), total + solved
        return HalfStep(point.W, total)


def _refuse(model: Model) -> None:
    """Raise `ModelError` for a penalty on W with kinks, which these problems do not have (`penalised`)."""
    if (omega := model.prox_omega) is not None:
        raise ModelError(
            f"the penalty {omega.name} on W has kinks, its W-step is joint (compile_weight_step): choose"
            " sweep 'joint'"
        )


def _weight_problem(T: int, d: int, problems: Problems | None) -> WeightProblem:
    return kept(problems).get(("W", T, d), lambda: WeightProblem(T=T, d=d))


class BlockForm(NamedTuple):
    """The entries of a symmetric H (T d, T d) of blocks ``diag(C[t, u])`` and, in the diagonal, G_t on top.

    Each that can differ from 0 once, of H[i, j] and H[j, i] that of j >= i; w is stacked by tasks.
    """

    pairs: tuple[Indices, Indices]
    """Tasks t < u."""
    inner: tuple[Indices, Indices]
    """Features j <= k."""
    T: int
    d: int

    @classmethod
    def of(cls, T: int, d: int) -> BlockForm:
        """That of T tasks with d features."""
        return cls(np.triu_indices(T, 1), np.triu_indices(d), T, d)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.pairs[0]) * self.d + len(self.inner[0]) * self.T

    def entries(self, C: Array, G: Array, unit: Array) -> Array:
        """Those of ``diag(unit) H diag(unit)`` from C (T, T, d), G (T, d, d) and unit (T, d)."""
        (t, u), (j, k) = self.pairs, self.inner
        blocks = (G * unit[:, :, None] * unit[:, None, :])[:, j, k]
        blocks[:, j == k] += np.einsum("tti->ti", C) * unit * unit
        return np.concatenate([(C[t, u] * unit[t] * unit[u]).ravel(), blocks.ravel()])

    def places(self, n: int) -> sp.csc_array:
        """Where they stand in H, its columns one below the other: (n n, size) for n = T d."""
        (t, u), (j, k), count = self.pairs, self.inner, np.arange(self.size)
        features, tasks = np.arange(self.d), np.arange(self.T)[:, None]
        first = np.concatenate([(t[:, None] * self.d + features).ravel(), (tasks * self.d + j).ravel()])
        second = np.concatenate([(u[:, None] * self.d + features).ravel(), (tasks * self.d + k).ravel()])
        other = first != second
        rows = np.concatenate([second * n + first, (first * n + second)[other]])
        columns = np.concatenate([count, count[other]])
        return sp.csc_array((np.ones(len(rows)), (rows, columns)), shape=(n * n, self.size))
