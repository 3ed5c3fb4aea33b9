"""What is known about a point: the figures of a certificate and the reasons of those it has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Known:
    """The figures of a `Certificate`, which says what each of them is."""

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
