"""The levels of a certificate: their names, what each stands on, and how one is asked for.

    C0 evaluated               W and B are feasible, J and its residuals are known
    C1 eps-partial-optimum     no move of one block alone gains more than the tolerance
    C2 first-order-verified    the first-order conditions of J hold within the tolerance
    C3 strict-local-verified   positive curvature on the free variables, strict complementarity
    C4 digits-proven           interval arithmetic: one true first-order point, enclosed to many digits
    C5 global-verified         exact arithmetic: a lower bound of J over all W and B, as low as this point;
                               of a convex problem (B = 0) by duality, in floating point

C0 to C2 stand on each other, C4 on C3, C3 and C5 on C2: a global minimum need not be a strict one.
Source: SPEC section 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from amtl_cvx.errors import ModelError

LEVELS: Mapping[str, str] = {
    "C0": "evaluated",
    "C1": "eps-partial-optimum",
    "C2": "first-order-verified",
    "C3": "strict-local-verified",
    "C4": "digits-proven",
    "C5": "global-verified",
}
"""Levels of a certificate, lowest first."""
NEEDS: Mapping[str, str] = {"C1": "C0", "C2": "C1", "C3": "C2", "C4": "C3", "C5": "C2"}
"""The level that each stands on."""

EXCESS = 1e-3
"""Most, of J, that a point of level C5 may lie above a lower point or bound, whatever the tolerance."""
_STOPPED = "stopped after"
FACTORS = (
    "the rows were streamed and their factors are rounded: read the data from a .npz or .csv file, which"
    " keeps the rows"
)
"""Why what is about the rows themselves cannot be had of factors."""
INTERRUPTED = "an interrupt came before this level was decided"
"""The reason of a level that was begun and neither reached nor missed."""
DEGENERATE = "degenerate"
"""How the reason of a level begins where figures are too close to 0 to say whether the point has it."""
UNDECIDED = "not decided"
"""How it begins where the work that was allowed, or the method, came to its end without an answer."""

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


def sentence(reason: str | None) -> str:
    """A reason as a sentence of its own; "" for none."""
    return f"{reason[:1].upper()}{reason[1:]}." if reason else ""


def stopped_kind(rounds: int) -> str:
    """The kind of a point at which an alternation was stopped on purpose, for what it predicts there."""
    return f"{_STOPPED} {rounds} round{'s' if rounds > 1 else ''}"


def is_stopped(kind: str) -> bool:
    """Whether a kind is that of a point at which an alternation was stopped."""
    return kind.startswith(_STOPPED)


def stopped_words(kind: str) -> str:
    """What a command says of such a point."""
    return f"{kind}, for what it predicts there; a point that is not certified, and need not be"


def stopped_headline(kind: str) -> str:
    """The headline of such a point, which is no first-order point."""
    return f"{kind[0].upper()}{kind[1:]}, not certified"
