"""The certificate of a shared dictionary: how good a point (D, G) is, judged from the data alone.

Nothing here comes from a solver:

    C0   evaluated: D and G are in their balls, J and its residuals are known
    C1   eps-partial-optimum: no move of D or G alone gains more than the limit (`gaps`, their sum)
    C2   first-order-verified: C1, every entry meets its condition to the tolerance (`residuals`), and some
         task uses a feature

J is convex in each block while the other stands still, over sets that do not depend on each other, so
partial optimum and first-order point are the same (Gorski, Pfeuffer, Klamroth 2007), and the gaps say it in
units of J. "In its ball" is to 1e-12 of the radius: the gaps are bounds from beyond it too.

D = 0, G = 0 meets all conditions whatever the data say, and does not pass: nothing is learned. With G = 0
alone no D but one that is orthogonal to every gradient does. A feature that no task uses is dead, and any
direction of it meets the conditions; the method turns it to where it is of use before it ends (`starts`), a
point from elsewhere passes with dead features, and their number is told. C3 and C4 are not offered (the tests
of the other families know boxes, not balls), and no lower bound of J is known, which C5 would need.

The limit is tol J, not below what rounding leaves of J(0, 0) (`certificate.verdict.resolution`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from amtl_cvx.certificate import check_tolerance
from amtl_cvx.dictionary import words
from amtl_cvx.dictionary.gaps import gap_D, gap_G
from amtl_cvx.dictionary.known import DictionaryKnown
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.residuals import residuals
from amtl_cvx.errors import DataError
from amtl_cvx.features.telling import Told, Words

FEASIBLE = 1e-12
"""How far beyond a ball is rounding."""
ZERO = "no task uses a feature, which says nothing about the data: start elsewhere"
NO_LEVEL = {
    "C3": "the second-order test of the other families is for boxes, and D and G are in balls",
    "C4": "C3 cannot be had",
    "C5": "no way is known to a lower bound of J over all D and G",
}
_RESOLVED = 2.0**16 * float(np.finfo(np.float64).eps)  # as in `certificate.verdict`, for a smooth loss


@dataclass(frozen=True, kw_only=True)
class DictionaryCertificate(Told, DictionaryKnown):
    """What is known about a point (D, G): figures, a verdict, a level; certificate.json is its `to_dict`.

    What has no value has its reason in `reasons`, by its name; a level has it by its code.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import DictionaryModel, TaskSet
    >>> from amtl_cvx.dictionary import DictionaryProblem, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> problem = DictionaryProblem(tasks, DictionaryModel(features=1, radius=2.0))  # (d g - 3)^2
    >>> found = certify(problem.at(D=[[1.0]], G=[[2.0]]))
    >>> found.level, found.passes, found.objective, found.full
    ('C2', True, 1.0, 1)
    >>> round(certify(problem.at(D=[[1.0]], G=[[1.0]])).gap_G, 9)  # the slope is -4, and 2 - 1 is left
    4.0
    """

    said: ClassVar[Words] = words


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify(point: DictionaryPoint, *, tol: float = 1e-8) -> DictionaryCertificate:
    """Judge a point from any source.

    Parameters
    ----------
    point : DictionaryPoint
        D and G of a problem.
    tol : float
        Of the residual, and of the gaps over J, between 0 and 1.

    Returns
    -------
    DictionaryCertificate
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
    >>> from amtl_cvx import DictionaryModel, TaskSet
    >>> from amtl_cvx.dictionary import DictionaryProblem, certify
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> problem = DictionaryProblem(tasks, DictionaryModel(features=1, radius=2.0))
    >>> certify(problem.at(D=[[-1.0]], G=[[2.0]])).level
    'C0'
    """
    check_tolerance(tol)
    known = evaluated(point, tol=tol)
    if known.level is None:
        return known
    of_D, of_G = gap_D(point), gap_G(point)
    reasons = {name: why for name, why in known.reasons.items() if not name.startswith("gap_")}
    partial = of_D + of_G <= known.limit
    if known.live_features == 0:
        reasons["zero"] = ZERO
    passes = partial and known.relative <= tol and known.live_features > 0
    level = "C2" if passes else "C1" if partial else "C0"
    return replace(known, gap_D=of_D, gap_G=of_G, passes=passes, level=level, reasons=reasons)


def evaluated(point: DictionaryPoint, *, tol: float, reason: str = "not computed") -> DictionaryCertificate:
    """What is known of a point without its gaps: level C0, none where D or G is beyond its ball.

    `reason` is that of the gaps.
    """
    point.problem.check()
    with np.errstate(over="ignore", invalid="ignore"):
        J, at_zero = point.objective, point.problem.zero.objective
    if not math.isfinite(J):
        raise DataError("D and G must have a finite J, it overflows: check them, or standardize the features")
    found, beyond, radius = residuals(point), point.beyond, point.model.radius
    reasons = {"gap_D": reason, "gap_G": reason, **NO_LEVEL}
    if beyond > FEASIBLE:
        reasons["feasibility"] = words.NOT_FEASIBLE
    return DictionaryCertificate(
        objective=J,
        tol=float(tol),
        passes=False,
        level=None if beyond > FEASIBLE else "C0",
        feasibility=beyond if beyond > FEASIBLE else 0.0,
        live_features=int(point.live.sum()),
        features=point.D.shape[1],
        full=int((np.abs(point.G).sum(axis=0) >= radius * (1.0 - FEASIBLE)).sum()),
        used=int(np.count_nonzero(point.G)),
        zero_objective=at_zero,
        relative=found.relative,
        relative_D=found.parts["D"],
        relative_G=found.parts["G"],
        stationarity_D=found.stationarity["D"],
        stationarity_G=found.stationarity["G"],
        gap_D=None,
        gap_G=None,
        limit=max(tol * J, _RESOLVED**2 * at_zero),
        reasons=reasons,
    )
