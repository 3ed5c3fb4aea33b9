r"""The ladder: from a first-order certificate up to strict local, proven digits and the global minimum.

    climbed = climb(solution.certificate, tasks, model, solution.W, solution.B, level="C5")
    climbed.certificate.level, climbed.proven.objective, climbed.bounds.lower

C3 and C5 stand on C2, C4 on C3. Where a rung is not reached the certificate says why, in `reasons` under the
code of the rung, and `refused` tells a rung that cannot be had here (too large, a loss
or penalty that it does not cover, an extra that is not installed) from one that this point fails. A rung on
which the work allowed came to its end (`limit` in seconds; rounds, digits and cells are limited as well) is
not decided: that says nothing against the point.

    C3   `second_order`: reduced Hessian positive definite and strict complementarity, in floating point
    C4   `digits.prove`: ball arithmetic, needs the extra [verify]. It proves what C3 says as well, so it is
         also tried where floating point sees curvature and cannot tell the rest; C3 is then reached with it
    C5   `enclosure.enclose`: an exact lower bound of J over all W and B, the enclosure's relative width at
         most `width`, and J of this point, exact, above its upper end by at most min(tol, `EXCESS`) |J|: a
         first-order point that is known to the tolerance, and never one that a lower point beats by more than
         an enclosure may be wide. How far J is above the lower end is `global_excess`, an exact difference
         rounded up. Where the exact bound is refused, SCIP is asked; its bounds are reported as
         "solver-claimed" and never make the level.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from amtl_cvx.certificate import LEVELS, Certificate, SecondOrder, check_level, second_order
from amtl_cvx.certificate import certify as certify_first_order
from amtl_cvx.certificate.figures import double_above, double_below, rounded_down, rounded_up
from amtl_cvx.certificate.levels import DEGENERATE, INTERRUPTED, NEEDS, UNDECIDED
from amtl_cvx.errors import LimitReached, NotCertifiable
from amtl_cvx.footprint import check_certificate
from amtl_cvx.limits import SECONDS as LIMIT
from amtl_cvx.limits import check_limit, check_time, limited, seconds_left
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.tasks import Array, TaskSet

if TYPE_CHECKING:
    from amtl_cvx.digits import ProvenPoint
    from amtl_cvx.enclosure import Enclosure
    from amtl_cvx.enclosure.scip import Claim

WIDTH = 1e-3
"""Largest relative width of an enclosure that makes level C5."""
EXCESS = 1e-3
"""Most, of J, that a point of level C5 may lie above a point known to be lower, whatever the tolerance."""
SECONDS = 60.0
"""How long SCIP is asked where there is no exact bound."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """How far up, and what was found on the way; None for a rung that was not come to.

    Attributes
    ----------
    certificate : Certificate
        With the level reached and the figures and reasons of every rung tried.
    curvature : SecondOrder or None
        Of C3.
    proven : ProvenPoint or None
        Of C4: W, B and J as decimals.
    bounds : Enclosure, Claim or None
        Of C5.
    interrupted : bool
        Whether Ctrl-C ended the climb; the certificate says at which rung.
    """

    certificate: Certificate
    curvature: SecondOrder | None = None
    proven: ProvenPoint | None = None
    bounds: Enclosure | Claim | None = None
    interrupted: bool = False


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    *,
    tol: float = 1e-8,
    kind: str = "joint",
    multipliers: Sequence[Array] | None = None,
    level: str = "C2",
    limit: float = LIMIT,
) -> Certificate:
    """Judge a point (W, B) from any source, up to a level of the ladder, from the data alone.

    Parameters
    ----------
    tasks, model
        The problem.
    W, B : (d, T), (T, T) array_like
        The point. B is judged as it is: a negative entry or a diagonal makes it infeasible.
    tol : float
        Limit for the relative residual, and for the gaps relative to J.
    kind : {"joint", "single-task"}
        The problem the point claims to solve (the curriculum is judged by `certify_curriculum`); levels above
        C2 are about "joint".
    multipliers : sequence of T arrays (n_t,), optional
        Dual points of the rows for gap_W, from any source, clipped into the domain of phi*. They bound the
        gap, so they cannot make a bad W look good. Found from W where not given.
    level : {"C0", ..., "C5"}
        How far to go. C3 factorises one Hessian, C4 takes up to seconds, C5 up to minutes.
    limit : float
        Seconds for the levels above C2; what is not decided by then says so in `reasons`.

    Returns
    -------
    Certificate
        Also of a point that fails: its `level`, its figures, and `reasons`.

    Raises
    ------
    DataError
        For a wrong shape, a NaN or an infinity, or a W whose losses overflow or whose squares underflow.
    ModelError
        For an unknown level, kind, or a tolerance or limit that is none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    >>> certify(tasks, model, np.eye(2) / 2, np.zeros((2, 2)), level="C3").level
    'C3'
    >>> certify(tasks, model, np.eye(2), np.zeros((2, 2))).passes
    False
    """
    check_level(level)
    check_limit(limit)
    point = Problem(tasks, model).at(W, B)
    check_certificate(point.tasks, point.model)
    certificate = certify_first_order(point, tol=tol, kind=kind, multipliers=multipliers)
    climbed = climb_from(certificate, point, level=level, limit=limit)
    if climbed.interrupted:
        raise KeyboardInterrupt
    return climbed.certificate


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def climb(
    certificate: Certificate,
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    *,
    level: str = "C5",
    width: float = WIDTH,
    digits: int = 40,
    limit: float = LIMIT,
    proof: dict[str, Any] | None = None,
    observe: Callable[[str], None] | None = None,
) -> Climb:
    """Go up from a first-order certificate of (W, B) until `level`, as far as the rungs bear.

    Ctrl-C ends the climb and keeps the rungs below the one that was tried.

    Parameters
    ----------
    certificate : Certificate
        Of this point, from `certificate.certify`.
    tasks, model, W, B
        The problem and the point.
    level : {"C0", ..., "C5"}
        Where to stop; nothing is done for C0 to C2.
    width : float
        Largest relative width of an enclosure that makes level C5.
    digits : int
        Digits of W, B and J that C4 proves.
    limit : float
        Seconds for all levels together; a little more where a single factorisation takes longer.
    proof : dict, optional
        A stored proof of the bound of C5 (`enclosure.read_proof`), checked in place of a search.
    observe : callable(str), optional
        Told what begins.

    Raises
    ------
    ModelError
        For an unknown level or a limit that is none.
    DataError
        For a proof that does not hold, or is about another problem.
    """
    return climb_from(
        certificate,
        Problem(tasks, model).at(W, B),
        level=level,
        width=width,
        digits=digits,
        limit=limit,
        proof=proof,
        observe=observe,
    )


def climb_from(
    certificate: Certificate,
    point: Point,
    *,
    level: str,
    width: float = WIDTH,
    digits: int = 40,
    limit: float = LIMIT,
    proof: dict[str, Any] | None = None,
    observe: Callable[[str], None] | None = None,
) -> Climb:
    """The same of a `Point`."""
    check_level(level)
    check_limit(limit)
    wanted = [code for code in LEVELS if "C2" < code <= level]
    climbed, end = Climb(certificate=certificate), time.monotonic() + limit
    for code in wanted:
        if certificate.kind != "joint":
            climbed = _refused(climbed, code, _OTHER_PROBLEM)
        elif not (climbed.certificate.has(below := NEEDS[code]) or _left_to_balls(climbed, code)):
            climbed = _missed(climbed, code, f"needs {below}")
        else:
            if observe is not None:
                observe(_PHASES[code])
            try:
                with limited(end - time.monotonic()):
                    check_time("the levels below were climbed")
                    tried = _STEPS[code](
                        climbed, point, width=width, digits=digits, proof=proof, observe=observe
                    )
                stands = tried.certificate.has(below)
                climbed = tried if stands else _missed(climbed, code, f"needs {below}")
            except LimitReached as stop:
                climbed = _undecided(climbed, code, f"{stop}, {limit:g} s in all; {_LONGER}")
            except KeyboardInterrupt:
                return replace(_missed(climbed, code, INTERRUPTED), interrupted=True)
    return climbed


def _left_to_balls(climbed: Climb, code: str) -> bool:
    """Whether C4 may decide what C3 could not: there is curvature, and the true point may be too far off."""
    found = climbed.curvature
    return code == "C4" and found is not None and found.verdict == DEGENERATE and found.definite


def _strict_local(climbed: Climb, point: Point, **_: Any) -> Climb:
    """C3."""
    try:
        found = second_order(point)
    except NotCertifiable as refusal:
        return _refused(climbed, "C3", str(refusal))
    climbed = replace(climbed, curvature=found)
    if found.verdict != "strict local minimum":
        climbed = _missed(climbed, "C3", f"{found.verdict}: {found.reason}")
    figures = {
        "reduced_hessian_min": (found.reduced_hessian_min, "every move leaves the kink of some row"),
        "min_multiplier": (found.min_multiplier, "every entry of B is positive"),
        "min_positive_B": (found.min_positive_B, "no entry of B is positive"),
    }
    known = {name: value for name, (value, _) in figures.items() if math.isfinite(value)}
    empty = {name: why for name, (value, why) in figures.items() if not math.isfinite(value)}
    return _with(
        climbed,
        "C3" if found.verdict == "strict local minimum" else None,
        reasons=empty,
        held_rows=found.held,
        **known,
    )


def _digits_proven(climbed: Climb, point: Point, *, digits: int, **_: Any) -> Climb:
    """C4."""
    tasks = point.tasks
    from amtl_cvx.digits import prove

    if any(task.compressed for task in tasks):
        return _refused(climbed, "C4", _FACTORS)
    try:
        found = prove(tasks, point.model, point.W, point.B, digits=digits)
    except LimitReached:
        raise
    except NotCertifiable as refusal:
        return _refused(climbed, "C4", str(refusal))
    climbed = replace(climbed, proven=found)
    if not found.strict_local_min:
        return _missed(climbed, "C4", "the first-order point that was enclosed is not a strict local minimum")
    if not found.room > 0.0:
        return _missed(
            climbed,
            "C4",
            f"the proven first-order point is up to {rounded_up(found.distance)} away from the stored one,"
            " and nothing excludes another in between: refine the point",
        )
    if not climbed.certificate.has("C3"):
        climbed = _decided_by(climbed, found)
    return _with(
        climbed,
        "C4",
        proven_radius=found.radius,
        proven_distance=found.distance,
        proven_isolation=found.room,
    )


def _decided_by(climbed: Climb, found: ProvenPoint) -> Climb:
    """C3 without what floating point could not tell, and with the margins that are proved."""
    certificate = climbed.certificate
    margins = {name: getattr(found, name) for name in ("min_multiplier", "min_positive_B")}
    changed = replace(
        certificate,
        reasons={code: reason for code, reason in certificate.reasons.items() if code != "C3"},
        **{name: value for name, value in margins.items() if math.isfinite(value)},
    )
    return replace(climbed, certificate=changed)


def _global_verified(
    climbed: Climb,
    point: Point,
    *,
    width: float,
    proof: dict[str, Any] | None,
    observe: Callable[[str], None] | None,
    **_: Any,
) -> Climb:
    """C5."""
    tasks = point.tasks
    from amtl_cvx.enclosure import enclose, stored_enclosure

    if any(task.compressed for task in tasks):
        return _refused(climbed, "C5", _FACTORS)

    def cut(words: str) -> None:
        if observe is not None:
            observe(f"{_PHASES['C5']}: {words}")

    try:
        if proof is None:
            found = enclose(tasks, point.model, point.W, point.B, observe=cut)
        else:
            found = stored_enclosure(proof, point)
    except LimitReached:
        raise
    except NotCertifiable as refusal:
        return _claimed(climbed, point, refusal=str(refusal))
    climbed = _bounded(replace(climbed, bounds=found), found)
    lower = Fraction(climbed.certificate.global_lower or 0.0)
    climbed = _with(climbed, None, global_excess=double_above(found.at - lower))
    if beaten := _lower_point(climbed, found.at):
        return _missed(climbed, "C5", beaten)
    if not found.width <= width:
        stopped = f"; what ended the search: {found.stopped}" if found.stopped else ""
        return _undecided(
            climbed,
            "C5",
            f"not proven global, the minimum lies in {_interval(climbed)}, of relative width"
            f" {rounded_up(found.width)}, more than {width:g}{stopped}",
        )
    return _with(climbed, "C5")


def _claimed(climbed: Climb, point: Point, *, refusal: str) -> Climb:
    """What SCIP says where there is no exact bound: reported, never a level."""
    from amtl_cvx.enclosure.scip import claim

    try:
        check_time("SCIP was to be asked")
        found = claim(point, seconds=min(SECONDS, seconds_left()))
    except LimitReached as stop:
        return _refused(climbed, "C5", f"{refusal}; {stop}; {_LONGER}")
    except NotCertifiable as second:
        return _refused(climbed, "C5", f"{refusal}; SCIP is no help: {second}")
    climbed = _bounded(replace(climbed, bounds=found), found)
    if beaten := _lower_point(climbed, Fraction(climbed.certificate.objective)):
        return _missed(climbed, "C5", beaten)
    words = f"a solver claims, and nothing proves, that the minimum lies in {_interval(climbed)}"
    return _refused(climbed, "C5", f"{refusal}; {words}")


def _lower_point(climbed: Climb, at: Fraction) -> str:
    """That a point is known whose J lies below J of this one, `at`, by too much; "" otherwise."""
    certificate = climbed.certificate
    assert certificate.global_upper is not None
    above = at - Fraction(certificate.global_upper)
    if above <= Fraction(min(certificate.tol, EXCESS)) * abs(at):
        return ""
    share = rounded_down(double_below(above / at))
    return (
        f"a lower point exists: J is at most {certificate.global_upper!r} there, and this one lies at least"
        f" {share} of its J above that"
    )


def _interval(climbed: Climb) -> str:
    return f"[{climbed.certificate.global_lower!r}, {climbed.certificate.global_upper!r}]"


def _bounded(climbed: Climb, found: Enclosure | Claim) -> Climb:
    """The certificate with the bounds, rounded outward; J >= 0 whatever the lower one is worth."""
    return _with(
        climbed,
        None,
        global_lower=max(double_below(Fraction(found.lower)), 0.0),
        global_upper=double_above(Fraction(found.upper)),
        global_width=found.width,
        global_method=found.method,
    )


def _with(
    climbed: Climb, level: str | None, *, reasons: dict[str, str] | None = None, **figures: Any
) -> Climb:
    certificate = climbed.certificate
    changed = replace(
        certificate,
        level=level or certificate.level,
        reasons={**certificate.reasons, **(reasons or {})},
        **figures,
    )
    return replace(climbed, certificate=changed)


def _missed(climbed: Climb, code: str, reason: str) -> Climb:
    """The rung was tried and this point does not reach it."""
    return _with(climbed, None, reasons={code: reason})


def _undecided(climbed: Climb, code: str, reason: str) -> Climb:
    """The work on the rung ended without an answer."""
    return _missed(climbed, code, f"{UNDECIDED}: {reason}")


def _refused(climbed: Climb, code: str, reason: str) -> Climb:
    """The rung cannot be had."""
    return _with(climbed, None, reasons={code: reason}, refused=(*climbed.certificate.refused, code))


_OTHER_PROBLEM = "the levels from C3 on are about J, and this point solves another problem"
_FACTORS = (
    "the rows were streamed and their factors are rounded: read the data from a .npz or .csv file, which"
    " keeps the rows"
)
_LONGER = "--limit SECONDS (limit= in Python) allows more"
_PHASES = {
    "C3": "judging the curvature",
    "C4": "proving digits in ball arithmetic",
    "C5": "bounding the global minimum",
}
_STEPS: dict[str, Callable[..., Climb]] = {
    "C3": _strict_local,
    "C4": _digits_proven,
    "C5": _global_verified,
}
