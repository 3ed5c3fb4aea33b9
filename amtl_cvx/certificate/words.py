"""All sentences of a certificate: its verdict in one line, what it knows in plain words, every level."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from amtl_cvx.certificate.figures import double_above, rounded_down, rounded_up
from amtl_cvx.certificate.kinds import CONVEX, HEADLINES, kind_words, moves
from amtl_cvx.certificate.levels import (
    DEGENERATE,
    INTERRUPTED,
    LEVELS,
    NEEDS,
    UNDECIDED,
    Rung,
    State,
    is_stopped,
    sentence,
    stopped_headline,
)
from amtl_cvx.known import Known

BOUNDS: Mapping[str, str] = {
    "decrement": "by the Newton decrement",
    "gap": "by the duality gap",
    "value": "J itself, and J >= 0",
    "none": "nothing is proved",
}
"""Which bound of what W can gain is judged, in words."""
_GLOBAL_WORDS = (
    "The point is judged as a first-order point of the joint objective J; J is not convex, but it is bounded"
    " from below over all points."
)


def verdict(found: Known) -> str:
    """One line: level, word and the figures that decide."""
    if found.level is None and found.kind == "single-task":
        return f"not a single-task point: B must be 0 there, its largest entry is {found.feasibility:.2g}"
    if found.level is None:
        demands = found.reasons.get("feasibility", "B >= 0, diag(B) = 0")
        return f"not feasible: B is {found.feasibility:.2g} away from its feasible set ({demands})"
    word = f"{found.level} {LEVELS[found.level]}"
    figures = f"relative residual {_residual(found)}"
    if found.gain_W is not None:
        figures += f", gain_W {rounded_up(found.gain_W)} ({BOUNDS[found.gain_W_by]})"
    if found.gap_B is not None:
        figures += f", gap_B {rounded_up(found.gap_B)}"
    if found.limit is not None:
        figures += f", limit {rounded_down(found.limit)} ({limit_words(found)})"
    figures += "".join(
        f", {rung.figure}" for rung in rungs(found) if rung.code > "C2" and rung.state == "reached"
    )
    passes = "passes" if found.passes else "does not pass"
    yet = ", but J falls on in a valley" if "valley" in found.reasons else ""
    return f"{word}: {figures}, tolerance {found.tol:g} ({passes}{yet})"


def _residual(found: Known) -> str:
    """The residual that is judged, or what of it is known."""
    if math.isfinite(found.relative):
        return rounded_up(found.relative)
    parts = {"W": found.relative_W, "B": found.relative_B}
    known = [f"{rounded_up(part)} for {block}" for block, part in parts.items() if math.isfinite(part)]
    rest = [block for block, part in parts.items() if not math.isfinite(part)]
    return ", ".join([*known, f"not known for {' and '.join(rest)}"])


def headline(found: Known) -> str:
    """The verdict in one line, without claiming more than was shown."""
    if found.level is None:
        return "Not feasible: B violates its constraints"
    if not found.passes and is_stopped(found.kind):
        return stopped_headline(found.kind)
    if not found.passes:
        return "The certificate does not pass"
    return HEADLINES.get(found.kind, "The certificate passes")


def limit_words(found: Known) -> str:
    """What the limit of the gains is."""
    if found.limit is None or found.limit <= found.tol * abs(found.objective):
        return "tol J"
    return "rounding of J at W = 0, B = 0; J >= 0"


def sentences(found: Known) -> list[str]:
    """The certificate in plain words, up to C2; `rungs` goes on from there."""
    if found.level is None:
        return [verdict(found)]
    bounded = found.level == "C5" and found.kind == "joint"
    lines = [_GLOBAL_WORDS if bounded else kind_words(found.kind)]
    lines.append(f"The objective is {found.objective:.6g}.")
    figures = (("W", found.gain_W, found.error_W), ("B", found.gap_B, found.error_B))
    for move, (block, gain, error) in zip(moves(found.kind), figures, strict=True):
        if gain is not None and math.isfinite(gain):
            by = f" ({BOUNDS[found.gain_W_by]})" if block == "W" else ""
            away = f", and the best {block} is at most {rounded_up(error)} away" if error is not None else ""
            lines.append(f"No {move} can gain more than {rounded_up(gain)}{by}{away}.")
    if found.limit is not None:
        lines.append(f"The limit for both is {rounded_down(found.limit)} ({limit_words(found)}).")
    compared = "at most" if found.relative <= found.tol else "more than"
    compared = compared if math.isfinite(found.relative) else "to be held against"
    lines.append(
        f"The first-order residual is {_residual(found)} of the size of its terms,"
        f" {compared} the tolerance {found.tol:g}."
    )
    if found.zeros_proven is not None and found.zeros:
        lines.append(f"{found.zeros_proven} of {found.zeros} absent edges are proved absent for this W.")
    lines += _grouped({name: reason for name, reason in found.reasons.items() if name not in LEVELS})
    lines.append(
        "The graph is empty: no task helps another." if found.edges == 0 else f"{found.edges} edges."
    )
    return lines


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """One line for each different reason, with all the names it is the reason for."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(group)}: {reason}." for reason, group in names.items()]


