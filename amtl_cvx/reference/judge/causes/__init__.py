"""Which mistake explains a failed check."""

from __future__ import annotations

from amtl_cvx.reference.judge.failure import Cause, Failure


def causes_of(failure: Failure) -> tuple[Cause, ...]:
    """The mistakes that explain it, the likeliest first; none where none does."""
    return ()
