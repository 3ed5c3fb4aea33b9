"""The kinds of a certificate, that is, the problems a point is judged against, in words."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.certificate.levels import is_stopped

HEADLINES: Mapping[str, str] = {
    "joint": "A verified first-order point",
    "single-task": "Verified single-task solutions",
    "curriculum": "Every step of the curriculum is verified",
    "curriculum-simple": "Every step of the simple curriculum is verified",
}
"""The verdict on one that passes."""
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
}


def kind_words(kind: str) -> str:
    """What is judged, and as what."""
    if not is_stopped(kind):
        return _WORDS[kind]
    return (
        f"The alternation was {kind}, for what it predicts there; the point is judged as a first-order point"
        " of the joint objective J, which it need not be."
    )
