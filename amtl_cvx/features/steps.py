r"""The three convex steps of J(L, S, A), each a CVXPY problem that is compiled once.

    L-step   min  sum_t e_t L_t(L s_t) + gamma ||R L M||^2 + decay ||L||^2             R'R = X'X, M = I - S A
    S-step   min  sum_t e_t L_t(L s_t) + gamma ||Z - Z S A||^2 + mu ||S||_1            Z = R L
    A-step   min  sum_j gamma ||z_j - Z S a_j||^2 + sum_t p_t |a_tj|    column by column, A >= 0 or signed

Their quadratic parts, in vec(L) by features, vec(S) by tasks and a column of A (`gram`):

    H_L = sum_t e_t s_t s_t' (x) C_t + gamma M M' (x) X'X + decay I         C_t = half the Hessian of L_t
    H_S = blockdiag(e_t L'C_t L) + gamma A A' (x) Z'Z
    H_A = gamma (Z S)'(Z S),    g_j = gamma (Z S)'z_j

The squared loss is quadratic, and this is the step. For other losses it is its second-order model at the
point, and steps of Newton's method, on S with its prices kept exact, lead to the minimum; where they have to
be cut short, curvature is added (rows far out of the Huber loss have none). `definition` poses the steps with
the loss's own atom on the rows as they are: slow, what the fast ones are tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cvxpy as cp
import numpy as np

from amtl_cvx.errors import SolveError
from amtl_cvx.features.gram import GramProblem, Quadratic
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.solvers import AUTO, Backend, Solved, Step, check_dpp, solve
from amtl_cvx.subproblems import HalfStep, Problems
from amtl_cvx.subproblems.problems import kept
from amtl_cvx.tasks import Array

Moved = Literal["L", "S"]
_NEWTON_STEPS = 60
_SETTLED = 1e-13  # of J: a fall below it is rounding
_SHORT, _SHORTEST = 0.2, 1e-10  # parts of a Newton step: curvature is added, no more of it is tried
_TINY = 1e-3  # what a move from 0 is held to
_SINGULAR = 1e-8  # of the unit diagonal
_ADDED, _LEAST_ADDED = 1e-3, 1e-6  # of the diagonal of H: at first, and what counts as nothing


def quadratic_of_L(point: FeaturePoint) -> Quadratic:
    """J as a function of a move of vec(L), columns stacked, to second order."""
    S, (d, k), T = point.S, point.L.shape, point.S.shape[1]
    pairs = (point.loss_weight * S)[:, None, :] * S[None]
    curved = pairs.reshape(k * k, T) @ (0.5 * point.loss_curvature).reshape(T, d * d)
    H: Array = curved.reshape(k, k, d, d).swapaxes(1, 2).reshape(k * d, k * d)
    if point.problem.gamma > 0.0:
        H += np.kron(point.problem.gamma * (point.M @ point.M.T), point.problem.reconstruction.gram)
    H.flat[:: k * d + 1] += point.model.decay
    return Quadratic(H, -0.5 * point.gradient_L.T.ravel())


def quadratic_of_S(point: FeaturePoint) -> Quadratic:
    """J without mu ||S||_1 as a function of a move of vec(S), columns stacked, to second order."""
    (k, T), L = point.S.shape, point.L
    gram = point.problem.gamma * (point.Z.T @ point.Z)
    crossed = np.asarray(np.kron(point.A @ point.A.T, gram), dtype=np.float64)
    H, tasks = crossed.reshape(T, k, T, k), np.arange(T)
    H[tasks, :, tasks, :] += 0.5 * point.loss_weight[:, None, None] * (L.T @ point.loss_curvature @ L)
    return Quadratic(H.reshape(T * k, T * k), -0.5 * point.gradient_S.T.ravel())


_QUADRATICS: Mapping[Moved, Callable[[FeaturePoint], Quadratic]] = {"L": quadratic_of_L, "S": quadratic_of_S}


@dataclass(frozen=True, kw_only=True)
class LossStep:
    """argmin over L (d, k) or over S (k, T) of J, on which the losses depend."""

    block: Moved
    problem: GramProblem
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls,
        problem: FeatureProblem,
        block: Moved,
        *,
        backend: Backend = AUTO,
        problems: Problems | None = None,
    ) -> LossStep:
        """The step of a block for the problem's shapes, compiled or found among `problems`."""
        n = int(np.prod(problem.shapes[block]))
        made = kept(problems).get((block, n), lambda: GramProblem(n, step=block, priced=block == "S"))
        return cls(block=block, problem=made, backend=backend)

    def solve(self, point: FeaturePoint) -> HalfStep:
        """The block's minimum; its value at the point is the start of Newton's method."""
        total, added, quadratic = Solved.none(), 0.0, point.model.loss.quadratic
        for _ in range(1 if quadratic else _NEWTON_STEPS):
            J = point.objective
            try:
                target, fall, told = self._model_minimum(point, added)
            except SolveError:  # curvatures so small that no solver sees them
                if quadratic or added:
                    raise
                added = _ADDED
                target, fall, told = self._model_minimum(point, added)
            total = total + told
            if quadratic:
                return HalfStep(target, total)
            moved, length = self._along(point, target, fall)
            if moved is None:
                if added > _LEAST_ADDED or fall <= _SETTLED * abs(J):
                    break
            else:
                point = moved
            if fall <= _SETTLED * abs(J):
                break
            added = max(10.0 * added, _ADDED) if length <= _SHORT else 0.1 * added
            added = added if added > _LEAST_ADDED else 0.0
        return HalfStep(point.blocks[self.block], total)

    def _model_minimum(self, point: FeaturePoint, added: float) -> tuple[Array, float, Solved]:
        """The minimum of the second-order model, with curvature added, and how far J falls to first order."""
        H, g = _QUADRATICS[self.block](point)
        old = point.blocks[self.block].T.ravel()
        if not added and _straight(point, H):
            added = _ADDED
        if added:  # at least what holds a move to about the size of the block
            size = np.abs(g) / (np.abs(old) + np.abs(old).mean() + _TINY)
            H.flat[:: len(H) + 1] += added * np.maximum(np.maximum(np.diag(H), np.diag(H).mean()), size)
        if self.block == "L":
            move, told = self.problem.minimise(Quadratic(H, g), self.backend)
            read = (point.S != 0.0).any(axis=1) | (point.A != 0.0).any(axis=0)
            new, paid = np.where(np.repeat(read, len(point.L)), old + move, 0.0), 0.0
        else:
            price = np.full(len(g), point.model.mu)
            model = Quadratic(H, g + H @ old)
            new, told = self.problem.minimise(model, self.backend, price=price)
            paid = point.model.mu * float((np.abs(new) - np.abs(old)).sum())
        fall = 2.0 * float(g @ (new - old)) - paid
        return new.reshape(point.blocks[self.block].shape[::-1]).T.copy(), fall, told

    def _along(self, point: FeaturePoint, target: Array, fall: float) -> tuple[FeaturePoint | None, float]:
        """The first of half as long moves towards the target that lowers J enough, and its length."""
        old, J = point.blocks[self.block], point.objective
        end = point.at(**{self.block: target})
        length = point.model.loss.step_length(point.tasks, end.W - point.W)
        while length > _SHORTEST:
            new = end if length >= 1.0 else point.at(**{self.block: old + length * (target - old)})
            if new.objective <= J - 1e-4 * length * fall + 0.1 * _SETTLED * abs(J):
                return new, length
            length *= 0.5
        return None, length


