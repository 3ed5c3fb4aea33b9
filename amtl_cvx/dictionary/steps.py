r"""The two convex steps of J(D, G), each a CVXPY problem that is compiled once, or the same in NumPy.

    D-step   min  sum_t c_t L_t(D g_t),   ||d_k||_2 <= 1        a second-order cone a column
    G-step   min  c_t L_t(D g_t),         ||g_t||_1 <= radius   linear limits, task by task

Their quadratic parts, in vec(D) by columns and in g_t, with C_t = half the Hessian of c_t L_t:

    H_D = sum_t g_t g_t' (x) C_t          A_t = D'C_t D

The squared loss is quadratic, and this is the step. For other losses it is its second-order model at the
point, and steps of Newton's method, over the balls as they are, lead to the minimum: of G for every task with
a length of its own. Where they have to be cut short, curvature is added (rows far out of the Huber loss have
none).

What a solver leaves is polished by `atoms` (from its multipliers) and `codes` (from its support). Those solve
the same two problems by themselves where that is asked for (``engine="fast"``), inside refinement, and in a
D-step of more than `COMPILED` unknowns; the history names who solved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cvxpy as cp
import numpy as np

from amtl_cvx import memory
from amtl_cvx.arrays import Array
from amtl_cvx.dictionary.atoms import atom_minimum
from amtl_cvx.dictionary.codes import Codes, code_minimum, l1_projected, settled
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.refine.local import shifted
from amtl_cvx.solvers import AUTO, Backend, Compiled, Solved
from amtl_cvx.subproblems import HalfStep, Problems
from amtl_cvx.subproblems.problems import kept

_BYTES = 32  # of memory that an entry of H takes, its factor included
COMPILED = 150
"""Unknowns K d of a D-step up to which CVXPY states it: it compiles cones in memory that grows as (K d)^3."""
_NEWTON_STEPS = 60
_SETTLED = 1e-14  # of J: a fall below it is rounding
_SHORT, _SHORTEST = 0.2, 1e-10  # parts of a Newton step: curvature is added, no more of it is tried
_ADDED, _LEAST_ADDED, _MOST_ADDED = 1e-3, 1e-6, 1e3  # of the largest curvature: at first, nothing, no more
_SNAP = 1e-7  # of the radius: what a solver leaves of a zero
NUMPY = Solved(solver="numpy", status="optimal", seconds=0.0)


class Quadratic(NamedTuple):
    """x'H x - 2 sum g x over the columns of D that are used: H (k d, k d), g (k, d)."""

    H: Array
    g: Array


def quadratic_of_D(point: DictionaryPoint) -> Quadratic:
    """J to second order in the columns of D that some task uses."""
    on = point.G.any(axis=1)
    G, D, (d, k) = point.G[on], point.D[:, on], (len(point.D), int(on.sum()))
    pairs = (G[:, None, :] * G[None]).reshape(k * k, -1)
    curved = pairs @ (0.5 * point.loss_curvature).reshape(-1, d * d)
    H = curved.reshape(k, k, d, d).swapaxes(1, 2).reshape(k * d, k * d)
    right = (H @ D.T.ravel()).reshape(k, d) - 0.5 * point.gradient_D.T[on]
    return Quadratic(H, right)


def codes_of(point: DictionaryPoint) -> Codes:
    """J to second order in the codes, task by task."""
    A = point.D.T @ (0.5 * point.loss_curvature) @ point.D
    G = point.G.T
    return Codes(A, (A @ G[:, :, None])[:, :, 0] - 0.5 * point.gradient_G.T)


class BallProblem:
    """The compiled D-step of k columns."""

    def __init__(self, k: int, d: int) -> None:
        self.H, self.g = cp.Parameter((k * d, k * d)), cp.Parameter(k * d)
        self.x, e = cp.Variable(k * d), cp.Variable()
        objective = cp.quad_form(self.x, cp.psd_wrap(self.H)) - 2.0 * e
        balls = [cp.norm(self.x[j * d : (j + 1) * d], 2) <= 1.0 for j in range(k)]
        problem = cp.Problem(cp.Minimize(objective), [e == self.g @ self.x, *balls])
        self.compiled = Compiled(problem, step="D", what="the D-step")

    def minimise(self, quadratic: Quadratic, backend: Backend) -> tuple[Array, Solved]:
        """The solver's minimum (k, d), in whatever units the data have."""
        H, g = quadratic
        size = max(float(np.abs(g).max(initial=0.0)), float(np.diag(H).max(initial=0.0))) or 1.0
        solved = self.compiled.solve({self.H: H / size, self.g: g.ravel() / size}, backend)
        return np.array(self.x.value, dtype=float).reshape(g.shape), solved


