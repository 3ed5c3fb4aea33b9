r"""The gap of B from CVXPY's own program of the penalty, where no conjugate is given (W fixed).

With lam the coupling, any Theta (d, T), S = W'Theta and the level J(W, B) - sum_t c_t L_t - Omega =: v,

    J(W, B) - min J(W, .)  <=  ||2 lam R - Theta||_F^2 / (4 lam) + [ R(B) - <S, B> - least(S) ]

where least(S) is a bound from below of R(B') - <S, B'> over all B' with lam ||W - W B'||_F^2 + R(B') <= v, a
set that holds every minimum: `cones.Cone.least` at a dual point and in a box. Theta = 2 lam (W - W B0) of a
solver's B0, and its dual point; how they were found proves nothing. The box begins with 0 <= B'[s, t], and at
most (||w_t|| + sqrt(v / lam)) / sigma where the columns of W without w_t are independent, sigma their
smallest singular value; where they are not, R alone must bound B'.

For a penalty on W, F the rest of J, h its `prox_rate`, and W+ a solver's prox of W - F'(W)/h:
Z = h (W - W+) - F'(W) is a subgradient of Omega at W+, up to the solver, and in place of Omega*(Z) stands

    -least(Z)       over all V with Omega(V) <= J(W, B) and, where I - B has an inverse, sigma its smallest
                    singular value, ||V||_F <= sqrt(J / lam) / sigma

Rounding as in `conjugate`: S grows by what it is known to, R falls with the losses, which are taken low in
least(S) and high in R(B), and what the sums lose is added. Where the bracket is below 0 by more, the program
is not the function, and nothing is known.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from amtl_cvx.certificate.bounds import OmegaDual
from amtl_cvx.certificate.room import SUMMED, features, loss_room, rounding
from amtl_cvx.cones import Cone, Dual
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import residual
from amtl_cvx.tasks import Array

TRUSTED = "trusts CVXPY's canonicalisation of the function, no solver"
"""What a bound of this module stands on."""
_EPS = float(np.finfo(np.float64).eps)


def cone_gap(point: Point) -> float | None:
    """What a move of B alone can gain at most, rounding included; None where the penalty has no program.

    `NotCertifiable` for one with other cones.
    """
    model, W, B = point.model, point.W, point.B
    coupling, losses, T = model.coupling, point.weighted_losses, point.tasks.T
    room = point.problem.task_weight * loss_room(point) + SUMMED * losses
    low, high = np.maximum(losses - room, 0.0), losses + room
    cone = model.transfer.cone(low)
    if cone is None or T == 1:
        return None if cone is None else 0.0
    spent = model.transfer.value(B, high)
    return min(_gap(point, cone, dual, spent) for dual in b_step(cone, W, coupling))


def _gap(point: Point, cone: Cone, dual: Dual, spent: float) -> float:
    """The bound of the essay with one dual point, infinite where it proves nothing."""
    W, B, coupling, T = point.W, point.B, point.model.coupling, point.tasks.T
    noise = rounding(W, features(point.tasks))
    Theta = 2.0 * coupling * residual(W, graph_of(cone, dual, T))
    length, pull = np.linalg.norm(W, axis=0), 2.0 * coupling * residual(W, B)
    S = W.T @ Theta
    blur = noise * np.outer(length, np.linalg.norm(Theta, axis=0))
    away = np.linalg.norm(pull - Theta, axis=0) + 2.0 * coupling * noise * (length + length @ np.abs(B))
    level = (coupling * float((residual(W, B) ** 2).sum()) + spent) * (1.0 + noise)
    off = ~np.eye(T, dtype=bool)
    least = cone.least(dual, (S + blur).T[off], _box(cone, W, level, coupling))
    inner, lost = float((B * S).sum()), float((B * blur).sum())
    bracket = spent - inner - least
    terms = noise * (abs(spent) + float((B * np.abs(S)).sum()) + abs(least)) + lost
    if not np.isfinite(bracket) or bracket < -terms:
        return np.inf
    return (float((away**2).sum()) / (4.0 * coupling) + max(bracket, 0.0) + lost + terms) * (1.0 + noise)


def omega_dual(point: Point) -> OmegaDual:
    """A penalty on W with kinks at its dual point: by its conjugate, or by CVXPY's program of it."""
    omega, W, g = point.model.prox_omega, point.W, point.smooth_gradient_W
    assert omega is not None
    cone = omega.cone(W.shape)
    if cone is None:
        return OmegaDual.at(omega, W, point.subgradient_W)
    h, level = point.prox_rate, point.objective * (1.0 + W.size * SUMMED)
    reach = np.sqrt(level / point.square_weight) / point.least_of_K if point.least_of_K > 0.0 else np.inf
    box = cone.box(np.full(W.size, -reach), np.full(W.size, reach), level)
    found = []
    for dual in cone.near(W - g / h, 1.0 / h):
        Z = h * (W - dual.x[cone.columns].reshape(W.shape, order="F")) - g
        least, value = cone.least(dual, Z.ravel(order="F"), box), omega.value(W)
        inner = float((Z * W).sum())
        room = 16.0 * max(W.shape) * _EPS * (abs(value) + float(np.abs(Z * W).sum()) + abs(least))
        mismatch = value - inner - least
        known = np.isfinite(mismatch) and mismatch >= -room
        found.append(OmegaDual(Z, 0.0, max(mismatch, 0.0) if known else np.inf, room if known else 0.0))
    return min(found, key=lambda each: each.mismatch)


def b_step(cone: Cone, W: Array, coupling: float) -> tuple[Dual, ...]:
    """A solver's answers to the B-step, primal and dual, the last the best."""
    T = W.shape[1]
    K = 2.0 * coupling * (W.T @ W)
    others = [np.flatnonzero(np.arange(T) != t) for t in range(T)]
    H = sp.csc_array(sp.block_diag([K[np.ix_(each, each)] for each in others], format="csc"))
    return cone.solved(H, -np.concatenate([K[each, t] for t, each in enumerate(others)]))


def graph_of(cone: Cone, dual: Dual, T: int) -> Array:
    """B (T, T) of a solver's answer, cut off at 0."""
    B = np.zeros((T, T))
    B.T[~np.eye(T, dtype=bool)] = np.maximum(dual.x[cone.columns], 0.0)
    return B


def _box(cone: Cone, W: Array, level: float, coupling: float) -> tuple[Array, Array]:
    """Bounds of the program's variables over the level set of the essay."""
    d, T = W.shape
    most = np.full((T, T - 1), np.inf)
    if d >= T - 1:
        for t in range(T):
            A = np.delete(W, t, axis=1)
            values = np.linalg.svd(A, compute_uv=False)
            least = float(values[-1] - rounding(W) * values[0])
            if least > 0.0:
                reach = float(np.linalg.norm(W[:, t])) + np.sqrt(level / coupling)
                most[t] = reach / least * (1.0 + rounding(W))
    return cone.box(np.zeros(most.size), most.ravel(), level)
