"""What is known about a point: the figures of a certificate, a row each, and reasons where it has none.

A row is all that is said of a figure: its name and type, what it is, its unit, its group with the level of
the ladder that finds it, and how it is shown. certificate.json, the report, `certify --figures`, the help of
`certify` and the docstring of `Certificate` are made of the rows: a new figure is a row here, and its value
where it is computed. Nothing is imported that would keep a --help waiting.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar, dataclass_transform

T = TypeVar("T")
Side = Literal["", "at most", "at least"]


class Group(NamedTuple):
    """Figures that are shown together, and the level above C2 that finds them."""

    title: str
    level: str = ""


class Figure(NamedTuple):
    """A row of the table; `holds` tells a bound, which is rounded to the side on which it holds."""

    name: str
    type: str
    group: Group
    meaning: str
    unit: str
    holds: Side
    digits: int

    @property
    def words(self) -> str:
        """The meaning and the unit."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


VERDICT, RESIDUALS, GAPS = Group("Verdict"), Group("Residuals"), Group("Gaps")
EDGES, CONDITIONING = Group("Edges and proven zeros"), Group("Conditioning")
SECOND_ORDER = Group("C3, second order", "C3")
DIGITS = Group("C4, proven digits", "C4")
GLOBAL = Group("C5, global minimum", "C5")


def row(
    group: Group, meaning: str, unit: str = "", *, default: Any = MISSING, holds: Side = "", digits: int = 6
) -> Any:
    """A field that is a figure."""
    return field(default=default, metadata={"figure": (group, meaning, unit, holds, digits)})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(row, field))
