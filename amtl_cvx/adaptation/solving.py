r"""The solution of a new task's problem: a CVXPY problem, and Newton's method to the last digits.

In units in which the columns of U, W divided by their lengths, v = w / size and the objective at 0 are 1,

    min over v and beta >= 0 of   loss(size v) + ||k v - k U beta||^2 + q'beta + ||sqrt(rho) size v||^2

For the squared loss the rows are a triangular factor and everything is a parameter: one problem of a shape
serves any number of new tasks (`Options.problems`). Another loss enters with its own atom.

Newton's method replaces the loss by its second-order model at w, with Hessian Q = V diag(e) V' (the ridge
included) and gradient g. Without w, which is (Q + 2 coupling)^-1 (Q w_0 - g + 2 coupling W b), there remains

    min over b >= 0 of   coupling b'Z'diag(e s)Z b + (p - 2 coupling Z'(s h))'b,    s = 1 / (e + 2 coupling),

Z = V'W, h = V'(Q w_0 - g): non-negative least squares, solved exactly by the active-set method of
`problem.active_set`. For the squared loss one step is the answer, a second one corrects its rounding.
"""

from __future__ import annotations

import math

import cvxpy as cp
import numpy as np

from amtl_cvx.adaptation.arrival import Arrival
from amtl_cvx.arrays import Array
from amtl_cvx.options import Options
from amtl_cvx.problem.active_set import nonnegative_columns
from amtl_cvx.solvers import Backend, Compiled, Solved, check_dpp, solve
from amtl_cvx.subproblems import kept

_STEPS = 60
_SHORTEST = 1e-12
_SETTLED = 1e-13  # relative gain of a step at which one more, for its rounding, is the last
_DEAR = 4.0  # in the units of the essay an edge of price 2 k is absent from every minimum


class QuadraticProblem:
    """The compiled problem for d features and T tasks, squared loss."""

    def __init__(self, *, d: int, T: int) -> None:
        self.rows, self.targets = cp.Parameter((d + 1, d)), cp.Parameter(d + 1)
        self.k, self.U, self.q = cp.Parameter(), cp.Parameter((d, T)), cp.Parameter(T)
        self.ridge = cp.Parameter()
        self.v, self.b = cp.Variable(d), cp.Variable(T)
        objective = (
            cp.sum_squares(self.rows @ self.v - self.targets)
            + cp.sum_squares(self.k * self.v - self.U @ self.b)
            + self.q @ self.b
            + cp.sum_squares(self.ridge * self.v)
        )
        problem = cp.Problem(cp.Minimize(objective), [self.b >= 0])
        self.compiled = Compiled(problem, step="W", what="the problem of a new task", quadratic=True)


def solved(arrival: Arrival, options: Options) -> tuple[Array, Array, Solved]:
    """w (d,), b (T,) >= 0 and who found them: NumPy alone with the fast engine."""
    d, T = arrival.W.shape
    w, b, told = np.zeros(d), np.zeros(T), Solved(solver="numpy", status="optimal", seconds=0.0)
    if options.engine == "cvxpy":
        w, b, told = by_solver(arrival, options)
    w, b = newton(arrival, w, b)
    if arrival.value(np.zeros(d), np.zeros(T)) <= arrival.value(w, b):  # all targets 0, but for rounding
        w, b = np.zeros(d), np.zeros(T)
    return w, b, told


def by_solver(arrival: Arrival, options: Options) -> tuple[Array, Array, Solved]:
    """The same as a solver of CVXPY has it.

    Raises
    ------
    SolveError
        If no solver of the chain gives an answer.
    """
    d, T = arrival.W.shape
    length = np.linalg.norm(arrival.W, axis=0)
    size = float(length.max()) or 1.0
    unit = arrival.value(np.zeros(d), np.zeros(T)) or 1.0
    k = size * math.sqrt(arrival.coupling / unit)
    there = length > 0.0
    U = k * np.divide(arrival.W, length, out=np.zeros_like(arrival.W), where=there)
    lengths = np.where(there, length, size)
    q = np.where(there, np.minimum(arrival.prices * size / (lengths * unit), _DEAR * k), _DEAR * k)
    ridge, backend = size * math.sqrt(arrival.rho / unit), options.backend
    if arrival.loss.quadratic:
        v, b, told = _quadratic(arrival, (size, unit, k, U, q, ridge), options, backend)
    else:
        v, b, told = _by_atom(arrival, (size, unit, k, U, q, ridge), backend)
    return size * v, np.maximum(b, 0.0) * size / lengths, told


