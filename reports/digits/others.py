"""Every other loss: default fits climbed to C4, each point judged by an oracle of its own; see measure.py."""

from __future__ import annotations

from typing import Any

import mpmath
from oracle import first_order_root, judged, lowest_curvature
from proven import Point, other_instance, wide_instance

from amtl_cvx import fit
from amtl_cvx.digits import ProvenPoint
from amtl_cvx.ladder import climb

LABELS = ("hinge", "quantile:0.7", "huber:0.8", "poisson")
FAMILIES = {"even": (other_instance, 10), "wide": (wide_instance, 10)}
"""Random problems of these losses: the generator and how many seeds."""
MARGIN = 1e-12
"""What the oracle takes for a margin that is not 0."""
KEPT = (
    "radius",
    "isolation",
    "room",
    "distance",
    "min_row_distance",
    "min_row_multiplier",
    "seconds",
    "objective",
)
_STRICT = "strictly complementary, positive"

Row = dict[str, Any]


def others() -> list[Row]:
    """Default fits of every other loss, climbed to C4, and what the oracle says of each point."""
    rows = []
    for family, (build, seeds) in FAMILIES.items():
        for label in LABELS:
            for seed in range(seeds):
                tasks, model = build(label, seed)
                solution = fit(tasks, model)
                row = {"family": family, "loss": label, "seed": seed, "passes": solution.certificate.passes}
                if row["passes"]:
                    point = Point(tasks, model, solution.W, solution.B)
                    climbed = climb(solution.certificate, *point, level="C4")
                    row["level"] = climbed.certificate.level
                    row["reasons"] = {code: climbed.certificate.reasons.get(code) for code in ("C3", "C4")}
                    row["held"] = climbed.certificate.held_rows
                    row["edges"] = int((solution.B > 0).sum())
                    row["oracle"], row["apart"] = oracle(point, climbed.proven)
                    if climbed.proven is not None:
                        found = climbed.proven.to_dict()
                        row |= {key: found[key] for key in KEPT}
                rows.append(row)
    return rows


def oracle(point: Point, proven: ProvenPoint | None) -> tuple[str, float | None]:
    """What mpmath says of the point, in words, and how far the proven one is from the root found there."""
    tasks, model = point.tasks, point.model
    with mpmath.workdps(50):
        stored = [[[mpmath.mpf(x) for x in row] for row in block.tolist()] for block in (point.W, point.B)]
        root = first_order_root(tasks, model, *stored, 1e-6)
        if root is None:
            return "Newton finds no first-order point with this active set", None
        at = judged(tasks, model, *root, mpmath.mpf(10) ** -30)
        if not at.strict(mpmath.mpf(MARGIN)):
            least = mpmath.nstr(min(at.multiplier, at.edge, at.inside, at.away), 3)
            return f"not strictly complementary, smallest margin {least}", None
        lowest = lowest_curvature(tasks, model, *root, at.kinks, mpmath.mpf(10) ** -15)
        words = f"strictly complementary, {'positive curvature' if lowest > 0 else 'NEGATIVE curvature'}"
        if proven is None:
            return words, None
        decimals = zip(sum((*proven.W, *proven.B), ()), sum((*root[0], *root[1]), []), strict=True)
        return words, float(max(abs(mpmath.mpf(a) - b) for a, b in decimals))


def summary(rows: list[Row]) -> list[str]:
    """Lines of the table of `others`."""
    lines = []
    for family in FAMILIES:
        for label in LABELS:
            here = [r for r in rows if r["family"] == family and r["loss"] == label]
            passed = [r for r in here if r["passes"]]
            strict = [r for r in passed if r["oracle"].startswith(_STRICT)]
            reached = [r for r in passed if r["level"] == "C4"]
            apart = max((r["apart"] for r in reached if r["apart"] is not None), default=0.0)
            counts = (len(here), len(passed), len(strict), len(reached), sum(r in strict for r in reached))
            edges, held = (sum(r[key] or 0 for r in reached) for key in ("edges", "held"))
            lines.append(" | ".join(map(str, (family, label, *counts, f"{apart:.0e}", edges, held))))
    return lines


def refused_lines(rows: list[Row]) -> list[str]:
    """Certified points without C4: our reason and the oracle's word."""
    return [
        " | ".join(
            (r["family"], r["loss"], str(r["seed"]), r["reasons"]["C3"] or r["reasons"]["C4"], r["oracle"])
        )
        for r in rows
        if r["passes"] and r["level"] != "C4"
    ]


def strict_minima(rows: list[Row]) -> list[Row]:
    """Certified points that are strictly complementary minima by the oracle."""
    return [row for row in rows if row.get("oracle", "").startswith(_STRICT)]
