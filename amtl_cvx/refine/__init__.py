r"""Refinement: from an iterate of the alternation to a first-order point, to the last digits.

Plain alternation converges linearly and, where I - B becomes nearly singular, hardly at all. Refinement is
monotone in J and works on both blocks together:

* `newton`, variable projection with a bound-constrained Newton method. W is eliminated, f(B) = min_W J(W, B),
  so that iterates follow the curved valley in which the joint problem lies; the gradient of f is G_B at
  W*(B), its Hessian the Schur complement of the joint one. Each step minimises the quadratic model over
  B + step >= 0 exactly (`boxqp`), on the entries that are positive or want to enter, with the model
  shifted by its own negative curvature plus a trust term. Entries enter and leave by the dozen; with
  strict complementarity it ends as Newton's method on the right support: quadratic. Until then each step
  is followed by an exact round of the alternation, which halves the number of steps.
  A loss with kinks moves W in the directions that its rows on kinks leave free (`subproblems.kinks`).
  Where I - B stays nearly singular and J falls slowly, W moves and B follows (`valley`).
* `outside` and `recession` end it where predictors keep growing and J is lower the longer they are; a trial,
  which nobody judges, `margins` too.
* `quasi`, L-BFGS-B on (W, B >= 0), where the factor of the W-step would not fit (T d above `DENSE_LIMIT`);
  linear, honest. Smooth losses only.

Measured at T = 20, d = 10, coupling 10, mu 1e-3: the joint projected Newton
method with a Levenberg-Marquardt shift stood at a residual of 1e-3 after 300 steps, L-BFGS-B on f at 1e-4
after 2000; this method needs 15 to 20 steps to 1e-13. The shift may be anything from 1.003 to 2 times the
negative curvature; one that has to cover the entries at their bound too crawls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from amtl_cvx.certificate import certify, residuals, resolution
from amtl_cvx.certificate.w_step import DENSE_LIMIT
from amtl_cvx.problem import Model, Point
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.refine.local import FALL, WORKING_LIMIT, Derivatives, Trust, derivatives, exact_round
from amtl_cvx.refine.margins import outgrown
from amtl_cvx.refine.newton import newton_steps
from amtl_cvx.refine.outside import Growth
from amtl_cvx.refine.quasi import Units, quasi_newton_steps
from amtl_cvx.refine.variables import engine_of
from amtl_cvx.subproblems.numpy_steps import minimised

__all__ = [
    "DENSE_LIMIT",
    "FALL",
    "WORKING_LIMIT",
    "Carried",
    "Derivatives",
    "Growth",
    "can_refine",
    "derivatives",
    "direct_step",
    "engine_of",
    "kept_apart",
    "outgrown",
    "plain_rounds",
    "refine",
    "shortened",
]

Observer = Callable[[Point, str], None]
_ROUNDING = 1e-13  # relative residual of every entry below which there is little to gain
_SHARES = (100.0, 10.0, 3.0, 0.8, 0.3, 0.1)
# steps with a residual within the tolerance and gaps beyond it, or from look to look for a run-off
_IDLE = 20


@dataclass(kw_only=True)
class Carried:
    """What refinement carries from one step to the next, beside the point; it goes on from there.

    Attributes
    ----------
    steps, idle : int
        Steps so far, and those that gained little within the tolerance.
    turn, rounds : int
        How often it began anew, and the rounds of the alternation since it stopped (`coordinator`).
    relative, objective : float or None
        The residual and J before the last step.
    trust : Trust
        Of Newton's method.
    units : Units or None
        Of L-BFGS-B.
    growth : Growth
        Of W outside the tasks' own rows.
    """

    steps: int = 0
    idle: int = 0
    turn: int = 0
    rounds: int = 0
    relative: float | None = None
    objective: float | None = None
    trust: Trust = field(default_factory=Trust)
    units: Units | None = None
    growth: Growth = field(default_factory=Growth)

    def begin_anew(self) -> None:
        """Go on from another point: nothing is known of it, only the steps so far still count."""
        self.turn, self.rounds = self.turn + 1, 0
        self.idle, self.relative, self.objective = 0, None, None
        self.trust, self.units, self.growth = Trust(), None, Growth()

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the numbers survive the round trip exactly."""
        return {**vars(self), "trust": dict(vars(self.trust)), "growth": dict(vars(self.growth))}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Carried:
        """From what `to_dict` gave."""
        units = stored["units"]
        parts = {
            "trust": Trust(**stored["trust"]),
            "units": None if units is None else Units(*units),
            "growth": Growth(**stored.get("growth", {})),
        }
        return cls(**{**stored, **parts})


