"""The response of an answer of AMTL: all of it, one step of it, or one predictor."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.held import HeldRows
from amtl_cvx.certificate.held_weights import HeldWeights
from amtl_cvx.certificate.local_model import LocalModel
from amtl_cvx.certificate.second_order import held_at
from amtl_cvx.certificate.tangent_model import TangentModel
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.response import DENSE, Response, dense
from amtl_cvx.reference.claims.terms import Terms

WEAK = 1e-9
"""Part of its terms that a multiplier may be and count as 0."""
NOT_DEFINITE = "the Hessian on the active set is not positive definite beyond rounding"


def joint_response(point: Point) -> Response:
    """That of W and B together on their active set; `NotCertifiable` where it is not determined."""
    model = point.model
    if point.problem.atoms is None and not (
        model.transfer.has_prox and model.transfer.margin(point.B, 1.0, point.weighted_losses) is not None
    ):
        raise NotCertifiable(f"the curvature of {type(model.transfer).__name__} is not known")
    if point.problem.atoms is None and not model.smooth_in_W:
        raise NotCertifiable(f"J has kinks in W and the curvature of {model.transfer.name} is not known")
    held = held_at(point)
    local = local_model(point) if held is None else held.local
    if isinstance(local, TangentModel):
        return _tangent_response(local, {"sigma_min_M": point.sigma_min})
    assert isinstance(local, AtomModel)
    if local.relative_multiplier <= WEAK:
        raise NotCertifiable("a multiplier is 0 up to rounding: data next to these have another active set")
    blocks, sizes = _blocks(local)
    terms = np.r_[Terms(point).W.T.ravel(), _coefficient_terms(local)]
    values = np.r_[np.abs(point.W).T.ravel(), _coefficients(local)]
    figures = {"sigma_min_M": point.sigma_min}
    if held is None and len(terms) > DENSE:
        return _by_factor(local, blocks, sizes, terms, values, figures)
    H, inverse, rows = local.H, None, None
    if isinstance(held, HeldRows):
        inverse, rows = _bordered(held, H, point)
    elif isinstance(held, HeldWeights):
        root = local.root
        N = held.N / root[:, None]
        core = np.linalg.inv(held.S) if held.N.shape[1] else np.zeros((0, 0))
        inverse = N @ core @ N.T
    found = dense(
        H,
        blocks=blocks,
        sizes=sizes,
        terms=terms,
        values=values,
        inverse=inverse,
        rows=rows,
        figures=figures,
    )
    if found is None:
        raise NotCertifiable(NOT_DEFINITE)
    return found


def weight_response(point: Point) -> Response:
    """That of W for the B that stands: the Hessian of the W-step."""
    terms, values = Terms(point).W.T.ravel(), np.abs(point.W).T.ravel()
    held = held_at(point)
    n, inverse, rows = len(terms), None, None
    figures = {"sigma_min_M": point.sigma_min}
    if held is None and n > DENSE:
        return _weights_by_factor(point, terms, values, figures)
    if isinstance(held, HeldRows):
        inverse, rows = _bordered(held, held.local.H[:n, :n], point)
        H = held.local.H[:n, :n]
    elif isinstance(held, HeldWeights):
        m = len(held.space.bend)
        N = held.N[:n, :m] / held.local.root[:n, None]
        inverse = N @ np.linalg.inv(held.S[:m, :m]) @ N.T if m else np.zeros((n, n))
        H = held.local.H[:n, :n]
    else:
        H = point.smooth_hessian_W()
    found = dense(
        H,
        blocks={"W": slice(0, n)},
        sizes={"W": float(values.max())},
        terms=terms,
        values=values,
        inverse=inverse,
        rows=rows,
        figures=figures,
    )
    if found is None:
        raise NotCertifiable(NOT_DEFINITE)
    return found


def transfer_response(point: Point) -> Response:
    """That of B for the W that stands: the Gram matrix of each column's support."""
    local = local_model(point)
    if isinstance(local, TangentModel):
        return _tangent_response(local, {}, weights=False)
    n = point.W.size
    H = np.asarray(local.H[n:, n:])
    terms, values = _coefficient_terms(local), _coefficients(local)
    k = len(terms)
    found = dense(
        H,
        blocks={"B": slice(0, k)},
        sizes={"B": float(np.abs(point.B).max(initial=0.0))},
        terms=terms,
        values=values,
        figures={"condition_B": _condition(H)},
    )
    if found is None:
        raise NotCertifiable("the predictors of some support are linearly dependent")
    return found


def task_response(point: Point, t: int) -> Response:
    """That of the predictor of task t, all others and B as they stand."""
    if point.model.prox_omega is not None:
        raise NotCertifiable("a penalty on W with kinks joins the predictors")
    w = point.W[:, t]
    kappa = float((point.K[t] ** 2).sum())
    own = point.loss_hessians[t] if point.model.loss.smooth else np.zeros((len(w), len(w)))
    H = own + 2.0 * point.square_weight * kappa * np.eye(len(w))
    found = dense(
        H,
        blocks={"w": slice(0, len(w))},
        sizes={"w": float(np.abs(w).max())},
        terms=Terms(point).W[:, t],
        values=np.abs(w),
        figures={"condition_w": float(np.linalg.cond(H))},
    )
    if found is None or not point.model.loss.smooth:
        raise NotCertifiable(NOT_DEFINITE if found is None else "the loss has kinks")
    return found


