"""What the certificates of learned features say alike, of linear ones and of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from amtl_cvx.certificate.levels import (
    DEGENERATE,
    INTERRUPTED,
    LEVELS,
    NEEDS,
    UNDECIDED,
    Rung,
    State,
    sentence,
)

Known = Callable[[Any, str], tuple[str, str]]
"""The figure of a level, and the sentence of who reached it, of a certificate and a code."""


def live(found: Any) -> str:
    """How many features are live."""
    words = "feature is" if found.features == 1 else "features are"
    return f"{found.live_features} of {found.features} {words} live"


def dead(found: Any) -> str:
    """What the others are; "" where there is none."""
    count = found.features - found.live_features
    if not count:
        return ""
    one = count == 1
    return (
        f" {count} {'is' if one else 'are'} dead: no task uses {'it' if one else 'them'}, which meets the"
        " conditions whatever the data say; another start may have use for more."
    )


def against_zero(found: Any) -> str:
    """J beside that of the zero point; "" at that point."""
    if found.live_features == 0:
        return ""
    words = "J is below" if found.objective < found.zero_objective else "J is not below"
    return f", {words} that of the zero point ({found.zero_objective:.6g})"


def rungs(found: Any, known: Known) -> tuple[Rung, ...]:
    """Every level of the ladder as a certificate sees it, lowest first: six `Rung`."""
    return tuple(_rung(found, code, known(found, code)) for code in LEVELS)


def _rung(found: Any, code: str, known: tuple[str, str]) -> Rung:
    reasons: Mapping[str, str] = found.reasons
    word, reason, (figure, words) = LEVELS[code], reasons.get(code), known
    if found.has(code):
        return Rung(code, word, "reached", figure, words)
    if code in found.refused:
        return Rung(code, word, "cannot be had", "", sentence(reason))
    tried = found.has(NEEDS.get(code, "C0"))
    if code > "C2" and (reason in (None, INTERRUPTED) or not tried):
        asked = f"Not asked for; certify with level {code} tries it."
        return Rung(code, word, "not tried", "", sentence(reason) or asked)
    if reason is not None:
        state: State = "cannot tell" if reason.startswith((DEGENERATE, UNDECIDED)) else "not reached"
        return Rung(code, word, state, figure, sentence(reason))
    return Rung(code, word, "not reached", figure, words)
