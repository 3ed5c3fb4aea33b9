"""The certificate of shared features: how good a point (L, S, A) is, judged from the data alone.

Nothing here comes from a solver. `certify` knows the levels up to C2, `strict_local` goes on to C3:

    C0   evaluated: feasible, J and its residuals are known
    C1   eps-partial-optimum: no move of L, S or A alone gains more than the limit (`gaps`, their sum)
    C2   first-order-verified: C1, every entry meets its condition to the tolerance (`residuals`), and some
         feature is live
    C3   strict-local-verified: the curvature of J where zeros stay zeros is positive, and every zero of S
         and A has room in its box (`second_order`)
    C4   digits-proven (`proven`); C5 cannot be had: no lower bound of this J is known

Every block is convex while the others stand still, so partial optimum and first-order point are the same
(Gorski, Pfeuffer, Klamroth 2007), and the gaps say it in units of J.

The zero point meets all conditions of every such problem, and is a strict local minimum wherever decay > 0
(and feedback, if there is any, has a price): near 0 what L times S gains is of second order, mu ||S||_1 of
first. It says nothing about the data, nor does any point about a feature with L_j = 0, S_j. = 0, A_.j = 0.
Hence what is printed beside the residuals: the number of live features (those that some task uses), and J at
the zero point. With no live feature the level is C1 at most and the point does not pass: reading `passes`, an
exit code or the level must not suggest that something was learned. `reasons["zero"]` says that the conditions
hold there. A point that passes with a J above that of the zero point is a first-order point, and is said to
be no better than that one.

`balance` is the largest, over the sum of its terms, of

    |2 decay ||L_j||^2 + 2 gamma ||E_j||^2 + sum_t p_t |A_tj| - mu ||S_j.||_1|

which is 0 at every first-order point. It follows from the conditions; it is reported, and not judged.

The limit is tol J, not below what rounding leaves of J(0, 0, 0) (`certificate.verdict.resolution`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from amtl_cvx.certificate import check_tolerance
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.errors import DataError, NotCertifiable
from amtl_cvx.features import words
from amtl_cvx.features.balance import balance
from amtl_cvx.features.gaps import Gap, assumed, gap
from amtl_cvx.features.known import FeatureKnown
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.residuals import residuals
from amtl_cvx.features.rounding import rounding
from amtl_cvx.features.second_order import second_order
from amtl_cvx.features.telling import Told, Words

NO_BOUND = (
    "no way is known to a lower bound of J over all L, S and A: the relaxations that bound AMTL are for two"
    " blocks of which J is a polynomial of degree two"
)
ZERO = (
    "no task uses a feature, as at the zero point, which meets the conditions whatever the data say: nothing"
    " is learned; start elsewhere, or give a smaller mu or decay"
)
CANCELS = "L, S and A are so large that their products cancel: J is known only to within"
COLUMNS = (
    "some depend on others up to rounding, and without a decay they are judged as if they did exactly; as the"
    " doubles that they are, an L beyond 1e13 could gain by the difference"
)
_RESOLVED = 2.0**16 * float(np.finfo(np.float64).eps)  # as in `certificate.verdict`, for a smooth loss


@dataclass(frozen=True, kw_only=True)
class FeatureCertificate(Told, FeatureKnown):
    """What is known about a point (L, S, A): figures, a verdict, a level; certificate.json is its `to_dict`.

    What has no value has its reason in `reasons`, by its name; a level has it by its code.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.features import FeatureProblem, GoMtlModel, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[2.0]])
    >>> problem = FeatureProblem(tasks, GoMtlModel(features=1, mu=1.0, decay=0.5))
    >>> found = certify(problem.at(L=[[1.0]], S=[[1.0]]))  # (l s - 2)^2 + |s| + l^2 / 2
    >>> found.level, found.passes, found.live_features, found.zero_objective
    ('C0', False, 1, 4.0)
    >>> certify(problem.zero).reasons["zero"][:41]
    'no task uses a feature, as at the zero po'
    """

    said: ClassVar[Words] = words


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify(point: FeaturePoint, *, tol: float = 1e-8) -> FeatureCertificate:
    """Judge a point from any source, up to C2.

    Parameters
    ----------
    point : FeaturePoint
        L, S and A of a problem.
    tol : float
        Of the residual, and of the gaps over J, between 0 and 1.

    Returns
    -------
    FeatureCertificate
        With level C2 where it passes.

    Raises
    ------
    ModelError
        For a tolerance that is none.
    DataError
        Where the losses overflow, or tasks and model do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.features import FeatureProblem, GoMtlModel, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[1.5]])
    >>> problem = FeatureProblem(tasks, GoMtlModel(features=1, mu=1.0, decay=0.5))
    >>> found = certify(problem.at(L=[[1.0]], S=[[1.0]]))  # (l s - 1.5)^2 + |s| + l^2 / 2
    >>> found.level, found.passes, found.objective
    ('C2', True, 1.75)
    """
    check_tolerance(tol)
    known = evaluated(point, tol=tol)
    if known.level is None:
        return known
    gaps = {name: gap(name, point) for name in point.blocks}
    reasons = {name: why for name, why in known.reasons.items() if name.removeprefix("gap_") not in gaps}
    reasons |= {f"gap_{name}": found.reason for name, found in gaps.items() if _unclear(found, known.limit)}
    values = [found.value for found in gaps.values()]
    total = math.fsum(math.inf if value is None else value for value in values)
    partial = total <= known.limit
    if known.live_features == 0:
        reasons["zero"] = ZERO
    if assumed(point):
        reasons["columns"] = COLUMNS
    passes = partial and known.relative <= tol and known.live_features > 0
    return replace(
        known,
        gap_L=gaps["L"].value,
        gap_L_by=gaps["L"].by or "none",
        gap_S=gaps["S"].value,
        gap_A=gaps["A"].value if "A" in gaps else None,
        passes=passes,
        level="C2" if passes else "C1" if partial else "C0",
        reasons=reasons,
    )


def _unclear(found: Gap, limit: float) -> bool:
    """Whether the reason belongs to a gap that decides."""
    return bool(found.reason) and (found.value is None or found.value > limit)


def evaluated(point: FeaturePoint, *, tol: float, reason: str = "not computed") -> FeatureCertificate:
    """What is known of a point without its gaps: level C0, none where A must not be negative and is.

    `reason` is that of the gaps.
    """
    point.problem.check()
    with np.errstate(over="ignore", invalid="ignore"):
        J, at_zero = point.objective, point.problem.zero.objective
    if not math.isfinite(J):
        raise DataError(
            "L, S and A must have a finite J, it overflows: check them, or standardize the features"
        )
    model, found = point.model, residuals(point)
    below = 0.0 if model.signed else max(0.0, -float(point.A.min()))
    names = point.blocks
    reasons = dict.fromkeys((f"gap_{name}" for name in names), reason) | {"C5": NO_BOUND}
    if not model.has_feedback:
        reasons |= dict[str, str].fromkeys(
            ("relative_A", "stationarity_A", "gap_A", "fed_back"), words.NO_FEEDBACK
        )
    if below > 0.0:
        reasons["feasibility"] = "A >= 0"
    if not (off := rounding(point)) <= tol * J:
        reasons["objective"] = f"{CANCELS} {rounded_up(off)}"
    return FeatureCertificate(
        objective=J,
        tol=float(tol),
        passes=False,
        level=None if below > 0.0 else "C0",
        feasibility=below,
        live_features=int(point.S.any(axis=1).sum()),
        features=len(point.S),
        zero_objective=at_zero,
        used=int(np.count_nonzero(point.S)),
        fed_back=int(np.count_nonzero(point.A)) if model.has_feedback else None,
        relative=found.relative,
        relative_L=found.parts["L"],
        relative_S=found.parts["S"],
        relative_A=found.parts.get("A"),
        stationarity_L=found.stationarity["L"],
        stationarity_S=found.stationarity["S"],
        stationarity_A=found.stationarity.get("A"),
        balance=float(balance(point).relative.max()),
        gap_L=None,
        gap_S=None,
        limit=max(tol * J, _RESOLVED**2 * at_zero),
        reasons=reasons,
    )


def strict_local(certificate: FeatureCertificate, point: FeaturePoint) -> FeatureCertificate:
    """The certificate with level C3, or with why the point does not have it; a passing one is asked for."""
    if not certificate.passes:
        return replace(certificate, reasons={**certificate.reasons, "C3": "C2 is not reached"})
    try:
        found = second_order(point)
    except NotCertifiable as error:
        refused = tuple(sorted({*certificate.refused, "C3", "C4"}))
        reasons = {**certificate.reasons, "C3": str(error), "C4": "C3 cannot be had"}
        return replace(certificate, refused=refused, reasons=reasons)
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