def local_model(point: Point) -> LocalModel:
    """J around the point in W and the coordinates that B has there."""
    return TangentModel(point) if point.problem.atoms is None else AtomModel(point)


def _tangent_response(local: TangentModel, figures: dict[str, float], *, weights: bool = True) -> Response:
    """That of the entries of B along the tangent of its penalty, whatever basis the tangent has."""
    n, k = (local.W.size if weights else 0), len(local.places)
    H = local.H if weights else np.asarray(local.H[local.W.size :, local.W.size :])
    inverse = np.zeros_like(H) if not len(H) else _definite_inverse(H)
    G = np.zeros((n + k, len(H)))
    G[:n, :n], G[n:, n:] = np.eye(n), local.F.T
    terms = Terms(local.point)
    own = 2.0 * terms.coupled.ravel()[local.places]  # the slope of the penalty is that of the coupling
    W = [terms.W.T.ravel(), np.abs(local.W).T.ravel()] if weights else [np.zeros(0), np.zeros(0)]
    blocks = {"B": slice(n, n + k)}
    sizes = {"B": float(np.abs(local.B).max(initial=0.0))}
    if weights:
        blocks, sizes = {"W": slice(0, n), **blocks}, {"W": float(np.abs(local.W).max()), **sizes}
    found = dense(
        G @ H @ G.T,
        blocks=blocks,
        sizes=sizes,
        terms=np.r_[W[0], own],
        values=np.r_[W[1], np.abs(local.B).ravel()[local.places]],
        inverse=G @ inverse @ G.T,
        figures=figures,
    )
    assert found is not None
    return found


def _definite_inverse(H: Array) -> Array:
    try:
        factor = sl.cho_factor(H, lower=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise NotCertifiable(NOT_DEFINITE) from error
    found: Array = sl.cho_solve(factor, np.eye(len(H)), check_finite=False)
    return found


def _blocks(local: LocalModel) -> tuple[dict[str, slice], dict[str, float]]:
    n, m = local.W.size, len(local.slopes)
    sizes = {"W": float(np.abs(local.W).max()), "B": float(np.abs(local.B).max(initial=0.0))}
    return {"W": slice(0, n), "B": slice(n, n + m)}, sizes


def _coefficients(local: LocalModel) -> Array:
    """|x| of the coordinates of B."""
    assert isinstance(local, AtomModel)
    above: Array = np.abs(local.x[local.free])
    return above


def _coefficient_terms(local: LocalModel) -> Array:
    """What the slopes of the coordinates of B are summed from."""
    terms = Terms(local.point)
    assert isinstance(local, AtomModel)
    p, q = local.atoms.prices(terms.losses)
    found = np.abs(p) + 2.0 * np.abs(q * local.x) + local.weight @ terms.coupled.ravel()
    own: Array = np.asarray(found)[local.free]
    return own


def _by_factor(
    local: LocalModel,
    blocks: dict[str, slice],
    sizes: dict[str, float],
    terms: Array,
    values: Array,
    figures: dict[str, float],
) -> Response:
    factor, root = local.factor, local.root
    if factor is None:
        raise NotCertifiable(NOT_DEFINITE)
    return Response(
        blocks=blocks,
        sizes=sizes,
        terms=terms,
        values=values,
        apply=lambda v: factor.solve(v / root) / root,
        curve=lambda v: np.abs(local.hessian.product(v)),
        figures=figures,
    )


def _weights_by_factor(point: Point, terms: Array, values: Array, figures: dict[str, float]) -> Response:
    H = point.smooth_hessian_W()
    root = np.sqrt(np.diag(H))
    try:
        factor = sl.cho_factor(H / np.outer(root, root), lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise NotCertifiable(NOT_DEFINITE) from error
    return Response(
        blocks={"W": slice(0, len(terms))},
        sizes={"W": float(values.max())},
        terms=terms,
        values=values,
        apply=lambda v: sl.cho_solve(factor, v / root, check_finite=False) / root,
        curve=lambda v: np.abs(H @ v),
        figures=figures,
    )


def _bordered(held: HeldRows, H: Array, point: Point) -> tuple[Array, Array]:
    """C of [[H, A'], [A, 0]], and what rows on kinks add to |C| t, (n,)."""
    n, d, m = len(H), point.tasks.d, len(held.rows)
    A, sums = np.zeros((m, n)), np.zeros(m)
    for i, row in enumerate(held.rows):
        x = point.tasks[row.t].X[row.k]
        A[i, row.t * d : (row.t + 1) * d] = x
        kink = float(point.model.loss.kinks(point.tasks[row.t].y)[row.k])
        sums[i] = np.abs(x) @ np.abs(point.W[:, row.t]) + abs(kink)
    root, length = np.sqrt(np.maximum(np.diag(H), 1e-300)), np.linalg.norm(A, axis=1)
    root = np.where(root > 1e-150, root, 1.0)
    scaled = A / root / length[:, None]
    whole = np.block([[H / np.outer(root, root), scaled.T], [scaled, np.zeros((m, m))]])
    try:
        found = np.linalg.inv(whole)
    except np.linalg.LinAlgError as error:
        raise NotCertifiable("rows on their kinks depend on each other") from error
    if not math.isfinite(float(np.abs(found).max(initial=0.0))):
        raise NotCertifiable("rows on their kinks depend on each other")
    C = found[:n, :n] / np.outer(root, root)
    across = np.abs(found[:n, n:] / root[:, None] / length)
    return C, across @ sums


def _condition(H: Array) -> float:
    return float(np.linalg.cond(H)) if len(H) else 1.0
