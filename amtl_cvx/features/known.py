"""What is known about a point of shared features: the figures of its certificate, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from amtl_cvx.known import DIGITS, GAPS, RESIDUALS, SECOND_ORDER, VERDICT, Group, row, table

FEATURES = Group("Features")


@table
class FeatureKnown:
    """The figures of a `FeatureCertificate`. What has no value has its reason in `reasons`, by its name."""

    kind: str = row(VERDICT, "the problem the point is judged against: joint (J)", default="joint")
    objective: float = row(VERDICT, "J(L, S, A)", "J", digits=12)
    tol: float = row(VERDICT, "the tolerance for the residual, and for gaps over J")
    passes: bool = row(
        VERDICT, "feasible, residual within the tolerance, gaps within the limit, and some feature is live"
    )
    level: str | None = row(
        VERDICT, "rung on the ladder C0 (evaluated) to C4 (digits proven); none where not feasible"
    )
    refused: tuple[str, ...] = row(VERDICT, "levels that cannot be had", default=("C5",))
    feasibility: float = row(VERDICT, "how far an entry of A is below 0 where it must not be; must be 0", "A")
    live_features: int = row(FEATURES, "features that some task uses")
    features: int = row(FEATURES, "features there could be")
    zero_objective: float = row(FEATURES, "J of the zero point, at which nothing is learned", "J", digits=12)
    used: int = row(FEATURES, "entries of S that are not 0")
    fed_back: int | None = row(FEATURES, "entries of A that are not 0", default=None)
    relative: float = row(RESIDUALS, "the residual that is held against the tolerance", holds="at most")
    relative_L: float = row(
        RESIDUALS, "stationarity_L over the size of its terms, worst entry", holds="at most"
    )
    relative_S: float = row(RESIDUALS, "stationarity_S over mu, worst entry", holds="at most")
    relative_A: float | None = row(
        RESIDUALS, "stationarity_A over the price of feedback, worst entry", default=None, holds="at most"
    )
    stationarity_L: float = row(RESIDUALS, "largest entry of the gradient in L", "J per unit of L")
    stationarity_S: float = row(RESIDUALS, "largest violation of the conditions on S", "J per unit of S")
    stationarity_A: float | None = row(
        RESIDUALS, "largest violation of the conditions on A", "J per unit of A", default=None
    )
    balance: float = row(
        RESIDUALS, "the worst balance of what a feature costs in L, E and A with what it costs in S, relative"
    )
    gap_L: float | None = row(GAPS, "what a move of L alone can still gain", "J", holds="at most")
    gap_L_by: str = row(GAPS, "by which bound: curvature, duality or none", default="none")
    gap_S: float | None = row(GAPS, "what a move of S alone can still gain, by duality", "J", holds="at most")
    gap_A: float | None = row(
        GAPS, "what a move of A alone can still gain, by duality", "J", default=None, holds="at most"
    )
    limit: float = row(GAPS, "what the gaps together are held against: tol J", "J")
    reduced_hessian_min: float | None = row(
        SECOND_ORDER,
        "smallest curvature of J in L and the entries of S and A that are not 0",
        "J per unit squared",
        default=None,
        holds="at least",
    )
    min_multiplier: float | None = row(
        SECOND_ORDER,
        "smallest room of a zero of S or A in its box",
        "J per unit",
        default=None,
        holds="at least",
    )
    min_entry: float | None = row(
        SECOND_ORDER, "smallest entry of S or A that is not 0", default=None, holds="at least"
    )
    free: int | None = row(
        SECOND_ORDER, "entries that are free to move: L, and those of S and A", default=None
    )
    proven_radius: float | None = row(
        DIGITS,
        "the entries of the true first-order point are known to this accuracy",
        "L, S and A",
        default=None,
        holds="at most",
    )
    proven_distance: float | None = row(
        DIGITS,
        "no entry of the stored L, S and A is further away from it",
        "L, S and A",
        default=None,
        holds="at most",
    )
    proven_isolation: float | None = row(
        DIGITS,
        "there is no other first-order point within this distance of L, S and A",
        "L, S and A",
        default=None,
        holds="at least",
    )
    reasons: Mapping[str, str] = field(default_factory=dict)

    def has(self, level: str) -> bool:
        """Whether the point has a level."""
        return self.level is not None and self.level >= level and (level <= "C2" or level not in self.reasons)
