r"""The two steps in NumPy: the fast engine, and the inner solves of refinement.

They solve the very problems that `weights` and `transfer` state in CVXPY, which stay the definition; tests
hold one against the other.

W-step. Newton's method on sum_t a_t L_t(w_t) + coupling ||W K||^2, K = I - B or that of `problem.squares`,
until every entry of the gradient is small beside its own terms: for a quadratic loss one step, and
corrections where units differ. Its system (blockdiag(a_t Hess L_t) + 2 coupling K K' (x) I) V = R is never
written as a Kronecker product: products cost O(T^2 d + T d^2), and conjugate gradients, preconditioned by the
diagonal blocks and started at the last W, solve it. A dense Cholesky factor is used for small systems, and
where conjugate gradients do not end: on School (T d = 3892) I - B is nearly singular after ten rounds, and
1600 of their steps leave a thousandth of the residual.

B-step. All columns at once, min over b >= 0, b_t = 0 of coupling ||w_t - W b||^2 + p'b, by the active-set
method of Lawson and Hanson on the Gram matrix W'W, started at the last B (`problem.active_set`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.certificate.w_step import DENSE_LIMIT
from amtl_cvx.certificate.weight_residuals import WeightPart, weight_part
from amtl_cvx.errors import SolveError
from amtl_cvx.problem import Point
from amtl_cvx.problem.active_set import best_edges
from amtl_cvx.problem.coupling import stacked_hessian
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.balance import moves, unbalanced
from amtl_cvx.subproblems.halfstep import HalfStep
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.subproblems.preconditioners import preconditioner
from amtl_cvx.subproblems.roots import root_step
from amtl_cvx.subproblems.tangents import prox_minimum
from amtl_cvx.tasks import Array, TaskSet

DENSE_SIZE = 500
"""Number of unknowns T d up to which the W-step's system is factored at once."""
_CG_STEPS, _CG_LIMIT = 1000, 5000  # with a factor to fall back on, and without
_CG_LOOK = 4  # steps after which the residual is looked at
_CG_CHECK = 48  # steps after which it is asked whether their rate will do
_CG_LOST = 1e4  # times the least residual: along what has no curvature rounding has taken over
_CG_NEAR = 1e2  # times less than at first is worth a correction then: at W = 0 entries ask for too much
_CORRECTIONS = 3  # of a solution by a dense factor
_NEWTON_STEPS = 100
_SINGULAR = 1e-7  # smallest singular value of I - B from which on a factor of H has few digits
_LOST = 1e-11  # and all that is known of it
_SHORTEST = 1e-18  # part of a Newton step: far rows (Huber) and I - B nearly singular make it 1e13 too long
_NEWTON_ACCURACY = 1e-13  # of every entry of the gradient, relative to its terms
_STEP_ACCURACY = 1e-3  # of a Newton step, where the gradient is small beside its terms and does not end it


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightSystem:
    """The matrix H = blockdiag(blocks) + 2 coupling K K' (x) I of the W-step.

    Parameters
    ----------
    blocks : (T, d, d) ndarray
        a_t Hess L_t(w_t).
    K : (T, k) ndarray
        I - B, or that of `problem.squares`.
    coupling : float
    """

    blocks: Array
    K: Array
    coupling: float

    @classmethod
    def at(cls, point: Point) -> WeightSystem:
        """The Hessian of J in W at (W, B)."""
        blocks = point.loss_hessians
        return cls(blocks=blocks, K=point.K, coupling=point.square_weight)

    def product(self, V: Array) -> Array:
        """H V for V (T, d), tasks in rows."""
        return (self.blocks @ V[:, :, None])[:, :, 0] + 2.0 * self.coupling * (self.K @ (self.K.T @ V))

    def dense(self) -> Array:
        """H, (T d, T d), tasks stacked."""
        return stacked_hessian(self.blocks, self.K, self.coupling)

    def factor(self) -> Array:
        """The lower Cholesky factor of H, as `cholesky` gives it."""
        return cholesky(self.dense())

    def solve(
        self, R: Array, *, accuracy: Array, factor: Callable[[], Array] | None = None
    ) -> tuple[Array, bool]:
        """V with H V = R up to its `accuracy` in every entry, (T, d) each; whether a factor was asked for."""
        if R.size > DENSE_SIZE:
            V, settled = self._conjugate_gradients(R, accuracy)
            if settled or R.size > DENSE_LIMIT:
                return V, False
        lower, V, rest = (factor or self.factor)(), np.zeros_like(R), R
        for _ in range(_CORRECTIONS):
            if (np.abs(rest) <= accuracy).all():
                break
            V = V + solved(lower, rest.ravel()).reshape(R.shape)
            rest = R - self.product(V)
        return V, True

    def _conjugate_gradients(self, R: Array, accuracy: Array) -> tuple[Array, bool]:
        """The best solution, and whether it is accurate or near enough to be corrected from its gradient."""
        try:
            near = preconditioner(self.blocks, self.K, self.coupling)
        except np.linalg.LinAlgError:
            return np.zeros_like(R), False
        rest = near.right(R)
        Y, z = np.zeros_like(rest), near.inverse(rest)
        direction, gamma = z, float((rest * z).sum())
        most, first = _CG_STEPS if R.size <= DENSE_LIMIT else _CG_LIMIT, float(np.abs(R / accuracy).max())
        best, least = Y, first
        for count in range(most):
            if count <= 1 or count % _CG_LOOK == 0:
                miss = float(np.abs(near.rest(rest) / accuracy).max())
                if miss <= 1.0:
                    return near.back(Y), True
                best, least = (Y, miss) if miss < least else (best, least)
                won, wanted = np.log(first / least), np.log(first)
                slow = count and count % _CG_CHECK == 0 and won * most < wanted * count
                if slow or miss > _CG_LOST * least or not gamma > 0.0:
                    return near.back(best), not slow and first >= _CG_NEAR * least
            image = near.product(direction)
            length = gamma / float((direction * image).sum())
            Y = Y + length * direction
            rest = rest - length * image
            z = near.inverse(rest)
            previous, gamma = gamma, float((rest * z).sum())
            if not gamma > 0.0:  # nothing is left, or less than its square can tell
                miss = float(np.abs(near.rest(rest) / accuracy).max())
                return near.back(Y), miss <= 1.0 or first >= _CG_NEAR * miss
            direction = z + (gamma / previous) * direction
        return near.back(best), False


