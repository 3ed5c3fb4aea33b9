r"""A joint answer of AMTL that is no strict local minimum for certain: is W still the only one near it?

Beside what is off its bound, let x hold what is at its bound with a multiplier that is 0 up to rounding, and
let H be the Hessian in (W, x). A first-order point where

    H > 0 beyond rounding                                  is a strict local minimum all the same
    H >= 0, and each v = (dW, dx) with H v = 0 has dW = 0, W dB = 0 and leaves G_W as it is

is one of a flat set of minima: for each B + dB the same W is best (G_W is affine in B where W B stands
still, and J is convex in W), J is the same, and across the set J rises. Then W and W B are the only ones near
it, and B is not where some v moves nothing that is at a bound. An H with a negative eigenvalue says nothing.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.curvature import atom_blocks, block_hessian
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.condition import WEAK
from amtl_cvx.reference.claims.terms import EPS, Terms

LARGEST = 1000
"""Unknowns up to which this is asked."""
_FLAT = 1e-7  # of lengths: what counts as no move
Flags = tuple[dict[str, bool | None], str]


def unique_where_degenerate(point: Point) -> Flags | None:
    """The flags of W, B and W B, and why; None where nothing is known."""
    if point.problem.atoms is None or not point.model.smooth_in_W or not point.model.coupled:
        return None
    local = AtomModel(point)
    weak = local.fixed.copy()
    weak[local.fixed] = local.relative_multipliers() <= WEAK
    chosen = np.flatnonzero(local.free | weak)
    n = point.W.size
    if n + len(chosen) > LARGEST:
        return None
    H = block_hessian(point, *atom_blocks(point, chosen), None).whole()
    root = np.sqrt(np.where(np.diag(H) > 0.0, np.diag(H), 1.0))
    values, vectors = np.linalg.eigh(H / np.outer(root, root))
    noise = 64.0 * len(H) * EPS * float(np.abs(values).max())
    if values[0] < -noise:
        return None
    flat = vectors[:, values <= noise] / root[:, None]
    if not flat.shape[1]:
        why = "the Hessian is positive definite, also along what is at its bound with a multiplier of 0"
        return {"W": True, "B": True, "W B": True}, f"{why}: a strict local minimum"
    if not _still(point, flat, chosen):
        return None
    loose = flat[n:][~local.free[chosen]]
    free = flat.shape[1] > np.linalg.matrix_rank(loose, tol=_FLAT) if loose.size else True
    why = "a flat set of minima: along it B moves and W, W B and J stand still, across it J rises"
    return {"W": True, "B": False if free else None, "W B": True}, why


def _still(point: Point, flat: Array, chosen: Indices) -> bool:
    """Whether no flat direction moves W, W B or the gradient in W."""
    atoms, n = point.problem.atoms, point.W.size
    assert atoms is not None
    terms, slope = Terms(point).W, point.gradient_W
    for v in flat.T:
        x = np.zeros(len(atoms.lo))
        x[chosen] = v[n:]
        dB = (atoms.E @ x).reshape(point.B.shape)
        size = float(np.abs(dB).max(initial=0.0))
        if not size > 0.0:
            return False
        longest = float(np.abs(point.W).max()) or 1.0
        if float(np.abs(v[:n]).max()) > _FLAT * size * longest:
            return False
        if float(np.abs(point.W @ dB).max()) > _FLAT * size * longest:
            return False
        moved = point.at(B=point.B + dB / size).gradient_W - slope
        if (np.abs(moved) > _FLAT * terms).any():
            return False
    return True
