r"""Which entry keeps a point from passing, and whether rounding does it.

An entry can be small in the units of all others and yet off by much of its own terms. In units of sqrt(J),
G_i / sqrt(D_i) with D the curvature of the entry alone, solvers leave about eps of the largest terms of a
task; an entry that is off by no more than `_LEFT` of these, and still by more than the tolerance of its own,
has lost its digits to rounding, not to a wrong place.

An entry of W is nothing but rounding where the bound of `slope` on what rounding can do to it, the moves of
the scores among it, is no less than what it is off by: a row whose score is within eps of its kink has a
slope that no double of W decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.certificate.misses import Misses
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.certificate.w_step import weight_problem
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_LEFT = 1e-11  # of the largest terms, in units of sqrt(J): what solvers leave at least
_CURE = "bring the features and targets of all tasks to similar units (--standardize)"
_BESIDE = f"; beside the terms of others that is rounding: {_CURE}"


def worst_entries(
    point: Point,
    *,
    tol: float,
    multipliers: Sequence[Array] | None = None,
) -> dict[str, str]:
    """The worst entry of W and of B in words, by the names of their residuals, where it is beyond `tol`."""
    tasks, model = point.tasks, point.model
    found = {}
    about_W, about_B, kinks = misses(point, multipliers=multipliers)
    scale = point.problem.loss_scales
    coupled = 2.0 * point.square_weight * (point.K**2).sum(axis=1)
    curved = 2.0 * np.abs(point.loss_weight) * scale * tasks.lengths**2 + coupled
    if (worst := about_W.relative()) > tol:
        i, t = _place(about_W)
        feature = f"feature {i}" if tasks.feature_names is None else repr(tasks.feature_names[i])
        what, why = f"w of {tasks.names[t]!r} for {feature}", ""
        if about_W.miss[i, t] <= _rounding(point, multipliers)[i, t]:
            why = f"; rounding of its rows' scores alone can do that: {_CURE}"
        elif _lost(about_W, np.sqrt(np.where(curved > 0.0, curved, 1.0)), (i, t)):
            why = _BESIDE
        found["relative_W"] = _words(what, worst, why)
    if model.prox_omega is not None and not model.prox_omega.has_prox:
        found["relative_W"] = _no_prox(model.prox_omega)
    if kinks is not None and (part := kinks.relative()) > max(tol, worst):
        t = int(np.argmax(kinks.parts()))
        found["relative_W"] = f"the multipliers of {tasks.names[t]!r} are off by {part:.1g} of its loss"
    if not model.transfer.has_prox:
        found["relative_B"] = _no_prox(model.transfer)
    elif (worst := about_B.relative()) > tol:
        s, t = _place(about_B)
        h = np.sqrt(2.0 * model.coupling) * np.linalg.norm(point.W, axis=0)[:, None]
        what = f"B[{s}, {t}] ({tasks.names[s]!r} helps {tasks.names[t]!r})"
        lost = _lost(about_B, np.where(h > 0.0, h, 1.0), (s, t))
        found["relative_B"] = _words(what, worst, _BESIDE if lost else "")
    return found


def _no_prox(penalty: object) -> str:
    return (
        f"{penalty!r} has no prox, so that its first-order conditions are not known and C1 is the most:"
        " give it one (guide, Extend)"
    )


def _place(about: Misses) -> tuple[int, int]:
    i, t = np.unravel_index(int(np.argmax(about.parts())), about.miss.shape)
    return int(i), int(t)


def _lost(about: Misses, root: Array, place: tuple[int, int]) -> bool:
    """Whether the entry is off by rounding of the largest terms of its column."""
    left, terms = about.miss / root, (about.size if about.terms is None else about.terms) / root
    return bool(left[place] <= _LEFT * terms[:, place[1]].max())


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is no rounding
def _rounding(point: Point, multipliers: Sequence[Array] | None) -> Array:
    """What rounding can do to every entry of G_W, (d, T); 0 in coordinates, which have other entries."""
    tasks = point.tasks
    if tasks.basis is not None:
        return np.zeros((len(tasks.lengths), tasks.T))
    problem = weight_problem(point, multipliers)
    return problem.slope(None if point.model.loss.smooth else problem.multipliers, True).entries()


def _words(what: str, part: float, why: str) -> str:
    return f"{what} is off by {part:.1g} of the terms of its own condition{why}"
