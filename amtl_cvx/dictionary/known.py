"""What is known about a point of a shared dictionary: the figures of its certificate, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from amtl_cvx.known import GAPS, RESIDUALS, VERDICT, Group, row, table

DICTIONARY = Group("Dictionary")


@table
class DictionaryKnown:
    """The figures of a `DictionaryCertificate`; what has no value has its reason in `reasons`."""

    kind: str = row(VERDICT, "the problem the point is judged against: joint (J)", default="joint")
    objective: float = row(VERDICT, "J(D, G)", "J", digits=12)
    tol: float = row(VERDICT, "the tolerance for the residual, and for gaps over J")
    passes: bool = row(
        VERDICT, "feasible, residual within the tolerance, gaps within the limit, and some feature is live"
    )
    level: str | None = row(
        VERDICT, "rung on the ladder C0 (evaluated) to C2 (first-order-verified); none where not feasible"
    )
    refused: tuple[str, ...] = row(VERDICT, "levels that cannot be had", default=("C3", "C4", "C5"))
    feasibility: float = row(
        VERDICT, "how far a column of D or G is beyond its ball, over the radius of that; must be 0, to 1e-12"
    )
    live_features: int = row(DICTIONARY, "columns of D that some task uses")
    features: int = row(DICTIONARY, "columns of D")
    full: int = row(DICTIONARY, "tasks whose code has the whole radius, ||g_t||_1 = radius")
    used: int = row(DICTIONARY, "entries of G that are not 0")
    zero_objective: float = row(
        DICTIONARY, "J of the zero point, at which nothing is learned", "J", digits=12
    )
    relative: float = row(RESIDUALS, "the residual that is held against the tolerance", holds="at most")
    relative_D: float = row(
        RESIDUALS, "stationarity_D over the size of its terms, worst entry", holds="at most"
    )
    relative_G: float = row(
        RESIDUALS, "stationarity_G over the size of its terms, worst entry", holds="at most"
    )
    stationarity_D: float = row(RESIDUALS, "largest violation of the conditions on D", "J per unit of D")
    stationarity_G: float = row(RESIDUALS, "largest violation of the conditions on G", "J per unit of G")
    gap_D: float | None = row(
        GAPS, "what a move of D alone can still gain, of Frank and Wolfe", "J", holds="at most"
    )
    gap_G: float | None = row(
        GAPS, "what a move of G alone can still gain, of Frank and Wolfe", "J", holds="at most"
    )
    limit: float = row(GAPS, "what the gaps together are held against: tol J", "J")
    reasons: Mapping[str, str] = field(default_factory=dict)

    def has(self, level: str) -> bool:
        """Whether the point has a level."""
        return self.level is not None and self.level >= level
