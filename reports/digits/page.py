"""README.md of what measure.py found."""

from __future__ import annotations

from typing import Any

from others import refused_lines, summary

Row = dict[str, Any]


def table(head: str, lines: list[str]) -> list[str]:
    """Markdown."""
    return [f"| {head} |", "|" + "---|" * (head.count("|") + 1), *(f"| {line} |" for line in lines), ""]


def proof_line(row: Row) -> str:
    least = ["-" if row[key] is None else f"{row[key]:.1e}" for key in ("multiplier", "positive_B")]
    return (
        f"{row['unknowns']} | {row['edges']} | {row['radius']:.1e} | {row['isolation']:.0e} |"
        f" {row['distance']:.1e} | {'yes' if row['minimum'] else 'NO'} | {' | '.join(least)} |"
        f" {row['seconds']:.3f} | {row['objective']}"
    )


PROOF_HEAD = (
    "unknowns | edges | radius | alone within | stored point off by | strict local minimum |"
    " smallest multiplier | smallest positive B | seconds | J"
)


def page(found: dict[str, Any]) -> str:
    """README.md."""
    proofs, saddle = found["twenty"], found["saddle"]
    hold = all(row["radius"] <= 1e-30 and row["minimum"] and row["unknowns"] <= 30 for row in proofs)
    refused = all("PROVED" not in row["answer"] for row in found["degenerate"])
    slowest = max(row["seconds"] for row in proofs)
    minima = [
        r for r in found["others"] if r.get("oracle", "").startswith("strictly complementary, positive")
    ]
    strict, reached = len(minima), sum(r["level"] == "C4" for r in minima)
    lines = [
        "# Proven digits",
        "",
        "Written by `python reports/digits/measure.py`. " + found["machine"],
        "",
        f"- Twenty random problems of at most 30 unknowns, radius at most 1e-30, strict local minimum proved:"
        f" {'holds' if hold else 'DOES NOT HOLD'}; slowest proof {slowest:.3f} s (limit 5 s).",
        f"- Degenerate points constructed on purpose: {'all' if refused else 'NOT ALL'} refused.",
        f"- Hinge, quantile, Huber, Poisson, default fits of random problems: C4 at {reached} of {strict}"
        " points that are certified and, by the oracle, strictly complementary minima.",
        "",
        '"alone within" is the half-width of the largest box tried in which no other first-order point lies;'
        " where it exceeds the distance of the stored point, that box holds the stored point too.",
        "",
        "## Twenty random problems (tests/proven.py, seeds 0 to 19)",
        "",
        *table(
            "seed | loss | " + PROOF_HEAD,
            [f"{row['seed']} | {row['loss']} | {proof_line(row)}" for row in proofs],
        ),
        "## The same points, spoiled",
        "",
        *table(
            "what | points | refused",
            [f"{row['what']} | {row['points']} | {row['refused']}" for row in found["tampered"]],
        ),
        "## Degenerate on purpose",
        "",
        *table(
            "what | answer | seconds",
            [f"{row['what']} | {row['answer']} | {row['seconds']:.3f}" for row in found["degenerate"]],
        ),
        "A first-order point that is a saddle by construction (two copies of a task share an edge) is"
        f" {'proved to be no minimum' if not saddle['minimum'] else 'CALLED A MINIMUM'}, radius"
        f" {saddle['radius']:.1e}.",
        "",
        "An exact one of the quantile loss, with a row on its kink in both copies, is"
        f" {'proved to be no minimum' if not found['kinked saddle']['minimum'] else 'CALLED A MINIMUM'}.",
        "",
        "## Every other loss",
        "",
        "Default fits, `certify --level C4`. The oracle (tests/oracle.py, mpmath with 50 digits, nothing of"
        " the package) finds the first-order point next to the stored one by its own Newton method, solves"
        " for the multipliers of rows on kinks and takes differences of J along them. The family 'even' is"
        " that of `other_instance`, 'wide' that of `wide_instance` in tests/proven.py. \"apart\" is the"
        " largest distance of a proven entry from the oracle's, of 40 proven digits.",
        "",
        *table(
            "family | loss | problems | certified | strict minima by the oracle | C4 | of these strict by the"
            " oracle | apart | edges | rows on kinks",
            summary(found["others"]),
        ),
        "Certified points without C4:",
        "",
        *(
            table("family | loss | seed | our reason | oracle", lines)
            if (lines := refused_lines(found["others"]))
            else ["none.", ""]
        ),
        f"## Larger problems (seed {found['seed']})",
        "",
        *table(
            "loss | T | d | rows a task | " + PROOF_HEAD,
            [f"{r['loss']} | {r['T']} | {r['d']} | {r['rows']} | {proof_line(r)}" for r in found["larger"]],
        ),
        "## Exact half-steps",
        "",
        "B-step: duality gap over the rationals. W-step: largest entry of the gradient over the rationals.",
        "",
        *table(
            "step | T | d | edges | gap or gradient | seconds",
            [
                f"{r['step']} | {r['T']} | {r['d']} | {r['edges']} | {r['answer']} | {r['seconds']:.2f}"
                for r in found["exact"]
            ],
        ),
        "W-steps of the other losses of polynomial pieces, quadratic programs: gap and gradient.",
        "",
        *table(
            "loss | T | d | gap and gradient | seconds",
            [
                f"{r['loss']} | {r['T']} | {r['d']} | {r['answer']} | {r['seconds']:.2f}"
                for r in found["exact pieces"]
            ],
        ),
    ]
    return "\n".join(lines)
