r"""The W-step with a penalty on W that has kinks, in CVXPY: one compiled problem, made exact in NumPy.

    min_{w, e, v}  w'H w - 2 e + s v    subject to    e = g'w,  v >= Omega_1(P o w)

w, H, e and g as of `WeightProblem`, in its units: P (d, T) is what they are of W, Omega_1 is the penalty at
rho = 1 and s = rho / size^2, size that of the objective. So coupling, mu, rho and the data are parameters,
and the expression of the penalty is compiled once. A loss that is not quadratic takes the problem as its
Newton step. Conic solvers end at 1e-9; the kinks are settled there, and `prox_minimum` does the rest.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np

from amtl_cvx.problem import Model, Point
from amtl_cvx.solvers import AUTO, Backend, Compiled, Solved
from amtl_cvx.subproblems.coupled import LossModel, joint_step
from amtl_cvx.subproblems.halfstep import HalfStep
from amtl_cvx.subproblems.lowering import lower_towards
from amtl_cvx.subproblems.problems import Problems, kept
from amtl_cvx.subproblems.tangents import prox_minimum
from amtl_cvx.subproblems.weights import BlockForm, WeightStep
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import WeightPenalty

_NEWTON_STEPS = 60
_NEAR = 1e-6  # relative fall of J from which on NumPy goes on alone


class PenalisedProblem:
    """The compiled problem of the module essay for T tasks; `unit` is the penalty at rho = 1."""

    def __init__(self, unit: WeightPenalty, *, T: int, d: int) -> None:
        self.T, self.d, self.form = T, d, BlockForm.of(T, d)
        self.h, self.g = cp.Parameter(self.form.size), cp.Parameter(T * d)
        self.P, self.s = cp.Parameter((d, T), nonneg=True), cp.Parameter(nonneg=True)
        self.w, e, v = cp.Variable(T * d), cp.Variable(), cp.Variable()
        H = cp.reshape(self.form.places(T * d) @ self.h, (T * d, T * d), order="F")
        W = cp.multiply(self.P, cp.reshape(self.w, (d, T), order="F"))
        objective = cp.quad_form(self.w, cp.psd_wrap(H)) - 2.0 * e + self.s * v
        limits = [e == self.g @ self.w, v >= unit.expression(W)]
        self.compiled = Compiled(
            cp.Problem(cp.Minimize(objective), limits), step="W-omega", what="the W-step"
        )

    def minimum(self, point: Point, backend: Backend) -> HalfStep:
        """The minimum of the second-order model of J at W plus Omega."""
        omega, step = point.model.omega, joint_step(point)
        assert omega is not None
        C, G, g = LossModel.at(step, point.W).coupled(step)
        unit = 1.0 / np.sqrt(np.einsum("tti->ti", C) + np.einsum("tii->ti", G))
        size = float(np.abs(unit * g).max()) or 1.0
        values = {
            self.h: self.form.entries(C, G, unit),
            self.g: (unit * g).ravel() / size,
            self.P: unit.T,
            self.s: np.asarray(omega.rho / size),
        }
        solved = self.compiled.solve(values, backend)
        return HalfStep((size * unit * self.w.value.reshape(self.T, self.d)).T, solved)


@dataclass(frozen=True, kw_only=True)
class PenalisedWeightStep:
    """All predictors at once, B fixed."""

    problem: PenalisedProblem
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls, tasks: TaskSet, model: Model, *, backend: Backend = AUTO, problems: Problems | None = None
    ) -> PenalisedWeightStep:
        """The problem for the tasks' shape and the penalty, compiled or found among `problems`."""
        assert model.omega is not None
        unit = replace(model.omega, rho=1.0)  # type: ignore[type-var]
        key = ("W", tasks.T, tasks.d, unit.description())
        problem = kept(problems).get(key, lambda: PenalisedProblem(unit, T=tasks.T, d=tasks.d))
        return cls(problem=problem, backend=backend)

    def solve(self, point: Point) -> HalfStep:
        """argmin over W of J(., B), (d, T); `W` is the start."""
        total = Solved.none()
        for _ in range(_NEWTON_STEPS):
            minimum, solved = self.problem.minimum(point, self.backend)
            total, last, point = total + solved, point, lower_towards(point, minimum)
            fall = last.objective - point.objective
            if point.model.loss.quadratic or fall <= _NEAR * abs(point.objective):
                break
        return HalfStep(prox_minimum(point).W, total)


def compile_weight_step(
    tasks: TaskSet,
    model: Model,
    *,
    backend: Backend = AUTO,
    problems: Problems | None = None,
    executor: Executor | None = None,
) -> WeightStep | PenalisedWeightStep:
    """The joint W-step of a model, compiled or found among `problems`; parameters of `WeightStep.compile`."""
    if model.prox_omega is not None:
        return PenalisedWeightStep.compile(tasks, model, backend=backend, problems=problems)
    return WeightStep.compile(tasks, model, backend=backend, problems=problems, executor=executor)
