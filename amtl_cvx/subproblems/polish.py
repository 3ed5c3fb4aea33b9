"""From a solver's answer to the B-step to its minimum: feasible, zeros exactly 0, digits to rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.certificate import prox_steps
from amtl_cvx.certificate.by_cone import b_step, graph_of
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Model, Point
from amtl_cvx.problem.active_set import on_supports
from amtl_cvx.problem.coupling import residual, slope_B
from amtl_cvx.tasks import Array

BoolArray = NDArray[np.bool_]
_PROX_STEPS = 5000
_SHRINKS = 4


def exactly_feasible(point: Point) -> Array:
    """B in its feasible set, exactly 0 where the truth is 0, and polished.

    Interior-point and first-order solvers leave 1e-10 where the truth is 0; for such an entry the gradient
    exceeds what the entry could use up (h B < G), so that a prox step from B ends at 0.
    """
    model, W = point.model, point.W
    point = point.at(B=model.transfer.project(point.B))
    losses = point.weighted_losses
    if not model.transfer.has_prox:
        return _cone_polished(point)
    h = prox_steps(model, W, 1.0)
    moved = model.transfer.prox(point.B - point.coupling_gradient_B / h, 1.0 / h, losses)
    useful = np.abs(W).max(axis=0)[:, None] > 0.0  # w_s = 0 helps nobody, even where its edges are free
    B = np.where((moved != 0.0) & useful, point.B, 0.0)
    prices = model.transfer.edge_prices(losses)
    if prices is None:
        return prox_polished(model, W, model.transfer.project(B), losses)
    return polished(W, B, prices, model.coupling)


def _cone_polished(point: Point) -> Array:
    """The B-step by CVXPY's program once more, to what Clarabel can; 0 where the multiplier says so.

    That is where an entry could use up less than its multiplier, h B < y. Taken if J does not rise.
    """
    model, W, T = point.model, point.W, point.tasks.T
    try:
        cone = model.transfer.cone(point.weighted_losses)
    except NotCertifiable:
        return point.B
    if cone is None or T == 1:
        return point.B
    dual = b_step(cone, W, model.coupling)[-1]
    B, held = graph_of(cone, dual, T), np.zeros((T, T))
    held.T[~np.eye(T, dtype=bool)] = cone.at_zero(dual)
    steps = 2.0 * model.coupling * (W**2).sum(axis=0)[:, None]
    exact = point.at(B=np.where((steps * B < held) | (steps == 0.0), 0.0, B))
    return exact.B if exact.objective <= point.objective else point.B


def prox_polished(model: Model, W: Array, B: Array, losses: Array, *, most: int = _PROX_STEPS) -> Array:
    """The B-step of any penalty carried on from B by accelerated prox-gradient steps, to rounding.

    Or by `most` of them.

    Conic solvers end at 1e-9; FISTA with restarts goes on (Beck, Teboulle 2009; O'Donoghue, Candes 2015).
    """
    L = 2.0 * model.coupling * float(np.linalg.norm(W, 2)) ** 2
    if L <= 0.0:
        return B
    ahead, momentum = B, 1.0
    for _ in range(most):
        new = model.transfer.prox(ahead - slope_B(model.coupling, W, residual(W, ahead)) / L, 1.0 / L, losses)
        if float(np.abs(new - B).max()) <= 1e-15 * max(1.0, float(np.abs(new).max())):
            return new
        if float(((ahead - new) * (new - B)).sum()) > 0.0:
            momentum = 1.0  # the step points uphill: start again from here
        grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, B, momentum = new + (momentum - 1.0) / grown * (new - B), new, grown
    return B


def polished(W: Array, B: Array, prices: Array, coupling: float) -> Array:
    """Each column solved exactly on its support, where that is feasible and lowers the residual.

    On the support P the column solves ``W_P'W_P b = W_P'w_t - p_P / (2 coupling)`` (theory.md section 6);
    all columns at once. Entries that come out negative leave the support, and a column for which nothing is
    gained (a dependent support) is tried by least squares.
    """
    gram, price = W.T @ W, np.reshape(prices, (len(B), -1)) / (2.0 * coupling)
    support, gained = B > 0.0, np.zeros(len(B), dtype=bool)
    for _ in range(_SHRINKS):
        exact = on_supports(gram, gram - price, support)
        better = _lowers(gram, price, exact, B)
        B, gained = np.where(better, exact, B), gained | better
        shrunk = support & (exact > 0.0)
        if np.array_equal(shrunk, support):
            break
        support = shrunk
    for t in np.flatnonzero(~gained & (B > 0.0).any(axis=0)):
        places, column = np.flatnonzero(B[:, t]), B.copy()
        right = gram[places, t] - np.broadcast_to(price, B.shape)[places, t]
        column[places, t] = np.linalg.lstsq(gram[np.ix_(places, places)], right, rcond=None)[0]
        if _lowers(gram, price, column, B)[t]:
            B = column
    return B


def _lowers(gram: Array, price: Array, new: Array, old: Array) -> BoolArray:
    """Per column: new >= 0, and its largest |min(h b, q)|, in units of 2 coupling, is below that of old."""
    misses = []
    for B in (new, old):
        miss = np.abs(np.minimum(np.diag(gram)[:, None] * B, price - gram + gram @ B))
        np.fill_diagonal(miss, 0.0)
        misses.append(miss.max(axis=0))
    lower: BoolArray = (new >= 0.0).all(axis=0) & (misses[0] < misses[1])
    return lower
