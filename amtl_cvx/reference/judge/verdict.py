"""The verdict on a back end: a result for every check, what failed and why, in words, figures and JSON.

    verdict = judge(Mine())
    verdict.passes, verdict.counts()        # (True, {"passed": 180, "skipped": 12})
    for result in verdict.failed: print(result.check.id, result.words, result.causes)

A result is "passed", "failed", "skipped" (with the reason), "expected" (a failure that the back end
announced, with its reason) or "unexpected pass" (one that it announced and that did not come: as bad as a
failure, the announcement is to be taken back).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.failure import Cause

Status = Literal["passed", "failed", "skipped", "expected", "unexpected pass"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "skipped", "expected", "unexpected pass")
LEVELS: Mapping[str, str] = {
    "L0": "J, its losses and gradients at given points",
    "L1": "one W-step, one task, one B-step",
    "L2": "the objective after each half-step",
    "L3": "the final point",
    "L4": "relations between answers",
    "L5": "bad input is refused",
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: ``L0/objective-generic/tiny-pair`` looks at one answer on one pack.

    Parameters
    ----------
    id : str
        Level, name, and the pack where the check is made on several.
    level, name, title : str
    needs : str
        What the back end is asked: one of `asked.ASKS`.
    pack : str
        The name of the pack; "" where there is none.
    """

    id: str
    level: str
    name: str
    title: str
    needs: str
    pack: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What came of a check.

    Parameters
    ----------
    check : Check
    status : str
        One of `STATUSES`.
    words : str
        One line.
    causes : tuple of Cause
        The mistakes that explain a failure, the likeliest first.
    figures : mapping of name to number
        What was measured, and its limit.
    seconds : float
        How long it took, the back end included.
    evidence : mapping of name to array
        For the picture: "answer", "right" and "limit" where there are such, of one shape; and "mistaken",
        what the first cause gives.
    reason : str
        Why it was expected to fail, as the back end says.
    """

    check: Check
    status: Status
    words: str
    causes: tuple[Cause, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    evidence: Mapping[str, Array] = field(default_factory=dict)
    reason: str = ""

    @property
    def bad(self) -> bool:
        """Whether it speaks against the back end."""
        return self.status in ("failed", "unexpected pass")

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, without the evidence."""
        return {
            "id": self.check.id,
            "level": self.check.level,
            "title": self.check.title,
            "pack": self.check.pack or None,
            "status": self.status,
            "words": self.words,
            "causes": [{"name": c.name, "sentence": c.sentence, "fix": c.fix} for c in self.causes],
            "figures": {name: _finite(value) for name, value in self.figures.items()},
            "seconds": round(self.seconds, 4),
            **({"reason": self.reason} if self.reason else {}),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What the judge found.

    Parameters
    ----------
    backend : str
        What the back end calls itself.
    dtype : str
    results : tuple of Result
        By level, in the order of the checks.
    packs : tuple of str
        The packs that were asked about.
    seconds : float
    bounds : str
        What of the back end's time and memory was bounded, in words.
    unused : tuple of str
        Announced failures that no check has the name of.
    """

    backend: str
    dtype: str
    results: tuple[Result, ...]
    packs: tuple[str, ...] = ()
    seconds: float = 0.0
    bounds: str = ""
    unused: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether nothing speaks against the back end and something for it."""
        statuses = {result.status for result in self.results}
        return "passed" in statuses and not statuses & {"failed", "unexpected pass"}

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results that speak against it."""
        return tuple(result for result in self.results if result.bad)

    def counts(self, level: str | None = None) -> dict[str, int]:
        """How many results of each status there are, of a level or of all; none is left out that occurs."""
        found = Counter(r.status for r in self.results if level in (None, r.check.level))
        return {status: found[status] for status in STATUSES if found[status]}

    def levels(self) -> tuple[str, ...]:
        """The levels that have results."""
        there = {result.check.level for result in self.results}
        return tuple(level for level in LEVELS if level in there)

    def causes(self) -> dict[str, int]:
        """On how many failed checks each cause is named, the most frequent first."""
        return dict(Counter(cause.name for r in self.failed for cause in r.causes).most_common())

    def line(self) -> str:
        """The verdict in one line."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items()) or "no checks"
        return f"{self.backend} ({self.dtype}) {'passes' if self.passes else 'does not pass'}: {counts}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "backend": self.backend,
            "dtype": self.dtype,
            "passes": self.passes,
            "counts": self.counts(),
            "causes": self.causes(),
            "packs": list(self.packs),
            "seconds": round(self.seconds, 3),
            "bounds": self.bounds,
            "unused_expected_failures": list(self.unused),
            "results": [result.to_dict() for result in self.results],
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
