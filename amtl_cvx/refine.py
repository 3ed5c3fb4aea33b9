r"""Refinement: from an iterate of the alternation to a first-order point, to the last digits.

Plain alternation converges linearly and, where the spectral radius of B approaches 1, hardly at all. Both
blocks together form one bound-constrained problem, min J(W, B) over W and B >= 0, which is smooth for a
smooth loss and a linear penalty. Two methods, both monotone in J, so that the point stays in the basin of the
alternation's iterate:

* projected Newton with a Levenberg-Marquardt shift, on the free variables F (all of W; B[s, t] > 0, or G_B[s,
  t] < 0): solve (H_FF + shift D) step = -g_F, D = diag(H_FF), project B onto B >= 0, accept on the ratio of
  actual to predicted decrease, raise the shift otherwise (also where H_FF + shift D is indefinite; for a
  large shift the step is a projected scaled gradient step, which descends). With strict complementarity it
  ends as Newton's method on the right active set: quadratic.
* L-BFGS-B on (W, B >= 0) where the Hessian would not fit (more than `NEWTON_LIMIT` unknowns); linear, honest.

Second derivatives (CERTIFICATES section 3), M = I - B, r_t = (W M)_t, rate[s, u] = d p_s / d(c_u l_u):

    W-W     blockdiag(a_t Hess L_t) + 2 coupling M M' (x) I
    B_st-w_u  rate[s, u] c_u grad l_u - 2 coupling (r_t [u = s] + M_ut w_s)
    B_st-B_pt 2 coupling w_s'w_p,   0 for different targets

Measured on the instances of `tests/cases.py`: a quasi-Newton stage before Newton saved no Newton step, so
there is none below the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate import residuals
from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, Indices, Mask, TaskSet

NEWTON_LIMIT = 5000
"""Largest number of unknowns, T d + T (T - 1), for the dense Newton method (memory: its square)."""
_TRUST_RATIO = 1e-10  # below this predicted relative decrease, J is rounding noise and the residual decides
_NOISE = 1e-13  # relative rise of J that counts as rounding

Point = tuple[Array, Array]
Observer = Callable[[Array, Array, str], None]


def refine(
    tasks: TaskSet,
    model: Model,
    start: Point,
    *,
    tol: float,
    max_steps: int = 300,
    observe: Observer | None = None,
) -> Point:
    """Lower J from `start` until the relative residual is far below `tol` or nothing improves.

    Parameters
    ----------
    tasks, model
        The problem; compressed tasks (`Model.compress`) give the same answer sooner.
    start : ((d, T), (T, T))
        A feasible point.
    tol : float
        The certificate's tolerance; the target is a hundredth of it.
    max_steps : int
        Limit for the number of accepted steps.
    observe : callable(W, B, method), optional
        Called after every accepted step. `KeyboardInterrupt` raised inside passes through.

    Returns
    -------
    W, B
        A feasible point with J not above that of `start` (up to rounding).
    """
    if not can_refine(model):
        return start
    W, B = start
    unknowns = tasks.T * tasks.d + tasks.T * (tasks.T - 1)
    method = _newton if unknowns <= NEWTON_LIMIT else _quasi_newton
    name = "newton" if unknowns <= NEWTON_LIMIT else "l-bfgs-b"
    for count, (W, B) in enumerate(method(tasks, model, W, B), start=1):  # noqa: B020
        if observe is not None:
            observe(W, B, name)
        if count >= max_steps or residuals(tasks, model, W, B).relative <= 1e-2 * tol:
            break
    return W, B


def can_refine(model: Model) -> bool:
    """Whether the penalty has the gradient that refinement needs."""
    return model.transfer.prices(np.zeros(1)) is not None


class Derivatives(NamedTuple):
    """Gradient and Hessian of J in the free variables (vec(W) by tasks, then the free entries of B)."""

    gradient: Array
    hessian: Array
    sources: Indices
    targets: Indices


def derivatives(tasks: TaskSet, model: Model, W: Array, B: Array, free: Mask) -> Derivatives:
    """Second-order model of J on vec(W) and the entries of B where `free` (T, T) is True."""
    d, T = W.shape
    s, t = np.nonzero(free)
    M = np.eye(T) - B
    R = W @ M
    weighted_gradient = model.task_weight(tasks) * model.loss_gradient(tasks, W)
    cross = _price_rates(model, T)[s][:, :, None] * weighted_gradient.T[None]
    cross -= 2.0 * model.coupling * M.T[t][:, :, None] * W.T[s][:, None, :]
    cross[np.arange(len(s)), s] -= 2.0 * model.coupling * R.T[t]
    size = d * T
    H = np.empty((size + len(s), size + len(s)))
    H[:size, :size] = model.hessian_W(tasks, W, B)
    H[size:, :size] = cross.reshape(len(s), size)
    H[:size, size:] = H[size:, :size].T
    H[size:, size:] = 2.0 * model.coupling * (W.T @ W)[np.ix_(s, s)] * (t[:, None] == t)
    gradient = np.concatenate([model.gradient_W(tasks, W, B).T.ravel(), model.gradient_B(tasks, W, B)[s, t]])
    return Derivatives(gradient, H, s, t)


def _price_rates(model: Model, T: int) -> Array:
    """rate[s, u] = d p_s / d(c_u l_u), constant because prices are affine in the losses."""
    base = model.transfer.prices(np.zeros(T))
    columns = [model.transfer.prices(unit) for unit in np.eye(T)]
    assert base is not None
    return np.column_stack([column - base for column in columns if column is not None])


@dataclass
class _Shift:
    """The Levenberg-Marquardt shift: up after a refusal, down after a step that the model predicted well."""

    value: float = 1e-3

    def raise_(self) -> None:
        self.value = max(4.0 * self.value, 1e-10)

    def adapt(self, ratio: float) -> None:
        if ratio > 0.7:
            self.value = self.value / 8.0 if self.value > 1e-14 else 0.0
        elif ratio < 0.2:
            self.value = max(2.0 * self.value, 1e-10)


def _newton(tasks: TaskSet, model: Model, W: Array, B: Array) -> Iterator[Point]:
    shift = _Shift()
    off_diagonal = ~np.eye(tasks.T, dtype=bool)
    while True:
        free = off_diagonal & ((B > 0) | (model.gradient_B(tasks, W, B) < 0))
        local = derivatives(tasks, model, W, B, free)
        found = _accepted(tasks, model, (W, B), local, shift)
        if found is None:
            return
        W, B = found
        yield W, B


def _accepted(tasks: TaskSet, model: Model, point: Point, local: Derivatives, shift: _Shift) -> Point | None:
    """The first trial point that lowers J (at rounding level: the residual); None if no shift gives one."""
    W, B = point
    d, T = W.shape
    J = model.objective(tasks, W, B)
    root = np.sqrt(_diagonal(local.hessian, d * T))
    scaled = local.hessian / np.outer(root, root)
    for _ in range(40):
        try:
            factor = sl.cho_factor(scaled + shift.value * np.eye(len(root)), lower=True)
        except sl.LinAlgError:
            shift.raise_()
            continue
        step = -sl.cho_solve(factor, local.gradient / root) / root
        trial_B = B.copy()
        trial_B[local.sources, local.targets] = np.maximum(
            B[local.sources, local.targets] + step[d * T :], 0.0
        )
        step[d * T :] = trial_B[local.sources, local.targets] - B[local.sources, local.targets]
        trial_W = W + step[: d * T].reshape(T, d).T
        predicted = -float(local.gradient @ step + 0.5 * step @ local.hessian @ step)
        actual = J - model.objective(tasks, trial_W, trial_B)
        if predicted > _TRUST_RATIO * abs(J):
            ratio = actual / predicted
            if ratio > 1e-3:
                shift.adapt(ratio)
                return trial_W, trial_B
        elif actual >= -_NOISE * abs(J) and _improves(tasks, model, (trial_W, trial_B), point):
            shift.adapt(1.0)
            return trial_W, trial_B
        shift.raise_()
    return None


def _improves(tasks: TaskSet, model: Model, trial: Point, point: Point) -> bool:
    new, old = residuals(tasks, model, *trial).relative, residuals(tasks, model, *point).relative
    return new < 0.999 * old


def _diagonal(H: Array, size: int) -> Array:
    """diag(H), kept away from 0 within each block (W and B have different units)."""
    diagonal = np.diag(H).copy()
    for block in (diagonal[:size], diagonal[size:]):
        if len(block):
            largest = float(block.max())
            np.maximum(block, 1e-12 * largest if largest > 0 else 1.0, out=block)
    return diagonal


def _quasi_newton(tasks: TaskSet, model: Model, W: Array, B: Array) -> Iterator[Point]:
    """Bursts of L-BFGS-B on (W / scale, B), scaled so that both blocks have entries of order one."""
    from scipy.optimize import Bounds, minimize

    d, T = W.shape
    scale = float(np.abs(W).max()) or 1.0
    unit = abs(model.objective(tasks, W, B)) or 1.0
    s, t = np.nonzero(~np.eye(T, dtype=bool))
    bounds = Bounds(np.r_[np.full(d * T, -np.inf), np.zeros(len(s))], np.inf)

    def unpack(x: Array) -> Point:
        full = np.zeros((T, T))
        full[s, t] = x[d * T :]
        return scale * x[: d * T].reshape(T, d).T, full

    def value(x: Array) -> tuple[float, Array]:
        V, C = unpack(x)
        slope = np.r_[scale * model.gradient_W(tasks, V, C).T.ravel(), model.gradient_B(tasks, V, C)[s, t]]
        return model.objective(tasks, V, C) / unit, slope / unit

    x = np.r_[W.T.ravel() / scale, B[s, t]]
    best = value(x)[0]
    while True:
        options = {"maxiter": 50, "maxfun": 100, "maxcor": 30, "ftol": 0.0, "gtol": 0.0}
        burst = minimize(value, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if not burst.fun < best:
            return
        x, best = burst.x, burst.fun
        yield unpack(x)