def _straight(point: FeaturePoint, H: Array) -> bool:
    """Whether the second-order model may fall without end: rows are on straight parts, and H is singular."""
    rows = point.scores
    if not any(bool(((each.curvatures <= 0.0) & (each.slopes != 0.0)).any()) for each in rows):
        return False
    unit = 1.0 / np.sqrt(np.where(np.diag(H) > 0.0, np.diag(H), 1.0))
    try:
        np.linalg.cholesky(H * unit[:, None] * unit - _SINGULAR * np.eye(len(H)))
    except np.linalg.LinAlgError:
        return True
    return False


@dataclass(frozen=True, kw_only=True)
class FeedbackStep:
    """argmin over A (T, k) of J, one column after another."""

    problem: GramProblem
    backend: Backend = AUTO

    @classmethod
    def compile(
        cls, problem: FeatureProblem, *, backend: Backend = AUTO, problems: Problems | None = None
    ) -> FeedbackStep:
        """The problem of a column, of T unknowns, compiled or found among `problems`."""
        T, signed = problem.tasks.T, problem.model.signed
        made = kept(problems).get(
            ("A", T, signed), lambda: GramProblem(T, step="A", priced=True, signed=signed)
        )
        return cls(problem=made, backend=backend.on_cpu())

    def solve(self, point: FeaturePoint) -> HalfStep:
        """The minimum; where nothing is reconstructed it is 0."""
        F, total = point.Z @ point.S, Solved.none()
        A = np.zeros((point.S.shape[1], len(point.S)))
        if point.problem.gamma == 0.0 or not F.any():
            return HalfStep(A, Solved(solver="closed form", status="optimal", seconds=0.0))
        H, G = (point.problem.gamma * (F.T @ other) for other in (F, point.Z))
        for j, g in enumerate(G.T):
            A[:, j], told = self.problem.minimise(Quadratic(H, g), self.backend, price=point.prices)
            total = total + told
        return HalfStep(A, total)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The L-step or the S-step with the loss's own atom; beside the block there are U = L S and V = S A."""

    block: Moved
    problem: cp.Problem
    unknown: cp.Variable
    given: Mapping[str, cp.Parameter]
    step: Step
    backend: Backend = AUTO

    @classmethod
    def compile(cls, problem: FeatureProblem, block: Moved, *, backend: Backend = AUTO) -> Definition:
        """The step for a problem; other data are other problems."""
        tasks, model, (d, k), T = problem.tasks, problem.model, problem.shapes["L"], problem.tasks.T
        R = problem.reconstruction.factor if problem.gamma > 0.0 else np.zeros((1, d))
        x, U = cp.Variable(problem.shapes[block]), cp.Variable((d, T))
        given = {"loss_weight": cp.Parameter(T, nonneg=True)}
        if block == "L":
            given |= {"S": cp.Parameter((k, T)), "M": cp.Parameter((k, k))}
            limits, own = [x @ given["S"] == U], model.decay * cp.sum_squares(x)
            missed = R @ x @ given["M"]
        else:
            given |= {"L": cp.Parameter((d, k)), "A": cp.Parameter((T, k)), "Z": cp.Parameter((len(R), k))}
            V = cp.Variable((k, k))
            limits, own = [given["L"] @ x == U, x @ given["A"] == V], model.mu * cp.norm1(x)
            missed = given["Z"] @ (np.eye(k) - V)
        losses = cp.hstack([model.loss.expression(task, U[:, t]) for t, task in enumerate(tasks)])
        objective = given["loss_weight"] @ losses + own + problem.gamma * cp.sum_squares(missed)
        made = check_dpp(cp.Problem(cp.Minimize(objective), limits), f"the {block}-step (definition)")
        quadratic: Step = block
        cone: Step = "L-cone" if block == "L" else "S-cone"
        step = quadratic if model.loss.quadratic else cone
        return cls(block=block, problem=made, unknown=x, given=given, step=step, backend=backend)

    def solve(self, point: FeaturePoint) -> HalfStep:
        """The block's minimum as the solver has it: what is 0 in truth may be 1e-9."""
        for name, parameter in self.given.items():
            value = getattr(point, name)
            parameter.value = value if value.size else np.zeros(parameter.shape)
        solved = solve(self.problem, step=self.step, backend=self.backend)
        return HalfStep(np.array(self.unknown.value, dtype=float), solved)
