"""What a verdict says before any single check: its causes, and how each failed check is named.

A cause that is alone on a check is told apart from one that shares it: several mistakes can give the same
numbers on one problem, few do on all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from amtl_cvx.reference.judge.failure import Cause
from amtl_cvx.reference.judge.verdict import Result, Verdict


@dataclass(frozen=True, kw_only=True)
class Blame:
    """A cause, on how many failed checks it is named, and on how many of them alone."""

    cause: Cause
    named: int
    alone: int

    def words(self) -> str:
        """On how many checks, in words."""
        checks = "1 failed check" if self.named == 1 else f"{self.named} failed checks"
        return f"{checks}, alone on {self.alone}"


def blames(verdict: Verdict) -> tuple[Blame, ...]:
    """The causes, those that are alone most often first, then those named most often."""
    first: dict[str, Cause] = {}
    named: dict[str, int] = {}
    alone: dict[str, int] = {}
    for result in verdict.failed:
        for cause in result.causes:
            first.setdefault(cause.name, cause)
            named[cause.name] = named.get(cause.name, 0) + 1
            alone[cause.name] = alone.get(cause.name, 0) + (len(result.causes) == 1)
    found = [Blame(cause=first[name], named=named[name], alone=alone[name]) for name in first]
    return tuple(sorted(found, key=lambda blame: (-blame.alone, -blame.named, blame.cause.name)))


def likely(verdict: Verdict) -> tuple[tuple[Blame, ...], tuple[Blame, ...]]:
    """The causes that are alone on some check, and the others; all are likely where none is alone."""
    found = blames(verdict)
    alone = tuple(blame for blame in found if blame.alone)
    return (alone, tuple(blame for blame in found if not blame.alone)) if alone else (found, ())


def unexplained(verdict: Verdict) -> int:
    """How many failed checks have no known cause; what is not refused (L5) speaks for itself."""
    return sum(
        1
        for result in verdict.failed
        if result.status == "failed" and not result.causes and result.check.level != "L5"
    )


def told(result: Result) -> str:
    """What a result says, in one line: why it was announced, or its words."""
    if result.status == "expected":
        return f"{result.reason or 'announced'} ({result.words})"
    if result.status == "unexpected pass":
        return f"announced to fail ({result.reason}), and passes: take the announcement back"
    return result.words


def far(result: Result) -> float:
    """How far off it is, in limits where it has one; what is no number is farthest."""
    known = result.figures
    limit = known.get("limit", 0.0)
    others = [value for name, value in known.items() if name != "limit"]
    value = known.get("ratio", max(others, default=math.inf) / limit if limit > 0.0 else math.inf)
    return value if math.isfinite(value) else math.inf


def figures(result: Result) -> str:
    """The figures of a result, by name."""
    return ", ".join(f"{name} {shown(value)}" for name, value in result.figures.items())


def shown(value: float) -> str:
    """A figure in three digits; whole numbers as they are."""
    if math.isfinite(value) and abs(value) < 1e6 and value == int(value):
        return str(int(value))
    return f"{value:.4g}" if 1e-2 <= abs(value) < 1e5 else f"{value:.2e}"
