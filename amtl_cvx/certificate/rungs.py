"""The ladder of certificates: every level, whether it was reached, the figure that decides, in plain words.

    C0 evaluated               W and B are feasible, J and its residuals are known
    C1 eps-partial-optimum     no move of one block alone gains more than the tolerance
    C2 first-order-verified    the first-order conditions of J hold within the tolerance
    C3 strict-local-verified   positive curvature on the free variables, strict complementarity
    C4 digits-proven           interval arithmetic: one true first-order point, enclosed to many digits
    C5 global-verified         exact arithmetic: a lower bound of J over all W and B, as low as this point

Each level includes those below it. Source: theory.md section 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

from amtl_cvx.certificate.figures import double_above, rounded_down, rounded_up
from amtl_cvx.errors import ModelError

if TYPE_CHECKING:
    from amtl_cvx.certificate.verdict import Certificate

LEVELS: Mapping[str, str] = {
    "C0": "evaluated",
    "C1": "eps-partial-optimum",
    "C2": "first-order-verified",
    "C3": "strict-local-verified",
    "C4": "digits-proven",
    "C5": "global-verified",
}
"""Levels of a certificate, lowest first."""

BOUNDS: Mapping[str, str] = {
    "decrement": "by the Newton decrement",
    "gap": "by the duality gap",
    "value": "J itself, and J >= 0",
    "none": "nothing is proved",
}
"""Which bound of what W can gain is judged, in words."""

INTERRUPTED = "an interrupt came before this level was decided"
"""The reason of a level that was begun and neither reached nor missed."""
DEGENERATE = "degenerate"
"""How the reason of a level begins where figures are too close to 0 to say whether the point has it."""
UNDECIDED = "not decided"
"""How it begins where the work that was allowed, or the method, came to its end without an answer."""
_BELOW = dict(zip(list(LEVELS)[1:], LEVELS, strict=False))

State = Literal["reached", "not reached", "cannot tell", "cannot be had", "not tried"]


class Rung(NamedTuple):
    """One level of the ladder as a certificate sees it."""

    code: str
    word: str
    state: State
    figure: str
    """What decides, short; "" where nothing is known."""
    words: str
    """One sentence: what is known, or why nothing is."""


def check_level(level: str) -> None:
    """Raise `ModelError` unless `level` is one of `LEVELS`."""
    if level not in LEVELS:
        raise ModelError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")


def reaches(certificate: Certificate, level: str) -> bool:
    """Whether the certificate has that level, or a higher one."""
    return certificate.level is not None and certificate.level >= level


def rungs(certificate: Certificate) -> tuple[Rung, ...]:
    """Every level, lowest first."""
    return tuple(_rung(certificate, code) for code in LEVELS)


def _rung(certificate: Certificate, code: str) -> Rung:
    word, reason = LEVELS[code], certificate.reasons.get(code)
    describe, figure = _DESCRIBE[code]
    if reaches(certificate, code):
        return Rung(code, word, "reached", figure(certificate), describe(certificate))
    if code > "C2" and (reason in (None, INTERRUPTED) or not reaches(certificate, _BELOW[code])):
        words = _sentence(reason) or f"Not asked for; certify with level {code} tries it."
        return Rung(code, word, "not tried", "", words)
    if code in certificate.refused:
        return Rung(code, word, "cannot be had", figure(certificate), _sentence(reason))
    if reason is not None:
        state: State = "cannot tell" if reason.startswith((DEGENERATE, UNDECIDED)) else "not reached"
        return Rung(code, word, state, figure(certificate), _sentence(reason))
    return Rung(code, word, "not reached", figure(certificate), describe(certificate))


def _sentence(reason: str | None) -> str:
    return f"{reason[:1].upper()}{reason[1:]}." if reason else ""


def _evaluated(certificate: Certificate) -> str:
    if certificate.level is None:
        return f"{_sentence(certificate.verdict())}"
    return "W and B are feasible; J, its gradients and residuals are known."


def _partial(certificate: Certificate) -> str:
    gain, by = certificate.gain_W, ""
    gain = None if gain is None or not math.isfinite(gain) else gain
    if gain is not None:
        by = f" ({BOUNDS[certificate.gain_W_by]})"
    parts = []
    for name, known, words in (("gain_W", gain, by), ("gap_B", certificate.gap_B, "")):
        block = name[-1]
        if known is None:
            why = certificate.reasons.get(name, "not available")
            parts.append(f"what a move of {block} alone can gain is not known ({why})")
        else:
            why = f" ({certificate.reasons[name]})" if name in certificate.reasons else ""
            parts.append(f"no move of {block} alone can gain more than {rounded_up(known)}{words}{why}")
    words = f"{'; '.join(parts)}; J is {certificate.objective:.6g}"
    return f"{words[0].upper()}{words[1:]}, {_limit(certificate)}."


def _limit(certificate: Certificate) -> str:
    J, tol, limit = certificate.objective, certificate.tol, certificate.limit
    if limit is None or limit <= tol * abs(J):
        return f"the limit is the tolerance {tol:g} of it"
    return (
        f"the limit is {rounded_down(limit)}, the rounding of J at W = 0, B = 0: J >= 0, so nothing gains"
        " more than J"
    )


def _first_order(certificate: Certificate) -> str:
    verb = "hold to" if certificate.relative <= certificate.tol else "are violated by"
    return (
        f"The first-order conditions {verb} {rounded_up(certificate.relative)} of the size of their terms,"
        f" the tolerance is {certificate.tol:g}."
    )


def _strict_local(certificate: Certificate) -> str:
    extra = [
        f", {name} {rounded_down(value)}"
        for name, value in (
            ("smallest multiplier", certificate.min_multiplier),
            ("smallest positive entry of B", certificate.min_positive_B),
        )
        if value is not None
    ]
    return (
        "A strict local minimum: every small move of W and B raises J."
        f" {_curvature(certificate)}{''.join(extra)}."
    )


def _curvature(certificate: Certificate) -> str:
    rows, curvature = certificate.held_rows or 0, certificate.reduced_hessian_min
    held = f"the {rows} row{'s' * (rows != 1)} on {'their kinks' if rows != 1 else 'its kink'}"
    if curvature is None:
        return f"Every move of W leaves {held}, which J rises with"
    where = f"along {held}, off which J rises as well" if rows else "on the free variables"
    return f"Curvature at least {rounded_down(curvature)} {where}"


def _digits(certificate: Certificate) -> str:
    radius, distance = certificate.proven_radius, certificate.proven_distance
    isolation = certificate.proven_isolation
    assert radius is not None and distance is not None and isolation is not None
    where = f"within {rounded_down(isolation)} of the stored one"
    if isolation < distance:  # a box that is longer along some entries
        where = f"in a box that holds the stored one and {rounded_down(isolation)} around it"
    return (
        f"Exactly one first-order point lies {where}, at most {rounded_up(distance)} away from it; it is"
        f" known to {rounded_up(radius)}, and it is a strict local minimum."
    )


def _global(certificate: Certificate) -> str:
    lower, excess = certificate.global_lower, certificate.global_excess
    assert lower is not None and excess is not None
    share = double_above(Fraction(excess) / Fraction(lower)) if lower > 0.0 else math.inf
    return (
        f"No W and B at all have an objective below {lower!r}; this point is at most {rounded_up(excess)}"
        f" above that, {rounded_up(share)} of it."
    )


def _gaps(certificate: Certificate) -> str:
    known = (("gain_W", certificate.gain_W), ("gap_B", certificate.gap_B))
    return ", ".join(f"{name} {rounded_up(gap)}" for name, gap in known if gap is not None)


def _known(name: str, value: float | None, shown: Callable[[float], str]) -> str:
    return "" if value is None else f"{name} {shown(value)}"


def _bounds(certificate: Certificate) -> str:
    if certificate.global_width is None:
        return ""
    method = "" if certificate.global_method == "exact" else f" ({certificate.global_method})"
    return f"relative width {rounded_up(certificate.global_width)}{method}"


_Describe = Callable[["Certificate"], str]
_DESCRIBE: Mapping[str, tuple[_Describe, _Describe]] = {
    "C0": (_evaluated, lambda certificate: f"J {certificate.objective:.12g}"),
    "C1": (_partial, _gaps),
    "C2": (_first_order, lambda certificate: f"relative residual {rounded_up(certificate.relative)}"),
    "C3": (_strict_local, lambda found: _known("curvature", found.reduced_hessian_min, rounded_down)),
    "C4": (_digits, lambda found: _known("radius", found.proven_radius, rounded_up)),
    "C5": (_global, _bounds),
}
"""Per level: the sentence of who reached it, and the figure."""
