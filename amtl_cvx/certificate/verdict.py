"""The verdict: what is known about a point, compared with a tolerance, in figures and in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.certificate import words
from amtl_cvx.certificate.known import Known
from amtl_cvx.certificate.residuals import Residuals
from amtl_cvx.certificate.rules import RULES
from amtl_cvx.errors import ModelError
from amtl_cvx.notebook import paragraph
from amtl_cvx.problem import Problem
from amtl_cvx.problem.coupling import difference
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)
_KINKED, _SMOOTH = 16.0, 2.0**16  # what the scores are known to, in eps of the targets


@dataclass(frozen=True, kw_only=True, repr=False)
class Certificate(Known):
    """What is known about a point (W, B): figures, a verdict, a level; certificate.json is its `to_dict`.

    Attributes
    ----------
    kind : str
        The problem the point is judged against: "joint" (J), "single-task" (the W-step at B = 0),
        "curriculum" (every convex step of Algorithm 2).
    objective : float
        J(W, B).
    stationarity_W, stationarity_B : float
        Largest residual, in the units of the gradient.
    relative_W, relative_B, relative : float
        Scale-free residuals; `relative` is the one that is judged.
    joint_relative : float
        The residual of J as a whole; equals `relative` for kind "joint", only reported for the others.
    feasibility : float
        max(0, -min B, max |diag B|); must be exactly 0.
    gap_W, gap_B : float or None
        Duality gaps in units of J; None where not available, with the reason in `reasons`.
    gap_W_exact : bool
        True when gap_W is the exact sub-optimality, False when it is an upper bound.
    gain_W : float or None
        What a move of W alone can gain at most: the least bound that is proved, with room for rounding;
        judged. Infinite where nothing is proved, None where nothing was tried.
    gain_W_by : str
        Which bound it is: "decrement" (`gains`), "gap" (gap_W with its rounding), "value" (J itself, where
        that is rounding) or "none".
    limit : float or None
        What gain_W and gap_B together are held against: tol J, not below the rounding of J (`resolution`).
    sigma_min : float
        Smallest singular value of I - B; near 0 it inflates an upper bound gap_W.
    tol : float
        What the residual and the gaps (relative to J) are held against.
    passes : bool
    level : str or None
        "C0" to "C5" (from C3 on: `ladder.climb`); None for an infeasible point.
    edges, zeros : int
        Number of entries of B other than 0 and of those that are 0, off its diagonal.
    zeros_proven : int or None
        How many of the zeros are 0 in every minimiser of J(W, .).
    error_W, error_B : float or None
        Bounds on ||W - W*||_F and ||B - B*||_F, W* the minimiser of J(., B) and B* that of J(W, .).
    condition_W, condition_B : float or None
        Condition numbers: of the Hessian of the W-step (1-norm), and the largest of A_P'A_P over the columns
        of B, A_P the predictors on the support of a column.
    reduced_hessian_min, min_multiplier, min_positive_B : float or None
        Level C3: the smallest eigenvalue of the reduced Hessian, the smallest multiplier of an entry B_st = 0
        and the smallest positive entry of B (`second_order`).
    held_rows : int or None
        Level C3: how many rows stand on the kink of their loss (hinge, quantile) and are held there; the
        eigenvalue is that of the moves along them.
    proven_radius, proven_distance, proven_isolation : float or None
        Level C4, all in the largest entry: a true first-order point is known to within the radius, the stored
        W and B are at most the distance away from it, and within the isolation there is no other.
    global_lower, global_upper, global_width : float or None
        Level C5: bounds of the global minimum, rounded outward, and their distance relative to it.
    global_excess : float or None
        Level C5: J at this point, exact, less global_lower, rounded up: it is above the minimum by no more.
    global_method : str or None
        "exact", or "solver-claimed", which is no proof and never makes level C5.
    refused : tuple of str
        Levels that cannot be had at this point or on this machine; a level that was tried in vain is not
        among them. `reasons` has the reason of both under the level's code.
    reasons : mapping
        Why a figure is None, or a level was not reached, by its name.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    >>> found = certify(tasks, model, np.eye(2) / 2, np.zeros((2, 2)))
    >>> found.level, found.passes, found.edges, found.zeros_proven
    ('C2', True, 0, 2)
    >>> certify(tasks, model, np.eye(2), np.zeros((2, 2))).reasons["relative_W"]
    "w of 'task 0' for feature 0 is off by 1 of the terms of its own condition"
    """

    def __repr__(self) -> str:
        return f"Certificate({self.verdict()})"

    def _repr_html_(self) -> str:
        return paragraph([self.verdict(), *self.sentences()])

    @property
    def runs_off(self) -> bool:
        """Whether no block alone gains more than the limit and J yet falls along growing predictors."""
        return self.level == "C1" and "minimum" in self.reasons

    @property
    def settled(self) -> bool:
        """Whether the point passes and a move of both blocks does not lower J either: a fit is done."""
        return self.passes and "valley" not in self.reasons

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: numbers that are not finite become null; and the version of the `rules`, every rung."""
        result = {"rules": RULES, **dataclasses.asdict(self)}
        result["reasons"] = dict(self.reasons)
        result["refused"] = list(self.refused)
        result["rungs"] = {
            rung.code: {"state": rung.state, "reason": rung.words} for rung in words.rungs(self)
        }
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in result.items()
        }

    def verdict(self) -> str:
        """One line: level, word and the figures that decide."""
        return words.verdict(self)

    def limit_words(self) -> str:
        """What the limit of the gains is."""
        return words.limit_words(self)

    def sentences(self) -> list[str]:
        """The certificate in plain words, up to C2; `rungs` goes on from there."""
        return words.sentences(self)