class CodeProblem:
    """The compiled G-step of one task."""

    def __init__(self, K: int) -> None:
        self.A, self.b = cp.Parameter((K, K)), cp.Parameter(K)
        self.x, size, e = cp.Variable(K), cp.Variable(K), cp.Variable()
        objective = cp.quad_form(self.x, cp.psd_wrap(self.A)) - 2.0 * e
        limits = [e == self.b @ self.x, self.x <= size, -size <= self.x, cp.sum(size) <= 1.0]
        self.compiled = Compiled(cp.Problem(cp.Minimize(objective), limits), step="G", what="the G-step")

    def minimise(self, codes: Codes, radius: float, backend: Backend) -> tuple[Array, Solved]:
        """The solver's minima (m, K), one task after another, in units of the radius."""
        found, total = np.zeros_like(codes.b), Solved.none()
        for t, (A, b) in enumerate(zip(*codes, strict=True)):
            A, b = A * radius**2, b * radius
            size = max(float(np.abs(b).max()), float(np.diag(A).max())) or 1.0
            solved = self.compiled.solve({self.A: A / size, self.b: b / size}, backend)
            found[t] = radius * np.array(self.x.value, dtype=float)
            total = total + solved
        return found, total


@dataclass(frozen=True, kw_only=True)
class AtomStep:
    """argmin over D (d, K) of J: by a compiled problem for k columns in use, or by NumPy."""

    compiled: Callable[[int, int], BallProblem] | None = None
    backend: Backend = AUTO

    @classmethod
    def compile(cls, *, backend: Backend = AUTO, problems: Problems | None = None) -> AtomStep:
        """The step by CVXPY; its problems, one a number of columns in use, are kept among `problems`."""
        shelf = kept(problems)
        return cls(compiled=lambda k, d: shelf.get(("D", k, d), lambda: BallProblem(k, d)), backend=backend)

    def solve(self, point: DictionaryPoint) -> HalfStep:
        """The minimum; columns that no task uses stay as they are."""
        if not point.G.any():
            return HalfStep(point.D, NUMPY)
        total, added = Solved.none(), float(_first_added(point).max())
        for _ in range(_NEWTON_STEPS):
            target, told = self._model_minimum(point, added)
            total = total + told
            if point.model.loss.quadratic:
                return HalfStep(target, total)
            fall = float(np.vdot(point.gradient_D, point.D - target))
            point, length = _along(point, target, fall)
            added = float(_next_added(np.array(added), np.array(length)))
            if fall <= _SETTLED * abs(point.objective) or added > _MOST_ADDED:
                break
        return HalfStep(point.D, total)

    def _model_minimum(self, point: DictionaryPoint, added: float) -> tuple[Array, Solved]:
        """The minimum of the second-order model with curvature added."""
        on, started = point.G.any(axis=1), time.perf_counter()
        n = int(on.sum()) * len(point.D)
        memory.check(_BYTES * n * n, f"the D-step with {n} unknowns", "learn fewer features")
        H, g = quadratic_of_D(point)
        if added:
            more = added * float((point.G[on] ** 2 @ _curvature(point)).max())
            H, g = shifted(H, more), g + more * point.D.T[on]
        multipliers = -0.5 * (point.gradient_D.T[on] * point.D.T[on]).sum(axis=1)
        made = self.compiled if g.size <= COMPILED else None
        if made is not None:
            x, told = made(*g.shape).minimise(Quadratic(H, g), self.backend)
            multipliers = np.linalg.norm((H @ x.ravel()).reshape(x.shape) - g, axis=1)
        D = point.D.copy()
        D[:, on] = atom_minimum(H, g, multipliers).atoms.T
        return D, told if made else replace(NUMPY, seconds=time.perf_counter() - started)


def _along(point: DictionaryPoint, target: Array, fall: float) -> tuple[DictionaryPoint, float]:
    """The first of half as long moves of D towards the target that lowers J enough, and its length."""
    end = point.at(D=target)
    length = min(1.0, point.model.loss.step_length(point.tasks, end.W - point.W))
    J = point.objective
    while length > _SHORTEST:
        new = end if length >= 1.0 else point.at(D=point.D + length * (target - point.D))
        if new.objective <= J - 1e-4 * length * fall + 0.1 * _SETTLED * abs(J):
            return new, length
        length *= 0.5
    return point, 0.0