def hessian_factor(point: Point) -> Array:
    """That of the Hessian of J in W: a small one stays with the point, where the loss is quadratic with B."""
    system = WeightSystem.at(point)
    return point.kept("hessian_factor", system.factor) if point.W.size <= DENSE_SIZE else system.factor()


def cholesky(H: Array) -> Array:
    """Lower Cholesky factor of a symmetric positive semidefinite H, as of `arrays.cholesky`.

    It takes the memory of H, which is lost. A numerically singular H gets the smallest shift of its diagonal,
    from 1e-15 of it on, that has a factor.

    Raises
    ------
    SolveError
        If H is not finite or far from positive semidefinite.
    """
    diagonal = np.diag(H).copy()
    for power in (None, -15, -14, -13, -12, -11, -10) if np.isfinite(diagonal).all() else ():
        if power is not None:  # the upper triangle of H', the lower one of H, is as it was
            H = np.tril(H, -1) + np.tril(H, -1).T
            H.flat[:: len(H) + 1] = diagonal + 10.0**power * float(diagonal.max())
        with contextlib.suppress(np.linalg.LinAlgError):
            return factored(H)
    message = "the Hessian of the W-step has no Cholesky factor: rescale the data"
    raise SolveError(message, step="W", solver="direct", status="not positive definite")


def minimal_weights(point: Point) -> Array:
    """argmin over W of J(., B), (d, T), by Newton's method from W."""
    return minimised(point).W


def minimised(point: Point) -> Point:
    """The point with W = argmin of J(., B), with what was found out about it on the way."""
    return _minimise(point)[0]


