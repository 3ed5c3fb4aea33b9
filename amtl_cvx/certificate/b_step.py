r"""The B-step, column by column: what a move of B alone can gain, and what it proves (W fixed).

Column t: w = w_t, A = W without it, b = B[:, t], p the prices, r = w - A b, q = p - 2 coupling A'r, P the
objective of the column, gap = P(b) - D(theta) >= P(b) - min P at the dual point theta of `duals`.

D is 1/(2 coupling)-strongly concave over A'theta <= p with maximum at theta* = 2 coupling (w - A b*), hence

    ||theta - theta*|| <= 2 sqrt(coupling gap),   and   A_j'theta + 2 ||A_j|| sqrt(coupling gap) < p_j

proves b*_j = 0 (gap-safe screening: Ndiaye, Fercoq, Gramfort, Salmon 2017). With F what is positive or not
proved 0, and sigma the smallest singular value of A_F, b - b* lives on F, whence two bounds for it

    sqrt(gap / coupling) / sigma      ||m|| / (2 coupling sigma^2),   m_j = |q_j|, or max(0, -q_j) if b_j = 0

(strong convexity; strong monotonicity with q(b*)'(b - b*) >= 0). The second is linear in the residual and so
far sharper near the minimum; proved zeros make both finite where T - 1 > d. Where more than d columns, or
dependent ones, are left in F, b* need not be unique and there is no bound.

What is called proved leaves room for rounding: in theta, gap and prices (`duals`), in q by the same bounds of
its terms, and singular values are taken less u times the largest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.by_cone import TRUSTED, cone_gap
from amtl_cvx.certificate.conjugate import conjugate_gap
from amtl_cvx.certificate.duals import ColumnDuals, column_duals
from amtl_cvx.certificate.exact import column_gain
from amtl_cvx.certificate.room import features, price_room, rounding
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Model, Point
from amtl_cvx.problem.coupling import NEARLY_SINGULAR, residual, slope_B
from amtl_cvx.tasks import Array, Mask


class TransferEvidence(NamedTuple):
    """What is known about B for this W; None where not available, with the reason in `reasons`."""

    gap: float | None
    error: float | None
    condition: float | None
    zeros_proven: int | None
    reasons: dict[str, str]
    duals: ColumnDuals | None = None
    proven: Mask | None = None
    """(T, T): entries of B that are 0 in every minimiser."""

    @property
    def figures(self) -> dict[str, float | None]:
        """What a certificate reports of it and does not judge."""
        return {"error_B": self.error, "zeros_proven": self.zeros_proven, "condition_B": self.condition}


def transfer_evidence(point: Point, *, enough: float = math.inf) -> TransferEvidence:
    """What is known about a feasible B for this W; small columns are solved exactly for a gap of `enough`."""
    tasks, model, W, B = point.tasks, point.model, point.W, point.B
    prices = point.row_prices
    if prices is None:
        return _by_conjugate(point)
    reasons: dict[str, str] = {}
    duals = _duals(point, prices)
    if tasks.basis is None and float(duals.gaps.sum()) > enough:
        duals = exact_gaps(W, B, prices, model.coupling, duals, enough=enough)
    proven = proven_zeros(W, prices, model.coupling, duals)
    support = B > 0.0
    open_ = (support | ~proven) & ~np.eye(tasks.T, dtype=bool)
    widest, least = column_range(W, open_)
    bad = np.flatnonzero(open_.any(axis=0) & (least <= 0.0))
    error: float | None = None
    if len(bad):
        t = int(bad[0])
        reasons["error_B"] = (
            f"infinite: the predictors of the {int(open_[:, t].sum())} tasks that may help"
            f" {tasks.names[t]!r} are linearly dependent, other columns of B may be as good"
        )
    else:
        error = float(np.linalg.norm(column_errors(W, B, prices, model.coupling, duals, open_, least)))
    if not support.any():
        condition, reasons["condition_B"] = None, "B has no edges"
    else:
        if not np.array_equal(open_, support):
            widest, least = column_range(W, support)
        used = support.any(axis=0)
        dependent = bool((least[used] <= 0.0).any())
        condition = None if dependent else float((widest[used] / least[used]).max()) ** 2
        if dependent:
            reasons["condition_B"] = "infinite: the predictors of some support are linearly dependent"
    return TransferEvidence(
        gap=float(duals.gaps.sum()),
        error=error,
        condition=condition,
        zeros_proven=int((proven & ~support).sum()),
        reasons=reasons,
        duals=duals,
        proven=proven,
    )


def no_evidence(reason: str) -> TransferEvidence:
    """Nothing is known about B, for one reason."""
    names = ("gap_B", "error_B", "zeros_proven", "condition_B")
    return TransferEvidence(None, None, None, None, dict.fromkeys(names, reason))


def _by_conjugate(point: Point) -> TransferEvidence:
    """The gap alone, of a penalty that does not split into columns."""
    model = point.model
    gap, why = _whole_gap(point)
    if gap is None:
        return no_evidence(why)
    no = f"known only where {type(model.transfer).__name__} splits into columns with prices"
    reasons = dict.fromkeys(("error_B", "zeros_proven", "condition_B"), no)
    return no_evidence(no)._replace(gap=gap, reasons={**reasons, **({"gap_B": why} if why else {})})


def _whole_gap(point: Point) -> tuple[float | None, str]:
    """The gap by the penalty's conjugate or by CVXPY's program of it; None with the reason."""
    transfer = point.model.transfer
    gap = conjugate_gap(point)
    if gap is not None:
        return gap, ""
    try:
        gap = cone_gap(point)
    except NotCertifiable as error:
        return None, f"nothing is proved of {transfer!r}: {error}"
    if gap is None:
        return None, _no_conjugate(point.model)
    if not math.isfinite(gap):
        return None, (
            f"nothing is proved of {transfer!r}: CVXPY's program of it has variables that J does not bound,"
            " or is not the function"
        )
    return gap, TRUSTED


def _no_conjugate(model: Model) -> str:
    return (
        f"{type(model.transfer).__name__} has no conjugate: give it the method `conjugate`, then what a move"
        " of B can gain is known"
    )


def transfer_gap(point: Point) -> tuple[float | None, str]:
    """How much a move of B alone can gain, summed over columns; None with the reason where not available."""
    prices = point.row_prices
    if prices is None:
        return _whole_gap(point)
    return float(_duals(point, prices).gaps.sum()), ""


def _duals(point: Point, prices: Array) -> ColumnDuals:
    tasks, model, W = point.tasks, point.model, point.W
    room = price_room(point, prices)
    return column_duals(W, point.B, prices, model.coupling, price_room=room, features=features(tasks))


def exact_gaps(
    W: Array, B: Array, prices: Array, coupling: float, duals: ColumnDuals, *, enough: float
) -> ColumnDuals:
    """The duals with the exact gain for small columns whose gap is beyond their share of `enough`."""
    gaps, theta, room = duals.gaps.copy(), duals.theta.copy(), duals.room.copy()
    low, high = np.maximum(prices - duals.price_room, 0.0), prices + duals.price_room
    for t in np.flatnonzero(gaps > 0.5 * enough / len(gaps)):
        others = np.arange(len(gaps)) != t
        A = W[:, others]
        tight = np.abs(low[others] - A.T @ theta[:, t]) <= 4.0 * room[others, t]
        found = column_gain(
            A,
            W[:, t],
            B[others, t],
            low[others],
            high[others],
            coupling,
            support=np.flatnonzero(tight).tolist(),
        )
        if found is not None and found.most < gaps[t]:
            gaps[t], theta[:, t] = found.most, found.theta
            size = np.linalg.norm(A, axis=0) * float(np.linalg.norm(found.theta))
            room[others, t] = duals.noise * (low[others] + size) + (high - low)[others]
    return duals._replace(gaps=gaps, theta=theta, room=room)


def why_gap(point: Point, duals: ColumnDuals) -> str:
    """Why gap_B is what it is: what a better B for this W gains, as measured, or rounding."""
    tasks, W, prices, best = point.tasks, point.W, point.row_prices, duals.best
    assert prices is not None and best is not None
    less = point.B - best
    moved = (2.0 * W - W @ (point.B + best)) * (W @ less)
    gains = prices @ less - point.model.coupling * moved.sum(axis=0)
    gained, gap = float(np.maximum(gains, 0.0).sum()), float(duals.gaps.sum())
    if gained >= 0.5 * gap:
        t = int(np.argmax(gains))
        return (
            f"a better B for this W lowers J by {gained:.1e}, most of it by edges into {tasks.names[t]!r};"
            " more rounds or refinement find it"
        )
    t = int(np.argmax(duals.gaps - gains))
    return (
        f"of {gap:.1e} a better B attains {gained:.1e}, the rest is what rounding hides, most of it among"
        f" edges into {tasks.names[t]!r}; features, targets and task weights on one scale have less of it"
    )


def why_loose(W: Array, sigma: float, gap: float) -> str:
    """Why the gap of a conjugate is large where I - B (`sigma`: its least singular value) is nearly so."""
    if sigma > NEARLY_SINGULAR:
        return ""
    longest = float(np.linalg.norm(W, axis=0).max())
    return (
        f"I - B is nearly singular ({sigma:.1e}) and predictors are up to {longest:.1e} long, so that what B"
        f" can gain is known to {gap:.1e} only; standardize the features, drop those that are constant or"
        " depend on others, or give a larger mu"
    )


def proven_zeros(W: Array, prices: Array, coupling: float, duals: ColumnDuals) -> Mask:
    """Entries of B off the diagonal that are 0 in every minimiser of J(W, .), (T, T)."""
    length = np.linalg.norm(W, axis=0)[:, None]
    reach = W.T @ duals.theta + duals.room + 2.0 * length * np.sqrt(coupling * duals.gaps)
    proven: Mask = reach < prices[:, None]
    np.fill_diagonal(proven, False)
    return proven


def column_errors(
    W: Array, B: Array, prices: Array, coupling: float, duals: ColumnDuals, open_: Mask, least: Array
) -> Array:
    """Bounds on ||b - b*|| of every column, (T,), from the smallest singular values of the open columns."""
    slope = prices[:, None] + slope_B(coupling, W, residual(W, B))
    length = np.linalg.norm(W, axis=0)
    reach = np.outer(length, length + length @ B)
    room = duals.noise * (prices[:, None] + 2.0 * coupling * reach) + np.reshape(duals.price_room, (-1, 1))
    miss = np.where(B > 0.0, np.abs(slope), np.maximum(-slope, 0.0)) + room
    missed = np.linalg.norm(np.where(open_, miss, 0.0), axis=0)
    sigma = np.where(open_.any(axis=0), least, np.inf)
    errors: Array = np.minimum(np.sqrt(duals.gaps / coupling) / sigma, missed / (2.0 * coupling * sigma**2))
    return errors


def column_range(W: Array, chosen: Mask) -> tuple[Array, Array]:
    """Largest and smallest singular value of W[:, chosen[:, t]] for every t, (T,) each.

    The smallest is 0 where the columns are dependent up to rounding, also where none is chosen.
    """
    d, T = W.shape
    counts = chosen.sum(axis=0)
    most = int(counts.max(initial=0))
    widest, least = np.zeros(T), np.zeros(T)
    if not most:
        return widest, least
    factor: Array = np.linalg.qr(W, mode="r") if d > T else W  # type: ignore[assignment]
    first = np.argsort(~chosen, axis=0, kind="stable")[:most]
    stack = np.where(np.arange(most)[:, None] < counts, factor[:, first], 0.0)
    values = np.linalg.svd(np.moveaxis(stack, 2, 0), compute_uv=False)
    widest = values[:, 0]
    within = (counts > 0) & (counts <= values.shape[1])
    least[within] = values[within, counts[within] - 1]
    least = np.maximum(least - rounding(W) * widest, 0.0)
    return widest, least
