"""What is known about a point: the figures of a certificate and the reasons of those it has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Known:
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
        Number of positive entries of B, and of the others off its diagonal.
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

    kind: str
    objective: float
    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float
    relative: float
    joint_relative: float
    feasibility: float
    gap_W: float | None
    gap_B: float | None
    gap_W_exact: bool
    gain_W: float | None
    sigma_min: float
    tol: float
    passes: bool
    level: str | None
    edges: int
    gain_W_by: str = "none"
    limit: float | None = None
    zeros: int = 0
    zeros_proven: int | None = None
    error_W: float | None = None
    error_B: float | None = None
    condition_W: float | None = None
    condition_B: float | None = None
    reduced_hessian_min: float | None = None
    min_multiplier: float | None = None
    min_positive_B: float | None = None
    held_rows: int | None = None
    proven_radius: float | None = None
    proven_distance: float | None = None
    proven_isolation: float | None = None
    global_lower: float | None = None
    global_upper: float | None = None
    global_width: float | None = None
    global_excess: float | None = None
    global_method: str | None = None
    refused: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def has(self, level: str) -> bool:
        """Whether the point has a level; C5 does without C3 and C4, which then have a reason of their own."""
        return self.level is not None and self.level >= level and (level <= "C2" or level not in self.reasons)