def table(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields may be rows."""
    return dataclass(frozen=True, kw_only=True)(cls)


@table
class Known:
    """The figures of a `Certificate`. What has no value has its reason in `reasons`, by its name."""

    kind: str = row(
        VERDICT,
        "the problem the point is judged against: joint (J), single-task (the W-step at B = 0),"
        " curriculum (every convex step of Algorithm 2) or curriculum-simple (every step from one task to the"
        " next)",
    )
    objective: float = row(VERDICT, "J(W, B)", "J", digits=12)
    tol: float = row(VERDICT, "the tolerance for the residual, and for gains and gaps over J")
    passes: bool = row(VERDICT, "feasible, residual within the tolerance, gain_W and gap_B within the limit")
    level: str | None = row(
        VERDICT, "rung on the ladder C0 (evaluated) to C5 (global); none where not feasible"
    )
    refused: tuple[str, ...] = row(
        VERDICT,
        "levels that cannot be had at this point or on this machine; one that was tried in vain is"
        " not among them",
        default=(),
    )
    feasibility: float = row(VERDICT, "how far an entry of B is from the feasible set; must be 0", "B")
    relative: float = row(RESIDUALS, "the residual that is held against the tolerance", holds="at most")
    relative_W: float = row(
        RESIDUALS, "stationarity_W over the size of its terms, worst entry", holds="at most"
    )
    relative_B: float = row(
        RESIDUALS, "stationarity_B over the size of its terms, worst edge", holds="at most"
    )
    stationarity_W: float = row(RESIDUALS, "largest entry of the gradient in W", "J per unit of W")
    stationarity_B: float = row(RESIDUALS, "largest violation of the conditions on B", "J per unit of B")
    joint_relative: float = row(
        RESIDUALS, "the residual of the joint objective; judged where the kind is joint"
    )
    gain_W: float | None = row(
        GAPS,
        "what a move of W alone can still gain, the least bound that is proved, rounding included;"
        " infinite where nothing is proved",
        "J",
        holds="at most",
    )
    gain_W_by: str = row(
        GAPS,
        "which bound: of the Newton decrement, gap_W with room for rounding, the value J itself, or none",
        default="none",
    )
    gap_B: float | None = row(GAPS, "what a move of B alone can still gain", "J", holds="at most")
    limit: float | None = row(
        GAPS,
        "what gain_W and gap_B together are held against: tol J, not below the rounding of J(0, 0)",
        "J",
        default=None,
    )
    gap_W: float | None = row(GAPS, "what a move of W alone can still gain, by duality", "J", holds="at most")
    gap_W_exact: bool = row(GAPS, "whether gap_W is exact or an upper bound")
    error_W: float | None = row(
        GAPS,
        "W is at most this far from the best W for this B (Frobenius norm)",
        "W",
        default=None,
        holds="at most",
    )
    error_B: float | None = row(
        GAPS,
        "B is at most this far from the best B for this W (Frobenius norm)",
        "B",
        default=None,
        holds="at most",
    )
    edges: int = row(EDGES, "entries of B that are not 0, off its diagonal")
    zeros: int = row(EDGES, "the other entries off its diagonal: absent edges", default=0)
    zeros_proven: int | None = row(
        EDGES, "absent edges that are absent from every best B for this W", default=None
    )
    sigma_min: float = row(
        CONDITIONING, "smallest singular value of I - B; near 0 it inflates an upper bound gap_W"
    )
    condition_W: float | None = row(
        CONDITIONING, "condition number of the Hessian of the W-step (1-norm)", default=None
    )
    condition_B: float | None = row(
        CONDITIONING, "largest condition number of a B-step on its edges", default=None
    )
    reduced_hessian_min: float | None = row(
        SECOND_ORDER,
        "smallest curvature of J in W and the edges; positive at a strict local minimum",
        "J per unit of W and B squared",
        default=None,
        holds="at least",
    )
    min_multiplier: float | None = row(
        SECOND_ORDER,
        "smallest price that an absent edge would have to pay beyond its use",
        "J per unit of B",
        default=None,
        holds="at least",
    )
    min_positive_B: float | None = row(SECOND_ORDER, "smallest edge", "B", default=None, holds="at least")
    held_rows: int | None = row(
        SECOND_ORDER,
        "rows on the kink of their loss, off which J rises; the curvature is that along them",
        default=None,
    )
    proven_radius: float | None = row(
        DIGITS,
        "the entries of the true first-order point are known to this accuracy",
        "W and B",
        default=None,
        holds="at most",
    )
    proven_distance: float | None = row(
        DIGITS,
        "no entry of the stored W and B is further away from it",
        "W and B",
        default=None,
        holds="at most",
    )
    proven_isolation: float | None = row(
        DIGITS,
        "there is no other first-order point within this distance of W and B",
        "W and B",
        default=None,
        holds="at least",
    )
    global_lower: float | None = row(
        GLOBAL, "no point has a lower objective", "J", default=None, holds="at least", digits=12
    )
    global_upper: float | None = row(
        GLOBAL, "the lowest objective known", "J", default=None, holds="at most", digits=12
    )
    global_width: float | None = row(GLOBAL, "distance of the two, relative", default=None, holds="at most")
    global_excess: float | None = row(
        GLOBAL, "J of this point is at most so far above global_lower", "J", default=None, holds="at most"
    )
    global_method: str | None = row(
        GLOBAL,
        "exact: proved without trust in a solver; convex-duality: of a convex problem (single-task), in"
        " floating point with room for rounding; solver-claimed: not proved, and never level C5",
        default=None,
    )
    reasons: Mapping[str, str] = field(default_factory=dict)

    def has(self, level: str) -> bool:
        """Whether the point has a level; C5 does without C3 and C4, which then have a reason of their own."""
        return self.level is not None and self.level >= level and (level <= "C2" or level not in self.reasons)


def figures(known: Known | type[Known] | None = None) -> tuple[Figure, ...]:
    """The table: every figure in its order, that of its group."""
    return tuple(
        Figure(entry.name, str(entry.type), *entry.metadata["figure"])
        for entry in dataclasses.fields(known or Known)
        if "figure" in entry.metadata
    )


def grouped(known: Known | type[Known] | None = None) -> Iterator[tuple[Group, list[Figure]]]:
    """The table, group by group; a group stands where its first figure does."""
    table = figures(known)
    for group in dict.fromkeys(figure.group for figure in table):
        yield group, [figure for figure in table if figure.group == group]


def listing(*, width: int = 79) -> list[str]:
    """The figures with what they mean, as --help lists them."""
    lines: list[str] = []
    for group, members in grouped():
        lines.append(f"  {group.title}")
        for figure in members:
            text = f"    {figure.name:<20} {figure.words}"
            lines += textwrap.wrap(text, width=width, subsequent_indent=" " * 25)
    return lines


def with_figures(cls: type[T]) -> type[T]:
    """Put the table into the docstring of a class, before its examples."""
    lines = ["Attributes", "----------"]
    for figure in figures():
        lines.append(f"{figure.name} : {figure.type.replace(' | None', ' or None')}")
        words = f"{figure.words[0].upper()}{figure.words[1:]}."
        lines += textwrap.wrap(words, width=100, initial_indent="    ", subsequent_indent="    ")
    why = "    Why a figure has no value, or a level was not reached, by its name or its code."
    table = textwrap.indent("\n".join([*lines, "reasons : mapping", why]), "    ")
    cls.__doc__ = (cls.__doc__ or "").replace("    Examples\n", f"{table}\n\n    Examples\n")
    return cls