_Scaled = tuple[float, float, float, Array, Array, float]


def _quadratic(
    arrival: Arrival, scaled: _Scaled, options: Options, backend: Backend
) -> tuple[Array, Array, Solved]:
    size, unit, k, U, q, ridge = scaled
    d, T = arrival.W.shape
    problem = kept(options.problems).get(("new task", d, T), lambda: QuadraticProblem(d=d, T=T))
    task = arrival.loss.compress(arrival.task)
    root = math.sqrt(arrival.weight * arrival.loss.scale(task) / unit)
    rows, targets = np.zeros((d + 1, d)), np.zeros(d + 1)
    rows[: len(task.y)], targets[: len(task.y)] = root * size * task.X, root * task.y
    values = {
        problem.rows: rows,
        problem.targets: targets,
        problem.k: np.array(k),
        problem.U: U,
        problem.q: q,
        problem.ridge: np.array(ridge),
    }
    told = problem.compiled.solve(values, backend)
    return np.array(problem.v.value), np.array(problem.b.value), told


def _by_atom(arrival: Arrival, scaled: _Scaled, backend: Backend) -> tuple[Array, Array, Solved]:
    size, unit, k, U, q, ridge = scaled
    d, T = arrival.W.shape
    v, b = cp.Variable(d), cp.Variable(T)
    objective = (
        (arrival.weight / unit) * arrival.loss.expression(arrival.task, size * v)
        + cp.sum_squares(k * v - U @ b)
        + q @ b
        + cp.sum_squares(ridge * v)
    )
    problem = check_dpp(cp.Problem(cp.Minimize(objective), [b >= 0]), "the problem of a new task")
    told = solve(problem, step="W-omega", backend=backend)
    return np.array(v.value), np.array(b.value), told


def newton(arrival: Arrival, w: Array, b: Array) -> tuple[Array, Array]:
    """Newton's method from w and b >= 0, each model minimised exactly, damped; the value never rises."""
    value, last = arrival.value(w, b), False
    for _ in range(_STEPS):
        to_w, to_b = _model_minimum(arrival, w, b)
        moved = to_w - w
        length = arrival.loss.step_length((arrival.task,), moved[:, None])
        while not (found := arrival.value(w + length * moved, b + length * (to_b - b))) <= value * (
            1.0 + 1e-14
        ):
            length /= 2.0
            if length < _SHORTEST:
                return w, b
        w = w + length * moved
        b = to_b if length >= 1.0 else b + length * (to_b - b)
        if last:
            break
        last = length >= 1.0 and value - found <= _SETTLED * abs(value)
        value = min(value, found)
    return w, b


def _model_minimum(arrival: Arrival, w: Array, b: Array) -> tuple[Array, Array]:
    """argmin of the objective with the loss replaced by its second-order model at w."""
    far = 2.0 * arrival.coupling
    H = arrival.own_hessian(w)
    e, V = np.linalg.eigh(H)
    e = np.maximum(e, 0.0)
    Z, h = V.T @ arrival.W, e * (V.T @ w) - V.T @ arrival.own_slope(w)
    root = np.sqrt(arrival.coupling * e / (e + far))[:, None] * Z
    T = len(b)
    K, q, start = np.eye(T + 1), np.full((T + 1, 1), -np.inf), np.zeros((T + 1, 1))
    K[1:, 1:], start[1:, 0] = 2.0 * root.T @ root, b
    q[1:, 0] = far * (Z.T @ (h / (e + far))) - arrival.prices
    edges = nonnegative_columns(K, q, start)[0][1:, 0]
    return V @ ((h + far * (Z @ edges)) / (e + far)), edges
