"""Second derivatives of J, as in theory.md section 7, with M = I - B and r_t = (W M)_t.

    W-W         blockdiag(a_t Hess L_t) + 2 coupling K K' (x) I      K = M, or that of `problem.squares`
    B_st-w_u    rate[s, u] c_u grad l_u - 2 coupling (r_t [u = s] + M_ut w_s)
    B_st-B_pt   2 coupling w_s'w_p,   0 for different targets

where rate[s, u] = d p_s / d(c_u l_u), for AMTL mu where u = s and 0 elsewhere. In coefficients x of atoms,
B = base + E x and R = (P l + p0)'x + (Q l + q0)'x^2, these are E'(B-W) and E'(B-B)E, with (P + 2 x Q) in the
place of the rates and 2 (Q l + q0) on the diagonal beside.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.certificate.hessian import BlockHessian
from amtl_cvx.losses import RowLoss
from amtl_cvx.problem import Model, Point
from amtl_cvx.problem.coupling import between_tasks
from amtl_cvx.tasks import Array, Indices, Mask

_JUMP = 0.25  # a larger relative change of phi'' over a short way is a jump


def reduced_hessian(
    point: Point,
    free: Mask,
    curvatures: tuple[Array, ...] | None = None,
    loss_gradient: Array | None = None,
) -> Array:
    """Hessian of J in (vec(W) by tasks, the entries of B where `free` (T, T), by rows), symmetric.

    `curvatures` holds phi'' of the rows of every task, where it is not that of the loss at W, and
    `loss_gradient` (d, T) what stands for grad L_t where these have kinks.
    """
    sources, targets = np.nonzero(free)
    BW, BB = edge_blocks(point, sources, targets, loss_gradient)
    return block_hessian(point, BW, BB, curvatures).whole()


def block_hessian(point: Point, BW: Array, BB: Array, curvatures: tuple[Array, ...] | None) -> BlockHessian:
    """The Hessian by its blocks, that of each task from `curvatures` where these are given."""
    if curvatures is None:
        blocks = point.loss_hessians
    else:
        parts = zip(point.tasks, point.loss_weight, curvatures, strict=True)
        loss = point.model.loss
        blocks = np.stack([a * loss.scale(task) * (task.X.T * phi) @ task.X for task, a, phi in parts])
    return BlockHessian(
        blocks=blocks,
        P=between_tasks(point.K, point.square_weight),
        BW=BW,
        BB=BB,
        unit=np.ones(point.W.shape[::-1]),
    )


def atom_blocks(point: Point, chosen: Indices, loss_gradient: Array | None = None) -> tuple[Array, Array]:
    """Second derivatives of J in some coefficients and vec(W), (k, T d), and in those coefficients, (k, k).

    `loss_gradient` as in `edge_blocks`.
    """
    atoms, T = point.problem.atoms, point.tasks.T
    assert atoms is not None
    E = atoms.E[:, chosen].tocsr()
    places = np.flatnonzero(np.diff(E.indptr))
    F, none = E[places].T, np.zeros((len(places), T))
    BW, BB = edge_blocks(point, *np.divmod(places, T), loss_gradient, rates=none)
    gradient = point.loss_gradient if loss_gradient is None else loss_gradient
    weighted = (point.problem.task_weight * gradient).T
    rates = atoms.rates(point.coefficients, chosen)
    _, q = atoms.prices(point.weighted_losses)
    return (
        F @ BW + (rates[:, :, None] * weighted[None]).reshape(len(chosen), point.W.size),
        F @ (F @ BB.T).T + np.diag(2.0 * q[chosen]),
    )


def edge_blocks(
    point: Point,
    sources: Indices,
    targets: Indices,
    loss_gradient: Array | None = None,
    rates: Array | None = None,
) -> tuple[Array, Array]:
    """Second derivatives of J in B[sources, targets] and vec(W), (k, T d), and in those entries, (k, k).

    `loss_gradient` (d, T) replaces that of the losses at W, where these have kinks; `rates` (k, T) are those
    of the entries' prices in the losses, where the penalty has no row prices.
    """
    model, W = point.model, point.W
    s, t = sources, targets
    M = point.M
    gradient = point.loss_gradient if loss_gradient is None else loss_gradient
    weighted_gradient = point.problem.task_weight * gradient
    if rates is None:
        rates = point.problem.kept("price_rates", lambda: price_rates(model, point.tasks.T))[s]
    cross = rates[:, :, None] * weighted_gradient.T[None]
    cross -= 2.0 * model.coupling * M.T[t][:, :, None] * W.T[s][:, None, :]
    cross[np.arange(len(s)), s] -= 2.0 * model.coupling * (W @ M).T[t]
    return (
        cross.reshape(len(s), W.size),
        2.0 * model.coupling * (W.T @ W)[np.ix_(s, s)] * (t[:, None] == t),
    )


def price_rates(model: Model, T: int) -> Array:
    """rate[s, u] = d p_s / d(c_u l_u), (T, T), constant because prices are affine in the losses."""
    base = model.transfer.row_prices(np.zeros(T))
    columns = [model.transfer.row_prices(unit) for unit in np.eye(T)]
    assert base is not None
    return np.column_stack([column - base for column in columns if column is not None])


def lower_curvatures(loss: RowLoss, z: Array, y: Array, spread: Array) -> Array:
    """phi'' of every row (n,), the smallest one of a row where it jumps within z +- spread."""
    ends = np.stack([loss.curvatures(at, y) for at in (z, z - spread, z + spread)])
    low, high = ends.min(axis=0), ends.max(axis=0)
    found: Array = np.where(high - low > _JUMP * high, low, ends[0])
    return found
