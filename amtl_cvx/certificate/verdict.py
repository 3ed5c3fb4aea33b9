"""The verdict: what is known about a point, compared with a tolerance, in figures and in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from amtl_cvx.certificate.residuals import Residuals
from amtl_cvx.errors import ModelError
from amtl_cvx.tasks import Array

LEVELS = {"C0": "evaluated", "C1": "eps-partial-optimum", "C2": "first-order-verified"}
"""Levels of a certificate, lowest first."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is known about a point; see the module essay and `certificate.json` in the README.

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
        What a move of W alone gains, exactly (squared loss) or to second order; judged. None if too large.
    sigma_min : float
        Smallest singular value of I - B; near 0 it inflates an upper bound gap_W.
    tol : float
        What the residual and the gaps (relative to J) are held against.
    passes : bool
    level : str or None
        "C0", "C1", "C2"; None for an infeasible point.
    edges : int
        Number of positive entries of B.
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
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: numbers that are not finite become null."""
        result = dataclasses.asdict(self)
        result["reasons"] = dict(self.reasons)
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in result.items()
        }

    def verdict(self) -> str:
        """One line: level, word and the figures that decide."""
        if self.level is None and self.kind == "single-task":
            return f"not a single-task point: B must be 0 there, its largest entry is {self.feasibility:.2g}"
        if self.level is None:
            return (
                f"not feasible: B is {self.feasibility:.2g} away from its feasible set (B >= 0, diag(B) = 0)"
            )
        word = f"{self.level} {LEVELS[self.level]}"
        figures = f"relative residual {self.relative:.1e}"
        for name, gap in (("gap_W", self.gap_W), ("gap_B", self.gap_B)):
            if gap is not None:
                figures += f", {name} {gap:.1e}"
        return f"{word}: {figures}, tolerance {self.tol:.0e} ({'passes' if self.passes else 'does not pass'})"

    def sentences(self) -> list[str]:
        """The certificate in plain words."""
        if self.level is None:
            return [self.verdict()]
        lines = [_KIND_WORDS[self.kind]]
        bound = "can gain exactly" if self.gap_W_exact else "can gain at most"
        if self.gap_W is not None:
            lines.append(
                f"A move of W alone {bound} {self.gap_W:.2g} in an objective of {self.objective:.6g}."
            )
        if self.gap_B is not None:
            lines.append(f"A move of B alone can gain at most {self.gap_B:.2g}.")
        compared = "at most" if self.relative <= self.tol else "more than"
        lines.append(
            f"The first-order residual is {self.relative:.2g} of the size of its terms,"
            f" {compared} the tolerance {self.tol:.0e}."
        )
        lines += [f"{name}: {reason}." for name, reason in self.reasons.items()]
        lines.append(
            "The graph is empty: no task helps another." if self.edges == 0 else f"{self.edges} edges."
        )
        return lines


_KIND_WORDS = {
    "joint": "The point is judged as a first-order point of the joint objective J;"
    " J is not convex, other such points can exist.",
    "single-task": "The point is judged as the minimum of the single-task problems (the W-step at B = 0),"
    " which is convex.",
    "curriculum": "Every step of the curriculum is judged as the convex problem it is;"
    " the result as a whole is not a first-order point of J.",
}


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
    B: Array,
    tol: float,
    reasons: Mapping[str, str],
) -> Certificate:
    """The verdict and the level: the one place where figures are compared with the tolerance."""
    limit = tol * abs(objective)
    gap_W, gap_B = gaps
    judged = [gain for gain in (gain_W, gap_B) if gain is not None]
    feasible = feasibility <= 0.0
    passes = feasible and relative <= tol and sum(judged) <= limit
    known = [gap for gap in gaps if gap is not None]
    small = gap_W is not None and (gap_B is not None or kind == "single-task") and sum(known) <= limit
    level = None if not feasible else "C2" if passes else "C1" if small else "C0"
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
        sigma_min=float(np.linalg.svd(np.eye(len(B)) - B, compute_uv=False)[-1]),
        tol=tol,
        passes=bool(passes),
        level=level,
        edges=int(np.count_nonzero(B > 0)),
        reasons=dict(reasons),
    )


def check_tolerance(tol: object) -> None:
    """Raise `ModelError` unless 0 < tol < 1."""
    if not isinstance(tol, Real) or not 0.0 < float(tol) < 1.0:
        raise ModelError(f"tol must lie between 0 and 1, got {tol!r}")
