r"""W-steps with a penalty on W that has kinks and a prox, exactly: min over W of F(W) + Omega(W).

F, the losses and the coupling, is smooth. An outer step minimises its second-order model q plus Omega and
goes there as far as J falls enough; for a quadratic loss the model is F. The model's minimum is found by

* accelerated prox steps V+ = prox(V - q'(V) / h), h no less than the largest eigenvalue of H, from whose
  start the kinks settle (which weights are 0, which tasks are equal, which rank W has);
* Newton's method on the tangent there (`WeightPenalty.tangent`): with its moves N and the curvature C of
  Omega along them V+ - N (N'HN + C)^-1 N'(q'(V+) + Z), Z the subgradient at V+, then one prox step. It is
  taken where q + Omega does not rise. Once the kinks are those of the minimum it is Newton's method: the
  last digits take one or two of them.

At coupling 0 H may be singular, more features than rows. Then outer steps minimise q + Omega plus
(damping/2) ||V - W||_F^2, less of it from step to step: the proximal point method, with the same minimum.
The square of the trace norm has a covariance then, and a method of its own (`covariance`).

Sources: Beck, Teboulle 2009; O'Donoghue, Candes 2015 (restarts); Lee, Sun, Saunders, Proximal Newton-type
methods, 2014; Rockafellar, Monotone operators and the proximal point algorithm, 1976.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.certificate.w_step import DENSE_LIMIT
from amtl_cvx.certificate.weight_residuals import weight_part
from amtl_cvx.problem import Point
from amtl_cvx.subproblems.covariance import covariance_minimum, has_covariance
from amtl_cvx.subproblems.lowering import lower_towards
from amtl_cvx.tasks import Array
from amtl_cvx.weights import WeightPenalty

_NEWTON_STEPS, _PROXIMAL_STEPS = 60, 200
_ACCURACY = 1e-13  # of every entry of the gradient, relative to its terms
_NOISE = 1e-14  # relative change of J that is rounding
_ROUNDS, _PROX_STEPS = 60, 25  # of the model: prox steps, then one on the tangent
_SINGULAR = 1e-8  # of the largest curvature
_DAMPED, _EASED = 1e-2, 0.1  # of it: at first, and by what it is less from step to step
_LITTLE, _LEAST = 1e-5, 1e-9  # to which it falls, and where steps settle before the minimum
_SETTLED, _LANDED = 1e-14, 1e-13  # of the largest entry: a prox step that moves nothing


def prox_minimum(point: Point) -> Point:
    """The point with W = argmin of J(., B); at rounding level the one of the smallest residual."""
    omega = point.model.prox_omega
    if omega is not None and not omega.has_prox:
        return _cone_minimum(point, omega)
    if has_covariance(point):
        with contextlib.suppress(np.linalg.LinAlgError):
            return covariance_minimum(point)
    previous, damping, floor = np.inf, _DAMPED, _LITTLE
    for count in range(_PROXIMAL_STEPS):
        miss, model = weight_part(point).misses.relative(), _Model.at(point)
        ended = not model.singular and (miss > 0.5 * previous or count == _NEWTON_STEPS)
        if count and (miss <= _ACCURACY or ended):
            break
        if model.singular:
            floor = floor if miss <= 0.5 * previous else max(_EASED * floor, _LEAST)
            model, damping = model.damped(damping), max(_EASED * damping, floor)
        found = lower_towards(point, model.minimum(point.W))
        if found is point:
            break
        settled = point.objective - found.objective <= _NOISE * 10.0 * abs(point.objective)
        exact = point.model.loss.quadratic and not model.singular
        previous, point = miss if settled or exact else np.inf, found
    return point


def _cone_minimum(point: Point, omega: WeightPenalty) -> Point:
    """The same by CVXPY's program of Omega, to what Clarabel can."""
    shape = point.W.shape
    cone = omega.cone(shape)
    assert cone is not None
    for _ in range(_NEWTON_STEPS):
        H = sp.csc_array(point.smooth_hessian_W())
        slope = point.smooth_gradient_W.T.ravel() - H @ point.W.T.ravel()
        W = cone.solved(H, slope)[-1].x[cone.columns].reshape(shape, order="F")
        last, point = point, lower_towards(point, W)
        if not last.objective - point.objective > _NOISE * abs(point.objective):
            break
    return point


def tangent_moves(point: Point) -> tuple[Array, Array]:
    """Orthonormal moves N (T d, m) along which Omega is smooth at W, and the Hessian of J in W along them."""
    omega, h = point.model.prox_omega, point.prox_rate
    assert omega is not None
    N, values = omega.tangent(point.W - point.smooth_gradient_W / h, 1.0 / h)
    curved = along(N, point.loss_hessians, point.K, point.square_weight)
    return N, curved + np.diag(h * (1.0 / values - 1.0))