def _minimise(point: Point) -> tuple[Point, bool]:
    """The minimum over W, and whether a matrix was factored on the way."""
    tasks, loss = point.tasks, point.model.loss
    if not loss.smooth:
        return point.at(W=kinked_minimum(point)), True
    if point.model.prox_omega is not None:
        return prox_minimum(point), True
    moved, previous, factored = True, np.inf, False
    rooted = point.W.size <= DENSE_SIZE and _LOST < _distance(point.squares.L) <= _SINGULAR
    for count in range(_NEWTON_STEPS):
        part, value = weight_part(point), point.objective
        gradient, miss = part.gradient, part.misses.relative()
        small = miss <= _NEWTON_ACCURACY or miss > 0.5 * previous
        if count and small and not (moved and _unbalanced(point, gradient)):
            break
        step, dense = (root_step(point), True) if rooted else _newton_step(point, part)
        factored = factored or dense
        length, slope = loss.step_length(tasks, step), float((gradient * step).sum())
        settled = -slope <= 1e-13 * abs(value)
        while (new := point.at(W=point.W + length * step)).objective > value + (
            1e-14 * abs(value) if settled else 1e-4 * length * slope
        ):
            length /= 2.0
            if length < _SHORTEST:
                return point, factored
        moved, point = moves(point.W, length * step), new
        previous = miss if settled or loss.quadratic else np.inf
    return point, factored


def _distance(L: Array) -> float:
    """About the smallest singular value of L, from below."""
    try:
        return 1.0 / float(np.linalg.norm(np.linalg.inv(L)))
    except np.linalg.LinAlgError:
        return 0.0


def _newton_step(point: Point, part: WeightPart) -> tuple[Array, bool]:
    """-H^-1 g, (d, T), and whether H was factored for it."""
    gradient = part.gradient
    accuracy = 0.3 * _NEWTON_ACCURACY * _sizes(point.tasks, part.misses.size)
    accuracy = np.minimum(accuracy, _STEP_ACCURACY * (float(np.abs(gradient).max()) or 1.0))
    solution, dense = WeightSystem.at(point).solve(
        gradient.T, accuracy=accuracy.T, factor=lambda: hessian_factor(point)
    )
    return -solution.T, dense


def _unbalanced(point: Point, gradient: Array) -> bool:
    """Whether the gradient is small beside some rows only (`balance`)."""
    loss, squares, K = point.model.loss, point.square_gradient_W, np.abs(point.K)
    return unbalanced(
        loss,
        point.tasks.tasks,
        point.W,
        point.loss_weight,
        coupling=squares,
        terms=2.0 * point.square_weight * (np.abs(point.W) @ K @ K.T),
        gradient=gradient,
        value=point.objective,
    )


def _sizes(tasks: TaskSet, sizes: Array) -> Array:
    """What an entry of the gradient is held against, (d, T); of a whole task where it is in coordinates."""
    if tasks.basis is not None:
        sizes = np.broadcast_to(sizes.max(axis=0), (tasks.d, tasks.T))
    return np.where(sizes > 0.0, sizes, 1.0)


@dataclass(frozen=True, kw_only=True)
class DirectWeightStep:
    """All predictors at once, B fixed."""

    def solve(self, point: Point) -> HalfStep:
        """argmin over W of J(., B), (d, T); `W` is the start."""
        started = time.perf_counter()
        found, factored = _minimise(point)
        return HalfStep(found.W, _solved(started, True, "cholesky" if factored else "conjugate-gradients"))


@dataclass(frozen=True, kw_only=True)
class DirectTransferStep:
    """The whole graph, W fixed; linear penalties only."""

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T); the support of `B` is the start."""
        started = time.perf_counter()
        prices = point.edge_prices
        assert prices is not None
        value, settled = best_edges(point.W, prices, point.model.coupling, point.B)
        return HalfStep(value, _solved(started, settled, "active-set"))


def _solved(started: float, settled: bool, solver: str) -> Solved:
    status = "optimal" if settled else "user_limit"
    return Solved(solver=solver, status=status, seconds=time.perf_counter() - started)