def refine(
    start: Point,
    *,
    tol: float,
    max_steps: int = 300,
    observe: Observer | None = None,
    carried: Carried | None = None,
    trial: bool = False,
) -> Point:
    """Lower J from `start` until the certificate passes at `tol` or nothing improves.

    While the residual still falls tenfold a step it goes on, down to rounding: the last digits cost little.

    Parameters
    ----------
    start : Point
        A feasible one; compressed tasks (`Model.compress`) give the same answer sooner.
    tol : float
        The certificate's tolerance; the target is a hundredth of it.
    max_steps : int
        Limit for the number of accepted steps.
    observe : callable(Point, method), optional
        Called after every accepted step. `KeyboardInterrupt` raised inside passes through.
    carried : Carried, optional
        Kept up to date for `observe`. As it was there, with the point as `start`, it makes refinement go on
        after that step.
    trial : bool
        Whether nobody judges the end: then a residual within the tolerance is one, and so is J that has
        next to nothing left to fall (`margins`).

    Returns
    -------
    Point
        A feasible one with J not above that of `start` (up to rounding).
    """
    engine, small = engine_of(start.model, start.tasks.T), start.W.size <= DENSE_LIMIT
    if engine is None or not (small or (start.model.smooth_in_W and engine == "entries")):
        return start
    point, carried = start, Carried() if carried is None else carried
    enough = partial(_enough, tol=tol, max_steps=max_steps, trial=trial)
    if (trial and outgrown(start)) or (carried.steps and enough(start, carried)):
        return start
    name = "newton" if small else "l-bfgs-b"
    for found in _steps(start, carried, small=small):
        known = carried.relative
        if (
            known is not None
            and known <= tol
            and known < residuals(found).relative
            and not _lowers(carried.objective, found, tol=tol)
            and certify(point, tol=tol).settled
        ):
            break  # what follows is rounding
        point = found
        carried.steps += 1
        if small and known is not None and residuals(point).relative > max(0.1 * known, tol):
            carried.growth.see(point, tol=tol)
        if observe is not None:
            observe(point, name)
        if enough(point, carried):
            break
    return point


def _steps(start: Point, carried: Carried, *, small: bool) -> Iterator[Point]:
    if small:
        return newton_steps(start, trust=carried.trust, begun=carried.steps > 0)
    carried.units = carried.units or Units.at(start)
    return quasi_newton_steps(start, units=carried.units)


def _enough(point: Point, carried: Carried, *, tol: float, max_steps: int, trial: bool) -> bool:
    """Whether the last step was the last one needed."""
    previous, relative = carried.relative, residuals(point).relative
    carried.relative = relative
    if carried.growth.endless or carried.steps >= max_steps or relative <= min(_ROUNDING, tol):
        return True
    if trial and outgrown(point):
        return True
    before, carried.objective = carried.objective, point.objective
    if previous is None or relative <= 0.1 * previous:
        return False
    if trial:
        return relative <= tol
    if relative <= tol:
        if _lowers(before, point, tol=tol):
            return False
        carried.idle += 1
        if carried.idle > _IDLE:
            return True
    elif carried.steps % _IDLE:
        return False
    found = certify(point, tol=tol)
    return found.settled or found.runs_off


def _lowers(before: float | None, point: Point, *, tol: float) -> bool:
    """Whether J fell from `before` by more than what a certificate would grant."""
    value = point.objective
    return before is not None and before - value > max(tol * abs(value), resolution(point.problem))


def plain_rounds(start: Point, *, most: int) -> Iterator[Point]:
    """At most `most` exact rounds of the alternation (B-step, W-step), as long as J falls beyond rounding."""
    point = start
    for _ in range(most):
        previous, point = point, exact_round(point)
        if not point.objective < previous.objective - FALL * abs(previous.objective):
            return
        yield point


def kept_apart(start: Point, *, tol: float) -> Point | None:
    """A point that passes with B a little shorter, None if there is none.

    Where tasks without loss rebuild each other exactly, I - B is singular to the last digit. J is as low, but
    nothing can be proved of W: the bounds divide by the smallest singular value. (1 - tol/k) B costs J
    a multiple of coupling (tol/k)^2 ||W B||^2, less than rounding where W is not large, moves G_B by tol/k of
    its terms, and leaves that value of about tol/k.
    """
    for point in shortened(start, tol=tol):
        low = point.objective <= start.objective + FALL * abs(start.objective)
        if low and certify(point, tol=tol).passes:
            return point
    return None


def shortened(start: Point, *, tol: float) -> Iterator[Point]:
    """B times 1 - k tol, k = 100 and less, each with the best W: the one before leads to it."""
    W = start.W
    for share in (each * tol for each in _SHARES if each * tol < 0.5):
        found = minimised(start.at(W=W, B=(1.0 - share) * start.B))
        W = found.W
        yield found


def can_refine(model: Model, T: int) -> bool:
    """Whether the penalty has one of the forms that refinement needs."""
    return (model.omega is None or model.omega.has_prox) and engine_of(model, T) is not None