def rungs(found: Known) -> tuple[Rung, ...]:
    """Every level of the ladder as a certificate sees it, lowest first: six `Rung`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> model, W, B = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5), np.eye(2) / 2, np.zeros((2, 2))
    >>> from amtl_cvx.certificate import rungs
    >>> [(rung.code, rung.state) for rung in rungs(certify(tasks, model, W, B))][2:4]
    [('C2', 'reached'), ('C3', 'not tried')]
    """
    return tuple(_rung(found, code) for code in LEVELS)


def _rung(found: Known, code: str) -> Rung:
    word, reason = LEVELS[code], found.reasons.get(code)
    describe, figure = _DESCRIBE[code]
    if found.has(code):
        return Rung(code, word, "reached", figure(found), describe(found))
    tried = code in found.refused or found.has(NEEDS.get(code, "C0"))
    if code > "C2" and (reason in (None, INTERRUPTED) or not tried):
        words = sentence(reason) or f"Not asked for; certify with level {code} tries it."
        return Rung(code, word, "not tried", "", words)
    if code in found.refused:
        return Rung(code, word, "cannot be had", figure(found), sentence(reason))
    if reason is not None:
        state: State = "cannot tell" if reason.startswith((DEGENERATE, UNDECIDED)) else "not reached"
        return Rung(code, word, state, figure(found), sentence(reason))
    return Rung(code, word, "not reached", figure(found), describe(found))


def _evaluated(found: Known) -> str:
    if found.level is None:
        return f"{sentence(verdict(found))}"
    blocks = "w and b" if found.kind == "adaptation" else "W and B"
    return f"{blocks} are feasible; J, its gradients and residuals are known."


def _partial(found: Known) -> str:
    gain, by = found.gain_W, ""
    gain = None if gain is None or not math.isfinite(gain) else gain
    if gain is not None:
        by = f" ({BOUNDS[found.gain_W_by]})"
    parts = []
    figures = (("gain_W", gain, by), ("gap_B", found.gap_B, ""))
    for move, (name, known, words) in zip(moves(found.kind), figures, strict=True):
        if known is None:
            why = found.reasons.get(name, "not available")
            parts.append(f"what a {move} can gain is not known ({why})")
        else:
            why = f" ({found.reasons[name]})" if name in found.reasons else ""
            parts.append(f"no {move} can gain more than {rounded_up(known)}{words}{why}")
    words = f"{'; '.join(parts)}; J is {found.objective:.6g}"
    return f"{words[0].upper()}{words[1:]}, {_limit(found)}."


