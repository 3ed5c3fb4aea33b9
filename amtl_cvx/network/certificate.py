"""The certificate of a network: how good a point is, judged from the data alone, kinks and all.

Nothing here comes from a solver. `certify` knows the levels up to C2, `strict_local` goes on to C3:

    C0   evaluated: feasible, J and its residuals are known
    C2   first-order-verified: directionally stationary, J'(x; d) >= 0 for every d, every condition met to the
         tolerance (`residuals`), and some feature is live
    C3   strict-local-verified: J rises in every direction (`second_order`)

There is no C1: a block that is best in its activation cell, with the others still, is not best of J, and the
signs of Z S A couple L, S and A. No gap of a block is a bound of anything, so there is none. C4 and C5 cannot
be had.

C2 needs multipliers theta in [0, w], and nothing else, in a network of any depth (`kinks`). That the normals
of the active kinks are independent (`likq`) is what makes them unique; where a deep network has none and its
normals are dependent, or an active kink is concave and its normal depends on others, the point is not
certified, though it may be stationary, and `reasons["C2"]` says so.

Arrays from elsewhere are near to kinks and not on them: with `snap` they are moved there first (`snap`), and
what is judged is the point on the kinks. How far it is from the one given, and by how much J changed, stands
beside the verdict.

The zero point, dead features and the balance are as in `features.certificate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from amtl_cvx.certificate import check_tolerance
from amtl_cvx.errors import DataError, NotCertifiable
from amtl_cvx.features.certificate import ZERO
from amtl_cvx.features.telling import Told, Words
from amtl_cvx.network import words
from amtl_cvx.network.balance import balance, lower_balance
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.known import NetworkKnown
from amtl_cvx.network.local import without_feedback
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.residuals import beside_concave, concave_kinks, residuals
from amtl_cvx.network.second_order import second_order
from amtl_cvx.network.snap import KINK_WIDTH, Snapped, snap
from amtl_cvx.network.vertex import vertex

DEPENDENT = (
    "the normals of the active kinks are dependent, so that a point without multipliers in [0, w] may be"
    " stationary all the same: not decided"
)
CONCAVE = (
    "an active kink is concave (its weight is below 0): J falls on one of its sides, unless its normal"
    " depends on those of others"
)
MANY = "there are too many active kinks for their normals to be compared"
_SNAP = ("kink_width", "snap_distance", "snap_relative", "snap_change", "snap_units", "snap_entries")


@dataclass(frozen=True, kw_only=True)
class NetworkCertificate(Told, NetworkKnown):
    """What is known about a point of a network: figures, a verdict, a level (`to_dict`).

    What has no value has its reason in `reasons`, by its name; a level has it by its code.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[2.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(features=1, mu=1.0, decay=0.5))
    >>> found = certify(problem.at(W1=[[1.0]], S=[[1.0]], A=[[0.0]]))  # (w s - 2)^2 + |s| + w^2 / 2
    >>> found.level, found.passes, found.live_features, found.zero_objective
    ('C0', False, 1, 4.0)
    >>> certify(problem.zero).reasons["zero"][:41]
    'no task uses a feature, as at the zero po'
    """

    said: ClassVar[Words] = words
    missing: ClassVar[tuple[str, ...]] = ("C1",)


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify(
    point: NetworkPoint, *, tol: float = 1e-8, snapped: bool = False, kink_width: float = KINK_WIDTH
) -> NetworkCertificate:
    """Judge a point from any source, up to C2.

    Parameters
    ----------
    point : NetworkPoint
        The layers, S and A of a problem.
    tol : float
        Of the residual, between 0 and 1.
    snapped : bool
        Whether the point is moved onto kinks that it is near to, for arrays from elsewhere; else it is judged
        as it is.
    kink_width : float
        How near is near, relative; between 0 and 1.

    Returns
    -------
    NetworkCertificate
        With level C2 where it passes.

    Raises
    ------
    ModelError
        For a tolerance or a width that is none.
    DataError
        Where the losses overflow, or tasks and model do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[1.5]])
    >>> problem = NetworkProblem(tasks, NetworkModel(features=1, mu=1.0, decay=0.5))
    >>> found = certify(problem.at(W1=[[1.0]], S=[[1.0]], A=[[0.0]]))  # (w s - 1.5)^2 + |s| + w^2 / 2
    >>> found.level, found.passes, found.objective
    ('C2', True, 1.75)
    """
    check_tolerance(tol)
    _check_finite(point)
    if not snapped:
        return _judged(point, tol=tol)
    found = snap(point, kink_width=kink_width, tol=tol)
    return _judged(found.point, tol=tol, found=found, kink_width=kink_width)


def _judged(
    point: NetworkPoint, *, tol: float, found: Snapped | None = None, kink_width: float | None = None
) -> NetworkCertificate:
    """The certificate of a point as it is, which may be one that was snapped."""
    known = evaluated(point, tol=tol)
    reasons = dict(known.reasons)
    if found is not None:
        reasons = {name: why for name, why in reasons.items() if name not in _SNAP}
        known = replace(
            known,
            kink_width=kink_width,
            snap_distance=found.distance,
            snap_relative=found.relative,
            snap_change=found.change,
            snap_units=found.units,
            snap_entries=found.entries,
        )
    if known.level is None:
        return replace(known, reasons=reasons)
    if known.live_features == 0:
        reasons["zero"] = ZERO
    met = known.relative <= tol
    if not met and known.relative_kinks > tol:
        reasons["C2"] = CONCAVE
    elif not met and len(point.V) > 1 and not known.likq and known.relative_weights > tol:
        reasons["C2"] = DEPENDENT
    if met and (near := beside_concave(point, tol)) is not None:
        reasons["C2"] = (
            f"a unit is {near:.1g} from a concave kink, nearer than the tolerance: J falls beyond it"
        )
        met = False
    passes = met and known.live_features > 0
    return replace(known, passes=passes, level="C2" if passes else "C0", reasons=reasons)


def evaluated(point: NetworkPoint, *, tol: float, reason: str = words.NO_GAPS) -> NetworkCertificate:
    """What is known of a point without a verdict: level C0, none where A must not be negative and is.

    `reason` is that of the gaps.
    """
    _check_finite(point)
    model, found, active, held = point.model, residuals(point), kinks(point), vertex(point)
    below = 0.0 if model.signed else max(0.0, -float(point.A.min()))
    reasons = dict.fromkeys(("gap_W", "gap_S", "gap_A"), reason)
    reasons |= {"C1": words.NO_GAPS, "C4": words.NO_DIGITS, "C5": words.NO_BOUND}
    reasons |= dict.fromkeys(_SNAP, words.AS_GIVEN)
    if len(point.V) == 1:
        reasons["balance_lower"] = "there is one hidden layer"
    if below > 0.0:
        reasons["feasibility"] = "A >= 0"
    if without_feedback(point):
        reasons["A"] = words.NO_FEEDBACK
    deficiency = active.deficiency
    if deficiency is None:
        reasons |= dict.fromkeys(("likq", "rank_deficiency"), MANY)
    concave = sum(int(np.count_nonzero(mask)) for mask in concave_kinks(point))
    return NetworkCertificate(
        objective=point.objective,
        tol=float(tol),
        passes=False,
        level=None if below > 0.0 else "C0",
        feasibility=below,
        live_features=int(point.S.any(axis=1).sum()),
        features=len(point.S),
        zero_objective=point.problem.zero.objective,
        used=int(np.count_nonzero(point.S)),
        fed_back=int(np.count_nonzero(point.A)),
        active_kinks=len(active),
        concave_kinks=concave + held.unprotected,
        protected_kinks=held.protected,
        likq=None if deficiency is None else deficiency == 0,
        rank_deficiency=deficiency,
        relative=found.relative,
        relative_weights=found.parts["weights"],
        relative_S=found.parts["S"],
        relative_A=found.parts["A"],
        relative_kinks=found.parts["kinks"],
        stationarity_weights=found.stationarity["weights"],
        stationarity_S=found.stationarity["S"],
        stationarity_A=found.stationarity["A"],
        stationarity_kinks=found.stationarity["kinks"],
        balance=float(balance(point).relative.max()),
        balance_lower=_lower(point),
        reasons=reasons,
    )


def _check_finite(point: NetworkPoint) -> None:
    """`DataError` where tasks and model do not fit each other, or J overflows."""
    point.problem.check()
    with np.errstate(over="ignore", invalid="ignore"):
        J = point.objective
    if not math.isfinite(J):
        raise DataError(
            "the layers, S and A must have a finite J, it overflows: check them, or standardize the features"
        )


def _lower(point: NetworkPoint) -> float | None:
    """The worst relative difference of weights in and weights out of units of lower layers."""
    if len(point.V) == 1:
        return None
    worst = 0.0
    for inward, outward in lower_balance(point):
        longest = np.maximum(inward, outward)
        off = np.divide(np.abs(inward - outward), longest, out=np.zeros_like(longest), where=longest > 0.0)
        worst = max(worst, float(off.max()))
    return worst


def strict_local(certificate: NetworkCertificate, point: NetworkPoint) -> NetworkCertificate:
    """The certificate with level C3, or with why the point does not have it; a passing one is asked for.

    `point` is the one that was given to `certify`: it is snapped again where that was.
    """
    if not certificate.passes:
        return replace(certificate, reasons={**certificate.reasons, "C3": "C2 is not reached"})
    if certificate.snap_distance and certificate.kink_width is not None:
        point = snap(point, kink_width=certificate.kink_width, tol=certificate.tol).point
    try:
        found = second_order(point)
    except NotCertifiable as error:
        refused = tuple(sorted({*certificate.refused, "C3"}))
        return replace(certificate, refused=refused, reasons={**certificate.reasons, "C3": str(error)})
    reached, reasons = found.verdict == "strict local minimum", dict(certificate.reasons)
    if not reached:
        reasons["C3"] = f"{found.verdict}: {found.reason}"
    return replace(
        certificate,
        level="C3" if reached else certificate.level,
        reduced_hessian_min=found.reduced_hessian_min,
        min_multiplier=found.min_multiplier,
        min_entry=found.min_entry,
        free=found.free,
        reasons=reasons,
    )
