"""What is known about a point of a network: the figures of its certificate, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from amtl_cvx.known import GAPS, RESIDUALS, SECOND_ORDER, VERDICT, Group, row, table

UNITS, SNAPPED = Group("Units and kinks"), Group("Snapped onto kinks")


@table
class NetworkKnown:
    """The figures of a `NetworkCertificate`. What has no value has its reason in `reasons`, by its name."""

    kind: str = row(VERDICT, "the problem the point is judged against: joint (J)", default="joint")
    objective: float = row(VERDICT, "J of the point that is judged", "J", digits=12)
    tol: float = row(VERDICT, "the tolerance for the residual")
    passes: bool = row(VERDICT, "feasible, residual within the tolerance, and some feature is live")
    level: str | None = row(
        VERDICT, "rung on the ladder C0 (evaluated), C2, C3 (strict local); none where not feasible"
    )
    refused: tuple[str, ...] = row(VERDICT, "levels that cannot be had", default=("C1", "C4", "C5"))
    feasibility: float = row(VERDICT, "how far an entry of A is below 0 where it must not be; must be 0", "A")
    live_features: int = row(UNITS, "features of the last layer that some task uses")
    features: int = row(UNITS, "features there could be")
    zero_objective: float = row(UNITS, "J of the zero point, at which nothing is learned", "J", digits=12)
    used: int = row(UNITS, "entries of S that are not 0")
    fed_back: int = row(UNITS, "entries of A that are not 0")
    active_kinks: int = row(UNITS, "units of all layers that are on their kink on some row, each row counted")
    concave_kinks: int = row(
        UNITS, "active kinks with a weight below 0, and kinks of the reconstruction that nothing protects"
    )
    protected_kinks: int = row(
        UNITS, "kinks of the reconstruction (R = 0) that only entries of S and A at a price would move"
    )
    likq: bool | None = row(UNITS, "whether the normals of the active kinks are independent", default=None)
    rank_deficiency: int | None = row(UNITS, "how many of the normals depend on others", default=None)
    relative: float = row(RESIDUALS, "the residual that is held against the tolerance", holds="at most")
    relative_weights: float = row(
        RESIDUALS, "stationarity_weights over the size of its terms, worst entry", holds="at most"
    )
    relative_S: float = row(RESIDUALS, "stationarity_S over mu, worst entry", holds="at most")
    relative_A: float = row(
        RESIDUALS, "stationarity_A over the price of feedback, worst entry", holds="at most"
    )
    relative_kinks: float = row(
        RESIDUALS, "stationarity_kinks over the size of its terms, worst kink", holds="at most"
    )
    stationarity_weights: float = row(
        RESIDUALS, "largest entry of the gradient in layers and biases, kinks held", "J per unit"
    )
    stationarity_S: float = row(RESIDUALS, "largest violation of the conditions on S", "J per unit of S")
    stationarity_A: float = row(RESIDUALS, "largest violation of the conditions on A", "J per unit of A")
    stationarity_kinks: float = row(
        RESIDUALS, "how far the weight of an active kink is below 0, at worst", "J per unit of a feature"
    )
    balance: float = row(
        RESIDUALS, "the worst balance of what a feature costs in its weights, E and A with its S, relative"
    )
    balance_lower: float | None = row(
        RESIDUALS,
        "of units of lower layers: of the lengths of weights in and weights out, relative",
        default=None,
    )
    gap_W: float | None = row(GAPS, "what a move of the layers alone can still gain", "J", default=None)
    gap_S: float | None = row(GAPS, "what a move of S alone can still gain", "J", default=None)
    gap_A: float | None = row(GAPS, "what a move of A alone can still gain", "J", default=None)
    kink_width: float | None = row(
        SNAPPED, "units and entries nearer to 0 than that, relative, were moved onto it", default=None
    )
    snap_distance: float | None = row(
        SNAPPED, "how far the point that is judged is from the one that was given", "weights", default=None
    )
    snap_relative: float | None = row(
        SNAPPED, "the same over the length of all weights of the one given", default=None
    )
    snap_change: float | None = row(
        SNAPPED, "J of the point that is judged less that of the one given", "J", default=None
    )
    snap_units: int | None = row(SNAPPED, "units that were moved onto their kink", default=None)
    snap_entries: int | None = row(SNAPPED, "entries that were put to 0", default=None)
    reduced_hessian_min: float | None = row(
        SECOND_ORDER,
        "smallest curvature of J along active kinks and zeros of S and A",
        "J per unit squared",
        default=None,
        holds="at least",
    )
    min_multiplier: float | None = row(
        SECOND_ORDER,
        "smallest room of a multiplier in [0, w], or of a zero of S or A in its box",
        "J per unit",
        default=None,
        holds="at least",
    )
    min_entry: float | None = row(
        SECOND_ORDER, "smallest entry of S or A that is not 0", default=None, holds="at least"
    )
    free: int | None = row(
        SECOND_ORDER, "directions that are left to move along kinks and zeros", default=None
    )
    reasons: Mapping[str, str] = field(default_factory=dict)

    def has(self, level: str) -> bool:
        """Whether the point has a level; none has C1."""
        if level in self.refused or self.level is None or self.level < level:
            return False
        return level <= "C2" or level not in self.reasons