def _limit(found: Known) -> str:
    J, tol, limit = found.objective, found.tol, found.limit
    if limit is None or limit <= tol * abs(J):
        return f"the limit is the tolerance {tol:g} of it"
    return (
        f"the limit is {rounded_down(limit)}, the rounding of J at W = 0, B = 0: J >= 0, so nothing gains"
        " more than J"
    )


def _first_order(found: Known) -> str:
    verb = "hold to" if found.relative <= found.tol else "are violated by"
    verb = verb if math.isfinite(found.relative) else "are off by"
    yet = "" if found.has("C2") else found.reasons.get("minimum") or found.reasons.get("growth", "")
    yet = yet or found.reasons.get("valley", "")
    return (
        f"The first-order conditions {verb} {_residual(found)} of the size of their terms,"
        f" the tolerance is {found.tol:g}.{yet and f' {sentence(yet)}'}"
    )


def _strict_local(found: Known) -> str:
    extra = [
        f", {name} {rounded_down(value)}"
        for name, value in (
            ("smallest multiplier", found.min_multiplier),
            ("smallest positive entry of B", found.min_positive_B),
        )
        if value is not None
    ]
    return (
        f"A strict local minimum: every small move of W and B raises J. {_curvature(found)}{''.join(extra)}."
    )


def _curvature(found: Known) -> str:
    rows, curvature = found.held_rows or 0, found.reduced_hessian_min
    held = f"the {rows} row{'s' * (rows != 1)} on {'their kinks' if rows != 1 else 'its kink'}"
    if curvature is None:
        return f"Every move of W leaves {held}, which J rises with"
    where = f"along {held}, off which J rises as well" if rows else "on the free variables"
    return f"Curvature at least {rounded_down(curvature)} {where}"


def _digits(found: Known) -> str:
    radius, distance = found.proven_radius, found.proven_distance
    isolation = found.proven_isolation
    assert radius is not None and distance is not None and isolation is not None
    where = f"within {rounded_down(isolation)} of the stored one"
    if isolation < distance:  # a box that is longer along some entries
        where = f"in a box that holds the stored one and {rounded_down(isolation)} around it"
    return (
        f"Exactly one first-order point lies {where}, at most {rounded_up(distance)} away from it; it is"
        f" known to {rounded_up(radius)}, and it is a strict local minimum."
    )


def _global(found: Known) -> str:
    lower, excess = found.global_lower, found.global_excess
    assert lower is not None and excess is not None
    share = double_above(Fraction(excess) / Fraction(lower)) if lower > 0.0 else math.inf
    least = f"No W and B at all have an objective below {lower!r}"
    if found.kind in CONVEX:
        least = (
            f"{CONVEX[found.kind]} an objective below {lower!r}, by convex duality in floating point with"
            " room for rounding"
        )
    return f"{least}; this point is at most {rounded_up(excess)} above that, {rounded_up(share)} of it."


def _gaps(found: Known) -> str:
    known = (("gain_W", found.gain_W), ("gap_B", found.gap_B))
    return ", ".join(f"{name} {rounded_up(gap)}" for name, gap in known if gap is not None)


def _known(name: str, value: float | None, shown: Callable[[float], str]) -> str:
    return "" if value is None else f"{name} {shown(value)}"


def _bounds(found: Known) -> str:
    if found.global_width is None:
        return ""
    method = "" if found.global_method == "exact" else f" ({found.global_method})"
    return f"relative width {rounded_up(found.global_width)}{method}"


_Describe = Callable[[Known], str]
_DESCRIBE: Mapping[str, tuple[_Describe, _Describe]] = {
    "C0": (_evaluated, lambda found: f"J {found.objective:.12g}"),
    "C1": (_partial, _gaps),
    "C2": (_first_order, lambda found: f"relative residual {_residual(found)}"),
    "C3": (_strict_local, lambda found: _known("curvature", found.reduced_hessian_min, rounded_down)),
    "C4": (_digits, lambda found: _known("radius", found.proven_radius, rounded_up)),
    "C5": (_global, _bounds),
}
"""Per level: the sentence of who reached it, and the figure."""