def resolution(problem: Problem) -> float:
    """Below what J is rounding, from J(0, 0): the scores are known to some K eps of the targets.

    K eps J(0, 0) with K = 16 for a loss with kinks, which is linear beside them, (K eps)^2 J(0, 0) with
    K = 2^16 for a smooth one, whose least values are squares.
    """
    at_zero = float((problem.task_weight * problem.losses_at_zero).sum())
    return at_zero * ((_SMOOTH * _EPS) ** 2 if problem.model.loss.smooth else _KINKED * _EPS)


class Bounds(NamedTuple):
    """First-order evidence beside the gaps, named as in `Certificate`; None has its reason in `reasons`."""

    sigma_min: float
    error_W: float | None
    error_B: float | None
    zeros_proven: int | None
    condition_W: float | None
    condition_B: float | None


def conclude(
    *,
    kind: str,
    objective: float,
    found: Residuals,
    relative: float,
    joint_relative: float,
    feasibility: float,
    gaps: tuple[float | None, float | None],
    gap_W_exact: bool,
    gain_W: float | None,
    gain_W_by: str = "none",
    resolution: float = 0.0,
    B: Array,
    tol: float,
    reasons: Mapping[str, str],
    bounds: Bounds | None = None,
) -> Certificate:
    """The verdict and the level: the one place where figures are compared with the tolerance.

    Without `bounds` (a curriculum) the steps have their gaps and nothing else is known about W and B. J >= 0,
    so no move gains more than J: where J is within the limit, so is what W and B can gain.
    """
    limit = max(tol * abs(objective), resolution)
    gap_W, gap_B = gaps
    feasible = feasibility <= 0.0
    if zero := objective <= resolution:
        gain_W, gain_W_by = objective, "value"
    judged = [math.inf if gain_W is None else gain_W, *([] if gap_B is None else [gap_B])]
    small = zero or (math.isfinite(sum(judged)) and sum(judged) <= limit)
    partial = small and (gap_B is not None or kind == "single-task" or zero)
    passes = feasible and relative <= tol and small and partial and "minimum" not in reasons
    level = None if not feasible else "C2" if passes else "C1" if partial else "C0"
    if bounds is None:
        sigma_min = float(np.linalg.svd(difference(B), compute_uv=False)[-1])
        bounds = Bounds(sigma_min, *[None] * 5)
        reasons = dict.fromkeys(Bounds._fields[1:], "only the gaps of the steps are computed") | dict(reasons)
    edges = int(np.count_nonzero(B) - np.count_nonzero(np.diag(B)))
    return Certificate(
        kind=kind,
        objective=objective,
        **found._asdict(),
        relative=relative,
        joint_relative=joint_relative,
        feasibility=feasibility,
        gap_W=gap_W,
        gap_B=gap_B,
        gap_W_exact=gap_W_exact,
        gain_W=gain_W,
        gain_W_by=gain_W_by,
        limit=limit,
        **bounds._asdict(),
        tol=tol,
        passes=bool(passes),
        level=level,
        edges=edges,
        zeros=B.size - len(B) - edges,
        reasons=dict(reasons),
    )


def check_tolerance(tol: object) -> None:
    """Raise `ModelError` unless 0 < tol < 1."""
    if not is_number(tol) or not 0.0 < float(tol) < 1.0:
        raise ModelError(f"tol must lie between 0 and 1, got {tol!r}")
