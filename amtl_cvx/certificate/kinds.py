"""The kinds of a certificate, that is, the problems a point is judged against, in words."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.certificate.levels import is_stopped

HEADLINES: Mapping[str, str] = {
    "joint": "A verified first-order point",
    "single-task": "Verified single-task solutions",
    "curriculum": "Every step of the curriculum is verified",
    "curriculum-simple": "Every step of the simple curriculum is verified",
    "adaptation": "The new task is verified, its predictor and its edges",
}
"""The verdict on one that passes."""
CONVEX: Mapping[str, str] = {
    "single-task": "No W at all, with B = 0, has",
    "adaptation": "No w and b >= 0 at all, the predictors of the fit being held, have",
}
"""Of convex problems: what a bound from below is about."""
MOVES: Mapping[str, tuple[str, str]] = {
    "adaptation": ("move of w alone", "move of b alone"),
    "curriculum-simple": ("move of W alone", "other choice of the next task, all steps together,"),
}
"""What gain_W and gap_B are about, where that is not a move of W or B alone."""
_WORDS = {
    "joint": "The point is judged as a first-order point of the joint objective J;"
    " J is not convex, other such points can exist.",
    "single-task": "The point is judged as the minimum of the single-task problems (the W-step at B = 0),"
    " which is convex.",
    "curriculum": "Every step of the curriculum is judged as the convex problem it is;"
    " the result as a whole is not a first-order point of J.",
    "curriculum-simple": "Every step of the chain, from one task to the next, is judged as the convex problem"
    " it is, and every choice against all waiting tasks; the result as a whole is not a first-order point of"
    " J.",
    "adaptation": "The predictor w and the edges b of a new task are judged as the minimum of their problem,"
    " which is convex in both together; those of the fit are held.",
}


def moves(kind: str) -> tuple[str, str]:
    """What gain_W and gap_B are about."""
    return MOVES.get(kind, ("move of W alone", "move of B alone"))


def kind_words(kind: str) -> str:
    """What is judged, and as what."""
    if not is_stopped(kind):
        return _WORDS[kind]
    return (
        f"The fit was {kind}, for what it predicts there; the point is judged as a first-order point"
        " of the joint objective J, which it need not be."
    )