def along(N: Array, blocks: Array, K: Array, coupling: float) -> Array:
    """N'HN (m, m), H = blockdiag(blocks) + 2 coupling K K' (x) I, for moves N (T d, m)."""
    T, d, _ = blocks.shape
    each = N.reshape(T, d, -1)
    image = blocks @ each + 2.0 * coupling * np.tensordot(K @ K.T, each, axes=1)
    found: Array = N.T @ image.reshape(N.shape)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """q(V) = <g, V - W> + (1/2) <V - W, H (V - W)>, and Omega."""

    omega: WeightPenalty
    blocks: Array
    """a_t Hess L_t, (T, d, d)"""
    K: Array
    coupling: float
    W: Array
    gradient: Array
    rate: float
    """h, no less than the largest eigenvalue of H"""
    singular: bool

    @classmethod
    def at(cls, point: Point) -> _Model:
        omega, blocks, coupling = point.model.prox_omega, point.loss_hessians, point.square_weight
        assert omega is not None
        values = np.linalg.eigvalsh(blocks)
        rate = float(values[:, -1].max()) + 2.0 * coupling * float(point.values_of_K[0]) ** 2 or 1.0
        return cls(
            omega=omega,
            blocks=blocks,
            K=point.K,
            coupling=coupling,
            W=point.W,
            gradient=point.smooth_gradient_W,
            rate=rate,
            singular=not point.model.coupled and float(values[:, 0].min()) <= _SINGULAR * rate,
        )

    def damped(self, part: float) -> _Model:
        """With `part` of the rate more curvature in every direction."""
        more = part * self.rate
        blocks = self.blocks + more * np.eye(self.blocks.shape[1])
        return replace(self, blocks=blocks, rate=self.rate + more)

    def product(self, V: Array) -> Array:
        """H V, (d, T)."""
        own: Array = (self.blocks @ V.T[:, :, None])[:, :, 0].T
        return own + 2.0 * self.coupling * ((V @ self.K) @ self.K.T)

    def slope(self, V: Array) -> Array:
        """q'(V), (d, T)."""
        return self.gradient + self.product(V - self.W)

    def value(self, V: Array) -> float:
        """q + Omega."""
        move = V - self.W
        return float(((self.gradient + 0.5 * self.product(move)) * move).sum()) + self.omega.value(V)

    def minimum(self, V: Array) -> Array:
        """argmin of q + Omega, from V."""
        least, small = self.value(V), V.size <= DENSE_LIMIT
        for count in range(_ROUNDS):
            V, still = self._prox_steps(V)
            value = self.value(V)
            if small and not (still and count):
                trial, landed = self._on_tangent(V)
                found = self.value(trial)
                if found <= value + _NOISE * abs(value):
                    V, value, still = trial, min(found, value), still or landed
            if still or not value < least:
                break
            least = value
        return V

    def _prox_steps(self, V: Array) -> tuple[Array, bool]:
        """Some accelerated prox steps; whether the last of them moved nothing."""
        ahead, momentum, h = V, 1.0, self.rate
        for _ in range(_PROX_STEPS):
            new = self.omega.prox(ahead - self.slope(ahead) / h, 1.0 / h)
            if float(np.abs(new - V).max()) <= _SETTLED * float(np.abs(new).max(initial=0.0)):
                return new, True
            if float(((ahead - new) * (new - V)).sum()) > 0.0:
                momentum = 1.0
            grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            ahead, V, momentum = new + (momentum - 1.0) / grown * (new - V), new, grown
        return V, False

    def _on_tangent(self, V: Array) -> tuple[Array, bool]:
        """The Newton step on the tangent of the prox at V, and a prox step from there; whether that moves."""
        h = self.rate
        ahead = V - self.slope(V) / h
        V, (N, values) = self.omega.prox(ahead, 1.0 / h), self.omega.tangent(ahead, 1.0 / h)
        if len(values):
            Z = self.omega.subgradient(ahead, 1.0 / h)  # h (ahead - V) would be that but for rounding
            pull = N.T @ (self.slope(V) + Z).T.ravel()
            curved = along(N, self.blocks, self.K, self.coupling) + np.diag(h * (1.0 / values - 1.0))
            with contextlib.suppress(np.linalg.LinAlgError):  # flat to the last digit: prox steps go on
                V = V - (N @ solved(factored(curved), pull)).reshape(V.shape[::-1]).T
        after = self.omega.prox(V - self.slope(V) / h, 1.0 / h)
        size = float(np.abs(after).max(initial=0.0))
        return after, float(np.abs(after - V).max()) <= _LANDED * size
