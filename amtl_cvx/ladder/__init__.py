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
         "solver-claimed" and never make the level. Predictors by themselves (kind "single-task") are a
         convex problem: what W can gain bounds J over all of them, in floating point, method
         "convex-duality" (`certificate.alone`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from amtl_cvx.certificate import Certificate, check_level
from amtl_cvx.certificate import certify as certify_first_order
from amtl_cvx.certificate.alone import with_bound
from amtl_cvx.certificate.levels import DEGENERATE, EXCESS, INTERRUPTED, NEEDS, is_stopped
from amtl_cvx.errors import LimitReached
from amtl_cvx.footprint import check_certificate
from amtl_cvx.ladder.climbed import Climb, missed, refused, undecided
from amtl_cvx.ladder.steps import LONGER, PHASES, digits_proven, global_verified, strict_local
from amtl_cvx.limits import SECONDS as LIMIT
from amtl_cvx.limits import check_limit, check_time, limited
from amtl_cvx.problem import Model, Point, Problem
from amtl_cvx.tasks import Array, TaskSet

__all__ = ["EXCESS", "LIMIT", "WIDTH", "Climb", "certify", "climb", "climb_from"]

WIDTH = 1e-3
"""Largest relative width of an enclosure that makes level C5."""
_OTHER_PROBLEM = "the levels from C3 on are about J, and this point solves another problem"
_STEPS: Mapping[str, Callable[..., Climb]] = {
    "C3": strict_local,
    "C4": digits_proven,
    "C5": global_verified,
}


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
        The problem the point claims to solve (the curriculum is judged by `certify_curriculum`); C3 and C4
        are about "joint", and "single-task" has C5 by duality.
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
    steps: Mapping[str, Callable[..., Climb]] = _STEPS,
) -> Climb:
    """The same of a `Point`, or of another family with its own steps, lowest first."""
    check_level(level)
    check_limit(limit)
    wanted = [code for code in steps if code <= level]
    climbed, end = Climb(certificate=certificate), time.monotonic() + limit
    for code in wanted:
        if certificate.kind == "single-task":
            climbed = replace(climbed, certificate=with_bound(climbed.certificate, point))
        elif certificate.kind != "joint" and not is_stopped(certificate.kind):
            climbed = refused(climbed, code, _OTHER_PROBLEM)
        elif not (climbed.certificate.has(below := NEEDS[code]) or _left_to_balls(climbed, code)):
            climbed = missed(climbed, code, f"needs {below}")
        else:
            if observe is not None:
                observe(PHASES[code])
            try:
                with limited(end - time.monotonic()):
                    check_time("the levels below were climbed")
                    tried = steps[code](
                        climbed, point, width=width, digits=digits, proof=proof, observe=observe
                    )
                stands = tried.certificate.has(below)
                climbed = tried if stands else missed(climbed, code, f"needs {below}")
            except LimitReached as stop:
                climbed = undecided(climbed, code, f"{stop}, {limit:g} s in all; {LONGER}")
            except KeyboardInterrupt:
                return replace(missed(climbed, code, INTERRUPTED), interrupted=True)
    return climbed


def _left_to_balls(climbed: Climb, code: str) -> bool:
    """Whether C4 may decide what C3 could not: there is curvature, and the true point may be too far off."""
    found = climbed.curvature
    return code == "C4" and found is not None and found.verdict == DEGENERATE and found.definite