def _curvature(point: DictionaryPoint) -> Array:
    """What the curvature of a task is at most along a direction of length 1, up to a constant, (T,)."""
    rate = point.problem.task_weight * point.problem.loss_scales
    return np.asarray(rate * (point.tasks.lengths**2).sum(axis=0))


def _first_added(point: DictionaryPoint) -> Array:
    """What is added to the curvature of each task at first: something where rows are on straight parts."""
    straight = [((each.curvatures <= 0.0) & (each.slopes != 0.0)).any(axis=1) for each in point.scores]
    return np.where(np.concatenate(straight), _ADDED, 0.0)


def _next_added(added: Array, length: Array) -> Array:
    """More after a short step, less after another one."""
    found = np.where(length <= _SHORT, np.maximum(10.0 * added, _ADDED), 0.1 * added)
    return np.where(found > _LEAST_ADDED, found, 0.0)


@dataclass(frozen=True, kw_only=True)
class CodeStep:
    """argmin over G (K, T) of J: by a compiled problem for each task, or by NumPy for all at once."""

    compiled: CodeProblem | None = None
    backend: Backend = AUTO

    @classmethod
    def compile(cls, K: int, *, backend: Backend = AUTO, problems: Problems | None = None) -> CodeStep:
        """The step by CVXPY, compiled or found among `problems`."""
        made = kept(problems).get(("G", K), lambda: CodeProblem(K))
        return cls(compiled=made, backend=backend.on_cpu())

    def solve(self, point: DictionaryPoint) -> HalfStep:
        """The minimum, task by task."""
        total, added = Solved.none(), _first_added(point)
        for _ in range(_NEWTON_STEPS):
            target, told = self._model_minimum(point, added)
            total = total + told
            if point.model.loss.quadratic:
                return HalfStep(target, total)
            fall = (point.gradient_G * (point.G - target)).sum(axis=0)
            point, length = _by_task(point, target, fall)
            settled_now = fall <= _SETTLED * abs(point.objective)
            added = np.where(settled_now, added, _next_added(added, length))
            if (settled_now | (added > _MOST_ADDED)).all():
                break
        return HalfStep(point.G, total)

    def _model_minimum(self, point: DictionaryPoint, added: Array) -> tuple[Array, Solved]:
        """The minima of the second-order models with curvature added."""
        codes, radius, started = codes_of(point), point.model.radius, time.perf_counter()
        if added.any():
            more = added * _curvature(point)
            A = codes.A + more[:, None, None] * np.eye(len(point.G))
            codes = Codes(A, codes.b + more[:, None] * point.G.T)
        if self.compiled is None:
            G = code_minimum(codes, radius, point.G.T).T
            told = replace(NUMPY, seconds=time.perf_counter() - started)
            return np.ascontiguousarray(_inside(G, radius)), told
        x, told = self.compiled.minimise(codes, radius, self.backend)
        polished, right = settled(codes, radius, np.where(np.abs(x) > _SNAP * radius, x, 0.0))
        x = np.where(right[:, None], polished, l1_projected(x, radius))
        return np.ascontiguousarray(_inside(x.T, radius)), told


def _inside(G: Array, radius: float) -> Array:
    """Columns that rounding has put beyond their ball, back on it."""
    found: Array = G / np.maximum(np.abs(G).sum(axis=0) / radius, 1.0) + 0.0  # no -0
    return found


def _by_task(point: DictionaryPoint, target: Array, fall: Array) -> tuple[DictionaryPoint, Array]:
    """Each code moved by the first of half as long moves to its target that lowers its loss enough."""
    before, rounding = point.weighted_losses, 0.1 * _SETTLED * abs(point.objective)
    moves = zip(point.tasks, (point.at(G=target).W - point.W).T, strict=True)
    length = np.array([point.model.loss.step_length((task,), v[:, None]) for task, v in moves])
    length = np.minimum(length, 1.0)
    waiting = np.ones(len(fall), dtype=bool)
    while waiting.any():
        trial = point.at(G=np.where(length >= 1.0, target, point.G + length * (target - point.G)))
        waiting = trial.weighted_losses > before - 1e-4 * length * fall + rounding
        length = np.where(waiting, np.where(length > _SHORTEST, 0.5 * length, 0.0), length)
        waiting &= length > 0.0
    return point.at(G=np.where(length >= 1.0, target, point.G + length * (target - point.G))), length
